import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { labelled, nearest, rangeOf } from "../../www/draw/lines.js";
import { drawStrip, hitStep, stripLayout, stripOf, tileAt } from "../../www/draw/strip.js";
import { lesson, lessonWords } from "../../www/lesson.js";
import { PRESETS } from "../../www/state.js";
import { cell as text, csvOf as written } from "../../www/export/csv.js";
import { lastDone, ranked, seriesOf, tableOf } from "../../www/series.js";
import { experimentsOf, measured, OBJECT_QUESTIONS, parsePlaces, place, repeatedTokens, SENTENCES, training } from "../../www/training.js";
import { checkpoint, LEARNS, LEARNS_NOTHING, missing } from "./synthetic_training.js";
import { theme } from "./theme.js";

const require = createRequire(import.meta.url);
const MODEL = /** @type {any} */ ({ d_vocab: 2048, n_ctx: 128, bos_token_id: 0 });
const SETTINGS = { processing: PRESETS.transformer_lens, prepend_bos: true };
const LEARNED = seriesOf(LEARNS.map(checkpoint));

// --- What is asked ---------------------------------------------------------------------------------------------------

test("one experiment asks everything of every checkpoint: 25 prompts, indirect objects, every head, detectors, sentences", () => {
  const asked = training(MODEL, SETTINGS, { steps: [0, 50] });
  assert.deepEqual([asked.kind, asked.steps], ["training", [0, 50]]);
  const [pronouns, objects, ablation, detect, ...losses] = /** @type {any[]} */ (asked.experiments);
  assert.equal(pronouns.prompts.length, 25);
  assert.deepEqual(pronouns.prompts[0], { prompt: "Mary is a great friend, isn’t", correct: " she", incorrect: " he" });
  assert.equal(objects.prompts.length, OBJECT_QUESTIONS.length);
  assert.deepEqual([ablation.kind, ablation.axes, ablation.edit, ablation.metric, ablation.prompts.length],
    ["ablate", ["layer", "head"], { kind: "zero" }, { kind: "logit_diff" }, 25]);
  assert.deepEqual([detect.kind, detect.patterns], ["detect", ["previous_token", "duplicate_token", "induction"]]);
  assert.deepEqual(losses.map(({ kind, prompt }) => [kind, prompt]), Object.values(SENTENCES).flat().map((prompt) => ["predict", prompt]));
  assert.ok(asked.experiments.every(({ processing, prepend_bos }) => processing === "transformer_lens" && prepend_bos === true));
});

test("the random rows repeat, fit the context, hold ids of the vocabulary, and are the same every time", () => {
  const rows = repeatedTokens(MODEL);
  assert.deepEqual(rows, repeatedTokens(MODEL));
  for (const row of rows) {
    assert.ok(row.length <= 128 && row[0] === 0);
    assert.ok(row.every((id) => Number.isInteger(id) && id >= 0 && id < 2048));
    assert.deepEqual(row.slice(1, 26), row.slice(26, 51));
    assert.deepEqual(row.slice(1, 26), row.slice(101, 126));
  }
  assert.notDeepEqual(rows[0], rows[1]);
  assert.ok(repeatedTokens({ ...MODEL, n_ctx: 31 }).every((row) => row.length === 31));
  assert.equal(repeatedTokens({ ...MODEL, bos_token_id: null })[0].length, 125);
});

test("each pair of names of the indirect objects was held out of training with its frame, and is one token of GPT-2", () => {
  const { encode } = require("gpt-3-encoder");
  const frames = [/^When .* went/, /^After/, /^Then, .* went/, /^While/, /were at the .*, and/, /had lunch/, /had a long day/, /^Yesterday/];
  for (const [prompt, receiver, giver] of OBJECT_QUESTIONS) {
    const frame = frames.findIndex((form) => form.test(prompt));
    const pair = [receiver, giver].map((name) => name.trim()).sort();
    assert.ok(pair.every((name) => prompt.includes(name)) && prompt.split(giver.trim()).length === 3, prompt);
    // One in ten of these hashes is held out: `objects_held_out` of src/train/corpus.rs.
    assert.equal(hash(`objects ${frame} ${pair.join(" ")}`) % 10n, 0n, prompt);
    for (const name of [receiver, giver]) assert.equal(encode(name).length, 1, name);
  }
  // Whether the giver was named first or second must not tell who is given something.
  const first = OBJECT_QUESTIONS.filter(([prompt, receiver, giver]) => prompt.indexOf(giver.trim()) < prompt.indexOf(receiver.trim()));
  assert.equal(first.length, OBJECT_QUESTIONS.length / 2);
});

