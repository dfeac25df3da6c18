// Section 6: one activation at a time, copied from the clean run into the corrupted one.
import { S } from "../strings.js";
import { patch } from "../experiments.js";
import { live } from "../live.js";
import { showExact } from "../format.js";
import { el, fill } from "./dom.js";
import { select, textField, tokenField } from "./fields.js";
import { heatmapView } from "./heatmap.js";
import { computed } from "./section.js";
import { sweep } from "./sweep.js";

/** The sites that have positions, in the order of the forward pass. */
const SITES = ["resid_pre", "q", "k", "v", "z", "attn_out", "resid_mid", "pre", "post", "mlp_out", "resid_post"];

/** @param {import("../state.js").Store} store @param {import("../session.js").Session} session */
export function patchView(store, session) {
  const now = () => store.get("patch").inputs;
  const job = live(store, session, "patch", (lab, options) => sweep(lab, patch(now(), store.get("settings").inputs), options));
  const frame = computed({ store, key: "patch", live: job, render, engineOf: ({ result }) => result.engine });

  const fields = {
    clean: textField(S.patch.clean, now().clean, (clean) => store.edit("patch", { clean })),
    corrupted: textField(S.patch.corrupted, now().corrupted, (corrupted) => store.edit("patch", { corrupted })),
    correct: tokenField(S.common.correct, now().correct, (correct) => store.edit("patch", { correct })),
    incorrect: tokenField(S.common.incorrect, now().incorrect, (incorrect) => store.edit("patch", { incorrect })),
    site: select(S.common.site, SITES.map((site) => [site, site]), now().site, (site) => store.edit("patch", { site })),
  };
  fill(frame.controls, fields.clean.root, fields.corrupted.root,
    el("div", { class: "row" }, fields.correct.root, fields.incorrect.root, fields.site.root));

  const heatmap = heatmapView({
    describe: ({ row_axis, col_axis }, { row, col }, value) => (value === null ? S.common.empty
      : S.patch.cell(row_axis.labels[row], col_axis.labels[col], showExact(value))),
  });
  const title = el("h3", {});
  const stated = el("p", { class: "finding" });
  fill(frame.body, title, stated, heatmap.root);

  /** @param {{ result: import("../microtome.js").PatchResult, figure: import("../microtome.js").Figure }} value */
  function render({ result, figure }) {
    title.textContent = figure.title;
    stated.textContent = S.patch.both(showExact(result.clean), showExact(result.corrupted));
    heatmap.show(figure);
  }
  return frame.root;
}
