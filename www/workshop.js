// Puts the workshop together: one model, one step in sight, its place in the address (#travel).
import { createSession } from "./session.js";
import { start } from "./start.js";
import { createStore } from "./state.js";
import { WORKSHOP } from "./strings/workshop.js";
import { el, fill } from "./views/dom.js";
import { QUESTIONS, answersView, settled } from "./workshop/answers.js";
import { LESSON } from "./workshop/lesson.js";
import { modelBar } from "./workshop/model.js";
import { createProgress } from "./workshop/progress.js";
import { createRunner } from "./workshop/runner.js";
import { stepView } from "./workshop/step.js";

const { steps: words, step: W } = WORKSHOP;
/** The page after the last step. */
const LAST = "answers";

const store = createStore();
const session = createSession(store);
const progress = createProgress(new Set(QUESTIONS));
const runner = createRunner(session, (run, step) => views.get(step.id)?.update(run));
/** Steps that were seen, built once. @type {Map<string, ReturnType<typeof stepView>>} */
const views = new Map();
const end = answersView(progress, () => {
  views.clear();
  location.hash = LESSON[0].id;
});

const titleOf = (/** @type {string} */ id) => (id === LAST ? WORKSHOP.finish.title : /** @type {any} */ (words)[id].title);
const places = [...LESSON.map(({ id }) => id), LAST];
const main = el("main", { id: "step" });
const back = el("a", { class: "button" }, W.previous);
const forth = el("a", { class: "button primary" }, W.next);
const links = places.map((id) => el("a", { href: `#${id}` }, el("span", { class: "label" }, titleOf(id)), el("span", { class: "mark" })));

fill(document.body,
  // A place in the address is a step here.
  el("a", { class: "jump", href: "#step", click: (/** @type {Event} */ event) => {
    event.preventDefault();
    document.getElementById("step-heading")?.focus();
  } }, WORKSHOP.jump),
  el("header", { class: "top" }, el("h1", {}, WORKSHOP.name), el("p", { class: "tagline" }, WORKSHOP.tagline), el("p", { class: "intro" }, WORKSHOP.about),
    el("p", { class: "ways" }, el("a", { href: "./index.html" }, WORKSHOP.lab), " ", el("a", { href: "./handout.html" }, WORKSHOP.handout), " ", el("a", { href: "./article.html" }, WORKSHOP.article)),
    modelBar(store, session)),
  el("nav", { class: "steps-nav", "aria-label": WORKSHOP.contents }, el("ol", {}, ...links.map((link) => el("li", {}, link)))),
  main,
  el("nav", { class: "turn", "aria-label": WORKSHOP.turn }, back, forth),
  el("footer", {}, el("p", {}, WORKSHOP.footer)));

/** The step of the address; the first one where it names none. */
const here = () => {
  const id = location.hash.slice(1);
  return places.includes(id) ? id : places[0];
};

function mark() {
  const answers = progress.all();
  links.forEach((link, i) => {
    const step = LESSON[i];
    const [done, all] = step ? [settled(step, answers), step.questions.length] : [0, 0];
    const state = !done ? "none" : done < all ? "some" : "all";
    link.dataset.done = state;
    /** @type {Element} */ (link.lastElementChild).textContent = step ? (done ? `, ${W.progress(done, all)}` : "") : "";
    if (places[i] === here()) link.setAttribute("aria-current", "step");
    else link.removeAttribute("aria-current");
  });
}

/** @param {boolean} moved by the visitor, whose keyboard then goes along */
function show(moved) {
  const id = here();
  const at = places.indexOf(id);
  const step = LESSON[at];
  let view = step && views.get(id);
  if (step && !view) views.set(id, view = stepView(step, { store, progress, runner, info: () => store.get("model").info }));
  const { root, heading } = view ?? end;
  fill(main, root);
  // What the workshop is, is said once.
  document.body.dataset.at = at === 0 ? "start" : "later";
  document.title = `${titleOf(id)} · ${WORKSHOP.name}`;
  back.hidden = at === 0;
  forth.hidden = at === places.length - 1;
  back.setAttribute("href", `#${places[Math.max(0, at - 1)]}`);
  forth.setAttribute("href", `#${places[Math.min(places.length - 1, at + 1)]}`);
  forth.textContent = at === places.length - 2 ? W.finish : W.next;
  mark();
  if (view) void view.enter();
  else runner.rest();
  if (!moved) return;
  heading.focus({ preventScroll: true });
  main.scrollIntoView();
}

progress.subscribe((outside) => {
  mark();
  if (outside) for (const view of views.values()) view.changed();
});
addEventListener("hashchange", () => show(true));
show(false);

// For the browser's console, and for tests: `microtome.lab().run({ … })`.
Object.assign(globalThis, { microtome: { store, lab: session.lab, progress, runner } });

start(store, session, []);
