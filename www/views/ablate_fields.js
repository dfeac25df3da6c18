// What section 5 asks for: prompts, measure, what is switched off, and what takes its place.
import { S } from "../strings.js";
import { filled } from "../experiments.js";
import { el, fill } from "./dom.js";
import { button, choice, linesField, textField, tokenField } from "./fields.js";

/** @typedef {import("../state.js").AblateInputs} AblateInputs */

/** @param {import("../state.js").Store} store @returns {Node[]} */
export function ablateFields(store) {
  const now = () => store.get("ablate").inputs;
  /** @param {Partial<AblateInputs>} patch */
  const edit = (patch) => {
    store.edit("ablate", patch);
    arrange();
  };
  const row = (/** @type {Node[]} */ ...nodes) => el("div", { class: "row" }, ...nodes);

  const batch = choice(S.ablate.batch, S.ablate.batches, now().batch, (to) => edit({ batch: to }));
  const prompt = textField(S.common.prompt, now().prompts[now().metric], (text) =>
    store.edit("ablate", { prompts: { ...now().prompts, [now().metric]: text } }));
  const batchNote = el("p", { class: "note" });
  const metric = choice(S.ablate.metric, S.ablate.metrics, now().metric, (kind) => {
    // The loss needs the answer in the prompt, the logit difference must not have it: each keeps its own prompts.
    edit({ metric: kind });
    prompt.input.value = now().prompts[now().metric];
    references.input.value = now().references[now().metric];
  });
  const correct = tokenField(S.common.correct, now().correct, (text) => store.edit("ablate", { correct: text }));
  const incorrect = tokenField(S.common.incorrect, now().incorrect, (text) => store.edit("ablate", { incorrect: text }));
  const answers = row(correct.root, incorrect.root);

  const what = choice(S.ablate.what, S.ablate.whats, now().what, (to) => edit({ what: to }));
  const site = choice(S.common.site, S.ablate.sites, now().site, (to) => edit({ site: to }));
  const list = el("div", { class: "list" });
  const sets = el("div", {}, list, el("p", { class: "note" }, S.ablate.setsNote));
  const drawSets = () => fill(list, ...now().sets.map((text, i) => {
    const label = S.ablate.set(i + 1);
    const field = textField(label, text, (to) => store.edit("ablate", { sets: now().sets.with(i, to) }));
    field.root.classList.add("numbered");
    field.root.append(button("×", () => {
      store.edit("ablate", { sets: now().sets.toSpliced(i, 1) });
      drawSets();
    }, { quiet: true, label: S.ablate.remove(label) }));
    return field.root;
  }), button(S.ablate.addSet, () => {
    store.edit("ablate", { sets: [...now().sets, ""] });
    drawSets();
  }, { quiet: true }));

  const replaced = choice(S.ablate.edit, S.ablate.edits, now().edit, (to) => edit({ edit: to }));
  const over = choice(S.ablate.over, S.ablate.overs, now().over, (to) => edit({ over: to }));
  const references = linesField(S.ablate.references, now().references[now().metric], (text) =>
    store.edit("ablate", { references: { ...now().references, [now().metric]: text } }));
  const referenceNote = el("p", { class: "note" });
  const gridReferences = button(S.ablate.gridReferences, () => {
    const { metric } = now();
    references.input.value = filled(store.get("grid").inputs)
      .map(({ prompt, correct }) => (metric === "loss" ? prompt + correct : prompt)).join("\n");
    store.edit("ablate", { references: { ...now().references, [metric]: references.input.value } });
  }, { quiet: true });
  const reference = el("div", { class: "field wide" }, references.root, row(gridReferences, referenceNote));

  /** Shows what the choices ask for. */
  function arrange() {
    const { batch, metric, what, edit, over: mean } = now();
    const { formats, names } = store.get("grid").inputs;
    prompt.root.hidden = batch === "grid";
    batchNote.hidden = batch === "one";
    batchNote.textContent = S.ablate.batchNote(formats.length * names.length);
    answers.hidden = metric === "loss" || batch === "grid";
    sets.hidden = what === "heads";
    over.root.hidden = edit !== "mean";
    reference.hidden = edit === "zero";
    referenceNote.textContent = S.ablate.referenceNote[edit === "mean" ? mean : "resample"];
  }
  drawSets();
  arrange();
  store.subscribe("grid", arrange);
  return [row(batch.root, metric.root), prompt.root, batchNote, answers, row(what.root, site.root), sets,
    row(replaced.root, over.root), reference];
}
