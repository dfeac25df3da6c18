// One step on the screen: prose, the guess that comes before the figure, the figure, the questions after it.
import { showTime } from "../format.js";
import { S } from "../strings.js";
import { WORKSHOP } from "../strings/workshop.js";
import { el, refill } from "../views/dom.js";
import { button, textField } from "../views/fields.js";
import { checkedWords, errorBox } from "../views/section.js";
import { drawingsView } from "./drawings.js";
import { LESSON } from "./lesson.js";
import { questionView } from "./question.js";

const { step: W, steps } = WORKSHOP;

/** @typedef {import("./lesson.js").Step<any>} Step */
/** @typedef {import("./runner.js").Run} Run */
/**
 * @typedef {{ store: import("../state.js").Store, progress: ReturnType<typeof import("./progress.js").createProgress>, runner: ReturnType<typeof import("./runner.js").createRunner>,
 *   info: () => import("../host.js").Info | null }} Here
 */

/** @param {Step} step @param {Here} here */
export function stepView(step, { store, progress, runner, info }) {
  const { title, prose } = /** @type {any} */ (steps)[step.id];
  const number = LESSON.indexOf(step) + 1;
  const key = (/** @type {string} */ id) => `${step.id}.${id}`;
  const guesses = step.questions.filter(({ guess }) => guess);
  const kept = step.questions.find(({ kind }) => kind === "prompt");
  /** @type {Record<string, string>} */
  const inputs = { ...step.inputs };
  const before = kept && progress.get(key(kept.id));
  if (before && inputs.prompt !== undefined) inputs.prompt = before.answer;
  let skipped = false;
  /** @type {Run | null} */ let last = null;

  const heading = el("h2", { id: "step-heading", tabindex: -1 }, title);
  const status = el("div", { class: "status" });
  const bar = el("progress", { "aria-label": title });
  const drawings = drawingsView(store, step.id);
  const views = step.questions.map((question) => ({ question, ...questionView({
    step: step.id, question,
    kept: () => progress.get(key(question.id)),
    keep: (answer) => {
      progress.set(key(question.id), answer);
      reveal();
    },
    model: () => info()?.model ?? null,
    tryPrompt: (prompt) => {
      inputs.prompt = prompt;
      if (field) field.input.value = prompt;
      void runner.show(step, { ...inputs }, true);
    },
    prompt: () => inputs.prompt,
  }) }));
  const field = step.inputs ? textField(steps.own.field, inputs.prompt, (text) => {
    inputs.prompt = text;
  }) : null;
  // The field stands above the figure that it changes, and the check below it.
  field?.input.addEventListener("keydown", ({ key }) => {
    if (key === "Enter") views.find(({ question }) => question === kept)?.root.requestSubmit();
  });
  const skip = button(W.skipGuess, () => {
    skipped = true;
    reveal();
    heading.focus({ preventScroll: true });
  }, { quiet: true });
  const of = (/** @type {boolean} */ guess) => views.filter(({ question }) => Boolean(question.guess) === guess).map(({ root }) => root);
  const guessNote = el("p", { class: "note" }, W.guessNote);
  const guessBox = guesses.length ? el("div", { class: "guesses" }, el("h3", {}, W.guess), guessNote, ...of(true), skip) : null;
  const figures = el("div", { class: "figures" }, status, drawings.root);
  const asked = el("div", { class: "asked" }, el("h3", {}, W.questions), ...of(false));
  const root = el("section", { class: "step", "aria-labelledby": "step-heading", "data-step": step.id },
    el("header", {}, el("p", { class: "number" }, `${W.of(number, LESSON.length)} · ${W.minutes(step.minutes)}`), heading,
      ...prose.map((/** @type {string} */ text) => el("p", { class: "intro" }, text))),
    field && el("div", { class: "controls" }, field.root), guessBox, figures, asked,
    el("p", { class: "note" }, el("a", { href: `./index.html#${step.lab}` }, W.inLab)));

  const open = () => skipped || guesses.every(({ id }) => progress.get(key(id)));

  /** Shows what may be seen by now. */
  function reveal() {
    const seen = open();
    const impossible = last?.status === "done" && step.possible?.(last.found) === false;
    drawings.root.hidden = !seen || last?.found === null;
    asked.hidden = !seen || impossible;
    if (guessBox) guessBox.hidden = impossible;
    skip.hidden = guessNote.hidden = seen;
    // The figure has no size while it is hidden.
    if (seen && last?.found) drawings.show(step.draw(last.found));
    if (skipped) for (const { question, skipped } of views) if (question.guess) skipped();
    line();
  }

  /** What the line says already: a button that is rebuilt under the pointer cannot be clicked. */ let said = "";
  function line() {
    if (!last) return;
    const { status: now, error, part, milliseconds } = last;
    if (part === null) bar.removeAttribute("value");
    else bar.value = part;
    const words = JSON.stringify([now, error, milliseconds, open()]);
    if (words === said) return;
    said = words;
    const backend = info()?.engine.backend ?? "";
    refill(status, ...{
      waiting: [el("span", {}, W.waiting)],
      held: open() ? [button(W.measure, runner.again, { primary: true }), el("span", { class: "words" }, W.measureNote)] : [],
      running: [bar, button(W.cancel, runner.cancel), el("span", {}, W.running)],
      done: open() ? [el("span", { class: "took" }, [W.took(showTime(milliseconds), S.common.backends[backend] ?? backend), backend === "gpu" && checkedWords(store)].filter(Boolean).join(" · "))] : [],
      error: [error && errorBox(error), button(W.again, runner.again)],
      cancelled: [el("span", {}, W.cancelled), button(W.again, runner.again)],
    }[now]);
  }

  return {
    root, heading,
    /** Measures it, if it is not known yet. */
    enter: () => runner.show(step, { ...inputs }),
    /** @param {Run} run */
    update(run) {
      const found = last?.found;
      last = run;
      root.dataset.status = run.status;
      if (run.found !== found || !run.found) for (const { update } of views) update(run.found);
      reveal();
    },
    /** Another tab has changed what is kept. */
    changed() {
      for (const { changed } of views) changed();
      reveal();
    },
  };
}
