import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { drawPanels, hitPanel, panelAt, panelMark, panelsLayout } from "../../www/draw/panels.js";
import { drawHeatmap, layout } from "../../www/draw/heatmap.js";
import { panelOf, placeWords, strongest } from "../../www/figures.js";
import { theme } from "./theme.js";

/** @param {[string, number][]} panels @param {number} rows @param {number} cols @returns {import("../../www/microtome.js").Figure} */
function figure(panels, rows, cols) {
  const axis = (/** @type {string} */ title, /** @type {number} */ n) =>
    ({ title, labels: Array.from({ length: n }, (_, i) => (title === "Site" ? ["z", "q", "pattern"][i] : `${i}`)) });
  const count = panels.reduce((n, [, size]) => n * size, rows * cols);
  return {
    title: "Loss", panel_axes: panels.map(([title, n]) => axis(title, n)), row_axis: axis("Layer", rows), col_axis: axis("Position", cols),
    rows, cols, values: Array.from({ length: count }, (_, i) => (i === 1 ? null : i)), scale: { min: -count, mid: 0, max: count }, caption: "",
  };
}
const FIGURES = [figure([["Head", 8]], 4, 9), figure([["Site", 3], ["Head", 12]], 12, 11), figure([["Layer", 4], ["Head", 8]], 10, 10)];
const SIZES = [{ width: 830, ratio: 1 }, { width: 324, ratio: 3 }, { width: 501.5, ratio: 1.25 }];

test("the middle of every panel hits it, and between panels is nothing", () => {
  for (const f of FIGURES) {
    for (const size of SIZES) {
      const sheet = panelsLayout(f, size);
      for (let i = 0; i < sheet.count; i++) {
        const { x, y, w, h } = panelAt(sheet, i);
        assert.equal(hitPanel(sheet, x + w / 2, y + h / 2), i);
        assert.equal(hitPanel(sheet, x + w + 2, y + 1), null);
        assert.ok(h >= 24 && y + h <= sheet.height);
      }
      assert.equal(hitPanel(sheet, 1, 1), null);
      assert.equal(hitPanel(sheet, 10, sheet.height + 50), null);
    }
  }
});

test("a panel holds its own slice, in the common scale", () => {
  const f = FIGURES[1];
  const panel = panelOf(f, 2 * 12 + 5);
  assert.deepEqual(panel.values.slice(0, 2), [29 * 132, 29 * 132 + 1]);
  assert.deepEqual([panel.values.length, panel.panel_axes, panel.scale, panel.title], [132, undefined, f.scale, "Loss: pattern, head 5"]);
  const { panel_axes, ...plain } = f;
  assert.deepEqual(panelOf(plain, 0), plain);
});

test("the strongest panel has the cell farthest from the middle, on either side; missing cells do not count", () => {
  const f = FIGURES[0];
  assert.equal(strongest(f), 7);
  assert.equal(strongest({ ...f, values: f.values.map((_, i) => (i === 100 ? -9 : i % 3 ? 1 : null)) }), 2);
  assert.equal(strongest({ ...f, scale: { min: 5, mid: 5, max: 5 }, values: f.values.map(() => null) }), 0);
});

test("the engine's titles are names of axes: words in another language change no label but theirs", () => {
  const words = JSON.parse(execFileSync(process.execPath, ["--input-type=module", "-e", `
    import { register } from "node:module";
    register("data:text/javascript," + encodeURIComponent(\`export async function load(url, context, next) {
      const loaded = await next(url, context);
      return url.endsWith("/strings/axes.js") ? { ...loaded, source: String(loaded.source).replaceAll('Layer: "Layer"', 'Layer: "Schicht"').replaceAll('Head: "Head"', 'Head: "Kopf"') } : loaded;
    }\`));
    const { placeWords, shortLabel } = await import(${JSON.stringify(new URL("../../www/figures.js", import.meta.url).href)});
    const axis = (title, labels) => ({ title, labels });
    const figure = { panel_axes: [axis("Site", ["z", "q"])], row_axis: axis("Layer", ["0", "1"]), col_axis: axis("Head", ["0", "1"]) };
    console.log(JSON.stringify([placeWords(figure, 1, { row: 1, col: 0 }), shortLabel("Layer", "3"), shortLabel("Site", "z")]));`], { encoding: "utf8" }));
  assert.deepEqual(words, ["q, schicht 1, kopf 0", "L3", "z"]);
});

test("a cell's place in words, outermost axis first", () => {
  assert.equal(placeWords(FIGURES[0], 3, { row: 1, col: 2 }), "Head 3, layer 1, position 2");
  assert.equal(placeWords(FIGURES[1], 13, null), "q, head 1");
  const sets = { ...figure([], 2, 1), panel_axes: undefined, row_axis: { title: "Set", labels: ["layer L1H0 z", "b"] }, col_axis: { title: "", labels: [""] } };
  assert.equal(placeWords(sets, 0, { row: 0, col: 0 }), "layer L1H0 z");
});

test("the sheet is labelled by rows and columns, marks the panel that is shown, and hatches only what is not done", () => {
  const f = FIGURES[1];
  const sheet = panelsLayout(f, SIZES[0]);
  const look = { stops: theme.diverging, pending: false };
  const ops = drawPanels(f, sheet, theme, look);
  const texts = ops.flatMap((op) => (op.op === "text" ? [op.text] : []));
  assert.deepEqual(texts.filter((text) => !text.startsWith("H")), ["z", "q", "pattern"]);
  assert.equal(texts.length, 3 + 12);
  const marks = panelMark(sheet, theme, { shown: 13, locked: false });
  const [{ x, y, w, h }] = /** @type {{ x: number, y: number, w: number, h: number }[]} */ (marks);
  assert.equal(hitPanel(sheet, x + w / 2, y + h / 2), 13);
  assert.ok(!ops.some((op) => op.op === "hatch"));
  const hatched = drawPanels(f, sheet, theme, { ...look, pending: true }).filter((op) => op.op === "hatch");
  assert.equal(hatched.length, 36);
});

test("cells that are not done show the hatch below them, cells that are hide it", () => {
  const { panel_axes, ...f } = figure([], 2, 3);
  const ops = drawHeatmap(f, layout(f, SIZES[0]), theme, { stops: theme.diverging, pending: true });
  const order = ops.map(({ op }) => op);
  assert.ok(order.indexOf("hatch") > 0 && order.indexOf("hatch") < order.indexOf("cells"));
  const cells = ops.find((op) => op.op === "cells");
  assert.deepEqual([3, 7, 11].map((i) => cells?.op === "cells" && cells.rgba[i]), [255, 0, 255]);
  assert.ok(!drawHeatmap(f, layout(f, SIZES[0]), theme, { stops: theme.diverging }).some((op) => op.op === "hatch"));
});
