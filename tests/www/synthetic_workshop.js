// What the steps of the workshop find on a model of two layers and two heads that exists on paper only. `other` is another such
// model, on which every question has another answer.
import { LESSON } from "../../www/workshop/lesson.js";

/** @param {boolean} [other] @returns {Promise<Map<string, any>>} by step */
export async function findings(other = false) {
  /** @type {Map<string, any>} */
  const found = new Map();
  for (const step of LESSON) found.set(step.id, await step.measure(askOf(other, { ...step.inputs })));
  return found;
}

const figure = { title: "", row_axis: { title: "Layer", labels: ["0", "1"] }, col_axis: { title: "Head", labels: ["0", "1"] }, rows: 2, cols: 2, values: [0, 0, 0, 0], scale: { min: -1, mid: 0, max: 1 }, caption: "" };

/** @param {boolean} other @param {Record<string, string>} inputs @returns {import("../../www/workshop/lesson.js").Ask} */
function askOf(other, inputs) {
  const model = /** @type {any} */ ({ n_layers: 2, n_heads: 2, d_vocab: 50, n_ctx: 64, bos_token_id: 0 });
  const run = async (/** @type {any} */ experiment) => ({ experiment, ...answer(experiment, other) });
  return {
    model, inputs, run,
    sweep: async (experiment) => ({ result: await run(experiment), figure: /** @type {any} */ (figure) }),
    tokenize: async (text, bos = true) => pieces(text, bos, other),
    checkpoints: async () => [0, 100, 2000],
  };
}

/** Words as tokens; another tokenizer knows “she”, and keeps the end of the prompt together. @param {string} text @param {boolean} bos @param {boolean} other */
function pieces(text, bos, other) {
  const parts = text === "she" ? (other ? ["she"] : ["s", "he"]) : text.split(other ? /(?= )/ : /(?= )|(?=,)/);
  return [...(bos ? ["<|endoftext|>"] : []), ...parts].map((text) => ({ text, id: [...text].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) % 9973, 7) }));
}

/** @param {any} experiment @param {boolean} other @returns {any} */
function answer(experiment, other) {
  const { kind } = experiment;
  const swap = (/** @type {number[]} */ list) => (other ? [...list].reverse() : list);
  switch (kind) {
    case "predict": {
      const she = { id: 1, text: " she", logit: other ? 2 : 5, prob: other ? 0.1 : 0.8 };
      const he = { id: 2, text: " he", logit: other ? 4 : 2, prob: other ? 0.74 : 0.04 };
      const top = other ? [he, she] : [she, he];
      return { top: [...top, { id: 3, text: " it", logit: 0, prob: 0.01 }], answer: experiment.answer === " he" ? he : she };
    }
    case "logit_diff": {
      // The bias of `unembed_bias` below weighs more than the prompt on the other model.
      if (experiment.prompts.length === 1) return { values: [other ? 1 : 4] };
      if (experiment.prompts.length === 5) return { values: other ? [2, -1, 1, -3, 1] : [3, 3, -2, 1, 1] };
      const values = experiment.prompts.map((/** @type {unknown} */ _, /** @type {number} */ i) => (i % 5 === (other ? 2 : 1) ? (other ? -1 : 1) : 4));
      return { values, mean: values.reduce((/** @type {number} */ a, /** @type {number} */ b) => a + b, 0) / values.length };
    }
    case "trace": return { tensors: [Object.fromEntries(experiment.hooks.map((/** @type {string} */ hook, /** @type {number} */ layer) => [hook, pattern(layer, other)]))] };
    case "unembed_bias": return { values: experiment.processing === "none" ? [0, 0] : other ? [2, -1] : [0.1, 0.3], prob_ratio: 1 };
    case "detect": return { shape: [2, 2], values: swap([0.1, 0.2, 0.8, 0.6]) };
    case "patch": return experiment.sites
      ? { shape: [3, 2, 2], values: other ? [0, 0.9, 0, 0, 0, 0.1, 0, 0, 0, 0.9, 0, 0] : [0.9, 0, 0, 0, 0.8, 0, 0, 0, 0.1, 0, 0, 0], clean: 4, corrupted: -3 }
      : { shape: [2, 4], values: other ? [0, 0, 1, 0, 0, 0, 1, 0] : [0, 1, 0, 0, 0, 0, 0, 1], clean: 4, corrupted: -3 };
    case "ablate": return ablation(experiment, other, swap);
    case "training": return { checkpoints: [0, 100, 2000].map((step, i) => ({ step, answers: [{ mean: (other ? [0, 0, 3] : [0, 2, 3])[i] }, { values: [[0.1, 0.1, 0.5], [0.1, 0.6, 0.7]][Number(other)].map((score, at) => (at === i ? score : 0)) }] })) };
    default: throw new Error(`The synthetic model knows no ${kind}.`);
  }
}

/** @param {any} experiment @param {boolean} other @param {(list: number[]) => number[]} swap */
function ablation({ metric, sets, processing, prompts }, other, swap) {
  const loss = metric.kind === "loss";
  const baseline = loss ? 2 : 4;
  if (!sets) {
    // On repeated tokens: the induction heads stand in for each other, or each does its part.
    if (loss && prompts) return { shape: [2, 2], baseline, values: other ? [4, 2.9, 2, 2] : [2, 3, 2.01, 2.01] };
    if (loss) return { shape: [2, 2], baseline, values: other ? [2, 2, 2, 3] : [2.9, 2, 2, 2.1] };
    return { shape: [2, 2], baseline, values: prompts && other ? [4, 3.9, 3.8, 2] : swap([4, 1, 3.9, 4]).map((value, i) => (other && i === 3 ? 0.5 : value)) };
  }
  if (loss) return { shape: [1], baseline, values: [other ? 5.1 : 9] };
  const [[{ site, pos }]] = sets;
  if (typeof processing === "object") return { shape: [1], baseline, values: [processing[other ? "fold_ln" : "fold_value_biases"] ? 1 : 1.6] };
  const hit = site === "v" ? (other ? 2 : 1) : other ? 1 : 3;
  return { shape: [sets.length], baseline, values: sets.map((/** @type {any} */ set, /** @type {number} */ i) => (pos === undefined && i === 0 ? 0.5 : set[0].pos === hit ? 0.4 : 4)) };
}

/** `[head, dest, src]` of four tokens. @param {number} layer @param {boolean} other */
function pattern(layer, other) {
  const last = [[0.1, 0.2, 0.6, 0.1], [0, 0.9, 0.05, 0.05]];
  const data = Float32Array.from({ length: 2 * 4 * 4 }, (_, i) => {
    const [head, dest, src] = [i >> 4, (i >> 2) & 3, i & 3];
    const row = last[(head + layer + Number(other)) % 2];
    return dest === 3 ? row[src] : src <= dest ? 1 / (dest + 1) : 0;
  });
  return { shape: [2, 4, 4], data };
}
