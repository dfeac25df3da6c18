// Steps 5 to 9: where heads look, what breaks without them, and along which way the name travels. Longer than most files: five
// steps of the same kind.
import { filled, patternHook } from "../experiments.js";
import { patternsOf } from "../figures.js";
import { nameOf, showExact, showNumber, tokenLabel } from "../format.js";
import { initialState } from "../state.js";
import { WORKSHOP } from "../strings/workshop.js";
import { BASE, CORRUPTED, LAYER_HEAD, LOGIT_DIFF, PROMPT, SHE, differing, headsOf, headsOver, layerHead, topHead, topOf, topPlaces, valueOf } from "./measure.js";

/** @typedef {import("../microtome.js").Figure} Figure */
/** @typedef {import("../microtome.js").Token} Token */
/** @typedef {import("../draw/attention.js").Pattern} Pattern */
/** @typedef {import("./measure.js").Valued} Valued */
const { steps: W } = WORKSHOP;

/** A head that matters takes away, or brings back, at least this part. */
export const QUARTER = 0.25;

/** @param {Pattern[]} patterns @param {number} src @returns {Valued[]} what each head's last token gives to one */
const lastOn = (patterns, src) => patterns.map(({ layer, head, n, data }) => ({ name: `L${layer}H${head}`, layer, head, value: data[(n - 1) * n + src] }));

/** All heads' patterns as small multiples. Their scale has a negative half, which stays empty. @param {Pattern[]} patterns @param {Token[]} tokens @returns {Figure} */
function sheet(patterns, tokens) {
  const labels = tokens.map(tokenLabel);
  const count = (/** @type {"layer" | "head"} */ axis) => Array.from({ length: patterns[patterns.length - 1][axis] + 1 }, (_, i) => String(i));
  const { n } = patterns[0];
  return {
    title: W.attention.figure, rows: n, cols: n, caption: "", scale: { min: -1, mid: 0, max: 1 },
    panel_axes: [{ title: "Layer", labels: count("layer") }, { title: "Head", labels: count("head") }],
    // The title that the panels' view draws squares for.
    row_axis: { title: "Dest", labels }, col_axis: { title: "Source", labels },
    values: patterns.flatMap(({ data }) => Array.from(data, (value, i) => (i % n > Math.floor(i / n) ? null : value))),
  };
}

/** @type {import("./lesson.js").Step<{ tokens: Token[], name: number, patterns: Pattern[], shape: number[] }>} */
export const attention = {
  id: "attention", minutes: 5, lab: "attention",
  measure: async ({ model, run, tokenize }) => {
    const tokens = await tokenize(PROMPT, true);
    const name = differing(tokens, await tokenize(CORRUPTED, true));
    const hooks = Array.from({ length: model.n_layers }, (_, layer) => patternHook(layer));
    return { tokens, name, shape: [model.n_layers, model.n_heads], patterns: patternsOf(await run({ ...BASE, kind: "trace", prompts: [PROMPT], hooks })) };
  },
  draw: ({ tokens, name, patterns, shape }) => [
    { kind: "panels", title: W.attention.figure, figure: sheet(patterns, tokens), words: (place, value) => WORKSHOP.cell(place, value) },
    { kind: "heatmap", title: W.attention.onName(nameOf(tokens[name])), palette: "sequential", words: (place, value) => WORKSHOP.cell(place, value),
      figure: layerHead(W.attention.onName(nameOf(tokens[name])), shape, lastOn(patterns, name).map(({ value }) => value), { min: 0, mid: 0.5, max: 1 }) },
  ],
  questions: [
    { id: "look", kind: "token", tokens: ({ tokens }) => tokens,
      truth: ({ patterns: [{ n, data }] }) => topPlaces(data.slice((n - 1) * n)),
      of: (place, { patterns: [{ n, data }] }) => W.attention.ask.look.of(showNumber(data[(n - 1) * n + Number(place)] ?? 0)),
      why: ({ tokens, patterns: [{ n, data }] }) => {
        const at = Number(/** @type {any} */ (topPlaces(data.slice((n - 1) * n))).places[0]);
        return W.attention.ask.look.why(nameOf(tokens[n - 1]), nameOf(tokens[at]), showNumber(data[(n - 1) * n + at]));
      } },
    { id: "name", kind: "head",
      truth: ({ patterns, name }) => topHead(lastOn(patterns, name)),
      of: (head, { patterns, name }) => {
        const value = valueOf(lastOn(patterns, name), head);
        return value === undefined ? null : W.attention.ask.name.of(head, showNumber(value));
      },
      why: ({ tokens, patterns, name }) => {
        const best = topOf(lastOn(patterns, name));
        return W.attention.ask.name.why(best.name, nameOf(tokens[name]), showNumber(best.value));
      } },
  ],
};

