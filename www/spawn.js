// Starts workers, whatever origin this module came from.

/**
 * Browsers start workers only from the page's own origin; a blob may import a module from another.
 * @param {string} name the worker's script is NAME.js beside this file
 */
export function spawn(name = "worker") {
  const script = new URL(`./${name}.js`, import.meta.url);
  const foreign = script.origin !== location.origin;
  const source = foreign
    ? URL.createObjectURL(new Blob([`import ${JSON.stringify(script.href)};`], { type: "text/javascript" }))
    : script.href;
  return new Worker(trusted(source), { type: "module", name: `microtome ${name}` });
}

/**
 * A page that requires trusted types takes a script's address from a policy only.
 * @param {string} address
 */
export function trusted(address) {
  const types = /** @type {any} */ (globalThis).trustedTypes;
  policy ??= types?.createPolicy("microtome", { createScriptURL: (/** @type {string} */ url) => url });
  return policy?.createScriptURL(address) ?? address;
}
/** @type {any} */
let policy;
