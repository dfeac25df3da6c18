// Loads a build of the engine's module into its worker, with progress.
import { LabError } from "./errors.js";
import { startThreads } from "./threads.js";

/** Progress messages closer together than this many milliseconds are dropped. */
const REPORT_EVERY = 50;

/**
 * @param {import("./threads.js").Build} build
 * @param {(progress: import("./microtome.js").LoadProgress) => void} report
 * @param {(alarms: MessagePort[]) => void} onThreads what each thread says when it fails comes out of its port
 */
export async function loadModule(build, report, onThreads) {
  const glue = /** @type {typeof import("./engine.js")} */ (await import(build.glue.href).catch((cause) => {
    throw new LabError("engine.missing", `The engine could not be loaded: ${cause.message}.`,
      "Reload the page; if this site was built by hand, build it with “microtome build”.");
  }));
  await glue.default({ module_or_path: await fetchWasm(build.wasm, report) });
  if (build.threads > 1) {
    onThreads(await startThreads(build, /** @type {import("./engine.js").Threaded} */ (/** @type {unknown} */ (glue))));
  }
  return glue;
}

/**
 * A response whose body reports its progress while it is compiled.
 * @param {URL} url
 * @param {(progress: import("./microtome.js").LoadProgress) => void} report
 */
async function fetchWasm(url, report) {
  const response = await fetch(url).catch((cause) => {
    throw new LabError("net.unreachable", `${url.href} cannot be reached (${cause.message}).`, "Check the connection.");
  });
  if (response.status === 404) throw new LabError("engine.missing", `${url.href} does not exist.`, "Build the site again.");
  if (!response.ok || !response.body) throw new LabError("net.status", `The server answered ${response.status} for ${url.href}.`, "Try again.");
  // The length of a compressed body counts its compressed bytes.
  const length = response.headers.get("content-encoding") ? NaN : Number(response.headers.get("content-length") ?? NaN);
  const total = Number.isFinite(length) ? length : null;
  let loaded = 0;
  let reported = 0;
  const say = () => report({ status: "progress", phase: "module", file: "", loaded, total, all_loaded: 0, all_total: null, rate: null, left: null, message: null });
  const count = new TransformStream({
    transform(/** @type {Uint8Array} */ chunk, controller) {
      loaded += chunk.length;
      if (performance.now() - reported > REPORT_EVERY) {
        reported = performance.now();
        say();
      }
      controller.enqueue(chunk);
    },
  });
  return new Response(response.body.pipeThrough(count), { headers: response.headers });
}

/** What a model is called after its address. @param {import("./engine.js").ModelAddress} address */
export function nameOf({ repo, revision, step, host, text }) {
  const folder = text.replace(/@\d+$/, "").split("/").filter(Boolean).at(-1)?.replace(/^\.$/, "");
  const at = repo ? revision : step;
  return `${repo ?? folder ?? host ?? text}${at === null || /^[0-9a-f]{40}$/.test(String(at)) ? "" : `@${at}`}`;
}
