// Section 3: formats × names, or a list of prompts: the logit difference of each, and their mean.
import { S } from "../strings.js";
import { grid } from "../experiments.js";
import { gridFigure } from "../figures.js";
import { live } from "../live.js";
import { showExact, showNumber, showText, showToken } from "../format.js";
import { el, fill } from "./dom.js";
import { gridFields } from "./grid_fields.js";
import { heatmapView } from "./heatmap.js";
import { computed } from "./section.js";

/** @typedef {import("../state.js").GridInputs} GridInputs */
/** @typedef {{ result: import("../microtome.js").LogitDiffResult, inputs: GridInputs }} Value */

/**
 * @param {import("../state.js").Store} store
 * @param {import("../session.js").Session} session
 * @param {import("../tokens.js").TokenSource} tokens
 */
export function gridView(store, session, tokens) {
  const now = () => store.get("grid").inputs;
  const experiment = () => grid(now(), store.get("settings").inputs);
  const job = live(store, session, "grid", async (lab, options) => {
    const inputs = now();
    return { result: await lab.run(experiment(), options), inputs };
  }, { estimate: (lab, options) => lab.estimate(experiment(), options) });
  const frame = computed({ store, key: "grid", live: job, render, engineOf: ({ result }) => result.engine });

  /** @type {Value | null} */
  let value = null;
  const heatmap = heatmapView({
    look: { store, key: "grid" },
    describe: (_, { row, col }, number) => {
      if (!value || number === null) return S.common.empty;
      const { prompt, correct } = value.result.experiment.prompts[value.inputs.use === "rows" ? row : row * value.inputs.names.length + col];
      return S.grid.cell(showText(String(prompt)), showToken(String(correct)), showExact(number));
    },
  });
  const mean = el("p", { class: "finding" });
  const right = el("p", { class: "note" });
  fill(frame.body, heatmap.root, mean, right);

  /** @param {Value} next */
  function render(next) {
    value = next;
    const { values, mean: average } = next.result;
    heatmap.show(gridFigure(next.result, next.inputs));
    mean.textContent = S.grid.mean(showExact(average), showNumber(average), showNumber(Math.exp(average)));
    right.textContent = S.grid.right(values.filter((v) => v > 0).length, values.length);
  }

  fill(frame.controls, ...gridFields(store, tokens));
  return frame.root;
}
