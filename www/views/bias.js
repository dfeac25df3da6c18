// Section 7: the unembedding bias of two tokens, and what it means.
import { S } from "../strings.js";
import { bias } from "../experiments.js";
import { live } from "../live.js";
import { barsHeight, drawBars } from "../draw/bars.js";
import { showExact, showFixed, showToken } from "../format.js";
import { el, fill, table } from "./dom.js";
import { answerField } from "./chips.js";
import { computed } from "./section.js";
import { surface } from "./surface.js";

/** @typedef {import("../microtome.js").UnembedBiasResult} UnembedBiasResult */

/**
 * @param {import("../state.js").Store} store
 * @param {import("../session.js").Session} session
 * @param {import("../tokens.js").TokenSource} tokens
 */
export function biasView(store, session, tokens) {
  const now = () => store.get("bias").inputs;
  const job = live(store, session, "bias", (lab, options) => lab.run(bias(now(), store.get("settings").inputs), options));
  const frame = computed({ store, key: "bias", live: job, render, engineOf: ({ engine }) => engine });

  const fields = [S.bias.first, S.bias.second].map((label, i) => answerField(tokens, label, now().tokens[i], (text) =>
    store.edit("bias", { tokens: /** @type {[string, string]} */ (now().tokens.with(i, text)) })));
  store.subscribe("bias", () => fields.forEach((field, i) => field.set(now().tokens[i])));
  fill(frame.controls, el("div", { class: "row" }, ...fields.map(({ root }) => root)));

  /** @type {UnembedBiasResult | null} */
  let shown = null;
  const bars = surface({ role: "img", "aria-label": S.bias.figure }, ({ width }, theme) => shown && {
    width, height: barsHeight(shown.values.length, width),
    ops: drawBars(names(shown), shown.values, Math.min(width, 560), theme),
  });
  const numbers = el("div", { class: "scroll" });
  const sentence = el("p", { class: "finding" });
  fill(frame.body, bars.root, numbers, sentence);

  /** @param {UnembedBiasResult} result */
  function render(result) {
    shown = result;
    bars.redraw();
    const [first, second] = names(result);
    const [a, b] = result.values;
    const ratio = result.prob_ratio ?? Math.exp(a - b);
    fill(numbers, table(S.bias.figure, [S.bias.columns.token, S.bias.columns.bias],
      [[first, showExact(a)], [second, showExact(b)], [S.bias.ratio, `${showExact(ratio)}×`]]));
    const by = Math.abs(a - b);
    const times = showFixed(Math.exp(by), 2);
    sentence.textContent = a === 0 && b === 0 ? S.bias.raw
      : a === b ? S.bias.even(first, second)
      : a > b ? S.bias.explain(first, second, showFixed(by, 2), times) : S.bias.explain(second, first, showFixed(by, 2), times);
  }
  return frame.root;
}

/** @param {UnembedBiasResult} result */
const names = ({ experiment }) => experiment.tokens.map((token) => showToken(String(token)));
