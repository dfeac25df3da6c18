// The benchmark's worker: loads one build of the engine, runs, and ends with the page's patience.
import { LabError, toPlain } from "./errors.js";
import { lastWords } from "./panic.js";
import { choose, startThreads } from "./threads.js";

/** Progress closer together than this many milliseconds is dropped. */
const REPORT_EVERY = 100;

self.onmessage = async ({ data }) => {
  try {
    self.postMessage({ kind: "done", engine: await run(data) });
  } catch (thrown) {
    self.postMessage({ kind: "error", error: toPlain(thrown, lastWords()) });
  }
};

/** @param {import("./engine.js").BenchOptions} options `threads`: 1 takes the build without threads */
async function run(options) {
  const build = await choose(options.threads);
  // No fallback: times of another build than the one asked for would mislead.
  if (options.threads > 1 && build.threads === 1) {
    throw new LabError("engine.no_threads", "This page has no threads.",
      "They need a page that is cross-origin isolated (“microtome serve” sends the headers), two cores and a build with threads.");
  }
  const glue = /** @type {typeof import("./engine.js")} */ (await import(build.glue.href).catch((cause) => {
    throw new LabError("engine.missing", `The engine could not be loaded: ${cause.message}.`, "Build the site with “microtome build”.");
  }));
  await glue.default({ module_or_path: build.wasm });
  if (build.threads > 1) {
    const alarms = await startThreads(build, /** @type {import("./engine.js").Threaded} */ (/** @type {unknown} */ (glue)));
    self.postMessage({ kind: "threads", alarms }, { transfer: alarms });
  }
  let reported = 0;
  return glue.bench({ ...options, threads: build.threads }, (event) => self.postMessage(event), (done, total) => {
    if (performance.now() - reported < REPORT_EVERY) return;
    reported = performance.now();
    self.postMessage({ kind: "progress", done, total });
  }, () => {}, () => false);
}
