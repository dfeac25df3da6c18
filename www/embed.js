// embed.html: one figure in an <iframe>, from what the address says. It tells the page around it how high it is:
//   { type: "microtome:resize", height }   in CSS pixels, to the parent, whenever it changes
//   { type: "microtome:measure" }          from the parent: says it again
// Nothing else is listened to. The height is no secret, so it is said to whoever embeds the page; the parent has to look at
// the message's `source`, as the listener of `snippet.js` does.
import { LabError, toPlain } from "./errors.js";
import "./element.js";
import { ablate, attention, patch } from "./experiments.js";
import { S } from "./strings.js";
import { EMBED_PAGE } from "./strings/embed_page.js";
import { initialState } from "./state.js";
import { el, fill } from "./views/dom.js";

/** What a link leads to, if it does not say. */
const FIRST_SECTION = "ablate";
const SITE = new URL("./", location.href).href;
/** Addresses that were asked for. One that takes longer to read must not take the place of a later one. */
let asked = 0;

/** @typedef {import("./embed/spec.js").Spec} Spec */

/** @param {string} hash @returns {Promise<{ spec: Spec, model: string, backend: string, title: string }>} */
async function specOf(hash) {
  const { decode } = await import(new URL("./link.js", import.meta.url).href);
  const link = await decode(hash);
  const said = link.state;
  const start = initialState();
  const settings = { ...start.settings.inputs, ...said.settings };
  const inputs = /** @type {any} */ ((/** @type {"attention" | "ablate" | "patch" | "grid"} */ key) => ({ ...start[key].inputs, ...said[key] }));
  const model = said.model?.address ?? start.model.address;
  // An author who writes a host into the element has chosen it; a link is anyone's.
  if (model.startsWith("https://") && !model.startsWith(SITE)) throw new LabError("figure.host", EMBED_PAGE.host(new URL(model).host), EMBED_PAGE.hostAction);
  const common = { model, backend: said.model?.backend ?? "auto" };
  switch (link.section ?? ["patch", "ablate", "attention"].find((key) => key in said) ?? FIRST_SECTION) {
    case "attention": {
      const head = { ...start.attention.view.head, ...said.look?.head };
      const experiment = /** @type {import("./microtome.js").TraceExperiment} */ (attention(inputs("attention"), settings, 1));
      return { ...common, title: S.attention.title, spec: { version: 1, experiment, head } };
    }
    case "patch": return { ...common, title: S.patch.title, spec: { version: 1, experiment: patch(inputs("patch"), settings) } };
    case "ablate": return { ...common, title: S.ablate.title, spec: { version: 1, experiment: ablate(inputs("ablate"), settings, inputs("grid")) } };
  }
  throw new LabError("figure.kind", EMBED_PAGE.noFigure);
}

async function show() {
  const mine = ++asked;
  const { hash } = location;
  try {
    const { spec, model, backend, title } = await specOf(hash);
    if (mine !== asked) return;
    const figure = /** @type {import("./element.js").MicrotomeFigure} */ (el(/** @type {any} */ ("microtome-figure"), ({ model, backend, heading: title })));
    fill(document.body, el("main", {}, el("h1", { class: "unseen" }, title), figure));
    figure.show(spec);
  } catch (thrown) {
    if (mine !== asked) return;
    const { code, message, action } = toPlain(thrown);
    // The lab may do what a frame may not. A link that is damaged is so there, too.
    const lab = code === "figure.host" ? `./${hash}` : "./";
    fill(document.body, el("p", { class: "said", role: "alert" }, message, " ", action, " ", el("a", { href: lab, target: "_top" }, EMBED_PAGE.lab)));
  }
}

function tell() {
  if (parent !== self) parent.postMessage({ type: "microtome:resize", height: Math.ceil(document.documentElement.getBoundingClientRect().height) }, "*");
}

addEventListener("message", ({ source, data }) => {
  if (source === parent && data !== null && typeof data === "object" && data.type === "microtome:measure") tell();
});
addEventListener("hashchange", show);
new ResizeObserver(tell).observe(document.documentElement);
show();
