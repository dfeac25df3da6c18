// Steps 10 and 12: two biases that weight processing moves, and what that does to an ablation.
import { nameOf, showExact, showNumber } from "../format.js";
import { PRESETS } from "../state.js";
import { WORKSHOP } from "../strings/workshop.js";
import { BASE, HE, LAYER_HEAD, LOGIT_DIFF, PROMPT, SHE, headsOf, topOf, topPlaces } from "./measure.js";

/** @typedef {import("../microtome.js").Token} Token */
const { steps: W } = WORKSHOP;

/** @type {import("./lesson.js").Step<{ folded: number[], raw: number[], diff: number }>} */
export const bias = {
  id: "bias", minutes: 4, lab: "bias",
  measure: async ({ run }) => {
    const ask = { ...BASE, kind: "unembed_bias", tokens: [SHE, HE] };
    const [folded, raw] = [await run(ask), await run({ ...ask, processing: "none" })];
    const { values } = await run({ ...BASE, kind: "logit_diff", prompts: [{ prompt: PROMPT, correct: SHE, incorrect: HE }] });
    return { folded: folded.values, raw: raw.values, diff: values[0] };
  },
  draw: ({ folded, raw }) => [{ kind: "table", title: W.bias.figure, columns: W.bias.columns,
    rows: W.bias.tokens.map((token, i) => [token, showExact(folded[i]), showExact(raw[i])]) }],
  questions: [
    { id: "times", kind: "number",
      truth: ({ folded: [she, he] }) => {
        const value = Math.exp(Math.abs(she - he));
        return { kind: "number", value, tolerance: 0.02 * value, shown: showExact(value) };
      },
      why: ({ folded: [she, he] }) => W.bias.ask.times.why(W.bias.tokens[she > he ? 0 : 1], showExact(Math.abs(she - he)), showExact(Math.exp(Math.abs(she - he)))) },
    { id: "enough", kind: "choice", options: ["prompt", "bias"],
      truth: ({ folded: [she, he], diff }) => ({ kind: "choice", key: Math.abs(she - he) < Math.abs(diff - (she - he)) ? "prompt" : "bias" }),
      why: ({ folded: [she, he], diff }) => W.bias.ask.enough.why(showExact(she - he), showExact(diff)) },
  ],
};

const OFF = { ...PRESETS.none };
/** Every switch of TransformerLens’ defaults by itself, after none and before all. */
const SWITCHES = /** @type {const} */ (["fold_ln", "center_writing_weights", "center_unembed", "fold_value_biases"]);
/** Logit differences closer than this are the same but for rounding: f32 over a few layers. */
const SAME = 1e-3;

/**
 * @typedef {{ name: string, tokens: Token[], baseline: number, all: { v: number, z: number }, at: { v: number[], z: number[] },
 *   switched: Record<"none" | typeof SWITCHES[number], number> }} Zeroed
 *   Logit differences, when one head's `v` or `z` is zero: at every position, at one, and with weights that are processed
 *   otherwise
 */

/** The switch that moves the number furthest from that of the raw weights; none where only rounding does. @param {Zeroed["switched"]} switched */
function mover(switched) {
  const by = (/** @type {typeof SWITCHES[number]} */ name) => Math.abs(switched[name] - switched.none);
  const best = SWITCHES.reduce((best, name) => (by(name) > by(best) ? name : best));
  return by(best) < SAME ? "none" : best;
}

/** @type {import("./lesson.js").Step<Zeroed>} */
export const values = {
  id: "values", minutes: 7, lab: "ablate",
  measure: async ({ run, tokenize }) => {
    const ask = { ...BASE, kind: "ablate", prompt: PROMPT, edit: { kind: "zero" }, metric: LOGIT_DIFF };
    const sweep = await run({ ...ask, site: "z", axes: LAYER_HEAD });
    const { name, layer, head } = topOf(headsOf(sweep), -1);
    const tokens = await tokenize(PROMPT, true);
    const of = (/** @type {"v" | "z"} */ site) => [[{ site, layer, head }], ...tokens.map((_, pos) => [{ site, layer, head, pos }])];
    const [[v, ...atV], [z, ...atZ]] = [(await run({ ...ask, sets: of("v") })).values, (await run({ ...ask, sets: of("z") })).values];
    const switched = /** @type {Zeroed["switched"]} */ ({});
    for (const key of /** @type {const} */ (["none", ...SWITCHES])) {
      const processing = key === "none" ? OFF : { ...OFF, [key]: true };
      [switched[key]] = (await run({ ...ask, processing, sets: [[{ site: "v", layer, head }]] })).values;
    }
    return { name, tokens, baseline: sweep.baseline, all: { v, z }, at: { v: atV, z: atZ }, switched };
  },
  draw: ({ name, tokens, baseline, all, at, switched }) => [
    { kind: "table", title: W.values.where(name, showExact(baseline)), columns: W.values.columns,
      rows: [[W.values.every, showExact(all.v), showExact(all.z)],
        ...tokens.map((token, i) => [W.values.only(nameOf(token), i), showExact(at.v[i]), showExact(at.z[i])])] },
    { kind: "table", title: W.values.weights(name), columns: W.values.columnsOfWeights,
      rows: [...Object.entries(switched), /** @type {[string, number]} */ (["all", all.v])].map(([key, value]) => [W.values.switches[key], showExact(value)]) },
  ],
  questions: [
    { id: "everywhere", kind: "choice", guess: true, options: ["same", "v", "z"],
      truth: ({ all: { v, z } }) => ({ kind: "choice", key: Math.abs(v - z) < SAME ? "same" : v < z ? "v" : "z" }),
      why: ({ all: { v, z } }) => W.values.ask.everywhere.why(showExact(v), showExact(z)) },
    { id: "v", kind: "token", tokens: ({ tokens }) => tokens,
      truth: ({ at }) => topPlaces(at.v, -1),
      of: (place, { at }) => W.values.ask.v.of(showExact(at.v[Number(place)] ?? 0)),
      why: ({ tokens, at }) => W.values.ask.v.why(nameOf(tokens[at.v.indexOf(Math.min(...at.v))]), showExact(Math.min(...at.v))) },
    { id: "z", kind: "token", tokens: ({ tokens }) => tokens,
      truth: ({ at }) => topPlaces(at.z, -1),
      of: (place, { at }) => W.values.ask.z.of(showExact(at.z[Number(place)] ?? 0)),
      why: ({ tokens, at }) => {
        const [v, z] = [at.v, at.z].map((values) => values.indexOf(Math.min(...values)));
        return W.values.ask.z.why[v === z ? "same" : "other"](nameOf(tokens[z]), showExact(at.z[z]));
      } },
    { id: "switch", kind: "choice", options: [...SWITCHES, "none"],
      truth: ({ switched }) => ({ kind: "choice", key: mover(switched) }),
      of: (key, { switched }) => (key === "none" ? null : W.values.ask.switch.of(showExact(switched[/** @type {"none"} */ (key)] - switched.none))),
      why: ({ switched, all }) => {
        const key = mover(switched);
        const { numbers, why } = W.values.ask.switch;
        const found = numbers(showExact(switched.none), key === "none" ? null : { name: W.values.switches[key], value: showExact(switched[key]) }, showExact(all.v));
        return `${found} ${why[key === "none" || key === "fold_value_biases" ? key : "other"]}`;
      } },
  ],
};
