// What a visitor waits for, measured in the page: paints, layout shift, long tasks, the first figure, the live results.
import { newPage } from "./harness.mjs";
import { COMPUTED } from "./lab_page.mjs";

/** Milliseconds since navigation began; `shift` has no unit. @typedef {{ paint: number, largest: number, figure: number, live: number, all: number, blocked: number, shift: number }} Vitals */

/** A desktop and a phone; the phone's processor is this machine's, four times slower. */
export const DEVICES = {
  desktop: { slow: 1, options: { viewport: { width: 1350, height: 940 } } },
  phone: { slow: 4, options: { viewport: { width: 360, height: 740 }, deviceScaleFactor: 3, hasTouch: true, isMobile: true } },
};

/**
 * Opens the page with an empty cache and waits until everything is live and the page is quiet.
 * @param {import("playwright-core").Browser} browser
 * @param {string} url
 * @param {keyof typeof DEVICES} device
 * @returns {Promise<Vitals & { shifts: string[], tasks: number[] }>}
 */
export async function vitalsOf(browser, url, device) {
  const { slow, options } = DEVICES[device];
  const page = await newPage(browser, { ...options, folded: true });
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  await session.send("Network.setCacheDisabled", { cacheDisabled: true });
  await session.send("Emulation.setCPUThrottlingRate", { rate: slow });
  await page.addInitScript(watch, COMPUTED);
  await page.goto(url);
  await page.waitForFunction(() => /** @type {any} */ (globalThis).vitals.quiet, null, { timeout: 120_000 });
  const vitals = await page.evaluate(() => /** @type {any} */ (globalThis).vitals);
  await page.context().close();
  return vitals;
}

/** Milliseconds until a page without any script is painted. @param {import("playwright-core").Browser} browser @param {string} url */
export async function emptyPaint(browser, url) {
  const page = await newPage(browser);
  await page.goto(url);
  const paint = await page.evaluate(() => new Promise((/** @type {(at: number) => void} */ resolve) =>
    new PerformanceObserver((list) => resolve(list.getEntries()[0].startTime)).observe({ type: "paint", buffered: true })));
  await page.context().close();
  return paint;
}

/** In the page, before its own scripts. @param {string[]} keys */
function watch(keys) {
  const vitals = { paint: NaN, largest: NaN, figure: NaN, live: NaN, all: NaN, blocked: 0, shift: 0, quiet: false,
    shifts: /** @type {string[]} */ ([]), tasks: /** @type {number[]} */ ([]) };
  Object.assign(globalThis, { vitals });
  /** @param {string} type @param {(entry: any) => void} on */
  const observe = (type, on) => new PerformanceObserver((list) => list.getEntries().forEach(on)).observe({ type, buffered: true });
  observe("paint", ({ name, startTime }) => name === "first-contentful-paint" && (vitals.paint = startTime));
  observe("largest-contentful-paint", ({ startTime }) => (vitals.largest = startTime));
  observe("layout-shift", ({ value, startTime, sources }) => {
    vitals.shift += value;
    vitals.shifts.push(`${Math.round(startTime)} ms ${value.toFixed(4)}: ${sources.map((/** @type {any} */ { node, previousRect: a, currentRect: b }) =>
      `${node?.id ? `#${node.id}` : node?.className || node?.nodeName} ${Math.round(a.y)}→${Math.round(b.y)} h ${Math.round(a.height)}→${Math.round(b.height)}`).join(", ")}`);
  });
  observe("longtask", ({ duration, startTime }) => {
    vitals.blocked += duration - 50;
    vitals.tasks.push(Math.round(startTime), Math.round(duration));
  });
  // A figure counts as seen with the frame after its first drawing.
  const proto = CanvasRenderingContext2D.prototype;
  for (const name of /** @type {const} */ (["fillRect", "fillText", "putImageData", "drawImage"])) {
    const draw = /** @type {any} */ (proto[name]);
    proto[name] = /** @this {any} @param {any[]} args */ function (...args) {
      if (Number.isNaN(vitals.figure) && this.canvas.isConnected) {
        vitals.figure = Infinity;
        requestAnimationFrame(() => requestAnimationFrame((now) => (vitals.figure = now)));
      }
      return draw.apply(this, args);
    };
  }
  const tick = () => {
    const store = /** @type {any} */ (globalThis).microtome?.store;
    const done = store ? keys.filter((key) => store.get(key).job.status === "done").length : 0;
    if (done > 0 && Number.isNaN(vitals.live)) vitals.live = performance.now();
    if (done < keys.length) return void setTimeout(tick, 5);
    vitals.all = performance.now();
    setTimeout(() => (vitals.quiet = true), 500);
  };
  tick();
}

/** @param {number[]} values */
export const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
