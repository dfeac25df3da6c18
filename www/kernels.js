// The kernels that measured fastest on an adapter, kept between visits: two visits that take the same ones give the same
// bits. The engine checks what it is given and measures again where it cannot use it, so that nothing here may fail.

/** @typedef {import("./engine.js").Remembered} Remembered */

const KEY = "microtome.kernels";

/** @returns {Remembered} */
export function recall() {
  try {
    return Object(JSON.parse(localStorage.getItem(KEY) ?? "{}"));
  } catch {
    return {}; // storage that is forbidden, or holds something else
  }
}

/** @param {import("./microtome.js").EngineInfo | undefined} engine of a result */
export function remember(engine) {
  if (!engine?.adapter || !engine.kernels) return;
  const { adapter, build, kernels } = engine;
  const all = recall();
  if (all[adapter]?.build === build && all[adapter].kernels === kernels) return;
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...all, [adapter]: { build, kernels } }));
  } catch {
    // Full or forbidden: the next visit measures again.
  }
}
