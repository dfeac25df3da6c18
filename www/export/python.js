// A runnable Python script for an experiment: the same prompts, token by token, the same weights, edits and metric.
import { pyString } from "./python/literal.js";
import { isHub } from "./python/origin.js";
import { switchesOf } from "./python/lens.js";
import { lensScript, PINS } from "./python/lens_script.js";
import { NNSIGHT_PINS, nnsightScript, whyNoNnsight } from "./python/nnsight.js";

export { whyNoNnsight };
/** @typedef {import("./python/origin.js").Source} Source */
/** @typedef {"transformer_lens" | "nnsight"} Library */

/**
 * @param {any} experiment as understood: an experiment's result has it
 * @param {{ source: Source, ids: import("./tokens.js").Ids, library?: Library, steps?: number[], build?: string, precision?: string }} options
 *   `ids`: of `idsOf`; `steps`: of a training, those that its result has
 */
export function pythonScript(experiment, { source, ids, library = "transformer_lens", steps, build = "", precision = "f32" }) {
  const lens = library === "transformer_lens";
  const inner = experiment.experiments?.[0] ?? experiment.experiment ?? experiment;
  const switches = Object.entries(switchesOf(inner.processing)).filter(([, on]) => on).map(([name]) => name);
  const about = [
    `${TITLES[experiment.kind] ?? experiment.kind}, with ${lens ? "TransformerLens" : "nnsight"}. Written by Microtome${build ? ` (${pyString(build).slice(1, -1)})` : ""}.`,
    "",
    `Model       ${pyString(source.name)}${source.sha256 ? `, weights with SHA-256 ${source.sha256}` : ""}${source.step === undefined ? "" : `, step ${source.step} of its training`}`,
    `Processing  ${lens ? (switches.length ? switches.join(", ") : "none: the raw weights") : "none: nnsight runs the raw weights"}`,
    `Needs       pip install ${lens ? PINS : NNSIGHT_PINS}`,
    `Run         python FILE${isHub(source.address) ? " [FOLDER]" : " FOLDER"}    prints the result as JSON, with the fields that the page's has`,
    ...(isHub(source.address) ? [] : [source.url
      ? `            FOLDER has config.json and model.safetensors${experiment.kind === "training" || source.step !== undefined ? " and the step-N.safetensors files" : ""} of ${pyString(source.url)}`
      : "            FOLDER has the model's config.json and weights"]),
    ...(precision === "f16" ? ["", "The page kept the weights in 16 bits; this script has them in 32, so that the last digits differ."] : []),
    "",
    "Prompts are token ids, as the page's tokenizer made them: no tokenizer is needed here.",
  ];
  return lens ? lensScript(experiment, { source, ids, about, steps }) : nnsightScript(experiment, { source, ids, about });
}

/** @type {Record<string, string>} */
const TITLES = {
  predict: "The likeliest next tokens", logit_diff: "Logit differences", trace: "Activations", ablate: "Ablation", patch: "Activation patching",
  unembed_bias: "The unembedding bias of tokens", detect: "Head detection", training: "The same questions of every checkpoint of a training",
};
