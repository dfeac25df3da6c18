// A heatmap with all that belongs to it: tooltip, cell cursor for pointer, keys and fingers, live text, colours that can be
// chosen and locked, numbers as a table. Longer than most files: they share the cell and the scale.
import { S } from "../strings.js";
import { cursorMarks, drawHeatmap, hit, layout, tokenMarks } from "../draw/heatmap.js";
import { locked } from "../draw/colour.js";
import { MAPS } from "../draw/maps.js";
import { placeWords, ranksOf } from "../figures.js";
import { showCount, showSigned } from "../format.js";
import { el } from "./dom.js";
import { gridSurface } from "./grid_surface.js";
import { lookControls } from "./look.js";
import { numbersView } from "./numbers.js";

/** @typedef {import("../microtome.js").Figure} Figure */
/** @typedef {import("../draw/heatmap.js").Cell} Cell */
/** A finger hides what lies below it: the tooltip stands this far above it, in CSS pixels. */
const FINGER = 36;

/**
 * @param {{ describe: (figure: Figure, cell: Cell, value: number | null) => string, look?: { store: import("../state.js").Store, key: string },
 *   place?: (figure: Figure, cell: Cell) => string, square?: boolean, written?: boolean, pick?: (cell: Cell) => void, drop?: () => void,
 *   hint?: string, palette?: "diverging" | "sequential" }} options
 *   `describe` gives the words for one cell, `place` those for where it is. `look`: the figure is signed, and coloured as the
 *   page's state says; without, its `palette` is fixed. `pick`: a click, a tap, Enter; `drop`: Escape; `hint`: what a click does
 */
export function heatmapView({ describe, look: coloured, place = (figure, cell) => placeWords(figure, 0, cell), square = false, written = true, pick, drop, hint = "", palette = "sequential" }) {
  /** @type {Figure | null} */ let figure = null;
  /** The same in the range that is locked. @type {Figure | null} */ let scaled = null;
  /** @type {import("../draw/heatmap.js").Layout | null} */ let at = null;
  /** @type {Cell | null} */ let hovered = null;
  /** Where a finger points. @type {{ x: number, y: number } | null} */ let finger = null;
  /** @type {Cell | null} */ let kept = null;
  /** A token whose row and column are marked. @type {number | null} */ let token = null;
  /** @type {{ pending?: boolean, square?: boolean }} */ let shape = {};
  /** Made when a cell is read out. @type {{ of: Figure, found: ReturnType<typeof ranksOf> } | null} */ let ranked = null;
  const look = coloured ? lookControls(coloured.store, coloured.key) : null;
  const pointAt = hint ? `${S.common.pointAt} ${hint}` : S.common.pointAt;

  const drawn = gridSurface({
    role: S.common.heatmap,
    size: () => figure && { rows: figure.rows, cols: figure.cols },
    under: (x, y) => (figure && at ? hit(at, figure, x, y) : null),
    at: () => kept,
    say: (cell) => read(cell),
    point: hover,
    move: keep,
    pick: (cell, finger) => {
      const again = kept?.row === cell.row && kept.col === cell.col;
      keep(cell);
      // A finger cannot point first: its first tap says what the cell is.
      if (!finger || again) pick?.(cell);
    },
    drop: () => {
      keep(null);
      drop?.();
    },
    draw: (size, theme) => {
      const shown = scaled;
      if (!shown) return null;
      at = layout(shown, size, shape.square ?? square);
      const from = at;
      const { map, signs: all } = coloured?.store.get("look") ?? { map: null, signs: false };
      const stops = map === null ? theme[palette] : MAPS[map];
      const signs = map === null ? "none" : all ? "every" : "small";
      return {
        width: at.width, height: at.height,
        key: [shown, stops, signs, shape.pending, shape.square],
        ops: () => drawHeatmap(shown, from, theme, { stops, written, signs, pending: shape.pending }),
        marks: [...(token === null ? [] : tokenMarks(at, theme, token)), ...cursorMarks(at, theme, hovered ?? kept)],
      };
    },
  });
  const tip = el("div", { class: "tip", hidden: true, "aria-hidden": "true" });
  const readout = el("p", { class: "readout" }, pointAt);
  const numbers = numbersView();
  const root = el("figure", { class: "heatmap" }, drawn.root, tip, readout, drawn.live, el("div", { class: "below" }, look?.root, numbers.root));

  /** @param {Cell | null} cell @param {{ x: number, y: number } | null} by a finger */
  function hover(cell, by) {
    finger = by;
    if (cell?.row === hovered?.row && cell?.col === hovered?.col && !by) return;
    hovered = cell;
    refresh();
  }

  /** @param {Cell | null} cell */
  function keep(cell) {
    hovered = null;
    kept = cell;
    refresh();
  }

  /** @param {Figure} of @param {Cell} cell */
  const valueAt = (of, { row, col }) => of.values[row * of.cols + col];

  /** What a screen reader says of a cell. @param {Cell} cell */
  function read(cell) {
    if (!figure) return "";
    const value = valueAt(figure, cell);
    if (!look || value === null) return describe(figure, cell, value);
    if (ranked?.of !== figure) ranked = { of: figure, found: ranksOf(figure) };
    const { ranks, count } = ranked.found;
    return S.figures.rank(S.figures.place(place(figure, cell), showSigned(value - figure.scale.mid)),
      showCount(ranks[cell.row * figure.cols + cell.col]), showCount(count));
  }

  function refresh() {
    drawn.redraw();
    const cell = hovered ?? kept;
    const words = figure && cell ? describe(figure, cell, valueAt(figure, cell)) : null;
    readout.textContent = words ?? pointAt;
    tip.hidden = !words || !hovered;
    if (tip.hidden || !words || !cell || !at) return;
    tip.textContent = words;
    const x = at.plot.x + (cell.col + 0.5) * at.cell.w - drawn.root.scrollLeft;
    const low = !finger && cell.row < 2;
    const top = at.plot.y + (cell.row + (low ? 1 : 0)) * at.cell.h;
    tip.style.setProperty("--x", `${Math.min(Math.max(x, 8), root.clientWidth - 8)}px`);
    tip.style.setProperty("--y", `${finger ? Math.min(top, finger.y - FINGER) : top}px`);
    tip.dataset.side = low ? "below" : "above";
    tip.dataset.edge = x < root.clientWidth * 0.3 ? "start" : x > root.clientWidth * 0.7 ? "end" : "middle";
  }

  /** The range and the map as they are now. */
  function rescale() {
    if (!figure) return;
    const scale = locked(figure.scale, look?.range() ?? null);
    scaled = scale === figure.scale ? figure : { ...figure, scale };
    look?.show(figure.scale);
  }

  coloured?.store.subscribe("look", () => {
    rescale();
    refresh();
  });

  return {
    root,
    canvas: drawn.canvas,
    grid: drawn.root,
    /**
     * @param {Figure} next
     * @param {{ pending?: boolean, square?: boolean, whole?: Figure }} [more] `pending`: missing cells are not done yet;
     *   `whole`: the figure that this is a panel of, which the table is of
     */
    show(next, { whole = next, ...more } = {}) {
      const same = figure && figure.rows === next.rows && figure.cols === next.cols;
      shape = more;
      figure = next;
      if (!same) hovered = kept = null;
      drawn.name(next.title);
      rescale();
      refresh();
      numbers.show(whole, more.pending);
    },
    /** Marks a token's row and column. @param {number | null} next */
    mark(next) {
      if (next === token) return;
      token = next;
      drawn.redraw();
    },
    /** What a test, or a person at the console, reads. */
    get figure() {
      return scaled;
    },
  };
}
