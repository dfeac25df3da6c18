// Section 2: one prompt, its tokens, and what the model expects next.
import { S } from "../strings.js";
import { predict } from "../experiments.js";
import { live } from "../live.js";
import { nameOf, showExact, showPercent, showToken } from "../format.js";
import { el, fill } from "./dom.js";
import { button, checkbox, textField, tokenField } from "./fields.js";
import { computed } from "./section.js";

/** The notebook's three prompts and their answers. */
const EXAMPLES = [
  ["Mary is a great friend, isn’t", " she"],
  ["John is a great friend, isn’t", " he"],
  ["Matrix is a great movie, isn’t", " it"],
];

/** @param {import("../state.js").Store} store @param {import("../session.js").Session} session */
export function predictView(store, session) {
  const { inputs } = store.get("predict");
  const job = live(store, session, "predict", (lab, options) =>
    lab.run(predict(store.get("predict").inputs, store.get("settings").inputs), options));
  const frame = computed({ store, key: "predict", live: job, render, engineOf: ({ engine }) => engine });

  const prompt = textField(S.common.prompt, inputs.prompt, (text) => store.edit("predict", { prompt: text }));
  const answer = tokenField(S.predict.answer, inputs.answer, (text) => store.edit("predict", { answer: text }));
  const examples = el("div", { class: "examples" }, el("span", {}, S.predict.examples),
    ...EXAMPLES.map(([text, token]) => button(`${text} → ${showToken(token)}`, () => {
      prompt.input.value = text;
      answer.set(token);
      store.edit("predict", { prompt: text, answer: token });
    }, { quiet: true })));
  const bos = checkbox(S.predict.bos, store.get("settings").inputs.prepend_bos, (on) => store.edit("settings", { prepend_bos: on }));
  fill(frame.controls, prompt.root, answer.root, examples, bos.root,
    el("p", { class: "note" }, S.predict.bosNote), el("p", { class: "note" }, S.common.space));

  /** @param {import("../microtome.js").PredictResult} result */
  function render({ tokens, top, answer: found, loss, experiment }) {
    const bosFirst = experiment.prepend_bos !== false && typeof experiment.prompt === "string";
    fill(frame.body,
      el("h3", {}, `${S.predict.tokens} `, el("small", {}, S.predict.count(tokens.length))),
      el("ol", { class: "chips", start: 0 }, ...tokens.map((token, i) =>
        el("li", { class: bosFirst && i === 0 ? "chip bos" : "chip", title: `id ${token.id}` },
          el("span", { class: "token" }, nameOf(token)), el("span", { class: "index" }, String(i))))),
      el("h3", {}, S.predict.likeliest),
      topTable(top, found?.id),
      el("p", { class: "finding" }, found
        ? S.predict.rank(nameOf(found), found.rank, showPercent(found.prob), found.logit.toFixed(2)) : S.predict.noAnswer),
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
        el("td", {}, String(i)), el("th", { scope: "row" }, el("span", { class: "token" }, nameOf(entry))),
        el("td", {}, entry.logit.toFixed(2)), bar);
    })));
}
