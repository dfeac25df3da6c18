// What a visitor has answered, kept in this browser only: read with care, since anything may lie in a browser's storage, and
// written as a file for handing in. Where nothing can be kept the lesson works all the same.
import { cell } from "../export/csv.js";
import { MOST_CHARS } from "./checks.js";

const KEY = "microtome.workshop";
const VERSION = 1;
/** Longer values than the lesson ever writes are not read. */
const MOST_STORED = 100_000;
const MOST_TRIES = 999;
const STATES = /** @type {const} */ (["right", "wrong", "shown", "guess"]);

/** @typedef {typeof STATES[number]} State */
/**
 * `computed`: what the model says, once it was told. `model`, `sha256`: the model that was open.
 * @typedef {{ answer: string, state: State, tries: number, computed: string, model: string, sha256: string }} Kept
 * @typedef {Record<string, Kept>} Answers by `step.question`
 */

/** @param {unknown} value @param {number} [most] */
const short = (value, most = MOST_CHARS) => (typeof value === "string" ? value.slice(0, most) : "");

/**
 * What was stored, without anything that this lesson could not have written.
 * @param {string | null} stored
 * @param {Set<string>} questions `step.question` of the lesson
 * @returns {Answers}
 */
export function parseProgress(stored, questions) {
  if (!stored || stored.length > MOST_STORED) return {};
  let read;
  try {
    read = JSON.parse(stored);
  } catch {
    return {};
  }
  if (typeof read !== "object" || read === null || read.version !== VERSION || typeof read.answers !== "object" || read.answers === null) return {};
  /** @type {Answers} */
  const answers = {};
  for (const key of questions) {
    const kept = Object.hasOwn(read.answers, key) ? read.answers[key] : null;
    if (typeof kept !== "object" || kept === null || !STATES.includes(kept.state) || typeof kept.answer !== "string") continue;
    const tries = Number.isInteger(kept.tries) ? Math.min(MOST_TRIES, Math.max(0, kept.tries)) : 0;
    answers[key] = { answer: short(kept.answer), state: kept.state, tries, computed: short(kept.computed), model: short(kept.model), sha256: short(kept.sha256, 64) };
  }
  return answers;
}

/**
 * @param {Set<string>} questions
 * @param {() => Storage} storage which may throw, as it does where a browser forbids it
 */
export function createProgress(questions, storage = () => localStorage) {
  let keeps = true;
  /** @template T @param {(store: Storage) => T} use @returns {T | null} */
  const tried = (use) => {
    try {
      return use(storage());
    } catch {
      keeps = false;
      return null;
    }
  };
  let answers = parseProgress(tried((store) => store.getItem(KEY)), questions);
  /** @type {(() => void)[]} */
  const listeners = [];
  const changed = () => {
    for (const listener of listeners) listener();
  };
  return {
    /** @param {string} key `step.question` @returns {Kept | undefined} */
    get: (key) => answers[key],
    all: () => answers,
    /** Whether the browser keeps anything. */
    keeps: () => keeps,
    /** @param {string} key @param {Kept} kept */
    set(key, kept) {
      answers = { ...answers, [key]: { ...kept, answer: short(kept.answer), computed: short(kept.computed), model: short(kept.model) } };
      tried((store) => store.setItem(KEY, JSON.stringify({ version: VERSION, answers })));
      changed();
    },
    clear() {
      answers = {};
      tried((store) => store.removeItem(KEY));
      changed();
    },
    /** @param {() => void} listener */
    subscribe: (listener) => void listeners.push(listener),
  };
}

/**
 * The answers as a file, a row for each question of the lesson. What the model computed is only told where the visitor has it.
 * @param {Answers} answers
 * @param {string[]} questions in order
 * @param {string[]} columns
 * @param {string} name of who hands it in
 */
export function answersCsv(answers, questions, columns, name) {
  const rows = questions.map((key) => {
    const [step, question] = key.split(".");
    const kept = answers[key];
    if (!kept) return [step, question, "", "", "", "", "", "", cell(name)];
    const { answer, state, tries, computed, model, sha256 } = kept;
    return [step, question, cell(answer), state, String(tries), state === "wrong" ? "" : cell(computed), cell(model), cell(sha256), cell(name)];
  });
  return [columns, ...rows].map((row) => `${row.join(",")}\r\n`).join("");
}