/** What an ablation says of a head that is no answer. @param {any} result @param {string} head */
function without(result, head) {
  const value = valueOf(headsOf(result), head);
  return value === undefined ? null : W.ablate.without(head, showExact(value), showExact(result.baseline));
}

/** Whether one head hurts both measures most. @param {{ loss: { result: any }, diff: { result: any } }} found */
const sameHead = ({ loss, diff }) => topOf(headsOf(loss.result)).name === topOf(headsOf(diff.result), -1).name;

const zero = { kind: "zero" };

/** @type {import("./lesson.js").Step<{ loss: { result: any, figure: Figure }, diff: { result: any, figure: Figure } }>} */
export const ablateOne = {
  id: "ablate", minutes: 6, lab: "ablate",
  measure: async ({ sweep }) => {
    const base = { ...BASE, kind: "ablate", site: "z", axes: LAYER_HEAD, edit: zero };
    return {
      loss: await sweep({ ...base, prompt: PROMPT + SHE, metric: { kind: "loss" } }),
      diff: await sweep({ ...base, prompt: PROMPT, metric: LOGIT_DIFF }),
    };
  },
  draw: ({ loss, diff }) => [
    { kind: "heatmap", title: W.ablate.loss(showExact(loss.result.baseline)), figure: loss.figure, words: WORKSHOP.cell },
    { kind: "heatmap", title: W.ablate.diff(showExact(diff.result.baseline)), figure: diff.figure, words: WORKSHOP.cell },
  ],
  questions: [
    { id: "same", kind: "choice", guess: true, options: ["yes", "no"],
      truth: (found) => ({ kind: "choice", key: sameHead(found) ? "yes" : "no" }),
      why: (found) => W.ablate.ask.same.why(sameHead(found)) },
    { id: "loss", kind: "head",
      truth: ({ loss }) => topHead(headsOf(loss.result)),
      of: (head, { loss }) => without(loss.result, head),
      why: ({ loss }) => {
        const top = topOf(headsOf(loss.result));
        return W.ablate.ask.loss.why(top.name, showExact(loss.result.baseline), showExact(top.value));
      } },
    { id: "diff", kind: "head",
      truth: ({ diff }) => topHead(headsOf(diff.result), -1),
      of: (head, { diff }) => without(diff.result, head),
      why: ({ diff }) => {
        const top = topOf(headsOf(diff.result), -1);
        return W.ablate.ask.diff.why(top.name, showNumber(diff.result.baseline), showNumber(top.value));
      } },
  ],
};

/** The part of the logit difference that goes with each head. @param {any} result @returns {Valued[]} */
const shares = (result) => headsOf(result).map((entry) => ({ ...entry, value: (result.baseline - entry.value) / result.baseline }));
const percent = (/** @type {number} */ part) => `${showNumber(100 * part)}%`;

/** @type {import("./lesson.js").Step<{ all: { result: any, figure: Figure } }>} */
export const matter = {
  // A quarter of nothing, or of a preference for the wrong answer, is no rule.
  id: "matter", minutes: 5, lab: "ablate", possible: ({ all }) => all.result.baseline > 0,
  measure: async ({ sweep }) => ({
    all: await sweep({ ...BASE, kind: "ablate", site: "z", axes: LAYER_HEAD, edit: zero, prompts: filled(initialState().grid.inputs), metric: { kind: "logit_diff" } }),
  }),
  draw: ({ all }) => [
    { kind: "heatmap", title: W.matter.figure(showExact(all.result.baseline)), figure: all.figure, words: WORKSHOP.cell },
    ...(all.result.baseline > 0 ? [] : [{ kind: /** @type {const} */ ("words"), title: "", text: [W.matter.none] }]),
  ],
  questions: [
    { id: "heads", kind: "heads",
      truth: ({ all }) => headsOver(shares(all.result), QUARTER),
      why: ({ all }) => W.matter.ask.heads.why([...shares(all.result)].sort((a, b) => b.value - a.value).slice(0, 3)
        .map(({ name, value }) => `${name} ${percent(value)}`).join(", ")) },
    { id: "share", kind: "number",
      truth: ({ all }) => {
        const value = 100 * topOf(shares(all.result)).value;
        return { kind: "number", value, tolerance: 2, shown: showNumber(value) };
      },
      why: ({ all }) => {
        const { name, value } = topOf(headsOf(all.result), -1);
        return W.matter.ask.share.why(name, showNumber(all.result.baseline), showNumber(value), percent(topOf(shares(all.result)).value));
      } },
  ],
};

