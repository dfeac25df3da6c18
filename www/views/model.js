// Section 1: which model, on which engine, with which weight processing.
import { S } from "../strings.js";
import { PRESETS } from "../state.js";
import { processingOf } from "../experiments.js";
import { showBytes, showCount } from "../format.js";
import { el, fill } from "./dom.js";
import { button, checkbox, choice, textField } from "./fields.js";
import { errorBox, section } from "./section.js";

/** @typedef {import("../state.js").Store} Store */
/** @typedef {keyof import("../microtome.js").ProcessingSwitches} Switch */

/** @param {Store} store @param {import("../session.js").Session} session */
export function modelView(store, session) {
  const frame = section("model");
  const { inputs } = store.get("model");

  const folder = textField(S.model.folder, inputs.url, (url) => store.edit("model", { url }));
  const form = el("form", { class: "row", submit: (/** @type {Event} */ event) => {
    event.preventDefault();
    session.open();
  } }, folder.root, el("button", { type: "submit" }, S.model.load));
  const engine = choice(S.model.engine, S.model.backends, inputs.backend, (backend) => {
    store.edit("model", { backend });
    session.open();
  });
  fill(frame.controls, form, engine.root, processing(store));
  frame.root.append(frame.controls);

  const progress = el("progress", { "aria-label": S.model.title });
  const words = el("span", {});
  let shown = "";

  function update() {
    const { status, progress: loaded, error, info } = store.get("model");
    const busy = status === "loading" || loaded !== null;
    frame.root.dataset.status = busy ? "running" : status;
    if (loaded?.phase === "download" && loaded.total) Object.assign(progress, { max: loaded.total, value: loaded.loaded });
    else progress.removeAttribute("value");
    words.textContent = !loaded ? S.model.connecting
      : loaded.phase === "download"
        ? S.model.downloading(loaded.file, showBytes(loaded.loaded), loaded.total ? showBytes(loaded.total) : null)
        : S.model.starting;
    const now = JSON.stringify([busy, status, error, info]);
    if (now === shown) return;
    shown = now;
    const retry = button(S.model.retry, session.open);
    fill(frame.status, ...(busy ? [progress, status === "loading" && button(S.common.cancel, session.cancel), words]
      : error ? [errorBox(error), retry]
      : status === "cancelled" ? [el("span", {}, S.model.cancelled), retry] : []));
    fill(frame.body, info && facts(info));
  }
  store.subscribe("model", update);
  update();
  return frame.root;
}

/** @param {Store} store */
function processing(store) {
  const now = () => store.get("settings").inputs.processing;
  /** @param {import("../microtome.js").ProcessingSwitches} next */
  const set = (next) => store.edit("settings", { processing: next });
  const preset = choice(S.model.processing, S.model.presets, String(processingOf(now())), (name) => {
    set({ ...PRESETS[/** @type {"none" | "transformer_lens"} */ (name)] });
  });
  const boxes = Object.entries(S.model.switches).map(([key, label]) =>
    ({ key: /** @type {Switch} */ (key), ...checkbox(label, now()[/** @type {Switch} */ (key)], (on) => set({ ...now(), [key]: on })) }));
  store.subscribe("settings", () => {
    const named = processingOf(now());
    preset.set(typeof named === "string" ? named : null);
    for (const { key, input } of boxes) input.checked = now()[key];
  });
  return el("div", { class: "processing" }, preset.root, el("div", { class: "checks" }, ...boxes.map(({ root }) => root)));
}

/** @param {import("../state.js").Info} info */
function facts({ model, engine }) {
  const { facts: names, size, shape, vocab, context } = S.model;
  const rows = [
    [names.name, model.name],
    [names.size, size(showCount(model.n_params), model.n_layers, model.n_heads)],
    [names.shape, shape(model.d_model, model.d_head, model.d_mlp)],
    [names.vocab, vocab(showCount(model.d_vocab), model.has_tokenizer)],
    [names.context, context(showCount(model.n_ctx))],
    [names.engine, `${S.common.backends[engine.backend] ?? engine.backend}: ${engine.reason}`],
    [names.adapter, engine.adapter ?? S.model.wasm],
    [names.build, engine.build],
    [names.sha256, model.sha256 ?? "–"],
  ];
  return el("dl", { class: "facts" }, ...rows.flatMap(([name, value]) => [el("div", {}, el("dt", {}, name), el("dd", {}, value))]));
}
