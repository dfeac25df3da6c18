// Figures while something else changes: the model below them, the screen, the colours; and every word that is drawn in them.
import { join } from "node:path";
import { check, ensure, newPage } from "./harness.mjs";
import { PHONE, open, placed, same, write } from "./figure_page.mjs";
import { allSettled, choose, part, recomputed, type } from "./lab_page.mjs";
import { position, ramp } from "../../www/draw/colour.js";
import { hit } from "../../www/draw/heatmap.js";
import { MAPS } from "../../www/draw/maps.js";
import { gridFigure } from "../../www/figures.js";
import { writerFor } from "../../www/format.js";

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {(options?: any) => Promise<Page>} Fresh */

/** @param {import("playwright-core").Browser} browser @param {string} url @param {Fresh} fresh @param {string} shots */
export async function liveFigureChecks(browser, url, fresh, shots) {
  const name = (/** @type {string} */ text) => `figures: ${text}`;
  /** A page whose canvases remember the words that are drawn on them. @param {any} [options] */
  const worded = async (options) => {
    const page = await newPage(browser, options);
    await page.addInitScript(rememberWords);
    await page.goto(url);
    await allSettled(page);
    await page.mouse.move(1, 1);
    return page;
  };
  await check(name("titles of both axes, the colour bar’s ends and middle, and every cell’s number are drawn where they belong"), () => words(worded));
  await check(name("on a phone a cell says by a sign on which side of the middle it is"), () => signs(worded, shots));
  await check(name("after a zoom, on another screen and in another window each pixel is one of the screen’s, and cells are where they are drawn"), () => zoom(fresh));
  await check(name("attention has the same colours on a dark page, on a tile of its own"), () => dark(fresh, shots));
  await check(name("weak attention can be made to show, in the sheet and enlarged, and the bar says so"), () => contrast(worded, shots));
  await check(name("sentences name the colours of the map that is chosen"), () => colourWords(fresh));
  await check(name("a cell that has the keyboard says its new value, and is let go with its figure"), () => newValue(fresh));
  await check(name("a layer that the model does not have shows all of them"), () => noLayer(fresh, url));
  await check(name("before the model is there the run behind a cell waits for it, and under another one it says so"), () => waits(browser, url));
  await check(name("a figure of another checkpoint does not run on the one that is open"), () => otherModel(fresh, shots));
  await check(name("training: the small maps’ numbers are a table of every head at every step"), () => stripTable(fresh));
}

/** In the page, before it: `wordsOf(canvas)` gives what is written on it, and where, in CSS pixels. */
function rememberWords() {
  /** @type {WeakMap<object, { text: string, x: number, y: number }[]>} */
  const all = new WeakMap();
  const of = (/** @type {object} */ canvas) => {
    const list = all.get(canvas) ?? [];
    all.set(canvas, list);
    return list;
  };
  for (const { prototype } of /** @type {any[]} */ ([CanvasRenderingContext2D, OffscreenCanvasRenderingContext2D])) {
    const { fillText, drawImage, clearRect } = prototype;
    prototype.fillText = /** @this {any} */ function (/** @type {any[]} */ ...given) {
      const [text, x, y] = given;
      const at = this.getTransform().transformPoint({ x, y });
      of(this.canvas).push({ text, x: at.x / devicePixelRatio, y: at.y / devicePixelRatio });
      return fillText.apply(this, given);
    };
    prototype.drawImage = /** @this {any} */ function (/** @type {any[]} */ ...given) {
      of(this.canvas).push(...of(given[0]));
      return drawImage.apply(this, given);
    };
    prototype.clearRect = /** @this {any} */ function (/** @type {any[]} */ ...given) {
      all.delete(this.canvas);
      return clearRect.apply(this, given);
    };
  }
  Object.assign(globalThis, { wordsOf: of });
}

/** @param {import("playwright-core").Locator} canvas @returns {Promise<{ text: string, x: number, y: number }[]>} */
const wordsOn = (canvas) => canvas.evaluate((node) => /** @type {any} */ (globalThis).wordsOf(node));

