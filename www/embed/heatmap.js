// A heatmap in a figure's shadow tree: canvas, cell cursor for pointer and keys, live text, the numbers as a table. The
// page's own view (views/heatmap.js) brings the page's words and theme along, which a foreign page need not load.
import { drawHeatmap, hit, layout } from "../draw/heatmap.js";
import { BREWER } from "../draw/maps.js";
import { paint } from "../draw/paint.js";
import { showCount, showExact } from "../format.js";
import { axisWord } from "../strings/axes.js";
import { EMBED } from "../strings/embed.js";
import { el, fill, table } from "../views/dom.js";

/** @typedef {import("../microtome.js").Figure} Figure @typedef {import("../draw/heatmap.js").Cell} Cell */

const MOST_TABLE_CELLS = 2000;

/** @param {HTMLElement} host whose colours are drawn with */
export function heatmap(host) {
  /** @type {{ figure: Figure, pending: boolean, square: boolean } | null} */ let shown = null;
  /** @type {import("../draw/heatmap.js").Layout | null} */ let at = null;
  /** @type {Cell | null} */ let hovered = null;
  /** @type {Cell | null} */ let kept = null;
  let width = 0;

  const canvas = el("canvas", {
    width: 0, height: 0, hidden: true, tabindex: 0, role: "application", "aria-roledescription": EMBED.heatmap,
    pointermove: (/** @type {PointerEvent} */ event) => move(under(event), kept),
    pointerleave: () => move(null, kept),
    click: (/** @type {PointerEvent} */ event) => move(under(event), under(event)),
    keydown: step,
  });
  const surface = el("div", { class: "surface" }, canvas);
  const readout = el("p", { class: "readout", "aria-live": "polite" });
  const scroll = el("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": EMBED.table });
  const numbers = el("details", { hidden: true, toggle: () => fillTable() }, el("summary", {}, EMBED.table), scroll);

  /** @param {PointerEvent} event */
  function under(event) {
    const box = canvas.getBoundingClientRect();
    return shown && at && hit(at, shown.figure, event.clientX - box.left, event.clientY - box.top);
  }

  /** @param {Cell | null} over @param {Cell | null} keep */
  function move(over, keep) {
    if (over?.row === hovered?.row && over?.col === hovered?.col && keep === kept) return;
    [hovered, kept] = [over, keep];
    redraw();
  }

  /** @param {KeyboardEvent} event */
  function step(event) {
    if (!shown) return;
    const { rows, cols } = shown.figure;
    const { row, col } = kept ?? { row: 0, col: kept ? 0 : -1 };
    /** @type {Record<string, Cell | null>} */
    const moves = {
      ArrowRight: { row, col: col + 1 }, ArrowLeft: { row, col: col - 1 }, ArrowUp: { row: row - 1, col },
      ArrowDown: { row: kept ? row + 1 : 0, col }, Home: { row, col: 0 }, End: { row, col: cols - 1 }, Escape: null,
    };
    if (!(event.key in moves)) return;
    event.preventDefault();
    const to = moves[event.key];
    move(null, to && { row: Math.min(rows - 1, Math.max(0, to.row)), col: Math.min(cols - 1, Math.max(0, to.col)) });
  }

  /** @param {Figure} figure @param {Cell} cell */
  function words({ row_axis, col_axis, values, cols }, { row, col }) {
    const value = values[row * cols + col];
    const place = `${axisWord(row_axis.title)} ${row_axis.labels[row]}, ${axisWord(col_axis.title)} ${col_axis.labels[col]}`;
    return EMBED.cell(place, value === null ? EMBED.empty : showExact(value));
  }

  function redraw() {
    canvas.hidden = !shown || width === 0;
    const ctx = canvas.getContext("2d");
    if (!shown || width === 0 || !ctx) return;
    const { figure, pending, square } = shown;
    const theme = themeOf(host);
    const ratio = devicePixelRatio;
    at = layout(figure, { width, ratio }, square);
    const cursor = hovered ?? kept;
    const ops = drawHeatmap(figure, at, theme, { stops: square ? theme.sequential : theme.diverging, cursor, pending, written: !square, signs: square ? "none" : "small" });
    canvas.style.width = `${at.width}px`;
    canvas.style.height = `${at.height}px`;
    canvas.width = Math.round(at.width * ratio);
    canvas.height = Math.round(at.height * ratio);
    ctx.scale(ratio, ratio);
    paint(ctx, ops);
    readout.textContent = cursor ? words(figure, cursor) : EMBED.pointAt;
  }

  function fillTable() {
    if (!numbers.open || !shown) return fill(scroll);
    const { rows, cols, values, row_axis, col_axis, title } = shown.figure;
    if (values.length > MOST_TABLE_CELLS) return fill(scroll, EMBED.tooMany(showCount(values.length)));
    fill(scroll, table(title, [`${axisWord(row_axis.title)} \\ ${axisWord(col_axis.title)}`, ...col_axis.labels],
      Array.from({ length: rows }, (_, row) => [row_axis.labels[row],
        ...values.slice(row * cols, (row + 1) * cols).map((value) => (value === null ? "–" : showExact(value)))])));
  }

  const sized = new ResizeObserver(() => {
    if (surface.clientWidth === width) return;
    width = surface.clientWidth;
    redraw();
  });
  sized.observe(surface);
  const system = matchMedia("(prefers-color-scheme: dark)");

  return {
    parts: [surface, readout, numbers],
    canvas,
    redraw,
    /** In a page it is drawn as the system's theme changes. Out of it, nothing may hold it back from being forgotten. */
    watch() {
      system.addEventListener("change", redraw);
      redraw();
    },
    unwatch: () => system.removeEventListener("change", redraw),
    /** @param {Figure} figure @param {{ pending?: boolean, square?: boolean }} [look] `square`: of attention; `pending`: empty cells are not done yet */
    show(figure, { pending = false, square = false } = {}) {
      if (shown?.figure.rows !== figure.rows || shown.figure.cols !== figure.cols) hovered = kept = null;
      shown = { figure, pending, square };
      canvas.setAttribute("aria-label", figure.title);
      numbers.hidden = false;
      redraw();
      fillTable();
    },
  };
}

/** @param {HTMLElement} host @returns {import("../draw/paint.js").Theme} */
function themeOf(host) {
  const style = getComputedStyle(host);
  const value = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
  return {
    ink: value("--ink"), muted: value("--muted"), line: value("--line"), surface: value("--raised"), accent: value("--accent"),
    masked: value("--masked"), light: value("--on-dark"), dark: value("--on-light"), bad: value("--bad"), series: [],
    font: value("--mono"), at: value("--ink"), by: value("--muted"), diverging: BREWER.RdBu, sequential: BREWER.Blues,
  };
}
