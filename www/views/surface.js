// A canvas that stays sharp: drawn again whenever its width, the pixel density or the colours change. Where a drawing has a
// key, what is drawn stays, and only the marks above it are new: so a sheet of 144 heads follows the pointer.
import { paint } from "../draw/paint.js";
import { drawn } from "../export/drawn.js";
import { el } from "./dom.js";
import { onLook, readTheme } from "./theme.js";

/** @typedef {import("../draw/heatmap.js").Size} Size */
/** @typedef {import("../draw/paint.js").Op} Op */
/**
 * In CSS pixels. `key`: what the drawing depends on beside its size and the colours; while all of it is the same, `ops` is
 * not asked for again. `marks` are drawn above, each time.
 * @typedef {{ width: number, height: number, ops: Op[] | (() => Op[]), marks?: Op[], key?: unknown[] }} Drawing
 */

/**
 * @param {Record<string, string | number | ((event: any) => void)>} props of the canvas
 * @param {(size: Size, theme: import("../draw/paint.js").Theme) => Drawing | null} draw null: nothing to show yet
 * @param {Record<string, string | number | ((event: any) => void)>} [around] of the box around it
 */
export function surface(props, draw, around = {}) {
  const canvas = el("canvas", { width: 0, height: 0, ...props });
  const root = el("div", { class: "surface", ...around }, canvas);
  let theme = readTheme();
  let width = 0;
  /** As the style has them. */
  const sides = { width: "", height: "" };
  /** What lies below the marks, and what it was drawn from. @type {{ layer: OffscreenCanvas, from: unknown[] } | null} */
  let below = null;

  function redraw() {
    const ratio = devicePixelRatio;
    const drawing = width > 0 ? draw({ width, ratio }, theme) : null;
    canvas.hidden = !drawing;
    if (!drawing) return;
    const { ops, marks = [], key } = drawing;
    // Whole pixels of the screen, and never more than fit: a rounded number of them is stretched over what was asked for.
    const whole = (/** @type {number} */ length) => Math.floor(length * ratio + 1e-6);
    const pixels = { width: whole(drawing.width), height: whole(drawing.height) };
    if (canvas.width !== pixels.width || canvas.height !== pixels.height) Object.assign(canvas, pixels);
    // Also where the pixels are as many: after a zoom each of them is of another size.
    for (const side of /** @type {const} */ (["width", "height"])) {
      const length = `${pixels[side] / ratio}px`;
      if (sides[side] !== length) canvas.style[side] = sides[side] = length;
    }
    // Where it is wider than its box, a finger scrolls it.
    root.classList.toggle("wide", drawing.width > width);
    const ctx = canvas.getContext("2d");
    if (!ctx) return;
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.clearRect(0, 0, canvas.width, canvas.height);
    const all = () => (typeof ops === "function" ? ops() : ops);
    if (key) {
      const from = [pixels.width, pixels.height, ratio, theme, ...key];
      if (!below || below.from.length !== from.length || from.some((part, i) => part !== below?.from[i])) {
        const layer = new OffscreenCanvas(pixels.width, pixels.height);
        const lower = layer.getContext("2d");
        lower?.scale(ratio, ratio);
        if (lower) paint(lower, all());
        below = { layer, from };
      }
      ctx.drawImage(below.layer, 0, 0);
    }
    ctx.scale(ratio, ratio);
    if (!key) paint(ctx, all());
    paint(ctx, marks);
  }

  drawn.set(canvas, (size, colours) => {
    const picture = draw(size, colours);
    // Where a point of the canvas lies is asked of what was laid out last: that must be what is on the page.
    if (width > 0) draw({ width, ratio: devicePixelRatio }, theme);
    return picture;
  });
  new ResizeObserver(() => {
    if (root.clientWidth === width) return;
    width = root.clientWidth;
    redraw();
  }).observe(root);
  onLook(() => {
    theme = readTheme();
    redraw();
  });
  return { root, canvas, redraw };
}
