// What an embedded figure is of: an experiment, or a recorded figure with its experiment. Pure.
import { LabError } from "../errors.js";
import { EMBED } from "../strings/embed.js";

/** @typedef {import("../microtome.js").Figure} Figure */
/** @typedef {import("../microtome.js").AblateExperiment | import("../microtome.js").PatchExperiment | import("../microtome.js").DetectExperiment
 *   | import("../microtome.js").TraceExperiment} Experiment what a figure can be of */
/** @typedef {{ layer: number, head: number }} Head */
/**
 * What lies in a figure's JSON. A recorded one has `figure`, and says what it was computed with.
 * @typedef {{ version: 1, experiment: Experiment, head?: Head, figure?: Figure, model?: { name: string, sha256: string | null },
 *   engine?: { backend: string, build: string } }} Spec `head`: of a trace, whose pattern is drawn
 */

const KINDS = ["ablate", "patch", "detect", "trace"];
/** More cells than any figure of the lab's models has: what claims more is no figure. */
const MOST_CELLS = 1 << 20;

/**
 * @param {string} text JSON
 * @param {string | null} [named] the head that an attribute names
 * @returns {Spec}
 * @throws {LabError} figure.json, figure.kind, figure.head
 */
export function readSpec(text, named = null) {
  let value;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new LabError("figure.json", EMBED.notJson(cause instanceof Error ? cause.message : String(cause)));
  }
  if (typeof value !== "object" || value === null) throw new LabError("figure.json", EMBED.notFigure);
  const spec = "experiment" in value ? value : { version: 1, experiment: value };
  const { experiment, figure } = spec;
  if (typeof experiment !== "object" || experiment === null || typeof experiment.kind !== "string") throw new LabError("figure.json", EMBED.notFigure);
  if (!KINDS.includes(experiment.kind)) throw new LabError("figure.kind", EMBED.badKind(experiment.kind));
  if (figure !== undefined && !isFigure(figure)) throw new LabError("figure.json", EMBED.notFigure);
  const head = (named === null ? null : headOf(named)) ?? (isHead(spec.head) ? spec.head : undefined);
  if (experiment.kind === "trace" && !head) throw new LabError("figure.head", EMBED.badHead);
  // What was recorded of one head is no picture of another.
  const recorded = figure && (experiment.kind !== "trace" || !isHead(spec.head) || (spec.head.layer === head?.layer && spec.head.head === head?.head));
  return { version: 1, experiment, ...(experiment.kind === "trace" ? { head } : {}), ...(recorded ? { figure, model: provenance(spec.model, "name"), engine: provenance(spec.engine, "backend") } : {}) };
}

/** @param {any} value @param {string} key that has to be there */
const provenance = (value, key) => (typeof value?.[key] === "string" ? value : undefined);

/** `L0H6`. @param {string} name @returns {Head | null} */
function headOf(name) {
  const [, layer, head] = /^L(\d{1,3})H(\d{1,3})$/.exec(name) ?? [];
  return head === undefined ? null : { layer: Number(layer), head: Number(head) };
}

/** @param {any} head @returns {head is Head} */
const isHead = (head) => Number.isInteger(head?.layer) && Number.isInteger(head?.head) && head.layer >= 0 && head.head >= 0;

/** Whether it can be drawn as it is: it may come from anywhere. @param {any} figure @returns {figure is Figure} */
function isFigure(figure) {
  if (typeof figure !== "object" || figure === null) return false;
  const { title, row_axis, col_axis, rows, cols, values, scale } = figure;
  const axis = (/** @type {any} */ { title, labels }, /** @type {number} */ count) => typeof title === "string" && Array.isArray(labels)
    && labels.length === count && labels.every((label) => typeof label === "string");
  return typeof title === "string" && [rows, cols].every((n) => Number.isInteger(n) && n > 0) && rows * cols <= MOST_CELLS
    && axis(Object(row_axis), rows) && axis(Object(col_axis), cols) && Array.isArray(values) && values.length === rows * cols
    && values.every((value) => value === null || Number.isFinite(value))
    && [scale?.min, scale?.mid, scale?.max].every(Number.isFinite) && scale.min < scale.max;
}

/**
 * The texts of an experiment that a reader may change, by the names of their fields.
 * @param {any} experiment
 * @returns {Record<string, string>}
 */
export function textsOf({ kind, prompt, prompts, clean, corrupted, metric }) {
  /** @type {Record<string, unknown>} */
  const all = kind === "patch" ? { clean, corrupted } : { prompt: prompt ?? (prompts?.length === 1 ? prompts[0] : undefined) };
  if (metric?.kind === "logit_diff") Object.assign(all, { correct: metric.correct, incorrect: metric.incorrect });
  return Object.fromEntries(Object.entries(all).filter((entry) => typeof entry[1] === "string")
    .map(([name, text]) => [name, String(text)]));
}

/**
 * The same experiment about other texts.
 * @template {Experiment} E
 * @param {E} experiment
 * @param {Record<string, string>} texts as `textsOf` names them
 * @returns {E}
 */
export function withTexts(experiment, { prompt, correct, incorrect, ...others }) {
  const now = /** @type {any} */ (structuredClone(experiment));
  if (prompt !== undefined) Object.assign(now, now.prompts ? { prompts: [prompt] } : { prompt });
  Object.assign(now, others);
  if (correct !== undefined) now.metric.correct = correct;
  if (incorrect !== undefined) now.metric.incorrect = incorrect;
  return now;
}
