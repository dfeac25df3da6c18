// The table of tests/oracle is of the cases that there are, and nobody has edited it by hand.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { CASES, countsOf } from "../golden/cases.mjs";

/** @param {string} path from the repository's root */
const read = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

test("the table has a row for each library, kind and model of the cases, with as many scripts", () => {
  const rows = [...read("tests/golden/oracle.md").matchAll(/^\| (transformer_lens|nnsight) \| (\w+) \| ([\w-]+) \| (\d+) \|/gm)]
    .map(([, library, kind, model, scripts]) => [`${library} ${kind} ${model}`, Number(scripts)]);
  assert.deepEqual(Object.fromEntries(rows), Object.fromEntries(countsOf()), "run tests/oracle again");
});

test("each difference is a number within what is allowed, and what ran is named", () => {
  const text = read("tests/golden/oracle.md");
  const differences = [...text.matchAll(/^\| \w+ \| \w+ \| [\w-]+ \| \d+ \| \d+ \| (.*) \|$/gm)].map(([, worst]) => worst);
  assert.equal(differences.length, countsOf().size);
  for (const worst of differences) assert.ok(/^\d\.\de[+-]\d+$/.test(worst) && Number(worst) <= 1e-4, worst);
  assert.match(text, /^- microtome \d+\.\d+\.\d+ native, a program with SHA-256 [0-9a-f]{16}$/m);
});

test("no two cases have one name, and what README says of their number is so", () => {
  assert.equal(new Set(CASES.map(({ library, name }) => `${library} ${name}`)).size, CASES.length);
  for (const [, count] of read("README.md").matchAll(/(\d+) scripts/g)) assert.equal(Number(count), CASES.length);
});

test("every field of a single run is among the cases: edits of each kind, and further answers for both libraries", () => {
  const edits = CASES.flatMap(({ experiment }) => (experiment.edited ? [`${experiment.kind} ${experiment.edited.edit.kind} ${experiment.edited.edit.over ?? ""}`] : []));
  assert.deepEqual([...new Set(edits)].sort(), ["predict", "trace"].flatMap((kind) => ["mean prompts", "mean tokens", "resample ", "zero "].map((edit) => `${kind} ${edit}`)));
  assert.deepEqual([...new Set(CASES.filter(({ experiment }) => experiment.answers).map(({ library }) => library))].sort(), ["nnsight", "transformer_lens"]);
});