/** @param {Fresh} worded */
async function words(worded) {
  const page = await worded();
  const { job: { value }, inputs } = await part(page, "grid");
  const figures = { grid: gridFigure(value.result, inputs), ablate: (await part(page, "ablate")).job.value.figure, patch: (await part(page, "patch")).job.value.figure };
  for (const [key, figure] of Object.entries(figures)) {
    const canvas = page.locator(`#${key} canvas`).first();
    const at = await placed(canvas, figure);
    const all = await wordsOn(canvas);
    const { plot, bar, cell } = at;
    titled(all, figure, at, key);
    // The bar, from above: largest, middle, smallest.
    const { min, mid, max } = figure.scale;
    const plain = writerFor(figure.scale);
    ensure(barOf(all, at).join() === [max, mid, min].map(plain).join(), `${key}: the bar says ${barOf(all, at)}, not ${[max, mid, min].map(plain)}`);
    ensure(bar.x > plot.x + plot.w, `${key}: the bar is not beside the figure`);
    // The cells are large enough for their numbers.
    ensure(cell.w >= 40, `${key}: cells of ${cell.w} pixels`);
    const inside = all.map((word) => ({ ...word, cell: hit(at, figure, word.x, word.y) })).filter((word) => word.cell);
    ensure(inside.length === figure.values.length, `${key}: ${inside.length} numbers in ${figure.values.length} cells`);
    for (const { text, cell: place } of inside) {
      const number = figure.values[/** @type {any} */ (place).row * figure.cols + /** @type {any} */ (place).col];
      ensure(text === plain(number) && Math.abs(Number(text.replace("−", "-")) - number) <= (max - mid) / 50, `${key}: ${JSON.stringify(place)} says ${text}, and is ${number}`);
    }
  }
  const { job: { value: { tokens } }, view: { head } } = await part(page, "attention");
  ensure(tokens[1].text === "Mary", JSON.stringify(tokens[1]));
  const all = await wordsOn(page.locator("#attention canvas").nth(1));
  ensure(["Looks from (dest)", "Looks at (src)", "0.00", "0.50", "1.00", "Mary_1"].every((text) => all.some((word) => word.text === text)), `attention: ${all.map(({ text }) => text)}`);
  ensure((await wordsOn(page.locator("#attention canvas").first())).some(({ text }) => text === `L${head.layer}`), "the sheet names no layer");
  await page.context().close();
}

/** @param {{ text: string, x: number, y: number }[]} all @param {any} figure @param {import("../../www/draw/heatmap.js").Layout} at @param {string} key */
function titled(all, figure, { plot }, key) {
  const near = (/** @type {number} */ a, /** @type {number} */ b) => Math.abs(a - b) < 2;
  const below = all.filter(({ text, x, y }) => text === figure.col_axis.title && near(x, plot.x + plot.w / 2) && y > plot.y + plot.h);
  const beside = all.filter(({ text, x, y }) => text === figure.row_axis.title && x < plot.x && near(y, plot.y + plot.h / 2));
  ensure(below.length === 1 && beside.length === 1, `${key}: “${figure.col_axis.title}” is written ${below.length} times below the cells, “${figure.row_axis.title}” ${beside.length} times beside them`);
}

/** What stands at the colour bar, from above. @param {{ text: string, x: number, y: number }[]} all @param {import("../../www/draw/heatmap.js").Layout} at */
const barOf = (all, { bar }) => all.filter(({ x, y }) => x > bar.x + bar.w && y >= bar.y - 1 && y <= bar.y + bar.h + 1).sort((a, b) => a.y - b.y).map(({ text }) => text);

