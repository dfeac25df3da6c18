// Sentences of people stand in the tables of strings: a heuristic for those that do not, and what the tables do with numbers.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

const WWW = new URL("../../www/", import.meta.url);
const SOURCES = readdirSync(WWW, { recursive: true, encoding: "utf8" }).map((path) => path.replaceAll("\\", "/"))
  .filter((path) => path.endsWith(".js") && !/^(vendor|pkg)\/|^strings(\.js$|\/)/.test(path));

/** Where English may stand, and why. */
const ALLOWED = /** @type {[RegExp, string][]} */ ([
  [/^export\/(python|npz)/, "comments and messages of a program that is saved, which is in English"],
  [/^(microtome|host|in_page|service|module|errors|ask|threads|panic|training_run|bench_worker|self_test)\.js$/, "the JavaScript API, whose messages are in English as the engine's and the command line's are"],
  [/^snippet\.js$/, "markup for another page, its attributes"],
  [/^(tasks|training|state)\.js$|^workshop\/(measure|exercises)\.js$/, "prompts, which the models read in English"],
]);
/** Code that puts text onto the page. */
const SHOWN = /\b(el|fill|refill|button|choice|select|textField|tokenField|linesField|checkbox|group|tell|note|errorBox|scrollable|boxes)\(|\.(textContent|title|placeholder|ariaLabel)\s*=[^=]|"?(aria-[a-z]+|title|label|placeholder|message|alt|hint|role description)"?\s*:|setAttribute\(|\.(append|prepend)\(|\breturn\b|=> \(?["`]/;
/** What is thrown is the API's; what is thrown because of a mistake in the page is nobody's to read. */
const THROWN = /\b(LabError|TableError|Error|TypeError|RangeError)\(/;
/** Two words of letters beside each other, or a word that ends a sentence. */
const WORDS = /\p{L}{2,} (\p{L}+ )?\p{L}{2,}|^\p{Lu}\p{Ll}+[.!?…]$/u;

/** Code without comments, line by line. @param {string} text */
const code = (text) => text.replace(/\/\*[^]*?\*\//g, (found) => found.replace(/[^\n]/g, " ")).split("\n").map((line) => line.replace(/(^|[\s;,{(])\/\/ .*$/, "$1"));
/** The literals of a line, their placeholders left out. @param {string} line */
const literals = (line) => [...line.matchAll(/"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|`((?:[^`\\]|\\.)*)`/g)]
  .map(([, a, b, c]) => (a ?? b ?? c).replace(/\$\{[^}]*\}/g, "…"));
/** Lists of classes are no sentences. @param {string} line @param {string} text */
const technical = (line, text) => /^[a-z …-]+$/.test(text) && /class(Name|List)?\b|querySelector|matches\(|role:/.test(line);

/** @param {string} path @param {string} text */
const sentences = (path, text) => (ALLOWED.some(([place]) => place.test(path)) ? []
  : code(text).flatMap((line, i) => (SHOWN.test(line) && !THROWN.test(line) ? literals(line) : [])
    .filter((text) => WORDS.test(text) && !technical(line, text)).map((text) => `${path}:${i + 1}: ${text}`)));

test("what the page shows comes out of the tables of strings", () => {
  assert.ok(SOURCES.length > 100);
  assert.deepEqual(SOURCES.flatMap((path) => sentences(path, readFileSync(new URL(path, WWW), "utf8"))), []);
});

test("a sentence that is not in a table is found", () => {
  const found = (/** @type {string} */ line) => sentences("x.js", line).length;
  assert.ok(found('fill(part("status"), aborted ? "Cancelled." : "Nothing was measured.");'));
  assert.ok(found("text.textContent = `${name}: still loading it`;"));
  assert.ok(found('progress.tell({ message: "No answer for 3 s" });'));
  assert.ok(found('el("p", { title: "What is this" }, S.x)'));
  assert.ok(!found('el("p", { class: "note quiet" }, S.common.run) // says what is run'));
  assert.ok(!found('throw new Error("There is no such thing.");'));
});

test("whatever may be in English is still there", () => {
  for (const [place, why] of ALLOWED) assert.ok(SOURCES.some((path) => place.test(path)), why);
});

test("numbers of a sentence are written as the visitor's language does", () => {
  // Of names there is one spelling: a head's is L0H6 everywhere, a token's id is what the tokenizer's file has.
  const named = /L\$\{layer\}H\$\{head\}|token \$\{id\}/g;
  for (const table of ["strings.js", "strings/first.js", "strings/prompts.js", "strings/figures.js", "strings/room.js"]) {
    const text = readFileSync(new URL(table, WWW), "utf8").replace(named, "");
    // The rest of an entry follows the types of what it is given.
    for (const [, name, rest] of text.matchAll(/\{number\}(?: \*\/)? (\w+)((?:[^\n]*\n?){0,3}?[^\n]*=>[^\n]*(?:\n {4,}`[^\n]*)?)/g)) {
      assert.doesNotMatch(rest, new RegExp(`\\$\\{${name}\\}`), `${table}: ${name} is put in without showCount`);
    }
  }
});
