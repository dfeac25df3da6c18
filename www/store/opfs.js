// Models in the origin's private file system: two files for each file of a model, its bytes and a sidecar that says how
// many of them are there. A sidecar's line is written only after the bytes that it speaks of were flushed.
import { LabError } from "../errors.js";
import { blank, cut, idOf, lastRecord } from "./entry.js";

/** @typedef {import("./entry.js").Entry} Entry @typedef {import("./entry.js").Place} Place */
/** @typedef {import("../store.js").Shelf} Shelf @typedef {import("../store.js").Slot} Slot */
/** @typedef {{ read(to: Uint8Array, where: { at: number }): number, write(from: Uint8Array, where: { at: number }): number,
 *   flush(): void, truncate(size: number): void, getSize(): number, close(): void }} SyncHandle */

const FOLDER = "microtome-models";

/**
 * Null where the files cannot be written in place, which takes a worker. The other way of writing, a stream, keeps what it
 * wrote only when it is closed, and copies the whole file to go on with it: then IndexedDB is the better place.
 * @returns {Promise<Shelf | null>}
 */
export async function openOpfs() {
  if (!("createSyncAccessHandle" in FileSystemFileHandle.prototype)) return null;
  const root = await navigator.storage.getDirectory();
  return new Opfs(await root.getDirectoryHandle(FOLDER, { create: true }));
}

/** @implements {Shelf} */
class Opfs {
  kind = /** @type {const} */ ("opfs");

  /** @param {FileSystemDirectoryHandle} folder */
  constructor(folder) {
    this.folder = folder;
  }

  async list() {
    /** @type {Entry[]} */
    const entries = [];
    for await (const [name, handle] of /** @type {any} */ (this.folder).entries()) {
      if (!name.endsWith(".json")) continue;
      const entry = lastRecord(await textOf(handle));
      if (entry && name === `${await nameOf(entry)}.json`) entries.push(entry);
    }
    return entries;
  }

  /** @param {Place} place */
  async find(place) {
    const handle = await this.folder.getFileHandle(`${await nameOf(place)}.json`).catch(() => null);
    const entry = handle && lastRecord(await textOf(handle));
    return entry && idOf(entry) === idOf(place) ? entry : null;
  }

  /** @param {Place} place */
  async file(place) {
    const entry = await this.find(place);
    if (!entry?.complete) return null;
    const handle = await this.folder.getFileHandle(`${await nameOf(place)}.bin`).catch(() => null);
    const file = await handle?.getFile();
    return file && file.size === entry.size ? file : null;
  }

  /** @param {Place} place @returns {Promise<Slot>} */
  async slot(place) {
    const name = await nameOf(place);
    const bytes = await exclusive(await this.folder.getFileHandle(`${name}.bin`, { create: true }));
    try {
      const sidecar = await exclusive(await this.folder.getFileHandle(`${name}.json`, { create: true }));
      return new OpfsSlot(place, bytes, sidecar);
    } catch (cause) {
      bytes.close();
      throw cause;
    }
  }

  /** @param {Entry} entry */
  async mark(entry) {
    const handle = await this.folder.getFileHandle(`${await nameOf(entry)}.json`);
    const sidecar = await exclusive(handle);
    try {
      append(sidecar, entry);
    } finally {
      sidecar.close();
    }
  }

  /** @param {Place} place */
  async remove(place) {
    const name = await nameOf(place);
    // The sidecar first: bytes that nothing speaks of are never read.
    for (const end of ["json", "bin"]) {
      await this.folder.removeEntry(`${name}.${end}`).catch((cause) => {
        if (cause.name === "NoModificationAllowedError") throw taken();
        if (cause.name !== "NotFoundError") throw cause;
      });
    }
  }
}

/** @implements {Slot} */
class OpfsSlot {
  /** @param {Place} place @param {SyncHandle} bytes @param {SyncHandle} sidecar */
  constructor(place, bytes, sidecar) {
    this.bytes = bytes;
    this.sidecar = sidecar;
    const text = new Uint8Array(sidecar.getSize());
    sidecar.read(text, { at: 0 });
    const found = lastRecord(new TextDecoder().decode(text));
    // What a sidecar promises and the file does not have was cut off later.
    this.entry = found && idOf(found) === idOf(place) && found.have <= bytes.getSize() ? found : blank(place);
  }

  /** @param {number} at @param {Uint8Array} bytes */
  async write(at, bytes) {
    writeAll(this.bytes, bytes, at);
  }

  /** @param {number} from @param {number} to */
  async read(from, to) {
    const bytes = new Uint8Array(to - from);
    if (this.bytes.read(bytes, { at: from }) < bytes.length) {
      throw new LabError("store.unreadable", `${this.entry.file}: stored bytes cannot be read back.`);
    }
    return bytes;
  }

  /** @param {Entry} entry */
  async commit(entry) {
    if (entry.complete && this.bytes.getSize() > entry.have) this.bytes.truncate(entry.have);
    this.bytes.flush();
    append(this.sidecar, entry);
    this.entry = entry;
  }

  /** @param {number} to */
  async truncate(to) {
    await this.commit(cut(this.entry, to));
    this.bytes.truncate(to);
  }

  async close() {
    this.bytes.close();
    this.sidecar.close();
  }
}

/** Adds a line of its own, even if the last one was cut short. @param {SyncHandle} sidecar @param {Entry} entry */
function append(sidecar, entry) {
  writeAll(sidecar, new TextEncoder().encode(`\n${JSON.stringify(entry)}\n`), sidecar.getSize());
  sidecar.flush();
}

/** @param {SyncHandle} handle @param {Uint8Array} bytes @param {number} at */
function writeAll(handle, bytes, at) {
  const written = handle.write(bytes, { at });
  // A full disk may also show itself as a short write.
  if (written < bytes.length) throw new DOMException(`${written} of ${bytes.length} bytes were written`, "QuotaExceededError");
}

/** @param {FileSystemFileHandle} handle @returns {Promise<SyncHandle>} */
async function exclusive(handle) {
  try {
    return await /** @type {any} */ (handle).createSyncAccessHandle();
  } catch (cause) {
    throw /** @type {any} */ (cause).name === "NoModificationAllowedError" ? taken() : cause;
  }
}

export const taken = () => new LabError("store.taken", "Another tab is writing this file.", "Wait for it, or close it.");

/** @param {FileSystemFileHandle} handle */
const textOf = (handle) => handle.getFile().then((file) => file.text()).catch(() => "");

/** A place's name on disk: its own text may be too long for a name, and hold signs that a name must not have. @param {Place} place */
async function nameOf(place) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(idOf(place)));
  return [...new Uint8Array(digest, 0, 16)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
