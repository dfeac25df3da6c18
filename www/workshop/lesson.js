// What the guided lesson is made of, as types, and its steps in order. A step is data: what is measured on the open model, how
// that is drawn, and questions whose answers are worked out from what was measured. Words are in strings/workshop.js.
import { attention, ablateOne, matter, mover, travel } from "./inside.js";
import { induction, own, training } from "./exercises.js";
import { difference, grid, next, tokens } from "./read.js";
import { bias, values } from "./weights.js";

/** @typedef {import("../microtome.js").Figure} Figure */
/** @typedef {import("../microtome.js").Token} Token */
/**
 * What a step may ask of the open model. `sweep`: an ablation or a patch with its figure.
 * @typedef {{ model: import("../microtome.js").ModelInfo, inputs: Record<string, string>,
 *   run: (experiment: any) => Promise<any>, sweep: (experiment: any) => Promise<{ result: any, figure: Figure }>,
 *   tokenize: (text: string, prependBos?: boolean) => Promise<Token[]>, checkpoints: () => Promise<number[]> }} Ask
 */
/**
 * A drawing, as data. `words`: one cell, from its place in words and its value.
 * @typedef {{ kind: "chips", title: string, tokens: Token[], bos: boolean }
 *   | { kind: "table", title: string, columns: string[], rows: string[][] }
 *   | { kind: "heatmap", title: string, figure: Figure, words: (place: string, value: string) => string, palette?: "sequential" }
 *   | { kind: "panels", title: string, figure: Figure, words: (place: string, value: string) => string }
 *   | { kind: "lines", title: string, unit: string, steps: number[], lines: { name: string, values: (number | null)[] }[] }
 *   | { kind: "words", title: string, text: string[] }} Drawing
 */
/**
 * What is right, as far as the open model goes.
 * `number`: within `tolerance` of `value`. `heads` of kind "head": any of them, the first is the one to show. `must` and `may`:
 * all of the former, and any of the latter, which lie too close to the threshold to insist on.
 * @typedef {{ kind: "number", value: number, tolerance: number, shown: string }
 *   | { kind: "head", heads: string[] } | { kind: "heads", must: string[], may: string[] }
 *   | { kind: "choice", key: string } | { kind: "token", places: number[] } | { kind: "prompt", right: boolean, example: string | null }} Truth
 */
/**
 * `guess`: asked before anything is shown, and never marked wrong. `options`: of a choice, the keys, whose words are in the
 * string table; `tokens`: what a "token" question chooses from. `of`: what the model says about a wrong answer. `why`: said
 * when the answer is right or was shown.
 * @template F what the step's `measure` finds
 * @typedef {{ id: string, kind: Truth["kind"], guess?: boolean, options?: string[], tokens?: (found: F) => Token[],
 *   truth: (found: F) => Truth, why: (found: F) => string, of?: (answer: string, found: F) => string | null }} Question
 */
/**
 * `minutes`: for the teacher's table. `lab`: the section of the lab page that does the same. `inputs`: fields that a visitor may
 * change, with their first values. `click`: measured only when it is asked for, since it downloads a lot. `possible`: whether
 * the open model can do it at all.
 * @template F
 * @typedef {{ id: string, minutes: number, lab: string, inputs?: Record<string, string>, click?: boolean, possible?: (found: F) => boolean,
 *   measure: (ask: Ask) => Promise<F>, draw: (found: F) => Drawing[], questions: Question<F>[] }} Step
 */

/** @type {Step<any>[]} */
export const LESSON = [
  tokens, next, difference, grid, attention, ablateOne, matter, travel, mover, bias, induction, values, own, training,
];
