// Steps 11, 13 and 14: find the induction heads, flip the answer with an own prompt, and when circuits form.
import { filled } from "../experiments.js";
import { nameOf, showCount, showExact, showNumber, showPercent } from "../format.js";
import { initialState } from "../state.js";
import { repeatedTokens } from "../training.js";
import { WORKSHOP } from "../strings/workshop.js";
import { BASE, CORRUPTED, HE, LAYER_HEAD, PROMPT, SHE, headsOf, headsOver, layerHead, topHead, topOf, valueOf } from "./measure.js";

const { steps: W } = WORKSHOP;

/** From this score on a head counts as an induction head. */
export const INDUCES = 0.4;
/** A loss that rises by less than this part hardly rises. */
const HARDLY = 0.1;

/** @param {import("../microtome.js").ModelInfo} model @param {"induction" | "previous_token"} [pattern] */
const detect = (model, pattern = "induction") =>
  ({ ...BASE, kind: "detect", prompts: repeatedTokens(model), pattern, measure: "mul", exclude_bos: true, exclude_current_token: true });

/**
 * `previous`: scores for looking at the token before. `together`: the loss without any of the heads over the threshold; null
 * where there is none.
 * @typedef {{ scores: any, previous: any, ablated: { result: any, figure: import("./lesson.js").Figure }, together: number | null }} Induction
 */

/** What switching the induction heads off says of them. @param {Induction} found @returns {"others" | "each" | "unused"} */
function backup({ scores, ablated: { result }, together }) {
  const names = headsOf(scores).filter(({ value }) => value >= INDUCES).map(({ name }) => name);
  const alone = headsOf(result).filter(({ name }) => names.includes(name)).reduce((sum, { value }) => sum + Math.max(0, value - result.baseline), 0);
  const rise = (together ?? result.baseline) - result.baseline;
  if (rise < HARDLY * result.baseline) return "unused";
  return rise > 2 * alone ? "others" : "each";
}

/** @type {import("./lesson.js").Step<Induction>} */
export const induction = {
  id: "induction", minutes: 8, lab: "heads",
  measure: async ({ model, run, sweep }) => {
    const scores = await run(detect(model));
    const previous = await run(detect(model, "previous_token"));
    const ask = { ...BASE, kind: "ablate", prompts: scores.experiment.prompts.map((/** @type {number[]} */ prompt) => ({ prompt })), edit: { kind: "zero" }, metric: { kind: "loss" } };
    const ablated = await sweep({ ...ask, site: "z", axes: LAYER_HEAD });
    const heads = headsOf(scores).filter(({ value }) => value >= INDUCES).map(({ layer, head }) => ({ site: "z", layer, head }));
    return { scores, previous, ablated, together: heads.length ? (await run({ ...ask, sets: [heads] })).values[0] : null };
  },
  draw: ({ scores, ablated }) => [
    { kind: "heatmap", title: W.induction.scores, palette: "sequential", words: WORKSHOP.cell,
      figure: layerHead(W.induction.scores, scores.shape, scores.values, { min: 0, mid: 0.5, max: 1 }) },
    { kind: "heatmap", title: W.induction.loss(showExact(ablated.result.baseline)), figure: ablated.figure, words: WORKSHOP.cell },
  ],
  questions: [
    { id: "find", kind: "heads",
      truth: ({ scores }) => headsOver(headsOf(scores), INDUCES),
      of: (heads, { scores }) => W.induction.ask.find.of(heads.split(", ").map((name) => `${name} ${showNumber(valueOf(headsOf(scores), name) ?? 0)}`).join(", ")),
      why: ({ scores }) => W.induction.ask.find.why(showCount(headsOf(scores).filter(({ value }) => value >= INDUCES).length), topOf(headsOf(scores)).name, showNumber(topOf(headsOf(scores)).value)) },
    { id: "alone", kind: "choice", options: ["hardly", "much"],
      truth: ({ scores, ablated: { result } }) => {
        const loss = valueOf(headsOf(result), topOf(headsOf(scores)).name) ?? result.baseline;
        return { kind: "choice", key: loss - result.baseline > HARDLY * result.baseline ? "much" : "hardly" };
      },
      why: ({ scores, ablated: { result } }) => {
        const { name } = topOf(headsOf(scores));
        return W.induction.ask.alone.why(name, showExact(result.baseline), showExact(valueOf(headsOf(result), name) ?? result.baseline));
      } },
    { id: "backup", kind: "choice", options: ["others", "unused", "each"],
      truth: (found) => ({ kind: "choice", key: backup(found) }),
      why: (found) => {
        const { ablated: { result: { baseline } }, together } = found;
        const { why, nothing } = W.induction.ask.backup;
        return together === null ? nothing : why[backup(found)](showExact(baseline), showExact(together));
      } },
    { id: "first", kind: "head",
      truth: ({ ablated }) => topHead(headsOf(ablated.result)),
      of: (head, { ablated: { result } }) => {
        const value = valueOf(headsOf(result), head);
        return value === undefined ? null : W.ablate.without(head, showExact(value), showExact(result.baseline));
      },
      why: ({ previous, ablated: { result } }) => {
        const [head, most] = [topOf(headsOf(result)), topOf(headsOf(previous))];
        const score = valueOf(headsOf(previous), head.name) ?? 0;
        const kind = head.name === most.name ? "most" : score >= INDUCES ? "much" : "little";
        const { without, why } = W.induction.ask.first;
        return `${without(head.name, showExact(result.baseline), showExact(head.value))} ${why[kind](showNumber(score), most.name, showNumber(most.value))}`;
      } },
  ],
};

