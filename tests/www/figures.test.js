import assert from "node:assert/strict";
import { test } from "node:test";
import { coloured, locked, position, ramp } from "../../www/draw/colour.js";
import { drawHeatmap, layout, tokenMarks, hit } from "../../www/draw/heatmap.js";
import { MAPS, MAP_NAMES } from "../../www/draw/maps.js";
import { behind, metricOf, movedBy, placesBehind, prediction, sameModel } from "../../www/behind.js";
import { moved } from "../../www/cursor.js";
import { placesOf, ranksOf } from "../../www/figures.js";
import { S } from "../../www/strings.js";
import { theme } from "./theme.js";

test("maps are ColorBrewer’s: their ends and middles, and nothing in between is darker than an end of a single hue", () => {
  assert.deepEqual(MAP_NAMES.map((name) => MAPS[name].length), [11, 11, 9]);
  assert.deepEqual([MAPS.RdBu[0], MAPS.RdBu[5], MAPS.RdBu[10]], [[103, 0, 31], [247, 247, 247], [5, 48, 97]]);
  assert.deepEqual([MAPS.PuOr[0], MAPS.PuOr[5], MAPS.PuOr[10]], [[127, 59, 8], [247, 247, 247], [45, 0, 75]]);
  const lights = MAPS.sequential.map(([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b);
  assert.ok(lights.every((light, i) => i === 0 || light < lights[i - 1]), `${lights}`);
});

test("positive is blue and negative red, or purple and orange", () => {
  const scale = { min: -1, mid: 0, max: 1 };
  for (const name of /** @type {const} */ (["RdBu", "PuOr"])) {
    const [[r, , b], [r2, , b2]] = [0.8, -0.8].map((value) => ramp(MAPS[name], position(scale, value)));
    assert.ok(b > r && r2 > b2, name);
  }
});

test("many values are coloured as one by one", () => {
  const scale = { min: -2, mid: 1, max: 4 };
  const values = [null, -9, -2, -0.31, 1, 1.0001, 2.77, 4, 12, NaN];
  const rgba = coloured(values, scale, MAPS.RdBu);
  values.forEach((value, i) => {
    const expected = value === null || Number.isNaN(value) ? [0, 0, 0, 0] : [...ramp(MAPS.RdBu, position(scale, value)), 255];
    assert.deepEqual([...rgba.subarray(i * 4, i * 4 + 4)], expected, `${value}`);
  });
});

/** @param {(number | null)[]} values @param {number} cols @param {{ min: number, mid: number, max: number }} scale @returns {import("../../www/microtome.js").Figure} */
const figure = (values, cols, scale) => ({
  title: "t", row_axis: { title: "Layer", labels: Array.from({ length: values.length / cols }, (_, i) => `${i}`) },
  col_axis: { title: "Head", labels: Array.from({ length: cols }, (_, i) => `${i}`) }, rows: values.length / cols, cols, values, scale, caption: "",
});

test("a locked range is the same about any middle, and its bar says that values lie beyond it", () => {
  assert.deepEqual(locked({ min: 2, mid: 3, max: 4 }, 0.5), { min: 2.5, mid: 3, max: 3.5 });
  const own = { min: 2, mid: 3, max: 4 };
  assert.equal(locked(own, null), own);
  const texts = (/** @type {number | null} */ range) => {
    const f = figure([2, 3.2, 3.4, 3.1], 2, locked(own, range));
    return drawHeatmap(f, layout(f, { width: 800, ratio: 1 }), theme, { stops: MAPS.RdBu, written: false }).flatMap((op) => (op.op === "text" ? [op.text] : []));
  };
  assert.ok(texts(null).includes("2.00") && texts(null).includes("4.00"));
  assert.ok(texts(0.5).includes("≤ 2.50") && texts(0.5).includes("3.50"), `${texts(0.5)}`);
});

test("signs stand in every cell that differs from the middle, in ink that its colour lets read", () => {
  const f = figure([2, 3, 3.4, null], 2, { min: 2, mid: 3, max: 4 });
  for (const written of [true, false]) {
    const at = layout(f, { width: 800, ratio: 1 });
    const signs = drawHeatmap(f, at, theme, { stops: MAPS.RdBu, written, signs: "every" }).flatMap((op) => (op.op === "text" && /^[+−]$/.test(op.text) ? [op] : []));
    assert.deepEqual(signs.map(({ text }) => text), ["−", "+"]);
    assert.deepEqual(signs.map(({ x, y }) => hit(at, f, x, y)), [{ row: 0, col: 0 }, { row: 1, col: 0 }]);
    assert.deepEqual(signs.map(({ fill }) => fill), ["light", "dark"]);
  }
  // About zero the numbers have their signs with them; what is nothing has none.
  const zero = figure([-1, 0.001, 0.4, null], 2, { min: -1, mid: 0, max: 1 });
  const texts = drawHeatmap(zero, layout(zero, { width: 800, ratio: 1 }), theme, { stops: MAPS.RdBu, signs: "every" }).flatMap((op) => (op.op === "text" ? [op.text] : []));
  assert.deepEqual(texts.slice(0, 3), ["−1.00", "0.00", "+0.40"]);
});

test("a token’s row ends at the diagonal, its column begins there, and their lines differ", () => {
  const f = figure(Array(25).fill(0), 5, { min: 0, mid: 0.5, max: 1 });
  const at = layout(f, { width: 600, ratio: 1 }, true);
  const [row, column] = tokenMarks(at, theme, 3);
  assert.ok(row.op === "frame" && column.op === "frame" && !row.dash && column.dash?.length && row.stroke !== column.stroke);
  assert.deepEqual([hit(at, f, row.x + 2, row.y + 2), hit(at, f, row.x + row.w - 2, row.y + row.h - 2)], [{ row: 3, col: 0 }, { row: 3, col: 3 }]);
  assert.deepEqual([hit(at, f, column.x + 2, column.y + 2), hit(at, f, column.x + column.w - 2, column.y + column.h - 2)], [{ row: 3, col: 3 }, { row: 4, col: 3 }]);
});

test("the keys of a grid: no wrapping, ends of rows and of all, pages", () => {
  const size = { rows: 12, cols: 5 };
  const press = (/** @type {string} */ key, /** @type {any} */ from, ctrlKey = false) => {
    const to = moved({ key, ctrlKey, metaKey: false }, from, size);
    return to && [to.row, to.col];
  };
  const at = { row: 1, col: 4 };
  assert.deepEqual(press("ArrowRight", at), [1, 4]);
  assert.deepEqual(press("ArrowLeft", at), [1, 3]);
  assert.deepEqual(press("ArrowUp", { row: 0, col: 2 }), [0, 2]);
  assert.deepEqual(press("Home", at), [1, 0]);
  assert.deepEqual(press("End", { row: 3, col: 0 }), [3, 4]);
  assert.deepEqual(press("Home", at, true), [0, 0]);
  assert.deepEqual(press("End", at, true), [11, 4]);
  assert.deepEqual(press("PageDown", at), [11, 4]);
  assert.deepEqual(press("PageUp", { row: 11, col: 2 }), [1, 2]);
  assert.deepEqual(press("ArrowDown", null), [0, 0]);
  assert.deepEqual(press("End", null, true), [11, 4]);
  assert.equal(press("a", at), undefined);
  assert.equal(press("constructor", at), undefined);
  // Seven cells in rows of three.
  const ragged = { rows: 3, cols: 3, count: 7 };
  const to = (/** @type {string} */ key, /** @type {any} */ from, ctrlKey = false) => moved({ key, ctrlKey, metaKey: false }, from, ragged);
  assert.deepEqual(to("ArrowDown", { row: 1, col: 2 }), { row: 1, col: 2 });
  assert.deepEqual(to("End", { row: 0, col: 0 }, true), { row: 2, col: 0 });
});

test("cells of a figure with panels by their axes, and ranks by distance from the middle", () => {
  const f = { ...figure([3, null, 2.5, 3.6], 2, { min: 2, mid: 3, max: 4 }), panel_axes: [{ title: "Site", labels: ["z", "q", "v"] }] };
  assert.deepEqual(placesOf(f, 0), [0, 0, 0]);
  assert.deepEqual(placesOf(f, 4 * 2 + 3), [2, 1, 1]);
  const { ranks, count } = ranksOf(f);
  assert.deepEqual([[...ranks], count], [[3, 0, 2, 1], 3]);
  assert.equal(S.figures.rank(S.figures.place("Layer 5, head 1", "+1.8300"), "1", "144"), "Layer 5, head 1, +1.8300, rank 1 of 144");
});

const BASE = { version: /** @type {const} */ (1), processing: /** @type {const} */ ("transformer_lens"), prepend_bos: true };

test("the places behind a cell, whatever the axes", () => {
  const of = (/** @type {any} */ experiment, /** @type {string[]} */ axes, /** @type {number[]} */ shape, /** @type {number} */ cell) => placesBehind(experiment, axes, shape, cell);
  assert.deepEqual(of({ site: "z", axes: ["layer", "head"] }, ["layer", "head"], [4, 8], 21), [{ site: "z", layer: 2, head: 5 }]);
  assert.deepEqual(of({ site: "pattern", axes: ["layer", "head", "dest", "src"] }, ["layer", "head", "dest", "src"], [2, 2, 3, 3], 34), [{ site: "pattern", layer: 1, head: 1, dest: 2, src: 1 }]);
  assert.deepEqual(of({ sites: ["z", "pattern"], axes: ["layer", "pos"] }, ["site", "layer", "pos"], [2, 2, 3], 11), [{ site: "pattern", layer: 1, dest: 2 }]);
  assert.deepEqual(of({ sites: ["z", "pattern"], axes: ["layer", "pos"] }, ["site", "layer", "pos"], [2, 2, 3], 4), [{ site: "z", layer: 1, pos: 1 }]);
  const sets = [[{ site: "z", layer: 0 }], [{ site: "mlp_out" }]];
  assert.deepEqual(of({ sets }, ["set"], [2], 1), sets[1]);
});

test("the run behind a cell of a patch writes the clean run into the corrupted one, with the pair’s own tokens", () => {
  const experiment = { ...BASE, kind: "patch", site: "resid_pre", axes: ["layer", "pos"], metric: { kind: "logit_diff", correct: " a", incorrect: " b", normalize: true },
    pairs: [{ clean: "x", corrupted: "y" }, { clean: "u", corrupted: "w", incorrect: 7 }] };
  const found = behind(/** @type {any} */ ({ experiment, axes: ["layer", "pos"], shape: [2, 3], values: [] }), 4, { prompt: 1 });
  const edited = { places: [{ site: "resid_pre", layer: 1, pos: 1 }], edit: { kind: "resample", prompts: ["u"] } };
  assert.deepEqual(found.runs, [{ role: "clean", prompt: "u" }, { role: "corrupted", prompt: "w" }, { role: "after", prompt: "w", edited }]);
  assert.deepEqual([found.answers, found.prompts, found.references, found.normalize], [[" a", 7], 2, 1, true]);
  assert.deepEqual(prediction(found, found.runs[2], 5), { ...BASE, kind: "predict", prompt: "w", top_k: 5, answers: [" a", 7], edited });
});

test("of several references, the run behind a cell has one; of a mean it has all", () => {
  const result = (/** @type {any} */ edit) => /** @type {any} */ ({ axes: ["layer", "head"], shape: [2, 2], values: [],
    experiment: { ...BASE, kind: "ablate", prompts: [{ prompt: "x" }, { prompt: "y" }], site: "v", axes: ["layer", "head"], edit, metric: { kind: "loss" } } });
  const resampled = behind(result({ kind: "resample", prompts: ["p", "q"] }), 3, { prompt: 1, reference: 1 });
  assert.deepEqual(resampled.runs[1], { role: "after", prompt: "y", edited: { places: [{ site: "v", layer: 1, head: 1 }], edit: { kind: "resample", prompts: ["q"] } } });
  assert.deepEqual([resampled.prompts, resampled.references, resampled.answers], [2, 2, []]);
  assert.deepEqual(behind(result({ kind: "mean", prompts: ["p", "q"], over: "tokens" }), 0).runs[1].edited?.edit, { kind: "mean", prompts: ["p", "q"], over: "tokens" });
  assert.equal(metricOf("loss", /** @type {any} */ ({ loss: 2.5 })), 2.5);
  assert.equal(metricOf("logit_diff", /** @type {any} */ ({ answers: [{ logit: 3 }, { logit: 1.25 }] })), 1.75);
});

test("a run is of the same model where weights, name and step are", () => {
  const model = { name: "gpt2", sha256: "a", step: 100 };
  assert.ok(sameModel(model, { ...model }));
  for (const other of [{ name: "gpt3" }, { sha256: "b" }, { sha256: null }, { step: 200 }, { step: undefined }]) assert.ok(!sameModel(model, { ...model, ...other }), JSON.stringify(other));
  assert.ok(sameModel({ name: "own", sha256: null }, { name: "own", sha256: null }));
  assert.ok(!sameModel(undefined, undefined) && !sameModel(model, undefined));
});

test("what an edit moved of a head’s attention is between nothing and all", () => {
  const of = (/** @type {number[]} */ data) => ({ layer: 0, head: 0, n: 2, data: Float32Array.from(data) });
  assert.equal(movedBy(of([1, 0, 0.5, 0.5]), of([1, 0, 0.5, 0.5])), 0);
  assert.equal(movedBy(of([1, 0, 1, 0]), of([1, 0, 0, 1])), 0.5);
});
