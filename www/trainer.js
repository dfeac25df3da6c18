// A run over the checkpoints of a training: what it would cost, how far it is, what is done of it.
import { toPlain } from "./errors.js";
import { timeLeft } from "./live.js";
import { seriesOf } from "./series.js";
import { measured, parsePlaces, training } from "./training.js";

/**
 * What is drawn: of a run, or of what is done of it. `result` is there when it is whole.
 * @typedef {{ checkpoints: import("./series.js").Checkpoint[], series: import("./series.js").Series, result: any | null,
 *   own: boolean }} Value `own`: of the open model's family
 */

/**
 * Looks the checkpoints up when a model is ready, says what a run over them would cost, and runs it when it is asked for.
 * @param {import("./state.js").Store} store
 * @param {import("./session.js").Session} session
 * @returns {import("./live.js").Live & { places: () => import("./training.js").Places | null }} `places`: what a run measures
 */
export function trainer(store, session) {
  const now = () => store.get("training");
  /** @param {Partial<import("./state.js").Job<Value>>} patch */
  const set = (patch) => store.update("training", { job: { ...now().job, ...patch } });
  const settings = () => store.get("settings").inputs;
  /** @type {AbortController | null} */
  let controller = null;
  /** @type {import("./microtome.js").Lab | null} */
  let seen = null;
  let opened = "";

  /** What a run would measure. @returns {import("./training.js").Places | null} */
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
    const { recorded, value } = now().job;
    const { address } = store.get("model");
    // A recorded run stays where it is of this very model; of the same model on another engine the curves stay, as the earlier ones.
    const stays = recorded ? recorded.sha256 === lab.info.model.sha256 : address === opened;
    opened = address;
    set({ status: "waiting", progress: null, error: null, fresh: false, sofar: null, estimate: null,
      recorded: stays ? recorded : null, value: stays ? value : null });
    const family = await lab.checkpoints().catch(() => []);
    if (lab !== seen) return;
    store.update("training", { family });
    await offer();
  }

  /** The same; where what was typed is wrong it says so, with `patch`. @param {Partial<import("./state.js").Job<Value>>} [patch] */
  function wanted(patch) {
    try {
      return places();
    } catch (thrown) {
      set({ status: "error", error: toPlain(thrown), ...patch });
      return undefined;
    }
  }

  /** Says what a run would cost. What is there from an earlier one stays, as such. */
  async function offer() {
    const lab = session.lab();
    if (!lab) return;
    const asked = wanted({ fresh: false, sofar: null });
    if (asked === undefined) return;
    set({ status: asked ? "held" : "waiting", error: null, fresh: false, sofar: null });
    if (!asked) return;
    const estimate = await lab.estimate(training(lab.info.model, settings(), asked)).catch(() => null);
    if (lab === session.lab() && estimate) set({ estimate });
  }

  async function run() {
    const lab = session.lab();
    if (!lab) return;
    const asked = wanted();
    if (!asked) return;
    controller?.abort();
    const mine = new AbortController();
    controller = mine;
    const { steps } = asked;
    const { address } = store.get("model");
    const left = timeLeft();
    set({ status: "running", progress: null, error: null, value: null, recorded: null, fresh: true, sofar: { done: 0, cells: steps.length } });
    /** @param {any} partial @param {any} result */
    const show = ({ checkpoints }, result) => set({ value: { checkpoints, series: seriesOf(checkpoints, steps), result, own: asked.checkpoints === undefined }, fresh: true, address,
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

  const inputs = () => [settings(), now().inputs.addresses, now().inputs.steps];
  const asking = () => JSON.stringify(inputs());
  let known = asking();
  const changed = () => {
    if (asking() === known) return;
    known = asking();
    recall();
    controller?.abort();
    controller = null;
    offer();
  };
  /** Shows the recorded run of these inputs; or says of one that is shown that it is of others. */
  function recall() {
    const { job } = now();
    if (job.status === "running" || (job.value !== null && !job.recorded)) return;
    const found = session.recordings.find("training", inputs(), session.lab()?.info.model.sha256);
    if (found ? !job.recorded?.same : job.recorded?.same) {
      set(found ? { value: found.value, recorded: found.mark, address: found.address } : { recorded: { .../** @type {import("./recorded.js").Mark} */ (job.recorded), same: false } });
    }
  }

  session.recordings.section("training", inputs, recall);
  store.subscribe("settings", changed);
  store.subscribe("training", changed);
  session.onReady(() => void ready());
  return { run: () => void run(), cancel: () => controller?.abort(), places };
}
