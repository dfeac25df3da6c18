// Words of what the page does before, and beside, its live results: recorded results, the start, the check of the GPU.
import { showCount } from "../format.js";

export const FIRST_WORDS = {
  recorded: {
    badge: "recorded",
    older: "recorded, other inputs",
    /** @param {string} model @param {string} made */
    of: (model, made) => `On “${model}”, ${made}.`,
    build: (/** @type {string} */ build) => `Build: ${build}.`,
    waits: "Live numbers follow.",
    /** No model is on its way: it was held back, cancelled, or failed. */
    without: "Live numbers come once a model is loaded.",
    /** Of what is run by a click only. */
    click: "A live run is a click, once the model is loaded.",
    /** The figure's inputs have been changed since. */
    other: "Not of what is written above.",
    pending: "…",
  },
  selfTest: {
    differs: (/** @type {string} */ by) => `differs from the CPU engine by at most ${by}`,
    /** @param {string} by @param {number} checks @param {string} when */
    fact: (by, checks, when) => `compared with the CPU engine on a small model, ${when}: ${showCount(checks)} checks, log-probabilities differ by at most ${by}`,
    report: "Report for whoever looks into it",
    copy: "Copy the report",
    copied: "Copied.",
    notCopied: "The browser did not allow it: mark the text and copy it.",
  },
  held: {
    /** Without bytes: how large a model is that the server brought, the page does not know. @type {Record<"crash" | "data", (bytes: string | null) => string>} */
    why: {
      crash: (bytes) => `This tab was closed by the browser while it loaded a model, so nothing is loaded by itself this time.${bytes === null ? "" : ` The model that comes with the page takes ${bytes}.`}`,
      data: (bytes) => `Your browser asks pages to save data, so nothing is loaded by itself.${bytes === null ? "" : ` The model takes ${bytes}, the engine a few megabytes more.`}`,
    },
    recorded: "Until then the figures below are recorded ones.",
    load: (/** @type {string | null} */ bytes) => (bytes === null ? "Load the model" : `Load the model (${bytes})`),
  },
};
