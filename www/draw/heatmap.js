// A heatmap: (figure, size, theme) → operations. Cells lie on whole device pixels, so that their edges are sharp.
import { coloured, inkOn, position, ramp } from "./colour.js";
import { LABEL, labelFont } from "./paint.js";
import { colourBar, columnLabels, rowLabels, widest, widthOf } from "./axis.js";
import { writerFor } from "../format.js";
import { axisWord } from "../strings/axes.js";

/** @typedef {import("../microtome.js").Figure} Figure */
/** @typedef {import("./paint.js").Op} Op */
/** @typedef {import("./paint.js").Theme} Theme */
/** @typedef {import("./axis.js").Box} Box */
/** @typedef {{ row: number, col: number }} Cell */
/** @typedef {{ width: number, ratio: number }} Size width in CSS pixels, and device pixels per CSS pixel */
/**
 * @typedef {{ width: number, height: number, plot: Box, cell: { w: number, h: number }, bar: Box,
 *   turned: boolean, wide: boolean }} Layout
 */

/** Characters of a row's label: there is room for a sentence on a wide page. @param {boolean} wide */
const rowChars = (wide) => (wide ? 32 : 14);
const CELL = { least: 9, most: 64, tallest: 40 };
/** Patterns of hundreds of tokens are looked at as a whole. */
const LEAST_SQUARE = 2;
/** A cell at least this large carries the sign of its value where every cell should; and where only those should that have no number. */
const SIGNED = { every: 9, small: 12 };
/** A value nearer to the middle, as a part of the range, has no sign: its number would be that of the middle. */
const NONE = 0.005;
const BAR = 12;
/** A cell at least this large carries its number. */
const WRITTEN = { w: 40, h: 22 };

/**
 * Where everything goes. `square` keeps cells square (attention), else they are at most CELL.tallest high.
 * @param {Figure} figure
 * @param {Size} size
 * @param {boolean} [square]
 * @returns {Layout}
 */
export function layout(figure, { width, ratio }, square = false) {
  const snap = (/** @type {number} */ v) => Math.round(v * ratio) / ratio;
  const wide = width >= 560;
  const write = writerFor(figure.scale);
  // Room for a “≥” before an end.
  const ends = Math.max(widthOf(write(figure.scale.min)), widthOf(write(figure.scale.max))) + 2 * LABEL.char;
  const least = square ? LEAST_SQUARE : CELL.least;
  const left = snap(LABEL.line + 8 + widest(figure.row_axis.labels, rowChars(wide)) + 10);
  const right = wide ? BAR + 6 + ends + 24 : 4;
  const room = Math.max(least, (width - left - right) / figure.cols);
  const w = Math.max(1, Math.floor(Math.min(CELL.most, room) * ratio)) / ratio;
  const h = square ? w : snap(Math.min(CELL.tallest, Math.max(Math.min(w, 26), w * 0.7)));
  const plot = { x: left, y: 4, w: w * figure.cols, h: h * figure.rows };
  const labels = widest(figure.col_axis.labels);
  const turned = labels + 4 > w && figure.cols > 1;
  const below = plot.y + plot.h + 6 + (turned ? labels : LABEL.line) + LABEL.line + 6;
  const bar = wide
    ? { x: plot.x + plot.w + 20, y: plot.y, w: BAR, h: Math.max(plot.h, 3 * LABEL.line) }
    : { x: plot.x, y: below + 4, w: Math.max(plot.w, 120), h: BAR };
  const height = Math.ceil(wide ? Math.max(below, bar.y + bar.h + 4) : bar.y + BAR + LABEL.line + 6);
  return { width: Math.ceil(Math.max(width, plot.x + plot.w + right)), height, plot, cell: { w, h }, bar, turned, wide };
}

/**
 * The cell under a point, in CSS pixels.
 * @param {Layout} at
 * @param {Figure} figure
 * @param {number} x
 * @param {number} y
 * @returns {Cell | null}
 */
export function hit({ plot, cell }, figure, x, y) {
  const col = Math.floor((x - plot.x) / cell.w);
  const row = Math.floor((y - plot.y) / cell.h);
  return row >= 0 && col >= 0 && row < figure.rows && col < figure.cols ? { row, col } : null;
}

/**
 * @param {Figure} figure
 * @param {Layout} at
 * @param {Theme} theme
 * @param {{ stops: import("./colour.js").Rgb[], cursor?: Cell | null, written?: boolean, pending?: boolean, signs?: "every" | "small" | "none" }} look
 *   `pending`: cells that are missing are not done yet, and hatched; `signs`: a + or − in every cell, or in those that are too
 *   small for their number, whose colour alone would say on which side of the middle they are
 * @returns {Op[]}
 */
export function drawHeatmap(figure, at, theme, { stops, cursor = null, written = true, pending = false, signs = "none" }) {
  const { plot, cell } = at;
  const masked = theme.masked;
  /** @type {Op[]} */
  const ops = [
    { op: "rect", ...plot, fill: masked },
    ...(pending ? [{ op: /** @type {const} */ ("hatch"), ...plot, stroke: theme.line }] : []),
    { op: "cells", ...plot, cols: figure.cols, rows: figure.rows, rgba: pixels(figure, stops) },
  ];
  const large = written && cell.w >= WRITTEN.w && cell.h >= WRITTEN.h;
  // About zero, a number has its sign with it.
  const own = large && figure.scale.mid === 0;
  const every = signs === "every";
  if (large) ops.push(...numbers(figure, at, theme, stops, every && own));
  const signed = every ? !own : signs === "small" && !large;
  if (signed && Math.min(cell.w, cell.h) >= SIGNED[every ? "every" : "small"]) ops.push(...glyphs(figure, at, theme, stops, large));
  ops.push({ op: "frame", ...inset(plot, 0.5), stroke: theme.line, width: 1 });
  ops.push(...rowLabels(figure.row_axis.labels, plot, theme, rowChars(at.wide)));
  ops.push(...columnLabels(figure.col_axis.labels, plot, theme, at.turned));
  ops.push(...titles(figure, at, theme), ...colourBar(figure.scale, at.bar, theme, stops, writerFor(figure.scale), beyond(figure)));
  return [...ops, ...cursorMarks(at, theme, cursor)];
}

