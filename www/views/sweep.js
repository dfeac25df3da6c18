// What the two sweeps share: compute, then ask the engine for the figure that the command line would get too.

/** @typedef {import("../microtome.js").Figure} Figure */

/**
 * @template {import("../microtome.js").AblateExperiment | import("../microtome.js").PatchExperiment} E
 * @param {import("../microtome.js").Lab} lab
 * @param {E} experiment
 * @param {import("../microtome.js").RunOptions} options
 */
export async function sweep(lab, experiment, options) {
  const result = await lab.run(experiment, options);
  const figure = await lab.figure(result);
  if (!figure) throw new Error(`A ${experiment.kind} over ${experiment.axes.join(" and ")} gave no figure.`);
  return { result, figure };
}
