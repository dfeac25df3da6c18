// Numbers and tokens as text for people.
import { UNITS } from "./strings/units.js";

/** Characters that would be invisible, or would move their neighbours, and what stands for them. */
const SHOWN = new Map([[" ", "␣"], ["\n", "⏎"], ["\t", "⇥"], ["\u00a0", "⍽"]]);
// Controls, bidirectional marks and what has no width, fillers and variation selectors among them: text from a model must not
// reorder the page around it, nor have anything in it that is not seen.
const HIDDEN = /[\p{Cc}\u2028-\u202e\p{Default_Ignorable_Code_Point}]/u;
/** Spaces of every width, which look alike. In words they stay: numbers have them in many languages. */
const SPACE = /\p{Zs}/u;

/** A token so that every character of it can be seen: " she" → "␣she", a vertical tab → `\x0b`. @param {string} text */
export function showToken(text) {
  let shown = "";
  for (const char of text) {
    const code = /** @type {number} */ (char.codePointAt(0));
    shown += SHOWN.get(char) ?? (HIDDEN.test(char) || SPACE.test(char) ? hidden(code) : char);
  }
  return shown;
}

/**
 * Words that hold names of models, files and hosts: spaces and line ends stay, what would hide or turn the text around is
 * written out.
 * @param {string} text
 */
export const showText = (text) => Array.from(text, (char) => (char !== "\n" && HIDDEN.test(char) ? hidden(/** @type {number} */ (char.codePointAt(0))) : char)).join("");

/** Letters that are written from right to left. */
const LEFTWARDS = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe\u{10800}-\u{10fff}\u{1e800}-\u{1eeff}]/u;

/** Text of a model, or of a visitor, within a sentence: where it is written from right to left it turns nothing around it. @param {string} text */
export const apart = (text) => (LEFTWARDS.test(text) ? `\u2068${text}\u2069` : text);

