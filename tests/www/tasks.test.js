import assert from "node:assert/strict";
import { test } from "node:test";
import * as experiments from "../../www/experiments.js";
import { decode, encode } from "../../www/link.js";
import { completed, inputsOf } from "../../www/page_state.js";
import { FIRST, MODELS } from "../../www/presets.js";
import { createStore } from "../../www/state.js";
import { S } from "../../www/strings.js";
import { TASKS } from "../../www/tasks.js";

test("every task is a state that a link can hold, with words for its card", async () => {
  for (const { key, state } of TASKS) {
    const { state: back } = await decode(await encode(state));
    assert.deepEqual(completed(back), completed(state), key);
    assert.ok(S.prompts.tasks.each[key]);
  }
  assert.deepEqual(completed(TASKS[0].state), inputsOf(createStore()), "the first is how the page begins");
});

test("a task says which model it needs, where the page's own is not enough", () => {
  assert.deepEqual(TASKS.filter(({ needs }) => needs).map(({ key }) => key), ["greater"]);
  for (const { needs } of TASKS) assert.ok(needs === null || (needs !== FIRST && MODELS.some(({ address }) => address === needs)));
});

test("every section of a task asks for one and the same thing", () => {
  for (const { key, state } of TASKS.slice(1)) {
    const { settings, ...inputs } = completed(state);
    const { prompts } = experiments.grid(inputs.grid, settings);
    assert.deepEqual(prompts[0], { prompt: inputs.patch.clean, correct: inputs.patch.correct, incorrect: inputs.patch.incorrect }, key);
    assert.equal(new Set(prompts.map(({ prompt }) => prompt)).size, prompts.length, "no prompt comes twice");
    assert.ok(prompts.every(({ correct, incorrect }) => correct !== incorrect));
    assert.notEqual(inputs.patch.clean, inputs.patch.corrupted);
    const ablate = experiments.ablate(inputs.ablate, settings, inputs.grid);
    assert.deepEqual([inputs.predict.prompt, inputs.attention.prompt, "prompt" in ablate && ablate.prompt], Array(3).fill(inputs.patch.clean));
    assert.equal(experiments.ablate({ ...inputs.ablate, batch: "grid" }, settings, inputs.grid).metric.kind, "logit_diff");
  }
});

test("greater than: the correct answer is later than the year, the other earlier", () => {
  const { rows } = completed(TASKS[3].state).grid;
  for (const { prompt, correct, incorrect } of rows) {
    const [, century, year, again] = /(\d\d)(\d\d) to the year (\d\d)$/.exec(prompt) ?? [];
    assert.equal(century, again);
    assert.ok(Number(correct) > Number(year) && Number(incorrect) < Number(year), prompt);
  }
});
