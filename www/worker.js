// The engine's worker: owns the wasm, does one job at a time, holds no interface logic.
import { LabError, toPlain } from "./errors.js";
import { fetchWithProgress, loadModel } from "./files.js";
import { lastWords } from "./panic.js";
import { SINGLE, choose, startThreads } from "./threads.js";

/** @typedef {import("./host.js").ToWorker} ToWorker */
/** @typedef {import("./host.js").FromWorker} FromWorker */
/** @typedef {import("./engine.js").Engine} Engine */

/** Progress messages of a run closer together than this many milliseconds are dropped. */
const REPORT_EVERY = 50;
/** So are partial answers, which cost a redraw each; a sweep quicker than this has none, so that nothing flickers. */
const PARTIAL_EVERY = 450;

/** @type {Engine | null} */
let engine = null;
/** The job under way that may be cancelled. @type {{ id: number, cancelled: boolean } | null} */
let current = null;

/** @param {FromWorker} message @param {Transferable[]} [transfer] */
const post = (message, transfer = []) => self.postMessage(message, { transfer });

self.addEventListener("message", ({ data }) => handle(/** @type {ToWorker} */ (data)));

/** @param {ToWorker} message */
async function handle(message) {
  const { id, kind } = message;
  if (kind === "ping") return post({ id, kind: "pong" });
  if (kind === "cancel") {
    if (current?.id === id) current.cancelled = true;
    return;
  }
  try {
    if (kind === "open") return post({ id, kind: "done", value: await open(message) });
    if (!engine) throw new LabError("engine.not_open", "No model is loaded.");
    if (kind === "tokenize") {
      return post({ id, kind: "done", value: engine.tokenize(message.text, message.prependBos) });
    }
    if (kind === "figure") return post({ id, kind: "done", value: engine.figure(message.result) });
    if (kind === "estimate") return post({ id, kind: "done", value: engine.estimate(message.experiment) });
    const value = await run(engine, message);
    post({ id, kind: "done", value }, buffersOf(value));
  } catch (thrown) {
    post({ id, kind: "error", error: toPlain(thrown, lastWords()) });
  }
}

/** @param {Extract<ToWorker, { kind: "open" }>} message */
async function open({ id, model, backend, threads, kernels, cache }) {
  /** @param {import("./microtome.js").LoadProgress} progress */
  const report = (progress) => post({ id, kind: "load", progress });
  const build = await choose(threads);
  const { Engine } = await load(id, build, report).catch((cause) => {
    if (build === SINGLE) throw cause;
    console.warn(`microtome: no threads, ${cause.message}`);
    return load(id, SINGLE, report);
  });
  // The engine gets its kernels ready while the files are on their way.
  const [files, prepared] = await Promise.all([loadModel(new URL(model), report, cache), Engine.prepare(backend, kernels)]);
  engine = await Engine.open(files, prepared, {}, (_, loaded, total) => report({ phase: "start", file: "", loaded, total }), () => false);
  return engine.info();
}

/** @param {number} id @param {import("./threads.js").Build} build @param {import("./files.js").Report} report */
async function load(id, build, report) {
  const glue = /** @type {typeof import("./engine.js")} */ (await import(build.glue.href).catch((cause) => {
    throw new LabError("engine.missing", `The engine could not be loaded: ${cause.message}.`,
      "Reload the page; if this site was built by hand, build it with “microtome build”.");
  }));
  const wasm = await fetchWithProgress(build.wasm, report, "default");
  if (!wasm) throw new LabError("engine.missing", `${build.wasm.href} does not exist.`, "Build the site again.");
  await glue.default({ module_or_path: wasm });
  if (build.threads > 1) {
    const alarms = await startThreads(build, /** @type {import("./engine.js").Threaded} */ (/** @type {unknown} */ (glue)));
    post({ id, kind: "threads", alarms }, alarms);
  }
  return glue;
}

/** @param {Engine} engine @param {Extract<ToWorker, { kind: "run" }>} message */
async function run(engine, { id, experiment }) {
  const job = { id, cancelled: false };
  current = job;
  let reported = 0;
  let shown = performance.now();
  try {
    return await engine.run(experiment, (done, total) => {
      if (done < total && performance.now() - reported < REPORT_EVERY) return;
      reported = performance.now();
      post({ id, kind: "progress", done, total });
    }, (sofar) => {
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
