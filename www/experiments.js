// What each section asks the engine: inputs → experiment, as CONTRACT-shaped JSON values. Pure.
import { PRESETS } from "./state.js";

/** @typedef {import("./state.js").Settings} Settings */
/** @typedef {import("./microtome.js").ProcessingSwitches} ProcessingSwitches */

/**
 * A preset's name where the switches are a preset's.
 * @param {ProcessingSwitches} switches
 * @returns {import("./microtome.js").Processing}
 */
export function processingOf(switches) {
  const keys = /** @type {(keyof ProcessingSwitches)[]} */ (Object.keys(PRESETS.none));
  const presets = /** @type {("transformer_lens" | "none")[]} */ (Object.keys(PRESETS));
  return presets.find((name) => keys.every((key) => PRESETS[name][key] === switches[key])) ?? { ...switches };
}

/** @param {Settings} settings */
const base = ({ processing, prepend_bos }) =>
  ({ version: /** @type {const} */ (1), processing: processingOf(processing), prepend_bos });

/** @param {import("./state.js").PredictInputs} inputs @param {Settings} settings */
export const predict = ({ prompt, answer }, settings) =>
  ({ ...base(settings), kind: /** @type {const} */ ("predict"), prompt, top_k: 10, ...(answer ? { answer } : {}) });

/**
 * Every format with every name, format by format, as the notebook orders them.
 * @param {import("./state.js").GridInputs} inputs
 * @param {Settings} settings
 */
export const grid = ({ formats, names, answers }, settings) => ({
  ...base(settings),
  kind: /** @type {const} */ ("logit_diff"),
  prompts: formats.flatMap((format) => names.map(({ name, answer }) => ({
    prompt: format.replaceAll("{}", name), correct: answers[answer], incorrect: answers[1 - answer],
  }))),
});

/** @param {import("./state.js").AttentionInputs} inputs @param {Settings} settings @param {number} layers */
export const attention = ({ prompt }, settings, layers) => ({
  ...base(settings),
  kind: /** @type {const} */ ("trace"),
  prompts: [prompt],
  hooks: Array.from({ length: layers }, (_, layer) => patternHook(layer)),
});

/** @param {number} layer */
export const patternHook = (layer) => `blocks.${layer}.attn.hook_pattern`;

/** @param {import("./state.js").AblateInputs} inputs @param {Settings} settings */
export const ablate = ({ metric, site, prompts, correct, incorrect }, settings) => ({
  ...base(settings),
  kind: /** @type {const} */ ("ablate"),
  prompt: prompts[metric],
  site,
  edit: { kind: /** @type {const} */ ("zero") },
  axes: /** @type {import("./microtome.js").Axis[]} */ (["layer", "head"]),
  metric: metric === "loss" ? { kind: /** @type {const} */ ("loss") } : { kind: metric, correct, incorrect },
});

/** @param {import("./state.js").PatchInputs} inputs @param {Settings} settings */
export const patch = ({ clean, corrupted, correct, incorrect, site }, settings) => ({
  ...base(settings),
  kind: /** @type {const} */ ("patch"),
  clean, corrupted, site,
  axes: /** @type {import("./microtome.js").Axis[]} */ (["layer", "pos"]),
  metric: { kind: /** @type {const} */ ("logit_diff"), correct, incorrect, normalize: true },
});

/** @param {import("./state.js").BiasInputs} inputs @param {Settings} settings */
export const bias = ({ tokens }, settings) =>
  ({ ...base(settings), kind: /** @type {const} */ ("unembed_bias"), tokens: [...tokens] });
