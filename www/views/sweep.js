// What the two sweeps share: compute, then ask the engine for the figure that the command line would get too.
import { showToken } from "../format.js";

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
  return { result, figure: readable(figure) };
}

/** Labels may hold tokens: their spaces and controls become signs. @param {Figure} figure @returns {Figure} */
function readable(figure) {
  const { row_axis, col_axis } = figure;
  return {
    ...figure,
    row_axis: { ...row_axis, labels: row_axis.labels.map(showToken) },
    col_axis: { ...col_axis, labels: col_axis.labels.map(showToken) },
  };
}
