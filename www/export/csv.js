// Tables as CSV: RFC 4180, with a header, CRLF, and numbers in full with a full stop, whatever the language of the page. Pure.

/**
 * A spreadsheet takes a cell that begins so for a formula: text gets a ' before it. Numbers never do, or −0.5 would be text.
 * What reads the file as data sees that ' at the front of such tokens and names.
 */
const FORMULA = /^[=+\-@\t\r]/;

/** A cell: text is quoted where it must be, null is empty, and so is what is no number. @param {string | number | boolean | null | undefined} value */
export function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "string") return typeof value === "number" && !Number.isFinite(value) ? "" : String(value);
  const safe = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll("\"", "\"\"")}"` : safe;
}

/**
 * @param {string[]} header
 * @param {(string | number | boolean | null | undefined)[][]} rows
 * @param {unknown} [about] where the numbers come from: its JSON is one more column's first cell, since CSV has no comments
 */
export function csvOf(header, rows, about) {
  const all = about === undefined ? [header, ...rows]
    : [[...header, "about"], ...rows.map((row, i) => [...row, i ? "" : JSON.stringify(about)])];
  return all.map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}
