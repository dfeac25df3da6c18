// Keeps a section's value up to date with its inputs: debounced, the last request wins, stale results are dropped.
import { LabError, toPlain } from "./errors.js";

/** Milliseconds without typing before a computation starts. */
const PAUSE = 300;

/** @typedef {import("./microtome.js").Lab} Lab */
/** @typedef {import("./microtome.js").RunOptions} RunOptions */
/** @typedef {{ run: () => void, cancel: () => void }} Live */

/**
 * @template T
 * @param {import("./state.js").Store} store
 * @param {import("./session.js").Session} session
 * @param {import("./state.js").JobKey} key
 * @param {(lab: Lab, options: RunOptions) => Promise<T>} compute
 * @returns {Live}
 */
export function live(store, session, key, compute) {
  /** @type {AbortController | null} */
  let controller = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let seen = "";

  /** @param {Partial<import("./state.js").Job<T>>} patch */
  const set = (patch) => store.update(key, { job: { ...store.get(key).job, ...patch } });

  async function run() {
    clearTimeout(timer);
    supersede();
    const lab = session.lab();
    if (!lab) return set({ status: "waiting", progress: null });
    const mine = new AbortController();
    controller = mine;
    set({ status: "running", progress: null, error: null });
    try {
      const value = await compute(lab, {
        signal: mine.signal,
        onProgress: (done, total) => {
          if (controller === mine) set({ progress: { done, total } });
        },
      });
      if (controller === mine) set({ status: "done", progress: null, value });
    } catch (thrown) {
      if (controller !== mine) return;
      const error = toPlain(thrown);
      if (error.code === "run.cancelled") set({ status: "cancelled", progress: null });
      // The model was changed under the job: the next one starts as soon as the new model is there.
      else if (error.code === "lab.closed") set({ status: "waiting", progress: null });
      else set({ status: "error", progress: null, error });
    } finally {
      if (controller === mine) controller = null;
    }
  }

  function supersede() {
    const old = controller;
    controller = null;
    old?.abort(new LabError("run.superseded", "A newer request took its place."));
  }

  function changed() {
    const now = JSON.stringify([store.get(key).inputs, store.get("settings").inputs]);
    if (now === seen) return;
    seen = now;
    clearTimeout(timer);
    timer = setTimeout(run, PAUSE);
  }

  seen = JSON.stringify([store.get(key).inputs, store.get("settings").inputs]);
  store.subscribe(key, changed);
  store.subscribe("settings", changed);
  session.onReady(run);
  return { run, cancel: () => controller?.abort() };
}
