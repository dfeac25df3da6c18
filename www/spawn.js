// Starts the engine's worker, whatever origin this module came from.

/** Browsers start workers only from the page's own origin; a blob may import a module from another. */
export function spawn() {
  const script = new URL("./worker.js", import.meta.url);
  const foreign = script.origin !== location.origin;
  const source = foreign
    ? URL.createObjectURL(new Blob([`import ${JSON.stringify(script.href)};`], { type: "text/javascript" }))
    : script.href;
  return new Worker(trusted(source), { type: "module", name: "microtome" });
}

/**
 * A page that requires trusted types takes a worker's address from a policy only.
 * @param {string} address
 */
function trusted(address) {
  const types = /** @type {any} */ (globalThis).trustedTypes;
  policy ??= types?.createPolicy("microtome", { createScriptURL: (/** @type {string} */ url) => url });
  return policy?.createScriptURL(address) ?? address;
}
/** @type {any} */
let policy;
