// The menus under a section, to export it and to embed it: summaries that cost nothing until they are opened.
import { toPlain } from "../errors.js";
import { S } from "../strings.js";
import { el, fill } from "./dom.js";

/** @typedef {import("../state.js").Store} Store @typedef {import("../state.js").JobKey} JobKey */

/** The page's lab. @type {() => import("../microtome.js").Lab | null} */
let labOf = () => null;
/** Says where the page's lab is: tokens are asked of it. @param {typeof labOf} lab */
export const exportWith = (lab) => void (labOf = lab);

/** Sections whose figure other pages can show. */
const EMBEDDED = /** @type {const} */ (["attention", "ablate", "patch"]);

/**
 * @param {{ store: Store, key: JobKey, body: Element }} section `body`: with its figures
 * @returns {HTMLElement} hidden as long as there is nothing to export
 */
export function sectionMenus({ store, key, body }) {
  const figure = EMBEDDED.find((known) => known === key);
  return el("div", { class: "menus" },
    menu(store, key, { kind: "export", words: S.export, load: async (inside) => (await import("../export/menu.js")).menuOf({ store, key, body, inside, lab: () => labOf() }) }),
    figure && menu(store, key, { kind: "embed", words: S.embed, parts: ["attention", "model"],
      load: async (inside) => (await import("../export/embed.js")).embedMenuOf({ store, key: figure, inside }) }));
}

/**
 * @param {Store} store @param {JobKey} key
 * @param {{ kind: string, words: { open: string, label: (section: string) => string }, parts?: import("../state.js").Key[],
 *   load: (inside: Element) => Promise<{ update: () => void }> }} menu `parts`: of the state, whose changes it follows while it is open
 */
function menu(store, key, { kind, words, parts = [], load }) {
  const inside = el("div", { class: "menu-body" });
  const root = el("details", { class: `menu ${kind}`, hidden: true, toggle: open }, el("summary", { "aria-label": words.label(S[key].title) }, words.open), inside);
  /** @type {{ update: () => void } | null} */
  let loaded = null;
  let asked = false;

  async function open() {
    if (!root.open || asked) return follow();
    asked = true;
    fill(inside, el("p", { class: "note" }, S.export.loading));
    try {
      loaded = await load(inside);
    } catch (error) {
      // Without a network: it is asked for again when the menu is opened again.
      asked = false;
      return fill(inside, el("p", { class: "note", role: "alert" }, S.export.failed(toPlain(error).message)));
    }
    follow();
  }

  /** What is not seen waits until it is: a menu stays open while its section has no result, and there is nothing to follow then. */
  const follow = () => void (root.open && !root.hidden && loaded?.update());
  const update = () => {
    const { value } = store.get(key).job;
    // A training under way has no result yet.
    root.hidden = value === null || "result" in value && value.result === null;
    follow();
  };
  let seen = store.get(key).job.value;
  store.subscribe(key, () => {
    const { value } = store.get(key).job;
    if (value === seen) return;
    seen = value;
    update();
  });
  for (const part of parts) store.subscribe(part, follow);
  update();
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !root.open) return;
    event.stopPropagation();
    root.open = false;
    root.querySelector("summary")?.focus();
  });
  return root;
}
