// What section 3 asks for: formats × names or a list of prompts, typed, pasted as a table, or from a .csv file. Longer than
// most files: the lists share what is pasted and what is said of it.
import { S } from "../strings.js";
import { isTable, taken } from "../prompt_table.js";
import { TableError } from "../csv.js";
import { toPlain } from "../errors.js";
import { withName } from "../experiments.js";
import { showBytes, showText, showToken } from "../format.js";
import { answerField, promptChips } from "./chips.js";
import { el, fill, land } from "./dom.js";
import { button, choice, select, textField } from "./fields.js";
import { rowsTable } from "./grid_rows.js";
import { errorBox } from "./section.js";

/** @typedef {import("../state.js").GridInputs} GridInputs */
/** @typedef {import("../prompt_table.js").Target} Target */

/** A file with more bytes is not read. */
const MOST_BYTES = 5e6;
const words = S.prompts.table;

/** @param {import("../state.js").Store} store @param {import("../tokens.js").TokenSource} tokens @returns {Node[]} */
export function gridFields(store, tokens) {
  const now = () => store.get("grid").inputs;
  /** @param {Partial<GridInputs>} patch */
  const edit = (patch) => store.edit("grid", patch);
  const said = el("div", { class: "table-said", role: "status" });

  /** Takes a text in, or says why not. @param {string} text @param {Target} target @param {number} at */
  function take(text, target, at) {
    try {
      const { patch, said: done } = taken(text, target, at, now());
      edit(patch);
      fill(said, el("p", { class: "note" }, done));
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
      fill(said, errorBox(toPlain(error)));
    }
  }

  /** A field into which more than one cell can be pasted. @param {HTMLInputElement} input @param {Target} target @param {number} at */
  const pastable = (input, target, at) => input.addEventListener("paste", (event) => {
    const text = event.clipboardData?.getData("text/plain") ?? "";
    if (!isTable(text)) return;
    event.preventDefault();
    take(text, target, at);
  });

  const use = choice(words.use, words.uses, now().use, (to) => edit({ use: to }));

  /** A list was built anew: the keyboard goes where the work goes on. @param {HTMLElement | undefined} field @param {Element} list */
  const onto = (field, list) => (field ? field.focus() : land(list));

  // Formats: the chips are those of the one with the cursor, filled with the first name, so that nothing moves about.
  const formats = el("div", { class: "list" });
  /** @type {ReturnType<typeof textField>[]} */
  let formatFields = [];
  let looked = 0;
  const chips = promptChips(tokens, () => withName(now().formats[looked] ?? "", now().names[0]?.name ?? "{}"), () => words.ofFormat);
  const chipsOf = el("p", { class: "note" });
  /** @param {number} index */
  const look = (index) => {
    looked = Math.max(0, Math.min(index, now().formats.length - 1));
    chipsOf.textContent = now().formats.length ? `${words.shown(S.grid.format(looked + 1))}:` : "";
    chips.look();
  };
  function drawFormats() {
    formatFields = now().formats.map((format, i) => {
      const label = S.grid.format(i + 1);
      const field = textField(label, format, (text) => edit({ formats: now().formats.with(i, text) }));
      field.root.classList.add("numbered");
      field.root.append(button("×", () => {
        edit({ formats: now().formats.toSpliced(i, 1) });
        onto(formatFields[Math.min(i, formatFields.length - 1)]?.input, formats);
      }, { quiet: true, label: S.grid.remove(label) }));
      field.input.addEventListener("focus", () => look(i));
      pastable(field.input, "formats", i);
      return field;
    });
    fill(formats, ...formatFields.map(({ root }) => root), button(S.grid.addFormat, () => {
      edit({ formats: [...now().formats, "{}"] });
      onto(formatFields.at(-1)?.input, formats);
    }, { quiet: true }));
  }

  const names = el("div", { class: "list beside" });
  /** @type {{ field: ReturnType<typeof textField>, pick: ReturnType<typeof select>, remove: HTMLButtonElement }[]} */
  let nameFields = [];
  function drawNames() {
    const options = now().answers.map((answer, i) => /** @type {[string, string]} */ ([String(i), showToken(answer)]));
    nameFields = now().names.map(({ name, answer }, i) => {
      /** @param {Partial<import("../state.js").Name>} patch */
      const set = (patch) => edit({ names: now().names.with(i, { ...now().names[i], ...patch }) });
      const field = textField(S.grid.name(i + 1), name, (text) => set({ name: text }), { wide: false, hiddenLabel: true });
      pastable(field.input, "names", i);
      const pick = select(S.grid.answerOf(showText(name)), options, String(answer), (to) => set({ answer: to === "0" ? 0 : 1 }), { hiddenLabel: true });
      const remove = button("×", () => {
        edit({ names: now().names.toSpliced(i, 1) });
        onto(nameFields[Math.min(i, nameFields.length - 1)]?.field.input, names);
      }, { quiet: true, label: S.grid.remove(showText(name)) });
      return { field, pick, remove };
    });
    fill(names, ...nameFields.map(({ field, pick, remove }) => el("div", { class: "row tight" }, field.root, pick.root, remove)),
      button(S.grid.addName, () => {
        edit({ names: [...now().names, { name: "", answer: 0 }] });
        onto(nameFields.at(-1)?.field.input, names);
      }, { quiet: true }));
  }
  const answers = [S.grid.first, S.grid.second].map((label, i) => answerField(tokens, label, now().answers[i], (text) =>
    edit({ answers: /** @type {[string, string]} */ (now().answers.with(i, text)) })));
  answers.forEach(({ input }, i) => pastable(input, "answers", i));

  const rows = rowsTable(store, tokens, pastable);
  const picker = el("input", { type: "file", accept: ".csv,.tsv,.txt,text/csv,text/plain", hidden: true, change: () => {
    const [file] = picker.files ?? [];
    picker.value = "";
    if (file) read(file);
  } });
  /** @param {File} file */
  async function read(file) {
    if (file.size > MOST_BYTES) return fill(said, errorBox({ code: "table.too_large", message: words.tooLarge(showBytes(file.size), showBytes(MOST_BYTES)), action: words.unchanged }));
    const text = await file.arrayBuffer().then((bytes) => new TextDecoder("utf-8", { fatal: true }).decode(bytes)).catch(() => null);
    if (text !== null) take(text, "prompt", 0);
    else fill(said, errorBox({ code: "table.unreadable", message: words.unreadable(showToken(file.name)), action: words.unchanged }));
  }

  const group = (/** @type {string} */ title, /** @type {Node[]} */ ...nodes) =>
    el("fieldset", { class: "group" }, el("legend", {}, title), ...nodes);
  const byFormat = el("div", { class: "stack" },
    group(S.grid.formats, el("p", { class: "note" }, S.grid.formatNote), formats, chipsOf, chips.root),
    group(S.grid.names, el("div", { class: "row top" }, ...answers.map(({ root }) => root)), names));
  const byRow = group(words.list, rows.root);
  const zone = el("div", { class: "drop" }, el("p", {}, words.note), button(words.file, () => picker.click()), picker);
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.dataset.over = "";
  });
  zone.addEventListener("dragleave", () => delete zone.dataset.over);
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    delete zone.dataset.over;
    const [file] = event.dataTransfer?.files ?? [];
    const text = event.dataTransfer?.getData("text/plain");
    if (file) read(file);
    else if (text) take(text, "prompt", 0);
  });

  let drawn = "";
  /** Puts the state into the fields; lists are built anew only where they became longer or shorter, so that no cursor is lost. */
  function arrange() {
    const inputs = now();
    use.set(inputs.use);
    byFormat.hidden = inputs.use === "rows";
    byRow.hidden = inputs.use === "formats";
    answers.forEach((field, i) => field.set(inputs.answers[i]));
    const options = JSON.stringify(inputs.answers);
    if (formatFields.length !== inputs.formats.length || !formats.firstChild) drawFormats();
    if (nameFields.length !== inputs.names.length || options !== drawn) drawNames();
    drawn = options;
    inputs.formats.forEach((text, i) => formatFields[i].set(text));
    inputs.names.forEach(({ name, answer }, i) => {
      const { field, pick, remove } = nameFields[i];
      field.set(name);
      pick.set(String(answer));
      /** @type {HTMLElement} */ (pick.root.firstChild).textContent = S.grid.answerOf(showText(name));
      remove.setAttribute("aria-label", S.grid.remove(showText(name)));
    });
    rows.arrange();
    look(looked);
  }
  let seen = now();
  store.subscribe("grid", () => {
    if (now() === seen) return;
    seen = now();
    arrange();
  });
  arrange();
  return [use.root, byFormat, byRow, zone, said];
}
