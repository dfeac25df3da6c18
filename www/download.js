// Brings a model's files into a store: fetches what the download's state machine (`src/download/`, in the module) asks for,
// and stores what it says. Nothing is decided here but where the bytes are kept. Runs in the engine's worker. Longer than
// most files: the steps of one machine.
import { LabError } from "./errors.js";
import { Progress } from "./progress.js";
import { alone, entriesOf, memory, room, shelves, whole } from "./store.js";
import { Memory } from "./store/memory.js";
import { DOWNLOAD } from "./strings/download.js";

/** @typedef {import("./store.js").Shelf} Shelf @typedef {import("./store.js").Slot} Slot @typedef {import("./store.js").Entry} Entry */
/** @typedef {import("./engine.js").DownloadStep} Step @typedef {import("./engine.js").DownloadFile} DownloadFile */
/** @typedef {Pick<typeof import("./engine.js"), "Download" | "Hasher" | "parseAddress">} Glue */
/** @typedef {{ name: string, blob: Blob, sha256?: string }} ModelFile */
/**
 * @typedef {{ address: import("./engine.js").ModelAddress, base: string, hub?: string, allowHosts?: string[], timeScale?: number,
 *   signal: AbortSignal, onProgress: (progress: import("./microtome.js").LoadProgress) => void,
 *   onNotice: (notice: import("./microtome.js").Notice) => void, onConfig?: (bytes: Uint8Array) => Promise<void>, passing?: boolean }} Wanted
 *   `onConfig` gets config.json before anything larger is asked for, and may refuse the model. `passing`: it is looked at once,
 *   and what is large of it is kept in memory alone, for as long as somebody holds the files: 600 checkpoints fill a disk
 * @typedef {{ files: ModelFile[], steps: number[] }} Brought `steps`: of the model's training, as its folder names them
 */

/** Bytes are made safe at least this often: so much is lost, at most, of a tab that is closed. */
const COMMIT_EVERY = { bytes: 8 * 1024 * 1024, milliseconds: 1_000 };
/** Milliseconds without a byte after which a person is told. */
const QUIET = 3_000;
/** Milliseconds of work without a pause, in which messages such as a cancel are heard. */
const BREATH = 40;
/** Files of a checkpoint of this page's own site that are stored although it is only passing: bytes. */
const SMALL = 16 * 1024 * 1024;

/** What a store failed with: the download goes on without it. */
class StoreFailed {
  /** @param {unknown} cause */
  constructor(cause) {
    this.cause = cause;
  }
}

/**
 * The files of a model, from a store or through one.
 * @param {Glue} glue
 * @param {Wanted} wanted
 * @returns {Promise<Brought>} the files in the order in which the model names them
 */
export function bring(glue, wanted) {
  const progress = new Progress(wanted.onProgress);
  const waiting = () => progress.tell({ status: "wait", phase: "download", message: DOWNLOAD.otherTab });
  return alone(wanted.address.text, wanted.signal, waiting, async () => {
    // A revision that is a commit never changes: what is stored of it and was checked needs no network.
    const pinned = /^[0-9a-f]{40}$/.test(wanted.address.revision ?? "");
    const kept = pinned ? await storedModel(wanted) : null;
    if (kept?.checked) return { files: kept.files, steps: [] };
    try {
      return await new Bringer(glue, wanted, progress).run();
    } catch (thrown) {
      const error = /** @type {any} */ (thrown);
      const stored = UNREACHABLE.has(error?.code) ? await storedModel(wanted) : null;
      if (!stored) throw thrown;
      wanted.onNotice({ code: "net.offline", message: DOWNLOAD.offline(error.message) });
      return { files: stored.files, steps: [] };
    }
  });
}

/** Failures after which what is stored is as good as it gets. */
const UNREACHABLE = new Set(["net.unreachable", "net.stalled", "net.busy", "net.server"]);

/**
 * A model that is stored whole, by its address; the newest, where the address names no commit.
 * @param {Wanted} wanted
 * @returns {Promise<{ files: ModelFile[], checked: boolean } | null>}
 */
