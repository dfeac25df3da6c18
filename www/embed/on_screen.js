// Work that is done only while a figure is on the screen.
import { LabError } from "../errors.js";
import { EMBED } from "../strings/embed.js";

/** An element this near to the screen counts as on it. */
const NEAR = "200px";
/** Milliseconds off the screen after which work is put off: what a reader scrolls past for a moment goes on. */
const PATIENCE = 10_000;
/** What is put off ends with this. */
const AWAY = new LabError("run.superseded", EMBED.offScreen);

/** @param {Element} element @param {() => void} onWait told when work waits for the screen */
export function onScreen(element, onWait) {
  let visible = false;
  /** Told when the element comes onto the screen or leaves it. @type {Set<() => void>} */
  const watchers = new Set();
  const seen = new IntersectionObserver((entries) => {
    visible = entries[entries.length - 1].isIntersecting;
    for (const tell of [...watchers]) tell();
  }, { rootMargin: NEAR });

  /** @param {AbortSignal} signal @returns {Promise<void>} */
  function arrival(signal) {
    signal.throwIfAborted();
    if (visible) return Promise.resolve();
    onWait();
    return new Promise((resolve, reject) => {
      const look = () => {
        if (!visible) return;
        watchers.delete(look);
        resolve();
      };
      watchers.add(look);
      signal.addEventListener("abort", () => {
        watchers.delete(look);
        reject(signal.reason);
      }, { once: true });
    });
  }

  return {
    arrival,
    /** The element is in a page. */
    watch: () => seen.observe(element),
    unwatch() {
      seen.disconnect();
      visible = false;
    },
    /**
     * Begins when the element is on the screen. What stays off it for long ends, so that other figures get the engine, and
     * begins anew when it is back.
     * @template T
     * @param {AbortSignal} signal
     * @param {(turn: AbortSignal) => Promise<T>} work
     * @returns {Promise<T>}
     */
    async during(signal, work) {
      for (;;) {
        await arrival(signal);
        const turn = new AbortController();
        /** @type {ReturnType<typeof setTimeout> | undefined} */
        let timer;
        const look = () => {
          clearTimeout(timer);
          if (!visible) timer = setTimeout(() => turn.abort(AWAY), PATIENCE);
        };
        const stop = () => turn.abort(signal.reason);
        watchers.add(look);
        signal.addEventListener("abort", stop);
        try {
          return await work(turn.signal);
        } catch (thrown) {
          if (signal.aborted || thrown !== AWAY) throw thrown;
        } finally {
          clearTimeout(timer);
          watchers.delete(look);
          signal.removeEventListener("abort", stop);
        }
      }
    },
  };
}
