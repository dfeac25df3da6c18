// Section 5: every head switched off in turn, or sets of parts together.
import { S } from "../strings.js";
import { ablate } from "../experiments.js";
import { placeWords } from "../figures.js";
import { live } from "../live.js";
import { showExact, showSigned } from "../format.js";
import { el, fill } from "./dom.js";
import { ablateFields } from "./ablate_fields.js";
import { panelsView } from "./panels.js";
import { computed } from "./section.js";
import { incomplete, runBehind, sweep } from "./sweep.js";

/** @typedef {import("../microtome.js").AblateResult} AblateResult */
/** @typedef {import("../microtome.js").Figure} Figure */
/** @typedef {import("./sweep.js").Swept<AblateResult>} Swept */

/**
 * @param {import("../state.js").Store} store
 * @param {import("../session.js").Session} session
 * @param {import("../tokens.js").TokenSource} tokens
 */
export function ablateView(store, session, tokens) {
  const now = () => store.get("ablate").inputs;
  const experiment = () => ablate(now(), store.get("settings").inputs, store.get("grid").inputs);
  const job = live(store, session, "ablate", (lab, hooks) => sweep(lab, experiment(), hooks), {
    estimate: (lab, options) => lab.estimate(experiment(), options),
    also: { keys: ["grid"], inputs: () => now().batch === "grid" && store.get("grid").inputs },
  });
  const frame = computed({ store, key: "ablate", live: job, render, engineOf: ({ result }) => result.engine });
  fill(frame.controls, ...ablateFields(store, tokens));

  let baseline = 0;
  /** What is drawn. @type {Swept | null} */ let drawn = null;
  const behind = runBehind(store, session, () => figures.focus());
  const figures = panelsView(store, {
    key: "ablate", pick: behind.open, drop: behind.close, hint: S.figures.behind.hint,
    cell: (place, value) => S.ablate.cell(place, showExact(value), showSigned(value - baseline)),
  });
  const stated = el("p", { class: "finding" });
  const reading = el("p", { class: "note" });
  const title = el("h3", {});
  fill(frame.body, title, stated, figures.root, reading, behind.root);

  /** @param {Swept} value */
  function render(value) {
    const { result, figure, sofar } = value;
    drawn = value;
    const { experiment } = result;
    const { kind } = experiment.metric;
    const prompts = "prompts" in experiment ? experiment.prompts.length : 1;
    baseline = result.baseline;
    fill(title, figure.title, sofar && incomplete());
    const what = S.ablate.measured[kind];
    stated.textContent = S.ablate.baseline(prompts > 1 ? S.ablate.mean(what, prompts) : what, showExact(baseline) + S.ablate.units[kind]);
    figures.show(figure, { pending: Boolean(sofar) });
    behind.follow({ result, figure, sofar });
    read();
  }

  /** The sentence names the colours of the map that was chosen. */
  function read() {
    if (!drawn) return;
    const { result: { experiment }, figure } = drawn;
    const colours = S.figures.look.colours[store.get("look").map];
    reading.textContent = `${S.ablate.reading[experiment.metric.kind](colours)} ${extremes(figure, baseline)}`;
  }
  store.subscribe("look", read);
  return frame.root;
}

/** The cells where the metric moves most, in words. @param {Figure} figure @param {number} baseline */
function extremes(figure, baseline) {
  const moved = figure.values.map((value, i) => ({ by: (value ?? baseline) - baseline, i })).sort((a, b) => b.by - a.by);
  const name = (/** @type {{ by: number, i: number }} */ { by, i }) => {
    const [row, col] = [Math.floor(i / figure.cols), i % figure.cols];
    const place = figure.row_axis.title === "Layer" ? `L${row}H${col}` : placeWords(figure, 0, { row, col });
    return `${place} (${showSigned(by)})`;
  };
  const [most, least] = [moved[0], moved[moved.length - 1]];
  return [most.by > 0 && S.ablate.rise(name(most)), least.by < 0 && S.ablate.fall(name(least))].filter(Boolean).join(" ");
}
