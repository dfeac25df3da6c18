// What a pasted or dropped text means for the prompts of section 3: rows of prompt, correct and incorrect answer, names with
// their answers, a block of cells, or one text a line. Pure. Nothing is taken of a text that has a fault.
import { SEPARATORS, TableError, parseList, parseTable, tableRows, unified } from "./csv.js";
import { MOST_ROWS } from "./state.js";
import { showCount, showToken } from "./format.js";
import { S } from "./strings.js";

/** @typedef {import("./csv.js").TableRow} TableRow */
/** @typedef {import("./state.js").GridInputs} GridInputs */
/** @typedef {"formats" | "names" | "answers" | "prompt" | "correct" | "incorrect"} Target the list that it was put into, or the column of the list of prompts */
/** @typedef {{ columns: number[], width: number, rows: TableRow[] }} Table `columns`: where prompt, correct and incorrect answer stand */

const words = S.prompts.table;
const COLUMNS = /** @type {const} */ (["prompt", "correct", "incorrect"]);
/** Characters of a cell: of a prompt, and of anything else. */
const LONGEST = { prompt: 20_000, short: 200 };
/** A longer text is no answer: what has such where answers should be is prose with commas, not a table. */
const ANSWER_LIKE = 40;

/** Whether a text is more than one cell: a paste of a single one is left to the field. @param {string} text */
export const isTable = (text) => /[\t\n]/.test(unified(text).trim());

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
  const table = headed(text) ?? unheaded(text);
  if (table) {
    const rows = rowsOf(table);
    return { patch: { use: "rows", rows }, said: words.rows(rows.length) };
  }
  if (target === "names") return namesOf(text, at, now);
  if (target === "answers") {
    const given = cellsOf(text).flatMap(({ line, cells }) => cells.map((cell, i) => short(cell, line, i + 1)));
    if (at + given.length > 2) throw new TableError("table.too_many", words.twoAnswers(showCount(given.length)));
    const answers = /** @type {[string, string]} */ (now.answers.map((answer, i) => given[i - at] ?? answer));
    return { patch: { answers }, said: words.answers(given.length) };
  }
  if (target === "formats") {
    const list = within(parseList(text)).map(({ line, cells: [cell] }) => long(cell, line, 1));
    return { patch: { formats: spliced(now.formats, at, list) }, said: words.formats(list.length) };
  }
  const block = blockOf(text, COLUMNS.indexOf(target));
  const [correct, incorrect] = now.answers;
  const rows = spliced(now.rows, at, block.map((cells, i) => ({ ...(now.rows[at + i] ?? { prompt: "", correct, incorrect }), ...cells })));
  return { patch: { use: "rows", rows }, said: words.rows(block.length) };
}

/** A list of names, each with its answer or without. @param {string} text @param {number} at @param {GridInputs} now */
function namesOf(text, at, now) {
  const pairs = SEPARATORS.map((separator) => attempt(() => parseTable(text, separator))).find((rows) => rows?.length && rows.every(({ cells }) => cells.length === 2));
  if (pairs) {
    const names = within(pairs).map(({ line, cells: [name, answer] }) => ({ name: short(name.trim(), line, 1), answer: answerOf(answer, now.answers, line) }));
    return { patch: { names }, said: words.names(names.length) };
  }
  const list = within(parseList(text)).map(({ line, cells: [cell] }, i) => ({ name: short(cell.trim(), line, 1), answer: now.names[at + i]?.answer ?? 0 }));
  return { patch: { names: spliced(now.names, at, list) }, said: words.names(list.length) };
}

/** Cells as a spreadsheet copies them, or a list. @param {string} text */
const cellsOf = (text) => within(text.includes("\t") ? parseTable(text, "\t") : parseList(text));

/** What is put into the list of prompts from a column on. @param {string} text @param {number} first @returns {Partial<import("./state.js").Row>[]} */
function blockOf(text, first) {
  const rows = cellsOf(text);
  const width = rows[0].cells.length;
  const names = COLUMNS.slice(first, first + width);
  return rows.map(({ line, cells }) => {
    if (cells.length !== width) throw new TableError("table.columns", words.columns(line, cells.length, width));
    if (width > names.length) throw new TableError("table.columns", words.columns(line, width, names.length));
    return Object.fromEntries(names.map((name, i) => [name, (name === "prompt" ? long : short)(cells[i], line, i + 1)]));
  });
}

/** Puts entries in the place of those that are there. @template T @param {T[]} list @param {number} at @param {T[]} entries */
function spliced(list, at, entries) {
  const all = [...list.slice(0, at), ...entries, ...list.slice(at + entries.length)];
  if (all.length > MOST_ROWS) throw new TableError("table.too_many", words.tooMany(showCount(all.length), showCount(MOST_ROWS)));
  return all;
}

/** A table whose first line names its columns: “Correct answer” and “correct_answer”, too. @param {string} text @returns {Table | null} */
function headed(text) {
  for (const separator of SEPARATORS) {
    const head = attempt(() => tableRows(text, separator).next().value);
    const names = head?.cells.map((cell) => cell.trim().toLowerCase().replace(/[\s_-]+/g, " ").replace(/ answer$/, "")) ?? [];
    const columns = COLUMNS.map((name) => names.indexOf(name));
    // A prompt and one kind of answer are a heading that lacks the other, which is said.
    if (columns.filter((column) => column >= 0).length < 2) continue;
    const absent = columns.indexOf(-1);
    if (absent >= 0) throw new TableError("table.heading", words.heading(COLUMNS[absent]));
    return { columns, width: names.length, rows: parseTable(text, separator).slice(1).filter(written) };
  }
  return null;
}

/**
 * A table without a heading: three columns whose last two can be answers, which those of a sentence with two commas are not.
 * A text whose first line has two tabs is a table whatever it has.
 * @param {string} text @returns {Table | null}
 */
function unheaded(text) {
  for (const separator of SEPARATORS) {
    /** @type {TableRow[]} */
    const rows = [];
    const sure = separator === "\t" && unified(text).trimStart().split("\n", 1)[0].split("\t").length >= 3;
    try {
      for (const row of tableRows(text, separator)) if (written(row)) rows.push(row);
    } catch (error) {
      // Of a table it is a fault; text with a stray quote is none.
      if (sure || likely(rows)) throw error;
      continue;
    }
    if (sure || likely(rows)) return { columns: [0, 1, 2], width: 3, rows };
  }
  return null;
}

/** Whether there is more in a line than its separators, as spreadsheets leave them below a table. @param {TableRow} row */
const written = ({ cells }) => cells.some((cell) => cell.trim());
const answerLike = (/** @type {string} */ cell) => cell.length <= ANSWER_LIKE && /^\s?\S+$/.test(cell);
/** Most lines are those of a table: in the others something is missing, which is said. @param {TableRow[]} rows */
const likely = (rows) => 2 * rows.filter(({ cells }) => cells.length === 3 && cells.slice(1).every((cell) => cell === "" || answerLike(cell))).length > rows.length
  && rows.some(({ cells }) => cells.length === 3 && cells.slice(1).every(answerLike));

/** @template T @param {() => T} body @returns {T | null} null where the text is no table */
function attempt(body) {
  try {
    return body();
  } catch (error) {
    if (error instanceof TableError) return null;
    throw error;
  }
}

/** @param {Table} table */
function rowsOf({ columns, width, rows }) {
  return within(rows).map(({ line, cells }) => {
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
