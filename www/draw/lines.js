// Curves over the steps of a training, drawn by uPlot (www/vendor/uplot, MIT). It draws axes, curves and the line at the
// step that is pointed at; what is pointed at is decided outside, so that all charts show the same step.
import { widthOf } from "./axis.js";
import { LABEL, labelFont } from "./paint.js";
import { showCount, writerFor } from "../format.js";
import { place, unitOf } from "../training.js";

/** @typedef {import("./paint.js").Theme} Theme */
/** @typedef {import("../vendor/uplot/uPlot.esm.js").default} uPlot */
/** @typedef {{ name: string, curve: import("../series.js").Curve, style: number | null }} Line `style`: null is a thin one among many */
/** @typedef {{ steps: number[], lines: Line[], skipped: number[], current: number | null }} Chart `skipped`, `current`: indices of steps */

/** The dashes of the styles, in CSS pixels: each differs from the others without its colour. */
export const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3]];
const HEIGHT = 210;
/** Room beside the plot, in CSS pixels: right, so that the last label is not cut, and below for labels and title. */
const PAD = { top: 8, right: 24, bottom: 38 };

/**
 * The steps that get a label, so that no two labels touch: the first and the last, then the roundest that fit.
 * @param {number[]} steps
 * @param {number} width of the axis in CSS pixels
 * @returns {number[]} indices
 */
export function labelled(steps, width) {
  const unit = unitOf(steps);
  const last = steps.length - 1;
  const span = place(steps[last], unit) - place(steps[0], unit) || 1;
  const middle = (/** @type {number} */ i) => ((place(steps[i], unit) - place(steps[0], unit)) / span) * width;
  const half = (/** @type {number} */ i) => (widthOf(showCount(steps[i])) + 10) / 2;
  const zeros = (/** @type {number} */ i) => /0*$/.exec(String(steps[i]))?.[0].length ?? 0;
  const digits = (/** @type {number} */ i) => String(steps[i]).length - zeros(i);
  const order = steps.map((_, i) => i).sort((a, b) => Number(b === 0 || b === last) - Number(a === 0 || a === last) || digits(a) - digits(b) || zeros(b) - zeros(a) || a - b);
  /** @type {number[]} */
  const taken = [];
  for (const i of order) if (taken.every((j) => Math.abs(middle(i) - middle(j)) >= half(i) + half(j))) taken.push(i);
  return taken.sort((a, b) => a - b);
}

/** A range that holds every value and zero, with a little air. @param {(number | null)[]} values @returns {[number, number]} */
export function rangeOf(values) {
  let [low, high] = [0, 0];
  for (const value of values) if (value !== null) [low, high] = [Math.min(low, value), Math.max(high, value)];
  const air = (high - low || 1) * 0.06;
  return [low < 0 ? low - air : 0, high > 0 || low === 0 ? high + air : 0];
}

/**
 * The step nearest to a place of the plot.
 * @param {number[]} steps
 * @param {number} part from 0, the first step, to 1, the last
 */
export function nearest(steps, part) {
  const unit = unitOf(steps);
  const [from, to] = [place(steps[0], unit), place(steps[steps.length - 1], unit)];
  const at = from + part * (to - from);
  let best = 0;
  steps.forEach((step, i) => {
    if (Math.abs(place(step, unit) - at) < Math.abs(place(steps[best], unit) - at)) best = i;
  });
  return best;
}

/** uPlot listens to nothing: the same pointer and keys work all charts. */
const DEAF = Object.fromEntries(["mousedown", "mouseup", "click", "dblclick", "mousemove", "mouseleave", "mouseenter"].map((name) => [name, () => null]));

/** The library, which is fetched when the first chart is drawn: no other figure needs it. */
export const library = async () => (await import("../vendor/uplot/uPlot.esm.js")).default;

/**
 * @param {Awaited<ReturnType<typeof library>>} Plot
 * @param {Chart} chart
 * @param {number} width in CSS pixels
 * @param {Theme} theme
 * @param {{ title: string, axis: (unit: string) => string }} words the chart's, and the step axis' title
 * @param {HTMLElement} root
 */
