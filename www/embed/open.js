// A figure's experiment as the part of the lab's address after its “#”.
import { placesOf, GROUPS } from "../patching.js";
import { PRESETS, initialState } from "../state.js";

/** @typedef {import("./spec.js").Spec} Spec */
/** The page's link codec. @typedef {{ encode: (state: any, section: string) => Promise<string> }} Codec */

/** @param {Spec} spec @param {string} model @returns {Promise<string>} without the “#” */
export async function hashOf(spec, model) {
  const { encode } = /** @type {Codec} */ (await import(new URL("../link.js", import.meta.url).href));
  const { state, section } = stateOf(spec, model);
  return encode(state, section);
}

/**
 * The lab's inputs that give this experiment; what the lab has no field for is left as it is there.
 * @param {Spec} spec
 * @param {string} model
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
    state.attention = { prompt: experiment.prompts[0] };
    state.look = { head, locked: true };
    return { state, section: "attention" };
  }
  if (kind === "patch") {
    const { clean, corrupted, metric } = common;
    state.patch = { clean, corrupted, correct: metric.correct, incorrect: metric.incorrect, what: nameOf(common) };
    return { state, section: "patch" };
  }
  if (kind === "ablate") {
    const { metric, prompt, site, edit } = common;
    const { prompts, references } = initialState().ablate.inputs;
    const others = edit.prompts?.every((/** @type {unknown} */ text) => typeof text === "string") ? edit.prompts.join("\n") : null;
    state.ablate = { metric: metric.kind, batch: "one", ...(site === "z" || site === "v" ? { site } : {}), edit: edit.kind,
      prompts: { ...prompts, [metric.kind]: prompt }, ...(edit.over ? { over: edit.over } : {}),
      ...(others === null ? {} : { references: { ...references, [metric.kind]: others } }), ...(metric.kind === "logit_diff" ? { correct: metric.correct, incorrect: metric.incorrect } : {}) };
    return { state, section: "ablate" };
  }
  return { state, section: "heads" };
}

/** What the lab calls a patch's places. @param {{ site?: string, sites?: string[], axes: string[] }} places */
function nameOf({ site, sites, axes }) {
  const same = (/** @type {string} */ name) => {
    const known = /** @type {any} */ (placesOf(name));
    return JSON.stringify([known.site, known.sites, known.axes]) === JSON.stringify([site, sites, axes]);
  };
  return GROUPS.flatMap(({ functions }) => functions.map(({ name }) => name)).find(same) ?? "get_act_patch_resid_pre";
}
