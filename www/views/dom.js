// Small helpers around the DOM. Text only ever enters as text: nothing here, or anywhere, parses HTML.

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, string | number | boolean | null | undefined | ((event: any) => void)>} [props]
 *   attributes; a function is a listener, and false, null or undefined is left out
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value === true ? "" : String(value));
  }
  fill(node, ...children);
  return node;
}

/** Replaces what a node holds. @param {Element} node @param {...Child} children */
export function fill(node, ...children) {
  node.replaceChildren(...children.filter((child) => child !== null && child !== undefined && child !== false));
}

/** Replaces what a node holds. A keyboard that was in it stays: on its first control, or on the node. @param {Element} node @param {...Child} children */
export function refill(node, ...children) {
  const held = node.contains(document.activeElement);
  fill(node, ...children);
  if (held && !node.contains(document.activeElement)) land(node);
}

/** Puts the keyboard on a node's first control; where it has none, on the node, whose words are read out then. @param {Element} node */
export function land(node) {
  const control = /** @type {HTMLElement | null} */ (node.querySelector("button, a[href], input, select"));
  if (!control) for (const [name, value] of Object.entries({ tabindex: "-1", role: "group", "aria-label": node.textContent?.trim() ?? "" })) node.setAttribute(name, value);
  (control ?? /** @type {HTMLElement} */ (node)).focus({ preventScroll: true });
}

/** A box that scrolls sideways, with the keyboard too. @param {string} label */
export const scrollable = (label) => el("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": label });

let lastId = 0;
/** An id that no other element of the page has. */
export const uniqueId = () => `m${++lastId}`;

/**
 * A real table: the first cell of each row is its heading.
 * @param {string} caption
 * @param {string[]} columns
 * @param {Child[][]} rows
 */
export function table(caption, columns, rows) {
  return el("table", {},
    el("caption", {}, caption),
    el("thead", {}, el("tr", {}, ...columns.map((column) => el("th", { scope: "col" }, column)))),
    el("tbody", {}, ...rows.map(([first, ...rest]) =>
      el("tr", {}, el("th", { scope: "row" }, first), ...rest.map((cell) => el("td", {}, cell))))));
}
