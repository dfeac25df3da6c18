// Small multiples: every panel of a figure as a small heatmap of one scale. (figure, size, theme) → operations.
import { LABEL, labelFont } from "./paint.js";
import { cut, widest } from "./axis.js";
import { inset, pixels } from "./heatmap.js";
import { shortLabel } from "../figures.js";

/** @typedef {import("../microtome.js").Figure} Figure */
/** @typedef {import("./paint.js").Op} Op */
/** @typedef {import("./paint.js").Theme} Theme */
/**
 * `single`: the panels run over one axis, and wrap. Else a row for every index of all axes but the last.
 * @typedef {{ width: number, height: number, columns: number, count: number, tile: { w: number, h: number },
 *   left: number, top: number, step: { x: number, y: number }, single: boolean, rows: string[], cols: string[] }} Sheet
 */

const GAP = 6;
/** What the frame around a panel needs beside it. */
const MARK = 3;
/** `low`: a finger must hit it. */
const TILE = { least: 16, most: 230, wanted: 96, low: 24 };

/** @param {Figure} figure with panels @param {import("./heatmap.js").Size} size @returns {Sheet} */
export function panelsLayout(figure, { width, ratio }) {
  const axes = figure.panel_axes ?? [];
  const single = axes.length === 1;
  const [cols, ...outer] = axes.map(({ title, labels }) => labels.map((label) => shortLabel(title, label))).reverse();
  const rows = outer.reduce((/** @type {string[]} */ rows, labels) =>
    (rows.length ? labels.flatMap((label) => rows.map((row) => `${label} ${row}`)) : labels), []);
  const left = single ? MARK : Math.ceil(widest(rows)) + 10;
  const room = width - left - MARK;
  const columns = single ? Math.min(cols.length, Math.max(2, Math.floor(room / TILE.wanted))) : cols.length;
  const snap = (/** @type {number} */ v) => Math.max(1, Math.floor(v * ratio)) / ratio;
  const w = snap(Math.max(TILE.least, Math.min(TILE.most, (room - GAP * (columns - 1)) / columns)));
  const h = snap(Math.max(TILE.low, w * Math.min(1, Math.max(0.4, figure.rows / figure.cols))));
  const label = LABEL.line + 2;
  const step = { x: w + GAP, y: h + GAP + (single ? label : 0) };
  const down = single ? Math.ceil(cols.length / columns) : rows.length;
  return {
    width: Math.ceil(Math.max(width, left + columns * step.x)), height: Math.ceil(label + down * step.y),
    columns, count: cols.length * Math.max(1, rows.length), tile: { w, h }, left, top: label, step, single, rows, cols,
  };
}

/** Where a panel lies. @param {Sheet} sheet @param {number} index @returns {import("./axis.js").Box} */
export const panelAt = ({ left, top, step, columns, tile }, index) =>
  ({ x: left + (index % columns) * step.x, y: top + Math.floor(index / columns) * step.y, ...tile });

/** The panel under a point; null between panels. @param {Sheet} sheet @param {number} x @param {number} y */
export function hitPanel(sheet, x, y) {
  const [col, row] = [Math.floor((x - sheet.left) / sheet.step.x), Math.floor((y - sheet.top) / sheet.step.y)];
  const index = row * sheet.columns + col;
  if (col < 0 || row < 0 || col >= sheet.columns || index >= sheet.count) return null;
  const box = panelAt(sheet, index);
  return x < box.x + box.w && y < box.y + box.h ? index : null;
}

/**
 * @param {Figure} figure
 * @param {Sheet} sheet
 * @param {Theme} theme
 * @param {{ stops: import("./colour.js").Rgb[], pending: boolean }} look
 * @returns {Op[]}
 */
export function drawPanels(figure, sheet, theme, { stops, pending }) {
  const text = { op: /** @type {const} */ ("text"), fill: theme.muted, font: labelFont(theme) };
  const { rows, cols } = figure;
  const images = imagesOf(figure, stops);
  return images.flatMap((rgba, index) => {
    const box = panelAt(sheet, index);
    /** @type {Op[]} */
    const tile = [
      { op: "rect", ...box, fill: theme.masked },
      ...(pending ? [{ op: /** @type {const} */ ("hatch"), ...box, stroke: theme.line }] : []),
      { op: "cells", ...box, cols, rows, rgba },
      { op: "frame", ...inset(box, 0.5), stroke: theme.line, width: 1 },
    ];
    const [row, col] = [Math.floor(index / sheet.columns), index % sheet.columns];
    if (sheet.single) tile.push({ ...text, text: cut(sheet.cols[index]), x: box.x, y: box.y - 4, align: "left", baseline: "bottom" });
    else {
      if (col === 0) tile.push({ ...text, text: cut(sheet.rows[row]), x: box.x - 8, y: box.y + box.h / 2, align: "right", baseline: "middle" });
      if (row === 0) tile.push({ ...text, text: sheet.cols[col], x: box.x + box.w / 2, y: box.y - 4, align: "center", baseline: "bottom" });
    }
    return tile;
  });
}

/**
 * The frame around the panel that is enlarged.
 * @param {Sheet} sheet
 * @param {Theme} theme
 * @param {{ shown: number, locked: boolean }} mark
 * @returns {Op[]}
 */
export const panelMark = (sheet, theme, { shown, locked }) =>
  [{ op: "frame", ...inset(panelAt(sheet, shown), -1.5), stroke: locked ? theme.accent : theme.ink, width: locked ? 3 : 2 }];

/** @param {Figure} figure @param {import("./colour.js").Rgb[]} stops */
function imagesOf(figure, stops) {
  const size = figure.rows * figure.cols;
  return Array.from({ length: figure.values.length / size }, (_, i) =>
    pixels({ ...figure, values: figure.values.slice(i * size, (i + 1) * size) }, stops));
}
