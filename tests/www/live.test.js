import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { LabError } from "../../www/errors.js";
import { live } from "../../www/live.js";
import { createStore } from "../../www/state.js";

/** A section whose computations end when the test says so. */
function bench() {
  const store = createStore();
  /** @type {(() => void)[]} */
  const ready = [];
  const session = /** @type {any} */ ({ lab: () => ({}), onReady: (/** @type {() => void} */ f) => ready.push(f) });
  /** @type {{ prompt: string, signal: AbortSignal, end: (value: any) => void, fail: (error: any) => void,
   *   onProgress: (done: number, total: number) => void }[]} */
  const jobs = [];
  const section = live(store, session, "predict", (_, { signal, onProgress }) => new Promise((end, fail) => {
    signal?.addEventListener("abort", () => fail(signal.reason instanceof LabError ? signal.reason : new LabError("run.cancelled", "Cancelled.")));
    jobs.push({ prompt: store.get("predict").inputs.prompt, signal: /** @type {any} */ (signal), end, fail, onProgress: /** @type {any} */ (onProgress) });
  }));
  return { store, session, section, jobs, start: () => ready.forEach((f) => f()), job: () => store.get("predict").job };
}

test("typing starts one computation, with what was typed last", async () => {
  const { store, jobs, start, job } = bench();
  start();
  jobs[0].end("first");
  await sleep(1);
  assert.equal(job().value, "first");
  for (const prompt of ["a", "ab", "abc"]) store.edit("predict", { prompt });
  await sleep(400);
  assert.deepEqual(jobs.map(({ prompt }) => prompt).slice(1), ["abc"]);
  jobs[1].end("second");
  await sleep(1);
  assert.deepEqual([job().status, job().value], ["done", "second"]);
});

test("a stale result is dropped, and the newer request is told apart from a cancel", async () => {
  const { jobs, start, section, job } = bench();
  start();
  section.run();
  assert.equal(jobs[0].signal.reason.code, "run.superseded");
  jobs[0].end("stale");
  jobs[0].onProgress(1, 2);
  await sleep(1);
  assert.deepEqual([job().status, job().value, job().progress], ["running", null, null]);
  jobs[1].end("fresh");
  await sleep(1);
  assert.equal(job().value, "fresh");
});

test("cancel and failure keep the last good value", async () => {
  const { jobs, start, section, job } = bench();
  start();
  jobs[0].end("good");
  await sleep(1);
  section.run();
  section.cancel();
  await sleep(1);
  assert.deepEqual([job().status, job().value], ["cancelled", "good"]);
  section.run();
  jobs[2].fail(new LabError("input.token", "Not one token.", "Choose another."));
  await sleep(1);
  assert.deepEqual([job().status, job().value, job().error], ["error", "good", { code: "input.token", message: "Not one token.", action: "Choose another." }]);
});

test("an edit that changes nothing computes nothing", async () => {
  const { store, jobs, start } = bench();
  start();
  store.edit("predict", { prompt: store.get("predict").inputs.prompt });
  store.edit("settings", { prepend_bos: true });
  await sleep(400);
  assert.equal(jobs.length, 1);
});
