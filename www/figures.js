// Figures that are arrangements of a result's numbers: the prompt grid and one head's pattern. Pure.
// The sweeps' figures come from the engine (`lab.figure`), which the command line shares.
import { symmetric } from "./draw/colour.js";
import { apart, showText, tokenLabel } from "./format.js";
import { patternHook } from "./experiments.js";
import { S } from "./strings.js";
import { SHORT_AXES, axisWord } from "./strings/axes.js";

/** @typedef {import("./microtome.js").Figure} Figure */
/** @typedef {import("./draw/attention.js").Pattern} Pattern */

/**
 * Logit differences, formats × names; or one a row.
 * @param {import("./microtome.js").LogitDiffResult} result
 * @param {import("./state.js").GridInputs} inputs
 * @returns {Figure}
 */
export function gridFigure({ values }, { use, formats, names, rows }) {
  const whole = { title: S.grid.figure, values, scale: symmetric(values, 0), caption: "" };
  if (use === "rows") {
    return { ...whole, row_axis: { title: S.grid.row, labels: rows.map(({ prompt }) => showText(prompt)) },
      col_axis: { title: "", labels: [S.grid.difference] }, rows: rows.length, cols: 1 };
  }
  return {
    ...whole,
    row_axis: { title: S.grid.rows, labels: formats.map(showText) },
    col_axis: { title: S.grid.cols, labels: names.map(({ name }) => showText(name)) },
    rows: formats.length, cols: names.length,
  };
}

/** @typedef {{ row: number, col: number }} Cell */

/** One panel of a figure as a heatmap by itself. @param {Figure} figure @param {number} index @returns {Figure} */
export function panelOf(figure, index) {
  const { panel_axes, ...panel } = figure;
  if (!panel_axes) return panel;
  const size = figure.rows * figure.cols;
  return { ...panel, title: `${figure.title}: ${placeWords(figure, index, null)}`, values: figure.values.slice(index * size, (index + 1) * size) };
}

/**
 * Where a cell of all of a figure's is: its index along each of the axes, panels' first.
 * @param {Figure} figure
 * @param {number} index
 */
export function placesOf({ panel_axes = [], rows, cols }, index) {
  const places = [];
  for (const size of [cols, rows, ...panel_axes.map(({ labels }) => labels.length).reverse()]) {
    places.unshift(index % size);
    index = Math.floor(index / size);
  }
  return places;
}

/**
 * The rank of every value by its distance from the scale's middle, from 1; 0 for none. And how many have one.
 * @param {Figure} figure
 */
export function ranksOf({ values, scale: { mid } }) {
  const far = (/** @type {number} */ i) => Math.abs(/** @type {number} */ (values[i]) - mid);
  const order = [...values.keys()].filter((i) => values[i] !== null).sort((a, b) => far(b) - far(a) || a - b);
  const ranks = new Uint32Array(values.length);
  order.forEach((i, rank) => {
    ranks[i] = rank + 1;
  });
  return { ranks, count: order.length };
}

/** The panel with the cell that is farthest from the scale's middle. @param {Figure} figure */
export function strongest({ values, rows, cols, scale }) {
  const far = (/** @type {number} */ i) => Math.abs((values[i] ?? scale.mid) - scale.mid);
  let best = 0;
  for (let i = 1; i < values.length; i++) if (far(i) > far(best)) best = i;
  return Math.floor(best / (rows * cols));
}

/**
 * Where a cell is, in words: “Layer 1, head 2”. Without a cell, which panel.
 * @param {Figure} figure
 * @param {number} panel
 * @param {Cell | null} cell
 */
export function placeWords({ panel_axes = [], row_axis, col_axis }, panel, cell) {
  /** @type {[string, string][]} */
  const places = [];
  for (const { title, labels } of [...panel_axes].reverse()) {
    places.unshift([title, labels[panel % labels.length]]);
    panel = Math.floor(panel / labels.length);
  }
  if (cell) {
    places.push([row_axis.title, row_axis.labels[cell.row]]);
    if (col_axis.title) places.push([col_axis.title, col_axis.labels[cell.col]]);
  }
  // Names of sites and sets say themselves what they are.
  return places.map(([title, label], i) =>
    (title === "Site" || title === "Set" ? label : S.figures.axis(axisWord(title), apart(label), i === 0))).join(S.figures.axisComma);
}

/** A panel's short label: `L1`, `H2`, or a site's name. @param {string} title of its axis @param {string} label */
export const shortLabel = (title, label) => (SHORT_AXES[title] ?? "") + label;

/**
 * Every head of a trace's patterns, layer by layer.
 * @param {import("./microtome.js").TraceResult} trace
 * @returns {Pattern[]}
 */
export function patternsOf({ tensors: [tensors] }) {
  /** @type {Pattern[]} */
  const patterns = [];
  for (let layer = 0; patternHook(layer) in tensors; layer++) {
    const { shape: [heads, n], data } = tensors[patternHook(layer)]; // [head, dest, src]
    for (let head = 0; head < heads; head++) {
      patterns.push({ layer, head, n, data: data.subarray(head * n * n, (head + 1) * n * n) });
    }
  }
  return patterns;
}

/** @type {WeakMap<import("./microtome.js").Token[], string[]>} */
const labelled = new WeakMap();

/** Labels of tokens; the same list for the same tokens. @param {import("./microtome.js").Token[]} tokens */
export function labelsOf(tokens) {
  const labels = labelled.get(tokens) ?? tokens.map(tokenLabel);
  labelled.set(tokens, labels);
  return labels;
}

/**
 * One head, enlarged. Entries after dest are empty: the causal mask rules them out, which is not the same as 0.
 * @param {Pattern} pattern
 * @param {import("./microtome.js").Token[]} tokens
 * @returns {Figure}
 */
export function patternFigure({ layer, head, n, data }, tokens) {
  const labels = labelsOf(tokens);
  // Written out: it is done for every head that the pointer passes.
  /** @type {(number | null)[]} */
  const values = new Array(n * n).fill(null);
  for (let dest = 0; dest < n; dest++) for (let src = 0; src <= dest; src++) values[dest * n + src] = data[dest * n + src];
  return {
    title: S.attention.figure(layer, head),
    row_axis: { title: S.attention.dest, labels },
    col_axis: { title: S.attention.src, labels },
    rows: n, cols: n, values,
    // Fixed, so that two heads can be compared.
    scale: { min: 0, mid: 0.5, max: 1 },
    caption: "",
  };
}
