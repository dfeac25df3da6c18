// What is measured at every checkpoint of a training, and at which. Pure.
import { LabError } from "./errors.js";
import { ablate, filled, processingOf } from "./experiments.js";
import { initialState } from "./state.js";
import { S } from "./strings.js";

/** @typedef {import("./state.js").Settings} Settings */
/** @typedef {Exclude<import("./microtome.js").Experiment, import("./microtome.js").TraceExperiment>} Experiment */
/** @typedef {{ prompt: string, correct: string, incorrect: string }} Question */
/** @typedef {"tags" | "objects" | "everyday"} Kind */
/** Sentences of the kinds that the default model was trained on: what the loss is measured on. @type {Record<Kind, string[]>} */
export const SENTENCES = {
  tags: ["Mary is a great friend, isn’t she?", "John is an amazing person, isn’t he?"],
  objects: [
    "When John and Tom went to the store, Tom gave a drink to John.",
    "After John and Mary went to the park, John handed a book to Mary.",
  ],
  everyday: ["Tom lost his key, so he was sad.", "Anna went to the beach because she was happy."],
};
export const KINDS = /** @type {Kind[]} */ (Object.keys(SENTENCES));

/**
 * Who is given something? Two prompts of each frame of the default model's corpus; their pairs of names are held out of
 * its training with that frame, which a test of this table computes. Each answer is one token of GPT-2, too.
 * @type {[prompt: string, receiver: string, giver: string][]}
 */
export const OBJECT_QUESTIONS = [
  ["When John and Tom went to the store, Tom gave a drink to", " John", " Tom"],
  ["When Mary and Amy went to the garden, Mary sold a ring to", " Amy", " Mary"],
  ["After John and Mary went to the park, John handed a book to", " Mary", " John"],
  ["After Kate and Tom went to the museum, Tom sent the letter to", " Kate", " Tom"],
  ["Then, Mary and Alice went to the school. Alice passed a ball to", " Mary", " Alice"],
  ["Then, Dan and Peter went to the beach. Dan gave the cup to", " Peter", " Dan"],
  ["While Anna and John were working at the station, John offered a cake to", " Anna", " John"],
  ["While Mark and Laura were working at the bank, Mark showed the map to", " Laura", " Mark"],
  ["John and Alice were at the library, and Alice gave a pen to", " John", " Alice"],
  ["David and Paul were at the hotel, and David brought the box to", " Paul", " David"],
  ["When Jane and John had lunch at the restaurant, John gave a gift to", " Jane", " John"],
  ["When Dan and Kate had lunch at the cafe, Dan passed the bag to", " Kate", " Dan"],
  ["Then, Mary and John had a long day at the zoo. John showed a photo to", " Mary", " John"],
  ["Then, Amy and Dan had a long day at the farm. Amy handed the key to", " Dan", " Amy"],
  ["Yesterday David and Amy met at the market. Later Amy gave a flower to", " David", " Amy"],
  ["Yesterday Paul and Tom met at the church. Later Paul sent the ticket to", " Tom", " Paul"],
];

/** @typedef {"previous_token" | "duplicate_token" | "induction"} Detector */
export const DETECTORS = /** @type {Detector[]} */ (["previous_token", "duplicate_token", "induction"]);
/** Rows of random tokens, the tokens of one copy, and how often it comes: the first copy repeats nothing. */
const REPEATED = { rows: 3, period: 25, copies: 5, seed: 7 };

/**
 * Rows of random tokens that repeat, for the head detectors: the same ones for the same model.
 * @param {{ d_vocab: number, n_ctx: number, bos_token_id: number | null }} model
 * @returns {number[][]} token ids, after the BOS token where there is one
 */
export function repeatedTokens({ d_vocab, n_ctx, bos_token_id }) {
  const { rows, copies, seed } = REPEATED;
  const start = bos_token_id === null ? [] : [bos_token_id];
  const period = Math.max(1, Math.min(REPEATED.period, Math.floor((n_ctx - start.length) / copies)));
  const next = random(seed);
  return Array.from({ length: rows }, () => {
    const copy = Array.from({ length: period }, () => Math.floor(next() * d_vocab));
    return [...start, ...Array.from({ length: copies }, () => copy).flat()];
  });
}

