// What the “Embed” menu holds: a section's figure as HTML for other pages, with its result frozen in it, or as a frame that
// computes it anew. Loaded when the menu is opened.
import { toPlain } from "../errors.js";
import { readable } from "../embed/live.js";
import { readSpec } from "../embed/spec.js";
import { patternHook } from "../experiments.js";
import { patternFigure, patternsOf } from "../figures.js";
import { encode } from "../link.js";
import { isAddress } from "../link_fields.js";
import { elementOf, listenerOf, snippetOf } from "../snippet.js";
import { S } from "../strings.js";
import { EMBED_MENU } from "../strings/embed_menu.js";
import { el, fill } from "../views/dom.js";
import { copying } from "../views/tools.js";

/** @typedef {"attention" | "ablate" | "patch"} Embedded the sections whose figure `embed.html` shows */
/** @typedef {"element" | "frame" | "listener"} Way */

const words = EMBED_MENU;
const WAYS = /** @type {Way[]} */ (["element", "frame", "listener"]);

/** Why a figure cannot be embedded, as a sentence. */
class No extends Error {}

/** Of the model that was measured, whatever is loaded by now. @param {import("../state.js").Store} store @param {Embedded} key */
const addressOf = (store, key) => store.get(key).job.address ?? "local";

/**
 * What the element draws: the experiment with its result. The same that `MicrotomeFigure.recorded` gives.
 * @param {import("../state.js").Store} store @param {Embedded} key
 * @returns {import("../embed/spec.js").Spec}
 * @throws {No} where it would not be one figure of one model that others can load
 */
export function specOf(store, key) {
  const { job: { value } } = store.get(key);
  const { info } = store.get("model");
  const address = addressOf(store, key);
  if (!isAddress(address)) throw new No(words.local);
  const { result: { experiment, model, engine }, sofar } = value;
  if (info && info.model.sha256 !== model.sha256) throw new No(words.other);
  if (sofar) throw new No(words.unfinished);
  const made = { version: 1, model: { name: model.name, sha256: model.sha256 }, engine: { backend: engine.backend, build: engine.build } };
  if (key !== "attention") {
    if (value.figure.panel_axes) throw new No(words.panels);
    return checked({ ...made, experiment, figure: readable(value.figure) });
  }
  const { head: { layer, head } } = store.get("attention").view;
  const all = patternsOf(value.result);
  const pattern = all.find((one) => one.layer === layer && one.head === head) ?? all[0];
  return checked({ ...made, experiment: { ...experiment, hooks: [patternHook(pattern.layer)] }, head: { layer: pattern.layer, head: pattern.head }, figure: patternFigure(pattern, value.tokens) });
}

/** As a page that embeds it will read it: what it would refuse is not handed out. @param {object} spec */
const checked = (spec) => readSpec(JSON.stringify(spec));

/**
 * The part of the page's state that one figure depends on.
 * @param {import("../state.js").Store} store @param {Embedded} key
 * @returns {import("../link.js").LinkState}
 */
function stateOf(store, key) {
  const address = addressOf(store, key);
  const { head } = store.get("attention").view;
  return {
    model: { address }, settings: store.get("settings").inputs, [key]: store.get(key).inputs,
    ...(key === "attention" ? { look: { head, locked: true } } : {}),
    ...(key === "ablate" && store.get("ablate").inputs.batch === "grid" ? { grid: store.get("grid").inputs } : {}),
  };
}

/** @param {{ store: import("../state.js").Store, key: Embedded, inside: Element }} options `inside`: what the menu is put into */
export function embedMenuOf({ store, key, inside }) {
  const base = new URL("./", document.baseURI).href;
  const why = el("p", { class: "note", role: "status" });
  const status = el("p", { class: "note", role: "status" });
  const fields = WAYS.map((way) => {
    const id = `embed-${key}-${way}`;
    const text = el("textarea", { id, class: "by-hand", readonly: true, rows: way === "frame" ? 3 : 4, spellcheck: "false" });
    const copy = copying(words.copy, async () => {
      status.textContent = "";
      try {
        await navigator.clipboard.writeText(text.value);
        status.textContent = words.copied;
        return true;
      } catch {
        status.textContent = words.byHand;
        text.focus();
        text.select();
        return false;
      }
    }, { label: words.copyLabel(words.ways[way].title) });
    const note = el("p", { class: "note" });
    return {
      way,
      /** @param {string | No} html or why there is none */
      show(html) {
        const none = html instanceof No;
        text.hidden = copy.hidden = none;
        note.textContent = none ? html.message : words.ways[way].about(new URL(base).host);
        if (!none && text.value !== html) text.value = html;
      },
      root: el("div", { class: "embed-way", "data-way": way }, el("div", { class: "row tight" }, el("label", { for: id }, words.ways[way].title), copy), note, text),
    };
  });
  const ways = el("div", { class: "embed-ways" }, ...fields.map(({ root }) => root));
  fill(inside, why, ways, status);

  /** @returns {Promise<Record<Way, string | No>>} */
  async function made() {
    const spec = specOf(store, key);
    const hash = await encode(stateOf(store, key), key);
    const title = spec.figure?.title ?? S[key].title;
    const model = addressOf(store, key);
    // A frame shows what a link says, and asks no host that a link has chosen: embed.js.
    const host = model.startsWith("https://") && !model.startsWith(base) ? new No(words.host(new URL(model).host)) : null;
    return {
      element: elementOf({ spec, model, title, hash, base }),
      frame: host ?? snippetOf({ hash, title, base }), listener: listenerOf(base),
    };
  }

  let last = 0;
  return {
    /** Another result, head or model is there. */
    async update() {
      const mine = ++last;
      const result = await made().catch((error) => error);
      if (mine !== last) return;
      const failed = result instanceof Error;
      ways.hidden = failed;
      status.textContent = "";
      why.textContent = failed ? (result instanceof No ? result.message : words.failed(toPlain(result).message)) : words.intro;
      if (!failed) for (const { way, show } of fields) show(result[way]);
    },
  };
}
