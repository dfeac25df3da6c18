// Tables as text: commas, semicolons or tabs between the cells, quotes as in RFC 4180. Pure.
import { LabError } from "./errors.js";
import { S } from "./strings.js";

const words = S.prompts.table;

/** One line of a table. `line`: the number of its first line in the text, from 1. @typedef {{ line: number, cells: string[] }} TableRow */

/** What is wrong with a table, and where. `code`: table.quote, table.columns, table.empty_cell, table.too_long, table.too_many or table.empty. */
export class TableError extends LabError {
  /** @param {string} code @param {string} message */
  constructor(code, message) {
    super(code, message, words.unchanged);
    this.name = "TableError";
  }
}

/** What stands between cells: a tab where the first line has one, as spreadsheets copy. @param {string} text @returns {"\t" | "," | ";"} */
export function separatorOf(text) {
  const first = withoutQuoted(text).split(/\r?\n/).find((line) => line.trim()) ?? "";
  return first.includes("\t") ? "\t" : first.includes(";") && !first.includes(",") ? ";" : ",";
}

/** @param {string} text */
const withoutQuoted = (text) => text.slice(0, 100_000).replace(/"[^"]*"/g, "");

/**
 * The cells of every line that is not empty.
 * @param {string} text
 * @param {string} separator "" where a line is one cell
 * @returns {TableRow[]}
 * @throws {TableError} `table.quote` where a quote does not end, or something follows it
 */
export function parseTable(text, separator) {
  /** @type {TableRow[]} */
  const rows = [];
  let at = text.startsWith("\ufeff") ? 1 : 0;
  let line = 1;
  while (at < text.length) {
    /** @type {TableRow} */
    const row = { line, cells: [] };
    for (;;) {
      row.cells.push(cell(row));
      if (text[at] !== separator) break;
      at += 1;
    }
    at += text.startsWith("\r\n", at) ? 2 : 1;
    line += 1;
    if (row.cells.length > 1 || row.cells[0].trim()) rows.push(row);
  }
  return rows;

  /** @param {TableRow} row whose next cell begins here */
  function cell({ cells }) {
    if (text[at] !== '"') {
      const end = endFrom(at);
      const plain = text.slice(at, end);
      at = end;
      return plain;
    }
    const where = [line, cells.length + 1];
    let value = "";
    for (at += 1; ; at += 1) {
      if (at >= text.length) throw new TableError("table.quote", words.unclosed(where[0], where[1]));
      if (text[at] === "\n") line += 1;
      if (text[at] !== '"') value += text[at];
      else if (text[at + 1] === '"') {
        value += '"';
        at += 1;
      } else break;
    }
    at += 1;
    if (at < text.length && ![separator, "\n", "\r"].includes(text[at])) throw new TableError("table.quote", words.afterQuote(line, where[1]));
    return value;
  }

  /** @param {number} from */
  function endFrom(from) {
    let end = from;
    while (end < text.length && ![separator, "\n"].includes(text[end]) && !text.startsWith("\r\n", end)) end += 1;
    return end;
  }
}
