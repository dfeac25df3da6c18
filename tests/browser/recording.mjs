// Reads what every section of the page has computed, as the files of www/recorded keep it.
import { TASKS } from "../../www/tasks.js";
import { allSettled, settled } from "./lab_page.mjs";

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {import("../../www/recorded.js").Recording} Recording */
/** @typedef {import("../../www/state.js").JobKey} JobKey */

/** The files of www/recorded: which sections each holds, and what must be done for them. @type {Record<string, { keys: JobKey[], ready: (page: Page) => Promise<unknown> }>} */
export const RECORDED = {
  notebook: { keys: ["predict", "grid", "attention", "ablate", "patch", "bias", "heads"], ready: (page) => allSettled(page) },
  objects: { keys: ["predict", "grid", "attention", "ablate", "patch", "bias"], ready: (page) => task(page, "objects") },
  induction: { keys: ["predict", "grid", "attention", "ablate", "patch", "bias"], ready: (page) => task(page, "induction") },
  training: { keys: ["training"], ready: async (page) => {
    await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome.store.get("training").job.status === "held", null, { timeout: 60_000 });
    await page.locator("#training").getByRole("button", { name: "Run over training" }).click();
    await settled(page, "training", "done", 300_000);
  } },
};

/** Chooses a task of the page, and waits for its numbers. @param {Page} page @param {string} key of tasks.js */
async function task(page, key) {
  await allSettled(page);
  const before = await page.evaluateHandle((keys) => keys.map((key) => /** @type {any} */ (globalThis).microtome.store.get(key).job.value), RECORDED[key].keys);
  await chooseTask(page, key);
  await page.waitForFunction(([keys, before]) => keys.every((key, i) => {
    const { job } = /** @type {any} */ (globalThis).microtome.store.get(key);
    return job.status === "done" && job.value !== before[i];
  }), /** @type {[JobKey[], any]} */ ([RECORDED[key].keys, before]), { timeout: 120_000 });
}

/** @param {Page} page @param {string} key */
export async function chooseTask(page, key) {
  const at = TASKS.findIndex((task) => task.key === key);
  await page.locator(".task").nth(at).click();
}

/**
 * What the page shows now, computed live. Numbers have the digits that a reader can see, and one or two more.
 * @param {Page} page
 * @param {string} name of RECORDED
 * @param {string} made a date
 * @returns {Promise<Recording>}
 */
export async function recordingOf(page, name, made) {
  const { keys, ready } = RECORDED[name];
  await ready(page);
  return page.evaluate(([keys, made]) => {
    const { store, recordings } = /** @type {any} */ (globalThis).microtome;
    const short = (/** @type {number} */ x) => (Number.isInteger(x) ? x : Number(x.toPrecision(Math.abs(x) < 1 ? 5 : 6)));
    /** @param {any} value @returns {any} */
    const kept = (value) => {
      if (typeof value === "number") return short(value);
      if (!value || typeof value !== "object") return value;
      if (ArrayBuffer.isView(value)) return { f32: Array.from(/** @type {any} */ (value), short) };
      if (Array.isArray(value)) return value.map(kept);
      const { model, engine, ...rest } = value;
      // A result's; of the whole recording there is one.
      return Object.fromEntries(Object.entries("experiment" in value && "kind" in value ? rest : value).map(([key, part]) => [key, kept(part)]));
    };
    const { address, info } = store.get("model");
    const { adapter, kernels, ...engine } = info.engine;
    return { address, made, info: { model: info.model, engine: { adapter: null, ...engine } }, sections: Object.fromEntries(keys.map((key) => {
      const { job } = store.get(key);
      if (job.status !== "done" || job.recorded) throw new Error(`section ${key} is ${job.status}${job.recorded ? ", recorded" : ""}`);
      // Of a run over training the curves are enough, and its answers are large.
      const value = key === "training" ? { ...job.value, checkpoints: [], result: null } : job.value;
      return [key, { inputs: recordings.inputsOf(key), value: kept(value) }];
    })) };
  }, /** @type {const} */ ([keys, made]));
}
