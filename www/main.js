// Puts the page together: one store, one session, nine sections.
import { S } from "./strings.js";
import { createStore } from "./state.js";
import { createSession } from "./session.js";
import { el, fill } from "./views/dom.js";
import { ORDER } from "./views/section.js";
import { modelView } from "./views/model.js";
import { predictView } from "./views/predict.js";
import { gridView } from "./views/grid.js";
import { attentionView } from "./views/attention.js";
import { ablateView } from "./views/ablate.js";
import { patchView } from "./views/patch.js";
import { biasView } from "./views/bias.js";
import { headsView } from "./views/heads.js";
import { trainingView } from "./views/training.js";

const VIEWS = {
  model: modelView, predict: predictView, grid: gridView, attention: attentionView,
  ablate: ablateView, patch: patchView, bias: biasView, heads: headsView, training: trainingView,
};

const store = createStore();
const session = createSession(store);

fill(document.body,
  el("a", { class: "jump", href: `#${ORDER[0]}` }, S.jump),
  el("header", { class: "top" }, el("h1", {}, S.name), el("p", { class: "tagline" }, S.tagline), el("p", { class: "intro" }, S.about)),
  el("nav", { "aria-label": S.contents },
    el("ol", {}, ...ORDER.map((key) => el("li", {}, el("a", { href: `#${key}` }, S[key].nav))))),
  el("main", {}, ...ORDER.map((key) => VIEWS[key](store, session))),
  el("footer", {}, el("p", {}, S.footer)));

// For the browser's console: `microtome.store.get("patch").job.value`, `microtome.lab().run({ … })`.
Object.assign(globalThis, { microtome: { store, lab: session.lab } });

session.open();
