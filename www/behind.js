// The run behind one cell of a sweep, as experiments of its own. Pure.

/** @typedef {import("./microtome.js").AblateResult} AblateResult */
/** @typedef {import("./microtome.js").PatchResult} PatchResult */
/** @typedef {import("./microtome.js").SetPlace} SetPlace */
/** @typedef {import("./microtome.js").Edited} Edited */
/** @typedef {import("./microtome.js").Prompt} Prompt */
/** @typedef {import("./microtome.js").PredictResult} PredictResult */
/** @typedef {import("./microtome.js").TraceResult} TraceResult */
/**
 * `prompts`, `references`: how many there are; the cell is the mean over all of them. `runs`: by the role that they play,
 * the edited one last. `answers`: correct and incorrect, where the metric has them.
 * @typedef {{ places: SetPlace[], kind: "zero" | "mean" | "resample" | "patch", metric: "loss" | "logit_diff", normalize: boolean,
 *   prompts: number, references: number, base: { version: 1, processing: any, prepend_bos: any },
 *   runs: { role: "clean" | "corrupted" | "before" | "after", prompt: Prompt, edited?: Edited }[],
 *   answers: (string | number)[] }} Behind
 */

/** @typedef {{ name: string, sha256: string | null, step?: number }} Model */

/** Whether two results are of one model, and of one step of its training. @param {Model | undefined} a @param {Model | undefined} b */
export const sameModel = (a, b) =>
  a !== undefined && b !== undefined && a.sha256 === b.sha256 && a.name === b.name && (a.step ?? null) === (b.step ?? null);

/**
 * The places that a cell edits.
 * @param {AblateResult["experiment"] | PatchResult["experiment"]} experiment
 * @param {string[]} axes of the result
 * @param {number[]} shape
 * @param {number} cell in row-major order
 * @returns {SetPlace[]}
 */
export function placesBehind(experiment, axes, shape, cell) {
  /** @type {Record<string, number>} */
  const at = {};
  for (let i = axes.length - 1; i >= 0; i--) {
    at[axes[i]] = cell % shape[i];
    cell = Math.floor(cell / shape[i]);
  }
  if ("sets" in experiment) return experiment.sets[at.set];
  const { site: which = 0, ...rest } = at;
  const site = "sites" in experiment ? experiment.sites[which] : experiment.site;
  // Side by side with other sites, `pos` is the one that looks.
  const square = site === "pattern" || site === "attn_scores";
  const named = Object.entries(rest).map(([axis, index]) => [square && axis === "pos" ? "dest" : axis, index]);
  return [{ site, ...Object.fromEntries(named) }];
}

/**
 * @param {AblateResult | PatchResult} result
 * @param {number} cell
 * @param {{ prompt?: number, reference?: number }} [which] of several prompts and references
 * @returns {Behind}
 */
export function behind(result, cell, { prompt: at = 0, reference = 0 } = {}) {
  const { experiment, axes, shape } = result;
  const places = placesBehind(experiment, axes, shape, cell);
  const { metric, processing, prepend_bos } = experiment;
  const base = { version: /** @type {const} */ (1), processing, prepend_bos };
  const answersOf = (/** @type {any} */ own) =>
    (metric.kind === "loss" ? [] : [own.correct ?? metric.correct, own.incorrect ?? metric.incorrect]);
  if (experiment.kind === "patch") {
    const pairs = "pairs" in experiment ? experiment.pairs : [experiment];
    const { clean, corrupted, ...own } = pairs[at];
    /** @type {Edited} */
    const edited = { places, edit: { kind: "resample", prompts: [clean] } };
    return {
      places, kind: "patch", metric: metric.kind, normalize: Boolean("normalize" in metric && metric.normalize),
      prompts: pairs.length, references: 1, base, answers: answersOf(own),
      runs: [{ role: "clean", prompt: clean }, { role: "corrupted", prompt: corrupted }, { role: "after", prompt: corrupted, edited }],
    };
  }
  const prompts = "prompts" in experiment ? experiment.prompts : [{ prompt: experiment.prompt }];
  const { prompt, ...own } = prompts[at];
  const { edit } = experiment;
  /** @type {Edited} */
  const edited = { places, edit: edit.kind === "resample" ? { ...edit, prompts: [edit.prompts[reference]] } : edit };
  return {
    places, kind: edit.kind, metric: metric.kind, normalize: false,
    prompts: prompts.length, references: edit.kind === "resample" ? edit.prompts.length : 1, base, answers: answersOf(own),
    runs: [{ role: "before", prompt }, { role: "after", prompt, edited }],
  };
}

/** What is asked of each run. @param {Behind} of @param {Behind["runs"][number]} run @param {number} top */
export const prediction = ({ base, answers }, { prompt, edited }, top) =>
  ({ ...base, kind: /** @type {const} */ ("predict"), prompt, top_k: top, ...(answers.length ? { answers } : {}), ...(edited ? { edited } : {}) });

/** @param {Behind} of @param {Behind["runs"][number]} run @param {string[]} hooks */
export const patternsAsked = ({ base }, { prompt, edited }, hooks) =>
  ({ ...base, kind: /** @type {const} */ ("trace"), prompts: [prompt], hooks, ...(edited ? { edited } : {}) });

/** The metric of a run. @param {"loss" | "logit_diff"} metric @param {PredictResult} result @returns {number} */
export function metricOf(metric, { loss, answers = [] }) {
  return metric === "loss" ? loss ?? NaN : answers[0].logit - answers[1].logit;
}

/**
 * How much of a head's attention an edit moved: the mean over the tokens of half the sum of what changed, from 0 to 1.
 * @param {import("./draw/attention.js").Pattern} before
 * @param {import("./draw/attention.js").Pattern} after
 */
export function movedBy(before, after) {
  let sum = 0;
  for (let i = 0; i < before.data.length; i++) sum += Math.abs(after.data[i] - before.data[i]);
  return sum / 2 / before.n;
}
