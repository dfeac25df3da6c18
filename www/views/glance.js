// A small sheet of all heads beside the first result, where the window is wide: what section 4 has on its prompt, and the way there.
import { S } from "../strings.js";
import { patternsOf } from "../figures.js";
import { showText } from "../format.js";
import { drawSheet, sheetLayout } from "../draw/attention.js";
import { el } from "./dom.js";
import { surface } from "./surface.js";

/** Layers that fit beside the table; the others are in section 4. */
const MOST_LAYERS = 12;
/** Of a prompt above them. */
const MOST_CHARACTERS = 80;

/** @param {import("../state.js").Store} store @returns {HTMLElement} a link, hidden as long as nothing is computed */
export function glance(store) {
  const words = el("span", { class: "words" });
  /** @type {import("../draw/attention.js").Pattern[]} */
  let heads = [];
  const sheet = surface({ "aria-hidden": "true" }, (size, theme) => {
    if (!heads.length) return null;
    const layers = heads[heads.length - 1].layer + 1;
    const at = sheetLayout(heads.length / layers, layers, size);
    return { width: at.width, height: at.height, key: [heads], ops: () => drawSheet(heads, at, theme, size.ratio) };
  });
  const root = el("a", { class: "glance", href: "#attention", hidden: true }, words, sheet.root);
  /** @type {unknown} */
  let seen = null;
  function look() {
    const { value } = store.get("attention").job;
    if (value === seen || !value) return;
    seen = value;
    const all = patternsOf(value.result);
    heads = all.filter(({ layer }) => layer < MOST_LAYERS);
    const [asked] = value.result.experiment.prompts;
    const prompt = String(asked);
    words.textContent = S.attention.glance(showText(prompt.slice(0, MOST_CHARACTERS)) + (prompt.length > MOST_CHARACTERS ? "…" : ""));
    root.hidden = false;
    sheet.redraw();
  }
  store.subscribe("attention", look);
  look();
  return root;
}
