// What of the page's one state is the visitor's own: taken out for links and for undo, and put back. Pure but for the store.
import { FIRST } from "./presets.js";
import { initialState } from "./state.js";

/** @typedef {import("./state.js").Store} Store */
/** @typedef {import("./link.js").LinkState} LinkState */

/** The parts with inputs that belong to the experiments, rather than to the choice of a model. */
export const PARTS = /** @type {const} */ (["settings", "predict", "grid", "attention", "ablate", "patch", "bias", "heads", "training"]);
/** @typedef {typeof PARTS[number]} Part */
/** @typedef {{ [P in Part]: import("./state.js").State[P]["inputs"] }} Inputs */

/** @param {Store} store @returns {Inputs} */
export const inputsOf = (store) => /** @type {Inputs} */ (Object.fromEntries(PARTS.map((part) => [part, store.get(part).inputs])));

/** Puts inputs into the store; a part that has them already is not told. @param {Store} store @param {Inputs} inputs */
export function setInputs(store, inputs) {
  for (const part of PARTS) {
    if (JSON.stringify(store.get(part).inputs) !== JSON.stringify(inputs[part])) store.update(part, /** @type {any} */ ({ inputs: inputs[part] }));
  }
}

/** The page's first inputs with what is said about them put over them. @param {LinkState} said @returns {Inputs} */
export function completed(said) {
  const start = initialState();
  return /** @type {Inputs} */ (Object.fromEntries(PARTS.map((part) => [part, { ...start[part].inputs, ...said[part] }])));
}

/** What a link to the page as it is now would say. @param {Store} store @returns {LinkState} */
export function gather(store) {
  const { address, linked, inputs: { backend, precision } } = store.get("model");
  return {
    model: { address: linked ?? address, backend, precision },
    ...inputsOf(store),
    look: { ...store.get("attention").view, ...store.get("heads").view, ...store.get("look") },
  };
}

/**
 * Puts what a link says onto the page; everything that it does not say is as at the page's beginning, the
 * model too. Another one than is open is only noted, as one that is asked about.
 * @param {Store} store
 * @param {LinkState} said
 * @returns {boolean} whether the model has to be opened again, for another engine or precision
 */
export function apply(store, said) {
  const start = initialState();
  const look = { ...start.attention.view, ...start.heads.view, ...start.look, ...said.look };
  const { layer, head, locked, by, down, most, map, signs, ranges } = look;
  const { address = FIRST, backend = start.model.inputs.backend, precision = start.model.inputs.precision } = said.model ?? {};
  const now = store.get("model");
  setInputs(store, completed(said));
  store.update("attention", { view: { layer, head, locked } });
  store.update("heads", { view: { by, down, most } });
  store.update("look", { map, signs, ranges });
  store.update("model", { linked: address === now.address ? null : address, inputs: { ...now.inputs, backend, precision } });
  return backend !== now.inputs.backend || precision !== now.inputs.precision;
}