/** @param {(options?: any) => Promise<Page>} worded @param {string} shots */
async function signs(worded, shots) {
  const page = await worded(PHONE);
  for (const key of /** @type {const} */ (["ablate", "patch"])) {
    const { figure } = (await part(page, key)).job.value;
    const canvas = page.locator(`#${key} canvas`).first();
    const at = await placed(canvas, figure, 3);
    ensure(at.cell.w < 40 && Math.min(at.cell.w, at.cell.h) >= 12, `${key}: cells of ${at.cell.w} × ${at.cell.h}`);
    const inside = (await wordsOn(canvas)).flatMap(({ text, x, y }) => {
      const cell = hit(at, figure, x, y);
      return cell ? [{ text, index: cell.row * figure.cols + cell.col }] : [];
    });
    const { min, mid, max } = figure.scale;
    figure.values.forEach((/** @type {number} */ value, /** @type {number} */ i) => {
      const expected = Math.abs(value - mid) < 0.005 * (max - mid) ? "" : value > mid ? "+" : "−";
      const found = inside.filter(({ index }) => index === i).map(({ text }) => text).join();
      ensure(found === expected, `${key}: cell ${i} of ${value} says “${found}”, between ${min} and ${max}`);
    });
    await page.locator(`#${key} .panels`).screenshot({ path: join(shots, `${key}-signs-phone.png`) });
    // Beside the colour and the sign, the words have it.
    const cell = inside.findIndex(({ text }) => text === "−");
    ensure(key === "patch" || cell >= 0, "no cell is below the middle");
  }
  await page.context().close();
}

/** @param {Fresh} fresh */
async function zoom(fresh) {
  const page = await fresh();
  const cdp = await page.context().newCDPSession(page);
  const { figure } = (await part(page, "ablate")).job.value;
  const canvas = page.locator("#ablate canvas").first();
  // A narrower window; a screen of another density; the same pixels at twice the zoom, and back.
  for (const [width, density] of [[833, 1], [1041, 1.25], [1100, 2], [550, 4], [700, 1.5], [1100, 1]]) {
    await cdp.send("Emulation.setDeviceMetricsOverride", { width, height: 900, deviceScaleFactor: density, mobile: false });
    await page.waitForFunction(([width, density]) => innerWidth === width && devicePixelRatio === density, [width, density]);
    // Two frames: the size is seen in one, and drawn in the next.
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    const off = await page.locator("canvas:visible").evaluateAll((nodes) => nodes.map((node) => {
      const canvas = /** @type {HTMLCanvasElement} */ (node);
      const box = canvas.getBoundingClientRect();
      return [Math.abs(canvas.width - box.width * devicePixelRatio), Math.abs(canvas.height - box.height * devicePixelRatio), Math.max(0, box.width - /** @type {Element} */ (canvas.parentElement).clientWidth - (canvas.parentElement?.classList.contains("wide") ? 1e9 : 0))];
    }));
    ensure(off.length >= 6 && off.flat().every((by) => by < 0.02), `${width} × ${density}: off by ${off.map((by) => by.map((one) => one.toFixed(2)).join("/"))}`);
    const at = await placed(canvas, figure, density);
    await canvas.scrollIntoViewIfNeeded();
    const box = await canvas.boundingBox();
    ensure(box, "the figure is not shown");
    for (const [row, col] of [[0, 0], [1, 2], [figure.rows - 1, figure.cols - 1]]) {
      const [x, y] = [at.plot.x + (col + 0.5) * at.cell.w, at.plot.y + (row + 0.9) * at.cell.h];
      await page.mouse.move(box.x + x, box.y + y);
      const words = await page.locator("#ablate .readout").first().innerText();
      ensure(words.startsWith(`Layer ${row}, head ${col}:`), `${width} × ${density}: over layer ${row}, head ${col} it says “${words}”`);
      const colour = await canvas.evaluate((node, [x, y]) => [.../** @type {any} */ (node).getContext("2d").getImageData(Math.round(x * devicePixelRatio), Math.round(y * devicePixelRatio), 1, 1).data].slice(0, 3), [x, y]);
      same(colour, ramp(MAPS.RdBu, position(figure.scale, figure.values[row * figure.cols + col])), `${width} × ${density}: layer ${row}, head ${col}`);
    }
  }
  await page.context().close();
}

