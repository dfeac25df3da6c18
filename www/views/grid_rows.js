// Section 3's prompts as a list: each with its answers, and what the model makes of them.
import { S } from "../strings.js";
import { MOST_ROWS } from "../state.js";
import { nameOf, showCount, showToken } from "../format.js";
import { el, fill } from "./dom.js";
import { button } from "./fields.js";

/** @typedef {import("../state.js").Row} Row */

/** So many are shown at once. */
const STEP = 20;
const CELLS = /** @type {const} */ (["prompt", "correct", "incorrect"]);
const words = S.prompts.table;

/**
 * @param {import("../state.js").Store} store
 * @param {import("../tokens.js").TokenSource} tokens
 * @param {(input: HTMLInputElement, column: typeof CELLS[number], at: number) => void} pastable
 */
export function rowsTable(store, tokens, pastable) {
  const now = () => store.get("grid").inputs.rows;
  /** @param {Row[]} rows */
  const edit = (rows) => store.edit("grid", { rows });
  let most = STEP;
  /** @type {{ inputs: HTMLInputElement[], check: HTMLElement }[]} */
  let lines = [];
  const body = el("tbody", {});
  const [prompt, correct, incorrect, check] = words.columnNames;
  const more = button("", () => {
    most += 100;
    draw();
  }, { quiet: true });
  const add = button(S.prompts.table.add, () => {
    const { answers } = store.get("grid").inputs;
    most = Math.max(most, now().length + 1);
    edit([...now(), { prompt: "", correct: answers[0], incorrect: answers[1] }]);
    lines.at(-1)?.inputs[0].focus();
  }, { quiet: true });
  const spaces = button(words.spaces, () => edit(now().map(({ prompt, correct, incorrect }) => ({ prompt, correct: spaced(correct), incorrect: spaced(incorrect) }))), { quiet: true });
  const root = el("div", { class: "prompt-rows" },
    el("table", {}, el("caption", { class: "unseen" }, words.list),
      el("thead", {}, el("tr", {}, ...[prompt, correct, incorrect, check, ""].map((name) => (name ? el("th", { scope: "col" }, name) : el("td", {}))))), body),
    el("div", { class: "row" }, add, more, spaces));

  const look = tokens.watch(() => (store.get("grid").inputs.use === "rows" ? now() : []).slice(0, most).flatMap((row) => CELLS.map((name) => ({ text: row[name], bos: name === "prompt" }))), (found) => {
    lines.forEach(({ check }, i) => {
      const [text, ...answers] = found.slice(3 * i, 3 * i + 3);
      const bad = answers.find((answer) => answer && answer.tokens.length !== 1);
      check.classList.toggle("bad", Boolean(bad ?? text?.refused));
      check.textContent = !text ? "" : text.refused !== null ? text.refused : bad ? words.pieces(showToken(bad.text), bad.tokens.slice(0, 6).map(nameOf).join(" | ")) : words.good(text.tokens.length);
    });
  });

  function draw() {
    lines = now().slice(0, most).map((_, i) => ({ check: el("td", { class: "check-cell", "data-name": check }), inputs: CELLS.map((name) => {
      const input = el("input", { type: "text", "aria-label": words[name](i + 1), autocomplete: "off", autocapitalize: "off", spellcheck: "false",
        input: () => edit(now().with(i, { ...now()[i], [name]: input.value })) });
      pastable(input, name, i);
      return input;
    }) }));
    fill(body, ...lines.map(({ inputs, check }, i) => el("tr", {}, ...inputs.map((input, j) => el("td", { "data-name": words.columnNames[j] }, input)), check,
      el("td", { class: "remove" }, button("×", () => {
        edit(now().toSpliced(i, 1));
        (lines[Math.min(i, lines.length - 1)]?.inputs[0] ?? add).focus();
      }, { quiet: true, label: S.grid.remove(words.prompt(i + 1)) })))));
    arrange();
  }

  function arrange() {
    const rows = now();
    if (lines.length !== Math.min(most, rows.length)) return draw();
    lines.forEach(({ inputs }, i) => CELLS.forEach((name, j) => {
      if (inputs[j].value !== rows[i][name]) inputs[j].value = rows[i][name];
    }));
    more.hidden = rows.length <= most;
    more.textContent = words.more(showCount(Math.min(100, rows.length - most)));
    add.disabled = rows.length >= MOST_ROWS;
    spaces.hidden = !rows.some(({ correct, incorrect }) => spaced(correct) !== correct || spaced(incorrect) !== incorrect);
    look();
  }
  return { root, arrange };
}

/** A word with the space that belongs to it in most prompts. @param {string} answer */
const spaced = (answer) => (/^\p{L}/u.test(answer) ? ` ${answer}` : answer);
