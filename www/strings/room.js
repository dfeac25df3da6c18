// Of a page that is kept for use without its server, and of one that a room gets over plain http.
import { showCount } from "../format.js";

export const room = {
  kept: "This page is kept in this browser: it opens without a network too.",
  update: "A new version of this page is here.",
  reload: "Reload",
  others: (/** @type {number} */ others) =>
    `${others === 1 ? "Another tab has" : `${showCount(others)} other tabs have`} the old version open. Close ${others === 1 ? "it" : "them"}, then reload here.`,
  /** @param {string} host @param {string | null} https @param {string} port */
  insecure: (host, https, port) =>
    `This page came from ${host} over plain http. Browsers give the GPU (WebGPU) and several threads to secure pages only, so the CPU engine computes here, on one thread. ` +
    `Two ways to change that: open ${https ?? "the page over https, which “microtome serve --lan” offers"}; or, on the machine that serves it, http://localhost${port}/.`,
};
