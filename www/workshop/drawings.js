// Draws a step's figures from their data. A figure of the same kind at the same place is changed, not built anew.
import { placeWords } from "../figures.js";
import { nameOf, showExact } from "../format.js";
import { S } from "../strings.js";
import { WORKSHOP } from "../strings/workshop.js";
import { el, fill, scrollable, table } from "../views/dom.js";
import { heatmapView } from "../views/heatmap.js";
import { panelsView } from "../views/panels.js";

/** @typedef {import("./lesson.js").Drawing} Drawing */
/** @template {Drawing["kind"]} K @typedef {Extract<Drawing, { kind: K }>} Of */
/** @typedef {{ root: Element, show: (drawing: any) => void }} View */
/** Whose choice of colours and range, and the name of the figure in it. @typedef {{ store: import("../state.js").Store, key: string }} Coloured */

function chips() {
  const list = el("ol", { class: "chips", start: 0 });
  return { root: list, show: (/** @type {Of<"chips">} */ { tokens, bos }) => fill(list, ...tokens.map((token, i) =>
    el("li", { class: bos && i === 0 ? "chip bos" : "chip", title: `id ${token.id}` },
      el("span", { class: "token" }, nameOf(token)), el("span", { class: "index" }, String(i))))) };
}

function tableView() {
  const root = scrollable(S.common.table);
  return { root, show: (/** @type {Of<"table">} */ { title, columns, rows }) => {
    root.setAttribute("aria-label", title);
    const node = table(title, columns, rows);
    node.querySelector("caption")?.classList.add("unseen");
    fill(root, node);
  } };
}

/** @param {Of<"heatmap">} first @param {Coloured} look */
function heatmap(first, look) {
  let drawing = first;
  // Without a look it is one hue, for attention and shares.
  const view = heatmapView({ ...(first.palette ? {} : { look }),
    describe: (figure, cell, value) => (value === null ? S.common.empty : drawing.words(placeWords(figure, 0, cell), showExact(value))) });
  return { root: view.root, show: (/** @type {Of<"heatmap">} */ next) => {
    drawing = next;
    view.show({ ...next.figure, title: next.title });
  } };
}

/** @param {Of<"panels">} first @param {Coloured} look */
function panels(first, { store, key }) {
  let drawing = first;
  const view = panelsView(store, { key, cell: (place, value) => drawing.words(place, showExact(value)) });
  return { root: view.root, show: (/** @type {Of<"panels">} */ next) => {
    drawing = next;
    view.show(next.figure, { pending: false });
  } };
}

/** The library that draws curves is fetched only here. @param {Of<"lines">} first */
function lines(first) {
  const root = el("div", {});
  let drawing = first;
  let at = first.steps.length - 1;
  const ready = import("../views/lines.js").then(({ linesView }) => {
    const point = (/** @type {number} */ to) => {
      at = Math.min(drawing.steps.length - 1, Math.max(0, to));
      view.point(at, at);
    };
    const view = linesView(first, {
      point: (index) => index !== null && point(index), pick: point,
      key: (event) => {
        const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: Infinity }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        point(to);
      },
    });
    view.root.querySelector(".plot")?.setAttribute("aria-label", WORKSHOP.step.chart(first.title));
    fill(root, view.root);
    return { view, point };
  });
  return { root, show: async (/** @type {Of<"lines">} */ next) => {
    drawing = next;
    const { view, point } = await ready;
    view.show({ steps: next.steps, lines: next.lines.map(({ name, values }, style) => ({ name, curve: values, style })), skipped: [], current: null });
    point(next.steps.length - 1);
  } };
}

function words() {
  const root = el("div", {});
  return { root, show: (/** @type {Of<"words">} */ { text }) => fill(root, ...text.map((line) => el("p", { class: "finding" }, line))) };
}

/** @type {Record<Drawing["kind"], (first: any, look: Coloured) => View>} */
const VIEWS = { chips, table: tableView, heatmap, panels, lines, words };
/** Kinds that write their title themselves. */
const TITLED = new Set(["lines", "words"]);

/** @param {import("../state.js").Store} store @param {string} step whose figures they are */
export function drawingsView(store, step) {
  const root = el("div", { class: "body drawings" });
  let built = "";
  /** @type {{ view: View, heading: Element }[]} */
  let views = [];
  return {
    root,
    /** @param {Drawing[]} drawings */
    show(drawings) {
      const kinds = drawings.map(({ kind, ...rest }) => `${kind} ${"palette" in rest}`).join();
      if (kinds !== built) {
        built = kinds;
        views = drawings.map((drawing, i) => ({ view: VIEWS[drawing.kind](drawing, { store, key: `${step}.${i}` }), heading: el("h3", {}) }));
        fill(root, ...drawings.map(({ kind }, i) => el("div", { class: `drawing ${kind}` }, TITLED.has(kind) ? null : views[i].heading, views[i].view.root)));
      }
      drawings.forEach((drawing, i) => {
        views[i].heading.textContent = drawing.title;
        views[i].view.show(drawing);
      });
    },
  };
}
