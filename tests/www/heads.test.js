import assert from "node:assert/strict";
import { test } from "node:test";
import { detect, effectsOf, parsePattern, rowsOf, sorted } from "../../www/heads.js";
import { initialState } from "../../www/state.js";

const MODEL = /** @type {any} */ ({ d_vocab: 100, n_ctx: 64, bos_token_id: 0 });
const { heads: { inputs }, settings } = initialState();
const ask = (/** @type {Partial<typeof inputs>} */ patch) => /** @type {any} */ (detect({ ...inputs, ...patch }, settings.inputs, "Mary is", MODEL));

test("the detectors are asked about rows that repeat, or the prompt; an own pattern about the prompt", () => {
  const { prompts, prompt, patterns, exclude_bos, measure } = ask({});
  assert.deepEqual([prompts.length, prompt, patterns.length, exclude_bos, measure], [3, undefined, 3, true, "mul"]);
  assert.deepEqual([ask({ on: "prompt" }).prompt, ask({ on: "prompt" }).prompts], ["Mary is", undefined]);
  const own = ask({ pattern: "own", own: "1 0\n.5, .5", measure: "abs" });
  assert.deepEqual([own.prompt, own.pattern, own.patterns, own.measure], ["Mary is", [[1, 0], [0.5, 0.5]], undefined, "abs"]);
});

test("a pattern is rows of numbers; what is none is named with its row", () => {
  assert.deepEqual(parsePattern("1\n\n 0;1 \n1e-1\t-2"), [[1], [0, 1], [0.1, -2]]);
  assert.throws(() => parsePattern("1 0\n0 x"), { code: "input.pattern", message: "Row 2 of the pattern: “x” is no number." });
  assert.throws(() => parsePattern("1 Infinity"), { code: "input.pattern" });
  assert.throws(() => parsePattern(" \n"), { code: "input.pattern" });
});

const SCORES = { axes: ["pattern", "layer", "head"], shape: [2, 2, 2], values: [0.1, 0.2, 0.3, 0.4, 0.9, null, 0.9, 0.5], experiment: { patterns: ["previous_token", "induction"] } };

test("rows hold each head's scores and its effect", () => {
  const rows = rowsOf(SCORES, [1, 2, 3, -4]);
  assert.deepEqual(rows[2], { layer: 1, head: 0, name: "L1H0", values: { previous_token: 0.3, induction: 0.9, effect: 3 } });
  const own = rowsOf({ axes: ["layer", "head"], shape: [1, 2], values: [0.5, 0.25], experiment: {} }, null);
  assert.deepEqual(own[1].values, { own: 0.25, effect: null });
});

test("heads are sorted by a column both ways: ties keep their order, missing ones come last, an effect counts by its size", () => {
  const rows = rowsOf(SCORES, [1, 2, 3, -4]);
  const names = (/** @type {string} */ by, /** @type {boolean} */ down) => sorted(rows, by, down).map(({ name }) => name).join(" ");
  assert.equal(names("induction", true), "L0H0 L1H0 L1H1 L0H1");
  assert.equal(names("induction", false), "L1H1 L0H0 L1H0 L0H1");
  assert.equal(names("effect", true), "L1H1 L1H0 L0H1 L0H0");
  assert.equal(names("head", false), "L0H0 L0H1 L1H0 L1H1");
  assert.equal(names("head", true), "L1H1 L1H0 L0H1 L0H0");
});

test("only a sweep over layers and heads of this very model gives effects", () => {
  const result = { axes: ["layer", "head"], shape: [1, 2], values: [3, null], baseline: 4 };
  assert.deepEqual(effectsOf(result, 2), [-1, null]);
  assert.equal(effectsOf(result, 4), null);
  assert.equal(effectsOf({ ...result, axes: ["set"] }, 2), null);
  assert.equal(effectsOf(undefined, 2), null);
});
