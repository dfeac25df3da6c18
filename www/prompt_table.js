// What a pasted or dropped text means for the prompts of section 3: rows of prompt, correct and incorrect answer, names with
// their answers, or one text a line. Pure. Nothing is taken of a text that has a fault.
import { TableError, parseTable, separatorOf } from "./csv.js";
import { MOST_ROWS } from "./state.js";
import { showCount, showToken } from "./format.js";
import { S } from "./strings.js";

/** @typedef {import("./csv.js").TableRow} TableRow */
/** @typedef {import("./state.js").GridInputs} GridInputs */
/** @typedef {"formats" | "names" | "prompts"} Target the list that it was put into */

const words = S.prompts.table;
const COLUMNS = /** @type {const} */ (["prompt", "correct", "incorrect"]);
/** Characters of a cell: of a prompt, and of anything else. */
const LONGEST = { prompt: 20_000, short: 200 };
/** What has longer cells than this where answers should be is text with commas, not a table. */
const ANSWER_LIKE = 40;

/** Whether a text is more than one cell: a paste of a single one is left to the field. @param {string} text */
export const isTable = (text) => /[\t\n]/.test(text.trim());

/**
 * The inputs that a text asks for.
 * @param {string} text
 * @param {Target} target
 * @param {number} at where in the list it was put
 * @param {GridInputs} now
 * @returns {{ patch: Partial<GridInputs>, said: string }} `said`: what was done, in words
 * @throws {TableError}
 */
export function taken(text, target, at, now) {
  const table = tableOf(text);
  if (table) {
    const rows = rowsOf(table);
    return { patch: { use: "rows", rows }, said: words.rows(rows.length) };
  }
  const pairs = target === "names" ? parseTable(text, separatorOf(text)) : [];
  if (pairs.length && pairs.every(({ cells }) => cells.length === 2)) {
    const names = within(pairs).map(({ line, cells: [name, answer] }) => ({ name: short(name.trim(), line, 1), answer: answerOf(answer, now.answers, line) }));
    return { patch: { names }, said: words.names(names.length) };
  }
  // A list of prompts or names, with whatever commas they have: a line is one, unless it is quoted.
  const lines = within(parseTable(text, /^\s*"/.test(text) ? "," : ""));
  const list = lines.map(({ line, cells: [cell] }) => (target === "names" ? short(cell.trim(), line, 1) : long(cell, line, 1)));
  if (target === "names") {
    const names = spliced(now.names, at, list.map((name, i) => ({ name, answer: now.names[at + i]?.answer ?? 0 })));
    return { patch: { names }, said: words.names(list.length) };
  }
  if (target === "formats") return { patch: { formats: spliced(now.formats, at, list) }, said: words.formats(list.length) };
  const [correct, incorrect] = now.answers;
  const rows = spliced(now.rows, at, list.map((prompt, i) => ({ ...(now.rows[at + i] ?? { correct, incorrect }), prompt })));
  return { patch: { use: "rows", rows }, said: words.rows(list.length) };
}

/** Puts entries in the place of those that are there. @template T @param {T[]} list @param {number} at @param {T[]} entries */
function spliced(list, at, entries) {
  const all = [...list.slice(0, at), ...entries, ...list.slice(at + entries.length)];
  if (all.length > MOST_ROWS) throw new TableError("table.too_many", words.tooMany(showCount(all.length), showCount(MOST_ROWS)));
  return all;
}

/** A table of prompts with their answers, if the text is one. @param {string} text @returns {TableRow[] | null} */
function tableOf(text) {
  const separator = separatorOf(text);
  const first = text.split("\n", 1)[0].toLowerCase();
  const named = COLUMNS.every((name) => first.includes(name));
  // Text with a stray quote is no table; one that says what it is has a fault then.
  const table = attempt(() => parseTable(text, separator), named || separator === "\t" || /(^|\n)"/.test(text));
  if (!table?.length) return null;
  const three = table.every(({ cells }) => cells.length === 3 && cells[1].length <= ANSWER_LIKE && cells[2].length <= ANSWER_LIKE);
  return named || three || (separator === "\t" && table[0].cells.length >= 3) ? table : null;
}

/** @template T @param {() => T} body @param {boolean} sure whether its fault is one that the visitor should hear of */
function attempt(body, sure) {
  try {
    return body();
  } catch (error) {
    if (sure) throw error;
    return null;
  }
}

/** @param {TableRow[]} table */
function rowsOf(table) {
  const head = table[0].cells.map((cell) => cell.trim().toLowerCase());
  const named = COLUMNS.every((name) => head.includes(name));
  const columns = named ? COLUMNS.map((name) => head.indexOf(name)) : [0, 1, 2];
  const width = table[0].cells.length;
  return within(named ? table.slice(1) : table).map(({ line, cells }) => {
    if (cells.length !== width) throw new TableError("table.columns", words.columns(line, cells.length, width));
    const [prompt, correct, incorrect] = columns.map((column, i) => {
      const cell = cells[column];
      if (i && cell === "") throw new TableError("table.empty_cell", words.emptyCell(line, column + 1, COLUMNS[i]));
      return i ? short(cell, line, column + 1) : long(cell, line, column + 1);
    });
    return { prompt, correct, incorrect };
  });
}

/** @param {TableRow[]} rows */
function within(rows) {
  if (!rows.length) throw new TableError("table.empty", words.empty);
  if (rows.length > MOST_ROWS) throw new TableError("table.too_many", words.tooMany(showCount(rows.length), showCount(MOST_ROWS)));
  return rows;
}

/** @param {string} text @param {[string, string]} answers @param {number} line @returns {0 | 1} */
function answerOf(text, answers, line) {
  const found = answers.findIndex((answer) => answer.trim() === text.trim());
  if (found < 0) throw new TableError("table.answer", words.answer(line, showToken(text.slice(0, ANSWER_LIKE)), showToken(answers[0]), showToken(answers[1])));
  return found ? 1 : 0;
}

/** @param {string} text @param {number} line @param {number} column */
const short = (text, line, column) => limited(text, LONGEST.short, line, column);
/** @param {string} text @param {number} line @param {number} column */
const long = (text, line, column) => limited(text, LONGEST.prompt, line, column);

/** @param {string} text @param {number} most @param {number} line @param {number} column */
function limited(text, most, line, column) {
  if (text.length > most) throw new TableError("table.too_long", words.tooLong(line, column, showCount(text.length), showCount(most)));
  return text;
}
