// A slot made of blocks of a fixed size, for shelves that keep whole values and know no offsets.
import { LabError } from "../errors.js";
import { cut } from "./entry.js";

/** @typedef {import("./entry.js").Entry} Entry @typedef {import("../store.js").Slot} Slot */
/**
 * Where blocks are kept. `save` keeps blocks and, in the same moment, the entry that speaks of them, and forgets the blocks
 * from number `end` on.
 * @typedef {{ get(index: number): Promise<Blob | undefined>, save(blocks: Map<number, Blob>, entry: Entry, end?: number): Promise<void>,
 *   close(): Promise<void> }} Blocks
 */

/** Bytes of a block. */
export const BLOCK = 4 * 1024 * 1024;

/** @implements {Slot} */
export class BlockSlot {
  /** The block that is being filled, and how far. @type {{ index: number, bytes: Uint8Array, end: number } | null} */ #open = null;
  /** Blocks that wait to be kept. @type {Map<number, Blob>} */ #waiting = new Map();

  /** @param {Blocks} blocks @param {Entry} entry */
  constructor(blocks, entry) {
    this.blocks = blocks;
    this.entry = entry;
  }

  /** @param {number} at @param {Uint8Array} bytes */
  async write(at, bytes) {
    for (let done = 0; done < bytes.length;) {
      const open = await this.#block(Math.floor((at + done) / BLOCK));
      const offset = at + done - open.index * BLOCK;
      const count = Math.min(bytes.length - done, BLOCK - offset);
      open.bytes.set(bytes.subarray(done, done + count), offset);
      open.end = Math.max(open.end, offset + count);
      done += count;
    }
  }

  /** @param {number} index */
  async #block(index) {
    if (this.#open?.index === index) return this.#open;
    await this.#leave();
    const bytes = new Uint8Array(BLOCK);
    const kept = await this.blocks.get(index);
    if (kept) bytes.set(new Uint8Array(await kept.arrayBuffer()));
    this.#open = { index, bytes, end: kept?.size ?? 0 };
    return this.#open;
  }

  /** Keeps the open block. Only an entry makes its bytes count, so that it may be kept before. */
  async #leave() {
    if (!this.#open) return;
    this.#waiting.set(this.#open.index, blobOf(this.#open));
    await this.#save(this.entry);
  }

  /** @param {Entry} entry @param {number} [end] */
  async #save(entry, end) {
    await this.blocks.save(this.#waiting, entry, end);
    this.#waiting = new Map();
  }

  /** @param {number} from @param {number} to */
  async read(from, to) {
    const out = new Uint8Array(to - from);
    for (let at = from; at < to;) {
      const index = Math.floor(at / BLOCK);
      const offset = at - index * BLOCK;
      const count = Math.min(to - at, BLOCK - offset);
      const block = this.#open?.index === index ? blobOf(this.#open) : await this.blocks.get(index);
      const bytes = new Uint8Array(await (block ?? new Blob()).slice(offset, offset + count).arrayBuffer());
      if (bytes.length < count) throw new LabError("store.unreadable", `${this.entry.file}: stored bytes cannot be read back.`);
      out.set(bytes, at - from);
      at += count;
    }
    return out;
  }

  /** @param {Entry} entry */
  async commit(entry) {
    if (this.#open) this.#waiting.set(this.#open.index, blobOf(this.#open));
    await this.#save(entry);
    this.entry = entry;
  }

  /** @param {number} to */
  async truncate(to) {
    await this.commit(cut(this.entry, to));
    const index = Math.floor(to / BLOCK);
    const last = await this.blocks.get(index);
    this.#open = null;
    if (last && to > index * BLOCK) this.#waiting.set(index, last.slice(0, to - index * BLOCK));
    await this.#save(this.entry, Math.ceil(to / BLOCK));
  }

  close() {
    this.#open = null;
    return this.blocks.close();
  }
}

/** @param {{ bytes: Uint8Array, end: number }} block */
const blobOf = ({ bytes, end }) => new Blob([/** @type {any} */ (bytes.subarray(0, end))]);

/**
 * All blocks as one blob, which refers to them and copies nothing; null where one is missing.
 * @param {(index: number) => Promise<Blob | undefined>} get
 * @param {number} size
 */
export async function joined(get, size) {
  const parts = [];
  for (let at = 0; at < size; at += BLOCK) {
    const block = await get(at / BLOCK);
    if (block?.size !== Math.min(BLOCK, size - at)) return null;
    parts.push(block);
  }
  return new Blob(parts);
}
