// Which model the lesson is about: how far its loading is, why it failed, and a choice of another one.
import { showBytes, showText } from "../format.js";
import { FIRST, MODELS, bytesOf } from "../presets.js";
import { S } from "../strings.js";
import { WORKSHOP } from "../strings/workshop.js";
import { el, fill, refill } from "../views/dom.js";
import { button, choice, select } from "../views/fields.js";
import { checkedWords, errorBox } from "../views/section.js";

const { model: W } = WORKSHOP;

/** Addresses and their words: first the model that the server brought, if it is none that the page knows. @type {[string, string][]} */
const CHOICE = MODELS.map(({ address, title, bytes }) => [address, W.size(title, showBytes(bytes))]);
if (!MODELS.some(({ address }) => address === FIRST)) CHOICE.unshift([FIRST, W.brought(showText(nameOf(FIRST)))]);

/** The last part of a folder's address. @param {string} address */
function nameOf(address) {
  return address.split("/").filter(Boolean).at(-1) ?? address;
}

/** @param {import("../state.js").Store} store @param {import("../session.js").Session} session */
export function modelBar(store, session) {
  const { address, inputs } = store.get("model");
  const line = el("div", { class: "status", role: "status" });
  const bar = el("progress", { "aria-label": W.loading });
  const words = el("span", { class: "words" });
  const notices = el("div", { class: "notices", role: "status" });
  const which = select(W.which, CHOICE, address, () => {});
  const engine = choice(W.engine, S.model.backends, inputs.backend, (backend) => {
    store.edit("model", { backend });
    session.open();
  });
  const change = el("details", { class: "others" }, el("summary", {}, W.change),
    el("div", { class: "row" }, which.root, button(W.load, () => session.open({ address: which.input.value }))),
    el("p", { class: "note" }, W.loadNote), engine.root);
  let shown = "";

  /** Why nothing is loaded by itself, and how to load it. @param {"crash" | "data"} why @param {string} address */
  function heldWords(why, address) {
    const size = bytesOf(address);
    const bytes = size === null ? null : showBytes(size);
    return [el("span", { class: "words" }, S.held.why[why](bytes)), button(S.held.load(bytes), () => session.open(), { primary: true })];
  }

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
      : held ? heldWords(held, address)
      : status === "cancelled" ? [el("span", {}, W.cancelled), again]
      : info ? [el("span", {}, readyWords(info))] : []));
    fill(notices, ...said.map(({ code, message }) => el("p", { class: "notice", "data-code": code }, showText(message))));
  }

  /** @param {import("../host.js").Info} info */
  const readyWords = ({ model, engine: { backend } }) =>
    W.ready(showText(model.name), S.common.backends[backend] ?? backend, (backend === "gpu" && checkedWords(store)) || null);

  store.subscribe("model", update);
  update();
  return el("section", { class: "engine", "aria-label": W.title }, line, notices, change);
}
