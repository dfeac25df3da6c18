// The labs that a page's figures share, with a worker that says what it is told to.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { LabError } from "../../www/errors.js";

/** @type {Fake[]} */
let workers = [];
class Fake {
  /** @type {any[]} */ got = [];
  ended = false;
  onmessage = (/** @type {{ data: any }} */ _) => {};
  constructor() {
    workers.push(this);
    queueMicrotask(() => this.onmessage({ data: "here" }));
  }
  postMessage(/** @type {any} */ message) {
    if (message.kind !== "ping") this.got.push(message);
  }
  terminate() {
    this.ended = true;
  }
  /** Answers the last message of a kind. @param {string} of @param {object} answer */
  say(of, answer) {
    this.onmessage({ data: { id: this.got.findLast(({ kind }) => kind === of).id, ...answer } });
  }
}
const { compute, withLab } = await import("../../www/embed/live.js");
Object.assign(globalThis, { Worker: Fake, self: { origin: "null" }, document: { baseURI: "https://blog.example/" } });

const INFO = { model: { name: "pronoun" }, engine: { backend: "cpu" } };
const wait = (ms = 0) => new Promise((resolve) => setTimeout(resolve, ms));
const cancel = () => new LabError("run.cancelled", "Cancelled.");
let count = 0;
/** A model that no other test has open. */
const wanted = () => ({ model: `hf:some/model${++count}`, backend: "cpu", allowHosts: [] });
const listener = () => {
  /** @type {string[]} */
  const notices = [];
  return { notices, onProgress() {}, onNotice: (/** @type {{ message: string }} */ { message }) => notices.push(message) };
};
/** @type {{ close(): void }[]} */
const open = [];
const kept = async (/** @type {any} */ lab) => {
  open.push(lab);
  return lab;
};
afterEach(() => {
  open.splice(0).forEach((lab) => lab.close());
  workers = [];
});

test("the last figure that cancels ends the download; one of two does not", async () => {
  const model = wanted();
  const [a, b] = [new AbortController(), new AbortController()];
  const [first, second] = [withLab(model, listener(), a.signal, kept), withLab(model, listener(), b.signal, kept)];
  await wait();
  assert.equal(workers.length, 1, "one engine for a model");
  a.abort(cancel());
  await assert.rejects(first, { code: "run.cancelled" });
  await wait(300);
  assert.deepEqual(workers[0].got.map(({ kind }) => kind), ["open"], "the other one still waits");
  b.abort(cancel());
  await assert.rejects(second, { code: "run.cancelled" });
  await wait(300);
  assert.deepEqual(workers[0].got.map(({ kind }) => kind), ["open", "cancel"]);
  workers[0].say("open", { kind: "error", error: { code: "run.cancelled", message: "" } });
  assert.ok(workers[0].ended);
  // The next one begins anew.
  const again = withLab(model, listener(), new AbortController().signal, kept);
  await wait();
  assert.equal(workers.length, 2);
  workers[1].say("open", { kind: "done", value: INFO });
  await again;
});

test("a run that takes another's place goes on with its download", async () => {
  const model = wanted();
  const old = new AbortController();
  const first = withLab(model, listener(), old.signal, kept);
  old.abort(new LabError("run.superseded", ""));
  await assert.rejects(first, { code: "run.superseded" });
  const second = withLab(model, listener(), new AbortController().signal, kept);
  await wait(300);
  assert.deepEqual([workers.length, workers[0].got.length], [1, 1]);
  workers[0].say("open", { kind: "done", value: INFO });
  assert.equal((await second).info.model.name, "pronoun");
});

test("a lab that is closed, or that failed to open, is not handed out again", async () => {
  const model = wanted();
  const run = () => withLab(model, listener(), new AbortController().signal, kept);
  const failed = run();
  await wait();
  workers[0].say("open", { kind: "error", error: { code: "net.status", message: "404" } });
  await assert.rejects(failed, { code: "net.status" });
  const first = run();
  await wait();
  workers[1].say("open", { kind: "done", value: INFO });
  const lab = await first;
  assert.equal(await run(), lab);
  assert.equal(lab.closed, false);
  lab.close();
  assert.equal(lab.closed, true);
  const second = run();
  await wait();
  assert.equal(workers.length, 3);
  workers[2].say("open", { kind: "done", value: INFO });
  assert.notEqual(await second, lab);
});

test("notices: once for each run, those of the run too; and whether the model is stored", async () => {
  const model = wanted();
  const heard = listener();
  /** @type {boolean | undefined} */
  let known;
  const first = withLab(model, heard, new AbortController().signal, async (lab, stored) => {
    known = stored;
    await kept(lab);
    await wait(20);
  });
  await wait();
  workers[0].say("open", { kind: "notice", notice: { code: "store.memory", message: "In memory." } });
  workers[0].say("open", { kind: "done", value: INFO });
  await wait();
  assert.equal(known, false);
  workers[0].say("open", { kind: "notice", notice: { code: "gpu.lost", message: "The GPU was lost." } });
  await first;
  assert.deepEqual(heard.notices, ["In memory.", "The GPU was lost."]);
  const later = listener();
  await withLab(model, later, new AbortController().signal, kept);
  assert.deepEqual(later.notices, heard.notices);
  const other = wanted();
  const second = withLab(other, listener(), new AbortController().signal, async (lab, stored) => {
    known = stored;
    await kept(lab);
  });
  await wait();
  workers[1].say("open", { kind: "done", value: INFO });
  await second;
  assert.equal(known, true);
});

test("what is cancelled while its figure is made gives none", async () => {
  const stop = new AbortController();
  const lab = /** @type {any} */ ({
    run: async () => ({ values: [1] }),
    figure: async () => {
      stop.abort(cancel());
      return { row_axis: { title: "", labels: [] }, col_axis: { title: "", labels: [] } };
    },
  });
  const spec = /** @type {any} */ ({ version: 1, experiment: { kind: "ablate" } });
  await assert.rejects(compute(lab, spec, { signal: stop.signal, onProgress() {}, onFigure() {} }), { code: "run.cancelled" });
});
