import assert from "node:assert/strict";
import { test } from "node:test";
import { TableError, parseList, parseTable } from "../../www/csv.js";
import { MOST_PROMPTS, filled, withName } from "../../www/experiments.js";
import { isTable, taken } from "../../www/prompt_table.js";
import { initialState } from "../../www/state.js";

const now = initialState().grid.inputs;
const cells = (/** @type {string} */ text, separator = ",") => parseTable(text, separator).map(({ cells }) => cells);
/** @param {() => unknown} body @param {string} code @param {RegExp} words */
const refused = (body, code, words) => assert.throws(body, (error) => error instanceof TableError && error.code === code && words.test(error.message) && /Nothing was changed/.test(String(error.action)));

test("quotes, doubled quotes, line ends and separators inside of quotes, as in RFC 4180", () => {
  assert.deepEqual(cells('a,b,c\r\n"x, y","he said ""hi""","two\nlines"\r\n'), [["a", "b", "c"], ["x, y", 'he said "hi"', "two\nlines"]]);
  assert.deepEqual(cells("a\tb\n1,5\t\"2\t3\"", "\t"), [["a", "b"], ["1,5", "2\t3"]]);
  assert.deepEqual(cells("a;b\n1;2", ";"), [["a", "b"], ["1", "2"]]);
  assert.deepEqual(cells("a,b\r\"x\ry\",1\r"), [["a", "b"], ["x\ny", "1"]], "an old Mac's line ends");
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
  assert.deepEqual(taken('"Mary, is", she, he\nJohn is, he, she', "prompt", 1, now).patch, { use: "rows", rows });
  assert.deepEqual(taken("Incorrect\tnotes\tCorrect\tPrompt\n he\tx\t she\tMary, is\n she\ty\t he\tJohn is", "names", 0, now).patch, { use: "rows", rows });
});

test("what stands between the cells is what makes a table of the text, and a heading is found however it is written", () => {
  const rows = [{ prompt: "Mary is a great friend, isn’t", correct: " she", incorrect: " he" }, { prompt: "John, too, is a friend, isn’t", correct: " he", incorrect: " she" }];
  const body = (/** @type {string} */ by, end = "\n") => rows.map(({ prompt, correct, incorrect }) => [prompt, correct, incorrect].join(by)).join(end);
  for (const [text, what] of [
    [body(";"), "semicolons, as a German spreadsheet writes them, no heading, commas in the prompts"],
    [body(";", "\r"), "a lone carriage return ends a line"],
    [`${body(";")}\n;;\n;;\n`, "empty lines below the table"],
    [`Prompt;Correct answer;Incorrect answer\n${body(";")}`, "a heading in words"],
    [`\n"prompt"\tCORRECT_ANSWER\t incorrect  Answer \n${body("\t")}`, "a heading with tabs"],
    [`Prompt,Correct answer,Incorrect answer\n"${rows[0].prompt}", she, he\n"${rows[1].prompt}", he, she`, "a heading with commas"],
  ]) assert.deepEqual(taken(text, "prompt", 0, now).patch, { use: "rows", rows }, what);
  refused(() => taken(`Prompt;Correct answer\na; b`, "prompt", 0, now), "table.heading", /none “incorrect”/);
});

test("prose is a list, whatever commas, quotes and words of a heading it has, and nothing of it is lost", () => {
  const list = (/** @type {string[]} */ lines, /** @type {string} */ text = lines.join("\n")) =>
    assert.deepEqual(taken(text, "formats", 0, { ...now, formats: [] }).patch.formats, lines);
  list(["Well, I think, she is", "So, he said, they are"]);
  list(["The prompt is incorrect here", "and the correct one is not"]);
  list(["“Yes”, she said", '"No," he said, "never"', "And, so, on it went"]);
  list(['"Mary, is", she', "John, too, is"]);
  list(["Mary, who is here, is", "John, who is there, is"], '"Mary, who is here, is"\nJohn, who is there, is\n');
  list(["one\nprompt, of two lines", "next"], '"one\nprompt, of two lines"\r\nnext');
  assert.deepEqual(parseList('a\n\n"b\nc"\nd').map(({ line }) => line), [1, 3, 5], "lines are those of the text");
});

test("a column fills the list that it is pasted into, from the place on where it is", () => {
  assert.deepEqual(taken("Ann\nBob\n", "names", 4, now).patch.names?.slice(3), [now.names[3], { name: "Ann", answer: 0 }, { name: "Bob", answer: 0 }]);
  for (const text of ["Ann,she\nBob,he", "Ann;she\rBob;he", "Ann\tshe\nBob\the"]) {
    assert.deepEqual(taken(text, "names", 0, now).patch.names, [{ name: "Ann", answer: 0 }, { name: "Bob", answer: 1 }]);
  }
  assert.deepEqual(taken("{} is a friend, isn’t\n{} is here, isn’t", "formats", 4, now).patch.formats, [...now.formats.slice(0, 4), "{} is a friend, isn’t", "{} is here, isn’t"],
    "commas of a sentence are no columns");
  assert.deepEqual(taken("When Ann, Bob, and the rest of the whole long company arrived at last\nx", "prompt", 0, now).patch.rows?.map(({ prompt, correct }) => [prompt, correct]),
    [["When Ann, Bob, and the rest of the whole long company arrived at last", " she"], ["x", " he"]]);
  assert.ok(!isTable("Mary is, she") && !isTable("a\n") && !isTable("a\r") && isTable("a\nb") && isTable("a\tb") && isTable("a\rb"));
});

