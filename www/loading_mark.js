// A mark in the tab's storage while a model is being loaded. A tab that the browser kills, for memory above all, comes back
// with the mark still there: one that started loading again by itself would be killed again, and again.

const KEY = "microtome.loading";

/** Storage may be forbidden: then there is no mark, and nothing to ask. @template T @param {() => T} act @returns {T | null} */
function attempt(act) {
  try {
    return act();
  } catch {
    return null;
  }
}

/** Whether this tab died while it loaded a model. */
export const diedLoading = () => attempt(() => sessionStorage.getItem(KEY)) !== null;

export const beginLoading = () => void attempt(() => sessionStorage.setItem(KEY, "1"));
export const endLoading = () => void attempt(() => sessionStorage.removeItem(KEY));

// Leaving the page is no crash.
globalThis.addEventListener?.("pagehide", endLoading);