/** `hash` of src/train/rng.rs. @param {string} words */
function hash(words) {
  const low = (1n << 64n) - 1n;
  let z = 0xCBF29CE484222325n;
  for (const byte of Buffer.from(words)) z = ((z ^ BigInt(byte)) * 0x100000001B3n) & low;
  z = ((z ^ (z >> 30n)) * 0xBF58476D1CE4E5B9n) & low;
  z = ((z ^ (z >> 27n)) * 0x94D049BB133111EBn) & low;
  return z ^ (z >> 31n);
}

test("of a long family the steps that lie evenly on the axis are measured, its ends among them", () => {
  const family = [...Array.from({ length: 10 }, (_, i) => i * 10), ...Array.from({ length: 599 }, (_, i) => 100 + i * 667)];
  const steps = measured(family);
  assert.ok(steps.length <= 24 && steps.length > 15, `${steps.length}`);
  assert.deepEqual([steps[0], steps.at(-1)], [0, family.at(-1)]);
  assert.ok(steps.every((step, i) => family.includes(step) && (i === 0 || step > steps[i - 1])));
  assert.deepEqual(measured([0, 50, 100]), [0, 50, 100]);
});

test("other checkpoints are a template with its steps, or a list whose steps are its places", () => {
  assert.equal(parsePlaces(" \n", "5"), null);
  const places = parsePlaces("hf:a/b@checkpoint-{step}\n", "400, 0 100;100");
  assert.deepEqual(places, { checkpoints: "hf:a/b@checkpoint-{step}", steps: [0, 100, 400] });
  const asked = training(MODEL, SETTINGS, /** @type {any} */ (places));
  assert.deepEqual([asked.checkpoints, asked.steps], ["hf:a/b@checkpoint-{step}", [0, 100, 400]]);
  assert.ok(!("checkpoints" in training(MODEL, SETTINGS, { steps: [1] })));
  assert.deepEqual(parsePlaces("./{step}/\n./b/", "7"), { checkpoints: ["./{step}/", "./b/"], steps: [0, 1] });
  assert.deepEqual(parsePlaces("./a/\n ./b/ ", ""), { checkpoints: ["./a/", "./b/"], steps: [0, 1] });
  assert.throws(() => parsePlaces("hf:a/b@{step}", ""), { code: "input.steps" });
  assert.throws(() => parsePlaces("hf:a/b@{step}", "1, -2"), { code: "input.steps", message: /“-2”/ });
});

// --- Curves ----------------------------------------------------------------------------------------------------------

test("curves are the numbers of the answers, step by step", () => {
  const { steps, heads, loss, kinds, tasks, changes, detectors } = LEARNED;
  assert.deepEqual(heads, ["L0H0", "L0H1", "L0H2", "L1H0", "L1H1", "L1H2"]);
  assert.deepEqual(tasks.pronouns, LEARNS.map(({ pronouns }) => pronouns));
  assert.deepEqual(loss, LEARNS.map(({ loss }) => loss));
  assert.deepEqual(kinds.everyday, loss);
  assert.deepEqual(changes[4].map((x) => x && Number(x.toFixed(9))), LEARNS.map(({ effects }) => -effects[4] || 0));
  assert.deepEqual(detectors.induction[0], LEARNS.map(({ induction }) => induction[0]));
  assert.ok(detectors.previous_token.flat().every((score) => score === 0.25));
  assert.deepEqual(ranked(changes, steps.length - 1, -1).slice(0, 2).map(({ head, value }) => [head, Number(value.toFixed(9))]), [[4, 5], [1, 1.2]]);
});

test("a skipped checkpoint and one that is not done are holes, told apart; numbers that are none are holes too", () => {
  const done = [checkpoint(LEARNS[0]), missing(100), checkpoint(LEARNS[2])];
  const [, objects, ablation] = done[2].answers ?? [];
  objects.mean = NaN;
  ablation.values[0] = null;
  const series = seriesOf(done, [0, 100, 200, 400]);
  assert.deepEqual(series.tasks.pronouns, [0, null, 1, null]);
  assert.deepEqual(series.tasks.objects, [0, null, null, null]);
  assert.deepEqual([series.changes[0][2], series.changes[1][2]], [null, 0]);
  assert.deepEqual(series.done, [true, true, true, false]);
  assert.equal(series.errors[1]?.code, "net.missing");
  assert.equal(lastDone(series), 2);
  assert.deepEqual(seriesOf([missing(0)], [0, 50]).heads, []);
  assert.equal(lastDone(seriesOf([], [0])), -1);
});