async function storedModel({ address, base }) {
  const source = sourceOf(address.text.split("@")[0], base);
  const { revision, step } = address;
  /** @type {Entry[]} */
  const found = [];
  for (const shelf of await shelves()) {
    for (const entry of await shelf.list().catch(() => [])) {
      const that = entry.source === source && (!revision || entry.revision === revision);
      if (that && entry.files && (step === null || entry.files.includes(`step-${step}.safetensors`))) found.push(entry);
    }
  }
  for (const { source, revision, files } of found.sort((a, b) => b.at - a.at)) {
    const parts = await Promise.all((files ?? []).map((file) => whole({ source, revision, file })));
    if (parts.every((part) => part !== null)) {
      return { files: parts.map(({ entry, blob }) => fileOf(entry, blob)), checked: parts.every(({ entry }) => entry.checked) };
    }
  }
  return null;
}

/** @param {Entry} entry @param {Blob} blob @returns {ModelFile} */
const fileOf = ({ file, sha256 }, blob) => ({ name: file, blob, sha256: sha256 ?? undefined });

/** Folders by their full address: pages under several paths of an origin share its stores. @param {string} source @param {string} base */
const sourceOf = (source, base) => (source.startsWith("./") ? new URL(source, base).href : source);

class Bringer {
  /** @type {import("./engine.js").Download} */ #download = /** @type {any} */ (null);
  /** The file under way; `slot` is null where it is whole and was only opened to be read. @type {{ place: import("./store.js").Place,
   *   size: number | null, shelf: Shelf, slot: Slot | null, blob: Blob | null, have: number, note: string | null } | null} */
  #file = null;
  #committed = { at: 0, have: 0 };
  /** Names of files that were there before. @type {Set<string>} */ #kept = new Set();
  #verify = false;
  /** Why nothing more is put into a lasting store. @type {string | null} */ #degraded = null;
  #breath = performance.now();
  /** An answer whose body may yet be asked for. @type {{ response: Response, stop: () => void,
   *   clock: { alive: () => void }, failed: (cause: any) => Promise<void> } | null} */
  #held = null;
  /** Where a policy kept a request from going. @type {string | null} */ #blocked = null;
  /** Whether anything has answered, be it with a failure. */ #answered = false;

  /** Where files go that are not stored. @type {Memory} */ #memory;

  /** @param {Glue} glue @param {Wanted} wanted @param {Progress} progress */
  constructor(glue, wanted, progress) {
    this.#memory = wanted.passing ? new Memory() : memory;
    this.glue = glue;
    this.wanted = wanted;
    this.progress = progress;
    this.signal = wanted.signal;
  }

