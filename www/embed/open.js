// A figure's experiment as the part of the lab's address after its “#”.
import { placesOf, GROUPS } from "../patching.js";
import { PRESETS, initialState } from "../state.js";

/** @typedef {import("./spec.js").Spec} Spec */
/** The page's link codec. @typedef {{ encode: (state: any, section: string) => Promise<string> }} Codec */

/** @param {Spec} spec @param {string} model @returns {Promise<string | null>} without the “#”; null where the lab cannot say it */
export async function hashOf(spec, model) {
  const said = stateOf(spec, model);
  if (!said) return null;
  const { encode } = /** @type {Codec} */ (await import(new URL("../link.js", import.meta.url).href));
  return encode(said.state, said.section);
}

/** @param {...unknown} values */
const areTexts = (...values) => values.every((value) => typeof value === "string");

/**
 * The lab's inputs that give this experiment; null where it has no fields for it (token ids, sets, lists of prompts).
 * @param {Spec} spec
 * @param {string} model
 * @returns {{ state: Record<string, any>, section: string } | null}
 */
export function stateOf({ experiment, head }, model) {
  const { kind, processing, prepend_bos } = experiment;
  const settings = {
    ...(prepend_bos === undefined ? {} : { prepend_bos }),
    ...(processing === undefined ? {} : { processing: typeof processing === "string" ? PRESETS[processing] : processing }),
  };
  const state = /** @type {Record<string, any>} */ ({ model: { address: model }, settings });
  const common = /** @type {any} */ (experiment);
  if (kind === "trace") {
    if (common.prompts.length !== 1 || !areTexts(...common.prompts) || common.edited) return null;
    state.attention = { prompt: common.prompts[0] };
    state.look = { head, locked: true };
    return { state, section: "attention" };
  }
  if (kind === "detect") {
    const { prompt, pattern, measure = "mul", exclude_bos = false, exclude_current_token = false } = common;
    if (!areTexts(prompt, pattern)) return null;
    state.attention = { prompt };
    state.heads = { on: "prompt", pattern: "named", measure, exclude_bos, exclude_current_token };
    return { state, section: "heads" };
  }
  const { metric, edit, axes, site, prompt } = common;
  if (metric.kind === "logit_diff" && !areTexts(metric.correct, metric.incorrect)) return null;
  if (kind === "patch") {
    const { clean, corrupted } = common;
    const what = nameOf(common);
    if (what === undefined || metric.kind !== "logit_diff" || !areTexts(clean, corrupted)) return null;
    state.patch = { clean, corrupted, correct: metric.correct, incorrect: metric.incorrect, what };
    return { state, section: "patch" };
  }
  if ((site !== "z" && site !== "v") || axes?.join() !== "layer,head" || !areTexts(prompt, ...(edit.prompts ?? []))) return null;
  // There it is a prompt a line.
  if (edit.prompts?.some((/** @type {string} */ text) => text.includes("\n"))) return null;
  const { prompts, references } = initialState().ablate.inputs;
  state.ablate = { metric: metric.kind, batch: "one", what: "heads", site, edit: edit.kind,
    prompts: { ...prompts, [metric.kind]: prompt }, ...(edit.over ? { over: edit.over } : {}),
    ...(edit.prompts ? { references: { ...references, [metric.kind]: edit.prompts.join("\n") } } : {}),
    ...(metric.kind === "logit_diff" ? { correct: metric.correct, incorrect: metric.incorrect } : {}) };
  return { state, section: "ablate" };
}

/** What the lab calls a patch's places, if it has a name for them. @param {{ site?: string, sites?: string[], axes: string[] }} places */
function nameOf({ site, sites, axes }) {
  const same = (/** @type {string} */ name) => {
    const known = /** @type {any} */ (placesOf(name));
    return JSON.stringify([known.site, known.sites, known.axes]) === JSON.stringify([site, sites, axes]);
  };
  return GROUPS.flatMap(({ functions }) => functions.map(({ name }) => name)).find(same);
}
