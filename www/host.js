// The page's side of the worker: one job in the worker at a time, the others wait here, so that a worker which
// hangs or panics can be replaced without losing them. Longer than most files: the states of one machine.
import { LabError, fromPlain } from "./errors.js";
import { recall, remember } from "./kernels.js";
import { spawnEngine } from "./spawn.js";
import { recallTests, rememberTest } from "./tested.js";

/** @typedef {import("./microtome.js").LoadProgress} LoadProgress */
/** @typedef {import("./microtome.js").Experiment} Experiment */
/** @typedef {import("./microtome.js").PartialSweep | import("./microtome.js").PartialTraining} Partial */
/** @typedef {{ model: import("./microtome.js").ModelInfo, engine: import("./microtome.js").EngineInfo }} Info */
/** @typedef {"auto" | "gpu" | "cpu"} Backend */
/** @typedef {import("./download.js").ModelFile} ModelFile */
/**
 * Where a model comes from: an address (`src/address.rs`), what `./` in it means, and how it may be fetched. `name`: what
 * it is called, if not after its address.
 * @typedef {{ address: string, base: string, name?: string, hub?: string, allowHosts?: string[], timeScale?: number }} ModelSource
 * @typedef {{ model: ModelSource, files?: ModelFile[], steps?: number[], backend: Backend, precision: "f32" | "f16",
 *   allowNotFinite: boolean, threads?: number, limits: "adapter" | "default" }} Opening
 *   `files`: where they are there already, with the `steps` that their folder names
 */
/**
 * @typedef {{ kind: "run", experiment: Experiment | import("./microtome.js").TrainingExperiment } | { kind: "estimate", experiment: Experiment | import("./microtome.js").TrainingExperiment }
 *   | { kind: "figure", result: import("./microtome.js").Drawable }
 *   | { kind: "tokenize", text: string, prependBos: boolean } | { kind: "memory" } | { kind: "published" }
 *   | { kind: "family" } | { kind: "goTo", step: number }} Work
 * @typedef {{ id: number } & (Work | { kind: "open", kernels: import("./engine.js").Remembered, tested: import("./self_test.js").Tested } & Opening
 *   | { kind: "stored" } | { kind: "forget", key: string } | { kind: "verify", key: string } | { kind: "cancel" } | { kind: "ping" })} ToWorker
 * @typedef {{ id: number } & ({ kind: "load", progress: LoadProgress } | { kind: "pong" }
 *   | { kind: "threads", alarms: MessagePort[] } | { kind: "files", files: ModelFile[], steps: number[] } | { kind: "plan", plan: import("./microtome.js").MemoryPlan }
 *   | { kind: "notice", notice: import("./microtome.js").Notice }
 *   | { kind: "tested", key: string, selfTest: import("./microtome.js").SelfTest } | { kind: "refused", report: string }
 *   | { kind: "progress", done: number, total: number } | { kind: "partial", partial: Partial }
 *   | { kind: "done", value: any }
 *   | { kind: "error", error: import("./errors.js").PlainError & { fatal?: boolean } })} FromWorker
 * @typedef {{ id: number, work: Work, resolve: (value: any) => void, reject: (error: LabError) => void,
 *   onProgress?: (done: number, total: number) => void, onPartial?: (sofar: any) => void,
 *   partial?: Partial }} Job `partial`: the last of what was done
 */

/**
 * Milliseconds a cancelled job has to stop before the worker is replaced, and one that newer work replaces. Nobody waits
 * for it but the next job, and a new worker has to load the model again.
 */
const PATIENCE = { cancelled: 1000, superseded: 2000 };
/** A busy worker is pinged this often (milliseconds); one that leaves so many pings unanswered is replaced. */
const PING_EVERY = 5_000;
const MOST_UNANSWERED = 6;
/** Replacing a worker more often than this within a minute would only go round in circles. */
const MOST_RESTARTS = 3;

