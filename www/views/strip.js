// The prompt as a row of tokens: pick one, and the others show how strongly it looks at them, or they at it.
import { S } from "../strings.js";
import { nameOf } from "../format.js";
import { el, fill } from "./dom.js";
import { choice } from "./fields.js";

/** @typedef {import("../draw/attention.js").Pattern} Pattern */
/** @typedef {import("../microtome.js").Token} Token */

export function tokenStrip() {
  /** @type {Pattern | null} */ let pattern = null;
  /** @type {Token[]} */ let tokens = [];
  let kept = -1;
  let hovered = -1;
  let direction = "from";

  const chips = el("div", { class: "chips strip", role: "group", "aria-label": S.attention.strip });
  const note = el("p", { class: "note", "aria-live": "polite" });
  const pick = choice(S.attention.direction, S.attention.directions, direction, (to) => {
    direction = to;
    weigh();
  });
  const root = el("div", { class: "token-strip" }, el("h3", {}, S.attention.strip), el("div", { class: "row" }, pick.root, note), chips);

  function build() {
    fill(chips, ...tokens.map((token, i) => el("button", {
      type: "button", class: "chip",
      pointerenter: () => point(i), pointerleave: () => point(-1), focus: () => point(i), blur: () => point(-1),
      click: () => {
        kept = i;
        weigh();
      },
    }, el("span", { class: "token" }, nameOf(token)), el("span", { class: "index" }, String(i)), el("span", { class: "weight" }))));
  }

  /** @param {number} i */
  function point(i) {
    hovered = i;
    weigh();
  }

  function weigh() {
    if (!pattern) return;
    const { n, data } = pattern;
    const at = hovered >= 0 ? hovered : kept;
    [...chips.children].forEach((chip, i) => {
      const [dest, src] = direction === "from" ? [at, i] : [i, at];
      const masked = src > dest;
      const weight = masked ? 0 : data[dest * n + src];
      /** @type {HTMLElement} */ (chip).style.setProperty("--weight", weight.toFixed(4));
      chip.classList.toggle("masked", masked);
      chip.setAttribute("aria-pressed", String(i === at));
      /** @type {Element} */ (chip.lastElementChild).textContent = masked ? "–" : weight.toFixed(2);
    });
    note.textContent = S.attention.stripNote(nameOf(tokens[at]), at);
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
      weigh();
    },
  };
}
