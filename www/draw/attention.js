// The sheet of every head's attention pattern: (heads, size, theme) → operations.
import { coloured } from "./colour.js";
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
  const col = Math.floor((x - sheet.left) / sheet.step);
  const row = Math.floor((y - sheet.top) / sheet.rowStep);
  const index = row * sheet.columns + col;
  if (col < 0 || row < 0 || col >= sheet.columns || index >= count) return null;
  const box = tileAt(sheet, index);
  return x < box.x + box.w && y < box.y + box.h ? index : null;
}

/**
 * All but the mark: what stays while the pointer moves.
 * @param {Pattern[]} patterns in reading order
 * @param {Sheet} sheet
 * @param {Theme} theme
 * @param {number} [ratio] device pixels per CSS pixel
 * @param {number} [top] the share that has the strongest colour
 * @returns {Op[]}
 */
export function drawSheet(patterns, sheet, theme, ratio = 1, top = 1) {
  const { single } = sheet;
  const scale = sharesTo(top);
  return patterns.flatMap(({ layer, head, n, data }, index) => {
    const box = tileAt(sheet, index);
    const text = { op: /** @type {const} */ ("text"), fill: theme.muted, font: labelFont(theme) };
    const side = Math.min(n, Math.round(sheet.tile * ratio));
    /** @type {Op[]} */
    const tile = [
      { op: "rect", ...box, fill: theme.masked },
      { op: "cells", ...box, cols: side, rows: side, rgba: coloured(thumbnail(n, data, side), scale, theme.sequential) },
      { op: "frame", ...inset(box, 0.5), stroke: theme.line, width: 1 },
    ];
    if (single) tile.push({ ...text, text: `L${layer}H${head}`, x: box.x, y: box.y - 4, align: "left", baseline: "bottom" });
    else {
      if (head === 0) tile.push({ ...text, text: `L${layer}`, x: box.x - 8, y: box.y + box.h / 2, align: "right", baseline: "middle" });
      if (index < sheet.columns) tile.push({ ...text, text: `H${head}`, x: box.x + box.w / 2, y: box.y - 4, align: "center", baseline: "bottom" });
    }
    return tile;
  });
}

/**
 * The frame around the tile that is enlarged.
 * @param {Sheet} sheet
 * @param {Theme} theme
 * @param {{ shown: number, locked: boolean }} mark
 * @returns {Op[]}
 */
export const sheetMark = (sheet, theme, { shown, locked }) =>
  [{ op: "frame", ...inset(tileAt(sheet, shown), -1.5), stroke: locked ? theme.accent : theme.ink, width: locked ? 3 : 2 }];

/** The scale of shares, which attention is: the same for all heads, so that they compare. @param {number} top */
export const sharesTo = (top) => ({ min: 0, mid: top / 2, max: top });

/**
 * A pattern `[dest, src]` in `side` × `side` values, NaN where no head can attend to. Where several tokens share a pixel it
 * has the largest of them: a mean would wash out what is one token wide, which is what heads are told by.
 * @param {number} n
 * @param {Float32Array} data
 * @param {number} side at most n
 */
export function thumbnail(n, data, side) {
  const small = new Float32Array(side * side).fill(NaN);
  const column = Uint16Array.from({ length: n }, (_, i) => Math.floor((i * side) / n));
  for (let dest = 0; dest < n; dest++) {
    const [row, line] = [column[dest] * side, dest * n];
    for (let src = 0; src <= dest; src++) {
      const at = row + column[src];
      // Not `<`: NaN is replaced by anything.
      if (!(small[at] >= data[line + src])) small[at] = data[line + src];
    }
  }
  return small;
}
