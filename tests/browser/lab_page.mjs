// Works the page as a person does: types, clicks, points, and reads what it shows.
import { ensure } from "./harness.mjs";

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {import("../../www/state.js").JobKey} JobKey */

/** @type {JobKey[]} */
export const COMPUTED = ["predict", "grid", "attention", "ablate", "patch", "bias", "heads"];

/**
 * Waits until a section is no longer computing.
 * @param {Page} page
 * @param {JobKey} key
 * @param {string} status
 * @param {number} [timeout]
 */
export async function settled(page, key, status = "done", timeout = 120_000) {
  const found = await page.waitForFunction(([key, status]) => {
    const { job } = /** @type {any} */ (globalThis).microtome?.store.get(key) ?? {};
    return job && (job.status === status || (status === "done" && job.status === "error")) && { status: job.status, message: job.error?.message };
  }, [key, status], { timeout });
  // As it was then: the next computation may have begun.
  const job = await found.jsonValue();
  ensure(job.status === status, `section ${key} is ${job.status}: ${job.message}`);
}

/** @param {Page} page @param {number} [timeout] */
export async function allSettled(page, timeout) {
  for (const key of COMPUTED) await settled(page, key, "done", timeout);
}

/** One part of the state. @param {Page} page @param {string} key @returns {Promise<any>} */
export const part = (page, key) => page.evaluate((key) => /** @type {any} */ (globalThis).microtome.store.get(key), key);

/**
 * Does something, and waits for the computation that it starts to end.
 * @param {Page} page
 * @param {JobKey} key
 * @param {() => Promise<unknown>} action
 */
export async function recomputed(page, key, action) {
  const before = await page.evaluateHandle((key) => /** @type {any} */ (globalThis).microtome.store.get(key).job, key);
  await action();
  await page.waitForFunction(([key, before]) => {
    const { job } = /** @type {any} */ (globalThis).microtome.store.get(key);
    return job.status === "error" ? job.error !== before.error : job.status === "done" && job.value !== before.value;
  }, /** @type {[string, any]} */ ([key, before]), { timeout: 120_000 });
  const { job } = await part(page, key);
  ensure(job.status === "done", `section ${key}: ${job.error?.message}`);
  return job.value;
}

/** Chooses an engine and waits for everything. @param {Page} page @param {"cpu" | "gpu"} backend */
export async function choose(page, backend) {
  await page.locator("#model").getByText(backend.toUpperCase(), { exact: true }).first().click();
  await page.waitForFunction((backend) => {
    const { status, info } = /** @type {any} */ (globalThis).microtome.store.get("model");
    return status === "error" || (status === "ready" && info.engine.backend === backend);
  }, backend, { timeout: 120_000 });
  const { error } = await part(page, "model");
  ensure(!error, `the model did not load: ${error?.message}`);
}

/** How many colours a canvas has; a blank one has one. @param {import("playwright-core").Locator} canvas */
export const coloursOf = (canvas) => canvas.evaluate((node) => {
  const element = /** @type {HTMLCanvasElement} */ (node);
  const data = element.getContext("2d")?.getImageData(0, 0, element.width, element.height).data ?? [];
  const seen = new Set();
  for (let i = 0; i < data.length; i += 4) if (data[i + 3]) seen.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
  return seen.size;
});

/** Fills the fields of a section by their labels. @param {Page} page @param {string} key @param {Record<string, string>} values */
export async function type(page, key, values) {
  for (const [label, value] of Object.entries(values)) {
    await page.locator(`#${key}`).getByLabel(label, { exact: true }).fill(value);
  }
}

/** Asks for the same model again, as a person does after an error or a cancel. @param {Page} page */
export const loadAgain = (page) => page.locator("#model").getByRole("button", { name: "Load again" }).click();

/**
 * Clicks a section's “Cancel” and waits for its end.
 * @param {Page} page
 * @param {JobKey | "model"} key
 * @returns {Promise<number>} milliseconds in between
 */
export const cancelTime = (page, key) => page.evaluate(async (key) => {
  const { store } = /** @type {any} */ (globalThis).microtome;
  const began = performance.now();
  const ended = new Promise((resolve) => store.subscribe(key, () => {
    const now = store.get(key);
    if ((now.job ?? now).status === "cancelled") resolve(0);
  }));
  /** @type {HTMLElement} */ (document.querySelector(`#${key} .status button`)).click();
  await ended;
  return performance.now() - began;
}, key);
