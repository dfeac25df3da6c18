// Section 9: the checkpoints of the model's training. A slider puts one onto the engine; a run over all of them gives curves.
import { S } from "../strings.js";
import { toPlain } from "../errors.js";
import { lesson, lessonWords } from "../lesson.js";
import { timeLeft } from "../live.js";
import { csvOf, experimentsOf, measured, parsePlaces, seriesOf, training } from "../training.js";
import { showAbout, showLarge } from "../format.js";
import { el, fill } from "./dom.js";
import { button, linesField, textField } from "./fields.js";
import { curvesView } from "./curves.js";
import { computed } from "./section.js";
import { skippedOf, skips, stepOf, stepSlider } from "./steps.js";

/**
 * What is drawn: of a run, or of what is done of it. `result` is there when it is whole.
 * @typedef {{ checkpoints: import("../training.js").Checkpoint[], series: import("../training.js").Series, result: any | null,
 *   own: boolean }} Value `own`: of the open model's family
 */

/** @param {import("../state.js").Store} store @param {import("../session.js").Session} session */
export function trainingView(store, session) {
  const now = () => store.get("training");
  const run = runner(store, session);
  const say = {
    run: S.training.run, cells: S.training.cells, kept: S.training.kept,
    cost: (/** @type {import("../microtome.js").Estimate} */ { seconds, flops }) => {
      const { length } = run.places()?.steps ?? [];
      return S.training.cost(seconds === null ? S.common.untimed : showAbout(seconds), length, showLarge(flops));
    },
  };
  const frame = computed({ store, key: "training", live: run, render, say, engineOf: (/** @type {Value} */ { result }) => result.engine });
  const none = el("p", { class: "note" }, S.training.none);
  const slider = stepSlider(store, session);
  const curves = curvesView(store, { pick: slider.go, current: () => (now().job.value?.own ? stepOf(store) : null) });
  const skipped = el("ul", { class: "skips" });
  const words = el("div", { class: "lesson" });
  const saves = el("div", { class: "row saves", hidden: true },
    button(S.training.csv, () => save("training.csv", "text/csv", csvOf(valueOf().series)), { quiet: true }),
    button(S.training.json, () => save("training.json", "application/json", JSON.stringify(valueOf().result ?? { checkpoints: valueOf().checkpoints })), { quiet: true }));
  curves.root.hidden = true;
  const addresses = linesField(S.training.addresses, now().inputs.addresses, (text) => store.edit("training", { addresses: text }));
  addresses.input.placeholder = S.training.addressesExample;
  const steps = textField(S.training.stepsLabel, now().inputs.steps, (text) => store.edit("training", { steps: text }));
  const others = el("details", { class: "others" }, el("summary", {}, S.training.others), addresses.root, steps.root, el("p", { class: "note" }, S.training.othersNote));
  fill(frame.controls, slider.root, none, others);
  fill(frame.body, skipped, words, curves.root, saves);
  const valueOf = () => /** @type {Value} */ (now().job.value);

  /** @param {Value} value */
  function render({ checkpoints, series, result }) {
    fill(skipped, ...skips(skippedOf({ checkpoints })));
    curves.root.hidden = saves.hidden = false;
    curves.show(series);
    teach(result && series);
  }

  /** @param {import("../training.js").Series | null} series of a run that is whole */
  function teach(series) {
    const claims = series && lesson(series);
    fill(words, el("h3", {}, S.training.lesson.title), ...(claims ? lessonWords(claims).map((text) => el("p", { class: "finding" }, text))
      : [el("p", { class: "note" }, series ? S.training.lesson.short : S.training.lesson.hint)]));
  }

  let { family, job } = now();
  let step = stepOf(store);
  const update = () => {
    ({ family, job } = now());
    const some = Boolean(family?.length);
    none.hidden = family === null || some;
    frame.status.hidden = frame.body.hidden = !some && job.status === "waiting";
    if (job.value !== null) return;
    curves.root.hidden = saves.hidden = true;
    fill(skipped);
  };
  store.subscribe("training", update);
  store.subscribe("model", () => {
    if (stepOf(store) !== step) curves.moved();
    step = stepOf(store);
  });
  update();
  teach(null);
  return frame.root;
}

/**
 * Looks the checkpoints up when a model is ready, says what a run over them would cost, and runs it when it is asked for.
 * @param {import("../state.js").Store} store
 * @param {import("../session.js").Session} session
 * @returns {import("../live.js").Live & { places: () => import("../training.js").Places | null }} `places`: what a run measures
 */
