import assert from "node:assert/strict";
import { test } from "node:test";
import { drawSheet, hitTile, sharesTo, sheetLayout, sheetMark, thumbnail, tileAt } from "../../www/draw/attention.js";
import { patternFigure, patternsOf } from "../../www/figures.js";
import { theme } from "./theme.js";

/** Two layers of two heads over three tokens; the value tells where it came from. */
function trace() {
  const layer = (/** @type {number} */ l) => ({
    shape: [2, 3, 3],
    data: Float32Array.from({ length: 18 }, (_, i) => (i % 3 > Math.floor((i % 9) / 3) ? 0 : (l * 18 + i) / 100)),
  });
  return /** @type {import("../../www/microtome.js").TraceResult} */ (/** @type {unknown} */ ({
    kind: "trace", tensors: [{ "blocks.0.attn.hook_pattern": layer(0), "blocks.1.attn.hook_pattern": layer(1) }],
  }));
}
const TOKENS = ["<|endoftext|>", "Mary", " is"].map((text, id) => ({ id, text }));

test("patterns come layer by layer, head by head, as the trace has them", () => {
  const patterns = patternsOf(trace());
  assert.deepEqual(patterns.map(({ layer, head }) => [layer, head]), [[0, 0], [0, 1], [1, 0], [1, 1]]);
  assert.ok(Math.abs(patterns[3].data[3 * 2 + 1] - (18 + 9 + 7) / 100) < 1e-6, "layer 1, head 1, dest 2, src 1");
});

test("an enlarged pattern has dest as rows, src as columns, empty cells where the mask is", () => {
  const { rows, cols, values, row_axis, col_axis, scale } = patternFigure(patternsOf(trace())[0], TOKENS);
  assert.deepEqual([rows, cols], [3, 3]);
  assert.deepEqual(values.map((v) => v === null), [false, true, true, false, false, true, false, false, false]);
  assert.deepEqual(row_axis.labels, ["<|endoftext|>_0", "Mary_1", "␣is_2"]);
  assert.deepEqual(col_axis.labels, row_axis.labels);
  assert.deepEqual([scale.min, scale.max], [0, 1]);
});

test("the middle of every tile hits that tile, and the gap between two hits none", () => {
  for (const [heads, layers, width] of [[8, 4, 830], [12, 12, 324], [8, 1, 830], [12, 1, 324]]) {
    const sheet = sheetLayout(heads, layers, { width, ratio: 2 });
    for (let i = 0; i < heads * layers; i++) {
      const { x, y, w, h } = tileAt(sheet, i);
      assert.equal(hitTile(sheet, heads * layers, x + w / 2, y + h / 2), i);
      assert.equal(hitTile(sheet, heads * layers, x + w + 1, y + h / 2), null);
      assert.ok(x + w <= width + 0.01 && y + h <= sheet.height, "inside the canvas");
    }
  }
});

test("what a head cannot see is see-through, the rest is opaque", () => {
  const tile = drawSheet(patternsOf(trace()), sheetLayout(2, 2, { width: 400, ratio: 1 }), theme).filter(({ op }) => op === "cells")[1];
  assert.deepEqual(tile.op === "cells" && [...tile.rgba].filter((_, i) => i % 4 === 3), [255, 0, 0, 255, 255, 0, 255, 255, 255]);
});

test("with a lower top, weaker attention has the strongest colour, and what is stronger the same", () => {
  const strongest = theme.sequential.at(-1);
  const pattern = [{ layer: 0, head: 0, n: 2, data: Float32Array.from([1, 0, 0.75, 0.25]) }];
  const colours = (/** @type {number | undefined} */ top) => drawSheet(pattern, sheetLayout(1, 1, { width: 400, ratio: 1 }), theme, 1, top)
    .flatMap((op) => (op.op === "cells" ? [0, 2, 3].map((i) => [...op.rgba.slice(4 * i, 4 * i + 3)]) : []));
  const same = (/** @type {number | undefined} */ top) => colours(top).map((rgb) => String(rgb) === String(strongest));
  assert.deepEqual([undefined, 0.75, 0.25].map(same), [[true, false, false], [true, true, false], [true, true, true]]);
  assert.deepEqual(sharesTo(0.25), { min: 0, mid: 0.125, max: 0.25 });
});

test("a small square has the largest value of those that share a pixel, and nothing where no token can be seen", () => {
  const n = 7;
  const data = Float32Array.from({ length: n * n }, (_, i) => ((i * 31) % 97) / 100);
  for (const side of [7, 4, 3, 1]) {
    const small = thumbnail(n, data, side);
    for (let row = 0; row < side; row++) {
      for (let col = 0; col < side; col++) {
        const inside = [...data.keys()].filter((i) => i % n <= Math.floor(i / n)
          && Math.floor((Math.floor(i / n) * side) / n) === row && Math.floor(((i % n) * side) / n) === col).map((i) => data[i]);
        const expected = inside.length ? Math.max(...inside) : NaN;
        assert.ok(Object.is(small[row * side + col], expected), `${side}: ${row}, ${col}: ${small[row * side + col]}, not ${expected}`);
      }
    }
  }
});

test("the enlarged head is framed, in the accent colour once it is locked", () => {
  const patterns = patternsOf(trace());
  const sheet = sheetLayout(2, 2, { width: 400, ratio: 1 });
  for (const [locked, stroke] of /** @type {[boolean, string][]} */ ([[false, "ink"], [true, "accent"]])) {
    assert.ok(!drawSheet(patterns, sheet, theme).some((op) => op.op === "frame" && op.stroke !== "line"), "a mark is in what stays");
    const [last] = sheetMark(sheet, theme, { shown: 2, locked });
    assert.ok(last.op === "frame" && last.stroke === stroke);
    assert.equal(hitTile(sheet, 4, last.x + last.w / 2, last.y + last.h / 2), 2);
  }
});
