import assert from "node:assert/strict";
import { test } from "node:test";
import { PRESETS, createStore, initialState } from "../../www/state.js";
import * as experiments from "../../www/experiments.js";

test("a subscriber hears of its part only, until it leaves", () => {
  const store = createStore();
  let heard = 0;
  const leave = store.subscribe("grid", () => heard++);
  store.edit("patch", { clean: "x" });
  assert.equal(heard, 0);
  store.edit("grid", { answers: [" a", " b"] });
  assert.equal(heard, 1);
  leave();
  store.edit("grid", { formats: [] });
  assert.equal(heard, 1);
});

test("an edit replaces the field and leaves the old state as it was", () => {
  const store = createStore();
  const before = store.get("predict");
  store.edit("predict", { prompt: "new" });
  assert.equal(before.inputs.prompt, "Mary is a great friend, isn’t");
  assert.deepEqual(store.get("predict").inputs, { prompt: "new", answer: " she" });
  assert.equal(store.get("predict").job, before.job);
});

test("processing is named where it is a preset, spelled out where not", () => {
  assert.equal(experiments.processingOf(PRESETS.transformer_lens), "transformer_lens");
  assert.equal(experiments.processingOf(PRESETS.none), "none");
  const mixed = { ...PRESETS.none, fold_ln: true };
  assert.deepEqual(experiments.processingOf(mixed), mixed);
});

test("the page begins with the notebook's own experiments", () => {
  const { predict, grid, ablate, patch, bias, settings } = initialState();
  const base = { version: 1, processing: "transformer_lens", prepend_bos: true };
  assert.deepEqual(experiments.predict(predict.inputs, settings.inputs),
    { ...base, kind: "predict", prompt: "Mary is a great friend, isn’t", answer: " she", top_k: 10 });
  const { prompts } = experiments.grid(grid.inputs, settings.inputs);
  assert.equal(prompts.length, 25);
  assert.deepEqual(prompts[1], { prompt: "John is a great friend, isn’t", correct: " he", incorrect: " she" });
  assert.deepEqual(prompts[5], { prompt: "Mary is an amazing person, isn’t", correct: " she", incorrect: " he" });
  assert.deepEqual(experiments.ablate(ablate.inputs, settings.inputs, grid.inputs), {
    ...base, kind: "ablate", prompt: "Mary is a great friend, isn’t she", site: "v", edit: { kind: "zero" },
    axes: ["layer", "head"], metric: { kind: "loss" },
  });
  assert.deepEqual(experiments.patch(patch.inputs, settings.inputs), {
    ...base, kind: "patch", clean: "Mary is a great friend, isn’t", corrupted: "John is a great friend, isn’t",
    site: "resid_pre", axes: ["layer", "pos"], metric: { kind: "logit_diff", correct: " she", incorrect: " he", normalize: true },
  });
  assert.deepEqual(experiments.bias(bias.inputs, settings.inputs), { ...base, kind: "unembed_bias", tokens: [" he", " she"] });
});

test("a prompt without an answer asks for none", () => {
  const { settings } = initialState();
  assert.ok(!("answer" in experiments.predict({ prompt: "x", answer: "" }, settings.inputs)));
});

test("every {} of a format is filled", () => {
  const { grid, settings } = initialState();
  const inputs = { ...grid.inputs, formats: ["{} and {}"], names: [{ name: "Amy", answer: /** @type {0} */ (0) }] };
  assert.equal(experiments.grid(inputs, settings.inputs).prompts[0].prompt, "Amy and Amy");
});