export function linesOf(Plot, { steps, lines, skipped, current }, width, theme, words, root) {
  const unit = unitOf(steps);
  const x = steps.map((step) => place(step, unit));
  const range = rangeOf(lines.flatMap(({ curve }) => curve));
  const write = writerFor({ min: range[0], max: range[1] });
  const left = Math.max(widthOf(write(range[0])), widthOf(write(range[1]))) + 14;
  const inner = Math.max(60, width - left - PAD.right);
  const named = labelled(steps, inner);
  const font = labelFont(theme);
  const lit = (/** @type {Line} */ { style }) => style !== null;
  // Thin ones first, so that they lie below.
  const order = [...lines.filter((line) => !lit(line)), ...lines.filter(lit)];
  const grid = { stroke: theme.line, width: 1 };
  let pointed = /** @type {number | null} */ (null);
  // It knows its own measures only when it has drawn itself for the first time, which is a moment later.
  let ready = false;
  const show = () => plot.setCursor(pointed === null ? { left: -10, top: -10 } : { left: plot.valToPos(x[pointed], "x"), top: 0 }, false);
  const plot = new Plot({
    width, height: HEIGHT,
    padding: [PAD.top, PAD.right, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, bind: DEAF, points: { show: (self, i) => (i > 0 && lit(order[i - 1]) ? point(self, i) : /** @type {any} */ (null)), size: 9 } },
    scales: { x: { time: false, range: () => [x[0], x[x.length - 1] + (x.length > 1 ? 0 : 1)] }, y: { range: () => range } },
    axes: [
      { stroke: theme.muted, font, size: PAD.bottom, gap: 4, grid, ticks: { stroke: theme.line, size: 4 },
        label: words.axis(showCount(unit)), labelFont: font, labelSize: LABEL.line + 2, labelGap: 0,
        splits: () => named.map((i) => x[i]), values: () => named.map((i) => showCount(steps[i])) },
      { stroke: theme.muted, font, size: left, gap: 6, grid, ticks: { show: false }, space: 34, values: (_, splits) => splits.map(write) },
    ],
    series: [{}, ...order.map(({ name, style }) => ({
      label: name, spanGaps: false, points: { show: style !== null, size: 5, width: 1 },
      stroke: style === null ? theme.muted : theme.series[style % theme.series.length],
      width: style === null ? 1 : 2, alpha: style === null ? 0.35 : 1, dash: style === null ? [] : DASHES[style % DASHES.length],
    }))],
    hooks: { ready: [() => { ready = true; show(); }], draw: [(self) => marks(self, theme, { skipped: skipped.map((i) => x[i]), current: current === null ? null : x[current] })] },
  }, [x, ...order.map(({ curve }) => curve)], root);
  return {
    /** Shows a step. @param {number | null} index */
    point(index) {
      pointed = index;
      if (ready) show();
    },
    /** The step nearest to a place of the page. @param {number} clientX */
    at(clientX) {
      const box = plot.over.getBoundingClientRect();
      return nearest(steps, (clientX - box.left) / box.width);
    },
    destroy: () => plot.destroy(),
  };
}

/** The dot on a curve at the step that is pointed at. @param {uPlot} self @param {number} series */
function point(self, series) {
  const dot = document.createElement("div");
  const { stroke } = self.series[series];
  dot.style.background = String(typeof stroke === "function" ? stroke(self, series) : stroke);
  return dot;
}

/**
 * A line at the step that is on the engine, and a cross at every step that was skipped.
 * @param {uPlot} plot
 * @param {Theme} theme
 * @param {{ skipped: number[], current: number | null }} places
 */
function marks(plot, theme, { skipped, current }) {
  const { ctx, bbox } = plot;
  ctx.save();
  if (current !== null) {
    ctx.strokeStyle = theme.accent;
    ctx.lineWidth = 2 * devicePixelRatio;
    const at = plot.valToPos(current, "x", true);
    ctx.beginPath();
    ctx.moveTo(at, bbox.top);
    ctx.lineTo(at, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.fillStyle = theme.bad;
  ctx.font = `700 ${16 * devicePixelRatio}px ${theme.font}`;
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  for (const place of skipped) ctx.fillText("×", plot.valToPos(place, "x", true), bbox.top + bbox.height);
  ctx.restore();
}
