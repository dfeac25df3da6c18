// One small heatmap for every step of a training, all of one colour scale: (figures, size, theme) → operations.
import { colourBar, widthOf } from "./axis.js";
import { symmetric } from "./colour.js";
import { inset, pixels } from "./heatmap.js";
import { LABEL, labelFont } from "./paint.js";
import { showCount, showThousands, writerFor } from "../format.js";

/** @typedef {import("./paint.js").Op} Op */
/** @typedef {import("./axis.js").Box} Box */
/**
 * `maps`: cells of each step, layer by layer; null where a step was skipped, undefined where it is not done.
 * @typedef {{ steps: number[], rows: number, cols: number, maps: ((number | null)[] | null | undefined)[],
 *   scale: { min: number, mid: number, max: number } }} Strip
 * @typedef {{ width: number, height: number, columns: number, tile: { w: number, h: number }, step: { x: number, y: number },
 *   left: number, top: number, bar: Box }} Layout
 */

const GAP = 8;
/** What the frame around a tile needs beside it. */
const MARK = 4;
const TILE = { least: 44, wanted: 96, most: 130 };
const BAR = { w: 180, h: 10 };

/**
 * The changes of every head as maps, on the smallest common scale that is symmetric about 0.
 * @param {import("../series.js").Series} series
 * @returns {Strip}
 */
export function stripOf({ steps, shape: [rows, cols], changes, errors, done }) {
  return {
    steps, rows, cols,
    maps: steps.map((_, i) => (!done[i] ? undefined : errors[i] ? null : changes.map((curve) => curve[i]))),
    scale: symmetric(changes.flat(), 0),
  };
}

/** @param {Strip} strip @param {import("./heatmap.js").Size} size @returns {Layout} */
export function stripLayout({ steps, rows, cols }, { width, ratio }) {
  const room = width - 2 * MARK;
  // As many to a row as are wide enough, and rows as even as can be.
  const most = Math.max(2, Math.floor((room + GAP) / (TILE.wanted + GAP)));
  const columns = Math.min(steps.length, Math.ceil(steps.length / Math.ceil(steps.length / most)));
  const snap = (/** @type {number} */ v) => Math.max(1, Math.floor(v * ratio)) / ratio;
  const w = snap(Math.max(TILE.least, Math.min(TILE.most, (room - GAP * (columns - 1)) / columns)));
  const h = snap(Math.max(24, w * Math.min(1.2, Math.max(0.3, rows / Math.max(1, cols)))));
  const step = { x: w + GAP, y: h + LABEL.line + GAP };
  const top = LABEL.line + 4;
  const down = Math.ceil(steps.length / columns);
  const bar = { x: MARK, y: top + down * step.y - LABEL.line + 6, w: Math.min(BAR.w, room), h: BAR.h };
  return { width: Math.ceil(width), height: Math.ceil(bar.y + bar.h + LABEL.line + 6), columns, tile: { w, h }, step, left: MARK, top, bar };
}

/** Where a step's map lies. @param {Layout} at @param {number} index @returns {Box} */
export const tileAt = ({ left, top, step, columns, tile }, index) =>
  ({ x: left + (index % columns) * step.x, y: top + Math.floor(index / columns) * step.y, ...tile });

/** The step under a point, its label included; null between tiles. @param {Layout} at @param {number} count @param {number} x @param {number} y */
export function hitStep(at, count, x, y) {
  const [col, row] = [Math.floor((x - at.left) / at.step.x), Math.floor((y - at.top + LABEL.line) / at.step.y)];
  const index = row * at.columns + col;
  if (col < 0 || row < 0 || col >= at.columns || index >= count) return null;
  const box = tileAt(at, index);
  return x < box.x + box.w && y < box.y + box.h ? index : null;
}

/**
 * @param {Strip} strip
 * @param {Layout} at
 * @param {import("./paint.js").Theme} theme
 * @param {{ pointed: number | null, current: number | null }} look the steps that are pointed at, and on the engine
 * @returns {Op[]}
 */
export function drawStrip({ steps, rows, cols, maps, scale }, at, theme, { pointed, current }) {
  const font = labelFont(theme);
  /** @type {Op[]} */
  const ops = steps.flatMap((step, i) => {
    const box = tileAt(at, i);
    const map = maps[i];
    const label = showCount(step);
    const strong = i === pointed || i === current;
    /** @type {Op[]} */
    const tile = [
      { op: "text", text: widthOf(label) > at.tile.w + GAP ? showThousands(step) : label, x: box.x, y: box.y - 3, fill: strong ? theme.ink : theme.muted, font,
        align: "left", baseline: "bottom" },
      { op: "rect", ...box, fill: theme.masked },
    ];
    if (map) tile.push({ op: "cells", ...box, cols, rows, rgba: pixels({ rows, cols, values: map, scale, title: "", caption: "", row_axis: NONE, col_axis: NONE }, theme.diverging) });
    else tile.push({ op: "hatch", ...box, stroke: map === null ? theme.bad : theme.line });
    if (map === null) tile.push({ op: "text", text: "×", x: box.x + box.w / 2, y: box.y + box.h / 2, fill: theme.bad, font: `700 20px ${theme.font}`, align: "center", baseline: "middle" });
    tile.push({ op: "frame", ...inset(box, 0.5), stroke: theme.line, width: 1 });
    return tile;
  });
  if (current !== null) ops.push({ op: "frame", ...inset(tileAt(at, current), -2), stroke: theme.accent, width: 2 });
  if (pointed !== null) ops.push({ op: "frame", ...inset(tileAt(at, pointed), -2), stroke: theme.ink, width: 3 });
  if (maps.some(Boolean)) ops.push(...colourBar(scale, at.bar, theme, theme.diverging, writerFor(scale)));
  return ops;
}

const NONE = { title: "", labels: [] };
