// Tokens as chips: under a prompt, of two prompts side by side, and what is said of an answer.
import { S } from "../strings.js";
import { nameOf, showCount, showFixed, showToken } from "../format.js";
import { aligned } from "../tokens.js";
import { el, fill } from "./dom.js";
import { button, tokenField } from "./fields.js";

/** @typedef {import("../tokens.js").TokenSource} TokenSource */
/** @typedef {import("../tokens.js").Tokens} Tokens */
/** @typedef {import("../microtome.js").Token} Token */

/** More chips than this are counted, not drawn. */
const MOST_CHIPS = 200;
const words = S.prompts.tokens;

/** @param {Token} token @param {number} index @param {string} kind further classes */
const chip = (token, index, kind) => el("li", { class: `chip${kind}`, title: words.id(token.id) },
  el("span", { class: "token" }, nameOf(token)), el("span", { class: "index" }, kind.includes("differs") ? `${showFixed(index, 0)} ≠` : showFixed(index, 0)));

/** How many tokens a prompt has, or why the model reads none of it. @param {Tokens} found */
const counted = ({ tokens, limit, refused }) =>
  (refused !== null ? el("p", { class: "over" }, refused) : el("p", { class: "note" }, words.count(tokens.length, showCount(limit))));

/** @param {Tokens} found @param {string} label @param {(i: number) => boolean} [marked] */
function row({ tokens, bos }, label, marked = () => false) {
  const first = bos && tokens.length > 0;
  return el("ol", { class: "chips small", start: 0, "aria-label": label },
    ...tokens.slice(0, MOST_CHIPS).map((token, i) => chip(token, i, `${first && i === 0 ? " bos" : ""}${marked(i) ? " differs" : ""}`)),
    tokens.length > MOST_CHIPS && el("li", { class: "more" }, words.more(showCount(tokens.length - MOST_CHIPS))));
}

/**
 * The chips of a prompt.
 * @param {TokenSource} source
 * @param {() => string} text
 * @param {() => string} [label]
 */
export function promptChips(source, text, label = () => words.of) {
  const root = el("div", { class: "prompt-tokens" });
  const look = source.watch(() => [{ text: text() }], ([found]) => {
    fill(root, ...(found ? [found.refused === null && row(found, label()), counted(found)] : []));
  });
  look();
  return { root, look };
}

/**
 * Two prompts that must have the same number of tokens, position by position.
 * @param {TokenSource} source
 * @param {() => [string, string]} texts clean and corrupted
 */
export function alignedChips(source, texts) {
  const root = el("div", { class: "prompt-tokens", role: "group", "aria-label": words.aligned });
  const look = source.watch(() => texts().map((text) => ({ text })), (found) => {
    const [clean, corrupted] = found;
    if (!clean || !corrupted) return fill(root);
    const bad = [clean, corrupted].filter(({ refused }) => refused !== null);
    if (bad.length) return fill(root, ...bad.map(counted));
    const { same, differ, pairs, begin, ends } = aligned(clean.tokens, corrupted.tokens);
    if (!same) {
      fill(root, el("p", { class: "over", role: "status" }, words.lengths(clean.tokens.length, corrupted.tokens.length, begin)),
        ...Object.entries({ clean, corrupted }).map(([which, one]) => {
          const [name, end] = [words.one[/** @type {"clean"} */ (which)], ends[/** @type {"clean"} */ (which)]];
          return el("div", { class: "one-of-two" }, el("p", { class: "note" }, name), row(one, name, (i) => begin <= i && i < end));
        }));
      return;
    }
    fill(root, el("ol", { class: "chips small pairs", start: 0, "aria-label": words.aligned },
      ...pairs.slice(0, MOST_CHIPS).map(({ clean: top, corrupted: bottom, differs }, i) =>
        el("li", { class: `chip${clean.bos && i === 0 ? " bos" : ""}${differs ? " differs" : ""}` },
          el("span", { class: "token" }, nameOf(/** @type {Token} */ (top))),
          differs && el("span", { class: "unequal", role: "img", "aria-label": words.differs }, "≠"),
          el("span", { class: "token below" }, nameOf(/** @type {Token} */ (bottom))),
          el("span", { class: "index" }, showFixed(i, 0)))),
      pairs.length > MOST_CHIPS && el("li", { class: "more" }, words.more(showCount(pairs.length - MOST_CHIPS)))),
    counted(clean), el("p", { class: "note" }, differ.length ? words.differ(differ.length, pairs.length) : words.equal));
  });
  look();
  return { root, look };
}

/**
 * A field for an answer, which must be one token: said while it is typed, with the pieces where it is several, and with
 * the same word behind a space where that is meant more often.
 * @param {TokenSource} source
 * @param {string} label
 * @param {string} value
 * @param {(value: string) => void} onInput
 */
export function answerField(source, label, value, onInput) {
  const said = el("p", { class: "one-token", role: "status" });
  const field = tokenField(label, value, (text) => {
    onInput(text);
    look();
  });
  /** The same word with its space, or without one. @param {string} text */
  const other = (text) => (/^ /.test(text) ? text.trim() : ` ${text.trim()}`);
  const look = source.watch(() => {
    const text = field.input.value;
    return text ? [text, other(text)].map((text) => ({ text, bos: false })) : [];
  }, ([found, instead]) => {
    if (!found || found.text !== field.input.value) return fill(said);
    const { tokens, text, refused } = found;
    const fits = instead?.tokens.length === 1;
    const swap = fits && button(words.use(showToken(instead.text)), () => {
      set(instead.text);
      onInput(instead.text);
      field.input.focus();
    }, { quiet: true });
    said.classList.toggle("bad", tokens.length !== 1);
    if (refused !== null) fill(said, el("span", {}, refused));
    else if (tokens.length !== 1) {
      fill(said, el("span", {}, words.several(tokens.length)), ...tokens.slice(0, 12).map((token) => el("span", { class: "token piece" }, nameOf(token))),
        tokens.length > 12 && el("span", {}, "…"), swap);
    } else if (/^\p{L}/u.test(text) && fits) {
      fill(said, el("span", {}, words.noSpace(showToken(text), showToken(instead.text))), swap);
    } else fill(said, el("span", {}, words.single));
  });
  const set = (/** @type {string} */ text) => {
    field.set(text);
    look();
  };
  field.root.append(said);
  look();
  return { ...field, set };
}
