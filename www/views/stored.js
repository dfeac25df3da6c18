// The models in this browser's storage: how large they are, whether they are still what they were, and a way out.
import { LabError } from "../errors.js";
import { Lab } from "../microtome.js";
import { S } from "../strings.js";
import { showBytes, showText } from "../format.js";
import { el, fill } from "./dom.js";
import { button } from "./fields.js";

/** @param {import("../state.js").Store} store @param {import("../session.js").Session} session */
export function storedView(store, session) {
  const summary = el("summary", {});
  const list = el("ul", { class: "models" });
  const note = el("p", { class: "note" });
  const root = el("details", { class: "stored" }, summary, list, note);
  /** What was last said about a model, by its key. @type {Map<string, string>} */
  const said = new Map();
  let drawn = "";

  function draw() {
    const { stored, keeps } = store.get("model");
    root.hidden = !stored?.length;
    const now = JSON.stringify([stored, keeps, [...said]]);
    if (now === drawn || !stored) return;
    drawn = now;
    note.textContent = `${S.model.stored.note} ${keeps ? S.model.stored.keeps : S.model.stored.mayRemove}`;
    summary.textContent = S.model.stored.title(stored.length, showBytes(stored.reduce((sum, { bytes }) => sum + bytes, 0)));
    fill(list, ...stored.map(item));
  }

  /** @param {import("../microtome.js").StoredModel} model */
  function item({ key, bytes, complete, where, files }) {
    const name = showText(shownKey(key));
    const size = files.reduce((sum, { size }) => sum + (size ?? 0), 0);
    const note = [complete ? showBytes(bytes) : S.model.stored.part(showBytes(bytes), size > bytes ? showBytes(size) : null), S.model.stored.where[where]].join(" · ");
    const words = el("p", { class: "said", role: "status" }, said.get(key) ?? "");
    const say = (/** @type {string} */ text) => {
      said.set(key, text);
      words.textContent = text;
    };
    const verify = button(S.model.stored.verify, async () => {
      verify.disabled = remove.disabled = true;
      const checked = await Lab.verifyStored(key, { onProgress: ({ all_loaded, all_total }) => {
        words.textContent = S.model.stored.verifying(showBytes(all_loaded), showBytes(all_total ?? 0));
      } }).catch(failure);
      verify.disabled = remove.disabled = false;
      if (document.activeElement === document.body) verify.focus();
      if (typeof checked === "string") return say(checked);
      const bad = checked.filter(({ ok }) => !ok).map(({ file }) => file);
      say(bad.length ? S.model.stored.bad(bad.join(", ")) : S.model.stored.good(checked.length));
      await session.lookUp();
    }, { quiet: true, label: `${S.model.stored.verify}: ${name}` });
    const remove = button(S.model.stored.remove, async () => {
      verify.disabled = remove.disabled = true;
      const error = await Lab.deleteStored(key).catch(failure);
      verify.disabled = remove.disabled = false;
      if (typeof error === "string") {
        remove.focus();
        return say(error);
      }
      said.delete(key);
      summary.focus();
      await session.lookUp();
    }, { quiet: true, label: `${S.model.stored.remove}: ${name}` });
    return el("li", {}, el("div", {}, el("strong", {}, name), el("p", {}, note), words), el("div", { class: "row tight" }, verify, remove));
  }

  store.subscribe("model", draw);
  draw();
  return root;
}

/** @param {any} error */
const failure = (error) => (error instanceof LabError ? [error.message, error.action].filter(Boolean).join(" ") : String(error));

/** A key for people: a commit by its first digits, a folder below this page by its path. @param {string} key */
function shownKey(key) {
  const base = new URL("./", document.baseURI).href;
  return key.startsWith(base) ? `./${decodeURIComponent(key.slice(base.length))}` : key.replace(/@([0-9a-f]{7})[0-9a-f]{33}$/, "@$1…");
}
