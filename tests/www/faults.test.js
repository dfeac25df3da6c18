import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

/** @param {string} path from the repository's root */
const read = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const TABLE = read("tests/FAULTS.md");
/** Rows of the table: their number, and the tests that they name, by file. */
const ROWS = [...TABLE.matchAll(/^\| (\d+) \|(.*)\|$/gm)].map(([, number, cells]) => ({
  number: Number(number),
  named: cells.split("|").at(-1)?.trim().split("<br>").map((part) => {
    const [file, ...names] = [...part.matchAll(/`([^`]+)`/g)].map(([, text]) => text);
    return { file, names };
  }) ?? [],
}));
/** Faults without a test in the page, which the table names above its rows. */
const UNTESTED = [30, 31, 32, 33, 36];
const LAST = 50;

/** @param {string} text */
const literal = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/**
 * Whether a file has a test of this name: a function behind `#[test]`, or a whole text; a name that a check goes on with
 * something that is computed counts up to there.
 * @param {string} file
 * @param {string} name
 */
function exists(file, name) {
  const source = read(file);
  if (file.endsWith(".rs")) return new RegExp(`#\\[test\\]\\s+(?:#\\[[^\\]]*\\]\\s+)*fn ${literal(name)}\\(`).test(source);
  return new RegExp(`"${literal(name)}"|\`${literal(name)}(?:\`|\\$\\{)`).test(source);
}

test("the table of faults has each row, and names only tests that exist", () => {
  assert.deepEqual(ROWS.map(({ number }) => number), Array.from({ length: LAST }, (_, i) => i + 1).filter((number) => !UNTESTED.includes(number)));
  const said = /Without a test in the page[^]*?\n\n/.exec(TABLE)?.[0] ?? "";
  assert.deepEqual([...said.matchAll(/(\d+)[,)]/g)].map(([, number]) => Number(number)), UNTESTED);
  for (const { number, named } of ROWS) {
    assert.ok(named.some(({ names }) => names.length), `row ${number} names no test`);
    for (const { file, names } of named) {
      for (const name of names) assert.ok(exists(file, name), `row ${number}: ${file} has no test “${name}”`);
    }
  }
});

test("every check in the browser that has a row's number is named in that row", () => {
  const folder = "tests/browser";
  let found = 0;
  for (const name of readdirSync(new URL(`../../${folder}`, import.meta.url)).filter((name) => name.endsWith(".mjs"))) {
    for (const [, , check, number] of read(`${folder}/${name}`).matchAll(/(["`])((?:\w+: )?(\d+): [^"`$]+)(?:["`]|\$\{)/g)) {
      if (Number(number) > LAST) continue;
      found += 1;
      const row = ROWS.find((row) => row.number === Number(number));
      const named = row?.named.some(({ file, names }) => file === `${folder}/${name}` && names.includes(check));
      assert.ok(named, `row ${number} does not name “${check}” of ${folder}/${name}`);
    }
  }
  assert.ok(found > 60, `only ${found} checks have a number`);
});
