// Section 9: the checkpoints of the model's training. A slider puts one onto the engine; a run over all of them gives curves.
import { S } from "../strings.js";
import { lesson, lessonWords } from "../lesson.js";
import { trainer } from "../trainer.js";
import { showAbout, showLarge, showToken } from "../format.js";
import { el, fill } from "./dom.js";
import { linesField, textField } from "./fields.js";
import { curvesView } from "./curves.js";
import { computed } from "./section.js";
import { skippedOf, skips, stepOf, stepSlider } from "./steps.js";
import { hostOf } from "./tools.js";

/** @typedef {import("../trainer.js").Value} Value */

/** So many addresses are named beside the button, and every host; all of them are in their field. */
const MOST_NAMED = 3;

/** @param {import("../state.js").Store} store @param {import("../session.js").Session} session */
export function trainingView(store, session) {
  const now = () => store.get("training");
  const run = trainer(store, session);
  const say = {
    run: S.training.run, cells: S.training.cells, kept: S.training.kept,
    cost: (/** @type {import("../microtome.js").Estimate} */ { seconds, flops }) => {
      const { length } = run.places()?.steps ?? [];
      return S.training.cost(seconds === null ? S.common.untimed : showAbout(seconds), length, showLarge(flops));
    },
  };
  const frame = computed({ store, key: "training", live: run, render, say, engineOf: (/** @type {Value} */ { result }) => result.engine });
  const none = el("p", { class: "note" }, S.training.none);
  const slider = stepSlider(store, session);
  const curves = curvesView(store, { pick: slider.go, current: () => (now().job.value?.own ? stepOf(store) : null) });
  const skipped = el("ul", { class: "skips" });
  const words = el("div", { class: "lesson" });
  curves.root.hidden = true;
  const addresses = linesField(S.training.addresses, now().inputs.addresses, (text) => store.edit("training", { addresses: text }));
  addresses.input.placeholder = S.training.addressesExample;
  const steps = textField(S.training.stepsLabel, now().inputs.steps, (text) => store.edit("training", { steps: text }));
  const others = el("details", { class: "others" }, el("summary", {}, S.training.others), addresses.root, steps.root, el("p", { class: "note" }, S.training.othersNote));
  const asks = el("p", { class: "note asks" });
  fill(frame.controls, slider.root, none, others, asks);
  fill(frame.body, skipped, words, curves.root);

  /** @param {Value} value */
  function render({ checkpoints, series, result }) {
    fill(skipped, ...skips(skippedOf({ checkpoints })));
    curves.root.hidden = false;
    curves.show(series);
    teach(result || now().job.recorded ? series : null);
  }

  /** @param {import("../series.js").Series | null} series of a run that is whole */
  function teach(series) {
    const claims = series && lesson(series);
    fill(words, el("h3", {}, S.training.lesson.title), ...(claims ? lessonWords(claims).map((text) => el("p", { class: "finding" }, text))
      : [el("p", { class: "note" }, series ? S.training.lesson.short : S.training.lesson.hint)]));
  }

  /** Says beside the button whom a run would ask: the addresses may have come with a link, and must not lie in a closed box. */
  function sayAsked() {
    const lines = now().inputs.addresses.split("\n").map((line) => line.trim()).filter(Boolean);
    const hosts = [...new Set(lines.map(hostOf))].join(", ");
    const named = lines.slice(0, MOST_NAMED).map((line) => showToken(line.slice(0, 120))).join(", ");
    asks.textContent = lines.length ? S.training.asks(hosts, named, Math.max(0, lines.length - MOST_NAMED)) : "";
    asks.hidden = !lines.length;
  }
  let { addresses: asked } = now().inputs;
  others.open = Boolean(asked.trim());
  sayAsked();
  store.subscribe("training", () => {
    const { inputs } = now();
    // Not typed here.
    if (inputs.addresses.trim() && inputs.addresses !== addresses.input.value) others.open = true;
    addresses.set(inputs.addresses);
    steps.set(inputs.steps);
    if (inputs.addresses !== asked) sayAsked();
    asked = inputs.addresses;
  });
  let { family, job } = now();
  let step = stepOf(store);
  const update = () => {
    ({ family, job } = now());
    const some = Boolean(family?.length);
    none.hidden = family === null || some;
    frame.status.hidden = frame.body.hidden = !some && job.status === "waiting" && job.value === null;
    if (job.value !== null) return;
    curves.root.hidden = true;
    fill(skipped);
  };
  store.subscribe("training", update);
  store.subscribe("model", () => {
    if (stepOf(store) !== step) curves.moved();
    step = stepOf(store);
  });
  update();
  teach(null);
  return frame.root;
}
