// Values as Python source. What comes from a prompt, a token or a model's name enters a script only through here.

/** What is written as it is in a string or a comment: letters, digits, marks of their own width, and the plain space. */
const PLAIN = /^[\p{L}\p{N}\p{P}\p{S} ]$/u;
/** @type {Record<string, string>} */
const SHORT = { "\\": "\\\\", "\"": "\\\"", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * A Python string literal in double quotes, on one line: it can stand in a comment too. Everything that is invisible, that
 * ends a line, or that turns the direction of writing is escaped; a surrogate without its other half stays what it is.
 * @param {string} text
 */
export function pyString(text) {
  let out = "";
  for (const char of text) {
    const code = /** @type {number} */ (char.codePointAt(0));
    out += SHORT[char] ?? (PLAIN.test(char) ? char
      : code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}`
      : code < 0x10000 ? `\\u${code.toString(16).padStart(4, "0")}`
      : `\\U${code.toString(16).padStart(8, "0")}`);
  }
  return `"${out}"`;
}

/** Lines of at most this many characters. */
const WIDTH = 110;

/**
 * A Python value: null is None, numbers as they are, lists and objects broken into lines where they are long.
 * @param {unknown} value
 * @param {number} [indent] spaces before the line that it stands in
 * @returns {string}
 */
export function py(value, indent = 0) {
  if (value === null || value === undefined) return "None";
  if (value === true || value === false) return value ? "True" : "False";
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : `float("${value > 0 ? "inf" : value < 0 ? "-inf" : "nan"}")`;
  if (typeof value === "string") return pyString(value);
  const list = Array.isArray(value);
  const parts = list ? value.map((part) => py(part, indent + 4))
    : Object.entries(/** @type {object} */ (value)).map(([key, part]) => `${pyString(key)}: ${py(part, indent + 4)}`);
  const [open, close] = list ? "[]" : "{}";
  const line = open + parts.join(", ") + close;
  if (line.length + indent <= WIDTH && !line.includes("\n")) return line;
  const pad = " ".repeat(indent);
  return `${open}\n${wrapped(parts, indent + 4, list && value.every((part) => typeof part === "number"))}\n${pad}${close}`;
}

/** @param {string[]} parts @param {number} indent @param {boolean} filled as many to a line as fit */
function wrapped(parts, indent, filled) {
  const pad = " ".repeat(indent);
  if (!filled) return parts.map((part) => `${pad}${part},`).join("\n");
  /** @type {string[]} */
  const lines = [];
  for (const part of parts) {
    const last = lines.length - 1;
    if (last >= 0 && lines[last].length + part.length + 2 <= WIDTH) lines[last] += ` ${part},`;
    else lines.push(`${pad}${part},`);
  }
  return lines.join("\n");
}

/** Lines one level deeper; empty ones stay empty. @param {string} code @param {number} [by] spaces */
export const indented = (code, by = 4) => code.replace(/^(?=.)/gm, " ".repeat(by));
