// Carries out what the drawing functions ask for. They return operations as data, so that they can be tested
// without a browser; nothing else draws on a canvas.

/**
 * One operation, in CSS pixels. `cells` is an image of one pixel per cell, blown up without smoothing.
 * @typedef {{ op: "rect", x: number, y: number, w: number, h: number, fill: string }
 *   | { op: "frame", x: number, y: number, w: number, h: number, stroke: string, width: number, dash?: number[] }
 *   | { op: "hatch", x: number, y: number, w: number, h: number, stroke: string }
 *   | { op: "line", x1: number, y1: number, x2: number, y2: number, stroke: string }
 *   | { op: "curve", points: [number, number][], stroke: string, width: number, dash: number[] }
 *   | { op: "text", x: number, y: number, text: string, fill: string, font: string,
 *       align: CanvasTextAlign, baseline: CanvasTextBaseline, turn?: number }
 *   | { op: "cells", x: number, y: number, w: number, h: number, cols: number, rows: number,
 *       rgba: Uint8ClampedArray<ArrayBuffer> }} Op
 */

/**
 * The look of the page that a drawing needs, read from its CSS variables. `at`, `by`: what a token looks at, and what looks
 * at it.
 * @typedef {{ ink: string, muted: string, line: string, surface: string, accent: string, masked: string,
 *   at: string, by: string, light: string, dark: string, font: string, bad: string, series: string[],
 *   diverging: import("./colour.js").Rgb[], sequential: import("./colour.js").Rgb[] }} Theme
 */

/** @typedef {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} Context */

/** Font size of labels, and the width of one character of its monospaced face, in CSS pixels. */
export const LABEL = { size: 12, char: 7.25, line: 16 };

/** Between the lines of a hatch, in CSS pixels. */
const HATCH = 6;

/** @param {Theme} theme */
export const labelFont = (theme) => `${LABEL.size}px ${theme.font}`;

/**
 * @param {Context} ctx
 * @param {Op[]} ops
 */
export function paint(ctx, ops) {
  ctx.imageSmoothingEnabled = false;
  for (const op of ops) {
    switch (op.op) {
      case "rect":
        ctx.fillStyle = op.fill;
        ctx.fillRect(op.x, op.y, op.w, op.h);
        break;
      case "frame":
        ctx.strokeStyle = op.stroke;
        ctx.lineWidth = op.width;
        ctx.setLineDash(op.dash ?? []);
        ctx.strokeRect(op.x, op.y, op.w, op.h);
        ctx.setLineDash([]);
        break;
      case "hatch":
        paintHatch(ctx, op);
        break;
      case "line":
        ctx.strokeStyle = op.stroke;
        ctx.lineWidth = 1;
        ctx.beginPath();
        ctx.moveTo(op.x1, op.y1);
        ctx.lineTo(op.x2, op.y2);
        ctx.stroke();
        break;
      case "curve":
        paintCurve(ctx, op);
        break;
      case "text":
        paintText(ctx, op);
        break;
      case "cells":
        paintCells(ctx, op);
        break;
    }
  }
}

/** Slanted lines all over a box. @param {Context} ctx @param {Extract<Op, { op: "hatch" }>} op */
function paintHatch(ctx, { x, y, w, h, stroke }) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(x, y, w, h);
  ctx.clip();
  ctx.strokeStyle = stroke;
  ctx.lineWidth = 1;
  ctx.beginPath();
  for (let at = x - h; at < x + w; at += HATCH) {
    ctx.moveTo(at, y + h);
    ctx.lineTo(at + h, y);
  }
  ctx.stroke();
  ctx.restore();
}

/** @param {Context} ctx @param {Extract<Op, { op: "text" }>} op */
function paintText(ctx, op) {
  // Only where it differs: setting a font is what takes the time when a sheet's labels are drawn.
  if (ctx.font !== op.font) ctx.font = op.font;
  ctx.fillStyle = op.fill;
  ctx.textAlign = op.align;
  ctx.textBaseline = op.baseline;
  if (!op.turn) return ctx.fillText(op.text, op.x, op.y);
  ctx.save();
  ctx.translate(op.x, op.y);
  ctx.rotate(op.turn);
  ctx.fillText(op.text, 0, 0);
  ctx.restore();
}

/** @param {Context} ctx @param {Extract<Op, { op: "cells" }>} op */
function paintCells(ctx, op) {
  const tile = new OffscreenCanvas(op.cols, op.rows);
  tile.getContext("2d")?.putImageData(new ImageData(op.rgba, op.cols, op.rows), 0, 0);
  ctx.drawImage(tile, op.x, op.y, op.w, op.h);
}

/** @param {Context} ctx @param {Extract<Op, { op: "curve" }>} op */
function paintCurve(ctx, { points, stroke, width, dash }) {
  ctx.strokeStyle = stroke;
  ctx.lineWidth = width;
  ctx.setLineDash(dash);
  ctx.beginPath();
  points.forEach(([x, y], i) => (i ? ctx.lineTo(x, y) : ctx.moveTo(x, y)));
  ctx.stroke();
  ctx.setLineDash([]);
}
