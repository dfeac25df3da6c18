import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { recall, remember } from "../../www/kernels.js";

/** @type {Record<string, string>} */
let stored = {};
/** Storage as a browser has it; `failing` throws whatever is asked of it. */
const storage = (failing = false) => ({
  getItem: (/** @type {string} */ key) => {
    if (failing) throw new DOMException("forbidden", "SecurityError");
    return stored[key] ?? null;
  },
  setItem: (/** @type {string} */ key, /** @type {string} */ value) => {
    if (failing) throw new DOMException("full", "QuotaExceededError");
    stored[key] = value;
  },
});
const put = (/** @type {object | undefined} */ value) => Object.defineProperty(globalThis, "localStorage", { value, configurable: true });
beforeEach(() => {
  stored = {};
  put(storage());
});

const engine = (/** @type {object} */ rest) =>
  ({ backend: /** @type {const} */ ("gpu"), precision: /** @type {const} */ ("f32"), adapter: "A", reason: "", build: "1", kernels: "a/b/c", ...rest });

test("what was measured on an adapter is there at the next visit", () => {
  assert.deepEqual(recall(), {});
  remember(engine({}));
  remember(engine({ adapter: "B", kernels: "d/e/f" }));
  assert.deepEqual(recall(), { A: { build: "1", kernels: "a/b/c" }, B: { build: "1", kernels: "d/e/f" } });
  remember(engine({ build: "2", kernels: "g/h/i" }));
  assert.deepEqual(recall().A, { build: "2", kernels: "g/h/i" }, "a newer build takes the place of an older one");
});

test("an engine without a choice leaves nothing", () => {
  remember(engine({ kernels: undefined }));
  remember(engine({ adapter: null }));
  remember(undefined);
  assert.deepEqual(stored, {});
});

test("storage that is missing, forbidden, full or spoilt does no harm", () => {
  for (const value of [undefined, storage(true)]) {
    put(value);
    assert.deepEqual(recall(), {});
    remember(engine({}));
  }
  put(storage());
  for (const spoilt of ["", "{", "null", "7", "[]"]) {
    stored = { "microtome.kernels": spoilt };
    assert.equal(Object.keys(recall()).length, 0, spoilt);
    remember(engine({}));
    assert.deepEqual({ ...recall() }, { A: { build: "1", kernels: "a/b/c" } }, spoilt);
  }
});
