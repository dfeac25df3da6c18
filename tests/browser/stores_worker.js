// Runs in a page of the tests: what every kind of storage has to do, on the kinds that this browser has. Served by stores.mjs.
import { openIdb } from "../../www/store/idb.js";
import { openOpfs } from "../../www/store/opfs.js";
import { Memory } from "../../www/store/memory.js";
import { BLOCK } from "../../www/store/blocks.js";
import { alone, forget, stored, whole } from "../../www/store.js";

/** @typedef {import("../../www/store.js").Shelf} Shelf */

const HASH = "ab".repeat(32);
/** @param {string} file @param {string} [source] */
const place = (file, source = "hf:a/b") => ({ source, revision: "main", file });
/** @param {number} from @param {number} to */
const bytesFrom = (from, to) => Uint8Array.from({ length: to - from }, (_, i) => ((from + i) * 131) & 255);
/** @param {unknown} condition @param {string} message */
const ensure = (condition, message) => {
  if (!condition) throw new Error(message);
};
/** @param {any} a @param {any} b @param {string} what */
const same = (a, b, what) => ensure(JSON.stringify(a) === JSON.stringify(b), `${what}: expected ${JSON.stringify(b)?.slice(0, 200)}, found ${JSON.stringify(a)?.slice(0, 200)}`);
/** @param {Promise<any>} promise */
const codeOf = (promise) => promise.then(() => "done", (error) => error.code ?? error.name);

/** @type {Record<string, () => Promise<Shelf | null>>} */
const KINDS = { opfs: openOpfs, idb: openIdb, memory: async () => new Memory() };

/** @param {keyof typeof KINDS} kind @returns {Promise<Shelf>} */
async function open(kind) {
  const shelf = await KINDS[kind]();
  if (!shelf) throw new Error(`this browser has no ${kind}`);
  return shelf;
}

