// Numbers and tokens as text for people.

/** Characters that would be invisible, or would move their neighbours, and what stands for them. */
const SHOWN = new Map([[" ", "␣"], ["\n", "⏎"], ["\t", "⇥"], ["\u00a0", "⍽"]]);
// Controls, zero-width and bidirectional marks: text from a model must not reorder the page around it.
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/u;

/** A token so that every character of it can be seen: " she" → "␣she". @param {string} text */
export function showToken(text) {
  let shown = "";
  for (const char of text) {
    const code = /** @type {number} */ (char.codePointAt(0));
    shown += SHOWN.get(char) ?? (HIDDEN.test(char) ? `\\u{${code.toString(16)}}` : char);
  }
  return shown;
}

/** A token by its text, or by its id where the model has no tokenizer. @param {import("./microtome.js").Token} token */
export const nameOf = ({ id, text }) => (text === null ? `#${id}` : showToken(text));

/**
 * A token as an axis label: `Mary_1`, as TransformerLens writes them.
 * @param {import("./microtome.js").Token} token
 * @param {number} index
 */
export const tokenLabel = (token, index) => `${nameOf(token)}_${index}`;

/** Three digits that matter: 3.90, −0.123, 41.2; a real minus sign. @param {number} value */
export function showNumber(value) {
  const size = Math.abs(value);
  if (size < 0.0005) return "0";
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return value.toFixed(digits).replace("-", "−");
}

/**
 * Writes the numbers of one figure with the same number of decimals, as many as its scale can tell apart.
 * @param {{ min: number, max: number }} scale
 * @returns {(value: number) => string}
 */
export function writerFor({ min, max }) {
  const decimals = Math.min(4, Math.max(0, 2 - Math.floor(Math.log10(max - min))));
  return (value) => value.toFixed(decimals).replace(/^-(0(\.0*)?)$/, "$1").replace("-", "−");
}

/** Four decimals, as the notebook prints them. @param {number} value */
export const showExact = (value) => value.toFixed(4).replace("-", "−");

/** @param {number} value */
export const showSigned = (value) => (value > 0 ? "+" : "") + showExact(value);

/** @param {number} part of 1 */
export const showPercent = (part) => `${(100 * part).toFixed(2)}%`;

/** The page's language, which its sentences are in. */
const LANGUAGE = "en";

/** @param {string} unit @param {number} digits after the point */
const sized = (unit, digits) => new Intl.NumberFormat(LANGUAGE, {
  style: "unit", unit, unitDisplay: "short", minimumFractionDigits: digits, maximumFractionDigits: digits,
});
/** Sizes from this one on, what they are counted in, and how. @type {[number, number, Intl.NumberFormat][]} */
const SIZES = [
  [1e9, 1e9, sized("gigabyte", 2)], [1e8, 1e6, sized("megabyte", 0)], [1e6, 1e6, sized("megabyte", 1)], [1e3, 1e3, sized("kilobyte", 0)],
];

/** @param {number} bytes */
export function showBytes(bytes) {
  const [, unit, format] = SIZES.find(([from]) => bytes >= from) ?? [];
  // What “short” makes of a few bytes is “5 byte”.
  return unit && format ? format.format(bytes / unit) : `${Math.round(bytes)} B`;
}

/** 1234567 → "1,234,567". @param {number} count */
export const showCount = (count) => count.toLocaleString(LANGUAGE);

/** An engine's message, which the command line puts behind a word: a name that it begins with stays as it is. @param {string} message */
export const showSentence = (message) => message.replace(/^[a-z](?=[a-z]* )/, (letter) => letter.toUpperCase());

/** Seconds that are only guessed, so that the words do not flicker: "about 25 s", "about 3 min". @param {number} seconds */
export function showAbout(seconds) {
  if (seconds < 1) return "under a second";
  if (seconds < 10) return `about ${Math.round(seconds)} s`;
  if (seconds < 58) return `about ${Math.ceil(seconds / 5) * 5} s`;
  return seconds < 5400 ? `about ${Math.ceil(seconds / 60)} min` : `about ${Math.ceil(seconds / 3600)} h`;
}

/** A big count in words: 18.4e9 → "18.4 billion". @param {number} count */
export function showLarge(count) {
  const [size, word] = count >= 1e12 ? [1e12, "trillion"] : count >= 1e9 ? [1e9, "billion"] : [1e6, "million"];
  return `${(count / size).toFixed(count / size < 10 ? 1 : 0)} ${word}`;
}

/** @param {number} milliseconds */
export const showTime = (milliseconds) =>
  milliseconds < 1 ? "under 1 ms" : milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
