// The JavaScript API. Its types, with all experiments and results, are in microtome.d.ts.
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
  static async open({ model, backend = "auto", threads, onProgress, signal }) {
    if (signal?.aborted) throw cancelled(signal);
    if (!["auto", "gpu", "cpu"].includes(backend)) {
      throw new LabError("input.backend", `The backend is “auto”, “gpu” or “cpu”, not “${backend}”.`);
    }
    if (threads !== undefined && !(Number.isInteger(threads) && threads > 0)) {
      throw new LabError("input.threads", `The number of threads is 1 or more, not “${threads}”.`);
    }
    const host = new Host({ model: folderOf(model), backend, threads, onProgress });
    const abort = () => host.abandon(cancelled(/** @type {AbortSignal} */ (signal)));
    signal?.addEventListener("abort", abort, { once: true });
    try {
      await host.open();
    } finally {
      signal?.removeEventListener("abort", abort);
    }
    return new Lab(OPENING, host);
  }

  /** The model and the engine that runs it. */
  get info() {
    return /** @type {import("./host.js").Info} */ (this.#host.info);
  }

  /**
   * @param {Experiment} experiment
   * @param {RunOptions} [options]
   * @returns {Promise<any>} the result of the experiment's kind; microtome.d.ts says which
   */
  async run(experiment, options) {
    return withJson(await this.#host.call({ kind: "run", experiment }, options));
  }

  /**
   * @param {Experiment} experiment
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
 * The folder's full address, from an address relative to the page.
 * @param {string | URL} model
 */
function folderOf(model) {
  /** @type {URL} */
  let url;
  try {
    url = new URL(model, document.baseURI);
  } catch {
    throw new LabError("input.model_address", `“${model}” is not an address.`);
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new LabError("input.model_address", `A model is read over http or https, not ${url.protocol}//.`);
  }
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url.href;
}