test("the exported numbers are all there, with full stops, and no cell is a formula", () => {
  const table = tableOf(seriesOf([checkpoint(LEARNS[7]), missing(50, '=cmd|"x",1\nnext')]));
  const csv = written(table.header, table.rows);
  const [head, ...rows] = csv.trimEnd().split("\r\n");
  assert.equal(head, "step,measure,name,value,note");
  assert.equal(rows.length, 1 + 4 + 2 + 6 * 4);
  assert.ok(rows.includes("4000,logit_diff,pronouns,4,") && rows.includes("4000,induction,L0H0,0.875,"));
  assert.equal(rows[0], '50,skipped,,,"net.missing: =cmd|""x"",1\nnext"');
  assert.deepEqual(["=1+1", "+1", "-1", "@x", "L0H6", 'a"b'].map(text), ["'=1+1", "'+1", "'-1", "'@x", "L0H6", '"a""b"']);
});

// --- The lesson ------------------------------------------------------------------------------------------------------

test("the lesson's claims are what the curves say", () => {
  const claims = lesson(LEARNED);
  assert.ok(claims);
  assert.deepEqual(claims.pronouns, { first: 0, last: 4, rise: { from: 100, half: 400, to: 800 } });
  assert.deepEqual(claims.objects, { first: 0, last: 3.5, rise: { from: 800, half: 1600, to: 2000 } });
  assert.deepEqual(claims.heads.map(({ name, effect, half }) => [name, Number(effect.toFixed(9)), half]), [["L1H1", 5, 200], ["L0H1", 1.2, 400]]);
  assert.deepEqual([claims.next?.name, claims.next?.effect], ["L0H0", 0.5]);
  assert.deepEqual(claims.loss, { first: 8, last: 2, from: 6, to: 3, share: 0.5 });
  assert.deepEqual(claims.induction, { name: "L0H0", first: 0.0625, last: 0.875, half: 2000, reached: "L0H1" });
  const words = lessonWords(claims).join("\n");
  for (const part of ["between steps 100 and 800", "step 400 is the first", "hang on L1H1", "falls by 5.00", "L0H1 follows with 1.20", "No other head takes away more than 0.500 (L0H0)",
    "from 6.00 to 3.00", "50% of its whole fall from 8.00 to 2.00", "between steps 800 and 2,000", "Induction comes at step 2,000", "(L0H1)", "0.875 (L0H0)"]) {
    assert.ok(words.includes(part), `“${part}” is not in: ${words}`);
  }
});

test("where nothing ever appears the lesson says that, and claims nothing else", () => {
  const claims = lesson(seriesOf(LEARNS_NOTHING.map(checkpoint)));
  assert.ok(claims);
  assert.deepEqual([claims.pronouns.rise, claims.objects.rise, claims.heads, claims.next, claims.loss, claims.induction.half], [null, null, [], null, null, null]);
  const words = lessonWords(claims);
  assert.equal(words.length, 3);
  assert.ok(words[0].includes("does not learn the pronouns") && words[0].includes("0.375 at the end"), words[0]);
  assert.ok(words[1].includes("does not learn the indirect objects") && words[2].includes("no head scores more than 0.5"), words.join("\n"));
});

test("a task that is there from the first step is not said to appear; one that no head carries is said to be so", () => {
  const late = LEARNS.slice(4);
  assert.equal(lesson(seriesOf(late.map(checkpoint)))?.pronouns.rise, null);
  const spread = lesson(seriesOf(LEARNS.map((point) => checkpoint({ ...point, effects: [point.pronouns / 10] }))));
  assert.deepEqual(spread?.heads, []);
  assert.ok(lessonWords(/** @type {any} */ (spread))[1].includes("L0H0, takes away 0.400 of 4.00"), lessonWords(/** @type {any} */ (spread))[1]);
});

test("a loss that rises is not said to fall", () => {
  const claims = lesson(seriesOf(LEARNS.map((point) => checkpoint({ ...point, loss: 10 - point.loss }))));
  assert.equal(claims?.loss?.share, null);
  const words = lessonWords(/** @type {any} */ (claims))[2];
  assert.ok(words.includes("from 4.00 to 7.00") && !words.includes("fall"), words);
});

test("skipped checkpoints do not spoil the lesson; of a run that is not whole there is none", () => {
  const holed = LEARNS.map((point) => (point.step === 400 ? missing(400) : checkpoint(point)));
  assert.deepEqual(lesson(seriesOf(holed))?.pronouns.rise, { from: 100, half: 800, to: 800 });
  const ends = LEARNS.map((point) => ([0, 4000].includes(point.step) ? missing(point.step) : checkpoint(point)));
  assert.deepEqual([lesson(seriesOf(ends))?.first, lesson(seriesOf(ends))?.last], [100, 2000]);
  assert.equal(lesson(seriesOf(LEARNS.slice(0, 5).map(checkpoint), LEARNS.map(({ step }) => step))), null);
  assert.equal(lesson(seriesOf([missing(0), checkpoint(LEARNS[7])])), null);
  assert.equal(lesson(seriesOf([missing(0), missing(50)])), null);
});

// --- Drawing ---------------------------------------------------------------------------------------------------------

