// Steps 1 to 4: what the model reads, what it expects next, and the number that the rest of the lesson measures.
import { filled } from "../experiments.js";
import { gridFigure } from "../figures.js";
import { nameOf, showCount, showExact, showNumber, showPercent, showToken } from "../format.js";
import { initialState } from "../state.js";
import { WORKSHOP } from "../strings/workshop.js";
import { BASE, HE, PROMPT, SHE } from "./measure.js";

/** @typedef {import("../microtome.js").Token} Token */
/** @typedef {import("../microtome.js").ScoredToken} ScoredToken */
const { steps: W } = WORKSHOP;

/** What “she” without its space is to the model. @param {{ bare: Token[], spaced: Token[] }} found @returns {"same" | "other" | "several"} */
const space = ({ bare, spaced }) => (bare.length > 1 ? "several" : bare[0].id === spaced[0].id ? "same" : "other");

/** @type {import("./lesson.js").Step<{ prompt: Token[], bare: Token[], spaced: Token[], bos: boolean }>} */
export const tokens = {
  id: "tokens", minutes: 4, lab: "predict",
  measure: async ({ model, tokenize }) => ({
    prompt: await tokenize(PROMPT, true), bare: await tokenize("she", false), spaced: await tokenize(SHE, false),
    bos: model.bos_token_id !== null,
  }),
  draw: ({ prompt, bare, spaced, bos }) => [
    { kind: "chips", title: W.tokens.prompt(showCount(prompt.length)), tokens: prompt, bos },
    { kind: "chips", title: W.tokens.bare, tokens: bare, bos: false },
    { kind: "chips", title: W.tokens.spaced, tokens: spaced, bos: false },
  ],
  questions: [
    { id: "count", kind: "number", guess: true,
      truth: ({ prompt }) => ({ kind: "number", value: prompt.length, tolerance: 0, shown: String(prompt.length) }),
      why: ({ prompt }) => W.tokens.ask.count.why(showCount(prompt.length), prompt.map(nameOf).join(" · ")) },
    { id: "space", kind: "choice", options: ["same", "other", "several"],
      truth: (found) => ({ kind: "choice", key: space(found) }),
      why: (found) => W.tokens.ask.space.why(found.bare.map(nameOf).join(" · "), found.bare.length, found.spaced.map(nameOf).join(" · "), space(found)) },
  ],
};

/** @param {ScoredToken[]} top */
const topRows = (top) => top.map((entry, i) => [String(i), nameOf(entry), showNumber(entry.logit), showPercent(entry.prob)]);

/** @type {import("./lesson.js").Step<{ top: ScoredToken[] }>} */
export const next = {
  id: "next", minutes: 4, lab: "predict",
  measure: async ({ run }) => ({ top: (await run({ ...BASE, kind: "predict", prompt: PROMPT, top_k: 10 })).top }),
  draw: ({ top }) => [{ kind: "table", title: W.next.figure, columns: W.next.columns, rows: topRows(top) }],
  questions: [
    { id: "likeliest", kind: "choice", guess: true, options: ["she", "he", "it", "else"],
      truth: ({ top: [{ text }] }) => ({ kind: "choice", key: text === SHE ? "she" : text === HE ? "he" : text === " it" ? "it" : "else" }),
      why: ({ top: [first] }) => W.next.ask.likeliest.why(nameOf(first), showPercent(first.prob)) },
    { id: "times", kind: "number",
      truth: ({ top: [first, second] }) => {
        const value = first.prob / second.prob;
        return { kind: "number", value, tolerance: 0.05 * value, shown: showNumber(value) };
      },
      why: ({ top: [first, second] }) => W.next.ask.times.why(showPercent(first.prob), showPercent(second.prob), showNumber(first.prob / second.prob)) },
  ],
};

/** @type {import("./lesson.js").Step<{ she: ScoredToken, he: ScoredToken }>} */
export const difference = {
  id: "difference", minutes: 5, lab: "predict",
  measure: async ({ run }) => {
    const [she, he] = [SHE, HE].map(async (answer) => (await run({ ...BASE, kind: "predict", prompt: PROMPT, answer, top_k: 1 })).answer);
    return { she: await she, he: await he };
  },
  draw: ({ she, he }) => [{ kind: "table", title: W.difference.figure, columns: W.difference.columns,
    rows: [she, he].map((entry) => [nameOf(entry), showExact(entry.logit), showPercent(entry.prob)]) }],
  questions: [
    { id: "minus", kind: "number",
      truth: ({ she, he }) => ({ kind: "number", value: she.logit - he.logit, tolerance: 0.02, shown: showNumber(she.logit - he.logit) }),
      why: ({ she, he }) => W.difference.ask.minus.why(showNumber(she.logit), showNumber(he.logit), showNumber(she.logit - he.logit)) },
    { id: "power", kind: "number",
      truth: ({ she, he }) => {
        const value = Math.exp(she.logit - he.logit);
        return { kind: "number", value, tolerance: 0.05 * value, shown: showNumber(value) };
      },
      why: ({ she, he }) => W.difference.ask.power.why(showNumber(she.logit - he.logit), showNumber(Math.exp(she.logit - he.logit)),
        showPercent(she.prob), showPercent(he.prob)) },
  ],
};

const GRID = initialState().grid.inputs;

/** The mean of each name over the formats. @param {number[]} values format by format @returns {{ name: string, value: number }[]} */
const byName = (values) => GRID.names.map(({ name }, i) => ({
  name, value: GRID.formats.reduce((sum, _, row) => sum + values[row * GRID.names.length + i], 0) / GRID.formats.length,
}));

/** @type {import("./lesson.js").Step<{ values: number[], mean: number, result: any }>} */
export const grid = {
  id: "grid", minutes: 4, lab: "grid",
  measure: async ({ run }) => {
    const result = await run({ ...BASE, kind: "logit_diff", prompts: filled(GRID) });
    return { result, values: result.values, mean: result.mean };
  },
  draw: ({ result }) => [{ kind: "heatmap", title: W.grid.figure, figure: gridFigure(result, GRID),
    words: (place, value) => WORKSHOP.cell(place, value) }],
  questions: [
    { id: "right", kind: "number", guess: true,
      truth: ({ values }) => {
        const right = values.filter((value) => value > 0).length;
        return { kind: "number", value: right, tolerance: 0, shown: String(right) };
      },
      why: ({ values }) => W.grid.ask.right.why(showCount(values.filter((value) => value > 0).length), showCount(values.length)) },
    { id: "weakest", kind: "choice", options: GRID.names.map(({ name }) => name),
      truth: ({ values }) => ({ kind: "choice", key: byName(values).reduce((low, entry) => (entry.value < low.value ? entry : low)).name }),
      of: (name, { values }) => W.grid.ask.weakest.of(name, showNumber(byName(values).find((entry) => entry.name === name)?.value ?? NaN)),
      why: ({ values }) => W.grid.ask.weakest.why(byName(values).map(({ name, value }) => `${name} ${showNumber(value)}`).join(", ")) },
    { id: "mean", kind: "number",
      truth: ({ mean }) => ({ kind: "number", value: Math.exp(mean), tolerance: 0.05 * Math.exp(mean), shown: showNumber(Math.exp(mean)) }),
      why: ({ mean }) => W.grid.ask.mean.why(showNumber(mean), showNumber(Math.exp(mean))) },
  ],
};
// The answers of the grid are the tokens of the lesson; a grid with others would ask about something else.
if (GRID.answers.join() !== [SHE, HE].join()) throw new Error(`The prompt grid asks for ${GRID.answers.map(showToken).join(" and ")}.`);
