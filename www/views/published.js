// The figures that the notebook published for GPT-2 small, each beside the computed one: shown where a model of its shape
// is loaded, and computed on request.
import { S } from "../strings.js";
import { toPlain } from "../errors.js";
import { el, fill, refill } from "./dom.js";
import { button } from "./fields.js";
import { errorBox } from "./section.js";

/** @param {import("../microtome.js").ModelInfo} model */
export const isGpt2Small = ({ n_layers, n_heads, d_model, d_vocab, has_tokenizer }) =>
  has_tokenizer && n_layers === 12 && n_heads === 12 && d_model === 768 && d_vocab === 50_257;

/** @param {import("../state.js").Store} store @param {import("../session.js").Session} session */
export function publishedView(store, session) {
  const line = el("div", { class: "row", role: "status" });
  const table = el("div", { class: "scroll" });
  const root = el("div", { class: "published", hidden: true }, line, table);
  /** @type {AbortController | null} */
  let running = null;
  /** @type {unknown} */
  let shown = null;

  function update() {
    const { info } = store.get("model");
    if (info === shown) return;
    shown = info;
    running?.abort();
    root.hidden = !(info && isGpt2Small(info.model));
    refill(line, button(S.model.published.start, start));
    fill(table);
  }

  async function start() {
    const lab = session.lab();
    if (!lab) return;
    const mine = new AbortController();
    running = mine;
    const words = el("span", {}, S.model.published.running);
    refill(line, button(S.common.cancel, () => mine.abort()), words);
    try {
      const checks = await lab.verify({ signal: mine.signal });
      const bad = checks.filter(({ agrees }) => !agrees).length;
      refill(line, button(S.model.published.again, start), el("span", {}, S.model.published.verdict(checks.length, bad)));
      fill(table, tableOf(checks));
    } catch (thrown) {
      const error = toPlain(thrown);
      refill(line, button(S.model.published.start, start), error.code === "run.cancelled" ? el("span", {}, S.common.cancelled) : errorBox(error));
    }
  }

  store.subscribe("model", update);
  update();
  return root;
}

/** @param {import("../microtome.js").PublishedCheck[]} checks */
function tableOf(checks) {
  const { columns, agrees, differs } = S.model.published;
  return el("table", {},
    el("thead", {}, el("tr", {}, ...columns.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, ...checks.map((check) => el("tr", { class: check.agrees ? "" : "differs" },
      el("th", { scope: "row" }, check.name), el("td", {}, check.published), el("td", {}, check.computed),
      el("td", {}, check.agrees ? agrees : differs)))));
}
