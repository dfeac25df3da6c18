// Reads the curves of a training: when each task is learned, which head it hangs on, what the loss does meanwhile. Every
// number and name of the lesson is computed here; strings.js has the sentences around them. Pure.
import { S } from "./strings.js";
import { lastDone, ranked } from "./series.js";
import { showCount, showNumber } from "./format.js";

/** @typedef {import("./series.js").Series} Series */
/** @typedef {import("./series.js").Curve} Curve */

/** A task counts as learned from a logit difference of 1 on: the right answer is e times as likely as the other. */
const LEARNED = 1;
/** A head counts if without it the final logit difference falls by at least this part. */
const MATTERS = 0.25;
/** An induction score from here on is a head that mostly does that. */
const INDUCES = 0.5;

/**
 * From the last step with less than a tenth of the final value to the first with nine tenths; `half`: the first with half.
 * @typedef {{ from: number, half: number, to: number }} Rise
 * @typedef {{ first: number, last: number, rise: Rise | null }} Task
 * @typedef {{ name: string, effect: number, half: number }} Head `effect`: what the final logit difference loses without
 *   it; `half`: the first step at which it loses half as much
 * @typedef {{ first: number, last: number, pronouns: Task, objects: Task, heads: Head[], next: Head | null,
 *   loss: { first: number, last: number, from: number, to: number, share: number | null } | null,
 *   induction: { name: string, first: number, last: number, half: number | null, reached: string | null } }} Claims
 *   `first`, `last`: steps. `heads`: those that matter, `next`: the strongest of the others. `loss`: at the ends and over
 *   the rise of the pronouns; `share`: of its whole fall
 */

/**
 * What can be said of a training that was measured to its end; null where too little of it could be.
 * @param {Series} series
 * @returns {Claims | null}
 */
export function lesson(series) {
  const { steps, tasks, changes, loss, detectors, heads, errors, done } = series;
  const end = lastDone(series);
  const start = steps.findIndex((_, i) => done[i] && !errors[i]);
  if (done.includes(false) || start < 0 || end === start || !heads.length) return null;
  if ([tasks.pronouns, tasks.objects, loss].some((curve) => curve[start] === null || curve[end] === null)) return null;

  const pronouns = taskOf(steps, tasks.pronouns, start, end);
  const effects = ranked(changes, end, -1);
  /** @param {{ head: number, value: number }} effect @returns {Head} */
  const described = ({ head, value }) => ({
    name: heads[head], effect: value, half: steps[changes[head].findIndex((change) => change !== null && -change >= value / 2)],
  });
  const enough = MATTERS * pronouns.last;
  const mattering = pronouns.rise ? effects.filter(({ value }) => value >= enough) : [];
  const next = pronouns.rise ? effects[mattering.length] : undefined;

  const at = (/** @type {Curve} */ curve, /** @type {number} */ step) => /** @type {number} */ (curve[steps.indexOf(step)]);
  const [lossFirst, lossLast] = [start, end].map((i) => /** @type {number} */ (loss[i]));
  const fall = lossFirst - lossLast;
  const { rise } = pronouns;
  const best = steps.map((_, i) => ranked(detectors.induction, i)[0]);
  const reached = best.findIndex((top) => top && top.value > INDUCES);
  return {
    first: steps[start], last: steps[end], pronouns,
    objects: taskOf(steps, tasks.objects, start, end),
    heads: mattering.map(described),
    next: next && next.value > 0 ? described(next) : null,
    loss: rise && { first: lossFirst, last: lossLast, from: at(loss, rise.from), to: at(loss, rise.to),
      share: fall > 0 ? (at(loss, rise.from) - at(loss, rise.to)) / fall : null },
    induction: { name: heads[best[end]?.head ?? 0], first: best[start]?.value ?? 0, last: best[end]?.value ?? 0,
      half: reached < 0 ? null : steps[reached], reached: reached < 0 ? null : heads[best[reached].head] },
  };
}

/** @param {number[]} steps @param {Curve} curve @param {number} start @param {number} end @returns {Task} */
function taskOf(steps, curve, start, end) {
  const [first, last] = [start, end].map((i) => /** @type {number} */ (curve[i]));
  const reaches = (/** @type {number} */ part, /** @type {number} */ from) =>
    curve.findIndex((value, i) => i >= from && value !== null && value >= part * last);
  const half = reaches(0.5, start);
  // What a task has at its very start it has not learned.
  if (last < LEARNED || half === start) return { first, last, rise: null };
  const before = curve.findLastIndex((value, i) => i < half && value !== null && value < 0.1 * last);
  return { first, last, rise: { from: steps[before < 0 ? start : before], half: steps[half], to: steps[reaches(0.9, half)] } };
}

/** The lesson's paragraphs. @param {Claims} claims @returns {string[]} */
export function lessonWords({ first, last, pronouns, objects, heads, next, loss, induction }) {
  const words = S.training.lesson;
  const span = { first: showCount(first), last: showCount(last) };
  const rise = (/** @type {Rise} */ { from, half, to }) => ({ from: showCount(from), half: showCount(half), to: showCount(to) });
  const head = (/** @type {Head} */ { name, effect, half }) => ({ name, effect: showNumber(effect), half: showCount(half) });
  const ends = (/** @type {Task} */ task) => ({ first: showNumber(task.first), last: showNumber(task.last) });
  return [
    pronouns.rise ? words.pronouns(rise(pronouns.rise), ends(pronouns)) : words.never(words.tasks.pronouns, span, ends(pronouns)),
    !pronouns.rise ? null : (heads.length ? words.heads(heads.map(head), showNumber(pronouns.last), next && head(next))
      : words.noHead(showNumber(pronouns.last), next && head(next))),
    loss && words.loss({ from: showNumber(loss.from), to: showNumber(loss.to), first: showNumber(loss.first), last: showNumber(loss.last) },
      loss.share !== null && loss.share > 0 ? `${Math.round(100 * loss.share)}%` : null),
    objects.rise ? words.objects(rise(objects.rise), ends(objects)) : words.never(words.tasks.objects, span, ends(objects)),
    induction.half === null ? words.noInduction(span, { name: induction.name, last: showNumber(induction.last) })
      : words.induction({ step: showCount(induction.half), by: String(induction.reached), first: showNumber(induction.first),
        name: induction.name, last: showNumber(induction.last) }),
  ].flatMap((part) => part ?? []);
}
