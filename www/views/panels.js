// A sweep's figure: one heatmap; or small multiples and the one of them that is pointed at or kept, enlarged.
import { S } from "../strings.js";
import { drawPanels, hitPanel, panelsLayout } from "../draw/panels.js";
import { panelOf, placeWords, strongest } from "../figures.js";
import { el, fill } from "./dom.js";
import { heatmapView } from "./heatmap.js";
import { surface } from "./surface.js";

/** @typedef {import("../microtome.js").Figure} Figure */

/** @param {{ cell: (place: string, value: number) => string }} words of one cell */
export function panelsView({ cell }) {
  /** @type {Figure | null} */ let figure = null;
  /** @type {ReturnType<typeof panelsLayout> | null} */ let sheet = null;
  /** Cells that are missing are not done yet. */ let pending = false;
  /** Kept by a click or a key; shown while no other is pointed at. */ let chosen = 0;
  let locked = false;
  /** Somebody has chosen, or read the cells as they came: the enlarged panel must not change by itself. */ let settled = false;
  /** @type {number | null} */ let preview = null;
  const shown = () => (locked ? chosen : preview ?? chosen);

  const heatmap = heatmapView({
    describe: (panel, at, value) => (value === null ? (pending ? S.common.pending : S.common.empty)
      : cell(placeWords(/** @type {Figure} */ (figure), shown(), at), value)),
  });
  const title = el("h4", {});
  const hint = el("span", { class: "note" });
  const heading = el("div", { class: "heading" }, title, hint);
  const root = el("div", { class: "panels" }, heatmap.root);
  /** Made when the first figure with panels comes. @type {ReturnType<typeof surface> | null} */
  let tiles = null;

  const makeTiles = () => surface({
    tabindex: 0, role: "application", "aria-roledescription": S.common.panelsRole, "aria-label": S.common.panels,
    pointermove: (/** @type {PointerEvent} */ event) => hover(under(event)),
    pointerleave: () => hover(null),
    click: (/** @type {PointerEvent} */ event) => {
      const index = under(event);
      if (index !== null) keep(index);
    },
    keydown: (/** @type {KeyboardEvent} */ event) => step(event),
  }, (size, theme) => {
    if (!figure?.panel_axes) return null;
    sheet = panelsLayout(figure, size);
    return { width: sheet.width, height: sheet.height,
      ops: drawPanels(figure, sheet, theme, { stops: theme.diverging, shown: shown(), locked, pending }) };
  });

  /** @param {PointerEvent} event */
  function under(event) {
    const box = tiles?.canvas.getBoundingClientRect();
    return box && sheet ? hitPanel(sheet, event.clientX - box.left, event.clientY - box.top) : null;
  }

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

  /** @param {KeyboardEvent} event */
  function step(event) {
    if (!sheet) return;
    if (event.key === "Escape") locked = false;
    else if (event.key === "Enter" || event.key === " ") return event.preventDefault(), keep(shown());
    else {
      const { columns, count } = sheet;
      const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -count, End: count }[event.key];
      if (by === undefined) return;
      event.preventDefault();
      chosen = Math.min(count - 1, Math.max(0, shown() + by));
      preview = null;
      settled = true;
    }
    refresh();
  }

  function refresh() {
    if (!figure) return;
    const panels = Boolean(figure.panel_axes);
    if (panels) {
      tiles ??= makeTiles();
      tiles.redraw();
      title.textContent = placeWords(figure, shown(), null);
      hint.textContent = locked ? S.attention.kept : S.attention.preview;
    }
    const parts = panels && tiles ? [tiles.root, heading, heatmap.root] : [heatmap.root];
    // Only where something changes: a canvas that is put in again loses the keyboard.
    if (root.children.length !== parts.length) fill(root, ...parts);
    heatmap.show(panelOf(figure, shown()), { pending, square: figure.col_axis.title === "Source" });
  }

  return {
    root,
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