/** @type {Record<string, (kind: string) => Promise<any>>} */
const CHECKS = {
  /** What was committed is there when it is opened again, what was only written is not counted, and a part is not a whole. */
  async resume(kind) {
    const shelf = await open(kind);
    const at = place("resume");
    const first = await shelf.slot(at);
    same([first.entry.have, first.entry.note, first.entry.complete], [0, null, false], "an empty slot");
    const cut = BLOCK + 1000;
    await first.write(0, bytesFrom(0, cut));
    await first.commit({ ...first.entry, have: cut, note: "n", size: 2 * BLOCK });
    await first.write(cut, bytesFrom(0, 500));
    await first.close();
    same(await shelf.file(at), null, "a part was given as a whole");
    const second = await shelf.slot(at);
    same([second.entry.have, second.entry.note], [cut, "n"], "what was committed");
    same([...await second.read(BLOCK - 2, BLOCK + 2)], [...bytesFrom(BLOCK - 2, BLOCK + 2)], "bytes read back");
    await second.write(cut, bytesFrom(cut, 2 * BLOCK));
    await second.commit({ ...second.entry, have: 2 * BLOCK, sha256: HASH, complete: true });
    await second.close();
    const blob = await shelf.file(at);
    same(blob?.size, 2 * BLOCK, "the whole file’s size");
    const got = new Uint8Array(await /** @type {Blob} */ (blob).arrayBuffer());
    ensure(got.every((byte, i) => byte === ((i * 131) & 255)), "the whole file’s bytes");
    same((await shelf.find(at))?.sha256, HASH, "the entry");
    await shelf.remove(at);
    same([await shelf.find(at), await shelf.file(at)], [null, null], "after it was removed");
  },
  async truncate(kind) {
    const shelf = await open(kind);
    const at = place("truncate");
    const slot = await shelf.slot(at);
    await slot.write(0, bytesFrom(0, BLOCK + 5000));
    await slot.commit({ ...slot.entry, have: BLOCK + 5000 });
    await slot.truncate(700);
    await slot.write(700, bytesFrom(700, 900));
    await slot.commit({ ...slot.entry, have: 900, size: 900, sha256: HASH, complete: true });
    await slot.close();
    const got = new Uint8Array(await /** @type {Blob} */ (await shelf.file(at)).arrayBuffer());
    same([...got], [...bytesFrom(0, 900)], "what is left of it");
    await shelf.remove(at);
  },
  async taken(kind) {
    const shelf = await open(kind);
    const slot = await shelf.slot(place("taken"));
    const other = await open(kind);
    const code = await codeOf(other.slot(place("taken")));
    // With locks, a database is asked for by whoever holds one: a writer that is still there has lost it.
    if (kind === "opfs") same(code, "store.taken", "a second writer");
    else same([code, await codeOf(slot.commit(slot.entry))], ["done", "store.taken"], "a second writer, and the first one then");
    await slot.close();
    await (await other.slot(place("taken"))).close();
    await shelf.remove(place("taken"));
  },
  /** Without locks, a writer that is alive is left alone, and one that is gone is not waited for for ever. */
  async leases() {
    Object.defineProperty(navigator, "locks", { value: undefined, configurable: true });
    delete /** @type {any} */ (Object.getPrototypeOf(navigator)).locks;
    delete /** @type {any} */ (navigator).locks;
    ensure(!("locks" in navigator), "this check needs a browser without locks");
    const shelf = await open("idb");
    const at = place("leases");
    const slot = await shelf.slot(at);
    const alive = setInterval(() => slot.commit({ ...slot.entry, note: String(performance.now()) }), 500);
    same(await codeOf(shelf.slot(at)), "store.taken", "a second writer beside one that is alive");
    clearInterval(alive);
    const next = await shelf.slot(at);
    same(await codeOf(slot.commit(slot.entry)), "store.taken", "the one that was thought gone");
    await next.commit({ ...next.entry, have: 0 });
    await next.close();
    await shelf.remove(at);
  },
  /** Every way in which a sidecar or the bytes may have been cut or changed behind our back. */
  async damage() {
    const shelf = /** @type {any} */ (await open("opfs"));
    const at = place("damage");
    const slot = await shelf.slot(at);
    await slot.write(0, bytesFrom(0, 1000));
    await slot.commit({ ...slot.entry, have: 1000, size: 1000, sha256: HASH, complete: true });
    await slot.close();
    /** @type {string[]} */
    const names = [];
    for await (const name of shelf.folder.keys()) names.push(name);
    const of = async (/** @type {string} */ end) => shelf.folder.getFileHandle(/** @type {string} */ (names.find((name) => name.endsWith(end))));
    const sidecar = await (await (await of(".json")).getFile()).text();
    /** @param {string} end @param {string | Uint8Array} content */
    const put = async (end, content) => {
      const handle = await (await of(end)).createSyncAccessHandle();
      handle.truncate(0);
      handle.write(typeof content === "string" ? new TextEncoder().encode(content) : content, { at: 0 });
      handle.close();
    };
    ensure(await shelf.file(at), "the file was there");
    for (const bad of ["", "{", "null", sidecar.replace("1000", "10"), sidecar.replace(/"have":1000/, '"have":999'), sidecar.replace("a/b", "a/c"), sidecar.slice(0, -10)]) {
      await put(".json", bad);
      same(await shelf.file(at), null, `a sidecar of ${JSON.stringify(bad.slice(0, 30))}…`);
    }
    await put(".json", sidecar);
    await put(".bin", bytesFrom(0, 999));
    same(await shelf.file(at), null, "a byte is missing");
    const again = await shelf.slot(at);
    same(again.entry.have, 0, "what a slot takes from bytes that are fewer than promised");
    await again.close();
    await shelf.remove(at);
    same((await stored()).filter(({ key }) => key.includes("damage")), [], "nothing is left");
  },
  async list() {
    for (const kind of ["opfs", "idb"]) {
      const shelf = await open(kind);
      for (const file of ["config.json", "model.safetensors"]) {
        const slot = await shelf.slot(place(file, `hf:${kind}/x`));
        await slot.write(0, bytesFrom(0, 300));
        await slot.commit({ ...slot.entry, have: 300, size: 300, sha256: HASH, complete: true, files: file === "config.json" ? ["config.json", "model.safetensors"] : null });
        await slot.close();
      }
    }
    same((await stored()).map(({ key, bytes, complete, where, files }) => [key, bytes, complete, where, files.length]),
      [["hf:idb/x@main", 600, true, "idb", 2], ["hf:opfs/x@main", 600, true, "opfs", 2]], "what is listed");
    ensure(await whole(place("config.json", "hf:idb/x")), "a stored file is found");
    await forget("hf:opfs/x@main");
    same((await stored()).map(({ key }) => key), ["hf:idb/x@main"], "after one was deleted");
    await forget("hf:idb/x@main");
    same(await stored(), [], "after all were deleted");
  },
  async locks() {
    /** @type {string[]} */
    const order = [];
    const { signal } = new AbortController();
    await Promise.all([1, 2].map((n) => alone("k", signal, () => order.push(`wait ${n}`), async () => {
      order.push(`in ${n}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
      order.push(`out ${n}`);
    })));
    same(order, ["in 1", "wait 2", "out 1", "in 2", "out 2"], "two at once");
    const abort = new AbortController();
    const holder = alone("k", signal, () => {}, () => new Promise((resolve) => setTimeout(resolve, 100)));
    const waiter = codeOf(alone("k", abort.signal, () => abort.abort(), async () => {}));
    same(await waiter, 20, "one that gives up waiting");
    await holder;
  },
};

self.onmessage = async ({ data: { check, kind } }) => {
  try {
    await CHECKS[check](kind);
    self.postMessage("");
  } catch (error) {
    self.postMessage(String(/** @type {any} */ (error)?.stack ?? error));
  }
};