/** The enlarged head: its shares, and the colour of a cell beside its middle. @param {Page} page */
async function enlarged(page) {
  const { job: { value: { tokens } }, view: { head: { layer, head } } } = await part(page, "attention");
  const n = tokens.length;
  const data = await page.evaluate(([layer, head, n]) => {
    const { data } = /** @type {any} */ (globalThis).microtome.store.get("attention").job.value.result.tensors[0][`blocks.${layer}.attn.hook_pattern`];
    return [...data.subarray(head * n * n, (head + 1) * n * n)];
  }, [layer, head, n]);
  const labels = tokens.map((/** @type {any} */ { text }, /** @type {number} */ i) => `${text.replaceAll(" ", "␣")}_${i}`);
  const canvas = page.locator("#attention canvas").nth(1);
  const axis = { title: "", labels };
  const pixel = async (/** @type {number} */ row, /** @type {number} */ col, top = 1) => {
    const at = await placed(canvas, { rows: n, cols: n, scale: { min: 0, mid: top / 2, max: top }, row_axis: axis, col_axis: axis, values: [] }, 1, true);
    return canvas.evaluate((node, [x, y]) => [.../** @type {any} */ (node).getContext("2d").getImageData(x, y, 1, 1).data].slice(0, 3),
      [Math.round(at.plot.x + (col + 0.5) * at.cell.w), Math.round(at.plot.y + (row + 0.9) * at.cell.h)]);
  };
  /** @param {number} top the share with the strongest colour */
  const cells = async (top) => {
    for (const [row, col] of [[1, 0], [n - 1, 0], [n - 1, n - 2], [0, 0]]) {
      same(await pixel(row, col, top), ramp(MAPS.sequential, position({ min: 0, mid: top / 2, max: top }, data[row * n + col])), `up to ${top}: from ${row} to ${col}`);
    }
  };
  return { n, pixel, cells };
}

/** @param {Fresh} fresh @param {string} shots */
async function dark(fresh, shots) {
  const page = await fresh({ colorScheme: "dark" });
  const { n, pixel, cells } = await enlarged(page);
  await cells(1);
  const masked = await page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue("--masked").trim());
  same(await pixel(0, n - 1), [1, 3, 5].map((from) => parseInt(masked.slice(from, from + 2), 16)), "what is masked");
  await page.locator("#attention").screenshot({ path: join(shots, "attention-same-dark.png") });
  await page.context().close();
}

/** @param {(options?: any) => Promise<Page>} worded @param {string} shots */
async function contrast(worded, shots) {
  const page = await worded();
  const sheet = () => page.locator("#attention canvas").first().evaluate((node) => /** @type {HTMLCanvasElement} */ (node).toDataURL());
  const { cells } = await enlarged(page);
  const before = await sheet();
  await cells(1);
  const pick = page.locator("#attention").getByLabel("Strongest colour at");
  await pick.selectOption("a share of 0.25");
  await cells(0.25);
  ensure((await sheet()) !== before, "the sheet has the colours of before");
  const words = (await wordsOn(page.locator("#attention canvas").nth(1))).map(({ text }) => text);
  ensure(words.includes("≥ 0.250") && words.includes("0.125"), `the bar says ${words.slice(-4)}`);
  await page.locator("#attention").screenshot({ path: join(shots, "attention-contrast.png") });
  ensure(JSON.stringify((await part(page, "look")).ranges) === '{"attention":0.25}', JSON.stringify(await part(page, "look")));
  await pick.selectOption("all of the attention");
  await cells(1);
  ensure((await sheet()) === before && JSON.stringify((await part(page, "look")).ranges) === "{}", "something stays of the choice");
  await page.context().close();
}

