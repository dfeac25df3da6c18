import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { createRecordings } from "../../www/recorded.js";
import { compare, failed } from "../../www/self_test.js";
import { live } from "../../www/live.js";
import { createStore, initialState } from "../../www/state.js";
import { S } from "../../www/strings.js";
import { toyModel } from "../../www/toy_model.js";
import { wayOf } from "../../www/views/recorded.js";
import { withPreloads } from "../preloads.mjs";

const www = (/** @type {string} */ path) => new URL(`../../www/${path}`, import.meta.url);
const INFO = /** @type {any} */ ({ model: { name: "m", sha256: "aa" }, engine: { build: "b" } });

test("index.html names exactly the modules that main.js imports", () => {
  const html = readFileSync(www("index.html"), "utf8");
  assert.ok(html.split("modulepreload").length > 40);
  assert.equal(html, withPreloads(html), "run: node tests/preloads.mjs");
});

test("recorded files are small, of the shipped weights, and hold finite numbers only", () => {
  const sha256 = createHash("sha256").update(readFileSync(www("models/pronoun/model.safetensors"))).digest("hex");
  let all = 0;
  for (const name of readdirSync(www("recorded"))) {
    const text = readFileSync(www(`recorded/${name}`), "utf8");
    all += text.length;
    const { info, sections, address } = JSON.parse(text, (_, value) => {
      assert.ok(typeof value !== "number" || Number.isFinite(value));
      return value;
    });
    assert.equal(info.model.sha256, sha256, `${name}: run tests/record.mjs`);
    assert.equal(address, initialState().model.address);
    for (const key of Object.keys(sections)) assert.ok(key in initialState(), key);
  }
  assert.ok(all > 10_000 && all < 200_000, `${all} bytes`);
});

test("a recorded value is found by exactly its inputs, its address and, where one is open, its model", () => {
  let address = "./a/";
  const recordings = createRecordings(() => address);
  recordings.add({ address: "./a/", made: "2026-01-02", info: INFO, sections: {
    predict: { inputs: [{ a: 1, b: [2] }], value: { kind: "x", experiment: {}, data: { f32: [1, 0.5] } } },
  } });
  const found = recordings.find("predict", [{ b: [2], a: 1 }]);
  assert.deepEqual(found?.value, { kind: "x", experiment: {}, data: new Float32Array([1, 0.5]), ...INFO });
  assert.deepEqual(found?.mark, { model: "m", sha256: "aa", build: "b", made: "2026-01-02", same: true });
  assert.equal(recordings.find("predict", [{ a: 1, b: [2] }], "aa")?.value, found?.value);
  assert.equal(recordings.find("predict", [{ a: 1, b: [2] }], "bb"), undefined);
  assert.equal(recordings.find("predict", [{ a: 1, b: [3] }]), undefined);
  assert.equal(recordings.find("grid", [{ a: 1, b: [2] }]), undefined);
  address = "./b/";
  assert.equal(recordings.find("predict", [{ a: 1, b: [2] }]), undefined);
});

test("a section shows what is recorded of its inputs, says when they change, and lets a live value take its place", async () => {
  const store = createStore();
  const recordings = createRecordings(() => store.get("model").address);
  /** @type {any} */ let lab = null;
  /** @type {() => void} */ let ready = () => {};
  const session = /** @type {any} */ ({ lab: () => lab, onReady: (/** @type {() => void} */ f) => (ready = f), recordings });
  live(store, session, "predict", async () => "live");
  const job = () => store.get("predict").job;
  const prompt = store.get("predict").inputs.prompt;
  recordings.add({ address: store.get("model").address, made: "", info: INFO, sections: { predict: { inputs: recordings.inputsOf("predict"), value: "recorded" } } });
  assert.deepEqual([job().value, job().recorded?.same, job().status], ["recorded", true, "waiting"]);
  store.edit("predict", { prompt: "other" });
  assert.deepEqual([job().value, job().recorded?.same], ["recorded", false]);
  store.edit("predict", { prompt });
  assert.deepEqual([job().value, job().recorded?.same], ["recorded", true]);
  // Another model than the recorded one is open.
  lab = { info: { model: { sha256: "bb" } } };
  ready();
  assert.deepEqual([job().value, job().recorded?.same], ["recorded", false]);
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual([job().value, job().recorded, job().status], ["live", null, "done"]);
  store.edit("predict", { prompt: "other" });
  store.edit("predict", { prompt });
  assert.equal(job().recorded, null);
});

test("live numbers are promised only where a model is on its way, or there", () => {
  const store = createStore();
  const ways = (/** @type {("loading" | "ready" | "error" | "cancelled")[]} */ ...all) => all.map((status) => {
    store.update("model", { status });
    return wayOf(store, "predict");
  });
  assert.deepEqual(ways("loading", "ready", "error", "cancelled"), ["waits", "waits", "without", "without"]);
  assert.equal(wayOf(store, "training"), "click");
  for (const way of /** @type {const} */ (["click", "waits", "without"])) assert.ok(S.recorded[way]);
});

const answers = () => ({
  logProbs: new Float64Array([-1, -2]), patterns: [new Float32Array([1, 0])], sums: [1], residuals: [new Float32Array([3, 4])], ablated: [2], patched: [0.5],
});

test("the check of the GPU passes what is near, and nothing that is far, short or no number", () => {
  const good = compare(answers(), answers());
  assert.ok(good.every((check) => check.difference === 0 && !failed(check)));
  /** @param {(found: ReturnType<typeof answers>) => void} spoil */
  const bad = (spoil) => {
    const found = answers();
    spoil(found);
    return compare(found, answers()).filter(failed).map(({ name }) => name.split(/[ ,]/)[0]).join();
  };
  assert.equal(bad((found) => (found.logProbs[1] += 9e-4)), "");
  assert.equal(bad((found) => (found.logProbs[1] += 2e-3)), "log-probabilities");
  assert.equal(bad((found) => (found.logProbs[0] = NaN)), "log-probabilities");
  assert.equal(bad((found) => (found.logProbs = new Float64Array(1))), "log-probabilities");
  assert.equal(bad((found) => (found.patterns[0][1] = 0.001)), "attention");
  assert.equal(bad((found) => (found.sums[0] = 1.01)), "rows");
  assert.equal(bad((found) => (found.residuals[0][0] = 3.01)), "residual");
  assert.equal(bad((found) => (found.ablated[0] = Infinity)), "loss");
  assert.equal(bad((found) => (found.patched = [])), "logit");
});

test("the small model is the same every time, and its file is whole", async () => {
  const [a, b] = await Promise.all([toyModel(), toyModel()].map(({ files }) => files[1].blob.arrayBuffer()));
  assert.deepEqual(Buffer.from(a), Buffer.from(b));
  const length = Number(new DataView(a).getBigUint64(0, true));
  const header = JSON.parse(Buffer.from(a, 8, length).toString());
  const end = Math.max(...Object.values(header).map(({ data_offsets: [, end] }) => end));
  assert.equal(a.byteLength, 8 + length + end);
  const wpe = new Float32Array(a.slice(8 + length).slice(...header["wpe.weight"].data_offsets));
  assert.ok(wpe.some((x) => x !== 0) && wpe.every((x) => Number.isInteger(x * 1024) && Math.abs(x) < 1));
});
