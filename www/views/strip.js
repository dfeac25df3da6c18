// The prompt as a row of tokens: point at one, and those before it show how much it looks at them, those after it how much
// they look at it; told apart by colour, by the line below and by the arrow. One tab stop, as long as the prompt may be.
import { S } from "../strings.js";
import { nameOf, showFixed } from "../format.js";
import { el, fill, uniqueId } from "./dom.js";

/** @typedef {import("../draw/attention.js").Pattern} Pattern */
/** @typedef {import("../microtome.js").Token} Token */
/** More tokens than this stand closer, without their numbers: the sentence below has the largest. */
const DENSE = 64;
/** Milliseconds without a key before a token is read out. */
const READ = 350;

/** @param {{ point: (token: number | null) => void }} hands `point`: at a token, which other figures may mark */
export function tokenStrip({ point }) {
  /** @type {Pattern | null} */ let pattern = null;
  /** @type {Token[]} */ let tokens = [];
  let kept = -1;
  let hovered = -1;
  /** As they are drawn. */
  let [marked, selected] = [-1, -1];
  /** Out of sight, nothing is drawn: a pointer that crosses the sheet changes hundreds of chips at every step. */
  let seen = false;
  let due = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** What each chip shows: its parts, and its weight as text. @type {{ node: HTMLElement, text: Text, now: string }[]} */
  let chips = [];

  const list = el("div", {
    class: "chips strip", role: "listbox", tabindex: 0, "aria-label": S.attention.strip, "aria-orientation": "horizontal",
    pointerover: (/** @type {PointerEvent} */ event) => hover(under(event)), pointerleave: () => hover(-1),
    click: (/** @type {PointerEvent} */ event) => keep(under(event)),
    keydown: (/** @type {KeyboardEvent} */ event) => step(event),
    focus: () => hover(kept), blur: () => hover(-1),
  });
  const note = el("p", { class: "note" });
  const live = el("p", { class: "unseen", role: "status" });
  const root = el("div", { class: "token-strip" }, el("h3", {}, S.attention.strip),
    el("p", { class: "legend" }, el("span", { class: "at" }, `← ${S.figures.strip.legendAt}`), el("span", { class: "by" }, `→ ${S.figures.strip.legendBy}`)),
    list, note, live);

  new IntersectionObserver(([entry]) => {
    seen = entry.isIntersecting;
    if (seen) soon();
  }, { rootMargin: "100px" }).observe(root);

  function build() {
    const id = uniqueId();
    [marked, selected] = [-1, -1];
    chips = tokens.map((token, i) => {
      const text = document.createTextNode("");
      return { text, now: "", node: el("span", { class: "chip", role: "option", "aria-selected": "false", id: `${id}-${i}`, "data-token": i },
        el("span", { class: "token" }, nameOf(token)), el("span", { class: "index" }, String(i)), el("span", { class: "weight" }, text)) };
    });
    list.classList.toggle("dense", tokens.length > DENSE);
    fill(list, ...chips.map(({ node }) => node));
  }

  /** @param {PointerEvent} event */
  function under(event) {
    const chip = event.target instanceof Element ? event.target.closest("[data-token]") : null;
    return chip ? Number(chip.getAttribute("data-token")) : -1;
  }

  /** @param {number} token */
  function hover(token) {
    if (token === hovered) return;
    hovered = token;
    point(token < 0 ? null : token);
    soon();
  }

  /** @param {number} token */
  function keep(token) {
    if (token < 0) return;
    kept = token;
    soon();
  }

  /** @param {KeyboardEvent} event */
  function step({ key, altKey }, last = tokens.length - 1) {
    const to = { ArrowRight: kept + 1, ArrowDown: kept + 1, ArrowLeft: kept - 1, ArrowUp: kept - 1, Home: 0, End: last }[key];
    if (to === undefined || altKey || last < 0) return;
    keep(Math.min(last, Math.max(0, to)));
    hover(kept);
    clearTimeout(timer);
    timer = setTimeout(() => {
      live.textContent = note.textContent;
    }, READ);
  }
  list.addEventListener("keydown", (event) => {
    if (/^(Arrow|Home$|End$)/.test(event.key)) event.preventDefault();
  });

  /** Once for each frame. */
  function soon() {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      if (seen) weigh();
    });
  }

  function weigh() {
    if (!pattern) return;
    const { n, data } = pattern;
    const at = hovered >= 0 ? hovered : kept;
    if (!(at >= 0 && at < n)) return;
    const dense = chips.length > DENSE;
    /** The strongest on either side. @type {Record<"at" | "by", number>} */
    const best = { at: 0, by: -1 };
    chips.forEach((chip, i) => {
      const side = i <= at ? "at" : "by";
      const weight = i <= at ? data[at * n + i] : data[i * n + at];
      if (side === "at" ? weight > data[at * n + best.at] : best.by < 0 || weight > data[best.by * n + at]) best[side] = i;
      // Each chip that changes is styled again: of hundreds, which are ground without a number, it is told to a twentieth, and
      // what is nothing has no side.
      const written = (dense ? Math.round(weight * 20) / 20 : weight).toFixed(2);
      const nothing = written === "0.00";
      const now = nothing ? written : `${side === "at" ? "←" : "→"} ${written}`;
      if (now === chip.now) return;
      chip.now = now;
      if (!dense) chip.text.data = now.replace(written, showFixed(Number(written), 2));
      chip.node.style.setProperty("--weight", written);
      if (nothing) delete chip.node.dataset.side;
      else chip.node.dataset.side = side;
    });
    if (marked !== at || selected !== kept) {
      chips[marked]?.node.removeAttribute("data-at");
      chips[selected]?.node.setAttribute("aria-selected", "false");
      [marked, selected] = [at, kept];
      chips[marked].node.setAttribute("data-at", "");
      chips[selected]?.node.setAttribute("aria-selected", "true");
      list.setAttribute("aria-activedescendant", chips[at].node.id);
    }
    const words = S.figures.strip;
    const share = (/** @type {number} */ dest, /** @type {number} */ src) => showFixed(data[dest * n + src], 2);
    note.textContent = `${words.token(nameOf(tokens[at]), at)}: ${words.at(nameOf(tokens[best.at]), best.at, share(at, best.at))}; ${
      best.by < 0 ? words.none : words.by(nameOf(tokens[best.by]), best.by, share(best.by, at))}. ${words.keys}`;
  }

  return {
    root,
    /** @param {Pattern} next @param {Token[]} words */
    show(next, words) {
      pattern = next;
      if (words !== tokens) {
        tokens = words;
        kept = tokens.length - 1;
        hovered = -1;
        build();
      }
      soon();
    },
  };
}
