// The list of heads: what the detectors are asked, and the rows of the table. Pure.
import { LabError } from "./errors.js";
import { processingOf } from "./experiments.js";
import { S } from "./strings.js";
import { headName } from "./series.js";
import { DETECTORS, repeatedTokens } from "./training.js";

/** @typedef {import("./state.js").HeadsInputs} HeadsInputs */
/** @typedef {{ layer: number, head: number, name: string, values: Record<string, number | null> }} Row `values`: by column */

/**
 * @param {HeadsInputs} inputs
 * @param {import("./state.js").Settings} settings
 * @param {string} prompt of the attention view
 * @param {import("./microtome.js").ModelInfo} model
 * @returns {import("./microtome.js").DetectExperiment}
 */
export function detect({ on, pattern, own, measure, exclude_bos, exclude_current_token }, settings, prompt, model) {
  const base = { version: /** @type {const} */ (1), processing: processingOf(settings.processing), prepend_bos: settings.prepend_bos };
  return {
    ...base, kind: "detect", measure, exclude_bos, exclude_current_token,
    ...(pattern === "own" ? { prompt, pattern: parsePattern(own) }
      : { ...(on === "prompt" ? { prompt } : { prompts: repeatedTokens(model) }), patterns: [...DETECTORS] }),
  };
}

/**
 * Rows of numbers as they were typed. Whether they fit the prompt is for the engine to say.
 * @param {string} text
 * @returns {number[][]}
 */
export function parsePattern(text) {
  const rows = text.split("\n").filter((line) => line.trim()).map((line, row) => line.trim().split(/[\s,;]+/).filter(Boolean).map((word) => {
    const value = Number(word);
    if (!Number.isFinite(value)) throw new LabError("input.pattern", S.heads.notNumber(row + 1, word));
    return value;
  }));
  if (!rows.length) throw new LabError("input.pattern", S.heads.noPattern);
  return rows;
}

/**
 * A row for each head.
 * @param {{ axes: string[], shape: number[], values: (number | null)[], experiment: { patterns?: string[] } }} scores of a detection
 * @param {(number | null)[] | null} effects what each head's ablation changes, layer by layer
 * @returns {Row[]}
 */
export function rowsOf({ shape, values, experiment }, effects) {
  const [layers, heads] = shape.slice(-2);
  const columns = experiment.patterns ? experiment.patterns : ["own"];
  return Array.from({ length: layers * heads }, (_, i) => ({
    layer: Math.floor(i / heads), head: i % heads, name: headName(i, heads),
    values: {
      ...Object.fromEntries(columns.map((column, pattern) => [column, values[pattern * layers * heads + i]])),
      effect: effects?.[i] ?? null,
    },
  }));
}

/**
 * What an ablation of every head by itself changes; null for any other sweep.
 * @param {{ axes: string[], shape: number[], values: (number | null)[], baseline: number } | undefined} result
 * @param {number} heads of the model
 */
export function effectsOf(result, heads) {
  if (result?.axes.join() !== "layer,head" || result.values.length !== heads) return null;
  return result.values.map((value) => (value === null || !Number.isFinite(value) ? null : value - result.baseline));
}

/**
 * Sorted by a column; heads without a value last, ties in the order of the heads. An effect counts by its size.
 * @param {Row[]} rows
 * @param {string} by `head`, or a column
 * @param {boolean} down largest first
 */
export function sorted(rows, by, down) {
  const key = (/** @type {Row} */ { layer, head, values }) => {
    if (by === "head") return layer * 1e6 + head;
    const value = values[by];
    return value === null || value === undefined || !Number.isFinite(value) ? null : by === "effect" ? Math.abs(value) : value;
  };
  const sign = down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === null || y === null) return Number(x === null) - Number(y === null) || a.layer - b.layer || a.head - b.head;
    return sign * (x - y) || a.layer - b.layer || a.head - b.head;
  });
}
