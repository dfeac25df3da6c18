// One thread of the engine: an instance of the module on the memory that all threads share.
import { toPlain } from "./errors.js";
import { lastWords } from "./panic.js";

self.onmessage = async ({ data: { glue, module, memory, alarm } }) => {
  let ready = false;
  try {
    const { initSync, runThread } = /** @type {import("./engine.js").Threaded} */ (await import(glue));
    initSync({ module, memory });
    ready = true;
    self.postMessage("ready");
    runThread();
  } catch (thrown) {
    if (ready) alarm.postMessage(toPlain(thrown, lastWords()));
    else self.postMessage(lastWords() || String(thrown));
  }
};
