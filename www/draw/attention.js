// The sheet of every head's attention pattern: (heads, size, theme) → operations.
import { ramp } from "./colour.js";
import { LABEL, labelFont } from "./paint.js";
import { inset } from "./heatmap.js";

/** @typedef {import("./paint.js").Op} Op */
/** @typedef {import("./paint.js").Theme} Theme */
/** @typedef {{ layer: number, head: number }} Head */
/**
 * One head's pattern; data is [dest, src], row-major.
 * @typedef {Head & { n: number, data: Float32Array }} Pattern
 * @typedef {{ width: number, height: number, columns: number, tile: number, step: number, left: number, top: number,
 *   rowStep: number, single: boolean }} Sheet
 */

const GAP = 6;
/** What the frame around a tile needs beside it. */
const MARK = 3;
const LARGEST = 132;

/**
 * One row per layer; a single layer wraps where its heads would be too small.
 * @param {number} heads of one layer
 * @param {number} layers shown
 * @param {{ width: number, ratio: number }} size
 * @returns {Sheet}
 */
export function sheetLayout(heads, layers, { width, ratio }) {
  const single = layers === 1;
  const left = single ? MARK : 30;
  const columns = single ? Math.min(heads, Math.max(2, Math.floor(width / 96))) : heads;
  const rows = single ? Math.ceil(heads / columns) : layers;
  const room = (width - left - MARK - GAP * (columns - 1)) / columns;
  const tile = Math.max(16, Math.floor(Math.min(LARGEST, room) * ratio) / ratio);
  const label = single ? LABEL.line + 2 : 0;
  const top = single ? label : LABEL.line + 4;
  const rowStep = tile + GAP + label;
  return { width, height: Math.ceil(top + rows * rowStep), columns, tile, step: tile + GAP, left, top, rowStep, single };
}

/**
 * Corner of the tile with this index, in reading order.
 * @param {Sheet} sheet
 * @param {number} index
 */
export const tileAt = (sheet, index) => ({
  x: sheet.left + (index % sheet.columns) * sheet.step,
  y: sheet.top + Math.floor(index / sheet.columns) * sheet.rowStep,
  w: sheet.tile,
  h: sheet.tile,
});

/**
 * The tile under a point; null between tiles.
 * @param {Sheet} sheet
 * @param {number} count of tiles
 * @param {number} x
 * @param {number} y
 */
export function hitTile(sheet, count, x, y) {
  for (let index = 0; index < count; index++) {
    const box = tileAt(sheet, index);
    if (x >= box.x && y >= box.y && x < box.x + box.w && y < box.y + box.h) return index;
  }
  return null;
}

/**
 * @param {Pattern[]} patterns in reading order
 * @param {Sheet} sheet
 * @param {Theme} theme
 * @param {{ shown: number, locked: boolean }} mark the tile that is enlarged
 * @returns {Op[]}
 */
export function drawSheet(patterns, sheet, theme, { shown, locked }) {
  const { single } = sheet;
  /** @type {Op[]} */
  const ops = patterns.flatMap(({ layer, head, n, data }, index) => {
    const box = tileAt(sheet, index);
    const text = { op: /** @type {const} */ ("text"), fill: theme.muted, font: labelFont(theme) };
    /** @type {Op[]} */
    const tile = [
      { op: "rect", ...box, fill: theme.masked },
      { op: "cells", ...box, cols: n, rows: n, rgba: patternPixels(n, data, theme) },
      { op: "frame", ...inset(box, 0.5), stroke: theme.line, width: 1 },
    ];
    if (single) tile.push({ ...text, text: `L${layer}H${head}`, x: box.x, y: box.y - 4, align: "left", baseline: "bottom" });
    else {
      if (head === 0) tile.push({ ...text, text: `L${layer}`, x: box.x - 8, y: box.y + box.h / 2, align: "right", baseline: "middle" });
      if (index < sheet.columns) tile.push({ ...text, text: `H${head}`, x: box.x + box.w / 2, y: box.y - 4, align: "center", baseline: "bottom" });
    }
    return tile;
  });
  ops.push({ op: "frame", ...inset(tileAt(sheet, shown), -1.5), stroke: locked ? theme.accent : theme.ink, width: locked ? 3 : 2 });
  return ops;
}

/** Pixels already made: by colours, by pattern. @type {WeakMap<object, WeakMap<Float32Array, Uint8ClampedArray<ArrayBuffer>>>} */
const made = new WeakMap();

/**
 * One pixel per (dest, src); what comes after dest is see-through, since no head can attend to it.
 * @param {number} n
 * @param {Float32Array} data
 * @param {Theme} theme
 */
export function patternPixels(n, data, theme) {
  const known = made.get(theme.sequential) ?? new WeakMap();
  made.set(theme.sequential, known);
  const before = known.get(data);
  if (before) return before;
  const rgba = new Uint8ClampedArray(n * n * 4);
  for (let dest = 0; dest < n; dest++) {
    for (let src = 0; src <= dest; src++) rgba.set([...ramp(theme.sequential, data[dest * n + src]), 255], (dest * n + src) * 4);
  }
  known.set(data, rgba);
  return rgba;
}