/** Row of a layer × position result. @param {any} result @param {number} layer @returns {number[]} */
const rowOf = ({ shape, values }, layer) => values.slice(layer * shape[1], (layer + 1) * shape[1]);
/** The first layer whose input at the last token has more than half of the clean answer; how many there are, if none has. @param {any} result */
export function arrival(result) {
  const layers = Array.from({ length: result.shape[0] }, (_, layer) => rowOf(result, layer));
  const first = layers.findIndex((row) => row[row.length - 1] > 0.5);
  return first < 0 ? layers.length : first;
}

/** @type {import("./lesson.js").Step<{ patched: { result: any, figure: Figure }, tokens: Token[] }>} */
export const travel = {
  id: "travel", minutes: 6, lab: "patch",
  measure: async ({ sweep, tokenize }) => ({
    // The figure names the places by the clean prompt, as the notebook does.
    tokens: await tokenize(PROMPT, true),
    patched: await sweep({ ...BASE, kind: "patch", clean: PROMPT, corrupted: CORRUPTED, site: "resid_pre", axes: ["layer", "pos"], metric: { ...LOGIT_DIFF, normalize: true } }),
  }),
  draw: ({ patched }) => [
    { kind: "words", title: "", text: [W.travel.both(showExact(patched.result.clean), showExact(patched.result.corrupted))] },
    { kind: "heatmap", title: W.travel.figure, figure: patched.figure, words: WORKSHOP.cell },
  ],
  questions: [
    { id: "start", kind: "token", tokens: ({ tokens }) => tokens,
      truth: ({ patched }) => topPlaces(rowOf(patched.result, 0)),
      of: (place, { patched }) => W.travel.ask.start.of(showExact(rowOf(patched.result, 0)[Number(place)] ?? 0)),
      why: ({ tokens, patched }) => {
        const row = rowOf(patched.result, 0);
        const at = row.indexOf(Math.max(...row));
        return W.travel.ask.start.why(nameOf(tokens[at]), String(at), showExact(row[at]));
      } },
    { id: "layer", kind: "number",
      truth: ({ patched }) => ({ kind: "number", value: arrival(patched.result), tolerance: 0, shown: String(arrival(patched.result)) }),
      why: ({ tokens, patched }) => {
        const layer = arrival(patched.result);
        const last = (/** @type {number} */ at) => showExact(rowOf(patched.result, at).at(-1) ?? 0);
        return layer >= patched.result.shape[0] ? W.travel.ask.layer.never(nameOf(tokens[tokens.length - 1]))
          : W.travel.ask.layer.why(String(layer), nameOf(tokens[tokens.length - 1]), last(layer), layer ? last(layer - 1) : null);
      } },
  ],
};

const SITES = ["z", "v", "pattern"];

/** What the best head brings back, by site. @param {any} result */
function bestBySite(result) {
  const best = topOf(headsOf(result, 0));
  const [z, v, pattern] = SITES.map((_, i) => valueOf(headsOf(result, i), best.name) ?? 0);
  return { name: best.name, z, v, pattern };
}

/** @type {import("./lesson.js").Step<{ patched: { result: any, figure: Figure } }>} */
export const mover = {
  id: "mover", minutes: 6, lab: "patch",
  measure: async ({ sweep }) => ({
    patched: await sweep({ ...BASE, kind: "patch", clean: PROMPT, corrupted: CORRUPTED, sites: SITES, axes: LAYER_HEAD, metric: { ...LOGIT_DIFF, normalize: true } }),
  }),
  draw: ({ patched }) => [{ kind: "panels", title: W.mover.figure, figure: patched.figure, words: WORKSHOP.cell }],
  questions: [
    { id: "heads", kind: "heads",
      truth: ({ patched }) => headsOver(headsOf(patched.result, 0), QUARTER),
      why: ({ patched }) => W.mover.ask.heads.why([...headsOf(patched.result, 0)].sort((a, b) => b.value - a.value).slice(0, 3)
        .map(({ name, value }) => `${name} ${showNumber(value)}`).join(", ")) },
    { id: "what", kind: "choice", options: ["v", "pattern", "both"],
      truth: ({ patched }) => {
        const { v, pattern } = bestBySite(patched.result);
        return { kind: "choice", key: v > 2 * pattern ? "v" : pattern > 2 * v ? "pattern" : "both" };
      },
      why: ({ patched }) => {
        const { name, v, pattern } = bestBySite(patched.result);
        return W.mover.ask.what.why(name, showNumber(v), showNumber(pattern));
      } },
  ],
};
