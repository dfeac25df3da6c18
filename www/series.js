// The curves in the answers of a training, and the same numbers as a file. Pure.
import { DETECTORS, KINDS, SENTENCES } from "./training.js";

/** @typedef {import("./errors.js").PlainError} PlainError */
/** @typedef {import("./training.js").Kind} Kind @typedef {import("./training.js").Detector} Detector */
/**
 * One checkpoint of a training result: the fields of each inner experiment's own result, or why there are none.
 * @typedef {{ step: number, model?: { name: string, sha256: string | null }, answers?: any[], error?: PlainError }} Checkpoint
 */
/**
 * Every list runs over `steps`; null where a checkpoint was skipped, or is not done. Lists of heads are in the order of
 * `heads`: layer by layer. `changes`: of the pronouns' mean logit difference, when the head is switched off.
 * @typedef {(number | null)[]} Curve
 * @typedef {{ steps: number[], done: boolean[], errors: (PlainError | null)[], heads: string[], shape: [number, number],
 *   loss: Curve, kinds: Record<Kind, Curve>, tasks: { pronouns: Curve, objects: Curve }, changes: Curve[],
 *   detectors: Record<Detector, Curve[]> }} Series
 */

/** @param {unknown} value @returns {number | null} */
const finite = (value) => (typeof value === "number" && Number.isFinite(value) ? value : null);

/** The mean, or null where a part of it is missing. @param {(number | null)[]} values */
const mean = (values) => (values.length && values.every((value) => value !== null)
  ? /** @type {number[]} */ (values).reduce((sum, value) => sum + value, 0) / values.length : null);

/** @param {number} index @param {number} heads of a layer */
export const headName = (index, heads) => `L${Math.floor(index / heads)}H${index % heads}`;

/**
 * The curves in a result, or in what is done of one.
 * @param {Checkpoint[]} checkpoints
 * @param {number[]} [steps] all that there will be; default: those of the checkpoints
 * @returns {Series}
 */
export function seriesOf(checkpoints, steps = checkpoints.map(({ step }) => step)) {
  const all = [...steps].sort((a, b) => a - b);
  const at = all.map((step) => checkpoints.find((checkpoint) => checkpoint.step === step));
  const answers = at.map((checkpoint) => checkpoint?.answers ?? null);
  const [layers, heads] = answers.find((list) => list)?.[2].shape ?? [0, 0];
  const count = layers * heads;
  /** @param {(list: any[]) => unknown} read */
  const curve = (read) => answers.map((list) => (list ? finite(read(list)) : null));
  const kinds = /** @type {Record<Kind, Curve>} */ ({});
  let first = 4;
  for (const kind of KINDS) {
    const from = first;
    first += SENTENCES[kind].length;
    const to = first;
    kinds[kind] = curve((list) => mean(list.slice(from, to).map(({ loss }) => finite(loss))));
  }
  const each = (/** @type {(list: any[], head: number) => unknown} */ read) =>
    Array.from({ length: count }, (_, head) => curve((list) => read(list, head)));
  return {
    steps: all,
    done: at.map(Boolean),
    errors: at.map((checkpoint) => checkpoint?.error ?? null),
    heads: Array.from({ length: count }, (_, head) => headName(head, heads)),
    shape: [layers, heads],
    loss: all.map((_, i) => mean(KINDS.map((kind) => kinds[kind][i]))),
    kinds,
    tasks: { pronouns: curve(([pronouns]) => pronouns.mean), objects: curve(([, objects]) => objects.mean) },
    changes: each(([, , { values, baseline }], head) => (finite(values[head]) === null ? null : values[head] - baseline)),
    detectors: /** @type {Record<Detector, Curve[]>} */ (Object.fromEntries(DETECTORS.map((name, i) =>
      [name, each(([, , , { values }], head) => values[i * count + head])]))),
  };
}

/** The last checkpoint that has answers, or -1. @param {Series} series */
export const lastDone = ({ tasks, errors, done }) => tasks.pronouns.findLastIndex((_, i) => done[i] && !errors[i]);

/** Heads by a value, highest first; those without one are left out. @param {Curve[]} curves @param {number} at @param {1 | -1} [sign] */
export const ranked = (curves, at, sign = 1) => curves
  .flatMap((curve, head) => (curve[at] === null || curve[at] === undefined ? [] : [{ head, value: sign * curve[at] }]))
  .sort((a, b) => b.value - a.value || a.head - b.head);

/**
 * Every number as a row of its own, for spreadsheets and data frames: what export/csv.js writes.
 * @param {Series} series
 * @returns {{ header: string[], rows: (string | number | null)[][] }}
 */
export function tableOf({ steps, done, errors, heads, loss, kinds, tasks, changes, detectors }) {
  /** @type {[string, string, Curve][]} */
  const curves = [
    ["loss", "mean", loss],
    ...KINDS.map((kind) => /** @type {[string, string, Curve]} */ (["loss", kind, kinds[kind]])),
    ["logit_diff", "pronouns", tasks.pronouns], ["logit_diff", "objects", tasks.objects],
    ...heads.map((head, i) => /** @type {[string, string, Curve]} */ (["ablation_change", head, changes[i]])),
    ...DETECTORS.flatMap((name) => heads.map((head, i) => /** @type {[string, string, Curve]} */ ([name, head, detectors[name][i]]))),
  ];
  const rows = steps.flatMap((step, i) => {
    const error = errors[i];
    if (error) return [[step, "skipped", "", null, `${error.code}: ${error.message}`]];
    return done[i] ? curves.map(([measure, name, curve]) => [step, measure, name, curve[i], ""]) : [];
  });
  return { header: ["step", "measure", "name", "value", "note"], rows };
}
