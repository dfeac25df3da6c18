// embed.html: one figure in an <iframe>, from what the address says. It tells the page around it how high it is:
//   { type: "microtome:resize", height }   in CSS pixels, to the parent, whenever it changes
//   { type: "microtome:measure" }          from the parent: says it again
// Nothing else is listened to. The height is no secret, so it is said to whoever embeds the page; the parent has to look at
// the message's `source`, as the listener of `snippet.js` does.
import { LabError, toPlain } from "./errors.js";
import "./element.js";
import { ablate, attention, patch } from "./experiments.js";
import { S } from "./strings.js";
import { initialState } from "./state.js";
import { el, fill } from "./views/dom.js";

/** What a link leads to, if it does not say. */
const FIRST_SECTION = "ablate";

/** @typedef {import("./embed/spec.js").Spec} Spec */

/** @param {string} hash @returns {Promise<{ spec: Spec, model: string, backend: string, title: string }>} */
async function specOf(hash) {
  const { decode } = await import(new URL("./link.js", import.meta.url).href);
  const link = await decode(hash);
  const said = link.state;
  const start = initialState();
  const settings = { ...start.settings.inputs, ...said.settings };
  const inputs = /** @type {any} */ ((/** @type {"attention" | "ablate" | "patch" | "grid"} */ key) => ({ ...start[key].inputs, ...said[key] }));
  const common = { model: said.model?.address ?? start.model.address, backend: said.model?.backend ?? "auto" };
  switch (link.section ?? ["patch", "ablate", "attention"].find((key) => key in said) ?? FIRST_SECTION) {
    case "attention": {
      const head = { ...start.attention.view.head, ...said.look?.head };
      const experiment = /** @type {import("./microtome.js").TraceExperiment} */ (attention(inputs("attention"), settings, 1));
      return { ...common, title: S.attention.title, spec: { version: 1, experiment, head } };
    }
    case "patch": return { ...common, title: S.patch.title, spec: { version: 1, experiment: patch(inputs("patch"), settings) } };
    case "ablate": return { ...common, title: S.ablate.title, spec: { version: 1, experiment: ablate(inputs("ablate"), settings, inputs("grid")) } };
  }
  throw new LabError("figure.kind", "This link leads to no figure that can be embedded: attention, ablation or patching.");
}

async function show() {
  try {
    const { spec, model, backend, title } = await specOf(location.hash);
    const figure = /** @type {import("./element.js").MicrotomeFigure} */ (el(/** @type {any} */ ("microtome-figure"), ({ model, backend, heading: title })));
    fill(document.body, el("main", {}, el("h1", { class: "unseen" }, title), figure));
    figure.show(spec);
  } catch (thrown) {
    const { message, action } = toPlain(thrown);
    fill(document.body, el("p", { class: "said", role: "alert" }, message, " ", action, " ", el("a", { href: "./", target: "_top" }, "Microtome")));
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
