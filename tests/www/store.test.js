import assert from "node:assert/strict";
import { test } from "node:test";
import { blank, cut, idOf, isEntry, lastRecord, modelKey } from "../../www/store/entry.js";
import { BLOCK } from "../../www/store/blocks.js";
import { Memory } from "../../www/store/memory.js";

const PLACE = { source: "hf:a/b", revision: "0".repeat(40), file: "model.safetensors" };
const HASH = "ab".repeat(32);

test("places that differ have ids that differ, whatever their text", () => {
  const places = [
    PLACE, { ...PLACE, file: "x" }, { ...PLACE, revision: "" }, { source: "hf:a/b\",\"", revision: "", file: "x" },
    { source: "hf:a/b", revision: "\",\"", file: "x" }, { source: "", revision: "", file: "" },
  ];
  assert.equal(new Set(places.map(idOf)).size, places.length);
  assert.equal(modelKey(PLACE), `hf:a/b@${"0".repeat(40)}`);
  assert.equal(modelKey({ source: "https://a/b/", revision: "" }), "https://a/b/");
});

test("a sidecar's last whole line counts, wherever it was cut", () => {
  const first = { ...blank(PLACE), have: 10 };
  const second = { ...blank(PLACE), have: 20, note: "n" };
  const text = `\n${JSON.stringify(first)}\n\n${JSON.stringify(second)}\n`;
  const ends = [...Array(text.length + 1).keys()].map((end) => lastRecord(text.slice(0, end))?.have ?? null);
  // Nothing, then the first, then the second: never anything else, and never back.
  assert.deepEqual([...new Set(ends)], [null, 10, 20]);
  assert.deepEqual(ends.map((have) => have ?? 0), ends.map((have) => have ?? 0).sort((a, b) => a - b));
});

test("an entry that makes no sense is none", () => {
  const whole = { ...blank(PLACE), size: 5, have: 5, sha256: HASH, complete: true };
  assert.ok(isEntry(blank(PLACE)) && isEntry(whole) && isEntry({ ...whole, files: ["a"], checked: true, note: "" }));
  for (const wrong of [
    null, 1, "x", [], {}, { ...whole, have: 4 }, { ...whole, sha256: null }, { ...whole, sha256: "A".repeat(64) }, { ...whole, size: null },
    { ...whole, size: 1e300 }, { ...whole, size: -5, have: -5 }, { ...whole, have: 5.5, size: 5.5 }, { ...whole, have: 6 }, { ...whole, file: 1 },
    { ...whole, files: [1] }, { ...whole, note: 1 }, { ...whole, complete: 1 }, { ...whole, at: "now" }, { ...whole, revision: undefined },
  ]) assert.ok(!isEntry(wrong), JSON.stringify(wrong));
});

test("what is cut is no longer whole", () => {
  const entry = { ...blank(PLACE), size: 5, have: 5, sha256: HASH, complete: true, checked: true, files: ["a"] };
  const { have, complete, checked, files } = cut(entry, 3);
  assert.deepEqual({ have, complete, checked, files }, { have: 3, complete: false, checked: false, files: null });
  assert.equal(cut(entry, 9).have, 5);
});

test("blocks: writes of any size at any place are the same bytes again", async () => {
  const size = 2 * BLOCK + 12_345;
  const bytes = Uint8Array.from({ length: size }, (_, i) => (i * 31 + (i >> 12)) & 255);
  const shelf = new Memory();
  const slot = await shelf.slot(PLACE);
  // Pieces that end before, at and after the ends of blocks.
  const cuts = [0, 1, 1000, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 7, 2 * BLOCK + 7, size];
  for (let i = 1; i < cuts.length; i++) await slot.write(cuts[i - 1], bytes.subarray(cuts[i - 1], cuts[i]));
  await slot.commit({ ...slot.entry, size, have: size });
  assert.deepEqual(await slot.read(BLOCK - 5, 2 * BLOCK + 5), bytes.slice(BLOCK - 5, 2 * BLOCK + 5));
  assert.equal(await shelf.file(PLACE), null, "a file that nothing called whole was given");
  // Over what is there already, across a block's end.
  await slot.write(BLOCK - 2, Uint8Array.of(1, 2, 3, 4));
  bytes.set([1, 2, 3, 4], BLOCK - 2);
  await slot.commit({ ...slot.entry, complete: true, sha256: HASH });
  await slot.close();
  const whole = await shelf.file(PLACE);
  assert.deepEqual(new Uint8Array(await /** @type {Blob} */ (whole).arrayBuffer()), bytes);
});

test("blocks: a cut forgets what is behind it, and a shorter file is no longer than it is", async () => {
  const shelf = new Memory();
  const slot = await shelf.slot(PLACE);
  await slot.write(0, new Uint8Array(BLOCK + 100).fill(1));
  await slot.commit({ ...slot.entry, have: BLOCK + 100 });
  await slot.truncate(10);
  assert.equal(slot.entry.have, 10);
  await slot.write(10, new Uint8Array(10).fill(2));
  await slot.commit({ ...slot.entry, size: 20, have: 20, complete: true, sha256: HASH });
  await slot.close();
  const whole = new Uint8Array(await /** @type {Blob} */ (await shelf.file(PLACE)).arrayBuffer());
  assert.deepEqual([...whole], [...Array(10).fill(1), ...Array(10).fill(2)]);
});
