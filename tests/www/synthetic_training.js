// A training result with the shapes of a real one and curves that a test chooses.
import { DETECTORS, SENTENCES } from "../../www/training.js";

/** @typedef {import("../../www/series.js").Checkpoint} Checkpoint */
/**
 * What one checkpoint does. `effects`: what the pronouns lose without the first heads, in order; all others lose nothing.
 * `induction`: the scores of the first heads.
 * @typedef {{ step: number, pronouns: number, objects: number, loss: number, effects: number[], induction: number[] }} Point
 */
export const SHAPE = [2, 3];

/** @param {Point} point @returns {Checkpoint} */
export function checkpoint({ step, pronouns, objects, loss, effects, induction }) {
  const heads = SHAPE[0] * SHAPE[1];
  const all = (/** @type {(head: number) => number} */ value) => Array.from({ length: heads }, (_, head) => value(head));
  const sentences = Object.values(SENTENCES).flat().length;
  return {
    step, model: { name: "synthetic", sha256: null },
    answers: [
      { kind: "logit_diff", values: [pronouns - 1, pronouns + 1], mean: pronouns },
      { kind: "logit_diff", values: [objects], mean: objects },
      { kind: "ablate", axes: ["layer", "head"], shape: SHAPE, baseline: pronouns, values: all((head) => pronouns - (effects[head] ?? 0)) },
      { kind: "detect", axes: ["pattern", "layer", "head"], shape: [DETECTORS.length, ...SHAPE], values: [...all(() => 0.25), ...all(() => 0.125), ...all((head) => induction[head] ?? 0.0625)] },
      ...Array.from({ length: sentences }, (_, i) => ({ kind: "predict", loss: loss + (i % 2 ? 0.5 : -0.5) })),
    ],
  };
}

/** @param {number} step @param {string} [message] @returns {Checkpoint} */
export const missing = (step, message = "no such file") => ({ step, error: { code: "net.missing", message } });

/** Pronouns at 400, objects at 1,600, induction at 2,000 by another head than at the end; L1H1 carries the pronouns. */
export const LEARNS = [
  { step: 0, pronouns: 0, objects: 0, loss: 8, effects: [0, 0, 0, 0, 0], induction: [0.03] },
  { step: 100, pronouns: 0.25, objects: 0, loss: 6, effects: [0, 0, 0, 0, 0.1], induction: [0.03] },
  { step: 200, pronouns: 1, objects: 0, loss: 5, effects: [0, 0, 0, 0, 2.6], induction: [0.04] },
  { step: 400, pronouns: 3, objects: 0.25, loss: 4, effects: [0, 0.6, 0, 0, 4], induction: [0.05] },
  { step: 800, pronouns: 3.75, objects: 0.25, loss: 3, effects: [0, 1, 0, 0, 5], induction: [0.06] },
  { step: 1600, pronouns: 4, objects: 3, loss: 2.5, effects: [0.5, 1, 0, 0, 5], induction: [0.2, 0.4] },
  { step: 2000, pronouns: 4, objects: 3.5, loss: 2.25, effects: [0.5, 1.2, 0, 0, 5], induction: [0.4, 0.55] },
  { step: 4000, pronouns: 4, objects: 3.5, loss: 2, effects: [0.5, 1.2, 0, 0, 5], induction: [0.875, 0.6] },
];

/** Nothing ever appears. */
export const LEARNS_NOTHING = [0, 100, 1000, 4000].map((step, i) => ({ step, pronouns: 0.125 * i, objects: -0.25, loss: 8 + i, effects: [0.01], induction: [0.0625] }));
