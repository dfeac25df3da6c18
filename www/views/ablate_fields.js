// What section 5 asks for: prompts, measure, what is switched off, and what takes its place.
import { S } from "../strings.js";
import { toPlain } from "../errors.js";
import { filled } from "../experiments.js";
import { el, fill } from "./dom.js";
import { answerField, promptChips } from "./chips.js";
import { button, choice, linesField, textField } from "./fields.js";

/** @typedef {import("../state.js").AblateInputs} AblateInputs */

/** @param {import("../state.js").Store} store @param {import("../tokens.js").TokenSource} tokens @returns {Node[]} */
export function ablateFields(store, tokens) {
  const now = () => store.get("ablate").inputs;
  /** @param {Partial<AblateInputs>} patch */
  const edit = (patch) => store.edit("ablate", patch);
  const row = (/** @type {Node[]} */ ...nodes) => el("div", { class: "row" }, ...nodes);

  const batch = choice(S.ablate.batch, S.ablate.batches, now().batch, (to) => edit({ batch: to }));
  const prompt = textField(S.common.prompt, now().prompts[now().metric], (text) =>
    store.edit("ablate", { prompts: { ...now().prompts, [now().metric]: text } }));
  const chips = promptChips(tokens, () => now().prompts[now().metric]);
  const batchNote = el("p", { class: "note" });
  const metric = choice(S.ablate.metric, S.ablate.metrics, now().metric, (kind) => edit({ metric: kind }));
  const correct = answerField(tokens, S.common.correct, now().correct, (text) => store.edit("ablate", { correct: text }));
  const incorrect = answerField(tokens, S.common.incorrect, now().incorrect, (text) => store.edit("ablate", { incorrect: text }));
  const answers = row(correct.root, incorrect.root);

  const what = choice(S.ablate.what, S.ablate.whats, now().what, (to) => edit({ what: to }));
  const site = choice(S.common.site, S.ablate.sites, now().site, (to) => edit({ site: to }));
  const list = el("div", { class: "list" });
  const sets = el("div", {}, list, el("p", { class: "note" }, S.ablate.setsNote));
  /** @type {ReturnType<typeof textField>[]} */
  let setFields = [];
  const drawSets = () => fill(list, ...(setFields = now().sets.map((text, i) => {
    const label = S.ablate.set(i + 1);
    const field = textField(label, text, (to) => store.edit("ablate", { sets: now().sets.with(i, to) }));
    field.root.classList.add("numbered");
    field.root.append(button("×", () => {
      edit({ sets: now().sets.toSpliced(i, 1) });
      toSet(i);
    }, { quiet: true, label: S.ablate.remove(label) }));
    return field;
  })).map(({ root }) => root), addSet);
  const addSet = button(S.ablate.addSet, () => {
    edit({ sets: [...now().sets, ""] });
    toSet(setFields.length - 1);
  }, { quiet: true });
  /** The lists are built anew: the keyboard goes where the work goes on. @param {number} i */
  const toSet = (i) => (setFields[Math.min(i, setFields.length - 1)]?.input ?? addSet).focus();

  const replaced = choice(S.ablate.edit, S.ablate.edits, now().edit, (to) => edit({ edit: to }));
  const over = choice(S.ablate.over, S.ablate.overs, now().over, (to) => edit({ over: to }));
  const references = linesField(S.ablate.references, now().references[now().metric], (text) =>
    store.edit("ablate", { references: { ...now().references, [now().metric]: text } }));
  const referenceNote = el("p", { class: "note" });
  const gridReferences = button(S.ablate.gridReferences, () => {
    const { metric } = now();
    /** @type {string} */ let text;
    try {
      text = filled(store.get("grid").inputs).map(({ prompt, correct }) => (metric === "loss" ? prompt + correct : prompt)).join("\n");
    } catch (error) {
      // Of a grid without prompts, or with too many, its own section says more.
      referenceNote.textContent = toPlain(error).message;
      return;
    }
    edit({ references: { ...now().references, [metric]: text } });
  }, { quiet: true });

  /** The line of the reference prompts with the cursor. */
  const line = () => {
    const { value, selectionStart } = references.input;
    const lines = value.split("\n");
    const index = value.slice(0, selectionStart).split("\n").length - 1;
    return { text: lines[index] ?? "", index };
  };
  const lineChips = promptChips(tokens, () => line().text, () => S.prompts.tokens.line(line().index + 1));
  for (const event of ["input", "click", "keyup"]) references.input.addEventListener(event, lineChips.look);

  const reference = el("div", { class: "field wide" }, references.root, lineChips.root, row(gridReferences, referenceNote));

  /** Shows what the choices ask for. The loss needs the answer in the prompt, the logit difference must not have it: each keeps its own prompts. */
  function arrange() {
    const inputs = now();
    const { batch: of, metric: kind, what: parts, edit: by, over: mean } = inputs;
    batch.set(of);
    metric.set(kind);
    what.set(parts);
    replaced.set(by);
    over.set(mean);
    site.set(inputs.site);
    prompt.set(inputs.prompts[kind]);
    references.set(inputs.references[kind]);
    correct.set(inputs.correct);
    incorrect.set(inputs.incorrect);
    chips.look();
    lineChips.look();
    if (setFields.length !== inputs.sets.length) drawSets();
    inputs.sets.forEach((text, i) => setFields[i].set(text));
    prompt.root.hidden = chips.root.hidden = of === "grid";
    batchNote.hidden = of === "one";
    const { use, formats, names, rows } = store.get("grid").inputs;
    batchNote.textContent = S.ablate.batchNote(use === "rows" ? rows.length : formats.length * names.length);
    answers.hidden = kind === "loss" || of === "grid";
    sets.hidden = parts === "heads";
    over.root.hidden = by !== "mean";
    reference.hidden = by === "zero";
    referenceNote.textContent = S.ablate.referenceNote[by === "mean" ? mean : "resample"];
  }
  drawSets();
  arrange();
  store.subscribe("grid", arrange);
  store.subscribe("ablate", arrange);
  return [row(batch.root, metric.root), prompt.root, chips.root, batchNote, answers, row(what.root, site.root), sets,
    row(replaced.root, over.root), reference];
}