/** Prompts that are tried, in this order, when somebody wants to see one. */
const EXAMPLES = [CORRUPTED, "Tom is an amazing person, isn’t", "He is a great friend, isn’t"];

/** @type {import("./lesson.js").Step<{ prompt: string, original: number, value: number, top: import("../microtome.js").ScoredToken[], example: string | null }>} */
export const own = {
  id: "own", minutes: 6, lab: "predict", inputs: { prompt: PROMPT },
  measure: async ({ run, inputs: { prompt } }) => {
    const { values } = await run({ ...BASE, kind: "logit_diff", prompts: [PROMPT, prompt, ...EXAMPLES].map((prompt) => ({ prompt, correct: SHE, incorrect: HE })) });
    const [original, value, ...examples] = values;
    const flipped = EXAMPLES.find((_, i) => Math.sign(examples[i]) === -Math.sign(original));
    const { top } = await run({ ...BASE, kind: "predict", prompt, top_k: 3 });
    return { prompt, original, value, top, example: flipped ?? null };
  },
  draw: ({ prompt, original, value, top }) => [
    { kind: "table", title: W.own.figure, columns: W.own.columns, rows: [[PROMPT, showExact(original)], ...(prompt === PROMPT ? [] : [[prompt, showExact(value)]])] },
    { kind: "words", title: "", text: [W.own.top(top.map((entry) => `${nameOf(entry)} ${showPercent(entry.prob)}`).join(", "))] },
  ],
  questions: [
    { id: "flip", kind: "prompt",
      truth: ({ original, value, example }) => ({ kind: "prompt", right: Math.sign(value) === -Math.sign(original), example }),
      of: (_, { value }) => W.own.ask.flip.of(showExact(value)),
      why: ({ prompt, original, value }) => (Math.sign(value) === -Math.sign(original) ? W.own.ask.flip.why(prompt, showExact(original), showExact(value)) : W.own.ask.flip.other(showExact(original))) },
  ],
};

/** A logit difference from which on the right answer is e times as likely as the other. */
const LEARNED = 1;
/** @typedef {{ step: number, pronouns: number | null, induction: number | null }} Checkpoint */

/** The first step at which a curve is over a threshold; −1 for never. @param {Checkpoint[]} all @param {"pronouns" | "induction"} what @param {number} over */
const first = (all, what, over) => all.find((entry) => (entry[what] ?? -Infinity) > over)?.step ?? -1;
/** @param {Checkpoint[]} all @returns {"pronouns" | "induction" | "together"} */
function sooner(all) {
  const [p, i] = [first(all, "pronouns", LEARNED), first(all, "induction", INDUCES)].map((step) => (step < 0 ? Infinity : step));
  return p < i ? "pronouns" : i < p ? "induction" : "together";
}

/** @type {import("./lesson.js").Step<{ checkpoints: Checkpoint[] }>} */
export const training = {
  id: "training", minutes: 6, lab: "training", click: true, possible: ({ checkpoints }) => checkpoints.length > 0,
  measure: async ({ model, run, checkpoints }) => {
    const steps = await checkpoints();
    if (!steps.length) return { checkpoints: [] };
    const { prompts } = { prompts: filled(initialState().grid.inputs) };
    const result = await run({ ...BASE, kind: "training", steps, experiments: [{ ...BASE, kind: "logit_diff", prompts }, detect(model)] });
    return { checkpoints: result.checkpoints.map((/** @type {any} */ { step, answers }) => ({
      step, pronouns: answers?.[0].mean ?? null,
      induction: answers ? Math.max(...answers[1].values.map((/** @type {number | null} */ value) => value ?? -Infinity)) : null,
    })) };
  },
  draw: ({ checkpoints }) => (checkpoints.length ? [
    { kind: "lines", title: W.training.pronouns, unit: W.training.pronounsUnit, steps: checkpoints.map(({ step }) => step), lines: [{ name: W.training.mean, values: checkpoints.map(({ pronouns }) => pronouns) }] },
    { kind: "lines", title: W.training.induction, unit: W.training.inductionUnit, steps: checkpoints.map(({ step }) => step), lines: [{ name: W.training.best, values: checkpoints.map(({ induction }) => induction) }] },
    { kind: "table", title: W.training.table, columns: W.training.columns, rows: checkpoints.map(({ step, pronouns, induction }) =>
      [showCount(step), pronouns === null ? "–" : showExact(pronouns), induction === null ? "–" : showExact(induction)]) },
  ] : [{ kind: "words", title: "", text: [W.training.none] }]),
  questions: [
    { id: "sooner", kind: "choice", guess: true, options: ["pronouns", "induction", "together"],
      truth: ({ checkpoints }) => ({ kind: "choice", key: sooner(checkpoints) }),
      why: ({ checkpoints }) => W.training.ask.sooner.why[sooner(checkpoints)] },
    ...(/** @type {const} */ ([["pronouns", LEARNED], ["induction", INDUCES]])).map(([what, over]) => (/** @type {import("./lesson.js").Question<{ checkpoints: Checkpoint[] }>} */ ({
      id: what, kind: "number",
      truth: ({ checkpoints }) => ({ kind: "number", value: first(checkpoints, what, over), tolerance: 0, shown: String(first(checkpoints, what, over)) }),
      why: ({ checkpoints }) => {
        const step = first(checkpoints, what, over);
        const at = checkpoints.find((entry) => entry.step === step);
        return step < 0 ? W.training.never : W.training.ask[what].why(showCount(step), showExact(at?.[what] ?? 0));
      },
    }))),
  ],
};
