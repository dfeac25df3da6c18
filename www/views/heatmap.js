// A heatmap with all that belongs to it: tooltip, cell cursor for pointer and keys, live text, numbers as a table.
import { S } from "../strings.js";
import { drawHeatmap, hit, layout } from "../draw/heatmap.js";
import { showCount, showExact } from "../format.js";
import { el, fill, scrollable, table } from "./dom.js";
import { surface } from "./surface.js";

/** @typedef {import("../microtome.js").Figure} Figure */
/** @typedef {import("../draw/heatmap.js").Cell} Cell */

const MOST_TABLE_CELLS = 2000;

/**
 * @param {{ describe: (figure: Figure, cell: Cell, value: number | null) => string, palette?: "diverging" | "sequential",
 *   square?: boolean, written?: boolean }} options `describe` gives the words for one cell
 */
export function heatmapView({ describe, palette = "diverging", square = false, written = true }) {
  /** @type {Figure | null} */ let figure = null;
  /** @type {import("../draw/heatmap.js").Layout | null} */ let at = null;
  /** @type {Cell | null} */ let hovered = null;
  /** @type {Cell | null} */ let kept = null;
  /** @type {{ pending?: boolean, square?: boolean }} */ let look = {};

  const drawn = surface({
    tabindex: 0, role: "application", "aria-roledescription": S.common.heatmap,
    pointermove: (/** @type {PointerEvent} */ event) => point(event),
    pointerleave: () => hover(null),
    click: (/** @type {PointerEvent} */ event) => {
      point(event);
      keep(hovered);
    },
    keydown: (/** @type {KeyboardEvent} */ event) => step(event),
  }, (size, theme) => {
    if (!figure) return null;
    at = layout(figure, size, look.square ?? square);
    return { width: at.width, height: at.height, ops: drawHeatmap(figure, at, theme, { stops: theme[palette], cursor: hovered ?? kept, written, pending: look.pending }) };
  });
  const tip = el("div", { class: "tip", hidden: true, "aria-hidden": "true" });
  const readout = el("p", { class: "readout", "aria-live": "polite" }, S.common.pointAt);
  const scroll = scrollable(S.common.table);
  const numbers = el("details", { class: "numbers", toggle: () => fillTable() }, el("summary", {}, S.common.table), scroll);
  const root = el("figure", { class: "heatmap" }, drawn.root, tip, readout, numbers);

  /** @param {PointerEvent} event */
  function point(event) {
    const box = drawn.canvas.getBoundingClientRect();
    hover(figure && at ? hit(at, figure, event.clientX - box.left, event.clientY - box.top) : null);
  }

  /** @param {Cell | null} cell */
  function hover(cell) {
    if (cell?.row === hovered?.row && cell?.col === hovered?.col) return;
    hovered = cell;
    refresh();
  }

  /** @param {Cell | null} cell */
  function keep(cell) {
    kept = cell;
    refresh();
  }

  /** @param {KeyboardEvent} event */
  function step(event) {
    if (!figure) return;
    const { rows, cols } = figure;
    const { row, col } = kept ?? { row: 0, col: kept ? 0 : -1 };
    const all = event.ctrlKey || event.metaKey;
    /** @type {Record<string, Cell | null>} */
    const moves = {
      ArrowRight: { row, col: col + 1 }, ArrowLeft: { row, col: col - 1 },
      ArrowDown: { row: kept ? row + 1 : 0, col }, ArrowUp: { row: row - 1, col },
      Home: { row: all ? 0 : row, col: 0 }, End: { row: all ? rows - 1 : row, col: cols - 1 },
      Escape: null,
    };
    if (!(event.key in moves)) return;
    event.preventDefault();
    const to = moves[event.key];
    hovered = null;
    keep(to && { row: Math.min(rows - 1, Math.max(0, to.row)), col: Math.min(cols - 1, Math.max(0, to.col)) });
  }

  function refresh() {
    drawn.redraw();
    const cell = hovered ?? kept;
    const words = figure && cell ? describe(figure, cell, figure.values[cell.row * figure.cols + cell.col]) : null;
    readout.textContent = words ?? S.common.pointAt;
    tip.hidden = !words || !hovered;
    if (!words || !cell || !at) return;
    tip.textContent = words;
    const x = at.plot.x + (cell.col + 0.5) * at.cell.w - drawn.root.scrollLeft;
    const low = cell.row < 2;
    tip.style.setProperty("--x", `${Math.min(Math.max(x, 8), root.clientWidth - 8)}px`);
    tip.style.setProperty("--y", `${at.plot.y + (cell.row + (low ? 1 : 0)) * at.cell.h}px`);
    tip.dataset.side = low ? "below" : "above";
    tip.dataset.edge = x < root.clientWidth * 0.3 ? "start" : x > root.clientWidth * 0.7 ? "end" : "middle";
  }

  function fillTable() {
    if (!numbers.open || !figure) return fill(scroll);
    const { rows, cols, values, row_axis, col_axis, title } = figure;
    if (values.length > MOST_TABLE_CELLS) return fill(scroll, S.common.tooMany(showCount(values.length)));
    fill(scroll, table(title, [`${row_axis.title} \\ ${col_axis.title}`, ...col_axis.labels],
      Array.from({ length: rows }, (_, row) => [row_axis.labels[row],
        ...values.slice(row * cols, (row + 1) * cols).map((value) => (value === null ? (look.pending ? "…" : "–") : showExact(value)))])));
  }

  return {
    root,
    canvas: drawn.canvas,
    /** @param {Figure} next @param {{ pending?: boolean, square?: boolean }} [nextLook] `pending`: missing cells are not done yet */
    show(next, nextLook = {}) {
      look = nextLook;
      const same = figure && figure.rows === next.rows && figure.cols === next.cols;
      figure = next;
      if (!same) hovered = kept = null;
      drawn.canvas.setAttribute("aria-label", next.title);
      refresh();
      fillTable();
    },
    /** What a test, or a person at the console, reads. */
    get figure() {
      return figure;
    },
  };
}
