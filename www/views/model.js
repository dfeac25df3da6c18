// Section 1: which model, from where, on which engine, with which weight processing. Folded to one line that says what is
// loaded, so that the first results are on the first screen; it opens by itself where no model can start.
import { S } from "../strings.js";
import { FIRST, MODELS, bytesOf } from "../presets.js";
import { PRESETS } from "../state.js";
import { processingOf } from "../experiments.js";
import { showAbout, showBytes, showCount, showDay, showSmall, showText } from "../format.js";
import { noticeBox } from "./notice.js";
import { consentDialog } from "./consent.js";
import { el, fill, land } from "./dom.js";
import { button, checkbox, choice } from "./fields.js";
import { errorBox, section } from "./section.js";
import { publishedView } from "./published.js";
import { inMillions, sourcesView } from "./sources.js";
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
  const loaded = el("span", { class: "loaded" });
  const fold = el("details", { class: "fold" }, el("summary", {}, loaded, el("span", { class: "change" }, S.model.change)),
    frame.root.querySelector(".intro"), frame.controls, frame.body, publishedView(store, session));
  frame.root.append(frame.status, notices, fold, consentDialog(store, session));
  // Who goes to the model wants to see it; the address says so until the page's state is written into it.
  addEventListener("hashchange", () => void (fold.open ||= location.hash === "#model"));

  const progress = el("progress", { "aria-label": S.model.title });
  const words = el("span", { class: "words" });
  const needs = el("p", { class: "plan", role: "status" });
  /** Of the model that is here, while another one is being loaded. @type {import("../microtome.js").MemoryPlan | null} */
  let memory = null;
  let shown = "";

  function update() {
    const { status, progress: sofar, error, info, plan, notices: said, held, recorded, inputs, address } = store.get("model");
    engine.set(inputs.backend);
    precision.set(inputs.precision);
    const busy = status === "loading" || sofar !== null;
    frame.root.dataset.status = busy ? "running" : status;
    const [part, all] = fraction(sofar);
    if (all) Object.assign(progress, { max: all, value: Math.min(part ?? 0, all) });
    else progress.removeAttribute("value");
    words.textContent = sofar ? showText(wordsOf(sofar)) : S.model.connecting;
    const now = JSON.stringify([busy, status, error, info, plan, said, held, recorded]);
    if (now === shown) return;
    shown = now;
    const retry = button(S.model.retry, () => session.open());
    // What it needs stands beside the progress, and beside a refusal; of a model that is there it is one of the facts.
    needs.textContent = plan && (busy || error) ? planned(plan) : "";
    if (status === "ready") memory = plan;
    const keyboard = frame.status.contains(document.activeElement);
    fill(frame.status, ...(busy ? [progress, status === "loading" && button(S.common.cancel, session.cancel), words, needs]
      : error ? [errorBox(error), needs, retry, AGREEABLE.has(error.code) && button(S.model.anyway, session.openAnyway)]
      : held ? heldWords(held, session)
      : status === "cancelled" ? [el("span", {}, S.model.cancelled), retry] : []));
    fill(notices, ...said.map(noticeBox));
    const before = recorded && address === FIRST ? recorded : null;
    fill(loaded, ...summed(info ?? before, info !== null, address));
    if (error || held || status === "cancelled") fold.open = true;
    fill(frame.body, info ? facts(info, memory) : before && recordedFacts(before));
    if (keyboard) land(frame.status.firstChild ? frame.status : frame.body);
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

/** Why nothing is loaded by itself, and how to load it. @param {"crash" | "data"} why @param {import("../session.js").Session} session */
function heldWords(why, session) {
  const size = bytesOf(FIRST);
  const bytes = size === null ? null : showBytes(size);
  return [el("p", { class: "held" }, `${S.held.why[why](bytes)} ${S.held.recorded}`), button(S.held.load(bytes), () => session.open(), { primary: true })];
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

/**
 * The line that is there while the rest is folded.
 * @param {import("../state.js").Info | null} info @param {boolean} live whether it is of a model that is there @param {string} address
 */
function summed(info, live, address) {
  const preset = MODELS.find((model) => model.address === address)?.title;
  const { amount, heads, onEngine } = S.model;
  return [
    el("strong", {}, preset ?? (info ? showText(info.model.name) : S.unnamed)),
    el("span", {}, info && [amount(inMillions(info.model.n_params)), heads(info.model.n_layers, info.model.n_heads),
      live ? onEngine(S.common.backends[info.engine.backend] ?? info.engine.backend) : S.recorded.badge].join(" · ")),
  ];
}

/** @param {import("../microtome.js").MemoryPlan} plan */
const planned = ({ backend, peak_bytes, weights_bytes, room_bytes }) =>
  S.model.plan(backend, showBytes(peak_bytes), showBytes(weights_bytes), room_bytes === null ? null : showBytes(room_bytes));

/** What is known of a model before it is there; of the engine nothing is. @param {import("../state.js").Info} info */
function recordedFacts({ model, engine }) {
  const list = facts({ model, engine: { ...engine, backend: /** @type {any} */ (S.recorded.pending), reason: "", adapter: S.recorded.pending, build: S.recorded.pending } }, null);
  return el("div", {}, el("p", { class: "of" }, el("span", { class: "badge" }, S.recorded.badge)), list);
}

/** @param {import("../state.js").Info} info @param {import("../microtome.js").MemoryPlan | null} plan */
function facts({ model, engine }, plan) {
  const { facts: names, size, shape, vocab, context } = S.model;
  const rows = [
    [names.name, showText(model.name)],
    [names.size, size(showCount(model.n_params), model.n_layers, model.n_heads)],
    ...(typeof model.step === "number" ? [[S.training.slider, showCount(model.step)]] : []),
    [names.shape, shape(model.d_model, model.d_head, model.d_mlp)],
    [names.vocab, vocab(showCount(model.d_vocab), model.has_tokenizer)],
    [names.context, context(showCount(model.n_ctx))],
    [names.engine, [S.common.backends[engine.backend] ?? engine.backend, engine.reason].filter(Boolean).join(": ")],
    [names.adapter, showText(engine.adapter ?? S.model.wasm)],
    [names.selfTest, engine.self_test && S.selfTest.fact(showSmall(engine.self_test.difference), engine.self_test.checked.length,
      showDay(new Date(engine.self_test.at)))],
    [names.precision, engine.precision === "f16" ? S.common.halves(engine.precision_effect) : S.model.precisions[0][1]],
    [names.memory, plan && S.model.memory(showBytes(plan.peak_bytes), showBytes(plan.weights_bytes))],
    [names.tables, engine.tables && S.model.tables(engine.tables.embedding_pieces, showBytes(engine.tables.binding_bytes))],
    [names.build, engine.build],
    [names.sha256, model.sha256 ?? "–"],
  ];
  return el("dl", { class: "facts" }, ...rows.filter(([, value]) => value).flatMap(([name, value]) => [el("div", {}, el("dt", {}, name), el("dd", {}, value))]));
}
