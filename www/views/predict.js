// Section 2: one prompt, its tokens, and what the model expects next.
import { S } from "../strings.js";
import { predict } from "../experiments.js";
import { live } from "../live.js";
import { nameOf, showCount, showExact, showFixed, showPercent, showToken } from "../format.js";
import { el, fill } from "./dom.js";
import { answerField, promptChips } from "./chips.js";
import { button, checkbox, textField } from "./fields.js";
import { glance } from "./glance.js";
import { computed } from "./section.js";

/** The notebook's three prompts and their answers. */
const EXAMPLES = [
  ["Mary is a great friend, isn’t", " she"],
  ["John is a great friend, isn’t", " he"],
  ["Matrix is a great movie, isn’t", " it"],
];

/**
 * @param {import("../state.js").Store} store
 * @param {import("../session.js").Session} session
 * @param {import("../tokens.js").TokenSource} tokens
 */
export function predictView(store, session, tokens) {
  const now = () => store.get("predict").inputs;
  const job = live(store, session, "predict", (lab, options) =>
    lab.run(predict(now(), store.get("settings").inputs), options));
  const frame = computed({ store, key: "predict", live: job, render, engineOf: ({ engine }) => engine });

  const prompt = textField(S.common.prompt, now().prompt, (text) => store.edit("predict", { prompt: text }));
  const chips = promptChips(tokens, () => now().prompt);
  const answer = answerField(tokens, S.predict.answer, now().answer, (text) => store.edit("predict", { answer: text }));
  const examples = el("div", { class: "examples" }, el("span", {}, S.predict.examples),
    ...EXAMPLES.map(([text, token]) => button(`${text} → ${showToken(token)}`, () => store.edit("predict", { prompt: text, answer: token }), { quiet: true })));
  const bos = checkbox(S.predict.bos, store.get("settings").inputs.prepend_bos, (on) => store.edit("settings", { prepend_bos: on }));
  store.subscribe("settings", () => bos.set(store.get("settings").inputs.prepend_bos));
  store.subscribe("predict", () => {
    prompt.set(now().prompt);
    answer.set(now().answer);
    chips.look();
  });
  fill(frame.controls, prompt.root, chips.root, answer.root, examples, bos.root);
  const notes = el("div", { class: "notes" }, el("p", { class: "note" }, S.predict.bosNote), el("p", { class: "note" }, S.common.space));
  // Beside each other where there is room.
  const [header, controls, ...others] = frame.root.children;
  fill(frame.root, el("div", { class: "asked" }, header, controls), el("div", { class: "answered" }, ...others, glance(store), notes));

  /** @param {import("../microtome.js").PredictResult} result */
  function render({ tokens: read, top, answer: found, loss, experiment: { prompt: asked, prepend_bos = true }, model }) {
    if (typeof asked === "string") tokens.record(asked, prepend_bos, read, model.n_ctx);
    fill(frame.body,
      el("h3", {}, S.predict.likeliest),
      topTable(top, found?.id),
      el("p", { class: "finding" }, found
        ? S.predict.rank(nameOf(found), showCount(found.rank), showPercent(found.prob), showFixed(found.logit, 2)) : S.predict.noAnswer),
      el("p", { class: "note" }, S.predict.rankNote, loss === null ? "" : ` ${S.predict.loss(showExact(loss))}`));
  }
  return frame.root;
}

/** @param {import("../microtome.js").ScoredToken[]} top @param {number} [answer] id of the token to mark */
function topTable(top, answer) {
  const { rank, token, logit, prob } = S.predict.columns;
  return el("table", { class: "top" },
    el("caption", { class: "unseen" }, S.predict.likeliest),
    el("thead", {}, el("tr", {}, ...[rank, token, logit, prob].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, ...top.map((entry, i) => {
      const bar = el("td", { class: "prob" }, showPercent(entry.prob));
      bar.style.setProperty("--part", String(entry.prob));
      return el("tr", { class: entry.id === answer && "answer" },
        el("td", {}, showCount(i)), el("th", { scope: "row" }, el("span", { class: "token" }, nameOf(entry))),
        el("td", {}, showFixed(entry.logit, 2)), bar);
    })));
}
