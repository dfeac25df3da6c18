// Models in memory, for as long as their worker lives: where nothing can be stored, or not enough.
import { blank, idOf } from "./entry.js";
import { BlockSlot, joined } from "./blocks.js";

/** @typedef {import("./entry.js").Entry} Entry @typedef {import("./entry.js").Place} Place */
/** @typedef {import("../store.js").Shelf} Shelf */

/** @implements {Shelf} */
export class Memory {
  kind = /** @type {const} */ ("memory");
  /** @type {Map<string, { entry: Entry, blocks: Map<number, Blob> }>} */ #files = new Map();

  async list() {
    return [...this.#files.values()].map(({ entry }) => entry);
  }

  /** @param {Place} place */
  async find(place) {
    return this.#files.get(idOf(place))?.entry ?? null;
  }

  /** @param {Place} place */
  async file(place) {
    const file = this.#files.get(idOf(place));
    return file?.entry.complete ? joined(async (index) => file.blocks.get(index), file.entry.have) : null;
  }

  /** @param {Place} place */
  async slot(place) {
    const file = this.#files.get(idOf(place)) ?? { entry: blank(place), blocks: new Map() };
    this.#files.set(idOf(place), file);
    return new BlockSlot({
      get: async (index) => file.blocks.get(index),
      save: async (blocks, entry, end = Infinity) => {
        for (const [index, blob] of blocks) file.blocks.set(index, blob);
        for (const index of [...file.blocks.keys()]) if (index >= end) file.blocks.delete(index);
        file.entry = entry;
      },
      close: async () => {},
    }, file.entry);
  }

  /** @param {Entry} entry */
  async mark(entry) {
    const file = this.#files.get(idOf(entry));
    if (file) file.entry = entry;
  }

  /** @param {Place} place */
  async remove(place) {
    this.#files.delete(idOf(place));
  }
}
