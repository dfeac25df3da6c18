// The JavaScript API. Its types, with all experiments and results, are in microtome.d.ts.
import { ask } from "./ask.js";
import { LabError } from "./errors.js";
import { Host, cancelled } from "./host.js";

export { LabError };

/** @typedef {import("./microtome.js").OpenOptions} OpenOptions */
/** @typedef {import("./microtome.js").RunOptions} RunOptions */
/** @typedef {import("./microtome.js").Experiment} Experiment */
/** @typedef {import("./microtome.js").Lab} PublicLab */

const OPENING = Symbol("only Lab.open makes labs");

/** @implements {PublicLab} */
export class Lab {
  /** @type {Host} */ #host;

  /**
   * @param {symbol} key
   * @param {Host} host
   */
  constructor(key, host) {
    if (key !== OPENING) throw new TypeError("Use Lab.open(…): a lab is ready only when its model is loaded.");
    this.#host = host;
  }

  /** @param {OpenOptions} options */
  static async open({ model, files, backend = "auto", precision = "f32", allowNotFinite = false, threads, limits = "adapter", hub, allowHosts, timeScale, onProgress, onNotice, onPlan, signal }) {
    if (signal?.aborted) throw cancelled(signal);
    if (!["auto", "gpu", "cpu"].includes(backend)) {
      throw new LabError("input.backend", `The backend is “auto”, “gpu” or “cpu”, not “${backend}”.`);
    }
    if (!["f32", "f16"].includes(precision)) {
      throw new LabError("input.precision", `The precision is “f32” or “f16”, not “${precision}”.`);
    }
    if (!["adapter", "default"].includes(limits)) {
      throw new LabError("input.limits", `The limits are “adapter” or “default”, not “${limits}”.`);
    }
    if (threads !== undefined && !(Number.isInteger(threads) && threads > 0)) {
      throw new LabError("input.threads", `The number of threads is 1 or more, not “${threads}”.`);
    }
    const local = files && localModel(files);
    const source = { ...(local ? { address: "local", base: document.baseURI, name: local.name } : addressOf(model ?? "local")), hub, allowHosts, timeScale };
    if (source.address === "local" && !local) {
      throw new LabError("input.no_files", "The address “local” stands for files that are picked or dropped, and there are none.", "Pick the model’s files.");
    }
    const host = new Host({ model: source, files: local?.files, backend, precision, allowNotFinite, threads, limits, onProgress, onNotice, onPlan });
    const abort = () => host.abandon(cancelled(/** @type {AbortSignal} */ (signal)));
    signal?.addEventListener("abort", abort, { once: true });
    try {
      await host.open();
    } finally {
      signal?.removeEventListener("abort", abort);
    }
    return new Lab(OPENING, host);
  }

  /** @returns {Promise<import("./microtome.js").StoredModel[]>} */
  static stored() {
    return ask({ kind: "stored" });
  }

  /** @param {string} key @returns {Promise<void>} */
  static deleteStored(key) {
    return ask({ kind: "forget", key });
  }

  /**
   * @param {string} key
   * @param {{ onProgress?: (progress: import("./microtome.js").LoadProgress) => void, signal?: AbortSignal }} [options]
   * @returns {Promise<import("./microtome.js").VerifiedFile[]>}
   */
  static verifyStored(key, options) {
    return ask({ kind: "verify", key }, options);
  }

  /** The model and the engine that runs it. */
  get info() {
    return /** @type {import("./host.js").Info} */ (this.#host.info);
  }

  /**
   * @param {Experiment | import("./microtome.js").TrainingExperiment} experiment
   * @param {any} [options] RunOptions
   * @returns {Promise<any>} the result of the experiment's kind; microtome.d.ts says which
   */
  async run(experiment, options) {
    return withJson(await this.#host.call({ kind: "run", experiment }, options));
  }

  /**
   * @param {Experiment | import("./microtome.js").TrainingExperiment} experiment
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<import("./microtome.js").Estimate>}
   */
  estimate(experiment, options) {
    return this.#host.call({ kind: "estimate", experiment }, options);
  }

  /**
   * @param {import("./microtome.js").Drawable} result
   * @returns {Promise<import("./microtome.js").Figure | null>}
   */
  figure(result) {
    return this.#host.call({ kind: "figure", result });
  }

  /**
   * @param {string} text
   * @param {boolean} [prependBos]
   * @returns {Promise<import("./microtome.js").Token[]>}
   */
  tokenize(text, prependBos = true) {
    return this.#host.call({ kind: "tokenize", text, prependBos });
  }

  /** @returns {Promise<number[]>} */
  checkpoints() {
    return this.#host.call({ kind: "family" });
  }

  /**
   * @param {number} step
   * @param {RunOptions} [options]
   * @returns {Promise<import("./host.js").Info>}
   */
  goTo(step, options) {
    return this.#host.call({ kind: "goTo", step }, options);
  }

  /** @returns {Promise<import("./microtome.js").MemoryUse>} */
  memory() {
    return this.#host.call({ kind: "memory" });
  }

  /**
   * @param {RunOptions} [options]
   * @returns {Promise<import("./microtome.js").PublishedCheck[]>}
   */
  verify(options) {
    return this.#host.call({ kind: "published" }, options);
  }

  /** Whether it was closed, or its engine failed and could not be replaced. */
  get closed() {
    return this.#host.closed;
  }

  close() {
    this.#host.close();
  }
}

/**
 * Lets `JSON.stringify` write a trace's arrays as the command line does: lists, null where a number is not finite.
 * @param {any} result
 */
function withJson(result) {
  for (const prompt of result.tensors ?? []) {
    for (const { data } of Object.values(prompt)) {
      Object.defineProperty(data, "toJSON", { value: () => Array.from(data, (x) => (Number.isFinite(x) ? x : null)) });
    }
  }
  return result;
}

/**
 * A model's address as the engine reads it: what lies below this page, or below the site that this code comes from, is a
 * folder `./…` of it. Everything else is left to the address's own grammar.
 * @param {string | URL} model
 * @returns {{ address: string, base: string }}
 */
function addressOf(model) {
  const page = new URL("./", document.baseURI);
  const text = String(model);
  // Only what is written as a whole is resolved here: `./a/../b` is not made harmless but refused, by the grammar.
  const url = /^https?:/i.test(text) && URL.canParse(text) ? new URL(text) : null;
  for (const base of [page, new URL("./", import.meta.url)]) {
    if (!url || url.origin !== base.origin || !url.pathname.startsWith(base.pathname) || url.search || url.hash) continue;
    return { address: `./${decodeURIComponent(url.pathname.slice(base.pathname.length))}`, base: base.href };
  }
  return { address: text, base: page.href };
}

/**
 * Picked or dropped files by their names, without folders in front.
 * @param {Iterable<File>} files
 */
function localModel(files) {
  const all = [...files];
  const folder = all.map(({ webkitRelativePath }) => webkitRelativePath.split("/").at(-2)).find(Boolean);
  const weights = all.find(({ name }) => /\.(safetensors|bin)$/.test(name));
  return { name: folder ?? weights?.name ?? "local", files: all.map((file) => ({ name: file.name, blob: file })) };
}
