import assert from "node:assert/strict";
import { test } from "node:test";
import { TableError, parseTable, separatorOf } from "../../www/csv.js";
import { isTable, taken } from "../../www/prompt_table.js";
import { initialState } from "../../www/state.js";

const now = initialState().grid.inputs;
const cells = (/** @type {string} */ text) => parseTable(text, separatorOf(text)).map(({ cells }) => cells);
/** @param {() => unknown} body @param {string} code @param {RegExp} words */
const refused = (body, code, words) => assert.throws(body, (error) => error instanceof TableError && error.code === code && words.test(error.message) && /Nothing was changed/.test(String(error.action)));

test("quotes, doubled quotes, line ends and separators inside of quotes, as in RFC 4180", () => {
  assert.deepEqual(cells('a,b,c\r\n"x, y","he said ""hi""","two\nlines"\r\n'), [["a", "b", "c"], ["x, y", 'he said "hi"', "two\nlines"]]);
  assert.deepEqual(cells("a\tb\n1,5\t\"2\t3\""), [["a", "b"], ["1,5", "2\t3"]]);
  assert.deepEqual(cells("a;b\n1;2"), [["a", "b"], ["1", "2"]]);
  assert.deepEqual(cells("\ufeffa,b\n\n\n c , d \n"), [["a", "b"], [" c ", " d "]], "spaces belong to tokens, and stay");
  assert.deepEqual(cells('5" disk,b\n,'), [['5" disk', "b"], ["", ""]]);
  assert.deepEqual(parseTable('a,b\n"x\ny",1\nc,d', ",").map(({ line }) => line), [1, 2, 4], "lines are those of the text");
  assert.deepEqual(cells("=cmd()|' /C calc'!A0,<img src=x>,\u202e"), [["=cmd()|' /C calc'!A0", "<img src=x>", "\u202e"]]);
});

test("a quote that does not end, or is followed by text, is named with line and column", () => {
  refused(() => cells('a,b\nc,"d\ne,f'), "table.quote", /^Line 2, column 2: .*does not end/);
  refused(() => cells('a,b\n"c"d,e'), "table.quote", /^Line 2, column 1: .*after the closing quote/);
});

test("a table of prompts with answers becomes rows, with or without a heading, in the heading's order", () => {
  const rows = [{ prompt: "Mary, is", correct: " she", incorrect: " he" }, { prompt: "John is", correct: " he", incorrect: " she" }];
  assert.deepEqual(taken('prompt,correct,incorrect\n"Mary, is", she, he\nJohn is, he, she\n', "formats", 0, now).patch, { use: "rows", rows });
  assert.deepEqual(taken('"Mary, is", she, he\nJohn is, he, she', "prompts", 1, now).patch, { use: "rows", rows });
  assert.deepEqual(taken("Incorrect\tnotes\tCorrect\tPrompt\n he\tx\t she\tMary, is\n she\ty\t he\tJohn is", "names", 0, now).patch, { use: "rows", rows });
});

test("a column fills the list that it is pasted into, from the place on where it is", () => {
  assert.deepEqual(taken("Ann\nBob\n", "names", 4, now).patch.names?.slice(3), [now.names[3], { name: "Ann", answer: 0 }, { name: "Bob", answer: 0 }]);
  assert.deepEqual(taken("Ann,she\nBob,he", "names", 0, now).patch.names, [{ name: "Ann", answer: 0 }, { name: "Bob", answer: 1 }]);
  assert.deepEqual(taken("{} is a friend, isn’t\n{} is here, isn’t", "formats", 4, now).patch.formats, [...now.formats.slice(0, 4), "{} is a friend, isn’t", "{} is here, isn’t"],
    "commas of a sentence are no columns");
  assert.deepEqual(taken("When Ann, Bob, and the rest of the whole long company arrived at last\nx", "prompts", 0, now).patch.rows?.map(({ prompt, correct }) => [prompt, correct]),
    [["When Ann, Bob, and the rest of the whole long company arrived at last", " she"], ["x", " he"]]);
  assert.ok(!isTable("Mary is, she") && !isTable("a\n") && isTable("a\nb") && isTable("a\tb"));
});

test("what has a fault changes nothing, and says where it is", () => {
  const head = "prompt,correct,incorrect\n";
  refused(() => taken(`${head}a, b`, "prompts", 0, now), "table.columns", /^Line 2 has 2 columns, expected 3/);
  refused(() => taken(`${head}a, b, c\nd,, f`, "prompts", 0, now), "table.empty_cell", /^Line 3, column 2: the correct answer/);
  refused(() => taken(head, "prompts", 0, now), "table.empty", /no rows/);
  refused(() => taken(`${head}${"a, b, c\n".repeat(501)}`, "prompts", 0, now), "table.too_many", /501 rows, at most 500/);
  refused(() => taken("x\n".repeat(497), "formats", 5, now), "table.too_many", /502 rows, at most 500/);
  refused(() => taken(`${head}a,${"b".repeat(201)}, c`, "prompts", 0, now), "table.too_long", /^Line 2, column 2: 201 characters/);
  refused(() => taken(`x\n${"y".repeat(20_001)}`, "formats", 0, now), "table.too_long", /^Line 2, column 1: 20,001 characters/);
  refused(() => taken("Ann,she\nBob,they", "names", 0, now), "table.answer", /^Line 2, column 2: “they” is neither “␣she” nor “␣he”/);
  refused(() => taken('"a\nb', "prompts", 0, now), "table.quote", /^Line 1, column 1/);
});
