import assert from "node:assert/strict";
import { test } from "node:test";
import { createStore } from "../../www/state.js";
import { MOST_CHARACTERS, aligned, createTokens } from "../../www/tokens.js";

/** A lab whose answers arrive when they are let go, words as tokens. @param {boolean} [has_tokenizer] */
function scene(has_tokenizer = true) {
  const store = createStore();
  /** @type {{ text: string, bos: boolean, answer: () => void }[]} */
  const asked = [];
  /** @type {(() => void)[]} */
  const ready = [];
  const open = () => ({ info: { model: { has_tokenizer, n_ctx: 128 } }, tokenize: (/** @type {string} */ text, /** @type {boolean} */ bos) => new Promise((resolve) =>
    asked.push({ text, bos, answer: () => resolve([...(bos ? ["BOS"] : []), ...text.split(" ")].map((word, id) => ({ id, text: word }))) })) });
  /** @type {any} */
  let lab = null;
  const tokens = createTokens(store, { lab: () => lab, onReady: (listener) => void ready.push(listener) });
  return { store, tokens, asked, open: () => {
    lab = open();
    for (const listener of ready) listener();
  } };
}
const later = () => new Promise((resolve) => setTimeout(resolve, 150));
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

test("nothing is asked before a model is there, and of one without a tokenizer", async () => {
  for (const has of [true, false]) {
    const { tokens, asked, open } = scene(has);
    /** @type {any[]} */
    const shown = [];
    tokens.watch(() => [{ text: "a b" }], (found) => shown.push(found))();
    await later();
    assert.deepEqual([shown, asked.length], [[[null]], 0]);
    open();
    await settle();
    asked[0]?.answer();
    await settle();
    assert.equal(asked.length, has ? 1 : 0);
    assert.deepEqual(shown.at(-1)[0]?.tokens.map((/** @type {any} */ t) => t.text) ?? null, has ? ["BOS", "a", "b"] : null);
  }
});

test("typing is awaited, and the last request wins, whatever answers first", async () => {
  const { tokens, asked, open } = scene();
  open();
  let text = "one";
  /** @type {string[]} */
  const shown = [];
  const look = tokens.watch(() => [{ text }], ([found]) => shown.push(String(found?.text)));
  look();
  text = "one two";
  look();
  await later();
  assert.deepEqual(asked.map((ask) => ask.text), ["one two"], "what was typed over is not asked about");
  text = "one two three";
  look();
  await later();
  assert.equal(asked.length, 2);
  asked[1].answer();
  await settle();
  asked[0].answer();
  await settle();
  assert.deepEqual(shown, ["one two three"]);
  text = "one two";
  look();
  await later();
  assert.equal(asked.length, 2, "what is known is not asked again");
  assert.deepEqual(shown, ["one two three", "one two"]);
});

test("the BOS token follows its switch, but no answer begins with one", async () => {
  const { store, tokens, asked, open } = scene();
  open();
  tokens.watch(() => [{ text: "p" }, { text: "a", bos: false }], () => {})();
  await later();
  store.edit("settings", { prepend_bos: false });
  await settle();
  assert.deepEqual(asked.map(({ text, bos }) => [text, bos]), [["p", true], ["a", false], ["p", false]]);
});

test("a recorded result's tokens are shown until a model is there, which is asked itself", async () => {
  const { tokens, asked, open } = scene();
  /** @type {any[]} */
  const shown = [];
  tokens.watch(() => [{ text: "p q" }], ([found]) => shown.push(found?.tokens.length ?? null))();
  tokens.record("p q", true, [{ id: 1, text: "p q" }], 128);
  await settle();
  assert.deepEqual(shown, [1]);
  open();
  tokens.record("p q", true, [], 128);
  await settle();
  asked[0].answer();
  await later();
  assert.deepEqual([shown.at(-1), asked.length], [3, 1]);
});

test("a text of megabytes is not taken apart", async () => {
  const { tokens, asked, open } = scene();
  open();
  const found = await tokens.tokensOf("a".repeat(MOST_CHARACTERS + 1), true);
  assert.deepEqual([found?.refused, found?.tokens, asked.length], ["20,001 characters are too many to be shown as tokens while you type.", [], 0]);
});

test("two prompts position by position", () => {
  const of = (/** @type {number[]} */ ids) => ids.map((id) => ({ id, text: String(id) }));
  assert.deepEqual(aligned(of([0, 1, 2]), of([0, 5, 2])).differ, [1]);
  const { same, differ, pairs, begin, ends } = aligned(of([0, 1]), of([0, 1, 2]));
  assert.deepEqual([same, differ, pairs[2]], [false, [2], { clean: null, corrupted: { id: 2, text: "2" }, differs: true }]);
  assert.deepEqual([begin, ends], [2, { clean: 2, corrupted: 3 }]);
});

test("of two prompts with different numbers of tokens only what lies between their common ends differs", () => {
  const of = (/** @type {number[]} */ ids) => ids.map((id) => ({ id, text: String(id) }));
  /** @param {number[]} a @param {number[]} b */
  const between = (a, b) => {
    const { same, begin, ends } = aligned(of(a), of(b));
    return [same, a.slice(begin, ends.clean), b.slice(begin, ends.corrupted)];
  };
  assert.deepEqual(between([0, 1, 2, 3, 4], [0, 7, 8, 9, 2, 3, 4]), [false, [1], [7, 8, 9]]);
  assert.deepEqual(between([0, 1, 2], [0, 1, 1, 2]), [false, [], [1]], "what is shared is counted once");
  assert.deepEqual(between([0, 1], [5, 6, 7]), [false, [0, 1], [5, 6, 7]]);
  assert.deepEqual(between([], [5]), [false, [], [5]]);
});
