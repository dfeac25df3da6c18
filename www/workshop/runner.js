// Measures the step that is in sight on the model that is open, and keeps what it found for as long as that model is.
import { LabError, toPlain } from "../errors.js";
import { sweep } from "../views/sweep.js";

/** @typedef {import("../microtome.js").Lab} Lab */
/** @typedef {import("./lesson.js").Step<any>} Step */
/**
 * `held`: it waits for a click. `found`: what the step's `measure` gave, for exactly these inputs.
 * @typedef {{ status: "waiting" | "held" | "running" | "done" | "error" | "cancelled", found: any,
 *   error: import("../errors.js").PlainError | null, part: number | null, milliseconds: number }} Run
 */

/** @type {Run} */
const NOTHING = { status: "waiting", found: null, error: null, part: null, milliseconds: 0 };

/**
 * What a step may ask of a lab.
 * @param {Lab} lab
 * @param {Record<string, string>} inputs
 * @param {{ signal?: AbortSignal, onProgress?: (done: number, total: number) => void }} hooks
 * @returns {import("./lesson.js").Ask}
 */
export function askOf(lab, inputs, { signal, onProgress }) {
  const hooks = { signal: /** @type {AbortSignal} */ (signal), onProgress: onProgress ?? (() => {}), onSofar: () => {} };
  return {
    model: lab.info.model, inputs,
    run: (experiment) => lab.run(experiment, { signal, onProgress }),
    sweep: (experiment) => sweep(lab, experiment, hooks),
    tokenize: (text, prependBos) => lab.tokenize(text, prependBos),
    checkpoints: () => lab.checkpoints(),
  };
}

/** @param {import("../session.js").Session} session @param {(run: Run, step: Step) => void} onChange hears of the step in sight */
export function createRunner(session, onChange) {
  /** @type {Map<string, { found: any, milliseconds: number }>} */
  const known = new Map();
  /** @type {Lab | null} */
  let of = null;
  /** @type {{ step: Step, inputs: Record<string, string> } | null} */
  let wanted = null;
  /** @type {AbortController | null} */
  let controller = null;
  let run = NOTHING;

  /** @param {Partial<Run>} patch */
  function set(patch) {
    run = { ...run, ...patch };
    if (wanted) onChange(run, wanted.step);
  }

  /** @param {boolean} asked for by a click */
  async function start(asked) {
    controller?.abort(new LabError("run.superseded", "A newer request took its place."));
    controller = null;
    const lab = session.lab();
    if (lab !== of) known.clear();
    of = lab;
    if (!wanted) return;
    const { step, inputs } = wanted;
    const key = JSON.stringify([step.id, inputs]);
    const before = known.get(key);
    run = NOTHING;
    if (before) return set({ status: "done", ...before });
    if (!lab) return set({});
    if (step.click && !asked) return set({ status: "held" });
    const mine = new AbortController();
    controller = mine;
    set({ status: "running" });
    const began = performance.now();
    try {
      const found = await step.measure(askOf(lab, inputs, { signal: mine.signal, onProgress: (done, total) => controller === mine && set({ part: done / total }) }));
      if (controller !== mine) return;
      const milliseconds = performance.now() - began;
      known.set(key, { found, milliseconds });
      set({ status: "done", found, milliseconds });
    } catch (thrown) {
      if (controller !== mine) return;
      const error = toPlain(thrown);
      if (error.code === "run.cancelled") set({ status: "cancelled" });
      // Another model is on its way: the step is measured on it as soon as it is there.
      else if (error.code === "lab.closed") set({ status: "waiting" });
      else set({ status: "error", error });
    } finally {
      if (controller === mine) controller = null;
    }
  }

  session.onReady(() => void start(false));
  return {
    /** @param {Step} step @param {Record<string, string>} inputs @param {boolean} [asked] */
    show(step, inputs, asked = false) {
      wanted = { step, inputs };
      return start(asked);
    },
    again: () => start(true),
    cancel: () => controller?.abort(),
    /** Nothing is in sight that has to be measured. */
    rest() {
      wanted = null;
      void start(false);
    },
    get state() {
      return run;
    },
  };
}
