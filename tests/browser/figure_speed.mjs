// How fast a sheet of 144 heads of 256 tokens follows the pointer, and what an open table does meanwhile.
import { join } from "node:path";
import { ensure } from "./harness.mjs";

/** @typedef {import("playwright-core").Page} Page */
/**
 * Milliseconds in which a step of the pointer must be drawn: one frame at 60 a second. It is asked of the time that the page's
 * thread computes for a step, from its event to the frame after it, script, styles and layout together, less what a step
 * without an event costs, which is the measuring: the median of all steps. What a clock on the wall says is printed beside it.
 */
const FRAME = 16;
/**
 * Who else uses a machine makes computing dearer, too, since they share its caches. How much dearer is measured right before,
 * with work that is always the same: what it took on the two idle cores where the limit was set, in milliseconds. A busy or a
 * slower machine is excused by as much, and by no more than half a frame.
 */
const WORK = 20;
const MOST_EXCUSED = 1.5;
const STEPS = 60;
/** Rows of the table are drawn once the pointer has rested so long, in milliseconds; and a little. */
const REST = 200 + 400;

const quantile = (/** @type {number[]} */ times, /** @type {number} */ part) => [...times].sort((a, b) => a - b)[Math.floor(times.length * part)];
const both = (/** @type {number[]} */ times) => `${quantile(times, 0.5).toFixed(1)} / ${quantile(times, 0.95).toFixed(1)} ms`;

/** @param {(options?: any) => Promise<Page>} fresh @param {string} shots */
export async function followsPointer(fresh, shots) {
  const page = await fresh();
  await synthetic(page, 12, 12, 256);
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("Performance.enable", { timeDomain: "threadTicks" });
  const computed = async () => 1000 * ((await cdp.send("Performance.getMetrics")).metrics.find(({ name }) => name === "TaskDuration")?.value ?? NaN);
  /** What the page's thread computes for something, in milliseconds. @param {() => Promise<unknown>} action */
  const cost = async (action) => {
    const before = await computed();
    await action();
    return (await computed()) - before;
  };
  /** The middle of what something takes, done several times. @param {(i: number) => Promise<unknown>} action @param {number} count */
  const usual = async (action, count) => {
    const times = [];
    for (let i = 0; i < count; i++) times.push(await cost(() => action(i)));
    return quantile(times, 0.5);
  };
  /** @type {string[]} */
  const slow = [];
  /** @param {"heads" | "cells" | "tokens"} what @param {string} [more] */
  const hovered = async (what, more = "") => {
    const worked = await usual(() => page.evaluate(work), 9);
    const excused = Math.min(MOST_EXCUSED, Math.max(1, worked / WORK));
    for (let i = 0; i < 5; i++) await page.evaluate(hover, { what, i });
    const measuring = await usual((i) => page.evaluate(hover, { what, i, still: true }), 9);
    const [times, clock] = [/** @type {number[]} */ ([]), /** @type {number[]} */ ([])];
    for (let i = 5; i < 5 + STEPS; i++) times.push(await cost(async () => clock.push(await page.evaluate(hover, { what, i }))) - measuring);
    const median = quantile(times, 0.5);
    console.log(`# hover over ${what}${more} at 144 heads × 256 tokens: median / 95th percentile ${both(times)} computed, ${both(clock)} by the clock; limit ${(FRAME * excused).toFixed(1)} ms (the measuring ${measuring.toFixed(1)} ms, the work of comparison ${worked.toFixed(1)} ms)`);
    if (!(median < FRAME * excused)) slow.push(`${what}${more}: ${median.toFixed(1)} ms`);
  };
  for (const what of /** @type {const} */ (["heads", "cells", "tokens"])) await hovered(what);
  await page.locator("#attention").screenshot({ path: join(shots, "attention-256.png") });

  // A table of 32,896 numbers is built when the pointer rests, not for every head that it passes.
  await page.locator("#attention .numbers summary").click();
  await page.locator("#attention .numbers tbody tr").first().waitFor();
  await page.evaluate(() => {
    const seen = /** @type {any} */ (globalThis);
    seen.tables = 0;
    new MutationObserver(() => (seen.tables += 1)).observe(/** @type {Element} */ (document.querySelector("#attention .numbers .scroll")), { childList: true });
  });
  const built = () => page.evaluate(() => /** @type {any} */ (globalThis).tables);
  await hovered("heads", ", its table open,");
  await page.waitForTimeout(REST);
  const [start, began] = [await built(), performance.now()];
  for (let i = 0; i < 12; i++) await page.evaluate(hover, { what: /** @type {const} */ ("heads"), i });
  const [tables, took] = [(await built()) - start, Math.round(performance.now() - began)];
  // A machine that is so busy that a step takes as long as a rest may build one for each.
  ensure(tables === 0 || took > 12 * 150, `${tables} tables were built while the pointer passed 12 heads in ${took} ms`);
  await page.waitForTimeout(REST);
  ensure((await built()) - start - tables === 1, "the table does not follow the head where the pointer rests, once");
  const title = await page.locator("#attention .heading h3").innerText();
  ensure((await page.locator("#attention .numbers caption").innerText()).startsWith(title), `the table is “${await page.locator("#attention .numbers caption").innerText()}”, the figure “${title}”`);
  ensure(!slow.length, slow.join(", "));
  await page.context().close();
}

