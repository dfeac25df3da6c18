// A section's figures as one picture: title, what is drawn, caption. Both painters carry out the same operations.
import { LABEL, labelFont } from "../draw/paint.js";
import { drawCurves } from "./curves.js";
import { charts, drawn } from "./drawn.js";

/** @typedef {import("../draw/paint.js").Op} Op */
/** @typedef {import("../draw/paint.js").Theme} Theme */
/** @typedef {{ title: string, width: number, height: number, ops: Op[] }} Part */

const MARGIN = 16;
/** CSS pixels across: a full page of a paper, and the page's own. */
export const WIDTH = 832;

/** An operation moved. @param {Op} op @param {number} dx @param {number} dy @returns {Op} */
export function moved(op, dx, dy) {
  switch (op.op) {
    case "line": return { ...op, x1: op.x1 + dx, x2: op.x2 + dx, y1: op.y1 + dy, y2: op.y2 + dy };
    case "curve": return { ...op, points: op.points.map(([x, y]) => [x + dx, y + dy]) };
    default: return { ...op, x: op.x + dx, y: op.y + dy };
  }
}

/**
 * What a section draws, from top to bottom.
 * @param {Element} body @param {Theme} theme @returns {Part[]}
 */
export function partsOf(body, theme) {
  const size = { width: WIDTH - 2 * MARGIN, ratio: 2 };
  return [...body.querySelectorAll("*")].flatMap((node) => {
    const draw = drawn.get(node);
    const curves = charts.get(node)?.();
    // What a closed box holds back is not in the picture.
    if (!draw && !curves || node.closest("[hidden], details:not([open])")) return [];
    if (curves) return [{ title: curves.title, ...drawCurves(curves, size.width, theme) }];
    const drawing = draw?.(size, theme);
    if (!drawing) return [];
    const { width, height, ops } = drawing;
    const title = (node.closest("figure.heatmap") && node.closest("[role=grid]")?.getAttribute("aria-label")) || "";
    return [{ title, width, height, ops: typeof ops === "function" ? ops() : ops }];
  });
}

/** Lines of at most so many characters, broken at spaces; a longer word is broken inside. @param {string} text @param {number} most */
export function wrap(text, most) {
  /** @type {string[]} */
  const lines = [];
  /** Characters of the last line: a pair of surrogates is one, and is not parted. */
  let used = Infinity;
  for (const word of text.split(" ")) {
    const chars = [...word];
    if (used + chars.length + 1 <= most) {
      lines[lines.length - 1] += ` ${word}`;
      used += chars.length + 1;
      continue;
    }
    let from = 0;
    for (; chars.length - from > most; from += most) lines.push(chars.slice(from, from + most).join(""));
    lines.push(chars.slice(from).join(""));
    used = chars.length - from;
  }
  return lines;
}

/**
 * @param {Part[]} parts @param {{ title: string, caption: string[] }} words @param {Theme} theme
 * @returns {{ width: number, height: number, ops: Op[] }}
 */
export function compose(parts, { title, caption }, theme) {
  const width = Math.max(WIDTH, ...parts.map((part) => part.width + 2 * MARGIN));
  const text = { op: /** @type {const} */ ("text"), align: /** @type {const} */ ("left"), baseline: /** @type {const} */ ("top"), x: MARGIN };
  /** @type {Op[]} */
  const ops = [];
  let y = MARGIN;
  const write = (/** @type {string} */ words, /** @type {string} */ fill, /** @type {number} */ size, /** @type {string} */ font) => {
    for (const line of wrap(words, Math.floor((width - 2 * MARGIN) / (LABEL.char * size / LABEL.size)))) {
      ops.push({ ...text, text: line, y, fill, font });
      y += size + 5;
    }
  };
  write(title, theme.ink, 15, `700 15px ${theme.font}`);
  for (const part of parts) {
    y += 10;
    if (part.title && part.title !== title) write(part.title, theme.ink, 13, `700 13px ${theme.font}`);
    ops.push(...part.ops.map((op) => moved(op, MARGIN, y)));
    y += part.height;
  }
  y += 10;
  for (const line of caption) write(line, theme.muted, LABEL.size, labelFont(theme));
  return { width, height: y + MARGIN - 5, ops };
}
