// The lesson on paper: prose, questions with room for answers; on request with the answers, which the model computes then.
import { LabError, toPlain } from "./errors.js";
import { Lab } from "./microtome.js";
import { showText } from "./format.js";
import { FIRST } from "./presets.js";
import { WORKSHOP } from "./strings/workshop.js";
import { el, fill, refill, table } from "./views/dom.js";
import { button, checkbox } from "./views/fields.js";
import { errorBox } from "./views/section.js";
import { workshopAddress } from "./workshop/address.js";
import { solution } from "./workshop/checks.js";
import { LESSON } from "./workshop/lesson.js";
import { answerWords, wordsOf } from "./workshop/question.js";
import { askOf } from "./workshop/runner.js";

const { sheet: W, steps, step: T } = WORKSHOP;

/** What was found for a step, or why nothing was. @typedef {{ found: any } | { error: import("./errors.js").PlainError }} Solved */
/** By step; none without answers. @type {Map<string, Solved>} */
let solved = new Map();
/** @type {import("./microtome.js").ModelInfo | null} */
let model = null;
/** @type {AbortController | null} */
let controller = null;

const status = el("div", { class: "status no-print", role: "status" });
const body = el("div", { class: "sheet" });
const answers = checkbox(W.withAnswers, false, (on) => void (on ? solve() : withdraw()));
const address = workshopAddress(document.baseURI, document.querySelector('meta[name="microtome-room"]')?.getAttribute("content"));

fill(document.body,
  el("header", { class: "top no-print" }, el("h1", {}, W.title), el("p", { class: "intro" }, W.intro),
    el("p", { class: "ways" }, el("a", { href: "./workshop.html" }, W.back), " ", el("a", { href: "./index.html" }, WORKSHOP.lab)),
    el("div", { class: "controls" }, el("div", { class: "row" }, button(W.print, () => print(), { primary: true }), answers.root), el("p", { class: "note" }, W.withAnswersNote)), status),
  el("main", {}, body));
draw();

/** Opens the model, and measures every step on it. */
async function solve() {
  const mine = new AbortController();
  controller = mine;
  const { signal } = mine;
  const bar = el("progress", { "aria-label": W.withAnswers, max: LESSON.length, value: 0 });
  const words = el("span", {}, WORKSHOP.model.loading);
  refill(status, bar, button(W.cancel, () => {
    answers.input.checked = false;
    withdraw();
  }), words);
  /** @type {Lab | null} */
  let lab = null;
  try {
    lab = await Lab.open({ model: FIRST, signal });
    /** @type {typeof solved} */
    const all = new Map();
    for (const [i, step] of LESSON.entries()) {
      words.textContent = W.running(/** @type {any} */ (steps)[step.id].title, i + 1, LESSON.length);
      bar.value = i;
      try {
        all.set(step.id, { found: await step.measure(askOf(lab, { ...step.inputs }, { signal })) });
      } catch (thrown) {
        // One step that fails, such as a checkpoint that is gone, takes nothing from the others.
        if (signal.aborted) throw thrown;
        all.set(step.id, { error: toPlain(thrown) });
      }
    }
    if (controller !== mine) return;
    solved = all;
    model = lab.info.model;
    refill(status, el("span", {}, W.done(showText(model.name), model.sha256 ?? W.unknown)));
    draw();
  } catch (thrown) {
    if (controller === mine) refill(status, errorBox(toPlain(thrown)));
    answers.input.checked = answers.input.checked && controller !== mine;
  } finally {
    lab?.close();
  }
}

/** Back to the handout for the class. */
function withdraw() {
  controller?.abort(new LabError("run.cancelled", "Cancelled."));
  controller = null;
  solved = new Map();
  model = null;
  refill(status);
  draw();
}

function draw() {
  const total = LESSON.reduce((sum, { minutes }) => sum + minutes, 0);
  let from = 0;
  const rows = LESSON.map(({ id, minutes }, i) => {
    from += minutes;
    return [`${i + 1}. ${/** @type {any} */ (steps)[id].title}`, String(minutes), String(from)];
  });
  const times = table(W.times, W.timesColumns, [...rows, [W.total, String(total), ""]]);
  times.querySelector("caption")?.classList.add("unseen");
  fill(body,
    el("header", {}, el("h1", {}, WORKSHOP.name), el("p", { class: "tagline" }, WORKSHOP.tagline),
      address ? el("p", {}, `${W.address} `, el("span", { class: "where" }, address))
        : el("p", { class: "fill-in" }, W.address, el("span", { class: "where" }), el("span", { class: "note no-print" }, W.fillIn)),
      model ? el("p", { class: "where computed" }, W.done(showText(model.name), model.sha256 ?? W.unknown))
        : el("div", { class: "lines-for" }, el("span", {}, W.studentName), el("span", {}, W.date))),
    ...LESSON.map(stepOnPaper),
    el("section", { class: "teacher" }, el("h2", {}, W.room), el("div", { class: "prose" }, ...W.roomText.map((text) => el("p", {}, text))),
      el("h2", { id: "times" }, W.times), times));
}

/** @param {import("./workshop/lesson.js").Step<any>} step @param {number} index */
function stepOnPaper(step, index) {
  const { title, prose, none } = /** @type {any} */ (steps)[step.id];
  const result = solved.get(step.id);
  // Of a step that this model cannot do there are no answers, whatever its questions would make of nothing.
  const impossible = result && "found" in result && step.possible?.(result.found) === false;
  const known = impossible ? undefined : result;
  return el("section", { "data-step": step.id }, el("h2", {}, `${index + 1}. ${title}`), el("p", { class: "note" }, T.minutes(step.minutes)),
    el("div", { class: "prose" }, ...prose.map((/** @type {string} */ text) => el("p", {}, text))),
    impossible ? el("p", { class: "solved none" }, none) : null,
    el("ol", { class: "asks" }, ...step.questions.map((question) => {
      const words = wordsOf(step.id, question.id);
      return el("li", { "data-question": question.id }, el("p", { class: "ask" }, question.guess ? el("b", {}, `${W.guess}: `) : null, words.prompt),
        question.options ? el("ul", { class: "tick" }, ...question.options.map((key) => el("li", {}, words.options?.[key]))) : null,
        // A prompt needs more room than a number.
        known ? answer(question, words, known) : question.options ? null
          : el("div", { class: "blank", role: "img", "aria-label": W.answer }, el("i", {}), question.kind === "prompt" ? el("i", {}) : null));
    })));
}

/** @param {import("./workshop/lesson.js").Question<any>} question @param {import("./workshop/question.js").Words} words @param {Solved} known */
function answer(question, words, known) {
  if ("error" in known) return el("p", { class: "solved" }, el("b", {}, W.answerIs(W.failed)), ` ${known.error.message}`);
  const found = known.found;
  const given = solution(question.truth(found));
  const text = given === null ? W.failed : answerWords(question, words, given, found);
  return el("p", { class: "solved" }, el("b", {}, question.kind === "prompt" ? W.example(text) : W.answerIs(text)), ` ${question.why(found)}`);
}
