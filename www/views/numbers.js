// A figure's numbers as a real table behind it: a row for each cell, sortable, page by page where there are many.
import { S } from "../strings.js";
import { axisWord } from "../strings/axes.js";
import { placesOf } from "../figures.js";
import { showCount, showExact } from "../format.js";
import { el, fill, scrollable } from "./dom.js";
import { button } from "./fields.js";

/** @typedef {import("../microtome.js").Figure} Figure */

/** Cells of the table on a page, and so its rows. */
const MOST_CELLS = 2000;
/** Milliseconds that a figure must rest before an open table follows it: it may be one of hundreds under the pointer. */
const REST = 200;

/** @param {string} [name] what the table is called */
export function numbersView(name = S.common.table) {
  /** @type {Figure | null} */ let figure = null;
  /** Cells that are missing are not done yet. */ let pending = false;
  /** What is in the table. @type {Figure | null} */ let tabled = null;
  /** `by`: a column, the last of them the value; null: as the cells lie. */
  let order = { by: /** @type {number | null} */ (null), down: true };
  let page = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ let timer;

  const scroll = scrollable(name);
  const where = el("span", {});
  const turn = (/** @type {number} */ by) => () => {
    page += by;
    draw();
    // One that leads nowhere is disabled, and would take the keyboard with it.
    const [pressed, other] = by < 0 ? [before, after] : [after, before];
    (pressed.disabled ? other : pressed).focus({ preventScroll: true });
  };
  const [before, after] = [button(S.figures.table.before, turn(-1), { quiet: true }), button(S.figures.table.after, turn(1), { quiet: true })];
  const pages = el("div", { class: "row pages" }, before, where, after);
  const root = el("details", { class: "numbers", toggle: () => update() }, el("summary", {}, name), scroll, pages);

  /** @param {number} by */
  function sort(by) {
    order = { by, down: order.by === by ? !order.down : by === columns().length - 1 };
    page = 0;
    draw();
    /** @type {HTMLElement | undefined} */ (scroll.querySelectorAll("th button")[by])?.focus();
  }

  /** Axes with a title, outermost first. A figure of sets has only one. */
  const axes = () => (figure ? [...(figure.panel_axes ?? []), figure.row_axis, figure.col_axis] : []);
  const columns = () => [...axes().filter(({ title }) => title).map(({ title }) => axisWord(title)), S.figures.table.value];

  function update() {
    if (!root.open || !figure) {
      fill(scroll);
      tabled = null;
    } else if (tabled !== figure) {
      if (tabled?.values.length !== figure.values.length) page = 0;
      draw();
    }
  }

  function draw() {
    if (!figure) return;
    tabled = figure;
    const { values } = figure;
    const titled = axes().map(({ title }) => Boolean(title));
    const names = columns();
    // Where nothing is still to come, an empty cell is one that has no value.
    const cells = [...values.keys()].filter((i) => pending || values[i] !== null);
    const { by, down } = order;
    if (by !== null) {
      const sign = down ? -1 : 1;
      const keys = by === names.length - 1 ? values
        : cells.reduce((keys, i) => (keys[i] = placesOf(/** @type {Figure} */ (figure), i).filter((_, axis) => titled[axis])[by], keys), /** @type {number[]} */ ([]));
      cells.sort((a, b) => {
        const [x, y] = [keys[a], keys[b]];
        return x === null || y === null ? Number(x === null) - Number(y === null) || a - b : sign * (x - y) || a - b;
      });
    }
    const size = Math.floor(MOST_CELLS / names.length);
    page = Math.min(page, Math.max(0, Math.ceil(cells.length / size) - 1));
    const shown = cells.slice(page * size, (page + 1) * size);
    const head = el("tr", {}, ...names.map((name, i) =>
      el("th", { scope: "col", "aria-sort": i !== by ? "none" : down ? "descending" : "ascending" }, el("button", { type: "button", class: "sort", click: () => sort(i) }, name))));
    const body = shown.map((i) => {
      const [first, ...rest] = placesOf(/** @type {Figure} */ (figure), i).flatMap((at, axis) => (titled[axis] ? [axes()[axis].labels[at]] : []));
      const value = values[i];
      return el("tr", {}, el("th", { scope: "row" }, first), ...rest.map((text) => el("td", {}, text)),
        el("td", {}, value === null ? (pending ? "…" : "–") : showExact(value)));
    });
    fill(scroll, el("table", { class: "sorted" }, el("caption", {}, S.figures.table.caption(figure.title, showCount(cells.length))), el("thead", {}, head), el("tbody", {}, ...body)));
    pages.hidden = cells.length <= size;
    before.disabled = page === 0;
    after.disabled = (page + 1) * size >= cells.length;
    where.textContent = S.figures.table.rows(showCount(page * size + 1), showCount(page * size + shown.length), showCount(cells.length));
  }

  return {
    root,
    /** @param {Figure} next @param {boolean} [missing] cells that are missing are not done yet */
    show(next, missing = false) {
      figure = next;
      pending = missing;
      clearTimeout(timer);
      // One that was closed, or empty, has nothing to wait for; what is done of a sweep comes seldom enough.
      if (root.open && tabled && tabled !== next && !missing) timer = setTimeout(update, REST);
      else update();
    },
  };
}
