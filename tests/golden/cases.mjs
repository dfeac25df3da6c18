// Which experiments tests/oracle writes scripts of: the golden cases of the shipped model and of two random ones, every function
// of transformer_lens.patching, every group of places of the page, single runs with an edit, and a training.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { whyNoNnsight } from "../../www/export/python.js";
import { GROUPS } from "../../www/patching.js";
import { training } from "../../www/training.js";
import { initialState } from "../../www/state.js";

/**
 * `hub`: the script is written as if the model were there, and finds it in a cache of Hugging Face's that has the shipped model
 * under these names; `checkpoints`: those of the script's training. `changed`: the script names other weights than it finds, and
 * has to say so.
 * @typedef {{ name: string, model: string, experiment: any, hub?: { address: string, checkpoints?: string }, changed?: boolean }} Asked
 * @typedef {Asked & { library: "transformer_lens" | "nnsight" }} Case
 */

const PRONOUN = "www/models/pronoun";
const [MARY, JOHN, AMY] = ["Mary", "John", "Amy"].map((name) => `${name} is a great friend, isn’t`);
const BASE = { version: 1, processing: "none" };

/** Golden files do not write the processing into their experiments where all have the same. @param {string} file @param {string} model @returns {Asked[]} */
function golden(file, model) {
  const { processing, cases } = JSON.parse(readFileSync(fileURLToPath(new URL(`${file}.json`, import.meta.url)), "utf8"));
  return cases.map((/** @type {any} */ { name, experiment }) => ({ name: `${file}: ${name}`, model, experiment: { ...(processing === undefined ? {} : { processing }), ...experiment } }));
}

/** @type {Record<string, any>} */
const EDITS = {
  zero: { kind: "zero" }, mean: { kind: "mean", over: "tokens", prompts: [JOHN, AMY] }, "mean over prompts": { kind: "mean", over: "prompts", prompts: [JOHN, AMY] },
  resample: { kind: "resample", prompts: [JOHN] },
};
/** Some of whose hooks TransformerLens makes only when it is asked to. @type {Record<string, any[]>} */
const PLACES = {
  "a head": [{ site: "z", layer: 2, head: 0 }], "several sites": [{ site: "v", layer: 0, head: 1 }, { site: "mlp_out", layer: 1 }, { site: "resid_pre", layer: 3, pos: 2 }],
  "every layer": [{ site: "k", head: 1 }], result: [{ site: "result", layer: 1, head: 2, pos: 3 }], inputs: [{ site: "q_input", layer: 1, head: 0 }, { site: "mlp_in", layer: 2 }],
};
const EDITED = Object.entries(PLACES).flatMap(([at, places]) => Object.entries(EDITS).map(([kind, edit]) => ({ at: `${kind}, ${at}`, edited: { places, edit } })));

