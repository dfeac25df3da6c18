import assert from "node:assert/strict";
import { test } from "node:test";
import { Progress } from "../../www/progress.js";

/** @typedef {import("../../www/microtome.js").LoadProgress} LoadProgress */

/** A download of one file that gets so many bytes in each tenth of a second. @param {number[]} bytes */
function watched(bytes) {
  /** @type {LoadProgress[]} */
  const seen = [];
  let now = 0;
  let received = 0;
  const total = bytes.reduce((a, b) => a + b);
  const progress = new Progress((event) => seen.push(event), () => now);
  const count = () => ({ phase: /** @type {const} */ ("download"), file: "f", done: received, bytes: total, all_done: received, all_bytes: total, received,
    files_done: 0, files: 1, restarts: 0 });
  progress.tell({ status: "initiate", ...progress.counted(count()) });
  for (const some of bytes) {
    now += 100;
    received += some;
    progress.bytes(count);
  }
  progress.tell({ status: "done", ...progress.counted(count()) });
  return seen;
}

test("bytes only grow, the total stays, the end is all of it, the first and the last event come once", () => {
  const seen = watched(Array(40).fill(1000));
  assert.deepEqual(seen.map(({ loaded }) => loaded), seen.map(({ loaded }) => loaded).sort((a, b) => a - b));
  assert.deepEqual([...new Set(seen.map(({ total }) => total))], [40_000]);
  assert.equal(seen.at(-1)?.loaded, 40_000);
  for (const status of ["initiate", "done"]) assert.equal(seen.filter((event) => event.status === status).length, 1);
});

test("the rate is that of the last seconds, and the time left follows from it", () => {
  const seen = watched([...Array(100).fill(1000), ...Array(100).fill(3000)]);
  assert.equal(seen[2].rate, null, "a rate was guessed from the first instant");
  const early = /** @type {LoadProgress} */ (seen.find(({ loaded }) => loaded === 50_000));
  assert.equal(early.rate, 10_000);
  assert.equal(early.left, 35);
  assert.equal(seen.at(-2)?.rate, 30_000);
});

test("events that come too fast are dropped", () => {
  /** @type {LoadProgress[]} */
  const seen = [];
  let now = 0;
  const progress = new Progress((event) => seen.push(event), () => now);
  const count = () => ({ phase: /** @type {const} */ ("download"), file: "f", done: 1, bytes: 2, all_done: 1, all_bytes: 2, received: 1, files_done: 0, files: 1, restarts: 0 });
  for (; now < 1000; now += 1) progress.bytes(count);
  assert.equal(seen.length, 20);
});
