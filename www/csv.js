// Tables as text: tabs, semicolons or commas between the cells, quotes as in RFC 4180; and lists, a line each. Pure.
import { LabError } from "./errors.js";
import { S } from "./strings.js";

const words = S.prompts.table;

/** One line of a table. `line`: the number of its first line in the text, from 1. @typedef {{ line: number, cells: string[] }} TableRow */

/** What is wrong with a table, and where. `code`: table.quote, table.heading, table.columns, table.empty_cell, table.too_long, table.too_many or table.empty. */
export class TableError extends LabError {
  /** @param {string} code @param {string} message */
  constructor(code, message) {
    super(code, message, words.unchanged);
    this.name = "TableError";
  }
}

/** What may stand between cells, in the order in which it is looked for: a sentence has commas, but hardly a tab. */
export const SEPARATORS = ["\t", ";", ","];

/** A text with one kind of line end, whatever made it. @param {string} text */
export const unified = (text) => text.replace(/^\ufeff/, "").replace(/\r\n?/g, "\n");

/** The cells of every line that is not empty. @param {string} text @param {string} separator @throws {TableError} as `tableRows` */
export const parseTable = (text, separator) => [...tableRows(text, separator)];

/**
 * The same one by one, so that those before a fault are known.
 * @param {string} raw
 * @param {string} separator
 * @returns {Generator<TableRow, void>}
 * @throws {TableError} `table.quote` where a quote does not end, or something follows it
 */
export function* tableRows(raw, separator) {
  const text = unified(raw);
  let [at, line] = [0, 1];
  while (at < text.length) {
    /** @type {TableRow} */
    const row = { line, cells: [] };
    for (;;) {
      row.cells.push(cell(row.cells.length + 1));
      if (text[at] !== separator) break;
      at += 1;
    }
    at += 1;
    line += 1;
    if (row.cells.length > 1 || row.cells[0].trim()) yield row;
  }

  /** @param {number} column of the cell that begins here */
  function cell(column) {
    const found = quoted(text, at);
    if (!found) {
      const from = at;
      while (at < text.length && text[at] !== separator && text[at] !== "\n") at += 1;
      return text.slice(from, at);
    }
    if (found.end === null) throw new TableError("table.quote", words.unclosed(line, column));
    line += text.slice(at, found.end).split("\n").length - 1;
    at = found.end;
    if (at < text.length && text[at] !== separator && text[at] !== "\n") throw new TableError("table.quote", words.afterQuote(line, column));
    return found.value;
  }
}

/**
 * The lines of a list that are not empty, with whatever commas they have, one cell each. One that is quoted as a whole, as a
 * spreadsheet copies a cell of several lines, is without its quotes; one that has more in it than its quotes stays as it is.
 * @param {string} raw
 * @returns {TableRow[]}
 * @throws {TableError} `table.quote` where a quote does not end
 */
export function parseList(raw) {
  const text = unified(raw);
  /** @type {TableRow[]} */
  const rows = [];
  for (let at = 0, line = 1; at < text.length; at += 1, line += 1) {
    const found = quoted(text, at);
    if (found?.end === null) throw new TableError("table.quote", words.unclosed(line, 1));
    const whole = found && [undefined, "\n"].includes(text[found.end]);
    const end = whole ? found.end : lineEnd(text, at);
    const cell = whole ? found.value : text.slice(at, end);
    if (cell.trim()) rows.push({ line, cells: [cell] });
    line += text.slice(at, end).split("\n").length - 1;
    at = end;
  }
  return rows;
}

/** @param {string} text @param {number} at */
function lineEnd(text, at) {
  const end = text.indexOf("\n", at);
  return end < 0 ? text.length : end;
}

/**
 * What stands between quotes, if a quote is here. `end`: behind the closing one; null where there is none.
 * @param {string} text @param {number} at
 * @returns {{ value: string, end: number } | { value: string, end: null } | null}
 */
function quoted(text, at) {
  if (text[at] !== '"') return null;
  for (let end = at + 1; end < text.length; end += 1) {
    if (text[end] !== '"') continue;
    if (text[end + 1] === '"') end += 1;
    else return { value: text.slice(at + 1, end).replaceAll('""', '"'), end: end + 1 };
  }
  return { value: "", end: null };
}
