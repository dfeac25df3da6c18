import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { LabError } from "../../www/errors.js";
import { isBig, live, timeLeft } from "../../www/live.js";
import { createRecordings } from "../../www/recorded.js";
import { createStore } from "../../www/state.js";
import { sweep } from "../../www/views/sweep.js";

/** A section whose computations end when the test says so. @param {{ seconds: number }[]} [costs] of one after the other */
function bench(costs) {
  const store = createStore();
  const recordings = createRecordings(() => "./model/");
  /** @type {(() => void)[]} */
  const ready = [];
  const session = /** @type {any} */ ({ lab: () => ({}), onReady: (/** @type {() => void} */ f) => ready.push(f), recordings });
  /** @type {{ prompt: string, signal: AbortSignal, end: (value: any) => void, fail: (error: any) => void,
   *   onProgress: (done: number, total: number) => void, onSofar: (value: any, sofar: any) => void }[]} */
  const jobs = [];
  const section = live(store, session, "predict", (_, { signal, onProgress, onSofar }) => new Promise((end, fail) => {
    signal?.addEventListener("abort", () => fail(signal.reason instanceof LabError ? signal.reason : new LabError("run.cancelled", "Cancelled.")));
    jobs.push({ prompt: store.get("predict").inputs.prompt, signal: /** @type {any} */ (signal), end, fail, onProgress, onSofar });
  }), costs && { estimate: async () => ({ ...COST, ...costs.shift() }) });
  return { store, session, section, jobs, start: () => ready.forEach((f) => f()), job: () => store.get("predict").job };
}

const COST = { cells: 10_000, runs: 10_000, flops: 1e12, weight_bytes_read: 1, memory_bytes: 1, seconds: /** @type {number | null} */ (1) };

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

test("a value keeps the address of the model that it is of, whatever is loaded after it", async () => {
  const { store, session, jobs, start, section, job } = bench();
  store.update("model", { address: "./first/" });
  start();
  jobs[0].end("of the first");
  await sleep(1);
  assert.equal(job().address, "./first/");
  const { lab } = session;
  session.lab = () => null;
  store.update("model", { address: "./broken/", status: "error" });
  assert.deepEqual([job().value, job().address], ["of the first", "./first/"]);
  session.lab = lab;
  store.update("model", { address: "./second/" });
  section.run();
  assert.deepEqual([job().value, job().address], ["of the first", "./first/"]);
  // What was computed of it belongs to it, even if it arrives when another one is on its way.
  store.update("model", { address: "./third/" });
  jobs[1].onSofar("half", { done: 1, cells: 2 });
  assert.deepEqual([job().value, job().address], ["half", "./second/"]);
  jobs[1].end("whole");
  await sleep(1);
  assert.deepEqual([job().value, job().address], ["whole", "./second/"]);
});

test("a recorded value has the address that it was recorded of", async () => {
  const { store, session, job } = bench();
  const info = /** @type {any} */ ({ model: { name: "m", sha256: "00" }, engine: { build: "b" } });
  session.lab = () => null;
  session.recordings.add({ address: "./model/", made: "2026-01-02", info, sections: { predict: { inputs: [store.get("predict").inputs, store.get("settings").inputs, null], value: "recorded" } } });
  assert.deepEqual([job().value, job().address], ["recorded", "./model/"]);
});

test("what is done of a sweep has model and engine, as a whole result has them", async () => {
  const info = { model: { name: "m", sha256: "00" }, engine: { backend: "cpu", build: "b" } };
  /** @type {any[]} */
  const seen = [];
  const lab = /** @type {any} */ ({ info, figure: async () => ({ row_axis: { labels: [] }, col_axis: { labels: [] } }), run: async (/** @type {any} */ _, /** @type {any} */ { onPartial }) => {
    await onPartial({ axes: ["layer"], shape: [2], values: [1, NaN], done: 1, baseline: 0 });
    return { axes: ["layer"], values: [1, 2] };
  } });
  await sweep(lab, /** @type {any} */ ({ kind: "ablate" }), /** @type {any} */ ({ onSofar: (/** @type {any} */ value) => seen.push(value) }));
  assert.deepEqual([seen.length, seen[0].result.model, seen[0].result.engine, seen[0].sofar], [1, info.model, info.engine, { done: 1, cells: 2 }]);
});

test("an edit that changes nothing computes nothing", async () => {
  const { store, jobs, start } = bench();
  start();
  store.edit("predict", { prompt: store.get("predict").inputs.prompt });
  store.edit("settings", { prepend_bos: true });
  await sleep(400);
  assert.equal(jobs.length, 1);
});

test("a big sweep waits for a click and a small one does not", async () => {
  const { store, jobs, start, section, job } = bench([{ seconds: 40 }, { seconds: 0.5 }]);
  start();
  await sleep(1);
  assert.deepEqual([job().status, job().estimate?.seconds, jobs.length], ["held", 40, 0]);
  section.run();
  assert.deepEqual([job().status, jobs.length], ["running", 1]);
  jobs[0].end("big");
  await sleep(1);
  assert.deepEqual([job().status, job().value], ["done", "big"]);
  store.edit("predict", { prompt: "small" });
  await sleep(400);
  assert.deepEqual([job().status, jobs.length], ["running", 2]);
});

/** @returns {never} */
function refuse() {
  throw new LabError("input.token", "Not one token.");
}

test("an estimate that fails is the section's error", async () => {
  const { start, job } = bench([{ get seconds() { return refuse(); } }]);
  start();
  await sleep(1);
  assert.deepEqual([job().status, job().error?.code], ["error", "input.token"]);
});

test("what is done is shown while it runs and kept when it is cancelled, even if it comes a moment later", async () => {
  const { jobs, start, section, job } = bench();
  start();
  jobs[0].end("whole");
  await sleep(1);
  assert.deepEqual([job().fresh, job().sofar], [true, null]);
  section.run();
  assert.deepEqual([job().value, job().fresh], ["whole", false]);
  jobs[1].onSofar("half", { done: 5, cells: 10 });
  assert.deepEqual([job().status, job().value, job().fresh, job().sofar], ["running", "half", true, { done: 5, cells: 10 }]);
  section.cancel();
  await sleep(1);
  jobs[1].onSofar("more", { done: 6, cells: 10 });
  assert.deepEqual([job().status, job().value, job().sofar?.done], ["cancelled", "more", 6]);
  section.run();
  jobs[1].onSofar("late", { done: 7, cells: 10 });
  assert.deepEqual([job().value, job().sofar], ["more", null]);
  jobs[2].end("new");
  await sleep(1);
  jobs[2].onSofar("after the end", { done: 9, cells: 10 });
  assert.deepEqual([job().value, job().sofar], ["new", null]);
});

test("a sweep is big by its time; by its cells where the time is not known; never with little work", () => {
  assert.ok(isBig({ ...COST, seconds: 2.1 }) && isBig({ ...COST, seconds: null }));
  assert.ok(!isBig({ ...COST, seconds: 1.9 }) && !isBig({ ...COST, seconds: null, cells: 2000 }));
  assert.ok(!isBig({ ...COST, seconds: 9, flops: 1e9, cells: 100 }));
});

test("the time left follows from how it went, and is not guessed at once", () => {
  const left = timeLeft();
  assert.equal(left(0.1, 5000), null);
  assert.equal(left(0.2, 5500), null);
  assert.equal(left(0.1, 9000), null);
  assert.ok(Math.abs((left(0.3, 7000) ?? 0) - 7) < 1e-9);
});
