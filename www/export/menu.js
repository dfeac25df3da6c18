// What the export menu holds: a button for each format of a section, and the Python scripts. Loaded when the menu is opened.
import { S } from "../strings.js";
import { forFile, showText } from "../format.js";
import { el, fill } from "../views/dom.js";
import { button, select } from "../views/fields.js";
import { readTheme } from "../views/theme.js";
import { paperOf } from "./paper.js";
import { compose, partsOf } from "./picture.js";
import { aboutOf, arrays, captionOf, csv, nameOf, TooMany } from "./result.js";
import { jsonOf } from "./json.js";
import { imageOf, pngOf } from "./png.js";
import { svgOf } from "./svg.js";
import { idsOf } from "./tokens.js";
import { pythonScript, whyNoNnsight } from "./python.js";

/** @typedef {"png" | "svg" | "csv" | "json" | "npz"} Format */
/** @typedef {import("./python.js").Library} Library */
/** @typedef {import("./result.js").Item} Item */

/** The formats of a section; where nothing is drawn there is no picture. @type {Record<import("../state.js").JobKey, Format[]>} */
const FORMATS = {
  predict: ["csv", "json"], heads: ["csv", "json", "npz"],
  grid: ["png", "svg", "csv", "json", "npz"], attention: ["png", "svg", "csv", "json", "npz"], ablate: ["png", "svg", "csv", "json", "npz"],
  patch: ["png", "svg", "csv", "json", "npz"], bias: ["png", "svg", "csv", "json", "npz"], training: ["png", "svg", "csv", "json", "npz"],
};

/**
 * @param {{ store: import("../state.js").Store, key: import("../state.js").JobKey, body: Element, inside: Element,
 *   lab: () => import("../microtome.js").Lab | null }} options `inside`: what the menu is put into
 */