/** @param {Fresh} fresh */
async function colourWords(fresh) {
  const page = await fresh();
  const text = () => page.evaluate(() => [...document.querySelectorAll("section, footer")].map((node) => /** @type {HTMLElement} */ (node).innerText).join(" ").replace(/Red–blue/g, ""));
  const reading = page.locator("#ablate .body > .note");
  await page.locator("#training").scrollIntoViewIfNeeded();
  await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome.store.get("training").job.value !== null);
  const look = page.locator("#ablate .look");
  await look.locator("summary").click();
  for (const [map, named, others] of /** @type {[string, RegExp, RegExp][]} */ ([
    ["PuOr", /White is the unchanged model\. Purple: without it the loss is higher.* Orange: the loss is lower/, /\b(blue|red|paler)\b/i],
    ["sequential", /Middling blue is the unchanged model\. Darker: .* Paler: /, /\b(red|orange|purple|white)\b/i],
    ["RdBu", /White is the unchanged model\. Blue: .* Red: the loss is lower/, /\b(orange|purple|paler)\b/i],
  ])) {
    await look.getByLabel("Colour map").selectOption(map);
    ensure(named.test(await reading.innerText()), `${map}: ${await reading.innerText()}`);
    const wrong = others.exec((await text()).replace(/Orange–purple/g, ""));
    ensure(!wrong, `${map}: the page says “${wrong?.[0]}” at “${(await text()).slice(Math.max(0, (wrong?.index ?? 0) - 60), (wrong?.index ?? 0) + 30)}”`);
  }
  await page.context().close();
}

/** @param {Fresh} fresh */
async function newValue(fresh) {
  const page = await fresh();
  const grids = page.locator("#grid [role=grid], #attention [role=grid], #ablate [role=grid], #patch [role=grid]");
  const sizes = await grids.evaluateAll((nodes) => nodes.map((node) => `${node.getAttribute("aria-rowcount")} × ${node.getAttribute("aria-colcount")}`));
  ensure(sizes.length === 5 && sizes.every((size) => /^[1-9]\d* × [1-9]\d*$/.test(size)), `before the keyboard comes, grids say they are ${sizes}`);
  const grid = page.locator("#ablate [role=grid]");
  const active = () => grid.evaluate((node) => document.getElementById(node.getAttribute("aria-activedescendant") ?? "")?.textContent ?? null);
  await grid.focus();
  for (const key of ["ArrowDown", "ArrowRight"]) await page.keyboard.press(key);
  const before = await active();
  ensure(before?.startsWith("Layer 0, head 1, "), `the cell is “${before}”`);
  /** Another figure of the same run. @param {number} rows */
  const draw = (rows) => page.evaluate((rows) => {
    const { store } = /** @type {any} */ (globalThis).microtome;
    const { job } = store.get("ablate");
    const { figure } = job.value;
    const labels = Array.from({ length: rows }, (_, i) => `${i}`);
    const values = Array.from({ length: rows * figure.cols }, (_, i) => figure.scale.mid + (i === 1 ? figure.scale.max - figure.scale.mid : 0));
    store.update("ablate", { job: { ...job, value: { ...job.value, figure: { ...figure, rows, values, row_axis: { ...figure.row_axis, labels } } } } });
  }, rows);
  const { figure } = (await part(page, "ablate")).job.value;
  await draw(figure.rows);
  const then = await active();
  ensure(then && then !== before && then.includes(`+${write(figure.scale.max - figure.scale.mid)}, rank 1 of ${figure.values.length}`), `the cell still says “${then}”`);
  await page.locator("#ablate .body p[role=status]").first().getByText(then, { exact: true }).waitFor({ state: "attached" });
  await draw(figure.rows + 1);
  ensure((await active()) === null && (await grid.getAttribute("aria-rowcount")) === String(figure.rows + 1), `a figure of another shape keeps “${await active()}”, with ${await grid.getAttribute("aria-rowcount")} rows`);
  await page.context().close();
}

/** @param {Fresh} fresh @param {string} url */
async function noLayer(fresh, url) {
  const page = await fresh();
  const { n_layers, n_heads } = (await part(page, "model")).info.model;
  const whole = async (/** @type {string} */ when) => {
    const sheet = page.locator("#attention [role=grid]").first();
    ensure((await sheet.getAttribute("aria-rowcount")) === String(n_layers) && (await sheet.getAttribute("aria-colcount")) === String(n_heads), `${when}: a sheet of ${await sheet.getAttribute("aria-rowcount")} × ${await sheet.getAttribute("aria-colcount")}`);
    ensure(await page.locator("#attention canvas").first().isVisible(), `${when}: the sheet is empty`);
    ensure(await page.locator("#attention").getByRole("radio", { name: "All" }).isChecked(), `${when}: the choice of layers says another`);
  };
  await page.evaluate(() => /** @type {any} */ (globalThis).microtome.store.update("attention", { view: { layer: 10, head: { layer: 10, head: 7 }, locked: true } }));
  await whole("of a larger model");
  // The same from a link.
  await page.waitForFunction(() => location.hash.length > 10);
  const link = await page.evaluate(() => location.href);
  ensure(link.startsWith(url), link);
  await page.goto("about:blank");
  await page.goto(link);
  await allSettled(page);
  ensure((await part(page, "attention")).view.layer === 10, "the link lost the layer");
  await whole("from a link");
  await page.context().close();
}

