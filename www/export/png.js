// A picture as PNG: the page's own painter on a canvas of twice as many pixels.
import { paint } from "../draw/paint.js";

/** Pixels for each CSS pixel. */
const RATIO = 2;
/** No browser draws on a larger canvas without a risk, and Chromium on none with a longer side. */
const MOST_PIXELS = 64e6;
const MOST_SIDE = 16_384;

/** The size of the canvas, and its pixels for each CSS pixel. @param {number} width @param {number} height in CSS pixels */
export function canvasOf(width, height) {
  const ratio = Math.min(RATIO, Math.sqrt(MOST_PIXELS / (width * height)), MOST_SIDE / width, MOST_SIDE / height);
  const side = (/** @type {number} */ length) => Math.min(MOST_SIDE, Math.ceil(length * ratio));
  return { ratio, width: side(width), height: side(height) };
}

/**
 * @param {{ width: number, height: number, ops: import("../draw/paint.js").Op[] }} drawing
 * @param {{ background: string, title: string, desc: string }} words `background`: a colour; the others are written into the file
 */
export async function pngOf({ width, height, ops }, { background, title, desc }) {
  const { ratio, ...size } = canvasOf(width, height);
  const canvas = Object.assign(document.createElement("canvas"), size);
  const ctx = canvas.getContext("2d");
  if (!ctx) throw new Error("This browser gives no canvas to draw on.");
  ctx.fillStyle = background;
  ctx.fillRect(0, 0, canvas.width, canvas.height);
  ctx.scale(ratio, ratio);
  paint(ctx, ops);
  /** @type {Blob | null} */
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!blob) throw new Error("The picture is too large for this browser.");
  return withText(new Uint8Array(await blob.arrayBuffer()), { Title: title, Description: desc });
}

/** Length, type, data and check sum of IHDR, which is the first part of every PNG, after 8 bytes of signature. */
const IHDR_END = 8 + 4 + 4 + 13 + 4;

/** A PNG with texts in it (iTXt, in UTF-8), as image programs show them. @param {Uint8Array} png @param {Record<string, string>} texts */
export function withText(png, texts) {
  const chunks = Object.entries(texts).map(([keyword, text]) => chunk("iTXt", new TextEncoder().encode(`${keyword}\0\0\0\0\0${text}`)));
  const whole = new Uint8Array(png.length + chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of [png.subarray(0, IHDR_END), ...chunks, png.subarray(IHDR_END)]) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** @param {string} type @param {Uint8Array} data */
function chunk(type, data) {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set(new TextEncoder().encode(type), 4);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc(bytes.subarray(4, 8 + data.length)));
  return bytes;
}

/** The check sum of a part, as PNG wants it (CRC-32). @param {Uint8Array} bytes */
function crc(bytes) {
  let sum = -1;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
}

/** Cells, one pixel each, as the data address of a PNG. @param {import("./svg.js").Cells} cells */
export function imageOf({ cols, rows, rgba }) {
  const canvas = document.createElement("canvas");
  canvas.width = cols;
  canvas.height = rows;
  canvas.getContext("2d")?.putImageData(new ImageData(rgba, cols, rows), 0, 0);
  return canvas.toDataURL("image/png");
}
