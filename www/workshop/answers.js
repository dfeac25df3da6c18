// The last page: how far the visitor is, the answers as a file, and starting over.
import { WORKSHOP } from "../strings/workshop.js";
import { el, fill, scrollable, table } from "../views/dom.js";
import { button, textField } from "../views/fields.js";
import { LESSON } from "./lesson.js";
import { answersCsv } from "./progress.js";
import { wordsOf } from "./question.js";

const { finish: W, steps } = WORKSHOP;

/** Every question of the lesson, in order, with its text. */
export const ASKED = LESSON.flatMap(({ id, questions }) => questions.map((question) => ({ key: `${id}.${question.id}`, text: wordsOf(id, question.id).prompt })));
/** As `step.question`. */
export const QUESTIONS = ASKED.map(({ key }) => key);

/** How many questions of a step need nothing more: solved, shown or guessed. @param {import("./lesson.js").Step<any>} step @param {import("./progress.js").Answers} answers */
export const settled = ({ id, questions }, answers) => questions.filter((question) => (answers[`${id}.${question.id}`]?.state ?? "wrong") !== "wrong").length;

/** @param {ReturnType<typeof import("./progress.js").createProgress>} progress @param {() => void} onOver */
export function answersView(progress, onOver) {
  const heading = el("h2", { id: "step-heading", tabindex: -1 }, W.title);
  const counts = el("p", { class: "finding", role: "status" });
  const notKept = el("p", { class: "notice" }, W.notKept);
  const list = scrollable(W.title);
  let name = "";
  const field = textField(W.name, "", (text) => {
    name = text.slice(0, 100);
  });
  const ask = el("dialog", { "aria-labelledby": "over-words" }, el("p", { id: "over-words" }, W.sure), el("div", { class: "row" },
    button(W.no, () => ask.close()), button(W.yes, () => {
      progress.clear();
      ask.close();
      onOver();
    })));

  function update() {
    const answers = progress.all();
    const count = (/** @type {string} */ state) => Object.values(answers).filter((kept) => kept.state === state).length;
    const checked = LESSON.flatMap(({ questions }) => questions).filter(({ guess }) => !guess).length;
    counts.textContent = W.counts(count("right"), count("shown"), checked);
    notKept.hidden = progress.keeps();
    fill(list, table(W.table, W.overview, LESSON.map((step) => {
      const asked = step.questions.filter(({ guess }) => !guess);
      const of = (/** @type {string} */ state) => asked.filter(({ id }) => answers[`${step.id}.${id}`]?.state === state).length;
      return [el("a", { href: `#${step.id}` }, /** @type {any} */ (steps)[step.id].title),
        W.part(settled(step, answers), step.questions.length), W.part(of("right"), asked.length), String(of("shown"))];
    })));
  }
  progress.subscribe(update);
  update();
  const root = el("section", { class: "step", "aria-labelledby": "step-heading", "data-step": "answers" }, el("header", {}, heading, el("p", { class: "intro" }, W.intro)), notKept, counts, list,
    el("div", { class: "controls" }, field.root, el("div", { class: "row" },
      button(W.csv, () => save("microtome-workshop.csv", answersCsv(progress.all(), ASKED, W.columns, name)), { primary: true }),
      button(W.over, () => ask.showModal()))), ask);
  return { root, heading };
}

/** Hands a file to the visitor. @param {string} name @param {string} text */
function save(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
