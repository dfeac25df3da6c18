// Models in IndexedDB, as blocks: where there is no private file system, as on a page over plain http.
import { blank, idOf, isEntry } from "./entry.js";
import { BlockSlot, joined } from "./blocks.js";
import { taken } from "./opfs.js";

/** @typedef {import("./entry.js").Entry} Entry @typedef {import("./entry.js").Place} Place */
/** @typedef {import("../store.js").Shelf} Shelf */
/** @typedef {{ owner: string, at: number }} Lease who writes a file, and when that was last heard of */

const NAME = "microtome-models";
/** A writer that has not been heard of for so many milliseconds is gone. */
const LEASE = 4_000;

/** @returns {Promise<Shelf>} */
export async function openIdb() {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => {
    for (const name of ["entries", "leases", "blocks"]) request.result.createObjectStore(name);
  };
  const database = await result(request);
  // Another tab may have a newer version to set up.
  database.onversionchange = () => database.close();
  return new Idb(database);
}

/** @implements {Shelf} */
class Idb {
  kind = /** @type {const} */ ("idb");

  /** @param {IDBDatabase} database */
  constructor(database) {
    this.database = database;
  }

  async list() {
    const found = await result(this.#store("entries").getAll());
    return /** @type {Entry[]} */ (found.filter(isEntry));
  }

  /** @param {Place} place */
  async find(place) {
    const entry = await result(this.#store("entries").get(idOf(place)));
    return isEntry(entry) ? entry : null;
  }

  /** @param {Place} place */
  async file(place) {
    const entry = await this.find(place);
    return entry?.complete ? joined((index) => this.#block(place, index), entry.have) : null;
  }

  /** @param {Place} place */
  async slot(place) {
    const id = idOf(place);
    const owner = await this.#lease(id);
    /** Writes, but only while the lease is ours. @param {(stores: Record<string, IDBObjectStore>) => void} change */
    const write = (change) => this.#write(["leases", "entries", "blocks"], (stores) => {
      const held = stores.leases.get(id);
      held.onsuccess = () => {
        if (/** @type {Lease | undefined} */ (held.result)?.owner !== owner) return stores.leases.transaction.abort();
        stores.leases.put({ owner, at: Date.now() }, id);
        change(stores);
      };
    });
    return new BlockSlot({
      get: (index) => this.#block(place, index),
      save: (blobs, entry, end = Infinity) => write(({ entries, blocks }) => {
        for (const [index, blob] of blobs) blocks.put(blob, [id, index]);
        if (end < Infinity) blocks.delete(IDBKeyRange.bound([id, end], [id, Infinity]));
        entries.put(entry, id);
      }),
      close: () => write(({ leases }) => leases.delete(id)).catch(() => {}),
    }, await this.find(place) ?? blank(place));
  }

  /**
   * Where there are no locks between tabs, which plain http has not, one writer is kept apart from another by a lease that
   * each of its writes renews.
   * @param {string} id
   * @returns {Promise<string>} the owner to be
   */
  async #lease(id) {
    const owner = `${Date.now()} ${Math.random()}`;
    const before = await result(this.#store("leases").get(id));
    if (before && !("locks" in navigator)) await new Promise((resolve) => setTimeout(resolve, LEASE));
    await this.#write(["leases"], ({ leases }) => {
      const held = leases.get(id);
      held.onsuccess = () => {
        if (held.result && held.result.at !== before?.at) leases.transaction.abort();
        else leases.put({ owner, at: Date.now() }, id);
      };
    });
    return owner;
  }

  /** @param {Entry} entry */
  mark(entry) {
    return this.#write(["entries"], ({ entries }) => entries.put(entry, idOf(entry)));
  }

  /** @param {Place} place */
  remove(place) {
    const id = idOf(place);
    return this.#write(["entries", "blocks"], ({ entries, blocks }) => {
      entries.delete(id);
      blocks.delete(IDBKeyRange.bound([id, 0], [id, Infinity]));
    });
  }

  /** @param {string} name */
  #store(name) {
    return this.database.transaction(name).objectStore(name);
  }

  /** @param {Place} place @param {number} index @returns {Promise<Blob | undefined>} */
  #block(place, index) {
    return result(this.#store("blocks").get([idOf(place), index]));
  }

  /**
   * All of the changes or none; `store.taken` where `change` aborts.
   * @param {string[]} names
   * @param {(stores: Record<string, IDBObjectStore>) => void} change
   * @returns {Promise<void>}
   */
  #write(names, change) {
    return new Promise((resolve, reject) => {
      const transaction = this.database.transaction(names, "readwrite", { durability: "strict" });
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? taken());
      change(Object.fromEntries(names.map((name) => [name, transaction.objectStore(name)])));
    });
  }
}

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
const result = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});
