// What a download says of itself while it goes on. Not in the one table: the engine's worker does not load the lab's words.

export const DOWNLOAD = {
  otherTab: "Another tab is downloading this model: waiting for it.",
  quiet: (/** @type {number} */ seconds) => `No answer for ${seconds} s: still waiting.`,
  offline: (/** @type {string} */ why) => `${why} The copy that is stored here is used.`,
  inMemory: (/** @type {string} */ why) => `${why} The model is kept in memory until this page is closed.`,
  noStore: "This browser lets the page store nothing.",
  noRoom: (/** @type {string} */ file, /** @type {string} */ needed, /** @type {string} */ free) => `${file} needs ${needed}, and this browser has room for ${free}.`,
  stored: (/** @type {string} */ file, /** @type {string} */ size, /** @type {string} */ have) => `${file} has ${size}, of which ${have} could be stored`,
  full: (/** @type {string | null} */ what) => `The browser’s storage is full${what ? `: ${what}` : ""}.`,
  failed: (/** @type {string} */ why) => `The browser’s storage failed (${why}).`,
};
