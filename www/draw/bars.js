// Level bars from zero, one per label: (labels, values, size, theme) → operations.
import { widest } from "./axis.js";
import { LABEL, labelFont } from "./paint.js";
import { showNumber } from "../format.js";

const ROW = 30;

/** @param {number} count @param {number} width */
export const barsHeight = (count, width) => (width > 0 ? count * ROW + 8 : 0);

/**
 * @param {string[]} labels
 * @param {number[]} values
 * @param {number} width
 * @param {import("./paint.js").Theme} theme
 * @returns {import("./paint.js").Op[]}
 */
export function drawBars(labels, values, width, theme) {
  const left = widest(labels) + 14;
  const numbers = widest(values.map(showNumber)) + 10;
  const low = Math.min(0, ...values);
  const high = Math.max(0, ...values);
  const span = high - low || 1;
  const below = low < 0 ? numbers : 0;
  const room = Math.max(20, width - left - below - numbers);
  const zero = left + below + (-low / span) * room;
  const text = { op: /** @type {const} */ ("text"), font: labelFont(theme), baseline: /** @type {const} */ ("middle") };
  /** @type {import("./paint.js").Op[]} */
  const ops = values.flatMap((value, i) => {
    const y = i * ROW + 4;
    const w = (Math.abs(value) / span) * room;
    const x = value < 0 ? zero - w : zero;
    const colour = theme.diverging[value < 0 ? 1 : theme.diverging.length - 2];
    return [
      { ...text, text: labels[i], x: left - 8, y: y + ROW / 2 - 2, fill: theme.ink, align: "right" },
      { op: "rect", x, y: y + 2, w, h: ROW - 8, fill: `rgb(${colour.join(" ")})` },
      { ...text, text: showNumber(value), x: value < 0 ? x - 6 : x + w + 6, y: y + ROW / 2 - 2, fill: theme.muted,
        align: value < 0 ? "right" : "left" },
    ];
  });
  ops.push({ op: "line", x1: zero, y1: 0, x2: zero, y2: values.length * ROW + LABEL.line / 2, stroke: theme.ink });
  return ops;
}