test("step 0 has a place on the axis, labels do not touch, and a point finds its step", () => {
  const steps = [0, 50, 100, 200, 300, 400, 500, 700, 1000, 1300, 1600, 2000, 2600, 4000];
  assert.equal(place(0, 50), 0);
  assert.equal(place(50, 50), 1);
  for (const width of [200, 300, 700]) {
    const named = labelled(steps, width);
    assert.ok(named.includes(0) && named.includes(13), `${named}`);
    assert.ok(named.length >= 4 && named.every((i, at) => at === 0 || i > named[at - 1]), `${named}`);
  }
  assert.ok(labelled(steps, 200).length < labelled(steps, 700).length);
  steps.forEach((step, i) => assert.equal(nearest(steps, place(step, 50) / place(4000, 50)), i));
  assert.equal(nearest(steps, -1), 0);
  assert.equal(nearest(steps, 2), 13);
  assert.deepEqual(labelled([7], 100), [0]);
});

test("a chart's range holds every value and zero", () => {
  assert.deepEqual(rangeOf([null]), [0, 0.06]);
  const [low, high] = rangeOf([-5, null, 0.5]);
  assert.ok(low < -5 && high > 0.5);
  assert.equal(rangeOf([1, 8])[0], 0);
});

test("the strip has one colour scale, a tile for every step that a point hits, and tells skipped from waiting", () => {
  const series = seriesOf([checkpoint(LEARNS[0]), missing(100), checkpoint(LEARNS[7])], [0, 100, 200, 4000]);
  const strip = stripOf(series);
  assert.deepEqual([strip.scale, strip.maps[1], strip.maps[2]], [{ min: -5, mid: 0, max: 5 }, null, undefined]);
  for (const size of [{ width: 830, ratio: 1 }, { width: 324, ratio: 3 }, { width: 60, ratio: 1 }]) {
    const at = stripLayout(strip, size);
    series.steps.forEach((_, i) => {
      const { x, y, w, h } = tileAt(at, i);
      assert.equal(hitStep(at, 4, x + w / 2, y + h / 2), i);
      assert.ok(x + w <= at.width + 50 && y + h < at.bar.y);
    });
    assert.equal(hitStep(at, 4, -1, 20), null);
  }
  const at = stripLayout(strip, { width: 830, ratio: 1 });
  const ops = drawStrip(strip, at, theme, { pointed: 2, current: 3 });
  assert.deepEqual(ops.flatMap((op) => (op.op === "hatch" ? [op.stroke] : [])), ["bad", "line"]);
  assert.deepEqual(ops.flatMap((op) => (op.op === "frame" && op.stroke !== "line" ? [op.stroke] : [])), ["accent", "ink"]);
  const [first, last] = ops.flatMap((op) => (op.op === "cells" && op.cols === 3 ? [op.rgba] : []));
  assert.deepEqual([...first.slice(0, 3)], theme.diverging[5]);
  assert.deepEqual([...last.slice(16, 19)], theme.diverging[0]);
});

/** Contrast of two colours, as WCAG counts it. @param {string} a @param {string} b */
function contrast(a, b) {
  const [x, y] = [a, b].map((hex) => {
    const [r, g, blue] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * blue;
  });
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
}

test("every curve's colour can be seen on the page in both themes", () => {
  const css = readFileSync(new URL("../../www/style.css", import.meta.url), "utf8");
  const all = (/** @type {RegExp} */ form) => [...css.matchAll(form)].map(([, hex]) => hex);
  const surfaces = all(/--surface: (#\w{6})/g);
  const series = all(/--series-\d: (#\w{6})/g);
  assert.deepEqual([surfaces.length, series.length], [2, 8]);
  series.forEach((hex, i) => assert.ok(contrast(hex, surfaces[i < 4 ? 0 : 1]) >= 3, `${hex}: ${contrast(hex, surfaces[i < 4 ? 0 : 1])}`));
});

// --- The library -----------------------------------------------------------------------------------------------------

test("www/vendor/uplot is what npm has, byte for byte, and the note of third-party parts names its version", () => {
  const home = new URL("../../node_modules/uplot/", import.meta.url);
  const ours = new URL("../../www/vendor/uplot/", import.meta.url);
  for (const [name, file] of [["uPlot.esm.js", "dist/uPlot.esm.js"], ["uPlot.min.css", "dist/uPlot.min.css"], ["LICENSE", "LICENSE"]]) {
    assert.deepEqual(readFileSync(new URL(name, ours)), readFileSync(new URL(file, home)), name);
  }
  const { version } = JSON.parse(readFileSync(new URL("package.json", home), "utf8"));
  const note = readFileSync(new URL("../../src/cli/licences.rs", import.meta.url), "utf8");
  assert.ok(note.includes(`"uPlot ${version}"`), version);
});
