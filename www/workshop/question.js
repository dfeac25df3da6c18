// One question: its field, hints, and what is said to an answer. An answer that comes before the figure waits for it. Longer than
// most files: the states of one form.
import { nameOf } from "../format.js";
import { WORKSHOP } from "../strings/workshop.js";
import { el, fill, uniqueId } from "../views/dom.js";
import { button, choice } from "../views/fields.js";
import { judge, MOST_CHARS, readAnswer, solution } from "./checks.js";
import { isOf, noted, settle as settled } from "./progress.js";

const { question: Q, steps, step: W } = WORKSHOP;
/** “Show me” is offered after so many tries. */
const TRIES = 2;

/** @typedef {import("./lesson.js").Question<any>} Question */
/** @typedef {import("./progress.js").Kept} Kept */
/** The words of a question. @typedef {{ prompt: string, hints: string[], options?: Record<string, string> }} Words */

/** @param {string} step @param {string} id @returns {Words} */
export const wordsOf = (step, id) => /** @type {any} */ (steps)[step].ask[id];

/**
 * An answer as people read it: an option by its words, a token by its text.
 * @param {Question} question
 * @param {Words} words
 * @param {string} answer
 * @param {any} found null where nothing was computed
 */
export function answerWords({ kind, tokens }, { options }, answer, found) {
  if (kind === "choice") return options?.[answer] ?? answer;
  const token = kind === "token" && found ? tokens?.(found)[Number(answer)] : null;
  return token ? W.place(nameOf(token), Number(answer)) : answer;
}

/**
 * @param {{ step: string, question: Question, kept: () => Kept | undefined, keep: (kept: Kept) => void, model: () => import("./progress.js").Model | null,
 *   tryPrompt: (prompt: string) => void, prompt: () => string }} options `model`: the one that is open; `tryPrompt` measures
 *   an own prompt, `prompt` is the one that is typed
 */
