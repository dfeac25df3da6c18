// What a click on “Run live” fetches, in bytes, compressed as hosts send it.
import { MODELS } from "../presets.js";

/** The engine: the module and the scripts around it, with gzip. A test compares it with the files. */
export const ENGINE = 650_000;

/**
 * What is there already counts for nothing.
 * @param {string} model its address, with or without a revision
 * @param {{ engine: boolean, stored: boolean }} there
 * @returns {number | null} null where the model's size is unknown
 */
export function bytesOf(model, { engine, stored }) {
  const known = MODELS.find(({ address }) => address === model || address.split("@")[0] === model);
  const weights = stored ? 0 : known?.bytes;
  return weights === undefined ? null : weights + (engine ? 0 : ENGINE);
}

const KEY = "microtome.embedded";

/** Models that a figure of this site has stored in this browser. @param {string} model @returns {boolean} */
export function ranBefore(model) {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "[]").includes(model);
  } catch {
    return false; // storage that is forbidden, or holds something else
  }
}

/** @param {string} model that was stored: what was in memory only is fetched again */
export function remember(model) {
  try {
    if (!ranBefore(model)) localStorage.setItem(KEY, JSON.stringify([...JSON.parse(localStorage.getItem(KEY) ?? "[]"), model].slice(-20)));
  } catch {
    // The next visit says the whole size again.
  }
}
