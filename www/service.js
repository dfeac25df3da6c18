// The engine's side of the messages (`host.js` is the other one): owns the wasm, does one job at a time, holds no interface
// logic. It runs in a worker (`worker.js`) or, where a page may not start one, in the page (`in_page.js`). Longer than most
// files: one function a message.
import { bring, verifyStored } from "./download.js";
import { LabError, toPlain } from "./errors.js";
import { loadModule, nameOf } from "./module.js";
import { prepareChecked } from "./self_test.js";
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

/**
 * One engine, which answers messages one by one.
 * @param {(message: FromWorker, transfer?: Transferable[]) => void} send
 * @param {{ lastWords?: () => string, build?: import("./threads.js").Build, notices?: import("./microtome.js").Notice[] }} [place]
 *   `lastWords`: what a panic wrote to the console; `build`: the only one that this place can run; `notices`: what whoever
 *   opens a model is told of the place
 * @returns {{ handle: (message: ToWorker) => Promise<void>, stop: () => void }} `stop` ends what is under way at its next
 *   pause, and nothing is sent any more: what a worker's end does, where there is no worker
 */
export function serve(send, { lastWords = () => "", build: only, notices: placeNotices = [] } = {}) {
  /** @type {Engine | null} */
  let engine = null;
  /** How the open model was opened, for its checkpoints. @type {Pick<import("./training_run.js").Scene, "glue" | "model" | "allowNotFinite"> | null} */
  let opened = null;
  /** Bytes of the module's memory before it had anything to do. */
  let startBytes = 0;
  /** The job under way that may be cancelled. @type {{ id: number, cancelled: boolean, abort?: AbortController } | null} */
  let current = null;

  let stopped = false;
  /** Messages that are being answered. */
  let busy = 0;
  /** A module that trapped must not be called again. */
  let trapped = false;

  /** @param {FromWorker} message @param {Transferable[]} [transfer] */
  const post = (message, transfer) => void (stopped || send(message, transfer));

  /** @param {ToWorker} message */
  async function handle(message) {
    if (stopped) return;
    busy += 1;
    await answer(message);
    busy -= 1;
    if (stopped) letGo();
  }

  function stop() {
    stopped = true;
    if (current) current.cancelled = true;
    current?.abort?.abort(new LabError("lab.closed", "The lab was closed."));
    letGo();
  }

  /** Gives the engine's memory back, once nothing uses it. */
  function letGo() {
    if (busy === 0 && !trapped) engine?.free();
    if (busy === 0) engine = null;
  }

  /** @param {ToWorker} message @returns {Promise<void>} */
  async function answer(message) {
    const { id, kind } = message;
    if (kind === "ping") return post({ id, kind: "pong" });
    if (kind === "cancel") {
      if (current?.id !== id) return;
      current.cancelled = true;
      return void current.abort?.abort(new LabError("run.cancelled", "Cancelled."));
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
      const error = toPlain(thrown, lastWords());
      trapped ||= Boolean(error.fatal);
      post({ id, kind: "error", error });
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
  async function open({ id, model, backend, precision, allowNotFinite, threads, limits, kernels, tested, files: given, steps: givenSteps = [] }, signal) {
    /** @param {import("./microtome.js").LoadProgress} progress */
    const report = (progress) => post({ id, kind: "load", progress });
    for (const notice of placeNotices) post({ id, kind: "notice", notice });
    const build = only ?? await choose(threads);
    const start = (/** @type {import("./threads.js").Build} */ build) => loadModule(build, report, (alarms) => post({ id, kind: "threads", alarms }, alarms));
    const glue = await start(build).catch((cause) => {
      if (build.threads === 1) throw cause;
      console.warn(`microtome: no threads, ${cause.message}`);
      return start(SINGLE);
    });
    startBytes = glue.heapBytes();
    signal.throwIfAborted();
    const address = glue.parseAddress(model.address);
    // The engine gets its kernels ready while the files are on their way.
    const checking = prepareChecked(glue, { backend, precision, limits, kernels, tested, timeScale: model.timeScale });
    const preparing = checking.then((found) => ("prepared" in found ? found : refuse(id, found.refused)));
    preparing.catch(() => {}); // heard below, unless the files fail first
    const onConfig = async (/** @type {Uint8Array} */ config) => {
      const { prepared } = await preparing;
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
    const { prepared, selfTest, key } = await preparing;
    engine = await glue.Engine.open(named, prepared, { precision, allow_not_finite: allowNotFinite }, onPhase, () => signal.aborted);
    opened = { glue, model, allowNotFinite };
    const { notices = [], ...info } = engine.info();
    for (const notice of notices) post({ id, kind: "notice", notice });
    if (selfTest && key) post({ id, kind: "tested", key, selfTest });
    return info;
  }

  /** Asks to be replaced: what a failing GPU has left here is not to be trusted. @param {number} id @param {string} report @returns {never} */
  function refuse(id, report) {
    post({ id, kind: "refused", report });
    throw new LabError("gpu.self_test", "The GPU failed its check.");
  }

  /** @param {Extract<ToWorker, { kind: "verify" }>} message @param {AbortSignal} signal */
  async function verify({ id, key }, signal) {
    /** @param {import("./microtome.js").LoadProgress} progress */
    const report = (progress) => post({ id, kind: "load", progress });
    return verifyStored(await loadModule(only ?? SINGLE, () => {}, () => {}), key, signal, report);
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

  return { handle, stop };
}

/**
 * The files that were handed over, unless one can no longer be read: a store may have been emptied in the meantime.
 * @param {ModelFile[] | undefined} files
 */
async function readable(files) {
  const read = files?.map(({ blob }) => blob.slice(0, 1).arrayBuffer());
  return read && await Promise.all(read).then(() => files, () => undefined);
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
