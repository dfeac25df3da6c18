// Where a script finds the model: what the page calls an address, as Python's loaders take it.

/**
 * What is known of the model that an experiment ran on.
 * @typedef {{ name: string, address: string, sha256: string | null, n_layers: number, step?: number, url?: string }} Source
 *   `address`: as the page knows it, or "local"; `url`: of the folder beside the page; `step`: of a checkpoint of its training
 * @typedef {{ model: string, revision: string | null, step: number | null }} Place
 *   `model`: a repository of the Hub, or a folder; `step`: whose difference is added to the folder's own weights
 */

/** @param {string} address @returns {Place} */
export function placeOf(address) {
  const hub = /^hf:([^@]+?)\/?(?:@(.+))?$/.exec(address);
  if (hub) return { model: hub[1], revision: hub[2] ?? null, step: null };
  const [, folder, step] = /^(.*?)(?:@(\d+))?$/s.exec(address) ?? ["", address];
  return { model: folder, revision: null, step: step === undefined ? null : Number(step) };
}

/** Where the model of an experiment lies. @param {Source} source @returns {Place} */
export function placeOfSource({ address, name, step }) {
  const place = placeOf(address);
  if (place.revision !== null || address.startsWith("hf:")) {
    return step === undefined ? place : { ...place, revision: `checkpoint-${step}` };
  }
  return { model: folderName(address === "local" ? name : place.model), revision: null, step: step ?? place.step };
}

/** The last part of an address: the folder that its files are put into. @param {string} address */
const folderName = (address) => address.replace(/[?#].*$/s, "").split(/[\\/]/).filter((part) => part && part !== "." && part !== "..").at(-1) ?? "model";

/** @param {string} address */
export const isHub = (address) => address.startsWith("hf:");
