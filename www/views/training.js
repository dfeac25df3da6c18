// Section 9: the checkpoints of the model's training. A slider puts one onto the engine; a run over all of them gives curves.
import { S } from "../strings.js";
import { toPlain } from "../errors.js";
import { lesson, lessonWords } from "../lesson.js";
import { timeLeft } from "../live.js";
import { csvOf, experimentsOf, measured, seriesOf, training } from "../training.js";
import { showAbout, showLarge } from "../format.js";
import { el, fill } from "./dom.js";
import { button } from "./fields.js";
import { curvesView } from "./curves.js";
import { computed } from "./section.js";
import { stepOf, stepSlider } from "./steps.js";

/**
 * What is drawn: of a run, or of what is done of it. `result` is there when it is whole.
 * @typedef {{ checkpoints: import("../training.js").Checkpoint[], series: import("../training.js").Series, result: any | null }} Value
 */

/** @param {import("../state.js").Store} store @param {import("../session.js").Session} session */
export function trainingView(store, session) {
  const now = () => store.get("training");
  const run = runner(store, session);
  const say = {
    run: S.training.run, cells: S.training.cells, kept: S.training.kept,
    cost: (/** @type {import("../microtome.js").Estimate} */ { seconds, flops }) => {
      const { length } = measured(now().family ?? []);
      return S.training.cost(seconds === null ? S.common.untimed : showAbout(seconds), length, showLarge(flops));
    },
  };
  const frame = computed({ store, key: "training", live: run, render, say, engineOf: (/** @type {Value} */ { result }) => result.engine });
  const none = el("p", { class: "note" }, S.training.none);
  const slider = stepSlider(store, session);
  const curves = curvesView(store, { pick: slider.go, current: () => stepOf(store) });
  const words = el("div", { class: "lesson" });
  const saves = el("div", { class: "row saves", hidden: true },
    button(S.training.csv, () => save("training.csv", "text/csv", csvOf(valueOf().series)), { quiet: true }),
    button(S.training.json, () => save("training.json", "application/json", JSON.stringify(valueOf().result ?? { checkpoints: valueOf().checkpoints })), { quiet: true }));
  curves.root.hidden = true;
  fill(frame.controls, slider.root, none);
  fill(frame.body, words, curves.root, saves);
  const valueOf = () => /** @type {Value} */ (now().job.value);

  /** @param {Value} value */
  function render({ series, result }) {
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
    frame.status.hidden = frame.body.hidden = !some;
    if (job.value === null) curves.root.hidden = saves.hidden = true;
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
 * @returns {import("../live.js").Live}
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
    const { family } = now();
    if (!lab || !family?.length) return;
    set({ status: "held", error: null, fresh: false, sofar: null });
    const estimates = await Promise.all(experimentsOf(lab.info.model, settings()).map((experiment) => lab.estimate(experiment))).catch(() => []);
    if (lab !== session.lab() || !estimates.length) return;
    const count = measured(family).length;
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
    const { family } = now();
    if (!lab || !family?.length) return;
    controller?.abort();
    const mine = new AbortController();
    controller = mine;
    const steps = measured(family);
    const left = timeLeft();
    set({ status: "running", progress: null, error: null, value: null, fresh: true, sofar: { done: 0, cells: steps.length } });
    /** @param {any} partial @param {any} result */
    const show = ({ checkpoints }, result) => set({ value: { checkpoints, series: seriesOf(checkpoints, steps), result }, fresh: true,
      sofar: result ? null : { done: checkpoints.length, cells: steps.length } });
    try {
      const result = await lab.run(training(lab.info.model, settings(), steps), {
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

  let known = JSON.stringify(settings());
  store.subscribe("settings", () => {
    const next = JSON.stringify(settings());
    if (next === known) return;
    known = next;
    controller?.abort();
    controller = null;
    offer();
  });
  session.onReady(() => void ready());
  return { run: () => void run(), cancel: () => controller?.abort() };
}

/** Hands a file to the visitor. @param {string} name @param {string} type @param {string} text */
function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