test("columns of answers are filled as those of prompts are, and the two answers of the formats", () => {
  const [first, second] = now.rows;
  assert.deepEqual(taken(" her\n him\n it", "correct", 1, now).patch, { use: "rows",
    rows: [first, { ...second, correct: " her" }, { prompt: "", correct: " him", incorrect: " he" }, { prompt: "", correct: " it", incorrect: " he" }] });
  assert.deepEqual(taken(" her\t him", "correct", 0, now).patch.rows, [{ ...first, correct: " her", incorrect: " him" }, second]);
  assert.deepEqual(taken("Ann is\t her\nBob is\t him", "prompt", 0, now).patch.rows, [{ ...first, prompt: "Ann is", correct: " her" }, { ...second, prompt: "Bob is", correct: " him" }]);
  assert.deepEqual(taken(" x\n y", "incorrect", 0, now).patch.rows?.map(({ incorrect }) => incorrect), [" x", " y"]);
  refused(() => taken("a\tb", "incorrect", 0, now), "table.columns", /^Line 1 has 2 columns, expected 1/);
  refused(() => taken("a\tb\nc", "correct", 0, now), "table.columns", /^Line 2 has 1 column, expected 2/);
  refused(() => taken(`a\n${"b".repeat(201)}`, "correct", 0, now), "table.too_long", /^Line 2/);
  assert.deepEqual(taken(" her\n him", "answers", 0, now).patch, { answers: [" her", " him"] });
  assert.deepEqual(taken(" her\t him", "answers", 0, now).patch, { answers: [" her", " him"] });
  refused(() => taken(" her\n him", "answers", 1, now), "table.too_many", /two answers/);
});

test("what has a fault changes nothing, and says where it is", () => {
  const head = "prompt,correct,incorrect\n";
  refused(() => taken(`${head}a, b`, "prompt", 0, now), "table.columns", /^Line 2 has 2 columns, expected 3/);
  refused(() => taken(`${head}a, b, c\nd,, f`, "prompt", 0, now), "table.empty_cell", /^Line 3, column 2: the correct answer/);
  refused(() => taken(head, "prompt", 0, now), "table.empty", /no rows/);
  refused(() => taken(`${head}${"a, b, c\n".repeat(501)}`, "prompt", 0, now), "table.too_many", /501 rows, at most 500/);
  refused(() => taken("x\n".repeat(497), "formats", 5, now), "table.too_many", /502 rows, at most 500/);
  refused(() => taken(`${head}a,${"b".repeat(201)}, c`, "prompt", 0, now), "table.too_long", /^Line 2, column 2: 201 characters/);
  refused(() => taken(`x\n${"y".repeat(20_001)}`, "formats", 0, now), "table.too_long", /^Line 2, column 1: 20,001 characters/);
  refused(() => taken("Ann,she\nBob,they", "names", 0, now), "table.answer", /^Line 2, column 2: “they” is neither “␣she” nor “␣he”/);
  refused(() => taken('"a\nb', "prompt", 0, now), "table.quote", /^Line 1, column 1/);
  refused(() => taken('a; b; c\n"d"e; f; g', "prompt", 0, now), "table.quote", /^Line 2, column 1/);
  refused(() => taken("a; b; c\nd;; f", "prompt", 0, now), "table.empty_cell", /^Line 2, column 2/);
  refused(() => taken("a\t b\t c\td", "prompt", 0, now), "table.columns", /^Line 1 has 4 columns, expected 3/);
  refused(() => taken('"a"b\tc\td', "prompt", 0, now), "table.quote", /^Line 1, column 1/);
  refused(() => taken("a is; b; c\nd is; e\nf is; g; h", "prompt", 0, now), "table.columns", /^Line 2 has 2 columns, expected 3/);
});

test("a name is put in as it is, whatever signs it has", () => {
  assert.equal(withName("{} and {} are", "$& $' $1"), "$& $' $1 and $& $' $1 are");
  assert.equal(filled({ ...now, names: [{ name: "$$", answer: 0 }] })[0].prompt, "$$ is a great friend, isn’t");
});

test("formats with names make no more prompts than can be computed, and say so", () => {
  const many = { ...now, formats: Array(100).fill("{} is"), names: Array(100).fill({ name: "Ann", answer: 0 }) };
  assert.equal(filled(many).length, MOST_PROMPTS);
  assert.throws(() => filled({ ...many, names: Array(500).fill(many.names[0]) }), /** @param {any} error */ (error) => error.code === "input.too_many"
    && error.message === "100 formats with 500 names each are 50,000 prompts, at most 10,000 are taken." && /away/.test(error.action));
});