/**
 * The frame of the cell that is pointed at.
 * @param {Layout} at
 * @param {Theme} theme
 * @param {Cell | null} cursor
 * @returns {Op[]}
 */
export function cursorMarks({ plot, cell }, theme, cursor) {
  if (!cursor) return [];
  const box = { x: plot.x + cursor.col * cell.w, y: plot.y + cursor.row * cell.h, w: cell.w, h: cell.h };
  // Two lines, so that one of them shows on any colour.
  return [
    { op: "frame", ...inset(box, -1), stroke: theme.surface, width: 4 },
    { op: "frame", ...inset(box, -1), stroke: theme.ink, width: 2 },
  ];
}

/**
 * A token's row of a pattern, which is what it looks at, and its column, which is who looks at it: told apart by their
 * lines, too.
 * @param {Layout} at
 * @param {Theme} theme
 * @param {number} token
 * @returns {Op[]}
 */
export function tokenMarks({ plot, cell }, theme, token) {
  const row = { x: plot.x, y: plot.y + token * cell.h, w: (token + 1) * cell.w, h: cell.h };
  const column = { x: plot.x + token * cell.w, y: plot.y + token * cell.h, w: cell.w, h: plot.h - token * cell.h };
  return [
    { op: "frame", ...inset(row, -1), stroke: theme.at, width: 2 },
    { op: "frame", ...inset(column, -1), stroke: theme.by, width: 2, dash: [6, 4] },
  ];
}

/** Whether values lie outside the scale's ends. @param {Figure} figure */
function beyond({ values, scale: { min, max } }) {
  // What differs only by rounding is at the end.
  const room = 1e-9 * (max - min);
  const [low, high] = [min - room, max + room];
  const found = { low: false, high: false };
  for (const value of values) {
    if (value === null) continue;
    found.low ||= value < low;
    found.high ||= value > high;
  }
  return found;
}

/**
 * One pixel a cell; empty cells are see-through.
 * @param {Figure} figure
 * @param {import("./colour.js").Rgb[]} stops
 */
export const pixels = ({ values, scale }, stops) => coloured(values, scale, stops);

/** @param {Figure} figure @param {Layout} at @param {Theme} theme @param {import("./colour.js").Rgb[]} stops @param {boolean} plus before positive ones @returns {Op[]} */
function numbers(figure, { plot, cell }, theme, stops, plus) {
  const plain = writerFor(figure.scale);
  const write = (/** @type {number} */ value) => (plus && value > 0 && plain(value) !== plain(0) ? "+" : "") + plain(value);
  return figure.values.flatMap((value, i) => {
    if (value === null) return [];
    const colour = ramp(stops, position(figure.scale, value));
    const x = plot.x + ((i % figure.cols) + 0.5) * cell.w;
    const y = plot.y + (Math.floor(i / figure.cols) + 0.5) * cell.h;
    return [{ op: "text", text: write(value), x, y, fill: theme[inkOn(colour)], font: labelFont(theme),
      align: "center", baseline: "middle" }];
  });
}

/**
 * A sign for each cell: in its middle, or above its number.
 * @param {Figure} figure
 * @param {Layout} at
 * @param {Theme} theme
 * @param {import("./colour.js").Rgb[]} stops
 * @param {boolean} above
 * @returns {Op[]}
 */
function glyphs({ values, cols, scale }, { plot, cell }, theme, stops, above) {
  const font = above ? labelFont(theme) : `${Math.min(16, Math.floor(cell.h) + 2)}px ${theme.font}`;
  return values.flatMap((value, i) => {
    if (value === null || Math.abs(value - scale.mid) < NONE * (scale.max - scale.mid)) return [];
    const [x, y] = [plot.x + (i % cols) * cell.w, plot.y + Math.floor(i / cols) * cell.h];
    const fill = theme[inkOn(ramp(stops, position(scale, value)))];
    const text = value > scale.mid ? "+" : "−";
    return [above
      ? { op: "text", text, x: x + 3, y: y + 1, fill, font, align: "left", baseline: "top" }
      : { op: "text", text, x: x + cell.w / 2, y: y + cell.h / 2, fill, font, align: "center", baseline: "middle" }];
  });
}

/** @param {Figure} figure @param {Layout} at @param {Theme} theme @returns {Op[]} */
function titles(figure, { plot, turned }, theme) {
  const under = 6 + (turned ? widest(figure.col_axis.labels) : LABEL.line);
  const common = { op: /** @type {const} */ ("text"), fill: theme.ink, font: labelFont(theme) };
  return [
    { ...common, text: axisWord(figure.col_axis.title), x: plot.x + plot.w / 2, y: plot.y + plot.h + under + 2, align: "center", baseline: "top" },
    { ...common, text: axisWord(figure.row_axis.title), x: 2, y: plot.y + plot.h / 2, align: "center", baseline: "top", turn: -Math.PI / 2 },
  ];
}

/** @param {Box} box @param {number} by @returns {Box} */
export const inset = ({ x, y, w, h }, by) => ({ x: x + by, y: y + by, w: w - 2 * by, h: h - 2 * by });