/** @type {Asked[]} */
const ASKED = [
  ...["transformer_lens", "none", "refactored", "detect"].flatMap((name) => golden(`pronoun.${name}`, PRONOUN)),
  ...["transformer_lens", "mixed", "detect"].flatMap((name) => golden(`gelu-new.${name}`, "tests/golden/models/gelu-new")),
  ...golden("gelu-fast-f16.mixed", "tests/golden/models/gelu-fast-f16"),
  ...GROUPS.flatMap(({ functions }) => functions).flatMap(({ name, places }) => ["transformer_lens", "none"].map((processing) => ({
    name: `page: ${name}, ${processing}`, model: PRONOUN,
    experiment: { version: 1, kind: "patch", processing, clean: MARY, corrupted: JOHN, ...places, metric: { kind: "logit_diff", correct: " she", incorrect: " he", normalize: true } },
  }))),
  ...["transformer_lens", "none"].map((processing) => ({ name: `page: patterns, ${processing}`, model: PRONOUN, experiment: { version: 1, kind: "trace", processing,
    prompts: [MARY], hooks: [0, 1, 2, 3].flatMap((layer) => ["hook_resid_mid", "attn.hook_pattern", "attn.hook_q", "attn.hook_v", "hook_mlp_out"].map((hook) => `blocks.${layer}.${hook}`)) } })),
  ...["resample", "mean", "zero"].map((kind) => ({ name: `page: sets, ${kind}`, model: PRONOUN, experiment: { ...BASE, kind: "ablate",
    prompts: ["Mary is a great friend, isn’t she", "Tom is a great friend, isn’t he"].map((prompt) => ({ prompt })),
    edit: kind === "zero" ? { kind } : { kind, prompts: ["John is a great friend, isn’t he", "Amy is a great friend, isn’t she"] }, metric: { kind: "loss" },
    sets: [[{ site: "v", layer: 0, head: 1 }, { site: "q", layer: 0, head: 2, pos: 3 }, { site: "mlp_out", layer: 1 }], [{ site: "z", layer: 2, head: 0 }], [{ site: "attn_out", layer: 1 }, { site: "resid_post", layer: 3, pos: 2 }]] } })),
  // The runs behind a cell: what is asked of them is the answers, and the patterns.
  ...EDITED.map(({ at, edited }) => ({ name: `page: edited, ${at}`, model: PRONOUN, experiment: { ...BASE, kind: "predict", prompt: MARY, answers: [" she", " he"], edited } })),
  ...EDITED.map(({ at, edited }) => ({ name: `page: edited trace, ${at}`, model: PRONOUN, experiment: { version: 1, kind: "trace", processing: "transformer_lens", prompts: [MARY], edited,
    hooks: ["blocks.2.attn.hook_pattern", "blocks.3.hook_resid_post", ...(at.endsWith("result") ? ["blocks.1.attn.hook_result", "blocks.3.hook_attn_in", "blocks.2.hook_v_input"] : [])] } })),
  ...["transformer_lens", "none"].map((processing) => ({ name: `page: answers, ${processing}`, model: PRONOUN, experiment: { version: 1, kind: "predict", processing, prompt: MARY, answer: " she", answers: [" it", " he", 5] } })),
  { name: "page: answers of a random model", model: "tests/golden/models/gelu-new", experiment: { ...BASE, kind: "predict", prompt: [0, 17, 4, 230], answers: [3, 200], prepend_bos: false } },
  { name: "page: other weights", model: PRONOUN, changed: true, experiment: { ...BASE, kind: "predict", prompt: MARY } },
  { name: "page: training", model: PRONOUN, experiment: training(/** @type {any} */ ({ d_vocab: 2048, n_ctx: 128, bos_token_id: 0 }), initialState().settings.inputs, { steps: [0, 300, 3000] }) },
  { name: "page: training of a template", model: PRONOUN, experiment: { version: 1, kind: "training", checkpoints: `${PRONOUN}/@{step}`, steps: [50, 700],
    experiment: { kind: "ablate", prompt: "Mary is a great friend, isn’t she", site: "v", edit: { kind: "zero" }, axes: ["layer", "head"], metric: { kind: "loss" } } } },
  { name: "page: training of a list", model: PRONOUN, experiment: { version: 1, kind: "training", checkpoints: [PRONOUN, `${PRONOUN}/`],
    experiments: [{ kind: "predict", prompt: [0, 5, 6], top_k: 2, answers: [7] }, { kind: "unembed_bias", tokens: [" he", " she"] }] } },
  { name: "page: a model of the Hub", model: PRONOUN, hub: { address: "hf:openai-community/gpt2@607a30d783dfa663caf39e06633721c8d4cfcd7e" },
    experiment: { ...BASE, kind: "predict", prompt: MARY, answer: " she" } },
  { name: "page: training on the Hub", model: PRONOUN, hub: { address: "hf:stanford-crfm/alias-gpt2-small-x21", checkpoints: "hf:stanford-crfm/alias-gpt2-small-x21@checkpoint-{step}" },
    experiment: { version: 1, kind: "training", checkpoints: [PRONOUN, `${PRONOUN}/`], experiments: [{ kind: "unembed_bias", tokens: [" he", " she"] }] } },
  { name: "page: a checkpoint", model: `${PRONOUN}/@400`, experiment: { version: 1, kind: "predict", prompt: MARY, answer: " she" } },
];

/** Every script: nnsight's too where it runs the same weights. @type {Case[]} */
export const CASES = ASKED.flatMap((one) => [{ ...one, library: /** @type {const} */ ("transformer_lens") },
  ...(one.model === PRONOUN && !one.changed && one.experiment.processing === "none" && !whyNoNnsight(one.experiment) ? [{ ...one, library: /** @type {const} */ ("nnsight") }] : [])]);

/** The row of the table that a case is counted in. @param {Case} one */
export const rowOf = ({ library, experiment: { kind }, model }) => ({ library, kind: String(kind), model: model.split("/@")[0].split("/").at(-1) ?? "" });

/** How many scripts each row has, by its cells. @returns {Map<string, number>} */
export function countsOf() {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const one of CASES) {
    const key = Object.values(rowOf(one)).join(" ");
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}
