// A sweep's figure: one heatmap; or small multiples and the one of them that is pointed at or kept, enlarged.
import { S } from "../strings.js";
import { drawPanels, hitPanel, panelMark, panelsLayout } from "../draw/panels.js";
import { locked as inRange } from "../draw/colour.js";
import { MAPS } from "../draw/maps.js";
import { panelOf, placeWords, strongest } from "../figures.js";
import { el, fill } from "./dom.js";
import { gridSurface } from "./grid_surface.js";
import { heatmapView } from "./heatmap.js";

/** @typedef {import("../microtome.js").Figure} Figure */

/**
 * @param {import("../state.js").Store | null} store whose `look` the colours follow; null on pages without one
 * @param {{ key: string, cell: (place: string, value: number) => string, pick?: (index: number) => void, drop?: () => void, hint?: string }} hands
 *   `key`: of the figure in the state's `look`; `cell`: words of one cell; `pick`: a click on a cell, with its index in the
 *   whole figure
 */
export function panelsView(store, { key, cell, pick, drop, hint: clicked }) {
  /** @type {Figure | null} */ let figure = null;
  /** @type {ReturnType<typeof panelsLayout> | null} */ let sheet = null;
  /** Cells that are missing are not done yet. */ let pending = false;
  /** Kept by a click or a key; shown while no other is pointed at. */ let chosen = 0;
  let locked = false;
  /** Somebody has chosen, or read the cells as they came: the enlarged panel must not change by itself. */ let settled = false;
  /** @type {number | null} */ let preview = null;
  const shown = () => (locked ? chosen : preview ?? chosen);

  const heatmap = heatmapView({
    ...(store ? { look: { store, key } } : { palette: /** @type {const} */ ("diverging") }), drop, hint: clicked,
    place: (_, at) => placeWords(/** @type {Figure} */ (figure), shown(), at),
    pick: pick && (({ row, col }) => {
      if (!figure) return;
      const { rows, cols, panel_axes } = figure;
      pick((panel_axes ? shown() : 0) * rows * cols + row * cols + col);
    }),
    describe: (panel, at, value) => (value === null ? (pending ? S.common.pending : S.common.empty)
      : cell(placeWords(/** @type {Figure} */ (figure), shown(), at), value)),
  });
  const title = el("h4", {});
  const hint = el("span", { class: "note" });
  const heading = el("div", { class: "heading" }, title, hint);
  const root = el("div", { class: "panels" }, heatmap.root);
  /** Made when the first figure with panels comes. @type {ReturnType<typeof gridSurface> | null} */
  let tiles = null;

  /** @param {number} index */
  const placeOf = (index) => sheet && { row: Math.floor(index / sheet.columns), col: index % sheet.columns };
  /** @param {import("../cursor.js").Cell} at */
  const indexOf = ({ row, col }) => row * (sheet?.columns ?? 1) + col;
  const makeTiles = () => gridSurface({
    role: S.common.panelsRole,
    size: () => sheet && { rows: Math.ceil(sheet.count / sheet.columns), cols: sheet.columns, count: sheet.count },
    under: (x, y) => {
      const index = sheet && hitPanel(sheet, x, y);
      return index === null ? null : placeOf(index);
    },
    at: () => placeOf(shown()),
    say: (at) => (figure ? placeWords(figure, indexOf(at), null) : ""),
    point: (at) => hover(at && indexOf(at)),
    move: (at) => {
      chosen = indexOf(at);
      preview = null;
      settled = true;
      refresh();
    },
    pick: (at) => keep(indexOf(at)),
    drop: () => {
      locked = false;
      refresh();
    },
    draw: (size, theme) => {
      if (!figure?.panel_axes) return null;
      const at = panelsLayout(figure, size);
      sheet = at;
      const { map, ranges } = store?.get("look") ?? { map: /** @type {const} */ ("RdBu"), ranges: /** @type {Record<string, number>} */ ({}) };
      const of = figure;
      const range = ranges[key] ?? null;
      return { width: at.width, height: at.height, key: [of, range, map, pending],
        ops: () => drawPanels({ ...of, scale: inRange(of.scale, range) }, at, theme, { stops: MAPS[map], pending }),
        marks: panelMark(at, theme, { shown: shown(), locked }) };
    },
  });

  /** @param {number | null} index */
  function hover(index) {
    if (index === preview) return;
    preview = index;
    if (!locked) refresh();
  }

  /** @param {number} index */
  function keep(index) {
    locked = !(locked && index === chosen);
    chosen = index;
    settled = true;
    refresh();
  }

  function refresh() {
    if (!figure) return;
    const panels = Boolean(figure.panel_axes);
    if (panels) {
      if (!tiles) {
        tiles = makeTiles();
        tiles.name(S.common.panels);
        store?.subscribe("look", tiles.redraw);
      }
      tiles.redraw();
      title.textContent = placeWords(figure, shown(), null);
      hint.textContent = locked ? S.attention.kept : S.attention.preview;
    }
    const parts = panels && tiles ? [tiles.root, tiles.live, heading, heatmap.root] : [heatmap.root];
    // Only where something changes: a canvas that is put in again loses the keyboard.
    if (root.children.length !== parts.length) fill(root, ...parts);
    heatmap.show(panel(), { pending, square: figure.col_axis.title === "Source", whole: figure });
  }

  /** The panel that is shown; the same one as long as it is. @type {{ of: Figure | null, index: number, panel: Figure } | null} */
  let enlarged = null;
  function panel() {
    const [of, index] = [/** @type {Figure} */ (figure), shown()];
    if (enlarged?.of !== of || enlarged.index !== index) enlarged = { of, index, panel: panelOf(of, index) };
    return enlarged.panel;
  }

  return {
    root,
    /** The keyboard goes back to the cells. */
    focus: () => heatmap.grid.focus({ preventScroll: true }),
    /** @param {Figure} next @param {{ pending: boolean }} look `pending`: missing cells are not done yet */
    show(next, look) {
      const count = (/** @type {Figure | null} */ figure) => JSON.stringify(figure?.panel_axes);
      if (count(figure) !== count(next)) {
        chosen = 0;
        locked = false;
        preview = null;
        settled = false;
      }
      figure = next;
      pending = look.pending;
      settled ||= pending;
      if (!settled && next.panel_axes) chosen = strongest(next);
      refresh();
    },
  };
}
