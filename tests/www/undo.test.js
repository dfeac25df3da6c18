import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, encode } from "../../www/link.js";
import { apply, completed, gather, inputsOf, setInputs } from "../../www/page_state.js";
import { FIRST } from "../../www/presets.js";
import { createStore, initialState } from "../../www/state.js";
import { createUndo } from "../../www/undo.js";

function page() {
  const store = createStore();
  let time = 0;
  let heard = 0;
  const undo = createUndo(store, { now: () => time, onChange: () => heard++ });
  return { store, undo, wait: (/** @type {number} */ ms) => void (time += ms), heard: () => heard };
}
const prompt = (/** @type {import("../../www/state.js").Store} */ store) => store.get("predict").inputs.prompt;

test("letters that are typed one after another are one step, a pause makes two", () => {
  const { store, undo, wait } = page();
  const first = prompt(store);
  for (const text of ["a", "ab", "abc"]) {
    store.edit("predict", { prompt: text });
    wait(300);
  }
  wait(2000);
  store.edit("predict", { prompt: "abcd" });
  undo.undo();
  assert.equal(prompt(store), "abc");
  undo.undo();
  assert.equal(prompt(store), first);
  assert.equal(undo.canUndo(), false);
  undo.undo();
  undo.redo();
  undo.redo();
  assert.equal(prompt(store), "abcd");
  assert.equal(undo.canRedo(), false);
});

test("another field is another step, whenever it is typed; a new change ends what could be redone", () => {
  const { store, undo } = page();
  store.edit("predict", { prompt: "x" });
  store.edit("predict", { answer: " y" });
  undo.undo();
  assert.deepEqual([prompt(store), store.get("predict").inputs.answer], ["x", " she"]);
  assert.ok(undo.canRedo());
  store.edit("bias", { tokens: [" a", " b"] });
  assert.equal(undo.canRedo(), false);
  // Typing after a redo is a step of its own, however soon it comes.
  undo.undo();
  undo.redo();
  store.edit("bias", { tokens: [" a", " c"] });
  undo.undo();
  assert.deepEqual(store.get("bias").inputs.tokens, [" a", " b"]);
});

test("what changes together is undone together, and results are left alone", () => {
  const { store, undo, heard } = page();
  const job = { ...store.get("predict").job, status: /** @type {const} */ ("done"), value: 5 };
  store.update("predict", { job });
  assert.equal(heard(), 0, "a result is no change");
  const before = inputsOf(store);
  undo.together(() => setInputs(store, completed({ predict: { prompt: "a" }, patch: { clean: "b" } })));
  assert.equal(heard(), 1);
  undo.undo();
  assert.deepEqual(inputsOf(store), before);
  assert.equal(store.get("predict").job, job);
  undo.redo();
  assert.equal(store.get("patch").inputs.clean, "b");
  // However soon the same field is typed into, before or after.
  store.edit("predict", { prompt: "typed" });
  undo.together(() => store.edit("predict", { prompt: "put" }));
  store.edit("predict", { prompt: "typed again" });
  for (const text of ["put", "typed", "a"]) {
    undo.undo();
    assert.equal(prompt(store), text);
  }
});

test("what is typed and taken back leaves nothing to undo; only so many steps are kept", () => {
  const { store, undo, wait } = page();
  const first = prompt(store);
  store.edit("predict", { prompt: "x" });
  store.edit("predict", { prompt: first });
  assert.equal(undo.canUndo(), false);
  for (let i = 0; i < 300; i++) {
    store.edit("predict", { prompt: `${i}` });
    wait(2000);
  }
  let steps = 0;
  for (; undo.canUndo(); steps++) undo.undo();
  assert.equal(steps, 200);
  assert.equal(prompt(store), "99");
});

test("the page's state goes into a link and out of it", async () => {
  const here = createStore();
  assert.equal(await encode(gather(here)), "", "the page as it begins needs no link");
  here.edit("patch", { clean: "x" });
  here.update("attention", { view: { layer: 2, head: { layer: 2, head: 5 }, locked: true } });
  here.update("heads", { view: { by: "own", down: false, most: 0 } });
  here.update("look", { map: "sequential", signs: true, ranges: { ablate: 0.25 } });
  here.update("model", { address: "hf:a/b" });
  here.edit("model", { precision: "f16", url: "typed, and nobody's business" });
  const { state } = await decode(await encode(gather(here)));
  const there = createStore();
  assert.equal(apply(there, state), true, "another precision: the model is to be opened again");
  assert.deepEqual(inputsOf(there), inputsOf(here));
  for (const part of /** @type {const} */ (["attention", "heads"])) assert.deepEqual(there.get(part).view, here.get(part).view);
  assert.deepEqual(there.get("look"), here.get("look"));
  const { address, linked, inputs } = there.get("model");
  assert.deepEqual([address, linked, inputs], [initialState().model.address, "hf:a/b", { url: "", backend: "auto", precision: "f16" }]);
  assert.deepEqual((await decode(await encode(gather(there)))).state, state, "a model that is only asked for stays in the link");
  apply(there, {});
  assert.deepEqual(there.get("look"), initialState().look, "a link that says nothing of colours means those of the beginning");
});

test("a link that names no model means the page's own, and asks about it where another is open", async () => {
  for (const address of ["hf:a/b", "local"]) {
    const store = createStore();
    store.update("model", { address });
    const { state } = await decode("v=1&predict.answer=+he");
    apply(store, state);
    assert.equal(store.get("model").linked, FIRST, address);
    assert.equal(await encode(gather(store)), "v=1&predict.answer=+he", "the address says something else than the link");
  }
});

test("names of local files stay out of links; a link says everything, even the beginning", async () => {
  const store = createStore();
  for (const address of ["local", "http://127.0.0.1:9/models/x/", "javascript:x"]) {
    store.update("model", { address });
    assert.equal(await encode(gather(store)), "", address);
  }
  store.update("model", { address: FIRST });
  assert.equal(apply(store, {}), false);
  assert.equal(store.get("model").linked, null, "the page's own model is asked about although it is open");
  store.edit("bias", { tokens: [" x", " y"] });
  assert.equal(apply(store, {}), false);
  assert.deepEqual(store.get("bias").inputs.tokens, initialState().bias.inputs.tokens);
});
