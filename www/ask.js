// One question to a worker of its own, for what needs no model: the stores' contents.
import { LabError, fromPlain } from "./errors.js";
import { cancelled } from "./host.js";
import { spawnEngine } from "./spawn.js";

/**
 * @param {{ kind: "stored" } | { kind: "forget", key: string } | { kind: "verify", key: string }} question
 * @param {{ onProgress?: (progress: import("./microtome.js").LoadProgress) => void, signal?: AbortSignal }} [options]
 * @returns {Promise<any>}
 */
export async function ask(question, { onProgress, signal } = {}) {
  if (signal?.aborted) throw cancelled(signal);
  const worker = spawnEngine();
  try {
    return await new Promise((resolve, reject) => {
      signal?.addEventListener("abort", () => reject(cancelled(signal)), { once: true });
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new LabError("engine.worker", `The engine’s worker failed${event.message ? `: ${event.message}` : ""}.`, "Reload the page."));
      };
      worker.onmessage = ({ data }) => {
        const message = /** @type {import("./host.js").FromWorker} */ (data);
        if (message.kind === "load") onProgress?.(message.progress);
        if (message.kind === "done") resolve(message.value);
        if (message.kind === "error") reject(fromPlain(message.error));
      };
      worker.postMessage({ id: 0, ...question });
    });
  } finally {
    worker.terminate();
  }
}
