// Labelled form controls. `set` puts a value of the state into one; a field that has it is left alone, and so is its cursor.
import { showToken } from "../format.js";
import { el, uniqueId } from "./dom.js";

/** @param {{ value: string }} input */
const setter = (input) => (/** @type {string} */ value) => {
  if (input.value !== value) input.value = value;
};

/**
 * @param {string} label
 * @param {string} value
 * @param {(value: string) => void} onInput
 * @param {{ wide?: boolean, hiddenLabel?: boolean }} [look]
 */
export function textField(label, value, onInput, { wide = true, hiddenLabel = false } = {}) {
  const id = uniqueId();
  const input = el("input", { id, type: "text", value, autocomplete: "off", autocapitalize: "off", spellcheck: "false",
    input: () => onInput(input.value) });
  return { root: el("div", { class: wide ? "field wide" : "field" },
    el("label", { for: id, class: hiddenLabel && "unseen" }, label), input), input, set: setter(input) };
}

/**
 * A field for one token: its spaces count, so they are shown as signs beside the text.
 * @param {string} label
 * @param {string} value
 * @param {(value: string) => void} onInput
 */
export function tokenField(label, value, onInput) {
  const shown = el("span", { class: "token", "aria-hidden": "true" }, showToken(value));
  const field = textField(label, value, (text) => {
    shown.textContent = showToken(text);
    onInput(text);
  }, { wide: false });
  field.input.classList.add("short");
  field.input.after(shown);
  const set = (/** @type {string} */ text) => {
    field.set(text);
    shown.textContent = showToken(text);
  };
  return { ...field, set };
}

/**
 * One of a few: radio buttons that look like one bar.
 * @param {string} label
 * @param {[string, string][]} options value and text
 * @param {string} value
 * @param {(value: any) => void} onChange
 */
export function choice(label, options, value, onChange) {
  const name = uniqueId();
  const radios = options.map(([option, text]) => {
    const id = uniqueId();
    return [
      el("input", { type: "radio", id, name, value: option, checked: option === value, change: () => onChange(option) }),
      el("label", { for: id }, text),
    ];
  });
  const root = el("fieldset", { class: "choice" }, el("legend", {}, label), el("div", { class: "bar" }, ...radios.flat()));
  /** @param {string | null} option none of them where null */
  const set = (option) => {
    for (const [radio] of radios) /** @type {HTMLInputElement} */ (radio).checked = radio.getAttribute("value") === option;
  };
  return { root, set };
}

/**
 * @param {string} label
 * @param {[string, string][]} options
 * @param {string} value
 * @param {(value: any) => void} onChange
 * @param {{ hiddenLabel?: boolean }} [look]
 */
export function select(label, options, value, onChange, { hiddenLabel = false } = {}) {
  const id = uniqueId();
  const input = el("select", { id, change: () => onChange(input.value) },
    ...options.map(([option, text]) => el("option", { value: option, selected: option === value }, text)));
  return { root: el("div", { class: "field" }, el("label", { for: id, class: hiddenLabel && "unseen" }, label), input), input, set: setter(input) };
}

/**
 * The same with its options in named groups.
 * @param {string} label
 * @param {[string, string[]][]} groups
 * @param {string} value
 * @param {(value: string) => void} onChange
 */
export function groupedSelect(label, groups, value, onChange) {
  const id = uniqueId();
  const input = el("select", { id, change: () => onChange(input.value) }, ...groups.map(([group, options]) =>
    el("optgroup", { label: group }, ...options.map((option) => el("option", { value: option, selected: option === value }, option)))));
  return { root: el("div", { class: "field" }, el("label", { for: id }, label), input), input, set: setter(input) };
}

/**
 * Several lines of text.
 * @param {string} label
 * @param {string} value
 * @param {(value: string) => void} onInput
 */
export function linesField(label, value, onInput) {
  const id = uniqueId();
  const input = el("textarea", { id, rows: 3, autocomplete: "off", autocapitalize: "off", spellcheck: "false",
    input: () => onInput(input.value) }, value);
  return { root: el("div", { class: "field wide" }, el("label", { for: id }, label), input), input, set: setter(input) };
}

/** @param {string} label @param {boolean} checked @param {(checked: boolean) => void} onChange */
export function checkbox(label, checked, onChange) {
  const id = uniqueId();
  const input = el("input", { type: "checkbox", id, checked, change: () => onChange(input.checked) });
  return { root: el("div", { class: "check" }, input, el("label", { for: id }, label)), input,
    set: (/** @type {boolean} */ on) => void (input.checked = on) };
}

/** @param {string} text @param {() => void} onClick @param {{ label?: string, quiet?: boolean, primary?: boolean }} [look] */
export const button = (text, onClick, { label, quiet = false, primary = false } = {}) =>
  el("button", { type: "button", class: quiet ? "quiet" : primary && "primary", "aria-label": label, click: onClick }, text);
