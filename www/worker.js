// The engine's worker: owns the wasm, does one job at a time, holds no interface logic.
import { bring, verifyStored } from "./download.js";
import { LabError, toPlain } from "./errors.js";
import { loadModule, nameOf } from "./module.js";
import { lastWords } from "./panic.js";
import { forget, stored } from "./store.js";
import { SINGLE, choose } from "./threads.js";
import { estimateTraining, goTo, runTraining } from "./training_run.js";

/** @typedef {import("./host.js").ToWorker} ToWorker */
/** @typedef {import("./host.js").FromWorker} FromWorker */
/** @typedef {import("./engine.js").Engine} Engine */
/** @typedef {import("./download.js").ModelFile} ModelFile */

/** Progress messages of a run closer together than this many milliseconds are dropped. */
const REPORT_EVERY = 50;
/** So are partial answers, which cost a redraw each; a sweep quicker than this has none, so that nothing flickers. */
const PARTIAL_EVERY = 450;

/** @type {Engine | null} */
let engine = null;
/** How the open model was opened, for its checkpoints. @type {Pick<import("./training_run.js").Scene, "glue" | "model" | "allowNotFinite"> | null} */
let opened = null;
/** Bytes of the module's memory before it had anything to do. */
let startBytes = 0;
/** The job under way that may be cancelled. @type {{ id: number, cancelled: boolean, abort?: AbortController } | null} */
let current = null;

/** @param {FromWorker} message @param {Transferable[]} [transfer] */
const post = (message, transfer = []) => self.postMessage(message, { transfer });

self.addEventListener("message", ({ data }) => handle(/** @type {ToWorker} */ (data)));

/** @param {ToWorker} message */
async function handle(message) {
  const { id, kind } = message;
  if (kind === "ping") return post({ id, kind: "pong" });
  if (kind === "cancel") {
    if (current?.id !== id) return;
    current.cancelled = true;
    return current.abort?.abort(new LabError("run.cancelled", "Cancelled."));
  }
  try {
    if (kind === "open") return post({ id, kind: "done", value: await cancellable(id, (signal) => open(message, signal)) });
    if (kind === "stored") return post({ id, kind: "done", value: await stored() });
    if (kind === "forget") return post({ id, kind: "done", value: await forget(message.key) });
    if (kind === "verify") return post({ id, kind: "done", value: await cancellable(id, (signal) => verify(message, signal)) });
    if (!engine || !opened) throw new LabError("engine.not_open", "No model is loaded.");
    if (kind === "tokenize") {
      return post({ id, kind: "done", value: engine.tokenize(message.text, message.prependBos) });
    }
    if (kind === "figure") return post({ id, kind: "done", value: engine.figure(message.result) });
    if (kind === "memory") return post({ id, kind: "done", value: { ...engine.memory(), start_bytes: startBytes } });
    if (kind === "published") return post({ id, kind: "done", value: await published(engine, id) });
    if (kind === "estimate") return post({ id, kind: "done", value: message.experiment.kind === "training"
      ? estimateTraining(engine, message.experiment) : engine.estimate(message.experiment) });
    if (kind === "family") return post({ id, kind: "done", value: [...engine.family()] });
    if (kind === "goTo" || message.experiment?.kind === "training") {
      const scene = { ...opened, engine, onProgress: reporter(id), onNotice: (/** @type {import("./microtome.js").Notice} */ notice) => post({ id, kind: "notice", notice }) };
      /** @param {AbortSignal} signal @returns {Promise<object>} */
      const work = (signal) => (message.kind === "goTo" ? goTo({ ...scene, signal }, message.step)
        : runTraining({ ...scene, signal }, /** @type {any} */ (message.experiment), (partial) => post({ id, kind: "partial", partial })));
      return post({ id, kind: "done", value: await cancellable(id, work) });
    }
    const value = await run(engine, message);
    post({ id, kind: "done", value }, buffersOf(value));
  } catch (thrown) {
    post({ id, kind: "error", error: toPlain(thrown, lastWords()) });
  }
}

/** @template T @param {number} id @param {(signal: AbortSignal) => Promise<T>} body @returns {Promise<T>} */
async function cancellable(id, body) {
  const abort = new AbortController();
  current = { id, cancelled: false, abort };
  try {
    return await body(abort.signal);
  } finally {
    current = null;
  }
}

