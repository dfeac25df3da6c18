// Judges an answer against what the open model says. Pure: the same answer and the same result give the same verdict.

/** @typedef {import("./lesson.js").Truth} Truth */
/**
 * `unreadable`: no answer of this kind, which does not count as a try. `read`: a number as it was understood, with a full stop.
 * @typedef {{ verdict: "right" | "wrong" | "unreadable", read?: string, side?: "low" | "high", missing?: number, extra?: string[] }} Judgement
 */

/** Longest answer that is read. */
export const MOST_CHARS = 200;
const HEAD = /^l?\s*(\d{1,3})\s*[h.\s]\s*(\d{1,3})$/i;
/** What is typed where no head qualifies. */
const NONE = "none";

/** Digits in groups, with a sign between them that is not the decimal one. */
const GROUPED = /^([+-]?\d{1,3}([,.'’\u00a0\u202f ])(?:\d{2,3}\2)*\d{3})(?:(?!\2)([.,])(\d+))?$/;

/**
 * What a number may mean: “4,59”, “−3.6”, “94 %” and “٤٫٥٩” are numbers, too, and “2,100” and “2.100” may be two thousand one
 * hundred or 2.1; of “1,234.5” and “1.234,5” the last sign is the point. What the page shows in the visitor's language can be typed as it stands there.
 * @param {string} text
 * @returns {number[]} nothing for what is no number
 */
export function parseNumber(text) {
  const plain = text.trim().replace(/[−–]/g, "-").replace(/[\u061c\u200e\u200f]/g, "").replace(/\p{Nd}/gu, (char) => (char.length === 1 ? digit(char) : char))
    .replace("٫", ".").replaceAll("٬", ",").replace(/[\s\u00a0]*[%٪×x]$/i, "");
  const [, whole, , sign, part] = GROUPED.exec(plain) ?? [];
  const grouped = whole === undefined ? [] : [`${whole.replace(/[^\d+-]/g, "")}${sign ? `.${part}` : ""}`];
  const readings = [plain.replace(",", "."), ...grouped];
  return readings.filter((reading) => /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?$/i.test(reading)).map(Number);
}

/** A decimal digit of any script as one of ours: each script's ten stand in a row. @param {string} char */
function digit(char) {
  let value = 0;
  for (let code = /** @type {number} */ (char.codePointAt(0)); value < 9 && /\p{Nd}/u.test(String.fromCodePoint(code - 1)); code -= 1) value += 1;
  return String(value);
}

/** “L0H6”, “l0 h6” and “0.6” are the same head; null for what is none. @param {string} text */
export function parseHead(text) {
  const [, layer, head] = HEAD.exec(text.trim()) ?? [];
  return layer === undefined ? null : `L${Number(layer)}H${Number(head)}`;
}

/** Heads with commas, semicolons, “and” or spaces between them, each once; null if one of them is none. @param {string} text */
export function parseHeads(text) {
  if (text.trim().toLowerCase() === NONE) return [];
  const heads = text.split(/[,;\n]|\band\b|\s+(?=l\d)/i).map((part) => part.trim()).filter(Boolean).map(parseHead);
  return heads.length && !heads.includes(null) ? /** @type {string[]} */ ([...new Set(heads)]) : null;
}

/** @param {string[]} heads */
const written = (heads) => heads.join(", ") || NONE;

/** An answer as it is kept and shown again; null if it cannot be read. @param {Truth["kind"]} kind @param {string} text */
export function readAnswer(kind, text) {
  if (text.length > MOST_CHARS) return null;
  switch (kind) {
    case "number": return parseNumber(text).length ? text.trim() : null;
    case "head": return parseHead(text);
    case "heads": {
      const heads = parseHeads(text);
      return heads && written(heads);
    }
    case "token": return /^\d{1,4}$/.test(text) ? text : null;
    default: return text.trim() ? text : null;
  }
}

/**
 * @param {Truth} truth
 * @param {string} text
 * @returns {Judgement}
 */
export function judge(truth, text) {
  const answer = readAnswer(truth.kind, text);
  if (answer === null) return { verdict: "unreadable" };
  switch (truth.kind) {
    case "number": {
      const readings = parseNumber(answer);
      // What a decimal fraction loses in binary is nobody's fault.
      const near = readings.find((reading) => Math.abs(reading - truth.value) <= truth.tolerance * (1 + 1e-9) + 1e-12);
      return near !== undefined ? { verdict: "right", read: String(near) }
        : { verdict: "wrong", read: String(readings[0]), side: readings[0] < truth.value ? "low" : "high" };
    }
    case "head": return { verdict: truth.heads.includes(answer) ? "right" : "wrong" };
    case "heads": {
      const named = /** @type {string[]} */ (parseHeads(answer));
      const missing = truth.must.filter((name) => !named.includes(name)).length;
      const extra = named.filter((name) => !truth.must.includes(name) && !truth.may.includes(name));
      return missing || extra.length ? { verdict: "wrong", missing, extra } : { verdict: "right" };
    }
    case "choice": return { verdict: answer === truth.key ? "right" : "wrong" };
    case "token": return { verdict: truth.places.includes(Number(answer)) ? "right" : "wrong" };
    case "prompt": return { verdict: truth.right ? "right" : "wrong" };
  }
}

/** An answer that `judge` accepts, as it would be typed; null where none is known. @param {Truth} truth @returns {string | null} */
export function solution(truth) {
  switch (truth.kind) {
    case "number": return truth.shown;
    case "head": return truth.heads[0];
    case "heads": return written(truth.must);
    case "choice": return truth.key;
    case "token": return String(truth.places[0]);
    case "prompt": return truth.example;
  }
}
