// Chooses between the module's two builds and starts the threads of the one that has them. Runs in the engine's worker.
import { spawn } from "./spawn.js";

/** More threads than this gain nothing on matrices of this size. */
const MOST = 8;

/** @typedef {{ glue: URL, wasm: URL, threads: number }} Build */

/** @type {Build} */
export const SINGLE = build("./pkg/", 1);

/**
 * The build to load: the one with threads where the page is cross-origin isolated (nothing else may share memory), the
 * machine has more than one core, the site has that build and the browser its instructions.
 * @param {number} [most] threads that are wanted; all that are useful, if it is left out
 * @returns {Promise<Build>}
 */
export async function choose(most = MOST) {
  const threads = Math.min(most, navigator.hardwareConcurrency || 1, MOST);
  if (threads < 2 || !globalThis.crossOriginIsolated) return SINGLE;
  const response = await fetch(new URL("./pkg/build.json", import.meta.url)).catch(() => null);
  const record = response?.ok ? await response.json().catch(() => null) : null;
  const offered = record?.threads;
  if (!offered || (offered.relaxed_simd && !WebAssembly.validate(RELAXED))) return SINGLE;
  return build("./pkg/threads/", threads);
}

/** @param {string} folder @param {number} threads @returns {Build} */
function build(folder, threads) {
  const file = (/** @type {string} */ name) => new URL(folder + name, import.meta.url);
  return { glue: file("microtome.js"), wasm: file("microtome_bg.wasm"), threads };
}

/**
 * Starts a build's threads; the caller's worker is one of them.
 * @param {Build} build
 * @param {import("./engine.js").Threaded} glue initialised
 * @returns {Promise<MessagePort[]>} what each worker says when it fails later on comes out of its port. Whoever holds the
 *   ports must not be this worker, which may be waiting for the very thread that failed.
 */
export async function startThreads({ glue: address, threads }, glue) {
  const [module, memory] = glue.sharedModule();
  const workers = Array.from({ length: threads - 1 }, () => spawn("thread"));
  const alarms = workers.map(() => new MessageChannel());
  try {
    await Promise.all(workers.map((worker, i) => new Promise((resolve, reject) => {
      worker.onerror = (event) => reject(new Error(event.message || "a worker could not be started"));
      worker.onmessage = ({ data }) => (data === "ready" ? resolve(data) : reject(new Error(data)));
      const alarm = alarms[i].port1;
      worker.postMessage({ glue: address.href, module, memory, alarm }, [alarm]);
    })));
    glue.startThreads(threads);
  } catch (cause) {
    for (const worker of workers) worker.terminate();
    throw cause;
  }
  running = workers;
  return alarms.map(({ port2 }) => port2);
}
/** Held, because a worker that nobody holds may be collected while it waits. @type {Worker[]} */
let running = [];

/** (module (func (result v128) i32.const 1 i8x16.splat i32.const 2 i8x16.splat i8x16.relaxed_swizzle)) */
const RELAXED = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0, 65, 1, 253, 15,
  65, 2, 253, 15, 253, 128, 2, 11]);
