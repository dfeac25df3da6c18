// What each section asks the engine: inputs → experiment, as CONTRACT-shaped JSON values. Pure.
import { LabError } from "./errors.js";
import { showCount } from "./format.js";
import { placesOf } from "./patching.js";
import { parseSets } from "./sets.js";
import { PRESETS } from "./state.js";
import { S } from "./strings.js";

/** @typedef {import("./state.js").Settings} Settings */
/** @typedef {import("./microtome.js").ProcessingSwitches} ProcessingSwitches */

/** The most prompts that formats and names may make: more take hours, and the tab's memory. */
export const MOST_PROMPTS = 10_000;

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
export const grid = (inputs, settings) => ({
  ...base(settings),
  kind: /** @type {const} */ ("logit_diff"),
  prompts: filled(inputs),
});

/** Every format with every name, each with its answers; or the rows as they are. @param {import("./state.js").GridInputs} inputs */
export function filled({ use, formats, names, answers, rows }) {
  if (use === "rows") {
    if (!rows.length) throw new LabError("input.empty_grid", S.grid.noRows);
    return rows.map(({ prompt, correct, incorrect }) => ({ prompt, correct, incorrect }));
  }
  if (!formats.length || !names.length) throw new LabError("input.empty_grid", S.grid.noPrompts);
  const count = formats.length * names.length;
  if (count > MOST_PROMPTS) {
    throw new LabError("input.too_many", S.grid.tooMany(showCount(formats.length), showCount(names.length), showCount(count), showCount(MOST_PROMPTS)), S.grid.fewer);
  }
  return formats.flatMap((format) => names.map(({ name, answer }) => ({
    prompt: withName(format, name), correct: answers[answer], incorrect: answers[1 - answer],
  })));
}

/** A format with a name in its place; “$&” is a name as any other. @param {string} format @param {string} name */
export const withName = (format, name) => format.replaceAll("{}", () => name);

/** @param {import("./state.js").AttentionInputs} inputs @param {Settings} settings @param {number} layers */
export const attention = ({ prompt }, settings, layers) => ({
  ...base(settings),
  kind: /** @type {const} */ ("trace"),
  prompts: [prompt],
  hooks: Array.from({ length: layers }, (_, layer) => patternHook(layer)),
});

/** @param {number} layer */
export const patternHook = (layer) => `blocks.${layer}.attn.hook_pattern`;

/**
 * Each head in turn, or set by set; on one prompt, or on all of the grid's.
 * @param {import("./state.js").AblateInputs} inputs
 * @param {Settings} settings
 * @param {import("./state.js").GridInputs} gridInputs
 * @returns {import("./microtome.js").AblateExperiment}
 */
export function ablate({ metric, batch, site, what, sets, prompts, correct, incorrect, ...edit }, settings, gridInputs) {
  const one = batch === "one";
  return {
    ...base(settings),
    kind: "ablate",
    ...(one ? { prompt: prompts[metric] } : { prompts: filled(gridInputs).map((entry) =>
      // The loss is that of the prompt with its answer, as in the section's own prompt.
      (metric === "loss" ? { prompt: entry.prompt + entry.correct } : entry)) }),
    ...(what === "sets" ? { sets: parseSets(sets, site) } : { site, axes: ["layer", "head"] }),
    edit: editOf(metric, edit),
    metric: metric === "loss" ? { kind: "loss" } : { kind: "logit_diff", ...(one ? { correct, incorrect } : {}) },
  };
}

/**
 * @param {"loss" | "logit_diff"} metric
 * @param {Pick<import("./state.js").AblateInputs, "edit" | "over" | "references">} inputs
 * @returns {import("./microtome.js").Edit}
 */
function editOf(metric, { edit, over, references }) {
  if (edit === "zero") return { kind: "zero" };
  const prompts = references[metric].split("\n").filter((line) => line.trim());
  if (!prompts.length) throw new LabError("input.references", S.ablate.noReferences);
  return edit === "mean" ? { kind: "mean", prompts, over } : { kind: "resample", prompts };
}

/**
 * @param {import("./state.js").PatchInputs} inputs
 * @param {Settings} settings
 * @returns {import("./microtome.js").PatchExperiment}
 */
export const patch = ({ clean, corrupted, correct, incorrect, what }, settings) => ({
  ...base(settings),
  kind: "patch",
  clean, corrupted,
  ...placesOf(what),
  metric: { kind: "logit_diff", correct, incorrect, normalize: true },
});

/** @param {import("./state.js").BiasInputs} inputs @param {Settings} settings */
export const bias = ({ tokens }, settings) =>
  ({ ...base(settings), kind: /** @type {const} */ ("unembed_bias"), tokens: [...tokens] });