/** Milliseconds that a worker gets to put down what it has of a download. */
const LAST_MOMENT = 1000;
/** @type {LoadProgress} */
const READY = {
  status: "ready", phase: "ready", file: "", loaded: 0, total: null, all_loaded: 0, all_total: null, rate: null, left: null, message: null,
};

export class Host {
  /** @type {import("./spawn.js").EngineWorker | null} */ #worker = null;
  /** @type {Job[]} */ #queue = [];
  /** @type {Job | null} */ #active = null;
  /** Figures and tokens asked for while a sweep is under way: the worker sees to them in its pauses. @type {Map<number, Job>} */
  #asides = new Map();
  /** @type {LabError | null} */ #failure = null;
  /** @type {number[]} */ #restarts = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #grace;
  #ready = false;
  #nextId = 1;
  #unanswered = 0;
  /** @type {ReturnType<typeof setInterval>} */ #pings;
  /** @type {Info | null} */ info = null;

  /**
   * @param {Opening & { onProgress?: (progress: LoadProgress) => void,
   *   onNotice?: (notice: import("./microtome.js").Notice) => void, onPlan?: (plan: import("./microtome.js").MemoryPlan) => void }} options
   */
  constructor(options) {
    this.options = options;
    this.#pings = setInterval(() => this.#watch(), PING_EVERY);
  }

