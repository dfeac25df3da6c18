// What scripts are written for. An experiment that says more, or something else, gets no script rather than a wrong one.

/**
 * An entry of a table; throws where it has none. @template T
 * @param {string} what @param {Record<string, T>} table @param {string} name @returns {T}
 */
export function known(what, table, name) {
  if (!Object.hasOwn(table, name)) throw new Error(`no script is written for the ${what} “${name}”`);
  return table[name];
}

/** Every field that a script is written for: one that is not here would be left out of it without a word. */
const FIELDS = ["version", "kind", "processing", "prepend_bos", "prompt", "prompts", "answer", "answers", "top_k", "hooks", "edited", "edit", "site", "sites", "sets",
  "axes", "metric", "clean", "corrupted", "pairs", "tokens", "pattern", "patterns", "measure", "exclude_bos", "exclude_current_token", "heads"];
const PLACE = ["site", "layer", "head", "pos", "dest", "src"];
const EDIT = ["kind", "prompts", "over"];
/** The same of what lies inside of a field. @type {Record<string, string[]>} */
const INSIDE = { metric: ["kind", "correct", "incorrect", "normalize"], edit: EDIT, edited: ["places", "edit"],
  prompts: ["prompt", "correct", "incorrect"], pairs: ["clean", "corrupted", "correct", "incorrect"], sets: PLACE, places: PLACE };

/** @param {any} experiment */
export function checkFields(experiment) {
  check(experiment, FIELDS, "");
}

/** @param {any} value an object, or lists of them; text, numbers and lists of these are checked where they are written @param {string[]} fields @param {string} at */
function check(value, fields, at) {
  if (Array.isArray(value)) return value.forEach((part) => check(part, fields, at));
  if (value === null || typeof value !== "object") return;
  for (const [name, inside] of Object.entries(value)) {
    if (!fields.includes(name)) throw new Error(`no script is written for the field “${at}${name}”`);
    if (Object.hasOwn(INSIDE, name)) check(inside, INSIDE[name], `${at}${name}.`);
  }
}
