// Runs an experiment over the checkpoints of a training, in the engine's worker: while the engine works on one, the files of
// the next arrive. No more than these two are in memory, and of each only the numbers stay.
import { bring } from "./download.js";
import { LabError, toPlain } from "./errors.js";
import { nameOf } from "./module.js";

/** @typedef {import("./engine.js").Engine} Engine @typedef {import("./engine.js").ModelFiles} ModelFiles */
/** @typedef {import("./host.js").ModelSource} ModelSource */
/**
 * @typedef {{ glue: typeof import("./engine.js"), engine: Engine, model: ModelSource, allowNotFinite: boolean, signal: AbortSignal,
 *   onProgress: (done: number, total: number) => void, onNotice: (notice: import("./microtome.js").Notice) => void }} Scene
 *   `model`: the open one, whose network options are used for every checkpoint
 */

/** Progress of one checkpoint is told in so many parts. */
const PARTS = 1000;

/**
 * @param {Scene} scene
 * @param {import("./microtome.js").TrainingExperiment} experiment
 * @param {(sofar: import("./microtome.js").PartialTraining) => void} onPartial
 */
export async function runTraining(scene, experiment, onPartial) {
  const { engine, signal, allowNotFinite, onProgress } = scene;
  const run = engine.training(experiment);
  try {
    const wanted = run.wanted();
    let next = filesOf(scene, wanted[0]);
    for (const index of wanted.keys()) {
      const files = await next;
      signal.throwIfAborted();
      if (index + 1 < wanted.length) next = filesOf(scene, wanted[index + 1]);
      if (files instanceof Error) {
        const { code, message } = toPlain(files);
        run.skip(code, message);
      } else {
        const progress = (/** @type {number} */ done, /** @type {number} */ total) => onProgress(index * PARTS + (PARTS * done) / total, wanted.length * PARTS);
        await engine.askCheckpoint(run, files, { allow_not_finite: allowNotFinite }, progress, () => signal.aborted);
      }
      onPartial(run.partial());
    }
  } catch (thrown) {
    run.free();
    throw thrown;
  }
  return run.finish(engine);
}

/**
 * What an experiment over checkpoints would cost: each of its experiments on the open model, times the checkpoints.
 * @param {Engine} engine
 * @param {import("./microtome.js").TrainingExperiment} training
 * @returns {import("./microtome.js").Estimate}
 */
export function estimateTraining(engine, training) {
  const run = engine.training(training);
  const count = run.wanted().length;
  run.free();
  const { processing, prepend_bos } = training;
  const defaults = { version: /** @type {const} */ (1), ...(processing === undefined ? {} : { processing }), ...(prepend_bos === undefined ? {} : { prepend_bos }) };
  const inner = "experiments" in training ? training.experiments : [training.experiment];
  const estimates = inner.map((experiment) => engine.estimate(/** @type {import("./microtome.js").Experiment} */ ({ ...defaults, ...experiment })));
  const sum = (/** @type {"cells" | "runs" | "flops" | "weight_bytes_read"} */ key) => estimates.reduce((all, estimate) => all + estimate[key], 0) * count;
  return {
    cells: sum("cells"), runs: sum("runs"), flops: sum("flops"), weight_bytes_read: sum("weight_bytes_read"),
    // One after the other.
    memory_bytes: Math.max(...estimates.map(({ memory_bytes }) => memory_bytes)),
    seconds: estimates.reduce((/** @type {number | null} */ all, { seconds }) => (all === null || seconds === null ? null : all + seconds * count), 0),
  };
}

/**
 * Puts a checkpoint of the open model's family on the engine.
 * @param {Scene} scene
 * @param {number} step
 */
export async function goTo(scene, step) {
  const { engine, signal, allowNotFinite, onProgress } = scene;
  const address = engine.checkpointAt(step);
  if (address === undefined) {
    const known = [...engine.family()].join(", ") || "none";
    throw new LabError("checkpoint.unknown", `There is no checkpoint of step ${step}; there are ${known}.`);
  }
  const files = await filesOf(scene, { step, address });
  if (files instanceof Error) throw files;
  const { notices = [], ...info } = await engine.goTo(files, { allow_not_finite: allowNotFinite }, onProgress, () => signal.aborted);
  notices.forEach(scene.onNotice);
  return { info, opening: { model: { ...scene.model, address, name: files.name }, files: files.files } };
}

/**
 * The files of a checkpoint, or why they cannot be had.
 * @param {Scene} scene
 * @param {{ step: number, address: string }} checkpoint
 * @returns {Promise<ModelFiles | Error>}
 */
async function filesOf({ glue, model, signal, onNotice }, { step, address }) {
  try {
    const parsed = glue.parseAddress(address);
    const { files } = await bring(glue, { ...model, address: parsed, passing: true, signal, onProgress: () => {}, onNotice });
    return { name: nameOf(parsed), files, step };
  } catch (thrown) {
    // Parts of the module throw plain objects.
    return thrown instanceof Error ? thrown : new LabError(/** @type {any} */ (thrown).code, /** @type {any} */ (thrown).message);
  }
}
