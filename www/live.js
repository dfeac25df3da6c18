// Keeps a section's value up to date with its inputs: debounced, the last request wins, stale results are dropped.
// A big sweep waits for a click, and shows what is done of it. Until there is a live value, a recorded one of the same inputs
// stands in its place.
import { LabError, toPlain } from "./errors.js";

/** Milliseconds without typing before a computation starts. */
const PAUSE = 300;
/** A sweep that takes longer is not started by typing. Where nothing has told the speed yet, one with more cells. */
const BIG = { seconds: 2, cells: 2000 };
/** So much work is quick on any machine, whatever the speed of a first run with its preparations makes of it. */
const QUICK_FLOPS = 2e9;
/** Milliseconds of progress before the time left is guessed. */
const WATCHED = 800;

/** @typedef {import("./microtome.js").Lab} Lab */
/** @typedef {import("./microtome.js").Estimate} Estimate */
/** @typedef {{ run: () => void, cancel: () => void }} Live */
/**
 * @template T
 * @typedef {{ signal: AbortSignal, onProgress: (done: number, total: number) => void,
 *   onSofar: (value: T, sofar: import("./state.js").Sofar) => void }} Hooks
 */

/**
 * @template T
 * @param {import("./state.js").Store} store
 * @param {import("./session.js").Session} session
 * @param {import("./state.js").JobKey} key
 * @param {(lab: Lab, hooks: Hooks<T>) => Promise<T>} compute
 * @param {{ estimate?: (lab: Lab, options: { signal: AbortSignal }) => Promise<Estimate>,
 *   also?: { keys: import("./state.js").Key[], inputs: () => unknown } }} [options] `also`: inputs of other sections
 * @returns {Live}
 */
export function live(store, session, key, compute, { estimate, also } = {}) {
  /** The run under way. @type {AbortController | null} */
  let controller = null;
  /** The same, or the last one: what it has done may still arrive when it is cancelled. @type {AbortController | null} */
  let latest = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  /** @param {Partial<import("./state.js").Job<T>>} patch */
  const set = (patch) => store.update(key, { job: { ...store.get(key).job, ...patch } });
  const asked = () => [store.get(key).inputs, store.get("settings").inputs, also?.inputs() || null];
  const inputs = () => JSON.stringify(asked());
  let seen = inputs();

  /** @param {boolean} clicked for, so that it may take long */
  async function run(clicked) {
    clearTimeout(timer);
    supersede();
    const lab = session.lab();
    offer();
    if (!lab) return set({ status: "waiting", progress: null });
    const mine = new AbortController();
    controller = latest = mine;
    const { signal } = mine;
    const { address } = store.get("model");
    const left = timeLeft();
    // An estimate is of the inputs that it was made of: a click on what was held keeps it.
    set({ status: "running", progress: null, error: null, fresh: false, sofar: null, ...(clicked ? {} : { estimate: null }) });
    try {
      if (estimate && !clicked) {
        const cost = await estimate(lab, { signal });
        if (controller !== mine) return;
        set({ estimate: cost });
        if (isBig(cost)) return set({ status: "held" });
      }
      const value = await compute(lab, {
        signal,
        onProgress: (done, total) => {
          if (controller === mine) set({ progress: { done, total, left: left(done / total, performance.now()) } });
        },
        onSofar: (value, sofar) => {
          if (latest === mine && store.get(key).job.status !== "done") set({ value, sofar, fresh: true, recorded: null, address });
        },
      });
      if (controller === mine) set({ status: "done", progress: null, value, fresh: true, sofar: null, recorded: null, address });
    } catch (thrown) {
      if (controller !== mine) return;
      const error = toPlain(thrown);
      if (error.code === "run.cancelled") set({ status: "cancelled", progress: null });
      // The model was changed under the job: the next one starts as soon as the new model is there.
      else if (error.code === "lab.closed") set({ status: "waiting", progress: null });
      else set({ status: "error", progress: null, error });
    } finally {
      if (controller === mine) controller = null;
    }
  }

  function supersede() {
    const old = controller;
    controller = latest = null;
    old?.abort(new LabError("run.superseded", "A newer request took its place."));
  }

  function changed() {
    const now = inputs();
    if (now === seen) return;
    seen = now;
    offer();
    clearTimeout(timer);
    timer = setTimeout(run, PAUSE, false);
  }

  /** Shows the recorded value of these inputs; or says of one that is shown that it is of others. */
  function offer() {
    const { job } = store.get(key);
    if (job.value !== null && !job.recorded) return;
    const found = session.recordings.find(key, asked(), session.lab()?.info?.model.sha256);
    if (found ? job.recorded?.same && found.value === job.value : !job.recorded?.same) return;
    set(found ? { value: found.value, recorded: found.mark, address: found.address } : { recorded: { .../** @type {import("./recorded.js").Mark} */ (job.recorded), same: false } });
  }

  for (const part of /** @type {import("./state.js").Key[]} */ ([key, "settings", ...(also?.keys ?? [])])) store.subscribe(part, changed);
  // Another model or engine is on its way: what is drawn stays, as the earlier one's.
  store.subscribe("model", () => {
    if (!session.lab() && store.get(key).job.status === "done") set({ status: "waiting", progress: null, fresh: false });
  });
  session.onReady(() => run(false));
  session.recordings.section(key, asked, offer);
  return { run: () => void run(true), cancel: () => controller?.abort() };
}

/** Whether a sweep should wait for a click. @param {Estimate} estimate */
export const isBig = ({ seconds, cells, flops }) =>
  (seconds === null ? cells > BIG.cells : seconds > BIG.seconds && (flops > QUICK_FLOPS || cells > BIG.cells));

/**
 * The time that a run still needs, from how it went so far.
 * @returns {(part: number, now: number) => number | null} seconds, from the part that is done and the time in milliseconds
 */
export function timeLeft() {
  /** @type {{ part: number, now: number } | null} */
  let first = null;
  return (part, now) => {
    first ??= { part, now };
    const done = part - first.part;
    if (now - first.now < WATCHED || done <= 0) return null;
    return ((now - first.now) * (1 - part)) / done / 1000;
  };
}
