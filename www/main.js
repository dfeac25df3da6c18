// Puts the page together: one store, one session, nine sections; what a link says is in the store before anything is drawn.
import { S } from "./strings.js";
import { createStore } from "./state.js";
import { createSession } from "./session.js";
import { firstRecordings, showRecorded, start } from "./start.js";
import { createTokens } from "./tokens.js";
import { createUndo } from "./undo.js";
import { addressBar, readAddress } from "./address_bar.js";
import { apply, inputsOf, setInputs } from "./page_state.js";
import { MODELS } from "./presets.js";
import { el, fill } from "./views/dom.js";
import { button } from "./views/fields.js";
import { ORDER } from "./views/section.js";
import { copying, goTo, linkCopier, modelQuestion, sayings, undoButtons } from "./views/tools.js";
import { tasksView, withTask } from "./views/tasks.js";
import { modelView } from "./views/model.js";
import { predictView } from "./views/predict.js";
import { gridView } from "./views/grid.js";
import { attentionView } from "./views/attention.js";
import { ablateView } from "./views/ablate.js";
import { patchView } from "./views/patch.js";
import { biasView } from "./views/bias.js";
import { later } from "./views/later.js";
import { exportWith } from "./views/export.js";

const VIEWS = {
  model: modelView, predict: predictView, grid: gridView, attention: attentionView,
  ablate: ablateView, patch: patchView, bias: biasView,
};
/** The last ones, whose code comes later. */
const LATER = {
  heads: async () => (await import("./views/heads.js")).headsView(store, session),
  training: async () => (await import("./views/training.js")).trainingView(store, session),
};

const recordings = firstRecordings();
const first = await readAddress();
const store = createStore();
if (first.link) apply(store, first.link.state);
const session = createSession(store);
const tokens = createTokens(store, session);
const say = sayings();
const undo = createUndo(store, { onChange: () => buttons.update() });
const buttons = undoButtons(undo, say.tell);
const bar = addressBar(store, { section: first.link?.section ?? null, onLink: follow });
const copy = linkCopier(bar, say, () => store.get("model").address === "local");
const { link: words, tasks: taskWords } = S.prompts;
/** A model that the visitor is asked about. @type {{ root: Element, close: () => void } | null} */
let question = null;

// What needs no results is there while they come; what follows the sections is not, as they would move it.
const main = el("main", {});
fill(document.body,
  el("a", { class: "jump", href: "#predict" }, S.jump),
  el("header", { class: "top" }, el("h1", {}, S.name), el("p", { class: "tagline" }, S.tagline),
    el("p", { class: "intro" }, S.about, " ", el("a", { href: "./workshop.html" }, S.workshop), " ", el("a", { href: "./article.html" }, S.article)),
    el("div", { class: "tools" }, copying(words.copy, () => copy(null)), ...buttons.nodes)),
  say.root, tasksView(store, begin),
  el("nav", { "aria-label": S.contents },
    el("ol", {}, ...ORDER.map((key) => el("li", {}, el("a", { href: `#${key}` }, S[key].nav))))),
  main);
const recorded = await recordings;

/** @param {typeof ORDER[number]} key @param {Element} root */
function withLink(key, root) {
  root.querySelector("h2")?.after(copying("#", () => copy(key), { label: words.copySection(S[key].title) }));
  return root;
}
// Where the address leads to one of the last, they come at once: what is looked at must not move.
const led = first.link?.section === "heads" || first.link?.section === "training";
/** @param {keyof typeof LATER} key */
async function last(key) {
  const load = async () => withLink(key, await LATER[key]());
  return led ? el("div", { class: "later" }, await load()) : later(key, store, session, load);
}
const sections = await Promise.all(ORDER.map((key) => (key === "heads" || key === "training" ? last(key) : withLink(key, VIEWS[key](store, session, tokens, () => copy(key))))));
showRecorded(store, session, recorded.now);
fill(main, ...sections);
document.body.append(el("footer", {}, el("p", {}, S.footer)));

exportWith(session.lab);
// For the browser's console: `microtome.store.get("patch").job.value`, `microtome.lab().run({ … })`.
Object.assign(globalThis, { microtome: { store, lab: session.lab, recordings: session.recordings } });

/** @param {string | null} address @param {{ title: string, nothing?: string, then?: () => void }} [options] */
function ask(address, options = { title: words.title, nothing: words.nothing }) {
  question?.close();
  question = address === null ? null : modelQuestion(session, address, options);
  if (question) say.root.prepend(question.root);
}
let { linked } = store.get("model");
store.subscribe("model", () => {
  const now = store.get("model").linked;
  if (now === linked) return;
  linked = now;
  ask(now);
});

/** Another link was opened on this page. @param {Awaited<ReturnType<typeof readAddress>>} read */
function follow({ link, error }) {
  if (link && undo.together(() => apply(store, link.state)) && !store.get("model").held) session.open();
  told({ link, error });
  lead(link);
}

/** @param {import("./address_bar.js").Link | null} link */
function lead(link) {
  const root = link?.section && document.getElementById(link.section);
  if (!root) return;
  const fold = /** @type {HTMLDetailsElement | null} */ (root.querySelector(":scope > .fold"));
  if (fold) fold.open = true;
  goTo(root);
}

/** @param {Awaited<ReturnType<typeof readAddress>>} read */
function told({ link, error }) {
  if (error) say.error({ ...error, message: `${words.refused} ${error.message}` });
  if (link?.ignored.length) say.note(words.ignored(link.ignored.join(", ")));
}

/** A task was chosen. @param {import("./tasks.js").Task} task */
function begin(task) {
  const { title } = taskWords.each[task.key];
  const set = () => {
    undo.together(() => setInputs(store, withTask(inputsOf(store), task)));
    say.tell(taskWords.chosen(title));
  };
  if (!task.needs || store.get("model").address === task.needs) return set();
  const model = MODELS.find(({ address }) => address === task.needs)?.title ?? task.needs;
  ask(task.needs, { title: taskWords.question(title, model), nothing: `${taskWords.nothing} ${taskWords.unrecorded}`, then: set });
}

told(first);
if (linked) ask(linked);
// Once the figures above it have their size.
requestAnimationFrame(() => requestAnimationFrame(() => lead(first.link)));
start(store, session, recorded.late);
