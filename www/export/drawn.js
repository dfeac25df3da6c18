// What is drawn on the page, by the element that shows it: a picture for a paper is drawn again at its own size, not copied
// from the screen.

/** Operations, or how to make them; `marks` for the pointer are no part of a picture. @typedef {import("../draw/paint.js").Op[]} Ops */
/**
 * @typedef {(size: import("../draw/heatmap.js").Size, theme: import("../draw/paint.js").Theme) =>
 *   { width: number, height: number, ops: Ops | (() => Ops) } | null} Draw null: nothing to show
 * @typedef {{ chart: import("../draw/lines.js").Chart, title: string, unit: string }} Curves
 */

/** Canvases that are drawn from operations. @type {WeakMap<Element, Draw>} */
export const drawn = new WeakMap();
/** Line charts, which another library draws on the page. @type {WeakMap<Element, () => Curves | null>} */
export const charts = new WeakMap();
