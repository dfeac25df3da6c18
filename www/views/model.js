// Section 1: which model, from where, on which engine, with which weight processing.
import { S } from "../strings.js";
import { PRESETS } from "../state.js";
import { processingOf } from "../experiments.js";
import { showAbout, showBytes, showCount } from "../format.js";
import { consentDialog } from "./consent.js";
import { el, fill } from "./dom.js";
import { button, checkbox, choice } from "./fields.js";
import { errorBox, section } from "./section.js";
import { publishedView } from "./published.js";
import { sourcesView } from "./sources.js";
import { storedView } from "./stored.js";

/** @typedef {import("../state.js").Store} Store */
/** @typedef {keyof import("../microtome.js").ProcessingSwitches} Switch */

/** Refusals that a visitor may overrule. */
const AGREEABLE = new Set(["model.not_finite", "model.all_zero"]);

/** @param {Store} store @param {import("../session.js").Session} session */
export function modelView(store, session) {
  const frame = section("model");
  const { inputs } = store.get("model");

  const engine = choice(S.model.engine, S.model.backends, inputs.backend, (backend) => {
    store.edit("model", { backend });
    session.open();
  });
  const precision = choice(S.model.precision, S.model.precisions, inputs.precision, (precision) => {
    store.edit("model", { precision });
    session.open();
  });
  fill(frame.controls, sourcesView(store, session), storedView(store, session),
    el("div", { class: "row" }, engine.root, precision.root), processing(store));
  const notices = el("div", { class: "notices", role: "status" });
  frame.status.before(notices);
  frame.root.append(publishedView(store, session), consentDialog(store, session));

  const progress = el("progress", { "aria-label": S.model.title });
  const words = el("span", { class: "words" });
  const needs = el("p", { class: "plan", role: "status" });
  /** Of the model that is here, while another one is being loaded. @type {import("../microtome.js").MemoryPlan | null} */
  let memory = null;
  let shown = "";

  function update() {
    const { status, progress: loaded, error, info, plan, notices: said } = store.get("model");
    const busy = status === "loading" || loaded !== null;
    frame.root.dataset.status = busy ? "running" : status;
    const [part, all] = fraction(loaded);
    if (all) Object.assign(progress, { max: all, value: Math.min(part ?? 0, all) });
    else progress.removeAttribute("value");
    words.textContent = loaded ? wordsOf(loaded) : S.model.connecting;
    const now = JSON.stringify([busy, status, error, info, plan, said]);
    if (now === shown) return;
    shown = now;
    const retry = button(S.model.retry, () => session.open());
    // What it needs stands beside the progress, and beside a refusal; of a model that is there it is one of the facts.
    needs.textContent = plan && (busy || error) ? planned(plan) : "";
    if (status === "ready") memory = plan;
    fill(frame.status, ...(busy ? [progress, status === "loading" && button(S.common.cancel, session.cancel), words, needs]
      : error ? [errorBox(error), needs, retry, AGREEABLE.has(error.code) && button(S.model.anyway, session.openAnyway)]
      : status === "cancelled" ? [el("span", {}, S.model.cancelled), retry] : []));
    fill(notices, ...said.map(({ code, message }) => el("p", { class: "notice", "data-code": code }, message)));
    fill(frame.body, info && facts(info, memory));
  }
  store.subscribe("model", update);
  update();
  return frame.root;
}

/** What a progress bar shows: all bytes, or those of the engine itself. @param {import("../microtome.js").LoadProgress | null} progress */
const fraction = (progress) => (!progress ? [0, null]
  : progress.all_total ? [progress.all_loaded, progress.all_total] : [progress.loaded, progress.total]);

/** @param {import("../microtome.js").LoadProgress} progress */
function wordsOf({ phase, status, file, loaded, total, all_loaded, all_total, rate, left, message }) {
  if ((status === "wait" || status === "restart") && message) return message;
  const { phases } = S.model;
  const whole = all_total !== null && total !== null && all_total > total;
  const bytes = S.model.downloading(file, showBytes(loaded), total === null ? null : showBytes(total));
  switch (phase) {
    case "download":
      return [bytes, whole && S.model.inAll(showBytes(all_loaded), showBytes(all_total)), rate !== null && S.model.rate(showBytes(rate)),
        left !== null && S.common.left(showAbout(left))].filter(Boolean).join(" · ");
    case "verify": return `${phases.verify} ${bytes}`;
    case "module": return total === null ? phases.module : `${phases.module} ${showBytes(loaded)} / ${showBytes(total)}`;
    default: return phases[phase] ?? S.model.connecting;
  }
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

/** @param {import("../microtome.js").MemoryPlan} plan */
const planned = ({ backend, peak_bytes, weights_bytes, room_bytes }) =>
  S.model.plan(backend, showBytes(peak_bytes), showBytes(weights_bytes), room_bytes === null ? null : showBytes(room_bytes));

/** @param {import("../state.js").Info} info @param {import("../microtome.js").MemoryPlan | null} plan */
function facts({ model, engine }, plan) {
  const { facts: names, size, shape, vocab, context } = S.model;
  const rows = [
    [names.name, model.name],
    [names.size, size(showCount(model.n_params), model.n_layers, model.n_heads)],
    ...(typeof model.step === "number" ? [[S.training.slider, showCount(model.step)]] : []),
    [names.shape, shape(model.d_model, model.d_head, model.d_mlp)],
    [names.vocab, vocab(showCount(model.d_vocab), model.has_tokenizer)],
    [names.context, context(showCount(model.n_ctx))],
    [names.engine, `${S.common.backends[engine.backend] ?? engine.backend}: ${engine.reason}`],
    [names.adapter, engine.adapter ?? S.model.wasm],
    [names.precision, engine.precision === "f16" ? S.common.halves(engine.precision_effect) : S.model.precisions[0][1]],
    [names.memory, plan && S.model.memory(showBytes(plan.peak_bytes), showBytes(plan.weights_bytes))],
    [names.tables, engine.tables && S.model.tables(engine.tables.embedding_pieces, showBytes(engine.tables.binding_bytes))],
    [names.build, engine.build],
    [names.sha256, model.sha256 ?? "–"],
  ];
  return el("dl", { class: "facts" }, ...rows.filter(([, value]) => value).flatMap(([name, value]) => [el("div", {}, el("dt", {}, name), el("dd", {}, value))]));
}
