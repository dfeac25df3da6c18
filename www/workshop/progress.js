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
/** The open model. @typedef {{ name: string, sha256: string | null }} Model */
/**
 * `computed`: what the model says, once it was told; `words` and `told`: the answer and that as people read them. `model`,
 * `sha256`: the model that was open.
 * @typedef {{ answer: string, words?: string, state: State, tries: number, computed: string, told?: string, model: string, sha256: string }} Kept
 * @typedef {Record<string, Kept>} Answers by `step.question`
 */

/** @param {unknown} value @param {number} [most] */
const short = (value, most = MOST_CHARS) => (typeof value === "string" ? value.slice(0, most) : "");

/** A model as it is noted beside an answer; a guess may come before there is one. @param {Model | null} model */
export const noted = (model) => ({ model: short(model?.name), sha256: short(model?.sha256, 64) });

/** Whether an answer was given to this model: a question about another one is another question. @param {Kept} kept @param {Model | null} model */
export function isOf(kept, model) {
  const now = noted(model);
  return !model || !kept.model || (kept.model === now.model && kept.sha256 === now.sha256);
}

/**
 * What is kept once one more answer was judged. What was solved, or shown, stays so: a later answer that is wrong is not kept.
 * @param {Kept | undefined} before
 * @param {Model | null} model
 * @param {Pick<Kept, "answer" | "words" | "computed" | "told"> & { right: boolean, shown: boolean }} judged
 * @returns {Kept}
 */
export function settle(before, model, { right, shown, ...given }) {
  const earlier = before && isOf(before, model) ? before : undefined;
  const over = earlier?.state === "right" || earlier?.state === "shown";
  const tries = (earlier?.tries ?? 0) + (shown || earlier?.state === "right" ? 0 : 1);
  if (over && !right && !shown) return { ...earlier, tries };
  const state = shown || earlier?.state === "shown" ? "shown" : right ? "right" : "wrong";
  return { ...given, state, tries, ...noted(model) };
}

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
    answers[key] = { answer: short(kept.answer), state: kept.state, tries, computed: short(kept.computed), model: short(kept.model), sha256: short(kept.sha256, 64),
      ...(short(kept.words) && { words: short(kept.words) }), ...(short(kept.told) && { told: short(kept.told) }) };
  }
  return answers;
}

/** Hears of what other tabs store. @param {(event: { key: string | null }) => void} listener */
const fromOtherTabs = (listener) => globalThis.addEventListener?.("storage", listener);

/**
 * @param {Set<string>} questions
 * @param {() => Storage} storage which may throw, as it does where a browser forbids it
 * @param {typeof fromOtherTabs} others
 */
export function createProgress(questions, storage = () => localStorage, others = fromOtherTabs) {
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
  /** Where nothing can be kept, this tab's own answers are all there is. @param {Answers} own */
  const stored = (own) => {
    const text = tried((store) => store.getItem(KEY));
    return keeps ? parseProgress(text, questions) : own;
  };
  let answers = stored({});
  /** @type {((outside: boolean) => void)[]} */
  const listeners = [];
  const changed = (outside = false) => {
    for (const listener of listeners) listener(outside);
  };
  others(({ key }) => {
    // Without a key everything was deleted.
    if (key !== null && key !== KEY) return;
    answers = stored(answers);
    changed(true);
  });
  return {
    /** @param {string} key `step.question` @returns {Kept | undefined} */
    get: (key) => answers[key],
    all: () => answers,
    /** Whether the browser keeps anything. */
    keeps: () => keeps,
    /** @param {string} key @param {Kept} kept */
    set(key, kept) {
      const { words, told } = kept;
      // What another tab has kept meanwhile stays.
      answers = { ...stored(answers), [key]: { ...kept, answer: short(kept.answer), computed: short(kept.computed), model: short(kept.model),
        ...(words && { words: short(words) }), ...(told && { told: short(told) }) } };
      tried((store) => store.setItem(KEY, JSON.stringify({ version: VERSION, answers })));
      changed();
    },
    clear() {
      answers = {};
      tried((store) => store.removeItem(KEY));
      changed();
    },
    /** @param {(outside: boolean) => void} listener hears whether it was another tab that changed something */
    subscribe: (listener) => void listeners.push(listener),
  };
}

/**
 * The answers as a file, a row for each question of the lesson. What the model computed is only told where the visitor has it.
 * @param {Answers} answers
 * @param {{ key: string, text: string }[]} questions in order
 * @param {string[]} columns
 * @param {string} name of who hands it in
 */
export function answersCsv(answers, questions, columns, name) {
  const rows = questions.map(({ key, text }) => {
    const [step, question] = key.split(".");
    const kept = answers[key];
    if (!kept) return [step, question, cell(text), "", "", "", "", "", "", "", "", cell(name)];
    const { answer, words = answer, state, tries, computed, told = computed, model, sha256 } = kept;
    const [value, inWords] = state === "wrong" ? ["", ""] : [computed, told];
    return [step, question, cell(text), cell(answer), cell(words), state, String(tries), cell(value), cell(inWords), cell(model), cell(sha256), cell(name)];
  });
  return [columns, ...rows].map((row) => `${row.join(",")}\r\n`).join("");
}