/** Puts something between the page and its model. @param {Page} page @param {"hang" | "closed"} how */
const between = (page, how) => page.evaluate((how) => {
  const lab = /** @type {any} */ (globalThis).microtome.lab();
  const seen = /** @type {any} */ (globalThis);
  seen.asked = [];
  const { run } = Object.getPrototypeOf(lab);
  lab.run = (/** @type {any} */ experiment, /** @type {any} */ options) => {
    seen.asked.push(experiment.kind);
    if (how === "closed" && experiment.edited) return Promise.reject({ code: "lab.closed", message: "The model was closed." });
    // A sweep that is under way until it is superseded.
    if (how === "hang" && experiment.kind === "ablate") return new Promise((_, reject) => options.signal.addEventListener("abort", () => reject(options.signal.reason)));
    return run.call(lab, experiment, options);
  };
}, how);

/** @param {import("playwright-core").Browser} browser @param {string} url */
async function waits(browser, url) {
  const page = await newPage(browser);
  /** @type {() => void} */ let release = () => {};
  const held = new Promise((resolve) => { release = () => resolve(0); });
  await page.route(/\.safetensors/, async (route) => {
    await held;
    await route.continue();
  });
  await page.goto(url);
  await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome?.store.get("ablate").job.recorded);
  const canvas = page.locator("#ablate .panels canvas").last();
  await canvas.scrollIntoViewIfNeeded();
  const { figure } = (await part(page, "ablate")).job.value;
  const [box, at] = [await canvas.boundingBox(), await placed(canvas, figure)];
  ensure(box && (await part(page, "model")).info === null, "the model is there already");
  await page.mouse.click(box.x + at.plot.x + 1.5 * at.cell.w, box.y + at.plot.y + 0.5 * at.cell.h);
  const panel = page.locator("#ablate .behind");
  const status = panel.locator("p[role=status]").first();
  await panel.locator("h4", { hasText: "L0H1’s v set to zero" }).waitFor();
  ensure((await status.innerText()) === "It runs as soon as the model is there.", await status.innerText());
  release();
  await panel.locator(".finding", { hasText: "With this, the loss is" }).waitFor();
  await panel.locator("canvas:visible").waitFor();
  await allSettled(page);

  // The model goes away in the middle of a run, and comes again.
  await between(page, "closed");
  await page.locator("#ablate [role=grid]").first().focus();
  for (const key of ["ArrowDown", "Enter"]) await page.keyboard.press(key);
  await status.getByText("It runs as soon as the model is there.").waitFor();
  ensure(!(await panel.locator(".finding").count()) && !(await panel.locator("canvas:visible").count()), "the panel keeps the run of another cell");
  ensure((await panel.locator("h4").innerText()) === "L1H1’s v set to zero", await panel.locator("h4").innerText());
  await choose(page, "cpu");
  await panel.locator(".finding", { hasText: "With this, the loss is" }).waitFor();
  await page.context().close();
}