function runner(store, session) {
  const now = () => store.get("training");
  /** @param {Partial<import("../state.js").Job<Value>>} patch */
  const set = (patch) => store.update("training", { job: { ...now().job, ...patch } });
  const settings = () => store.get("settings").inputs;
  /** @type {AbortController | null} */
  let controller = null;
  /** @type {import("../microtome.js").Lab | null} */
  let seen = null;

  /** What a run would measure. @returns {import("../training.js").Places | null} */
  function places() {
    const { family, inputs } = now();
    return parsePlaces(inputs.addresses, inputs.steps) ?? (family?.length ? { steps: measured(family) } : null);
  }

  /** A model is ready, or another checkpoint of it. */
  async function ready() {
    const lab = session.lab();
    if (!lab || lab === seen) return;
    controller?.abort();
    seen = lab;
    store.update("training", { family: null, wanted: null, failed: {}, pointed: null });
    set({ status: "waiting", progress: null, error: null, value: null, fresh: false, sofar: null, estimate: null });
    const family = await lab.checkpoints().catch(() => []);
    if (lab !== seen) return;
    store.update("training", { family });
    await offer();
  }

  /** Says what a run would cost. What is there from an earlier one stays, as such. */
  async function offer() {
    const lab = session.lab();
    if (!lab) return;
    let asked;
    try {
      asked = places();
    } catch (thrown) {
      return set({ status: "error", error: toPlain(thrown), fresh: false, sofar: null });
    }
    set({ status: asked ? "held" : "waiting", error: null, fresh: false, sofar: null });
    if (!asked) return;
    const count = asked.steps.length;
    const estimates = await Promise.all(experimentsOf(lab.info.model, settings()).map((experiment) => lab.estimate(experiment))).catch(() => []);
    if (lab !== session.lab() || !estimates.length) return;
    const sum = (/** @type {"cells" | "runs" | "flops" | "weight_bytes_read"} */ key) => estimates.reduce((all, estimate) => all + estimate[key], 0) * count;
    const seconds = estimates.map((estimate) => estimate.seconds);
    set({ estimate: {
      cells: sum("cells"), runs: sum("runs"), flops: sum("flops"), weight_bytes_read: sum("weight_bytes_read"),
      memory_bytes: Math.max(...estimates.map(({ memory_bytes }) => memory_bytes)),
      seconds: seconds.includes(null) ? null : /** @type {number[]} */ (seconds).reduce((all, part) => all + part, 0) * count,
    } });
  }

  async function run() {
    const lab = session.lab();
    if (!lab) return;
    let asked;
    try {
      asked = places();
    } catch (thrown) {
      return set({ status: "error", error: toPlain(thrown) });
    }
    if (!asked) return;
    controller?.abort();
    const mine = new AbortController();
    controller = mine;
    const { steps } = asked;
    const left = timeLeft();
    set({ status: "running", progress: null, error: null, value: null, fresh: true, sofar: { done: 0, cells: steps.length } });
    /** @param {any} partial @param {any} result */
    const show = ({ checkpoints }, result) => set({ value: { checkpoints, series: seriesOf(checkpoints, steps), result, own: asked.checkpoints === undefined }, fresh: true,
      sofar: result ? null : { done: checkpoints.length, cells: steps.length } });
    try {
      const result = await lab.run(training(lab.info.model, settings(), asked), {
        signal: mine.signal,
        onProgress: (done, total) => controller === mine && set({ progress: { done, total, left: left(done / total, performance.now()) } }),
        onPartial: (partial) => void (controller === mine && show(partial, null)),
      });
      if (controller !== mine) return;
      show(result, result);
      set({ status: "done", progress: null });
    } catch (thrown) {
      if (controller !== mine) return;
      const error = toPlain(thrown);
      if (error.code === "run.cancelled") set({ status: "cancelled", progress: null });
      else if (error.code !== "lab.closed") set({ status: "error", progress: null, error });
    } finally {
      if (controller === mine) controller = null;
    }
  }

  const asking = () => JSON.stringify([settings(), now().inputs.addresses, now().inputs.steps]);
  let known = asking();
  const changed = () => {
    if (asking() === known) return;
    known = asking();
    controller?.abort();
    controller = null;
    offer();
  };
  store.subscribe("settings", changed);
  store.subscribe("training", changed);
  session.onReady(() => void ready());
  return { run: () => void run(), cancel: () => controller?.abort(), places };
}

/** Hands a file to the visitor. @param {string} name @param {string} type @param {string} text */
function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