/** @param {Extract<ToWorker, { kind: "open" }>} message @param {AbortSignal} signal */
async function open({ id, model, backend, precision, allowNotFinite, threads, limits, kernels, files: given, steps: givenSteps = [] }, signal) {
  /** @param {import("./microtome.js").LoadProgress} progress */
  const report = (progress) => post({ id, kind: "load", progress });
  const build = await choose(threads);
  const start = (/** @type {import("./threads.js").Build} */ build) => loadModule(build, report, (alarms) => post({ id, kind: "threads", alarms }, alarms));
  const glue = await start(build).catch((cause) => {
    if (build === SINGLE) throw cause;
    console.warn(`microtome: no threads, ${cause.message}`);
    return start(SINGLE);
  });
  startBytes = glue.heapBytes();
  signal.throwIfAborted();
  const address = glue.parseAddress(model.address);
  // The engine gets its kernels ready while the files are on their way.
  const preparing = glue.Engine.prepare(backend, kernels, precision, limits === "default");
  preparing.catch(() => {}); // heard below, unless the files fail first
  const onConfig = async (/** @type {Uint8Array} */ config) => {
    const prepared = await preparing;
    post({ id, kind: "plan", plan: { backend: prepared.backend(), ...prepared.plan(config, precision) } });
  };
  const kept = await readable(given);
  const { files, steps } = kept ? { files: kept, steps: givenSteps } : await bring(glue, {
    ...model, address, signal, onProgress: report, onNotice: (notice) => post({ id, kind: "notice", notice }), onConfig,
  });
  // Whoever replaces this worker starts from these.
  post({ id, kind: "files", files, steps });
  signal.throwIfAborted();
  /** @param {"verify" | "convert" | "upload" | "compile"} phase @param {number} loaded @param {number | null} total */
  const onPhase = (phase, loaded, total) => report({
    status: "progress", phase, file: "", loaded, total, all_loaded: loaded, all_total: total, rate: null, left: null, message: null,
  });
  onPhase("compile", 0, null);
  const named = { name: model.name ?? nameOf(address), files, step: address.step, address: address.text, steps };
  engine = await glue.Engine.open(named, await preparing, { precision, allow_not_finite: allowNotFinite }, onPhase, () => signal.aborted);
  opened = { glue, model, allowNotFinite };
  const { notices = [], ...info } = engine.info();
  for (const notice of notices) post({ id, kind: "notice", notice });
  return info;
}

/**
 * The files that were handed over, unless one can no longer be read: a store may have been emptied in the meantime.
 * @param {ModelFile[] | undefined} files
 */
async function readable(files) {
  const read = files?.map(({ blob }) => blob.slice(0, 1).arrayBuffer());
  return read && await Promise.all(read).then(() => files, () => undefined);
}

/** @param {Extract<ToWorker, { kind: "verify" }>} message @param {AbortSignal} signal */
async function verify({ id, key }, signal) {
  /** @param {import("./microtome.js").LoadProgress} progress */
  const report = (progress) => post({ id, kind: "load", progress });
  return verifyStored(await loadModule(SINGLE, () => {}, () => {}), key, signal, report);
}

/** @param {Engine} engine @param {number} id */
async function published(engine, id) {
  const job = { id, cancelled: false };
  current = job;
  try {
    return await engine.verify((done, total) => post({ id, kind: "progress", done, total }), () => job.cancelled);
  } finally {
    current = null;
  }
}

/** Tells how far a job is, not too often. @param {number} id */
function reporter(id) {
  let reported = 0;
  return (/** @type {number} */ done, /** @type {number} */ total) => {
    if (done < total && performance.now() - reported < REPORT_EVERY) return;
    reported = performance.now();
    post({ id, kind: "progress", done, total });
  };
}

/** @param {Engine} engine @param {Extract<ToWorker, { kind: "run" }>} message */
async function run(engine, { id, experiment }) {
  const job = { id, cancelled: false };
  current = job;
  let shown = performance.now();
  try {
    return await engine.run(/** @type {import("./microtome.js").Experiment} */ (experiment), reporter(id), (sofar) => {
      if (performance.now() - shown < PARTIAL_EVERY) return;
      shown = performance.now();
      const done = sofar.values.reduce((count, value) => count + (Number.isNaN(value) ? 0 : 1), 0);
      post({ id, kind: "partial", partial: { ...sofar, done } });
    }, () => job.cancelled);
  } finally {
    current = null;
  }
}

/**
 * The buffers of a trace's tensors, to be moved instead of copied.
 * @param {import("./microtome.js").Result} result
 */
function buffersOf(result) {
  if (result.kind !== "trace") return [];
  const buffers = result.tensors.flatMap((tensors) => Object.values(tensors).map(({ data }) => data.buffer));
  return /** @type {ArrayBuffer[]} */ ([...new Set(buffers)]);
}
