// A line chart as drawing operations: on the page uPlot draws it, which has no list of what it drew. Pure.
import { DASHES, labelled, rangeOf } from "../draw/lines.js";
import { LABEL, labelFont } from "../draw/paint.js";
import { showCount, writerFor } from "../format.js";
import { place, unitOf } from "../training.js";
import { S } from "../strings.js";

/** @typedef {import("../draw/paint.js").Op} Op */

const HEIGHT = 240;
/** Lines across. */
const TICKS = 4;

/**
 * @param {import("./drawn.js").Curves} curves
 * @param {number} width in CSS pixels
 * @param {import("../draw/paint.js").Theme} theme
 * @returns {{ width: number, height: number, ops: Op[] }}
 */
export function drawCurves({ chart: { steps, lines }, unit }, width, theme) {
  const scale = unitOf(steps);
  const range = rangeOf(lines.flatMap(({ curve }) => curve));
  const write = writerFor({ min: range[0], max: range[1] });
  const named = lines.filter(({ style }) => style !== null);
  const left = 64;
  const plot = { x: left, y: 24 + named.length * LABEL.line, w: width - left - 40, h: HEIGHT };
  const [from, to] = [place(steps[0], scale), place(steps[steps.length - 1], scale)];
  const x = (/** @type {number} */ step) => plot.x + (to > from ? (place(step, scale) - from) / (to - from) : 0.5) * plot.w;
  const y = (/** @type {number} */ value) => plot.y + plot.h * (1 - (value - range[0]) / (range[1] - range[0]));
  const text = { op: /** @type {const} */ ("text"), fill: theme.muted, font: labelFont(theme) };
  /** @type {Op[]} */
  const ops = [{ ...text, text: unit, x: 2, y: 2, align: "left", baseline: "top" }];
  named.forEach(({ name, style }, i) => {
    const at = 20 + i * LABEL.line + LABEL.line / 2;
    ops.push({ op: "curve", points: [[2, at], [26, at]], stroke: theme.series[/** @type {number} */ (style) % theme.series.length], width: 2, dash: DASHES[/** @type {number} */ (style) % DASHES.length] },
      { ...text, text: name, fill: theme.ink, x: 32, y: at, align: "left", baseline: "middle" });
  });
  for (let i = 0; i <= TICKS; i++) {
    const value = range[0] + ((range[1] - range[0]) * i) / TICKS;
    ops.push({ op: "line", x1: plot.x, y1: y(value), x2: plot.x + plot.w, y2: y(value), stroke: theme.line },
      { ...text, text: write(value), x: plot.x - 6, y: y(value), align: "right", baseline: "middle" });
  }
  for (const i of labelled(steps, plot.w)) {
    ops.push({ op: "line", x1: x(steps[i]), y1: plot.y, x2: x(steps[i]), y2: plot.y + plot.h + 4, stroke: theme.line },
      { ...text, text: showCount(steps[i]), x: x(steps[i]), y: plot.y + plot.h + 6, align: "center", baseline: "top" });
  }
  ops.push({ ...text, text: S.training.axis(showCount(scale)), x: plot.x + plot.w / 2, y: plot.y + plot.h + 8 + LABEL.line, align: "center", baseline: "top" });
  // Thin ones first, so that they lie below.
  for (const { curve, style } of [...lines].sort((a, b) => Number(a.style !== null) - Number(b.style !== null))) {
    const stroke = style === null ? theme.muted : theme.series[style % theme.series.length];
    for (const points of runs(curve, (i) => [x(steps[i]), y(/** @type {number} */ (curve[i]))])) {
      ops.push({ op: "curve", points, stroke, width: style === null ? 0.5 : 2, dash: style === null ? [] : DASHES[style % DASHES.length] });
    }
  }
  return { width, height: plot.y + plot.h + 3 * LABEL.line, ops };
}

/** Stretches without a gap. @param {(number | null)[]} curve @param {(i: number) => [number, number]} at */
function runs(curve, at) {
  /** @type {[number, number][][]} */
  const found = [[]];
  curve.forEach((value, i) => {
    if (value === null) found.push([]);
    else found[found.length - 1].push(at(i));
  });
  return found.filter(({ length }) => length > 1);
}
