// The lab that the page has open: loads a model, replaces it, says when it is there.
import { Lab } from "./microtome.js";
import { toPlain } from "./errors.js";

/** @typedef {ReturnType<typeof createSession>} Session */

/** @param {import("./state.js").Store} store */
export function createSession(store) {
  /** @type {Lab | null} */
  let lab = null;
  /** @type {AbortController | null} */
  let opening = null;
  /** @type {(() => void)[]} */
  const waiting = [];

  async function open() {
    opening?.abort();
    lab?.close();
    lab = null;
    const mine = new AbortController();
    opening = mine;
    const { url, backend } = store.get("model").inputs;
    store.update("model", { status: "loading", progress: null, error: null });
    try {
      const opened = await Lab.open({
        model: url,
        backend,
        signal: mine.signal,
        // Also called when a worker is replaced later on, which may then run on another engine.
        onProgress: (progress) => store.update("model", progress.phase !== "ready" ? { progress }
          : { progress: null, info: lab?.info ?? null }),
      });
      if (opening !== mine) return opened.close();
      lab = opened;
      store.update("model", { status: "ready", progress: null, info: lab.info });
      for (const listener of waiting) listener();
    } catch (thrown) {
      if (opening !== mine) return;
      const error = toPlain(thrown);
      const status = error.code === "run.cancelled" ? "cancelled" : "error";
      store.update("model", { status, progress: null, info: null, error: status === "error" ? error : null });
    }
  }

  return {
    open,
    cancel: () => opening?.abort(),
    lab: () => lab,
    /** Called each time a model is ready, in the order of registration. @param {() => void} listener */
    onReady: (listener) => void waiting.push(listener),
  };
}
