// The texts of an experiment as token ids: a script that names ids needs no tokenizer, and cannot tokenise differently.

/** @typedef {{ prompt: (prompt: import("../microtome.js").Prompt, bos?: boolean) => number[], token: (token: import("../microtome.js").TokenRef) => number }} Ids */
/** Ids of a text, with the BOS token before them if `bos`. @typedef {(text: string, bos: boolean) => Promise<number[]>} Tokenize */

/**
 * Asks for every text of an experiment once.
 * @param {any} experiment any kind, `training` included
 * @param {Tokenize} tokenize
 * @returns {Promise<Ids>}
 */
export async function idsOf(experiment, tokenize) {
  /** @type {Map<string, number[]>} */
  const known = new Map();
  const key = (/** @type {string} */ text, /** @type {boolean} */ bos) => `${bos ? 1 : 0}${text}`;
  for (const [text, bos] of textsOf(experiment)) {
    if (!known.has(key(text, bos))) known.set(key(text, bos), await tokenize(text, bos));
  }
  const ids = (/** @type {string} */ text, /** @type {boolean} */ bos) => {
    const found = known.get(key(text, bos));
    if (!found) throw new Error(`No token ids of ${JSON.stringify(text)}.`);
    return found;
  };
  return {
    prompt: (prompt, bos = true) => (typeof prompt === "string" ? ids(prompt, bos) : prompt),
    token: (token) => {
      if (typeof token === "number") return token;
      const found = ids(token, false);
      if (found.length !== 1) throw new Error(`${JSON.stringify(token)} is ${found.length} tokens, expected one.`);
      return found[0];
    },
  };
}

/**
 * Every text: those of prompts with the BOS token if the experiment wants it, those of single tokens without.
 * @param {any} experiment
 * @returns {[string, boolean][]}
 */
export function textsOf(experiment) {
  const inner = experiment.experiments ?? (experiment.experiment ? [experiment.experiment] : null);
  if (inner) return inner.flatMap(textsOf);
  const bos = experiment.prepend_bos !== false;
  /** @type {[string, boolean][]} */
  const texts = [];
  const prompt = (/** @type {unknown} */ value) => typeof value === "string" && texts.push([value, bos]);
  const token = (/** @type {unknown} */ value) => typeof value === "string" && texts.push([value, false]);
  const entry = (/** @type {any} */ value) => {
    if (value === null || typeof value !== "object" || Array.isArray(value)) return void prompt(value);
    for (const name of ["prompt", "clean", "corrupted"]) prompt(value[name]);
    for (const name of ["correct", "incorrect", "answer"]) token(value[name]);
  };
  entry(experiment);
  entry(experiment.metric ?? {});
  for (const list of [experiment.prompts, experiment.pairs, experiment.edit?.prompts, experiment.edited?.edit.prompts]) list?.forEach(entry);
  for (const list of [experiment.tokens, experiment.answers]) list?.forEach(token);
  return texts;
}
