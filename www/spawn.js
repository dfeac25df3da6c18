// Starts workers, whatever origin this module came from, and the engine in the page where it may start none.

/**
 * What `host.js` needs of a worker.
 * @typedef {{ postMessage(message: import("./host.js").ToWorker): void, terminate(): void }} Channel
 * @typedef {Channel & { onmessage: ((event: { data: any }) => void) | null,
 *   onerror: ((event: { message?: string, preventDefault(): void }) => void) | null }} EngineWorker
 */

/**
 * The engine, in a worker if the page may start one. A browser refuses in one of two ways: the constructor throws (a
 * sandboxed frame), or an error event comes instead of the worker's first word (a policy without `worker-src`).
 * @returns {EngineWorker}
 */
export function spawnEngine() {
  /** Messages that went to a worker of which nothing was heard yet. @type {import("./host.js").ToWorker[] | null} */
  let unheard = [];
  /** @type {EngineWorker} */
  const engine = {
    onmessage: null, onerror: null,
    postMessage(message) {
      worker.postMessage(message);
      unheard?.push(message);
    },
    terminate: () => worker.terminate(),
  };
  /** @param {Worker} real @returns {Channel} */
  const watched = (real) => {
    real.onmessage = (event) => {
      // Its first word is only that it is there.
      if (unheard) unheard = null;
      else engine.onmessage?.(event);
    };
    real.onerror = (event) => {
      if (!unheard) return engine.onerror?.(event);
      event.preventDefault();
      real.terminate();
      stay(event.message || "it was not started");
    };
    return real;
  };
  /** @param {string} why */
  const stay = (why) => {
    worker = inPage(why, engine);
    for (const message of unheard ?? []) worker.postMessage(message);
    unheard = null;
  };
  /** @type {Channel} */
  let worker;
  try {
    worker = watched(spawn());
  } catch (cause) {
    worker = inPage(String(cause), engine);
    unheard = null;
  }
  return engine;
}

/**
 * The engine in this page, behind the same messages: values that cannot be cloned are refused as a worker would.
 * @param {string} why there is no worker
 * @param {EngineWorker} outside whose listeners hear of it
 * @returns {Channel}
 */
function inPage(why, outside) {
  const { port1: near, port2: far } = new MessageChannel();
  near.onmessage = (event) => outside.onmessage?.(event);
  /** @type {{ stop: () => void } | null} */
  let service = null;
  let ended = false;
  import("./in_page.js").then(({ serveInPage }) => {
    if (!ended) service = serveInPage(far, why);
  }).catch((cause) => outside.onerror?.({ message: cause.message, preventDefault() {} }));
  return {
    postMessage: (message) => near.postMessage(message),
    terminate() {
      ended = true;
      service?.stop();
      near.close();
    },
  };
}

/**
 * Browsers start workers only from the page's own origin; a blob may import a module from another. A sandboxed page has an
 * origin that nothing shares, whatever its address says.
 * @param {string} name the worker's script is NAME.js beside this file
 */
export function spawn(name = "worker") {
  const script = new URL(`./${name}.js`, import.meta.url);
  const foreign = script.origin !== self.origin;
  const source = foreign ? URL.createObjectURL(new Blob([`import ${JSON.stringify(script.href)};`], { type: "text/javascript" })) : script.href;
  if (foreign) blobs.add(source);
  return new Worker(trusted(source), { type: "module", name: `microtome ${name}` });
}

/** Addresses of scripts that were made here. @type {Set<string>} */
const blobs = new Set();
const HERE = new URL("./", import.meta.url).href;

/**
 * A page that requires trusted types takes a script's address from a policy only. This one lets pass what lies beside this
 * module, and what was made above.
 * @param {string} address
 */
export function trusted(address) {
  const types = /** @type {any} */ (globalThis).trustedTypes;
  policy ??= types?.createPolicy("microtome", { createScriptURL(/** @type {string} */ url) {
    if (blobs.has(url) || new URL(url).href.startsWith(HERE)) return url;
    throw new TypeError(`microtome starts no script from ${url}`);
  } });
  return policy?.createScriptURL(address) ?? address;
}
/** @type {any} */
let policy;
