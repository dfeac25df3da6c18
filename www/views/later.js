// A section whose code comes later: when it is near what is seen, when the model is there, or when nothing is to be loaded
// by itself. What a first visit fetches before the model is for what it sees first.
import { toPlain } from "../errors.js";
import { S } from "../strings.js";
import { el } from "./dom.js";
import { button } from "./fields.js";
import { errorBox, section } from "./section.js";

/** @typedef {import("../state.js").JobKey} JobKey */

/** Does something once an element is within a screen or two of what is seen. @param {Element} element @param {() => void} act */
export function near(element, act) {
  const watch = new IntersectionObserver((entries) => {
    if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
    watch.disconnect();
    act();
  }, { rootMargin: "200% 0px" });
  watch.observe(element);
}

/**
 * Stands in for a section, with its heading, until its code is there.
 * @param {JobKey} key
 * @param {import("../state.js").Store} store
 * @param {import("../session.js").Session} session
 * @param {() => Promise<Element>} load gives the section
 * @returns {Element} a box that holds the one, then the other
 */
export function later(key, store, session, load) {
  const frame = section(key);
  const root = el("div", { class: "later" }, frame.root);
  let asked = false;
  async function bring() {
    if (asked) return;
    asked = true;
    try {
      root.replaceChildren(await load());
      session.recordings.offer(key);
      // What came while the code was on its way is drawn.
      store.update(key, {});
    } catch (error) {
      asked = false;
      frame.status.replaceChildren(errorBox(toPlain(error)), button(S.common.again, bring));
    }
  }
  near(root, bring);
  session.onReady(bring);
  const ends = store.subscribe("model", () => {
    if (!store.get("model").held) return;
    ends();
    void bring();
  });
  return root;
}
