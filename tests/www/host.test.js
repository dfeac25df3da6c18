// The page's side of the worker, with workers that the test plays itself.
import assert from "node:assert/strict";
import { test } from "node:test";

/** @type {{ sent: any[], say: (message: any) => void, crash: () => void }[]} */
const workers = [];
Object.assign(globalThis, { self: globalThis });
Object.defineProperty(globalThis, "origin", { configurable: true, value: "null" });
Object.defineProperty(globalThis, "Worker", { configurable: true, value: class {
  /** @type {((event: any) => void) | null} */ onmessage = null;
  /** @type {((event: any) => void) | null} */ onerror = null;
  constructor() {
    /** @type {any[]} */
    const sent = [];
    this.postMessage = (/** @type {any} */ message) => void sent.push(message);
    this.terminate = () => {};
    workers.push({ sent, say: (data) => this.onmessage?.({ data }), crash: () => this.onerror?.({ message: "gone", preventDefault() {} }) });
  }
} });
const { Host } = await import("../../www/host.js");

const model = { name: "m", sha256: "00" };
const selfTest = { difference: 1e-6, checked: ["a"], at: "2026-01-02", milliseconds: 5 };

/** A lab whose worker is there. @param {import("node:test").TestContext} t */
async function opened(t) {
  const host = new Host(/** @type {any} */ ({ model: { address: "./m/" }, backend: "auto" }));
  // Else its pings go on.
  t.after(() => host.close());
  const opening = host.open();
  const worker = workers[workers.length - 1];
  worker.say("here");
  const [{ id }] = worker.sent;
  return { host, opening, worker, id };
}

test("the check of the GPU belongs to the GPU: a CPU engine that takes its place does not have it", async (t) => {
  const { host, opening, worker, id } = await opened(t);
  worker.say({ id, kind: "tested", key: "k", selfTest });
  worker.say({ id, kind: "done", value: { model, engine: { backend: "gpu" } } });
  await opening;
  assert.deepEqual(host.info?.engine, { backend: "gpu", self_test: selfTest });
  // The worker ends, and the next one gets no GPU any more.
  worker.crash();
  const next = workers[workers.length - 1];
  assert.notEqual(next, worker);
  next.say("here");
  next.say({ id: next.sent[0].id, kind: "done", value: { model, engine: { backend: "cpu", reason: "no GPU" } } });
  assert.deepEqual(host.info?.engine, { backend: "cpu", reason: "no GPU" });
});

test("a GPU that failed its check is why the CPU engine runs", async (t) => {
  const { host, opening, worker, id } = await opened(t);
  worker.say({ id, kind: "refused", report: "wrong numbers" });
  const next = workers[workers.length - 1];
  assert.notEqual(next, worker);
  next.say("here");
  assert.equal(next.sent[0].backend, "cpu");
  next.say({ id: next.sent[0].id, kind: "done", value: { model, engine: { backend: "cpu", reason: "asked for" } } });
  await opening;
  assert.deepEqual(host.info?.engine, { backend: "cpu", reason: "the GPU failed its check" });
});