/** @param {Fresh} fresh @param {string} shots */
async function otherModel(fresh, shots) {
  const page = await fresh();
  await page.locator("#training").scrollIntoViewIfNeeded();
  await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome.store.get("training").family?.length);
  const panel = await open(page, "ablate", 5);
  const status = panel.locator("p[role=status]").first();
  // The sweep of the checkpoint that comes does not end: the figure stays that of the finished model.
  await between(page, "hang");
  const { step } = (await part(page, "model")).info.model;
  const slider = page.locator("#training").getByRole("slider");
  await slider.press("Home");
  await page.waitForFunction((step) => /** @type {any} */ (globalThis).microtome.store.get("model").info.model.step !== step, step);
  await status.getByText("This is a run of the model that was open before.").waitFor();
  await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome.store.get("ablate").job.status === "running");
  // Everything above has been computed anew.
  await page.waitForFunction(() => ["predict", "grid", "attention", "patch", "heads"].every((key) => /** @type {any} */ (globalThis).microtome.store.get(key).job.status === "done"));
  const before = await page.evaluate(() => /** @type {any} */ (globalThis).asked.length);
  await page.locator("#ablate [role=grid]").first().focus();
  for (const key of ["Control+Home", "Enter"]) await page.keyboard.press(key);
  await status.getByText("The figure is of another model").waitFor();
  await page.waitForTimeout(300);
  const asked = await page.evaluate((before) => /** @type {any} */ (globalThis).asked.slice(before), before);
  ensure(!asked.length, `the old figure’s cell asked the new model for ${asked}`);
  ensure((await panel.locator("h4").innerText()) === "L0H0’s v set to zero" && !(await panel.locator(".finding").count()) && !(await panel.locator("canvas:visible").count()), "something of a run is shown");
  // The figure fades, which is of the model before; what says so does not.
  await page.waitForFunction(() => Number(getComputedStyle(/** @type {Element} */ (document.querySelector("#ablate .panels"))).opacity) < 1);
  const faded = await status.evaluate((node) => {
    let opacity = 1;
    for (let at = /** @type {Element | null} */ (node); at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
    return opacity;
  });
  ensure(faded === 1, `the sentence is faded to ${faded}`);
  await page.locator("#ablate").screenshot({ path: join(shots, "behind-other-model.png") });
  // The sweep of the model that is open brings its run.
  await page.evaluate(() => delete /** @type {any} */ (globalThis).microtome.lab().run);
  await recomputed(page, "ablate", () => type(page, "ablate", { Prompt: "Tom is a great friend, isn’t he" }));
  await panel.locator(".finding", { hasText: "With this, the loss is" }).waitFor();
  const { result } = (await part(page, "ablate")).job.value;
  ensure((await panel.locator(".finding").innerText()).includes(`without, ${write(result.baseline)}`), await panel.locator(".finding").innerText());
  await page.context().close();
}

/** @param {Fresh} fresh */
async function stripTable(fresh) {
  const page = await fresh();
  const section = page.locator("#training");
  await section.scrollIntoViewIfNeeded();
  await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome.store.get("training").job.value?.series);
  const { series: { steps, heads, changes, shape: [, cols] } } = (await part(page, "training")).job.value;
  const numbers = section.locator(".numbers", { hasText: "Every head at every step" });
  await numbers.locator("summary").click();
  await numbers.locator("tbody tr").first().waitFor();
  ensure((await numbers.locator("thead").innerText()).replace(/\s+/g, " ").trim() === "Step Layer Head Value", await numbers.locator("thead").innerText());
  const all = steps.flatMap((/** @type {number} */ step, /** @type {number} */ i) => heads.map((/** @type {string} */ _, /** @type {number} */ head) => ({ step, head, value: changes[head][i] })));
  ensure((await numbers.locator("caption").innerText()).includes(`${all.length.toLocaleString("en")} cells`), await numbers.locator("caption").innerText());
  const row = (/** @type {number} */ at) => numbers.locator("tbody tr").nth(at).locator("th, td").allInnerTexts();
  const written = (/** @type {any} */ { step, head, value }) => [step.toLocaleString("en"), Math.floor(head / cols), head % cols, write(value)].join("|");
  ensure((await row(cols + 1)).join("|") === written(all[cols + 1]), `${await row(cols + 1)}, not ${written(all[cols + 1])}`);
  await numbers.getByRole("columnheader", { name: "Value" }).getByRole("button").click();
  const top = [...all].sort((a, b) => b.value - a.value)[0];
  ensure((await row(0)).join("|") === written(top), `sorted, it begins with ${await row(0)}, not ${written(top)}`);
  if (all.length > 500) await numbers.getByRole("button", { name: "Later rows" }).click();
  await page.context().close();
}
