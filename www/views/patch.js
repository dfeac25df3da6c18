// Section 6: one activation at a time, copied from the clean run into the corrupted one.
import { S } from "../strings.js";
import { patch } from "../experiments.js";
import { live } from "../live.js";
import { GROUPS } from "../patching.js";
import { showExact } from "../format.js";
import { el, fill } from "./dom.js";
import { alignedChips, answerField } from "./chips.js";
import { groupedSelect, textField } from "./fields.js";
import { panelsView } from "./panels.js";
import { computed } from "./section.js";
import { incomplete, runBehind, sweep } from "./sweep.js";

/**
 * @param {import("../state.js").Store} store
 * @param {import("../session.js").Session} session
 * @param {import("../tokens.js").TokenSource} tokens
 */
export function patchView(store, session, tokens) {
  const now = () => store.get("patch").inputs;
  const experiment = () => patch(now(), store.get("settings").inputs);
  const job = live(store, session, "patch", (lab, hooks) => sweep(lab, experiment(), hooks), {
    estimate: (lab, options) => lab.estimate(experiment(), options),
  });
  const frame = computed({ store, key: "patch", live: job, render, engineOf: ({ result }) => result.engine });

  const fields = {
    clean: textField(S.patch.clean, now().clean, (clean) => store.edit("patch", { clean })),
    corrupted: textField(S.patch.corrupted, now().corrupted, (corrupted) => store.edit("patch", { corrupted })),
    correct: answerField(tokens, S.common.correct, now().correct, (correct) => store.edit("patch", { correct })),
    incorrect: answerField(tokens, S.common.incorrect, now().incorrect, (incorrect) => store.edit("patch", { incorrect })),
    what: groupedSelect(S.patch.what, GROUPS.map(({ kind, functions }) => [S.patch.groups[kind], functions.map(({ name }) => name)]),
      now().what, (what) => store.edit("patch", { what })),
  };
  const chips = alignedChips(tokens, () => [now().clean, now().corrupted]);
  store.subscribe("patch", () => {
    for (const name of /** @type {const} */ (["clean", "corrupted", "correct", "incorrect", "what"])) fields[name].set(now()[name]);
    chips.look();
  });
  fill(frame.controls, fields.clean.root, fields.corrupted.root, chips.root,
    el("div", { class: "row" }, fields.correct.root, fields.incorrect.root, fields.what.root),
    el("p", { class: "note" }, S.patch.whatNote));

  const behind = runBehind(store, session, () => figures.focus());
  const figures = panelsView(store, {
    key: "patch", pick: behind.open, drop: behind.close, hint: S.figures.behind.hint,
    cell: (place, value) => S.patch.cell(place, showExact(value)),
  });
  const title = el("h3", {});
  const stated = el("p", { class: "finding" });
  fill(frame.body, title, stated, figures.root, behind.root);

  /** @param {import("./sweep.js").Swept<import("../microtome.js").PatchResult>} value */
  function render({ result, figure, sofar }) {
    fill(title, figure.title, sofar && incomplete());
    stated.textContent = S.patch.both(showExact(result.clean), showExact(result.corrupted));
    figures.show(figure, { pending: Boolean(sofar) });
    behind.follow({ result, figure, sofar });
  }
  return frame.root;
}
