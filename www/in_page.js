// The engine in the page itself, for pages that may not start a worker. It pauses at least every 50 ms of its work, so that
// the page stays alive between two pauses, but a page that is busy elsewhere slows it down, and the other way round.
import { serve } from "./service.js";
import { SINGLE } from "./threads.js";

let count = 0;

/**
 * @param {MessagePort} port
 * @param {string} why there is no worker
 */
export function serveInPage(port, why) {
  count += 1;
  // Another fragment is another instance of the glue: after a trap the next engine starts on a memory of its own.
  const build = { ...SINGLE, glue: new URL(`#${count}`, SINGLE.glue) };
  const notice = { code: "engine.in_page", message: `This page may not start a worker (${why}). The engine runs in the page itself: a long run makes it slower.` };
  const { handle, stop } = serve((message, transfer = []) => port.postMessage(message, transfer), { build, notices: [notice] });
  port.onmessage = ({ data }) => handle(data);
  return {
    stop() {
      stop();
      port.close();
    },
  };
}
