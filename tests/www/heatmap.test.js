import assert from "node:assert/strict";
import { test } from "node:test";
import { drawHeatmap, hit, layout, pixels } from "../../www/draw/heatmap.js";
import { position, ramp, symmetric } from "../../www/draw/colour.js";
import { theme } from "./theme.js";

/** @param {number} rows @param {number} cols @returns {import("../../www/microtome.js").Figure} */
function figure(rows, cols) {
  const values = Array.from({ length: rows * cols }, (_, i) => (i === 1 ? null : i - 3));
  const labels = (/** @type {number} */ n, /** @type {string} */ word) => Array.from({ length: n }, (_, i) => `${word}_${i}`);
  return {
    title: "t", row_axis: { title: "Layer", labels: labels(rows, "") }, col_axis: { title: "Position", labels: labels(cols, "token") },
    rows, cols, values, scale: symmetric(values, 0), caption: "",
  };
}
const SIZES = [{ width: 830, ratio: 1 }, { width: 830, ratio: 2 }, { width: 324, ratio: 3 }, { width: 501.5, ratio: 1.25 }];

test("the middle of every cell hits that cell, at every width and pixel density", () => {
  for (const size of SIZES) {
    for (const square of [false, true]) {
      const f = figure(4, 11);
      const at = layout(f, size, square);
      for (let row = 0; row < f.rows; row++) {
        for (let col = 0; col < f.cols; col++) {
          const x = at.plot.x + (col + 0.5) * at.cell.w;
          const y = at.plot.y + (row + 0.5) * at.cell.h;
          assert.deepEqual(hit(at, f, x, y), { row, col });
        }
      }
    }
  }
});

test("nothing is hit outside the cells", () => {
  const f = figure(3, 5);
  const at = layout(f, SIZES[0]);
  const { x, y, w, h } = at.plot;
  for (const [px, py] of [[x - 1, y + 1], [x + 1, y - 1], [x + w + 0.1, y + 1], [x + 1, y + h + 0.1]]) {
    assert.equal(hit(at, f, px, py), null);
  }
});

test("cells begin and end on whole device pixels", () => {
  for (const size of SIZES) {
    const at = layout(figure(4, 11), size);
    for (const edge of [at.plot.x, at.cell.w, at.cell.h]) {
      assert.ok(Math.abs(edge * size.ratio - Math.round(edge * size.ratio)) < 1e-9, `${edge} at ${size.ratio}`);
    }
  }
});

test("the figure stays within the page's width until cells would be too small, then it scrolls", () => {
  assert.equal(layout(figure(4, 11), { width: 328, ratio: 2 }).width, 328);
  assert.ok(layout(figure(4, 200), { width: 328, ratio: 2 }).width > 328 + 200);
});

test("one pixel a cell, in row-major order, in the scale's colour; an empty cell is see-through", () => {
  const f = figure(2, 3);
  const rgba = pixels(f, theme.diverging);
  assert.equal(rgba.length, 24);
  f.values.forEach((value, i) => {
    const expected = value === null ? [0, 0, 0, 0] : [...ramp(theme.diverging, position(f.scale, value)), 255];
    assert.deepEqual([...rgba.subarray(i * 4, i * 4 + 4)], expected);
  });
});

test("the colour bar states minimum, middle and maximum", () => {
  const f = { ...figure(2, 3), scale: { min: 2.5, mid: 3, max: 3.5 } };
  const texts = drawHeatmap(f, layout(f, SIZES[0]), theme, { stops: theme.diverging, written: false })
    .flatMap((op) => (op.op === "text" ? [op.text] : []));
  for (const end of ["≤ 2.50", "3.00", "3.50", "Layer", "Position", "token_2"]) assert.ok(texts.includes(end), `${end} in ${texts}`);
});

test("a cell without room for its number has its sign, unless it is too small for that, or the figure has no sides", () => {
  const wide = 30;
  for (const [cols, width, expected] of /** @type {[number, number, boolean][]} */ ([[8, 324, true], [8, 830, false], [wide, 324, false]])) {
    const f = figure(4, cols);
    const at = layout(f, { width, ratio: 3 });
    const signs = drawHeatmap(f, at, theme, { stops: theme.diverging, signs: "small" }).flatMap((op) => (op.op === "text" && /^[+−]$/.test(op.text) ? [op] : []));
    assert.equal(signs.length, expected ? f.values.filter((value) => value).length : 0, `${cols} columns on ${width} pixels, cells of ${at.cell.w} × ${at.cell.h}`);
    for (const { text, x, y } of signs) {
      const cell = hit(at, f, x, y);
      assert.equal(text, Number(f.values[(cell?.row ?? NaN) * cols + (cell?.col ?? NaN)]) > 0 ? "+" : "−");
    }
    assert.ok(!drawHeatmap(f, at, theme, { stops: theme.sequential }).some((op) => op.op === "text" && /^[+−]$/.test(op.text)));
  }
});

test("the cursor frames the cell it stands on", () => {
  const f = figure(4, 11);
  const at = layout(f, SIZES[0]);
  const frames = drawHeatmap(f, at, theme, { stops: theme.diverging, cursor: { row: 2, col: 7 } })
    .filter((op) => op.op === "frame" && op.stroke === "ink");
  assert.equal(frames.length, 1);
  const [{ x, y, w, h }] = /** @type {{ x: number, y: number, w: number, h: number }[]} */ (frames);
  assert.deepEqual(hit(at, f, x + w / 2, y + h / 2), { row: 2, col: 7 });
});
