// Where a model comes from: one of the page's list, an address, files of the visitor's own.
import { S } from "../strings.js";
import { MODELS, TAB_BYTES } from "../presets.js";
import { showBytes, showCount, showFixed } from "../format.js";
import { el, fill, land } from "./dom.js";
import { button, textField } from "./fields.js";

/** @param {import("../state.js").Store} store @param {import("../session.js").Session} session */
export function sourcesView(store, session) {
  const list = el("ul", { class: "models", "aria-label": S.model.list });
  let drawn = "";
  function draw() {
    const { address, status, stored, inputs } = store.get("model");
    const here = new Set(stored?.filter(({ complete }) => complete).map(({ key }) => key));
    const now = JSON.stringify([address, status, [...here], inputs.precision]);
    // A button that is rebuilt under the pointer cannot be clicked.
    if (now === drawn) return;
    drawn = now;
    const keyboard = list.contains(document.activeElement);
    fill(list, ...MODELS.map((model) => {
      const current = model.address === address && status !== "error" && status !== "cancelled";
      const local = model.address.startsWith("./");
      const kept = here.has(model.address);
      const note = [
        S.model.amount(inMillions(model.params)), S.model.needs(showBytes(model.peaks[inputs.precision])),
        local ? S.model.withPage : kept ? S.model.storedHere : S.model.fromHub,
      ].join(" · ");
      return el("li", { "aria-current": current && "true" },
        el("div", {}, el("strong", {}, model.title), el("p", {}, note), tooLarge(model, inputs.precision)),
        current ? el("span", { class: "current" }, S.model.current)
          : loadButton(local || kept ? S.model.load : S.model.download(showBytes(model.bytes)), model));
    }));
    // Not on another model's button, which Enter would press.
    const chosen = list.querySelector("[aria-current]");
    if (keyboard) land(chosen ?? list);
  }
  /** A label begins with what is to be seen, so that it can be said to a computer. @param {string} words @param {{ title: string, address: string }} model */
  function loadButton(words, { title, address }) {
    return button(words, () => session.open({ address }), { label: `${words}: ${title}` });
  }
  store.subscribe("model", draw);
  draw();

  const field = textField(S.model.address, store.get("model").inputs.url, (url) => store.edit("model", { url }));
  field.input.placeholder = S.model.addressExample;
  const form = el("form", { class: "row", submit: (/** @type {Event} */ event) => {
    event.preventDefault();
    const address = store.get("model").inputs.url.trim();
    if (address) session.open({ address });
    else field.input.focus();
  } }, field.root, el("button", { type: "submit" }, S.model.load));

  return el("div", { class: "sources" }, list, el("p", { class: "note" }, S.model.needsNote(showBytes(TAB_BYTES))), form, el("p", { class: "note" }, S.model.addressNote), dropZone((files) => session.open({ files })));
}

/** What is said of a model that no tab has room for. @param {import("../presets.js").Preset} model @param {"f32" | "f16"} precision */
const tooLarge = ({ peaks }, precision) => peaks[precision] > TAB_BYTES
  && el("p", {}, S.model.tooLarge(precision === "f32" && peaks.f16 <= TAB_BYTES ? showBytes(peaks.f16) : null));

/** @param {number} params */
export const inMillions = (params) => `${params < 1e7 ? showFixed(params / 1e6, 1) : showCount(params / 1e6)} M`;

/**
 * A place to drop files or a folder on, with buttons that do the same.
 * @param {(files: File[]) => void} onFiles
 */
function dropZone(onFiles) {
  /** @param {boolean} folder */
  const picker = (folder) => {
    const input = el("input", { type: "file", multiple: true, hidden: true, ...(folder ? { webkitdirectory: true } : {}), change: () => {
      const files = [...(input.files ?? [])];
      // The same files may be picked again.
      input.value = "";
      if (files.length) onFiles(files);
    } });
    return input;
  };
  const [files, folder] = [picker(false), picker(true)];
  const zone = el("div", { class: "drop", role: "group", "aria-label": S.model.own },
    el("p", {}, S.model.drop), el("div", { class: "row" },
      button(S.model.pickFiles, () => files.click()), button(S.model.pickFolder, () => folder.click())), files, folder);
  // Anywhere in the zone; a file that misses it must not replace the page either.
  for (const type of ["dragover", "drop"]) addEventListener(type, (event) => event.preventDefault());
  zone.addEventListener("dragover", (event) => {
    zone.dataset.over = "";
    if (event.dataTransfer) event.dataTransfer.dropEffect = "copy";
  });
  zone.addEventListener("dragleave", () => delete zone.dataset.over);
  zone.addEventListener("drop", async (event) => {
    delete zone.dataset.over;
    const dropped = await droppedFiles(event.dataTransfer);
    if (dropped.length) onFiles(dropped);
  });
  return zone;
}

/**
 * The files of a drop, and those directly in a folder that was dropped.
 * @param {DataTransfer | null} transfer
 * @returns {Promise<File[]>}
 */
async function droppedFiles(transfer) {
  // Entries must be taken before the first wait: the list is emptied after the event.
  const entries = [...(transfer?.items ?? [])].map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const found = await Promise.all(entries.map(async (entry) => {
    if (!entry || entry instanceof File) return entry ? [entry] : [];
    if (entry.isFile) return [await fileOf(/** @type {FileSystemFileEntry} */ (entry))];
    const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
    /** @type {FileSystemEntry[]} */
    const all = [];
    // A directory is read in parts, the last of which is empty.
    for (let part = await read(reader); part.length; part = await read(reader)) all.push(...part);
    return Promise.all(all.filter(({ isFile }) => isFile).map((file) => fileOf(/** @type {FileSystemFileEntry} */ (file))));
  }));
  return found.flat();
}

/** @param {FileSystemFileEntry} entry @returns {Promise<File>} */
const fileOf = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));
/** @param {FileSystemDirectoryReader} reader @returns {Promise<FileSystemEntry[]>} */
const read = (reader) => new Promise((resolve, reject) => reader.readEntries(resolve, reject));
