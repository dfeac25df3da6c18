// Section 3: formats × names, the logit difference of each prompt, and their mean.
import { S } from "../strings.js";
import { grid } from "../experiments.js";
import { gridFigure } from "../figures.js";
import { live } from "../live.js";
import { showExact, showNumber, showToken } from "../format.js";
import { el, fill } from "./dom.js";
import { button, select, textField, tokenField } from "./fields.js";
import { heatmapView } from "./heatmap.js";
import { computed } from "./section.js";

/** @typedef {import("../state.js").GridInputs} GridInputs */
/** @typedef {{ result: import("../microtome.js").LogitDiffResult, inputs: GridInputs }} Value */

/** @param {import("../state.js").Store} store @param {import("../session.js").Session} session */
export function gridView(store, session) {
  const now = () => store.get("grid").inputs;
  const job = live(store, session, "grid", async (lab, options) => {
    const inputs = now();
    return { result: await lab.run(grid(inputs, store.get("settings").inputs), options), inputs };
  });
  const frame = computed({ store, key: "grid", live: job, render, engineOf: ({ result }) => result.engine });

  /** @type {Value | null} */
  let value = null;
  const heatmap = heatmapView({
    describe: (_, { row, col }, number) => {
      if (!value || number === null) return S.common.empty;
      const { prompt, correct } = value.result.experiment.prompts[row * value.inputs.names.length + col];
      return S.grid.cell(String(prompt), showToken(String(correct)), showExact(number));
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

  const formats = el("div", { class: "list" });
  const names = el("div", { class: "list beside" });
  /** The answers' own words, for the select of each name. @returns {[string, string][]} */
  const answerOptions = () => now().answers.map((answer, i) => [String(i), showToken(answer)]);

  function drawFormats() {
    const list = now().formats;
    fill(formats, ...list.map((format, i) => {
      const label = S.grid.format(i + 1);
      const field = textField(label, format, (text) => store.edit("grid", { formats: now().formats.with(i, text) }));
      field.root.classList.add("numbered");
      field.root.append(button("×", () => {
        store.edit("grid", { formats: now().formats.toSpliced(i, 1) });
        drawFormats();
      }, { quiet: true, label: S.grid.remove(label) }));
      return field.root;
    }), button(S.grid.addFormat, () => {
      store.edit("grid", { formats: [...now().formats, "{}"] });
      drawFormats();
    }, { quiet: true }));
  }

  function drawNames() {
    fill(names, ...now().names.map(({ name, answer }, i) => {
      /** @param {Partial<import("../state.js").Name>} patch */
      const set = (patch) => store.edit("grid", { names: now().names.with(i, { ...now().names[i], ...patch }) });
      const field = textField(S.grid.name(i + 1), name, (text) => set({ name: text }), { wide: false, hiddenLabel: true });
      const pick = select(S.grid.answerOf(name), answerOptions(), String(answer), (to) => set({ answer: to === "0" ? 0 : 1 }), { hiddenLabel: true });
      return el("div", { class: "row tight" }, field.root, pick.root, button("×", () => {
        store.edit("grid", { names: now().names.toSpliced(i, 1) });
        drawNames();
      }, { quiet: true, label: S.grid.remove(name) }));
    }), button(S.grid.addName, () => {
      store.edit("grid", { names: [...now().names, { name: "", answer: 0 }] });
      drawNames();
    }, { quiet: true }));
  }

  const [first, second] = [S.grid.first, S.grid.second].map((label, i) => tokenField(label, now().answers[i], (text) => {
    store.edit("grid", { answers: /** @type {[string, string]} */ (now().answers.with(i, text)) });
    drawNames();
  }));
  drawFormats();
  drawNames();
  const group = (/** @type {string} */ title, /** @type {Node[]} */ ...nodes) =>
    el("fieldset", { class: "group" }, el("legend", {}, title), ...nodes);
  fill(frame.controls,
    group(S.grid.formats, el("p", { class: "note" }, S.grid.formatNote), formats),
    group(S.grid.names, el("div", { class: "row" }, first.root, second.root), names));
  return frame.root;
}
