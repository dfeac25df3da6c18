// Sweeps on a real engine: what they cost, what arrives before their end, how they stop.
import { ensure } from "./harness.mjs";
import { TOLERANCE } from "./golden.mjs";
import { part } from "./lab_page.mjs";

/** @typedef {import("playwright-core").Page} Page */

/** Long enough to be under way when it is cancelled: every head, every dest and src, on a long prompt. */
const BIG = {
  version: 1, kind: "ablate", prompt: "Mary is a great friend, isn’t she? ".repeat(4).trim(), site: "pattern",
  edit: { kind: "zero" }, axes: ["layer", "head", "dest", "src"], metric: { kind: "loss" },
};

/** @param {Page} page */
export async function estimated(page) {
  for (const key of /** @type {const} */ (["ablate", "patch", "predict"])) {
    const { job } = await part(page, key);
    const { experiment, engine, values } = job.value.result ?? job.value;
    const cost = await page.evaluate((experiment) => /** @type {any} */ (globalThis).microtome.lab().estimate(experiment), experiment);
    ensure(cost.flops === engine.flops && cost.weight_bytes_read === engine.weight_bytes_read, `${key}: estimated ${JSON.stringify(cost)}, counted ${JSON.stringify(engine)}`);
    ensure(cost.cells === (values?.length ?? 1) && cost.memory_bytes > 0 && cost.seconds > 0, `${key}: ${JSON.stringify(cost)}`);
  }
}

/** @param {Page} page @param {"cpu" | "gpu"} backend */
export async function arriving(page, backend) {
  const seen = await page.evaluate(async (experiment) => {
    const lab = /** @type {any} */ (globalThis).microtome.lab();
    const controller = new AbortController();
    /** @type {any[]} */ const partials = [];
    /** @type {any} */ let figure = null;
    const error = await lab.run(experiment, { signal: controller.signal, onPartial: async (/** @type {any} */ partial) => {
      partials.push(partial);
      figure ??= await lab.figure({ kind: "ablate", experiment, ...partial });
      if (figure && partials.length > 1) controller.abort();
    } }).catch((/** @type {any} */ error) => error);
    const { loss } = await lab.run({ version: 1, kind: "predict", prompt: experiment.prompt });
    const { values, baseline, shape } = error.partial;
    return { code: error.code, done: partials.map((partial) => partial.done), cells: values.length, baseline, loss, shape,
      drawn: figure.values.filter((/** @type {any} */ value) => value !== null).length, panels: figure.panel_axes.length };
  }, BIG);
  const { done, cells, shape } = seen;
  ensure(seen.code === "run.cancelled" && cells === shape.reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b), JSON.stringify(seen));
  ensure(done[0] > 0 && done[1] > done[0] && done[done.length - 1] < cells, `${done} of ${cells} cells were done`);
  ensure(seen.panels === 2 && done.includes(seen.drawn), `${seen.drawn} of ${done} cells are in the figure`);
  ensure(Math.abs(seen.baseline - seen.loss) < TOLERANCE[backend], `the baseline is ${seen.baseline}, the loss ${seen.loss}`);
}

/** @param {Page} page @param {"cpu" | "gpu"} backend */
export async function cancelling(page, backend) {
  const cancelled = await page.evaluate(async (experiment) => {
    const lab = /** @type {any} */ (globalThis).microtome.lab();
    const controller = new AbortController();
    const running = lab.run(experiment, { signal: controller.signal, onProgress: () => setTimeout(() => controller.abort(), 30) });
    let began = 0;
    controller.signal.addEventListener("abort", () => (began = performance.now()));
    const error = await running.then(() => null, (/** @type {any} */ e) => e);
    const rejected = performance.now() - began;
    await lab.tokenize("still there");
    return { code: error?.code, rejected, free: performance.now() - began };
  }, BIG);
  ensure(cancelled.code === "run.cancelled", `the job ended with ${cancelled.code}`);
  ensure(cancelled.rejected < 200, `the promise took ${Math.round(cancelled.rejected)} ms to reject`);
  // A software GPU finishes what was submitted to it, or compiles its shaders again in a new worker: a second or more.
  const allowed = backend === "cpu" ? 200 : 20_000;
  ensure(cancelled.free < allowed, `the engine took ${Math.round(cancelled.free)} ms to be free again`);
}
