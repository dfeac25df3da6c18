// One line chart with what belongs to it: heading, key with the values of a step, keys and pointer.
import { S } from "../strings.js";
import { DASHES, library, linesOf } from "../draw/lines.js";
import { charts } from "../export/drawn.js";
import { showNumber } from "../format.js";
import { el, fill } from "./dom.js";
import { onLook, readTheme } from "./theme.js";

/** @typedef {import("../draw/lines.js").Chart} Chart */
/** @typedef {{ point: (index: number | null) => void, pick: (index: number) => void, key: (event: KeyboardEvent) => void }} Hands */

/**
 * @param {{ title: string, unit: string }} words
 * @param {Hands} hands what pointing and keys do, the same in every chart
 * @param {(Node | null)[]} [beside] the heading
 */
export function linesView({ title, unit }, hands, beside = []) {
  /** @type {Chart | null} */ let chart = null;
  /** @type {ReturnType<typeof linesOf> | null} */ let drawn = null;
  /** The step whose values are shown. */ let at = /** @type {number | null} */ (null);
  let pointed = /** @type {number | null} */ (null);
  /** @type {Awaited<ReturnType<typeof library>> | null} */ let Plot = null;
  let width = 0;
  let note = "";

  const keys = el("ul", { class: "key" });
  const index = (/** @type {PointerEvent} */ event) => (drawn ? drawn.at(event.clientX) : null);
  const plot = el("div", {
    class: "plot", tabindex: 0, role: "application", "aria-roledescription": S.training.chartRole, "aria-label": S.training.chart(title),
    pointermove: (/** @type {PointerEvent} */ event) => hands.point(index(event)),
    pointerdown: (/** @type {PointerEvent} */ event) => hands.point(index(event)),
    pointerleave: () => hands.point(null),
    click: (/** @type {PointerEvent} */ event) => {
      const step = index(event);
      if (step !== null) hands.pick(step);
    },
    keydown: hands.key,
  });
  const root = el("div", { class: "chart" },
    el("div", { class: "heading" }, el("h3", {}, title), ...beside, el("span", { class: "note" }, unit)), keys, plot);

  function draw() {
    drawn?.destroy();
    drawn = null;
    if (!chart || width < 40) return;
    if (!Plot) {
      // Its failure is one of the page's own files, and reported as such: the values are in the table.
      void library().then((loaded) => {
        Plot = loaded;
        draw();
      });
      return;
    }
    drawn = linesOf(Plot, chart, width, readTheme(), { title, axis: S.training.axis }, plot);
    drawn.point(pointed);
  }

  function write() {
    if (!chart) return;
    fill(keys, ...chart.lines.flatMap(({ name, curve, style }) => {
      if (style === null) return [];
      const value = at === null ? null : curve[at];
      return [el("li", {}, swatch(style), el("span", {}, name), el("span", { class: "value" }, value === null || value === undefined ? "–" : showNumber(value)))];
    }), note ? el("li", {}, swatch(null), el("span", {}, note)) : null);
  }

  new ResizeObserver(() => {
    if (plot.clientWidth === width) return;
    width = plot.clientWidth;
    draw();
  }).observe(plot);
  onLook(draw);
  charts.set(plot, () => chart && { chart, title, unit });

  return {
    root,
    /** @param {Chart} next @param {string} [others] what the thin lines are */
    show(next, others = "") {
      chart = next;
      note = others;
      draw();
      write();
    },
    /** @param {number | null} to the step that is pointed at @param {number | null} values that whose values are shown */
    point(to, values) {
      pointed = to;
      drawn?.point(to);
      if (values === at) return;
      at = values;
      write();
    },
    /** What a test, or a person at the console, reads. */
    get chart() {
      return chart;
    },
  };
}

const SVG = "http://www.w3.org/2000/svg";

/** A piece of a line as the chart draws it. @param {number | null} style */
function swatch(style) {
  const svg = document.createElementNS(SVG, "svg");
  const line = document.createElementNS(SVG, "line");
  for (const [name, value] of Object.entries({ width: "24", height: "10", "aria-hidden": "true", class: style === null ? "swatch thin" : `swatch style-${style % DASHES.length}` })) svg.setAttribute(name, value);
  for (const [name, value] of Object.entries({ x1: "0", x2: "24", y1: "5", y2: "5", "stroke-dasharray": style === null ? "none" : DASHES[style % DASHES.length].join(" ") || "none" })) line.setAttribute(name, value);
  svg.append(line);
  return svg;
}
