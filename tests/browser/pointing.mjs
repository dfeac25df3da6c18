// Pointing at figures, with the mouse and with keys: what is said and drawn there must belong to that cell.
import { ensure } from "./harness.mjs";
import { coloursOf, part, settled } from "./lab_page.mjs";
import { position, ramp } from "../../www/draw/colour.js";
import { layout } from "../../www/draw/heatmap.js";
import { theme } from "../www/theme.js";

/** @typedef {import("playwright-core").Page} Page */

/** Points at cells of the patching figure: words, number and the colour under the pointer must belong together. @param {Page} page */
export async function hover(page) {
  await settled(page, "patch");
  const canvas = page.locator("#patch canvas");
  await canvas.scrollIntoViewIfNeeded();
  const { figure } = (await part(page, "patch")).job.value;
  const box = await canvas.boundingBox();
  ensure(box, "the canvas is not shown");
  const at = await plotOf(canvas, figure);
  for (const [row, col] of [[0, 1], [figure.rows - 1, figure.cols - 1], [1, 0], [figure.rows - 1, 2]]) {
    // Beside the number that is written in the cell's middle.
    const [x, y] = [at.x + (col + 0.5) * at.w, at.y + (row + 0.12) * at.h];
    await page.mouse.move(box.x + x, box.y + y);
    const value = figure.values[row * figure.cols + col];
    const words = await page.locator("#patch .readout").innerText();
    const number = value.toFixed(4).replace("-", "−");
    ensure(words.includes(`Layer ${row}`) && words.includes(figure.col_axis.labels[col]) && words.includes(number),
      `over row ${row}, column ${col} it says “${words}”, not ${figure.col_axis.labels[col]} and ${number}`);
    ensure((await page.locator("#patch .tip").innerText()) === words, "the tooltip says something else");
    const colour = await canvas.evaluate((node, [x, y]) => [.../** @type {any} */ (node).getContext("2d").getImageData(x, y, 1, 1).data].slice(0, 3), [x, y]);
    const expected = ramp(theme.diverging, position(figure.scale, value));
    ensure(colour.every((c, i) => Math.abs(c - expected[i]) <= 2), `row ${row}, column ${col} is drawn in ${colour}, not ${expected}`);
  }
  await page.mouse.move(2, 2);
}

/** Where the cells are. @param {import("playwright-core").Locator} canvas @param {any} figure */
async function plotOf(canvas, figure) {
  const width = await canvas.evaluate((node) => /** @type {HTMLElement} */ (node.parentElement).clientWidth);
  const { plot, cell } = layout(figure, { width, ratio: 1 });
  return { x: plot.x, y: plot.y, w: cell.w, h: cell.h };
}

/** @param {Page} page */
export async function keys(page) {
  const readout = page.locator("#ablate .readout");
  await settled(page, "ablate");
  await page.locator("#ablate [role=grid]").focus();
  for (const key of ["ArrowRight", "ArrowRight", "ArrowRight", "ArrowDown"]) await page.keyboard.press(key);
  ensure((await readout.innerText()).startsWith("Layer 1, head 2:"), `after → → → ↓ it says “${await readout.innerText()}”`);
  await page.keyboard.press("End");
  const { figure } = (await part(page, "ablate")).job.value;
  ensure((await readout.innerText()).startsWith(`Layer 1, head ${figure.cols - 1}:`), `after End it says “${await readout.innerText()}”`);
  await page.keyboard.press("ArrowRight");
  ensure((await readout.innerText()).startsWith(`Layer 1, head ${figure.cols - 1}:`), "the cursor left the grid");
  await page.keyboard.press("Escape");
  ensure(!(await readout.innerText()).startsWith("Layer"), "Esc leaves the cursor");
}

/** @param {Page} page */
export async function heads(page) {
  await settled(page, "attention");
  const sheet = page.locator("#attention canvas").first();
  await sheet.scrollIntoViewIfNeeded();
  const box = await sheet.boundingBox();
  ensure(box, "the sheet is not shown");
  const { info: { model } } = await part(page, "model");
  const title = page.locator("#attention .heading h3");
  const over = (/** @type {number} */ layer, /** @type {number} */ head) => page.mouse.move(
    box.x + 30 + (head + 0.5) * ((box.width - 30) / model.n_heads), box.y + 20 + (layer + 0.5) * ((box.height - 20) / model.n_layers));
  const shows = async (/** @type {string} */ head) => ensure((await title.innerText()).endsWith(head), `it shows ${await title.innerText()}, not ${head}`);
  await over(1, 2);
  await shows("L1H2");
  await over(0, 3);
  await shows("L0H3");
  await page.mouse.down();
  await page.mouse.up();
  await over(1, 2);
  await shows("L0H3");
  await page.keyboard.press("Escape");
  await over(1, 1);
  await shows("L1H1");
  const before = await coloursOf(page.locator("#attention canvas").nth(1));
  ensure(before > 10, "the enlarged head is blank");
  await page.mouse.move(2, 2);
}
