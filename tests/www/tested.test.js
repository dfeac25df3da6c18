// What is remembered of a GPU's check, between visits.
import assert from "node:assert/strict";
import { test } from "node:test";
import { recallTests, rememberTest } from "../../www/tested.js";

/** @type {Map<string, string>} */
const kept = new Map();
let writes = 0;
Object.defineProperty(globalThis, "localStorage", { configurable: true, value: {
  getItem: (/** @type {string} */ key) => kept.get(key) ?? null,
  setItem: (/** @type {string} */ key, /** @type {string} */ text) => {
    writes += 1;
    kept.set(key, text);
  },
} });
/** @param {string} at */
const found = (at) => ({ difference: 1e-6, checked: ["a"], at, milliseconds: 5 });

test("a record that is outdated, or no record at all, gives way to the new one; the same one is not written again", () => {
  kept.set("microtome.self_test", JSON.stringify({ gpu: { difference: "<b>" } }));
  rememberTest("gpu", found("2026-01-02"));
  assert.deepEqual(recallTests(), { gpu: found("2026-01-02") });
  const before = writes;
  rememberTest("gpu", found("2026-01-02"));
  assert.equal(writes, before);
  rememberTest("gpu", { ...found("2026-02-03"), kernels: "others" });
  assert.equal(recallTests().gpu.kernels, "others");
});

test("only the newest few are kept, and the one that was found last is among them", () => {
  for (let i = 0; i < 20; i++) rememberTest(`gpu ${i}`, found("2026-01-02"));
  rememberTest("gpu 15", found("2026-02-03"));
  assert.deepEqual(Object.keys(recallTests()), ["gpu 12", "gpu 13", "gpu 14", "gpu 16", "gpu 17", "gpu 18", "gpu 19", "gpu 15"]);
});
