// What the two sweeps share: compute, and ask the engine for the figure of the result, or of what is done of it.
import { S } from "../strings.js";
import { showToken } from "../format.js";
import { el } from "./dom.js";

/** @typedef {import("../microtome.js").Figure} Figure */

/**
 * What a section draws: of a result, or of what is done of a sweep.
 * @template R
 * @typedef {{ result: R, figure: Figure, sofar: import("../state.js").Sofar | null }} Swept
 */

/**
 * @template {import("../microtome.js").AblateExperiment | import("../microtome.js").PatchExperiment} E
 * @template {import("../microtome.js").ResultOf<E>} R
 * @param {import("../microtome.js").Lab} lab
 * @param {E} experiment
 * @param {import("../live.js").Hooks<Swept<R>>} hooks
 * @returns {Promise<Swept<R>>}
 */
export async function sweep(lab, experiment, { signal, onProgress, onSofar }) {
  const figureOf = async (/** @type {import("../microtome.js").Drawable} */ result) => {
    const figure = await lab.figure(result);
    return figure && readable(figure);
  };
  /** @param {import("../microtome.js").PartialSweep} partial */
  const onPartial = async (partial) => {
    const sofar = { done: partial.done, cells: partial.values.length };
    // With the model and the engine, as a whole result has them: it can be exported.
    const result = /** @type {any} */ ({ version: 1, kind: experiment.kind, experiment, ...partial, ...lab.info });
    // A figure that fails here fails again at the end, where it is reported.
    const figure = await figureOf(result).catch(() => null);
    if (figure) onSofar({ result, figure, sofar }, sofar);
  };
  const result = /** @type {any} */ (await lab.run(experiment, { signal, onProgress, onPartial }));
  const figure = await figureOf(result);
  if (!figure) throw new Error(`A ${experiment.kind} over ${result.axes.join(" and ")} gave no figure.`);
  return { result, figure, sofar: null };
}

/**
 * Where the run behind a cell is shown. The code of the panel comes with the first click.
 * @param {import("../state.js").Store} store
 * @param {import("../session.js").Session} session
 * @param {() => void} closed the keyboard has to go somewhere
 */
export function runBehind(store, session, closed) {
  const root = el("div", {});
  /** @type {Swept<any> | null} */ let value = null;
  /** @type {ReturnType<typeof import("./behind.js").behindView> | null} */ let view = null;
  return {
    root,
    /** @param {number} cell of the whole figure, which has the result's order */
    async open(cell) {
      if (!view) {
        const { behindView } = await import("./behind.js");
        if (!view) root.append((view = behindView(store, session, closed)).root);
      }
      if (value) view.open(value.result, cell);
    },
    close: () => view?.cell !== null && view?.close(),
    /** @param {Swept<any>} next */
    follow(next) {
      value = next;
      if (!next.sofar) view?.follow(next.result);
    },
  };
}

/** Marks a figure that is not complete. */
export const incomplete = () => el("span", { class: "incomplete" }, S.common.incomplete);

/** Labels may hold tokens: their spaces and controls become signs. Those of sets are words of their own. @param {Figure} figure @returns {Figure} */
function readable(figure) {
  const axis = (/** @type {import("../microtome.js").FigureAxis} */ { title, labels }) =>
    ({ title, labels: title === "Set" ? labels : labels.map(showToken) });
  const { row_axis, col_axis, panel_axes } = figure;
  return { ...figure, row_axis: axis(row_axis), col_axis: axis(col_axis), panel_axes: panel_axes?.map(axis) };
}
