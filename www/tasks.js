// The tasks that the page offers: the notebook's own and three classics. Each is what a link says, so it sets every section.
// The numbers that a task is chosen for are checked on the page's own model, by tests/browser/prompts.mjs.
import { MODELS } from "./presets.js";

/** @typedef {import("./link.js").LinkState} LinkState */
/**
 * @typedef {{ key: "pronouns" | "objects" | "induction" | "greater", needs: string | null, example: [string, string], state: LinkState }} Task
 *   `needs`: the address of the model that can do it, where the page's own cannot; `example`: a prompt and its answer
 */

const GPT2 = MODELS[1].address;

/** @param {string} prompt @param {string} correct @param {string} incorrect */
const row = (prompt, correct, incorrect) => ({ prompt, correct, incorrect });

/**
 * The inputs of every section, from a clean and a corrupted prompt.
 * @param {{ clean: string, corrupted: string, correct: string, incorrect: string, other: string, rows: import("./state.js").Row[] }} task
 *   `other`: as long as the clean prompt, for means and for other prompts' activations
 * @returns {LinkState}
 */
const task = ({ clean, corrupted, correct, incorrect, other, rows }) => ({
  predict: { prompt: clean, answer: correct },
  grid: { use: "rows", rows, answers: [correct, incorrect] },
  attention: { prompt: clean },
  ablate: { metric: "logit_diff", site: "z", prompts: { loss: clean + correct, logit_diff: clean }, correct, incorrect,
    references: { loss: other + incorrect, logit_diff: other } },
  patch: { clean, corrupted, correct, incorrect },
  bias: { tokens: [correct, incorrect] },
});

/** Two people, of whom the second or the first is named again. @param {string} a @param {string} b @param {string} place @param {string} thing */
const pair = (a, b, place, thing) => [[b, a], [a, b]].map(([giver, receiver]) =>
  row(`When ${a} and ${b} went to the ${place}, ${giver} gave a ${thing} to`, ` ${receiver}`, ` ${giver}`));

/** Words that come again, up to the last but one, with either of two at the end. @param {string} words @param {string} a @param {string} b */
const repeated = (words, a, b) => [[a, b], [b, a]].map(([correct, incorrect]) => row(` ${words}${correct} ${words}`, correct, incorrect));

/** @param {string} what @param {number} year @param {string} later @param {string} earlier */
const years = (what, year, later, earlier) => row(`The ${what} lasted from the year ${year} to the year ${Math.floor(year / 100)}`, later, earlier);

const OBJECTS = [...pair("Mary", "John", "store", "drink"), ...pair("Amy", "Tom", "park", "book"),
  ...pair("Dan", "Helen", "school", "letter"), ...pair("Olivia", "Frank", "house", "gift")];
const INDUCTION = [...repeated("lake gift letter sad", " happy", " angry"), ...repeated("park key house drink", " book", " store"),
  ...repeated("Tom coffee castle proud", " village", " airport")];
const GREATER = [years("war", 1732, "40", "20"), years("plague", 1541, "60", "30"), years("expedition", 1645, "70", "20"),
  years("trial", 1823, "50", "10"), years("voyage", 1767, "80", "40")];

/** @type {Task[]} */
export const TASKS = [
  { key: "pronouns", needs: null, example: ["Mary is a great friend, isn’t", " she"], state: {} },
  { key: "objects", needs: null, example: [OBJECTS[0].prompt, OBJECTS[0].correct],
    state: task({ clean: OBJECTS[0].prompt, corrupted: OBJECTS[1].prompt, correct: " Mary", incorrect: " John", other: OBJECTS[3].prompt, rows: OBJECTS }) },
  { key: "induction", needs: null, example: [INDUCTION[0].prompt, INDUCTION[0].correct],
    state: task({ clean: INDUCTION[0].prompt, corrupted: INDUCTION[1].prompt, correct: " happy", incorrect: " angry", other: INDUCTION[2].prompt, rows: INDUCTION }) },
  { key: "greater", needs: GPT2, example: [GREATER[0].prompt, GREATER[0].correct],
    state: task({ clean: GREATER[0].prompt, corrupted: years("war", 1701, "40", "20").prompt, correct: "40", incorrect: "20", other: GREATER[4].prompt, rows: GREATER }) },
];