/** Numbers from 0 to 1, the same for the same seed. @param {number} seed */
function random(seed) {
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
}

/**
 * What is measured at every checkpoint, in this order: the notebook's 25 prompts, indirect objects, each head switched off
 * on the 25 prompts, the head detectors, and a loss for each sentence.
 * @param {import("./microtome.js").ModelInfo} model
 * @param {Settings} settings
 * @returns {Experiment[]}
 */
export function experimentsOf(model, settings) {
  const { grid, ablate: preset } = initialState();
  const base = { version: /** @type {const} */ (1), processing: processingOf(settings.processing), prepend_bos: settings.prepend_bos };
  return [
    { ...base, kind: "logit_diff", prompts: filled(grid.inputs) },
    { ...base, kind: "logit_diff", prompts: OBJECT_QUESTIONS.map(([prompt, correct, incorrect]) => ({ prompt, correct, incorrect })) },
    ablate({ ...preset.inputs, metric: "logit_diff", batch: "grid" }, settings, grid.inputs),
    { ...base, kind: "detect", prompts: repeatedTokens(model), patterns: DETECTORS, measure: "mul", exclude_bos: true, exclude_current_token: true },
    ...KINDS.flatMap((kind) => SENTENCES[kind].map((prompt) => ({ ...base, kind: /** @type {const} */ ("predict"), prompt, top_k: 1 }))),
  ];
}

/** So many checkpoints are measured in one go. */
const MOST = 24;

/**
 * The steps that a run measures: all, or of a long family those that lie evenly on the axis, its ends among them.
 * @param {number[]} steps rising
 */
export function measured(steps) {
  if (steps.length <= MOST) return steps;
  const unit = unitOf(steps);
  const [from, to] = [place(steps[0], unit), place(steps[steps.length - 1], unit)];
  const wanted = Array.from({ length: MOST }, (_, i) => from + (i * (to - from)) / (MOST - 1));
  const near = (/** @type {number} */ at) => steps.reduce((best, step) => (Math.abs(place(step, unit) - at) < Math.abs(place(best, unit) - at) ? step : best));
  return [...new Set(wanted.map(near))];
}

/** The step at which the axis begins to be logarithmic: the first after 0. @param {number[]} steps */
export const unitOf = (steps) => steps.find((step) => step > 0) ?? 1;

/** Where a step lies on the axis: log(1 + step / unit), so that step 0 has a place. @param {number} step @param {number} unit */
export const place = (step, unit) => Math.log2(1 + step / unit);

/**
 * Which checkpoints are measured: of the open model's family, unless others are named.
 * @typedef {{ steps: number[], checkpoints?: string | string[] }} Places
 */

/**
 * Checkpoints as they were typed: one address with `{step}` in it, and its steps; or an address a line, whose steps are then
 * their places in the list.
 * @param {string} addresses
 * @param {string} steps
 * @returns {Places | null} null where nothing was typed
 */
export function parsePlaces(addresses, steps) {
  const lines = addresses.split("\n").map((line) => line.trim()).filter(Boolean);
  if (!lines.length) return null;
  if (lines.length > 1 || !lines[0].includes("{step}")) return { checkpoints: lines, steps: lines.map((_, i) => i) };
  const words = steps.split(/[\s,;]+/).filter(Boolean);
  const wrong = words.find((word) => !/^\d{1,15}$/.test(word));
  if (wrong !== undefined || !words.length) throw new LabError("input.steps", wrong === undefined ? S.training.noSteps : S.training.noStep(wrong));
  return { checkpoints: lines[0], steps: [...new Set(words.map(Number))].sort((a, b) => a - b) };
}

/**
 * All of them at these checkpoints.
 * @param {import("./microtome.js").ModelInfo} model
 * @param {Settings} settings
 * @param {Places} places
 */
export const training = (model, settings, { steps, checkpoints }) => ({
  version: /** @type {const} */ (1), kind: /** @type {const} */ ("training"), experiments: experimentsOf(model, settings), steps,
  ...(checkpoints === undefined ? {} : { checkpoints }),
});
