// Keeps the page's state in the address, and takes one from there: a link that is opened, pasted or typed.
//
// The address is rewritten in place (`replaceState`), so typing makes no history. Links within the page are plain anchors
// (`#ablate`): the browser scrolls, moves the focus and makes an entry in the history as ever, and then that entry's address
// gets the state, with `s=ablate` for the place. Going back and forth between such entries moves about the page and leaves
// what was typed alone; only an address that did not come from here is taken as a link.
import { gather } from "./page_state.js";
import { toPlain } from "./errors.js";

/** @typedef {import("./link.js").Link} Link */
/** @typedef {import("./link.js").Section} Section */
/** @typedef {import("./errors.js").PlainError} PlainError */

/** Milliseconds without a change before the address is rewritten: Safari allows 100 times in 30 seconds. */
const PAUSE = 400;

/** What reads and writes links: most visits begin without one. */
const codec = () => import("./link.js");

/** What the address says now. @returns {Promise<{ link: Link | null, error: PlainError | null }>} */
export async function readAddress() {
  if (location.hash === "") return { link: { state: {}, section: null, ignored: [] }, error: null };
  try {
    return { link: await (await codec()).decode(location.hash), error: null };
  } catch (error) {
    return { link: null, error: toPlain(error) };
  }
}

/**
 * @param {import("./state.js").Store} store
 * @param {{ section: Section | null, onLink: (read: { link: Link | null, error: PlainError | null }) => void }} options
 *   `section`: where the page began; `onLink`: another link was opened on this page
 */
export function addressBar(store, { section, onLink }) {
  let written = 0;
  /** The address that was written, or heard of. */
  let known = location.href;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  async function write() {
    const mine = ++written;
    // What is too much for a link has none: an old one would be wrong.
    const hash = await codec().then(({ encode }) => encode(gather(store), section)).catch(() => section ?? "");
    // An address that nobody has heard of yet is another link: it is not written over before it is read.
    if (mine !== written || location.href !== known) return;
    try {
      history.replaceState({ microtome: true }, "", hash ? `#${hash}` : location.pathname + location.search);
      known = location.href;
    } catch {
      // A browser that finds it too often: the next change writes it.
    }
  }

  addEventListener("hashchange", async () => {
    known = location.href;
    const ours = Boolean(history.state?.microtome);
    const read = await readAddress();
    const at = read.link?.section ?? null;
    if (read.link) section = at;
    if (!ours && (read.error || Object.keys(read.link?.state ?? {}).length)) onLink(read);
    if (read.link) await write();
  });
  for (const part of /** @type {import("./state.js").Key[]} */ (["model", "settings", "look", "predict", "grid", "attention", "ablate", "patch", "bias", "heads", "training"])) {
    let seen = watched(store, part);
    store.subscribe(part, () => {
      const now = watched(store, part);
      if (now.every((value, i) => value === seen[i])) return;
      seen = now;
      clearTimeout(timer);
      timer = setTimeout(write, PAUSE);
    });
  }

  return {
    /** The whole address of the page as it is. @param {Section | null} section @returns {Promise<string>} @throws {import("./link.js").LinkError} */
    async linkTo(section) {
      const hash = await (await codec()).encode(gather(store), section);
      return new URL(hash ? `#${hash}` : location.pathname + location.search, location.href).href;
    },
  };
}

/** What of a part a link depends on. @param {import("./state.js").Store} store @param {import("./state.js").Key} part */
const watched = (store, part) => {
  const now = /** @type {any} */ (store.get(part));
  return [now.inputs, now.view, now.address, now.linked, now.map, now.signs, now.ranges];
};
