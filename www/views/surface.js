// A canvas that stays sharp: drawn again whenever its width, the pixel density or the colours change.
import { paint } from "../draw/paint.js";
import { el } from "./dom.js";
import { onLook, readTheme } from "./theme.js";

/** @typedef {import("../draw/heatmap.js").Size} Size */
/** @typedef {{ width: number, height: number, ops: import("../draw/paint.js").Op[] }} Drawing in CSS pixels */

/**
 * @param {Record<string, string | number | ((event: any) => void)>} props of the canvas
 * @param {(size: Size, theme: import("../draw/paint.js").Theme) => Drawing | null} draw null: nothing to show yet
 */
export function surface(props, draw) {
  const canvas = el("canvas", { width: 0, height: 0, ...props });
  const root = el("div", { class: "surface" }, canvas);
  let theme = readTheme();
  let width = 0;

  function redraw() {
    const ratio = devicePixelRatio;
    const drawing = width > 0 ? draw({ width, ratio }, theme) : null;
    canvas.hidden = !drawing;
    if (!drawing) return;
    canvas.style.width = `${drawing.width}px`;
    canvas.style.height = `${drawing.height}px`;
    canvas.width = Math.round(drawing.width * ratio);
    canvas.height = Math.round(drawing.height * ratio);
    const ctx = canvas.getContext("2d");
    if (!ctx) return;
    ctx.scale(ratio, ratio);
    paint(ctx, drawing.ops);
  }

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