export function questionView({ step, question, kept: stored, keep, model, tryPrompt, prompt }) {
  const { kind, guess = false } = question;
  const words = wordsOf(step, question.id);
  const label = uniqueId();
  /** @type {any} */ let found = null;
  /** An answer that waits to be checked. @type {{ answer: string, shown: boolean } | null} */ let pending = null;
  let hints = 0;
  let value = stored()?.answer ?? "";
  /** What is kept of the open model: an answer about another one says nothing about this one. */
  const kept = () => {
    const answer = stored();
    return answer && isOf(answer, model()) ? answer : undefined;
  };
  const wordsFor = (/** @type {string} */ answer) => answerWords(question, words, answer, found);

  const field = el("div", { class: "answer-field" });
  const said = el("div", { class: "said", tabindex: -1, "aria-live": "polite" });
  const check = el("button", { type: "submit" }, guess ? Q.takeGuess : Q.check);
  const hint = button(Q.hint, () => {
    hints += 1;
    fill(hinted, ...words.hints.slice(0, hints).map((text, i) => el("p", { class: "hint" }, el("b", {}, `${Q.hints[i]}: `), text)));
    refresh();
  });
  const show = button(Q.show, () => {
    if (!found) return;
    const answer = solution(question.truth(found));
    if (answer === null) return say(Q.none);
    value = answer;
    if (kind !== "prompt") buildField();
    take(answer, true);
  });
  const hinted = el("div", { class: "hints", "aria-live": "polite" });
  const root = el("form", { class: guess ? "question guess" : "question", "aria-labelledby": label, novalidate: true, "data-question": question.id,
    submit: (/** @type {Event} */ event) => {
      event.preventDefault();
      if (kind === "prompt") value = prompt();
      if (value.length > MOST_CHARS) return say(Q.tooLong(MOST_CHARS));
      const answer = readAnswer(kind, value);
      if (answer === null) return say(Q.unreadable[kind]);
      take(answer, false);
    } },
  el("p", { class: "ask", id: label }, words.prompt), field, el("div", { class: "row tight" }, check, guess ? null : hint, guess ? null : show), hinted, said);

  function buildField() {
    /** @param {string} to */
    const set = (to) => {
      value = to;
    };
    if (kind === "prompt") return fill(field);
    if (kind === "choice") {
      const name = uniqueId();
      return fill(field, el("fieldset", { class: "options" }, el("legend", { class: "unseen" }, words.prompt), ...(question.options ?? []).map((key) => {
        const id = uniqueId();
        return el("div", { class: "check" },
          el("input", { type: "radio", id, name, value: key, checked: key === value, change: () => set(key) }), el("label", { for: id }, words.options?.[key]));
      })));
    }
    if (kind === "token") {
      const tokens = found ? question.tokens?.(found) ?? [] : [];
      return fill(field, tokens.length ? choice(W.token, tokens.map((token, i) => [String(i), W.place(nameOf(token), i)]), value, set).root : null);
    }
    const id = uniqueId();
    const input = el("input", { id, type: "text", value, maxlength: MOST_CHARS, autocomplete: "off", autocapitalize: "off", spellcheck: "false",
      inputmode: kind === "number" ? "decimal" : null, input: () => set(input.value) });
    fill(field, el("div", { class: "field" }, el("label", { for: id }, `${guess ? Q.guess : Q.answer} (${Q.formats[kind]})`), input));
  }

  /** @param {string | (string | null | undefined | false)[]} lines the first one stands out @param {string} [verdict] */
  function say(lines, verdict = "note") {
    said.dataset.verdict = verdict;
    const [first, ...rest] = [lines].flat().filter(Boolean);
    fill(said, el("p", { class: "verdict" }, first), ...rest.map((line) => el("p", {}, line)));
  }

  /** Takes an answer, now or as soon as there is something to check it against. @param {string} answer @param {boolean} shown */
  function take(answer, shown) {
    pending = { answer, shown };
    if (guess) keep({ answer, words: wordsFor(answer), state: "guess", tries: 1, computed: "", ...noted(model()) });
    if (kind === "prompt") return tryPrompt(answer);
    if (!found && !guess) say(Q.waits);
    settle();
  }

  function settle() {
    if (!pending || !found || (kind === "prompt" && found.prompt !== pending.answer)) return;
    const { answer, shown } = pending;
    pending = null;
    const truth = question.truth(found);
    const computed = solution(truth) ?? "";
    const judged = judge(truth, answer);
    const read = judged.read ?? answer;
    const given = { answer: read, words: wordsFor(read), computed: kind === "prompt" ? answer : computed, told: kind === "prompt" ? answer : wordsFor(computed) };
    if (guess) {
      keep({ ...given, state: "guess", tries: 1, ...noted(model()) });
      return tell();
    }
    const right = judged.verdict === "right";
    const next = settled(kept(), model(), { ...given, right, shown });
    keep(next);
    if (right) return tell();
    say([
      Q.wrong[kind], judged.side && Q.side[judged.side], Boolean(judged.missing) && Q.missing(judged.missing ?? 0),
      judged.extra?.length ? Q.extra(judged.extra.join(", "), judged.extra.length) : null, question.of?.(answer, found),
      next.state === "right" ? Q.stays(next.words ?? next.answer) : `${Q.tries(next.tries)}. ${next.tries < TRIES ? Q.showNote : ""} ${Q.goOn}`,
    ], "wrong");
    refresh();
  }

  /** Says what is known of the answer that was given. */
  function tell() {
    if (!found) return;
    const [given, other] = [kept(), stored()];
    if (!given) {
      if (other) say(Q.otherModel(other.model));
      // What was said of an answer that is gone.
      else if (said.dataset.verdict !== "note") fill(said);
      return refresh();
    }
    const answer = wordsFor(given.answer);
    if (given.state === "guess") say([Q.guessed(answer), question.why(found)], "guess");
    else if (given.state === "shown") say([Q.shown(wordsFor(solution(question.truth(found)) ?? given.answer)), question.why(found)], "shown");
    else if (given.state === "right") say([Q.right, question.why(found)], "right");
    else say([Q.states.wrong, `${Q.tries(given.tries)}. ${Q.goOn}`], "wrong");
    refresh();
  }

  function refresh() {
    const given = kept();
    const held = document.activeElement;
    const over = given?.state === "right" || given?.state === "shown";
    hint.hidden = over || hints >= words.hints.length;
    show.hidden = over || !found || (given?.tries ?? 0) < TRIES;
    root.dataset.state = given?.state ?? "open";
    if (guess) check.hidden = field.hidden = Boolean(given && found);
    // The keyboard does not stay on what has gone.
    if (held instanceof HTMLElement && root.contains(held) && !held.checkVisibility()) said.focus({ preventScroll: true });
  }

  buildField();
  refresh();
  return {
    root,
    /** @param {any} next what the step found, or null while there is nothing */
    update(next) {
      const first = found === null && next !== null;
      found = next;
      if (first && kind === "token") buildField();
      if (pending) return settle();
      tell();
    },
    /** Another tab has changed what is kept. */
    changed() {
      if (!pending) tell();
    },
    /** Says what a skipped guess would have been compared with. */
    skipped() {
      if (found && !kept()) say([Q.skipped, question.why(found)], "guess");
      check.hidden = field.hidden = true;
    },
  };
}