  async run() {
    const watch = (/** @type {SecurityPolicyViolationEvent} */ event) => { this.#blocked = event.blockedURI; };
    self.addEventListener("securitypolicyviolation", watch);
    this.#verify = await this.#unchecked();
    this.#start();
    try {
      for (;;) {
        try {
          const files = await this.#steps();
          return files;
        } catch (thrown) {
          if (!(thrown instanceof StoreFailed)) throw thrown;
          if (this.#degraded) throw thrown.cause;
          await this.#degrade(thrown.cause);
        }
      }
    } finally {
      self.removeEventListener("securitypolicyviolation", watch);
      this.#letGo();
      await this.#leave();
      this.#download.free();
    }
  }

  #start() {
    const { address, base, hub, allowHosts = [], timeScale } = this.wanted;
    this.#download = new this.glue.Download({
      address: address.text, base, endpoint: hub, verify: this.#verify, time_scale: timeScale, seed: Math.floor(Math.random() * 2 ** 32),
      ...(address.host && allowHosts.includes(address.host) ? { consent: address.host } : {}),
    });
  }

  /** Whether something of this model was stored and never read back. */
  async #unchecked() {
    const source = sourceOf(this.wanted.address.text.split("@")[0], this.wanted.base);
    for (const shelf of await shelves()) {
      const entries = await shelf.list().catch(() => []);
      if (entries.some((entry) => entry.source === source && entry.complete && !entry.checked)) return true;
    }
    return false;
  }

  /** @returns {Promise<Brought>} */
  async #steps() {
    for (;;) {
      this.signal.throwIfAborted();
      const step = this.#download.next();
      // Bookkeeping may come between an answer and its body; after anything else the body is not wanted.
      if (!["body", "note", "truncate", "write"].includes(step.do)) this.#letGo();
      switch (step.do) {
        case "open": await this.#open(step.file); break;
        case "get": await this.#get(step); break;
        case "body": await this.#body(); break;
        case "read": await this.#read(step.from, step.to); break;
        case "write": await this.#write(step.at, step.bytes); break;
        case "note": await this.#commit({ note: step.note }); break;
        case "truncate": await this.#truncate(step.to, step.message); break;
        case "wait": await this.#wait(step.ms, step.message); break;
        case "close": await this.#close(step); break;
        case "keep": await this.#keep(); break;
        case "drop": await this.#drop(); break;
        case "done": return { files: await this.#done(step.files), steps: step.checkpoints.map(({ step }) => step) };
        case "fail": throw new LabError(step.error.code, step.error.message, step.error.action);
      }
      await this.#breathe();
    }
  }

  /** Lets messages in from time to time. */
  async #breathe() {
    if (performance.now() - this.#breath < BREATH) return;
    await new Promise((resolve) => setTimeout(resolve));
    this.#breath = performance.now();
  }

  /** @param {DownloadFile} file */
  async #open({ name, source, revision, size }) {
    const place = { source: sourceOf(source, this.wanted.base), revision, file: name };
    this.progress.tell({ status: "initiate", ...this.progress.counted(this.#download.progress()) });
    const found = await whole(place, this.#memory);
    if (found) {
      const { have, note } = found.entry;
      this.#file = { place, size, shelf: found.shelf, slot: null, blob: found.blob, have, note };
      this.#download.opened(have, note, true);
    } else {
      await this.#slot(place, size);
      const { have, note } = this.#opened();
      this.#download.opened(have, note, false);
    }
  }

  /**
   * Opens a place for writing, in the best store that takes it.
   * @param {import("./store.js").Place} place
   * @param {number | null} size
   */
  async #slot(place, size) {
    const passing = this.wanted.passing && !(this.wanted.address.kind === "folder" && size !== null && size <= SMALL);
    const lasting = this.#degraded || passing ? [] : await shelves();
    if (!lasting.length && !passing) this.#notice(DOWNLOAD.noStore);
    for (const shelf of lasting) {
      const slot = await shelf.slot(place).catch(() => null);
      if (!slot) continue;
      const free = await room();
      const needed = (size ?? 0) - slot.entry.have;
      if (free !== null && needed > free) {
        await slot.close();
        this.#notice(DOWNLOAD.noRoom(place.file, megabytes(needed), megabytes(free)));
        break;
      }
      return this.#use(place, size, shelf, slot);
    }
    this.#use(place, size, this.#memory, await this.#memory.slot(place));
  }

  /** @param {import("./store.js").Place} place @param {number | null} size @param {Shelf} shelf @param {Slot} slot */
  #use(place, size, shelf, slot) {
    const { have, note } = slot.entry;
    this.#file = { place, size, shelf, slot, blob: null, have, note };
    this.#committed = { at: performance.now(), have };
  }

  /** Says once that the model will not be there tomorrow. @param {string} why */
  #notice(why) {
    if (!this.#degraded) this.wanted.onNotice({ code: "store.memory", message: DOWNLOAD.inMemory(why) });
    this.#degraded ??= why;
  }

  /**
   * A store failed in the middle: what it has of the file goes to memory, and the download starts over from there.
   * @param {any} cause
   */
  async #degrade(cause) {
    const file = this.#file;
    const stored = file?.size ? DOWNLOAD.stored(file.place.file, megabytes(file.size), megabytes(file.have)) : null;
    this.#notice(cause?.name === "QuotaExceededError" ? DOWNLOAD.full(stored) : DOWNLOAD.failed(cause?.message ?? String(cause)));
    if (file?.slot) {
      const { have, note, size } = file;
      const into = await this.#memory.slot(file.place);
      try {
        for (let at = 0; at < have; at += 1 << 20) await into.write(at, await file.slot.read(at, Math.min(at + (1 << 20), have)));
        await into.commit({ ...file.slot.entry, size, have, note, complete: false, checked: false, files: null });
      } catch {
        // What cannot be read back is downloaded again.
        await into.truncate(0);
      }
      await file.slot.close().catch(() => {});
      await file.shelf.remove(file.place).catch(() => {});
    }
    this.#file = null;
    this.#letGo();
    this.#download.free();
    this.#start();
  }

  /** @param {Extract<Step, { do: "get" }>} step */
  async #get({ url, range, stall_ms }) {
    const controller = new AbortController();
    const abort = () => controller.abort();
    const clock = this.#clock(stall_ms, abort);
    /** @param {any} cause */
    const failed = async (cause) => {
      // A policy's own words come after the failure, if it is to blame.
      await new Promise((resolve) => setTimeout(resolve, 10));
      this.signal.throwIfAborted();
      // A server that is not there at all is not waited for where all that it could give is stored.
      if (!clock.stalled() && !this.#blocked && !this.#answered && await storedModel(this.wanted)) {
        this.#letGo();
        throw new LabError("net.unreachable", `${new URL(url).host} cannot be reached (${cause.message}).`, "Check the connection.");
      }
      if (clock.stalled()) this.#download.failed("stall", `no byte for ${Math.round(stall_ms / 1000)} s`);
      else this.#download.failed(this.#blocked ? "blocked" : "network", this.#blocked ?? cause.message);
    };
    this.#blocked = null;
    this.signal.addEventListener("abort", abort);
    this.#held = { response: new Response(), clock, failed, stop: () => {
      clock.stop();
      this.signal.removeEventListener("abort", abort);
      abort();
    } };
    this.progress.tell({ status: "download", ...this.#counted() });
    const response = await fetch(url, {
      headers: range ? { range } : {}, credentials: "omit", cache: "no-store", referrerPolicy: "no-referrer", signal: controller.signal,
    }).catch(failed);
    if (!response) return this.#letGo();
    this.#answered = true;
    this.#held.response = response;
    this.#download.response(described(response));
  }

  /** Reads the body of the answer that is held. */
  async #body() {
    if (!this.#held) throw new Error("there is no answer");
    const { response, clock, failed } = this.#held;
    const reader = response.body?.getReader();
    for (;;) {
      clock.alive();
      const chunk = reader ? await reader.read().catch(failed) : { value: undefined };
      if (!chunk) break;
      clock.alive();
      if (!chunk.value) {
        this.#download.end();
        break;
      }
      const part = this.#download.bytes(chunk.value);
      if (part.to > part.from) await this.#write(part.at, chunk.value.subarray(part.from, part.to));
      this.progress.bytes(() => this.#download.progress());
      if (!part.more) break;
    }
    this.#letGo();
  }

  #letGo() {
    this.#held?.stop();
    this.#held = null;
  }

  /** Ends a request in which nothing comes for too long, and says before that nothing comes. @param {number} limit ms @param {() => void} abort */
  #clock(limit, abort) {
    let stalled = false;
    /** @type {ReturnType<typeof setTimeout>[]} */
    let timers = [];
    const stop = () => timers.forEach(clearTimeout);
    const alive = () => {
      stop();
      timers = [
        setTimeout(() => { stalled = true; abort(); }, limit),
        setTimeout(() => this.progress.tell({ status: "wait", ...this.#counted(), message: DOWNLOAD.quiet(QUIET / 1000) }), QUIET * (this.wanted.timeScale ?? 1)),
      ];
    };
    alive();
    return { alive, stop, stalled: () => stalled };
  }

  #counted() {
    return this.progress.counted(this.#download.progress());
  }

  /** @param {number} from @param {number} to */
  async #read(from, to) {
    const { slot, blob } = this.#opened();
    let bytes;
    try {
      bytes = slot ? await slot.read(from, to) : new Uint8Array(await /** @type {Blob} */ (blob).slice(from, to).arrayBuffer());
    } catch (cause) {
      return this.#download.failed("network", String(cause));
    }
    this.#download.bytes(bytes);
    this.progress.bytes(() => this.#download.progress());
  }

  /** @param {number} at @param {Uint8Array} bytes */
  async #write(at, bytes) {
    const file = this.#opened();
    await storing(async () => {
      const slot = await this.#writable();
      if (slot.entry.complete) await slot.commit({ ...slot.entry, complete: false, checked: false, files: null });
      await slot.write(at, bytes);
      // Masks that turn out to be no masks are written again, behind the end.
      file.have = Math.max(file.have, at + bytes.length);
      const since = performance.now() - this.#committed.at;
      if (file.have - this.#committed.have >= COMMIT_EVERY.bytes || since >= COMMIT_EVERY.milliseconds) await this.#commit({});
    });
  }

  /** Makes safe what there is. @param {Partial<Entry>} change */
  async #commit(change) {
    const file = this.#opened();
    if (change.note !== undefined) file.note = change.note;
    await storing(async () => {
      const slot = await this.#writable();
      const { have, note } = file;
      await slot.commit({ ...slot.entry, size: file.size ?? slot.entry.size, have, note, at: Date.now(), ...change });
    });
    this.#committed = { at: performance.now(), have: file.have };
  }

  /** The slot of a file that may so far only have been read. */
  async #writable() {
    const file = this.#opened();
    file.slot ??= await file.shelf.slot(file.place);
    return file.slot;
  }

  /** @param {number} to @param {string} message */
  async #truncate(to, message) {
    const file = this.#opened();
    await storing(async () => (await this.#writable()).truncate(to));
    file.have = Math.min(file.have, to);
    this.#committed.have = file.have;
    this.progress.tell({ status: "restart", ...this.#counted(), message });
  }

  /** @param {number} ms @param {string} message */
  async #wait(ms, message) {
    // A wait is no time to lose bytes in.
    if (this.#file?.slot && this.#file.have > this.#committed.have) await this.#commit({});
    this.progress.tell({ status: "wait", ...this.#counted(), message });
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.signal.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve(undefined);
      }, { once: true });
    });
  }

  /** @param {Extract<Step, { do: "close" }>} step */
  async #close({ size, sha256 }) {
    const file = this.#opened();
    file.size = file.have = size;
    await this.#commit({ sha256, complete: true });
    await this.#leave();
    await this.#toldOf(file.place);
    this.progress.tell({ status: "done", ...this.#counted() });
  }

  /**
   * The configuration comes first; what it says of the model may end the download of the rest.
   * @param {import("./store.js").Place} place
   */
  async #toldOf(place) {
    if (place.file !== "config.json") return;
    const found = await whole(place, this.#memory);
    if (found) await this.wanted.onConfig?.(new Uint8Array(await found.blob.arrayBuffer()));
  }

  async #keep() {
    const { place } = this.#opened();
    this.#kept.add(place.file);
    await this.#leave();
    await this.#toldOf(place);
    this.progress.tell({ status: "done", ...this.#counted() });
  }

  async #drop() {
    const { slot, shelf, place } = this.#opened();
    this.#file = null;
    await storing(async () => {
      await slot?.close();
      await shelf.remove(place);
    });
  }

  /** @param {DownloadFile[]} files @returns {Promise<ModelFile[]>} */
  async #done(files) {
    const names = files.map(({ name }) => name);
    const parts = [];
    for (const { name, source, revision } of files) {
      const found = await whole({ source: sourceOf(source, this.wanted.base), revision, file: name }, this.#memory);
      if (!found) throw new StoreFailed(new LabError("store.unreadable", `${name} was stored a moment ago and is gone.`, "Load the model again."));
      parts.push(found);
    }
    // Only what is there as a whole is offered without a network.
    const lasting = parts.every(({ shelf }) => shelf.kind !== "memory");
    for (const [i, { shelf, entry }] of parts.entries()) {
      const next = { ...entry, checked: entry.checked || (this.#verify && this.#kept.has(entry.file)), files: i === 0 && lasting ? names : entry.files };
      if (JSON.stringify(next) !== JSON.stringify(entry)) await shelf.mark(next).catch(() => {});
    }
    return parts.map(({ entry, blob }) => fileOf(entry, blob));
  }

  /** Lets go of the open file; what came of it is kept. */
  async #leave() {
    const file = this.#file;
    this.#file = null;
    if (!file?.slot) return;
    const { entry } = file.slot;
    if (!entry.complete && file.have > entry.have) {
      await file.slot.commit({ ...entry, size: file.size, have: file.have, note: file.note, at: Date.now() }).catch(() => {});
    }
    await file.slot.close().catch(() => {});
  }

  #opened() {
    if (!this.#file) throw new Error("no file is open");
    return this.#file;
  }
}

/** @template T @param {() => Promise<T>} body @returns {Promise<T>} */
const storing = (body) => body().catch((cause) => {
  throw cause instanceof StoreFailed ? cause : new StoreFailed(cause);
});

/** @param {Response} response @returns {import("./engine.js").DownloadResponse} */
function described({ status, url, redirected, headers }) {
  const get = (/** @type {string} */ name) => headers.get(name);
  return { status, url, redirected, headers: {
    "content-range": get("content-range"), "content-length": get("content-length"), "content-encoding": get("content-encoding"),
    "content-type": get("content-type"), etag: get("etag"), "x-linked-etag": get("x-linked-etag"), "x-linked-size": get("x-linked-size"),
    "retry-after": get("retry-after"), "last-modified": get("last-modified"), "x-error-code": get("x-error-code"),
  } };
}

/** @param {number} bytes */
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

/**
 * Reads a stored model again and computes its hashes. A file that is not what it was is removed, so that it will be downloaded
 * again.
 * @param {Pick<Glue, "Hasher">} glue
 * @param {string} key
 * @param {AbortSignal} signal
 * @param {(progress: import("./microtome.js").LoadProgress) => void} onProgress
 * @returns {Promise<import("./microtome.js").VerifiedFile[]>}
 */
export async function verifyStored({ Hasher }, key, signal, onProgress) {
  const found = (await entriesOf(key)).filter(({ entry }) => entry.complete);
  if (!found.length) throw new LabError("store.missing", `${key} is not stored here.`);
  const progress = new Progress(onProgress);
  const all_total = found.reduce((sum, { entry }) => sum + entry.have, 0);
  let all_loaded = 0;
  const files = [];
  for (const { shelf, entry } of found) {
    const blob = await shelf.file(entry).catch(() => null);
    const hasher = new Hasher();
    for (let at = 0; blob && at < blob.size; at += 1 << 20) {
      signal.throwIfAborted();
      const bytes = new Uint8Array(await blob.slice(at, at + (1 << 20)).arrayBuffer());
      hasher.update(bytes);
      all_loaded += bytes.length;
      progress.bytes(() => ({ phase: "verify", file: entry.file, done: at + bytes.length, bytes: blob.size, all_done: all_loaded,
        all_bytes: all_total, received: 0, files_done: 0, files: null, restarts: 0 }));
    }
    const got = blob ? hasher.hex() : null;
    hasher.free();
    if (got !== entry.sha256) await shelf.remove(entry);
    else if (!entry.checked) await shelf.mark({ ...entry, checked: true });
    files.push({ file: entry.file, expected: /** @type {string} */ (entry.sha256), found: got, ok: got === entry.sha256 });
  }
  return files;
}