  /**
   * Starts a worker and loads the model into it.
   * @returns {Promise<Info>}
   */
  open() {
    const id = this.#nextId++;
    const { onProgress, onNotice: _, onPlan, ...opening } = this.options;
    return new Promise((resolve, reject) => {
      /** @param {LabError} error */
      const fail = (error) => {
        this.close(error);
        reject(error);
      };
      if (this.#failure) return reject(this.#failure);
      const worker = spawnEngine();
      this.#worker = worker;
      this.#stop = fail;
      /** @param {LabError} error */
      const failed = (error) => {
        // A thread's last words may arrive when its engine is gone.
        if (worker !== this.#worker) return;
        if (this.#ready) this.#replace(error);
        else fail(error);
      };
      worker.onerror = (event) => {
        event.preventDefault();
        const why = event.message ? `: ${event.message}` : "";
        failed(new LabError("engine.worker", `The engine's worker failed${why}.`, "Reload the page."));
      };
      worker.onmessage = ({ data }) => {
        const message = /** @type {FromWorker} */ (data);
        this.#unanswered = 0;
        if (message.id !== id) return this.#receive(message);
        if (message.kind === "load") onProgress?.(message.progress);
        if (message.kind === "notice") this.#notice(message.notice);
        if (message.kind === "plan") onPlan?.(message.plan);
        if (message.kind === "tested") {
          rememberTest(message.key, message.selfTest);
          this.#found = { self_test: message.selfTest };
        }
        if (message.kind === "refused") {
          worker.terminate();
          this.options.backend = "cpu";
          this.#notice(refusal(message.report));
          this.#found = { reason: REFUSED };
          return resolve(this.open());
        }
        // The next worker reads them where they lie, even if this one kept them in memory.
        if (message.kind === "files") Object.assign(this.options, { files: message.files, steps: message.steps });
        if (message.kind === "threads") {
          for (const alarm of message.alarms) alarm.onmessage = ({ data }) => failed(fromPlain(data));
        }
        if (message.kind === "error") fail(fromPlain(message.error));
        if (message.kind !== "done") return;
        this.info = this.#complete(message.value);
        this.#ready = true;
        onProgress?.(READY);
        this.#pump();
        resolve(this.info);
      };
      this.#opening = id;
      this.#post({ id, kind: "open", ...opening, kernels: recall(), tested: recallTests() });
    });
  }

  /** What the check of the GPU found. @type {{ self_test?: import("./microtome.js").SelfTest, reason?: string }} */ #found = {};

  /** @param {Info} info @returns {Info} */
  #complete({ model, engine }) {
    const { self_test, reason } = this.#found;
    // A check of the GPU says nothing of a CPU engine that has taken its place.
    const found = engine.backend === "gpu" ? self_test && { self_test } : reason && { reason };
    return { model, engine: { ...engine, ...found } };
  }

  /** Notices that were given: whoever replaces a worker says the same again. @type {Set<string>} */ #told = new Set();

  /** @param {import("./microtome.js").Notice} notice */
  #notice(notice) {
    if (!this.#told.has(notice.message)) this.options.onNotice?.(notice);
    this.#told.add(notice.message);
  }

  /** Ends an opening that is under way. @type {(error: LabError) => void} */
  #stop = () => {};

  /** The message that a worker is answering by loading a model. @type {number | null} */ #opening = null;

  /**
   * Gives the opening up at once. The worker has a moment to put down what it has of a download, so that the next one can
   * go on from there.
   * @param {LabError} error
   */
  abandon(error) {
    const worker = this.#worker;
    this.#worker = null;
    if (worker) {
      worker.onerror = (event) => event.preventDefault();
      worker.onmessage = ({ data }) => {
        if (["error", "done"].includes(data.kind)) worker.terminate();
      };
      worker.postMessage(/** @type {ToWorker} */ ({ id: this.#opening, kind: "cancel" }));
      setTimeout(() => worker.terminate(), LAST_MOMENT);
    }
    this.#stop(error);
  }

  /**
   * @param {Work} work
   * @param {import("./microtome.js").RunOptions} [options]
   * @returns {Promise<any>}
   */
  call(work, { onProgress, onPartial, signal } = {}) {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      if (signal?.aborted) return reject(cancelled(signal));
      const job = { id: this.#nextId++, work, resolve, reject, onProgress, onPartial };
      signal?.addEventListener("abort", () => this.#cancel(job, signal), { once: true });
      // A figure, an estimate or a token list is wanted now and takes no time: it goes before the sweeps that wait.
      if (work.kind === "run" || work.kind === "published") this.#queue.push(job);
      else if (["figure", "tokenize"].includes(work.kind) && this.#active?.work.kind === "run") this.#aside(job);
      else this.#queue.unshift(job);
      this.#pump();
    });
  }

  /** Whether everything that is asked of it is refused from now on. */
  get closed() {
    return this.#failure !== null;
  }

  /** @param {LabError} [error] what becomes of everything under way */
  close(error = new LabError("lab.closed", "The lab was closed.")) {
    this.#failure ??= error;
    clearInterval(this.#pings);
    clearTimeout(this.#grace);
    this.#worker?.terminate();
    this.#worker = null;
    this.#ready = false;
    for (const job of [this.#active, ...this.#asides.values(), ...this.#queue]) job?.reject(error);
    this.#active = null;
    this.#asides.clear();
    this.#queue = [];
  }

  /** @param {ToWorker} message */
  #post(message) {
    this.#unanswered = 0;
    this.#worker?.postMessage(message);
  }

  #pump() {
    if (!this.#ready || this.#active) return;
    const job = this.#queue.shift();
    if (!job) return;
    this.#active = job;
    if (!this.#send(job)) this.#pump();
  }

  /** @param {Job} job active, or an aside @returns {boolean} whether it is on its way */
  #send(job) {
    try {
      this.#post({ id: job.id, ...job.work });
      return true;
    } catch (cause) {
      // A value that cannot be cloned (a function, a DOM node) never reaches the worker.
      this.#forget(job);
      job.reject(new LabError("input.json", `The experiment is not a JSON value: ${cause}.`));
      return false;
    }
  }

  /** @param {Job} job */
  #aside(job) {
    this.#asides.set(job.id, job);
    this.#send(job);
  }

  /** @param {Job} job that is no longer in the worker */
  #forget(job) {
    if (!this.#asides.delete(job.id)) this.#active = null;
  }

  /** @param {FromWorker} message */
  #receive(message) {
    const aside = this.#asides.get(message.id);
    const job = aside ?? this.#active;
    if (!job || message.id !== job.id) return;
    if (message.kind === "progress") return job.onProgress?.(message.done, message.total);
    if (message.kind === "partial") {
      job.partial = message.partial;
      return job.onPartial?.(message.partial);
    }
    if (message.kind !== "done" && message.kind !== "error") return;
    if (message.kind === "error" && message.error.fatal) {
      if (aside) job.reject(fromPlain(message.error));
      this.#asides.delete(job.id);
      return this.#replace(fromPlain(message.error));
    }
    if (!aside) clearTimeout(this.#grace);
    this.#forget(job);
    if (message.kind === "done" && job.work.kind === "run") remember(message.value.engine);
    // A worker that replaces this one starts from the checkpoint.
    if (message.kind === "done" && job.work.kind === "goTo") {
      Object.assign(this.options, message.value.opening);
      this.info = message.value = this.#complete(message.value.info);
    }
    if (message.kind === "done") job.resolve(message.value);
    else job.reject(fromPlain(message.error));
    this.#pump();
  }

  /**
   * The caller is free at once; the worker is told, and replaced where it does not stop in time.
   * @param {Job} job
   * @param {AbortSignal} signal
   */
  #cancel(job, signal) {
    job.reject(cancelled(signal, job.partial));
    job.onProgress = job.onPartial = undefined;
    this.#queue = this.#queue.filter((waiting) => waiting !== job);
    this.#asides.delete(job.id);
    if (this.#active !== job) return;
    this.#worker?.postMessage(/** @type {ToWorker} */ ({ id: job.id, kind: "cancel" }));
    const superseded = signal.reason instanceof LabError && signal.reason.code === "run.superseded";
    this.#grace = setTimeout(() => this.#replace(cancelled(signal)), PATIENCE[superseded ? "superseded" : "cancelled"]);
  }

  /** @param {LabError} error what becomes of the job under way */
  #replace(error) {
    clearTimeout(this.#grace);
    this.#worker?.terminate();
    this.#ready = false;
    this.#active?.reject(error);
    this.#active = null;
    // Figures are not to blame, and the new worker can make them.
    this.#queue.unshift(...this.#asides.values());
    this.#asides.clear();
    const now = performance.now();
    this.#restarts = [...this.#restarts.filter((at) => now - at < 60_000), now];
    if (error.code !== "run.cancelled" && this.#restarts.length > MOST_RESTARTS) return this.close(error);
    // Its files are there already. A failure reaches the waiting jobs.
    this.open().catch(() => {});
  }

  // Counts pings, not time: a laptop that slept must not look like a worker that hung.
  #watch() {
    if (!this.#active) return;
    if (this.#unanswered >= MOST_UNANSWERED) {
      const seconds = (MOST_UNANSWERED * PING_EVERY) / 1000;
      return this.#replace(new LabError("engine.hung", `The engine gave no answer for ${seconds} s and was restarted.`, "Try again."));
    }
    this.#unanswered += 1;
    this.#worker?.postMessage(/** @type {ToWorker} */ ({ id: 0, kind: "ping" }));
  }
}

/** Why a model runs on the CPU engine whose GPU failed. */
const REFUSED = "the GPU failed its check";

/** @param {string} report @returns {import("./microtome.js").Notice} */
const refusal = (report) => ({
  code: "gpu.self_test", report,
  message: "The GPU of this machine gives wrong numbers, or none, for a small model whose numbers are known. Everything is computed on the CPU engine instead.",
});

/**
 * @param {AbortSignal} signal
 * @param {Partial} [partial]
 */
export function cancelled(signal, partial) {
  if (signal.reason instanceof LabError) return signal.reason;
  const error = new LabError("run.cancelled", "Cancelled.");
  error.partial = partial;
  return error;
}
