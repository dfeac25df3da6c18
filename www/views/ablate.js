// Section 5: every head switched off in turn.
import { S } from "../strings.js";
import { ablate } from "../experiments.js";
import { live } from "../live.js";
import { showExact, showSigned } from "../format.js";
import { el, fill } from "./dom.js";
import { choice, textField, tokenField } from "./fields.js";
import { heatmapView } from "./heatmap.js";
import { computed } from "./section.js";
import { sweep } from "./sweep.js";

/** @typedef {import("../microtome.js").AblateResult} AblateResult */
/** @typedef {import("../microtome.js").Figure} Figure */

/** @param {import("../state.js").Store} store @param {import("../session.js").Session} session */
export function ablateView(store, session) {
  const now = () => store.get("ablate").inputs;
  const job = live(store, session, "ablate", (lab, options) => sweep(lab, ablate(now(), store.get("settings").inputs), options));
  const frame = computed({ store, key: "ablate", live: job, render, engineOf: ({ result }) => result.engine });

  const prompt = textField(S.common.prompt, now().prompts[now().metric], (text) =>
    store.edit("ablate", { prompts: { ...now().prompts, [now().metric]: text } }));
  const correct = tokenField(S.common.correct, now().correct, (text) => store.edit("ablate", { correct: text }));
  const incorrect = tokenField(S.common.incorrect, now().incorrect, (text) => store.edit("ablate", { incorrect: text }));
  const answers = el("div", { class: "row" }, correct.root, incorrect.root);
  answers.hidden = now().metric === "loss";
  const metric = choice(S.ablate.metric, S.ablate.metrics, now().metric, (kind) => {
    store.edit("ablate", { metric: kind });
    // The loss needs the answer in the prompt, the logit difference must not have it: each keeps its own prompt.
    prompt.input.value = now().prompts[now().metric];
    answers.hidden = kind === "loss";
  });
  const site = choice(S.common.site, S.ablate.sites, now().site, (to) => store.edit("ablate", { site: to }));
  fill(frame.controls, prompt.root, el("div", { class: "row" }, metric.root, site.root), answers);

  let baseline = 0;
  const heatmap = heatmapView({
    describe: ({ row_axis, col_axis }, { row, col }, value) => (value === null ? S.common.empty
      : S.ablate.cell(row_axis.labels[row], col_axis.labels[col], showExact(value), showSigned(value - baseline))),
  });
  const stated = el("p", { class: "finding" });
  const reading = el("p", { class: "note" });
  const title = el("h3", {});
  fill(frame.body, title, stated, heatmap.root, reading);

  /** @param {{ result: AblateResult, figure: Figure }} value */
  function render({ result, figure }) {
    const { kind } = result.experiment.metric;
    baseline = result.baseline;
    heatmap.show(figure);
    title.textContent = figure.title;
    stated.textContent = S.ablate.baseline(S.ablate.what[kind], showExact(baseline) + S.ablate.units[kind]);
    reading.textContent = `${S.ablate.reading[kind]} ${extremes(result)}`;
  }
  return frame.root;
}

/** The heads whose absence moves the metric most, in words. @param {AblateResult} result */
function extremes({ values, shape: [, heads], baseline }) {
  const moved = values.map((value, i) => ({ by: (value ?? baseline) - baseline, i })).sort((a, b) => b.by - a.by);
  const name = (/** @type {{ by: number, i: number }} */ { by, i }) => `L${Math.floor(i / heads)}H${i % heads} (${showSigned(by)})`;
  const [most, least] = [moved[0], moved[moved.length - 1]];
  return [most.by > 0 && S.ablate.rise(name(most)), least.by < 0 && S.ablate.fall(name(least))].filter(Boolean).join(" ");
}