/** In the page: work that is always the same, of the kind that a figure is: numbers to pixels. */
function work() {
  const [values, pixels] = [new Float32Array(65_536), new Uint8ClampedArray(4 * 65_536)];
  for (let round = 0; round < 12; round++) {
    for (let i = 0; i < values.length; i++) values[i] = ((i * 2_654_435_761 + round) % 1000) / 1000;
    for (let i = 0; i < values.length; i++) for (let c = 0; c < 4; c++) pixels[4 * i + c] = Math.round(255 * values[i]) ^ c;
  }
  return pixels[77];
}

/** Patterns that no model made, in the attention section. @param {Page} page @param {number} layers @param {number} heads @param {number} n */
const synthetic = (page, layers, heads, n) => page.evaluate(([layers, heads, n]) => {
  const { store } = /** @type {any} */ (globalThis).microtome;
  let seed = 7;
  const next = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  /** @type {Record<string, any>} */
  const tensors = {};
  for (let layer = 0; layer < layers; layer++) {
    const data = new Float32Array(heads * n * n);
    for (let head = 0; head < heads; head++) {
      for (let dest = 0; dest < n; dest++) {
        const row = (head * n + dest) * n;
        let sum = 0;
        for (let src = 0; src <= dest; src++) sum += data[row + src] = next() ** 8 + (dest - src === head ? 2 : 0) + (src === 0 ? layer / 8 : 0);
        for (let src = 0; src <= dest; src++) data[row + src] /= sum;
      }
    }
    tensors[`blocks.${layer}.attn.hook_pattern`] = { shape: [heads, n, n], data };
  }
  const { job } = store.get("attention");
  const tokens = Array.from({ length: n }, (_, i) => ({ id: i, text: ` word${i % 50}` }));
  store.update("attention", { job: { ...job, status: "done", value: { ...job.value, result: { ...job.value.result, tensors: [tensors] }, tokens } } });
}, [layers, heads, n]);

/**
 * In the page: one step of the pointer, whose drawing is finished, and the frame after it. How long it takes by the clock,
 * from its event to the end of the drawing.
 * @param {{ what: "heads" | "cells" | "tokens", i: number, still?: boolean }} asked `still`: without the event
 */
async function hover({ what, i, still = false }) {
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const section = /** @type {HTMLElement} */ (document.querySelector("#attention"));
  const [sheet, zoom] = /** @type {HTMLCanvasElement[]} */ ([...section.querySelectorAll("canvas")]);
  const list = /** @type {HTMLElement} */ (section.querySelector(".strip"));
  const over = { heads: sheet, cells: zoom, tokens: list }[what];
  if (i === 0) over.scrollIntoView();
  await frame();
  const box = over.getBoundingClientRect();
  const at = { clientX: box.left + 40 + ((i * 97) % (box.width - 60)), clientY: box.top + 30 + ((i * 61) % (box.height - 60)), bubbles: true, pointerType: "mouse" };
  // What is drawn must be finished, not only asked for.
  const finished = () => [sheet, zoom].forEach((canvas) => canvas.getContext("2d")?.getImageData(0, 0, 1, 1));
  const start = performance.now();
  if (still) finished();
  else if (what === "tokens") list.children[(i * 37) % list.children.length].dispatchEvent(new PointerEvent("pointerover", at));
  else over.dispatchEvent(new PointerEvent("pointermove", at));
  if (what !== "tokens") finished();
  const asked = performance.now() - start;
  // Tokens are drawn with the next frame.
  await frame();
  const began = performance.now();
  void list.offsetHeight;
  if (what === "tokens") finished();
  return what === "tokens" ? asked + performance.now() - began : asked;
}
