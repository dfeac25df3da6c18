// Labels of a heatmap's axes and its colour bar.
import { css, ramp } from "./colour.js";
import { LABEL, labelFont } from "./paint.js";

/** @typedef {import("./paint.js").Op} Op */
/** @typedef {import("./paint.js").Theme} Theme */
/** @typedef {{ x: number, y: number, w: number, h: number }} Box */

/** Labels longer than this many characters are cut; the tooltip has them whole. */
const MOST_CHARS = 14;

/**
 * A label cut in its middle, so that the index at its end stays: `<|endofte…_0`.
 * @param {string} label
 * @param {number} [most] characters
 */
export function cut(label, most = MOST_CHARS) {
  const chars = [...label];
  if (chars.length <= most) return label;
  const end = /_\d+$/.exec(label)?.[0] ?? "";
  return `${chars.slice(0, most - 1 - end.length).join("")}…${end}`;
}

/** Width of a label in CSS pixels. @param {string} label @param {number} [most] characters */
export const widthOf = (label, most) => [...cut(label, most)].length * LABEL.char;

/** Widths already found. A figure of hundreds of tokens is laid out again at every step of the pointer. @type {WeakMap<string[], Map<number, number>>} */
const found = new WeakMap();

/** @param {string[]} labels @param {number} [most] characters */
export function widest(labels, most = MOST_CHARS) {
  const known = found.get(labels) ?? new Map();
  if (!known.has(most)) {
    known.set(most, labels.reduce((width, label) => Math.max(width, widthOf(label, most)), 0));
    found.set(labels, known);
  }
  return known.get(most);
}

/**
 * Labels under the columns: level where they fit their column, else turned to read upwards.
 * @param {string[]} labels
 * @param {Box} plot
 * @param {Theme} theme
 * @param {boolean} turned
 * @returns {Op[]}
 */
export function columnLabels(labels, plot, theme, turned) {
  const step = plot.w / labels.length;
  return thin(labels, step, turned ? LABEL.line : 0).map(({ label, index }) => ({
    op: "text", text: cut(label), x: plot.x + step * (index + 0.5), y: plot.y + plot.h + 6,
    fill: theme.muted, font: labelFont(theme),
    ...(turned
      ? { align: "right", baseline: "middle", turn: -Math.PI / 2 }
      : { align: "center", baseline: "top" }),
  }));
}

/**
 * @param {string[]} labels
 * @param {Box} plot
 * @param {Theme} theme
 * @param {number} most characters of a label
 * @returns {Op[]}
 */
export function rowLabels(labels, plot, theme, most) {
  const step = plot.h / labels.length;
  return thin(labels, step, LABEL.line - 2).map(({ label, index }) => ({
    op: "text", text: cut(label, most), x: plot.x - 8, y: plot.y + step * (index + 0.5),
    fill: theme.muted, font: labelFont(theme), align: "right", baseline: "middle",
  }));
}

/**
 * Every label, or every second, fifth, … one where they would overlap.
 * @param {string[]} labels
 * @param {number} step distance of two labels
 * @param {number} need distance that keeps them apart
 */
function thin(labels, step, need) {
  const every = [1, 2, 5, 10, 20, 50, 100].find((n) => n * step >= need) ?? 200;
  return labels.map((label, index) => ({ label, index })).filter(({ index }) => index % every === 0);
}

/**
 * An upright bar with its two ends and its middle written beside it, or a level one with them below. `beyond`: values lie
 * outside an end, so that its colour means “at most” or “at least”.
 * @param {{ min: number, mid: number, max: number }} scale
 * @param {Box} bar
 * @param {Theme} theme
 * @param {import("./colour.js").Rgb[]} stops
 * @param {(value: number) => string} write
 * @param {{ low: boolean, high: boolean }} [beyond]
 * @returns {Op[]}
 */
export function colourBar(scale, bar, theme, stops, write, beyond = { low: false, high: false }) {
  const upright = bar.h > bar.w;
  const steps = 128;
  const rgba = new Uint8ClampedArray(steps * 4);
  for (let i = 0; i < steps; i++) {
    const t = upright ? 1 - i / (steps - 1) : i / (steps - 1);
    rgba.set([...ramp(stops, t), 255], i * 4);
  }
  /** @type {Op[]} */
  const ops = [{ op: "cells", ...bar, cols: upright ? 1 : steps, rows: upright ? steps : 1, rgba }];
  const ends = /** @type {const} */ ([[scale.min, 0], [scale.mid, 0.5], [scale.max, 1]]);
  for (const [value, t] of ends) {
    const text = (t === 0 && beyond.low ? "≤ " : t === 1 && beyond.high ? "≥ " : "") + write(value);
    ops.push(upright
      ? { op: "text", text, x: bar.x + bar.w + 6, y: bar.y + bar.h * (1 - t), fill: theme.muted,
          font: labelFont(theme), align: "left", baseline: t === 0 ? "bottom" : t === 1 ? "top" : "middle" }
      : { op: "text", text, x: bar.x + bar.w * t, y: bar.y + bar.h + 4, fill: theme.muted,
          font: labelFont(theme), align: t === 0 ? "left" : t === 1 ? "right" : "center", baseline: "top" });
  }
  return ops;
}

/** The colour of a scale at `t`, as CSS. @param {import("./colour.js").Rgb[]} stops @param {number} t */
export const colourAt = (stops, t) => css(ramp(stops, t));
