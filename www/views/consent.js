// Asks before a model is loaded from a host that is neither this site nor the Hub.
import { S } from "../strings.js";
import { el, fill } from "./dom.js";
import { button } from "./fields.js";

/** @param {import("../state.js").Store} store @param {import("../session.js").Session} session */
export function consentDialog(store, session) {
  const title = el("h3", { id: "consent-title" });
  const words = el("p", {});
  const dialog = el("dialog", { "aria-labelledby": "consent-title", close: () => session.answer(dialog.returnValue === "yes") });
  const answer = (/** @type {string} */ value) => () => dialog.close(value);
  store.subscribe("model", () => {
    const { consent } = store.get("model");
    if (!consent || dialog.open) return;
    title.textContent = S.model.consent.title(consent);
    words.textContent = S.model.consent.words(consent);
    // The way out comes first, and so has the focus.
    fill(dialog, title, words, el("p", { class: "note" }, S.model.consent.size), el("div", { class: "row" }, button(S.common.cancel, answer("no")), button(S.model.consent.yes(consent), answer("yes"), { primary: true })));
    dialog.returnValue = "no";
    dialog.showModal();
  });
  return dialog;
}