/** @param {number} code of a character that cannot be seen */
const hidden = (code) => (code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`);

/** A token by its text, or by its id where the model has no tokenizer. @param {import("./microtome.js").Token} token */
export const nameOf = ({ id, text }) => (text === null ? `#${id}` : showToken(text));

/**
 * A token as an axis label: `Mary_1`, as TransformerLens writes them.
 * @param {import("./microtome.js").Token} token
 * @param {number} index
 */
export const tokenLabel = (token, index) => `${nameOf(token)}_${index}`;

/** How numbers are written: as the visitor's language does, and in English where there is no page. */
const HERE = typeof document === "undefined" ? "en" : navigator.language;
let language = HERE;

/**
 * Draws what goes into a file: its numbers have a full stop and Latin digits, whoever reads it.
 * @template T @param {() => T} draw at once, without waiting for anything
 */
export function forFile(draw) {
  language = "en";
  try {
    return draw();
  } finally {
    language = HERE;
  }
}

/** Making one takes long. @type {Map<string, Intl.NumberFormat>} */
const formats = new Map();
/** @param {Intl.NumberFormatOptions} options @param {number} digits after the point */
function formatOf(options, digits) {
  const key = `${language} ${options.style} ${options.unit} ${options.useGrouping} ${options.signDisplay} ${digits}`;
  let format = formats.get(key);
  if (!format) formats.set(key, format = new Intl.NumberFormat(language, { ...options, minimumFractionDigits: digits, maximumFractionDigits: digits }));
  return format;
}

/** As the digits will say it: what they say is nothing has no sign. @param {number} value @param {number} digits */
const rounded = (value, digits) => Number(value.toFixed(digits)) + 0;

/** With a real minus sign. @param {Intl.NumberFormat} format @param {number} value */
const write = (format, value) => format.format(value).replace("-", "−");

/** With so many digits after the point. @param {number} value @param {number} digits */
export const showFixed = (value, digits) => write(formatOf({ useGrouping: false }, digits), rounded(value, digits));

/** Three digits that matter: 3.90, −0.123, 41.2; a real minus sign. @param {number} value */
export function showNumber(value) {
  const size = Math.abs(value);
  return size < 0.0005 ? showFixed(0, 0) : showFixed(value, size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

/**
 * Writes the numbers of one figure with the same number of decimals, as many as its scale can tell apart.
 * @param {{ min: number, max: number }} scale
 * @returns {(value: number) => string}
 */
export function writerFor({ min, max }) {
  const decimals = Math.min(4, Math.max(0, 2 - Math.floor(Math.log10(max - min))));
  return (value) => showFixed(value, decimals);
}

/** Four decimals, as the notebook prints them. @param {number} value */
export const showExact = (value) => showFixed(value, 4);

/** The same with a plus before what is above zero. @param {number} value */
export const showSigned = (value) => write(formatOf({ useGrouping: false, signDisplay: "exceptZero" }, 4), rounded(value, 4));

/** One digit and its power of ten. @param {number} value */
export function showSmall(value) {
  const [digit, power] = value.toExponential(0).split("e").map(Number);
  return value === 0 ? showFixed(0, 0) : `${showFixed(digit, 0)}e${power > 0 ? "+" : ""}${showFixed(power, 0)}`;
}

/** @param {number} part of 1 @param {number} [digits] */
export const showPercent = (part, digits = 2) => write(formatOf({ style: "percent" }, digits), rounded(part, digits + 2));

/** Sizes from this one on, what they are counted in, its name, and digits after the point. @type {[number, number, string, number][]} */
const SIZES = [[1e9, 1e9, "gigabyte", 2], [1e8, 1e6, "megabyte", 0], [1e6, 1e6, "megabyte", 1], [1e3, 1e3, "kilobyte", 0]];

/** @param {number} bytes */
export function showBytes(bytes) {
  const [, size, unit, digits] = SIZES.find(([from]) => bytes >= from) ?? [];
  // What “short” makes of a few bytes is “5 byte”.
  return size ? write(formatOf({ style: "unit", unit, unitDisplay: "short" }, digits ?? 0), bytes / size) : UNITS.bytes(showFixed(bytes, 0));
}

/** 1234567 → "1,234,567". @param {number} count */
export const showCount = (count) => write(formatOf({}, 0), rounded(count, 0));

/** Where there is no room for all of it: 143000 → "143k". @param {number} count */
export const showThousands = (count) => UNITS.thousands(showFixed(count / 1000, count % 1000 ? 1 : 0));

/** A day, wherever the visitor is. @param {Date} date */
export const showDay = (date) => date.toLocaleDateString(language, { year: "numeric", month: "short", day: "numeric", timeZone: "UTC" });

/** An engine's message, which the command line puts behind a word: a name that it begins with stays as it is. @param {string} message */
export const showSentence = (message) => message.replace(/^[a-z](?=[a-z]* )/, (letter) => letter.toUpperCase());

/** Seconds that are only guessed, so that the words do not flicker: "about 25 s", "about 3 min". @param {number} seconds */
export function showAbout(seconds) {
  if (seconds < 1) return UNITS.underSecond;
  const [unit, count] = seconds < 10 ? [UNITS.seconds, seconds] : seconds < 58 ? [UNITS.seconds, Math.ceil(seconds / 5) * 5]
    : seconds < 5400 ? [UNITS.minutes, Math.ceil(seconds / 60)] : [UNITS.hours, Math.ceil(seconds / 3600)];
  return UNITS.about(unit(showFixed(count, 0)));
}

/** A big count in words: 18.4e9 → "18.4 billion". @param {number} count */
export function showLarge(count) {
  const [words, size] = count >= 1e12 ? [UNITS.trillions, 1e12] : count >= 1e9 ? [UNITS.billions, 1e9] : [UNITS.millions, 1e6];
  const digits = count / size < 10 ? 1 : 0;
  return words(showFixed(count / size, digits));
}

/** @param {number} milliseconds */
export const showTime = (milliseconds) => (milliseconds < 1 ? UNITS.under(UNITS.milliseconds(showFixed(1, 0)))
  : milliseconds < 1000 ? UNITS.milliseconds(showFixed(milliseconds, 0)) : UNITS.seconds(showFixed(milliseconds / 1000, 1)));
