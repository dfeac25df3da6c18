// Which model the lesson is about: how far its loading is, why it failed, and a choice of another one.
import { showBytes, showText } from "../format.js";
import { MODELS } from "../presets.js";
import { S } from "../strings.js";
import { WORKSHOP } from "../strings/workshop.js";
import { el, fill, refill } from "../views/dom.js";
import { button, choice, select } from "../views/fields.js";
import { errorBox } from "../views/section.js";

const { model: W } = WORKSHOP;

/** @param {import("../state.js").Store} store @param {import("../session.js").Session} session */
export function modelBar(store, session) {
  const { address, inputs } = store.get("model");
  const line = el("div", { class: "status", role: "status" });
  const bar = el("progress", { "aria-label": W.loading });
  const words = el("span", { class: "words" });
  const notices = el("div", { class: "notices", role: "status" });
  const which = select(W.which, MODELS.map(({ address, title, bytes }) => [address, W.size(title, showBytes(bytes))]), address, () => {});
  const engine = choice(W.engine, S.model.backends, inputs.backend, (backend) => {
    store.edit("model", { backend });
    session.open();
  });
  const change = el("details", { class: "others" }, el("summary", {}, W.change),
    el("div", { class: "row" }, which.root, button(W.load, () => session.open({ address: which.input.value }))),
    el("p", { class: "note" }, W.loadNote), engine.root);
  let shown = "";
  const sizeOf = (/** @type {string} */ address) => showBytes(MODELS.find((model) => model.address === address)?.bytes ?? 0);

  function update() {
    const { address, status, progress, error, info, notices: said, held } = store.get("model");
    const busy = status === "loading" || progress !== null;
    const [loaded, total] = progress?.all_total ? [progress.all_loaded, progress.all_total] : [progress?.loaded ?? 0, progress?.total];
    if (total) Object.assign(bar, { max: total, value: Math.min(loaded, total) });
    else bar.removeAttribute("value");
    words.textContent = progress?.message ?? (total ? `${W.loading} ${showBytes(loaded)} / ${showBytes(total)}` : W.loading);
    const now = JSON.stringify([busy, status, error, info, said, held]);
    if (now === shown) return;
    shown = now;
    const again = button(W.again, () => session.open());
    refill(line, ...(busy ? [bar, status === "loading" && button(W.cancel, session.cancel), words]
      : error ? [errorBox(error), again]
      : held ? [el("span", { class: "words" }, S.held.why[held](sizeOf(address))), button(S.held.load(sizeOf(address)), () => session.open(), { primary: true })]
      : status === "cancelled" ? [el("span", {}, W.cancelled), again]
      : info ? [el("span", {}, W.ready(showText(info.model.name), S.common.backends[info.engine.backend] ?? info.engine.backend))] : []));
    fill(notices, ...said.map(({ code, message }) => el("p", { class: "notice", "data-code": code }, showText(message))));
  }
  store.subscribe("model", update);
  update();
  return el("section", { class: "engine", "aria-label": W.title }, line, notices, change);
}
