// What the checks of figures share: where cells are, their colours, and the run behind one.
import { ensure } from "./harness.mjs";
import { part } from "./lab_page.mjs";
import { layout } from "../../www/draw/heatmap.js";

/** @typedef {import("playwright-core").Page} Page */

export const PHONE = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 3, hasTouch: true, isMobile: true };
export const write = (/** @type {number} */ value) => value.toFixed(4).replace("-", "−");

/** Where a figure's parts are on the page. @param {import("playwright-core").Locator} canvas @param {any} figure @param {number} [ratio] @param {boolean} [square] */
export async function placed(canvas, figure, ratio = 1, square = false) {
  const width = await canvas.evaluate((node) => /** @type {HTMLElement} */ (node.parentElement).clientWidth);
  return layout(figure, { width, ratio }, square);
}

/** The colour of a cell, beside its number. @param {import("playwright-core").Locator} canvas @param {any} figure @param {number} cell */
export async function colourOf(canvas, figure, cell) {
  const at = await placed(canvas, figure);
  const x = at.plot.x + ((cell % figure.cols) + 0.5) * at.cell.w;
  const y = at.plot.y + (Math.floor(cell / figure.cols) + 0.9) * at.cell.h;
  return canvas.evaluate((node, [x, y]) => [.../** @type {any} */ (node).getContext("2d").getImageData(x, y, 1, 1).data].slice(0, 3), [x, y]);
}

/** @param {number[]} found @param {number[]} expected @param {string} what */
export const same = (found, expected, what) => ensure(found.every((c, i) => Math.abs(c - expected[i]) <= 2), `${what}: ${found}, not ${expected}`);

/** Opens the run behind a cell with the mouse. @param {Page} page @param {"ablate" | "patch"} key @param {number} cell */
export async function open(page, key, cell) {
  const { figure } = (await part(page, key)).job.value;
  const canvas = page.locator(`#${key} .panels canvas`).last();
  await canvas.scrollIntoViewIfNeeded();
  const [box, at] = [await canvas.boundingBox(), await placed(canvas, figure)];
  ensure(box, "the figure is not shown");
  await page.mouse.click(box.x + at.plot.x + ((cell % figure.cols) + 0.5) * at.cell.w, box.y + at.plot.y + (Math.floor(cell / figure.cols) + 0.5) * at.cell.h);
  return traced(page, key);
}

/** Waits for the panel's attention. @param {Page} page @param {"ablate" | "patch"} key */
export async function traced(page, key) {
  const panel = page.locator(`#${key} .behind`);
  await panel.locator("canvas:visible").waitFor();
  await page.waitForFunction((key) => !/Running/.test(document.querySelector(`#${key} .behind p[role=status]`)?.textContent ?? "Running"), key);
  return panel;
}
