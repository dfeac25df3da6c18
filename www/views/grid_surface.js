// A canvas that is a data grid to keyboards and screen readers: one tab stop, a cell cursor, the cell under it as text; and
// that a finger can scrub. What is drawn and what a cell says is the caller's.
import { S } from "../strings.js";
import { moved } from "../cursor.js";
import { el, uniqueId } from "./dom.js";
import { surface } from "./surface.js";

/** @typedef {import("../cursor.js").Cell} Cell */
/** Milliseconds without a key before a cell is read out. */
const READ = 350;
/** A finger that moves farther scrubs, in CSS pixels. */
const SCRUB = 8;

/**
 * @param {{
 *   draw: Parameters<typeof surface>[1],
 *   size: () => { rows: number, cols: number, count?: number } | null,
 *   under: (x: number, y: number) => Cell | null,
 *   at: () => Cell | null,
 *   say: (cell: Cell) => string,
 *   point: (cell: Cell | null, finger: { x: number, y: number } | null) => void,
 *   move: (cell: Cell) => void,
 *   pick: (cell: Cell, finger: boolean) => void,
 *   drop: () => void,
 *   role?: string,
 * }} hands `under`: the cell below a point of the canvas; `at`: where the keys are; `point`: with the pointer, whose place
 *   is told if it is a finger; `move`: with the keys; `pick`: click, tap, Enter or space; `drop`: Escape
 */
export function gridSurface({ draw, size, under, at, say, point, move, pick, drop, role = S.figures.grid }) {
  const cell = el("span", { role: "gridcell", id: uniqueId() });
  const row = el("div", { role: "row", class: "unseen" }, cell);
  const live = el("p", { class: "unseen", role: "status" });
  /** A finger on the canvas. @type {{ x: number, y: number, scrubbed: boolean } | null} */
  let finger = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** What was told last. */
  let told = { place: "", words: "" };

  const drawn = surface({
    "aria-hidden": "true",
    pointerdown: (/** @type {PointerEvent} */ event) => {
      finger = event.pointerType === "touch" ? { x: event.clientX, y: event.clientY, scrubbed: false } : null;
      if (finger) hover(event);
    },
    pointermove: (/** @type {PointerEvent} */ event) => {
      if (event.pointerType !== "touch") finger = null;
      if (finger && Math.hypot(event.clientX - finger.x, event.clientY - finger.y) > SCRUB) finger.scrubbed = true;
      hover(event);
    },
    // The finger scrolls the page.
    pointercancel: () => {
      finger = null;
      point(null, null);
    },
    pointerleave: () => point(null, null),
    // What a finger has scrubbed to stays, like what the keys have moved to.
    pointerup: (/** @type {PointerEvent} */ event) => {
      const found = finger?.scrubbed && below(event);
      if (found) move(found);
    },
    click: (/** @type {PointerEvent} */ event) => {
      const found = below(event);
      if (found && !finger?.scrubbed) pick(found, finger !== null);
      finger = null;
    },
  }, (drawnAt, theme) => {
    const drawing = draw(drawnAt, theme);
    tell(false);
    return drawing;
  }, {
    tabindex: 0, role: "grid", "aria-roledescription": role,
    keydown: (/** @type {KeyboardEvent} */ event) => key(event), focus: () => tell(true),
  });
  drawn.root.append(row);

  /** @param {PointerEvent} event */
  function below(event) {
    const box = drawn.canvas.getBoundingClientRect();
    return under(event.clientX - box.left, event.clientY - box.top);
  }

  /** @param {PointerEvent} event */
  function hover(event) {
    const found = below(event);
    if (!finger) return point(found, null);
    const box = drawn.canvas.getBoundingClientRect();
    if (found) point(found, { x: event.clientX - box.left, y: event.clientY - box.top });
  }

  /** @param {KeyboardEvent} event */
  function key(event) {
    const all = size();
    if (!all || event.altKey) return;
    if (event.key === "Escape") {
      drop();
      return tell(true);
    }
    const here = at();
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      if (!here) return;
      pick(here, false);
      return tell(true);
    }
    const to = moved(event, here, all);
    if (!to) return;
    event.preventDefault();
    move(to);
    tell(true);
  }

  /**
   * Tells the sizes, and makes the cell under the cursor the one that a screen reader is on. It is read out once the keys
   * rest; what was only drawn anew is read out where the same cell has another value, and not where the pointer went.
   * @param {boolean} asked with a key
   */
  function tell(asked) {
    const all = size();
    if (!all) return;
    put(drawn.root, "aria-rowcount", String(all.rows));
    put(drawn.root, "aria-colcount", String(all.cols));
    // Whoever is elsewhere hears it when the keyboard comes here.
    if (!asked && document.activeElement !== drawn.root) return;
    const here = at();
    if (!here) {
      clearTimeout(timer);
      drawn.root.removeAttribute("aria-activedescendant");
      told = { place: "", words: "" };
      cell.textContent = live.textContent = "";
      return;
    }
    const [place, words] = [`${here.row} ${here.col}`, say(here)];
    const aloud = asked || (place === told.place && words !== told.words);
    told = { place, words };
    put(row, "aria-rowindex", String(here.row + 1));
    put(cell, "aria-colindex", String(here.col + 1));
    put(drawn.root, "aria-activedescendant", cell.id);
    if (cell.textContent !== words) cell.textContent = words;
    if (!aloud) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      live.textContent = words;
    }, READ);
  }

  return {
    ...drawn, live,
    /** @param {string} label */
    name: (label) => drawn.root.setAttribute("aria-label", label),
  };
}

/** Only where it is another: it is asked at every step of the pointer. @param {Element} node @param {string} name @param {string} value */
function put(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}
