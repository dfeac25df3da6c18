// Where the files of models are kept between visits: the origin's private file system, else IndexedDB, else memory.
// `store/` has a file for each; what they have in common is described here.
import { modelKey } from "./store/entry.js";
import { openIdb } from "./store/idb.js";
import { Memory } from "./store/memory.js";
import { openOpfs } from "./store/opfs.js";

/** @typedef {import("./store/entry.js").Entry} Entry @typedef {import("./store/entry.js").Place} Place */
/** @typedef {import("./microtome.js").StoredModel} StoredModel */
/**
 * One kind of storage. `file` gives whole files only. `slot` opens a file for writing, by one writer at a time
 * (`store.taken`), with what is already there of it.
 * @typedef {{ kind: "opfs" | "idb" | "memory", list(): Promise<Entry[]>, find(place: Place): Promise<Entry | null>,
 *   file(place: Place): Promise<Blob | null>, slot(place: Place): Promise<Slot>, mark(entry: Entry): Promise<void>,
 *   remove(place: Place): Promise<void> }} Shelf `mark` remembers something else of a whole file without touching its bytes:
 *   a `File` that was taken of them before would no longer be readable.
 *
 * A file that is being written. `commit` makes all that was written safe and then remembers the entry, in this order: an
 * entry never speaks of bytes that are not there. So does `truncate`, the other way round.
 * @typedef {{ readonly entry: Entry, write(at: number, bytes: Uint8Array): Promise<void>,
 *   read(from: number, to: number): Promise<Uint8Array>, commit(entry: Entry): Promise<void>,
 *   truncate(to: number): Promise<void>, close(): Promise<void> }} Slot
 */

/** @type {Promise<Shelf[]> | undefined} */
let lasting;

/**
 * The kinds of storage that outlast the page, best first; none where it is blocked. Each refuses in its own way: a
 * sandboxed frame throws as soon as `navigator.storage` is read, a private window when a database is opened.
 * @returns {Promise<Shelf[]>}
 */
export function shelves() {
  lasting ??= Promise.all([openOpfs, openIdb].map((open) => open().catch(() => null)))
    .then((found) => found.filter((shelf) => shelf !== null));
  return lasting;
}

/** The last resort. */
export const memory = new Memory();

/** All models that are stored, whole or in part, by name. @returns {Promise<StoredModel[]>} */
export async function stored() {
  /** @type {Map<string, StoredModel>} */
  const models = new Map();
  for (const shelf of await shelves()) {
    for (const entry of await shelf.list()) {
      const key = modelKey(entry);
      const model = models.get(key) ?? { key, bytes: 0, complete: false, where: /** @type {"opfs" | "idb"} */ (shelf.kind), at: 0, files: [] };
      model.files.push({ file: entry.file, bytes: entry.have, size: entry.size, sha256: entry.sha256, complete: entry.complete });
      models.set(key, { ...model, bytes: model.bytes + entry.have, complete: model.complete || entry.files !== null, at: Math.max(model.at, entry.at) });
    }
  }
  const byName = (/** @type {string} */ a, /** @type {string} */ b) => (a < b ? -1 : 1);
  for (const model of models.values()) {
    model.files.sort((a, b) => byName(a.file, b.file));
    model.complete &&= model.files.every(({ complete }) => complete);
  }
  return [...models.values()].sort((a, b) => byName(a.key, b.key));
}

/** The stored entries of a model, with the shelf of each. @param {string} key */
export async function entriesOf(key) {
  const found = [];
  for (const shelf of await shelves()) {
    for (const entry of await shelf.list()) if (modelKey(entry) === key) found.push({ shelf, entry });
  }
  return found;
}

/** Removes a model and everything that is there of it. @param {string} key */
export async function forget(key) {
  for (const { shelf, entry } of await entriesOf(key)) await shelf.remove(entry);
}

/**
 * A whole file that is stored.
 * @param {Place} place
 * @param {Shelf} [own] where else to look
 * @returns {Promise<{ shelf: Shelf, entry: Entry, blob: Blob } | null>}
 */
export async function whole(place, own = memory) {
  for (const shelf of new Set([...await shelves(), memory, own])) {
    const entry = await shelf.find(place).catch(() => null);
    const blob = entry?.complete ? await shelf.file(place).catch(() => null) : null;
    if (entry && blob) return { shelf, entry, blob };
  }
  return null;
}

/** How many bytes may still be stored; null where the browser does not say. @returns {Promise<number | null>} */
export async function room() {
  try {
    const { quota, usage } = await navigator.storage.estimate();
    return quota === undefined ? null : Math.max(0, quota - (usage ?? 0));
  } catch {
    return null;
  }
}

/**
 * Does something while no other tab does it for the same key; where there are no locks, at once.
 * @template T
 * @param {string} key
 * @param {AbortSignal} signal
 * @param {() => void} onWait called if another tab is at it
 * @param {() => Promise<T>} body
 * @returns {Promise<T>}
 */
export async function alone(key, signal, onWait, body) {
  const locks = await locksHere();
  if (!locks) return body();
  const name = `microtome ${key}`;
  const free = await locks.request(name, { ifAvailable: true }, async (lock) => (lock ? { value: await body() } : null));
  if (free) return free.value;
  onWait();
  return /** @type {any} */ (locks.request(name, { signal }, body));
}

/** @returns {Promise<LockManager | undefined>} */
async function locksHere() {
  try {
    const { locks } = navigator;
    // A sandboxed frame has them, and refuses each question.
    await locks?.query();
    return locks;
  } catch {
    return undefined;
  }
}
