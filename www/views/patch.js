// Section 6: one activation at a time, copied from the clean run into the corrupted one.
import { S } from "../strings.js";
import { patch } from "../experiments.js";
import { live } from "../live.js";
import { GROUPS } from "../patching.js";
import { showExact } from "../format.js";
import { el, fill } from "./dom.js";
import { groupedSelect, textField, tokenField } from "./fields.js";
import { panelsView } from "./panels.js";
import { computed } from "./section.js";
import { incomplete, sweep } from "./sweep.js";

/** @param {import("../state.js").Store} store @param {import("../session.js").Session} session */
export function patchView(store, session) {
  const now = () => store.get("patch").inputs;
  const experiment = () => patch(now(), store.get("settings").inputs);
  const job = live(store, session, "patch", (lab, hooks) => sweep(lab, experiment(), hooks), {
    estimate: (lab, options) => lab.estimate(experiment(), options),
  });
  const frame = computed({ store, key: "patch", live: job, render, engineOf: ({ result }) => result.engine });

  const fields = {
    clean: textField(S.patch.clean, now().clean, (clean) => store.edit("patch", { clean })),
    corrupted: textField(S.patch.corrupted, now().corrupted, (corrupted) => store.edit("patch", { corrupted })),
    correct: tokenField(S.common.correct, now().correct, (correct) => store.edit("patch", { correct })),
    incorrect: tokenField(S.common.incorrect, now().incorrect, (incorrect) => store.edit("patch", { incorrect })),
    what: groupedSelect(S.patch.what, GROUPS.map(({ kind, functions }) => [S.patch.groups[kind], functions.map(({ name }) => name)]),
      now().what, (what) => store.edit("patch", { what })),
  };
  fill(frame.controls, fields.clean.root, fields.corrupted.root,
    el("div", { class: "row" }, fields.correct.root, fields.incorrect.root, fields.what.root),
    el("p", { class: "note" }, S.patch.whatNote));

  const figures = panelsView({ cell: (place, value) => S.patch.cell(place, showExact(value)) });
  const title = el("h3", {});
  const stated = el("p", { class: "finding" });
  fill(frame.body, title, stated, figures.root);

  /** @param {import("./sweep.js").Swept<import("../microtome.js").PatchResult>} value */
  function render({ result, figure, sofar }) {
    fill(title, figure.title, sofar && incomplete());
    stated.textContent = S.patch.both(showExact(result.clean), showExact(result.corrupted));
    figures.show(figure, { pending: Boolean(sofar) });
  }
  return frame.root;
}