export function menuOf({ store, key, body, inside, lab }) {
  let paper = "page";
  const status = el("p", { class: "note", role: "status" });
  const text = el("textarea", { class: "by-hand", readonly: true, rows: 8, hidden: true, "aria-label": S.export.byHand });
  const formats = el("div", { class: "row tight" }, ...FORMATS[key].map((format) => {
    const node = button(S.export.formats[format], () => attempt(() => saveAs(format)), { quiet: true });
    node.title = S.export.titles[format];
    return node;
  }));
  const papers = select(S.export.paper, S.export.papers, paper, (to) => void (paper = to));
  const why = el("p", { class: "note" });
  const scripts = /** @type {Library[]} */ (["transformer_lens", "nnsight"]).map((library) => {
    const name = S.export.libraries[library];
    return el("div", { class: "row tight script", "data-library": library }, el("span", {}, name),
      button(S.export.copy, () => attempt(() => copy(library)), { quiet: true, label: S.export.copyLabel(name) }),
      button(S.export.save, () => attempt(async () => save(`${base()}${library === "nnsight" ? "-nnsight" : ""}.py`, "text/x-python", await script(library))), { quiet: true, label: S.export.saveLabel(name) }));
  });
  fill(inside, formats, FORMATS[key].includes("png") && papers.root, el("div", { class: "scripts" }, el("span", { class: "words" }, S.export.python), ...scripts), why, status, text);

  const value = () => /** @type {any} */ (store.get(key).job.value);
  /** Of a training under way, and before anything was computed, there is none. */
  const result = () => (value() && "result" in value() ? value().result : value());
  const base = () => nameOf(result().experiment);

  /** The lab, if it has the model that the result is of. */
  function labOfResult() {
    const open = lab();
    const { model } = result();
    return open && open.info.model.name === model.name && (open.info.model.sha256 ?? null) === (model.sha256 ?? null) ? open : null;
  }

  const experiment = () => result().experiment;

  /** The tokens whose positions are axes. @returns {Promise<Record<string, import("../microtome.js").Token[]>>} */
  async function tokens() {
    const e = experiment();
    if (e.kind === "predict") return { prompt: result().tokens };
    if (e.kind === "trace" && value().tokens) return { prompt: value().tokens };
    const axes = result().axes ?? [];
    if (!axes.some((/** @type {string} */ axis) => ["pos", "dest", "src"].includes(axis))) return {};
    const [first] = e.pairs ?? e.prompts ?? [e];
    const prompts = e.kind === "patch" ? { clean: first.clean, corrupted: first.corrupted } : { prompt: first.prompt };
    const entries = await Promise.all(Object.entries(prompts).map(async ([name, prompt]) => [name, await tokensOf(prompt, e.prepend_bos !== false)]));
    return Object.fromEntries(entries);
  }

  /** @param {import("../microtome.js").Prompt} prompt @param {boolean} bos */
  async function tokensOf(prompt, bos) {
    if (typeof prompt !== "string") return prompt.map((id) => ({ id, text: null }));
    const open = labOfResult();
    if (!open) throw new Error(S.export.wait);
    return open.tokenize(prompt, bos);
  }

  /** Of the model that was measured: another one may be loaded, or may have failed to load. */
  const address = () => /** @type {string} */ (store.get(key).job.address);
  /** @returns {Promise<Item>} */
  const item = async () => ({
    result: result(), key, address: address(), browser: navigator.userAgent, tokens: await tokens(), figure: value().figure,
    ...(value().series ? { series: value().series } : {}), unfinished: Boolean(value().sofar), recorded: store.get(key).job.recorded,
  });

  /** @param {Item} of */
  function picture(of) {
    const theme = paperOf(readTheme(), paper);
    const title = of.figure?.title ?? S[key].title;
    const about = aboutOf(of);
    const caption = captionOf(about).map(showText);
    const drawing = forFile(() => compose(partsOf(body, theme), { title, caption }, theme));
    return { drawing, theme, title, desc: `${caption.join("\n")}\n${JSON.stringify(about)}`, background: paper === "none" ? "transparent" : theme.surface };
  }

  /** @param {Format} format */
  async function saveAs(format) {
    const of = await item();
    const name = `${nameOf(of.result.experiment)}.${format}`;
    switch (format) {
      case "csv": return save(name, "text/csv", csv(of));
      case "json": return save(name, "application/json", jsonOf(of.result, of));
      case "npz": {
        const npz = await import("./npz.js");
        return save(name, "application/zip", /** @type {BlobPart} */ (npz.npzOf(arrays(of, npz))));
      }
      case "svg": {
        const { drawing, ...words } = picture(of);
        return save(name, "image/svg+xml", svgOf(drawing, { ...words, image: imageOf }));
      }
      case "png": {
        const { drawing, ...words } = picture(of);
        return save(name, "image/png", /** @type {BlobPart} */ (await pngOf(drawing, words)));
      }
    }
  }

  const source = () => {
    const { name, sha256, n_layers, step } = result().model;
    const from = address();
    const beside = /^(hf:|https?:|local$)/.test(from) ? undefined : new URL(from, document.baseURI).href;
    return { name, sha256: sha256 ?? null, n_layers, address: from, ...(step === undefined ? {} : { step }), ...(beside ? { url: beside } : {}) };
  };

  /** @param {Library} library */
  async function script(library) {
    const e = experiment();
    const ids = await idsOf(e, async (words, bos) => (await tokensOf(words, bos)).map(({ id }) => id));
    const { engine, checkpoints } = result();
    return pythonScript(e, {
      ids, library, source: source(), build: engine?.build, precision: engine?.precision,
      steps: checkpoints?.map((/** @type {{ step: number }} */ { step }) => step),
    });
  }

  /** @param {Library} library */
  async function copy(library) {
    const words = await script(library);
    try {
      await navigator.clipboard.writeText(words);
      say(S.export.copied);
    } catch {
      byHand(words, S.export.byHand);
    }
  }

  /** A box to copy from. @param {string} words @param {string} reason */
  function byHand(words, reason) {
    text.value = words;
    text.hidden = false;
    say(reason);
    text.focus();
    text.select();
  }

  /** Hands a file to the visitor. @param {string} name @param {string} type @param {BlobPart} content */
  function save(name, type, content) {
    const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
    el("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
    // In a sandboxed frame a download is dropped without a word: what is text can be copied instead.
    if (self.origin === "null" && typeof content === "string") byHand(content, S.export.saveByHand);
    else say(S.export.saved(name));
  }

  /** @param {string} words */
  const say = (words) => void (status.textContent = words);

  /** @param {() => unknown} work */
  async function attempt(work) {
    text.hidden = true;
    say("");
    try {
      await work();
    } catch (error) {
      say(error instanceof TooMany ? S.export.tooMany : S.export.failed(error instanceof Error ? error.message : String(error)));
    }
  }

  return {
    /** Another result is there. */
    update() {
      if (!result()) return;
      const reason = whyNoNnsight(experiment(), source());
      const nnsight = scripts[1];
      nnsight.hidden = reason !== null;
      why.textContent = reason === null ? S.export.rawWeights : S.export.noNnsight(reason);
      text.hidden = true;
      say("");
    },
  };
}
