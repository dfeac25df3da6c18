// What the page shows on one engine: figures, numbers against the oracle's, pointing, typing, cancelling.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { check, ensure, launch, newPage, skip } from "./harness.mjs";
import { casesOf, compare, readTensors, TOLERANCE } from "./golden.mjs";
import { allSettled, choose, coloursOf, part, recomputed, settled, type } from "./lab_page.mjs";
import { patternHook } from "../../www/experiments.js";
import { position, ramp } from "../../www/draw/colour.js";
import { theme } from "../www/theme.js";

/** @typedef {import("playwright-core").Page} Page */

const PAGE_GOLDEN = "pronoun.transformer_lens";
/** Random models whose goldens are run through the JavaScript API. */
const API_GOLDENS = ["gelu-new.transformer_lens", "gelu-bf16.none"];

/**
 * @param {import("playwright-core").Browser} browser
 * @param {{ url: string, backend: "cpu" | "gpu", golden: string, models: string }} options the page's address, the
 *   folder of golden files and the address of the models that they are about
 */
export async function engineChecks(browser, { url, backend, golden, models }) {
  const name = (/** @type {string} */ text) => `${backend}: ${text}`;
  const page = await newPage(browser);

  await check(name("the page loads and every section computes"), async () => {
    await page.goto(url);
    await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome?.store.get("model").status === "ready", null, { timeout: 60_000 });
    await choose(page, backend);
    await allSettled(page);
    const { info } = await part(page, "model");
    ensure(info.engine.backend === backend && info.engine.reason, `the engine is ${JSON.stringify(info.engine)}`);
    for (const fact of [info.model.name, info.engine.reason, info.engine.adapter]) {
      ensure((await page.locator("#model .facts").innerText()).includes(fact), `section 1 does not say “${fact}”`);
    }
  });

  await check(name("every figure is drawn"), async () => {
    for (const [key, canvases] of Object.entries({ grid: 1, attention: 2, ablate: 1, patch: 1, bias: 1 })) {
      const found = page.locator(`#${key} canvas`);
      ensure((await found.count()) === canvases, `section ${key} has ${await found.count()} canvases, not ${canvases}`);
      for (let i = 0; i < canvases; i++) ensure((await coloursOf(found.nth(i))) > 10, `canvas ${i} of section ${key} is blank`);
    }
    ensure((await page.locator("#predict tbody tr").count()) === 10, "the top-10 table has not ten rows");
    ensure((await page.locator("#predict .chip.bos").count()) === 1, "there is no BOS chip");
  });

  if (!existsSync(join(golden, `${PAGE_GOLDEN}.json`))) skip(name("the numbers behind the figures are the oracle's"), `there is no ${PAGE_GOLDEN}.json`);
  else await goldenPage(page, backend, golden, name);
  for (const file of API_GOLDENS) {
    if (!existsSync(join(golden, `${file}.json`))) skip(name(`API: ${file}`), "no such golden file");
    else await check(name(`API: ${file} is the oracle's`), () => goldenApi(page, backend, golden, models, file));
  }

  await check(name("a changed prompt changes the numbers, and nothing old stays"), async () => {
    const before = (await part(page, "predict")).job.value;
    const after = await recomputed(page, "predict", () => type(page, "predict", { Prompt: "Dan is an amazing person, isn’t" }));
    ensure(after.experiment.prompt === "Dan is an amazing person, isn’t" && after.top[0].logit !== before.top[0].logit, "the top token kept its logit");
    ensure((await page.locator("#predict .chip").nth(1).innerText()).startsWith("Dan"), "the first chip is not “Dan”");
    await recomputed(page, "patch", () => type(page, "patch", { "Corrupted prompt": "Tom is a great friend, isn’t" }));
  });

  await check(name("switching processing computes everything again and says so"), async () => {
    await page.locator("#model").getByText("Raw weights").click();
    await page.waitForFunction(() => ["predict", "grid", "attention", "ablate", "patch", "bias"].every((key) => {
      const { job } = /** @type {any} */ (globalThis).microtome.store.get(key);
      return job.status === "done" && JSON.stringify(job.value).includes('"processing":"none"');
    }), null, { timeout: 120_000 });
    ensure((await page.locator("#bias .finding").innerText()).includes("Fold LayerNorm"), "section 7 does not explain the missing bias");
    await page.locator("#model").getByText("As TransformerLens").click();
  });

  await check(name("hover shows the right cell"), () => hover(page));
  await check(name("arrow keys move through the cells"), () => keys(page));
  await check(name("a head is previewed, kept and let go"), () => heads(page));

  await check(name("errors are said in words where they happened, and what was typed stays"), async () => {
    await type(page, "predict", { "Answer to look for": " incomprehensibilities" });
    await settled(page, "predict", "error");
    const said = await page.locator("#predict .error").innerText();
    ensure(said.includes("incomprehensibilities") && said.length > 40, `it says “${said}”`);
    await type(page, "patch", { "Clean prompt": "Mary and Tom and Dan are great friends, aren’t" });
    await settled(page, "patch", "error");
    const lengths = await page.locator("#patch .error").innerText();
    ensure(/\d+/.test(lengths) && lengths.includes("Dan") && lengths.includes("Tom"), `it says “${lengths}”`);
    ensure((await page.locator("#patch").getByLabel("Clean prompt").inputValue()).startsWith("Mary and Tom"), "the prompt is gone");
    await recomputed(page, "predict", () => type(page, "predict", { "Answer to look for": " he" }));
    await recomputed(page, "patch", () => type(page, "patch", { "Clean prompt": "Mary is a great friend, isn’t" }));
  });

  await check(name("a sweep is cancelled within 200 ms, and the engine goes on"), () => cancelling(page));
  await page.context().close();
}

/**
 * What “Automatic” chooses: here the only GPU, if any, is a software one.
 * @param {import("playwright-core").Browser} browser @param {string} url
 */
export async function autoChecks(browser, url) {
  const plain = await launch(["--enable-unsafe-webgpu"]);
  for (const [what, where, words] of /** @type {const} */ ([
    ["a software GPU", browser, "software"], ["no WebGPU", plain, "no GPU"],
  ])) {
    await check(`auto: with ${what} the CPU engine is taken, and section 1 says why`, async () => {
      const page = await newPage(where);
      await page.goto(url);
      await allSettled(page);
      const { engine } = (await part(page, "model")).info;
      ensure(engine.backend === "cpu" && engine.reason.includes(words), JSON.stringify(engine));
      ensure((await page.locator("#model .facts").innerText()).includes(engine.reason), "section 1 does not say why");
      await page.context().close();
    });
  }
  await plain.close();
}

/**
 * The page's own sections, worked by hand to each of the oracle's experiments that they can show.
 * @param {Page} page @param {"cpu" | "gpu"} backend @param {string} golden @param {(text: string) => string} name
 */
async function goldenPage(page, backend, golden, name) {
  const cases = casesOf(golden, `${PAGE_GOLDEN}.json`);
  const tolerance = TOLERANCE[backend];
  /** @param {(c: import("./golden.mjs").Case) => boolean} which */
  const all = (which) => {
    const found = cases.filter(which);
    ensure(found.length, "the golden file has no such case");
    return found;
  };
  const axes = (/** @type {any} */ experiment) => experiment.axes?.join();

  await check(name("section 2: the oracle’s tokens, logits, probabilities and rank"), async () => {
    for (const { experiment, expected } of all(({ experiment: e }) => e.kind === "predict" && e.prepend_bos !== false)) {
      await page.evaluate(() => void (/** @type {any} */ (globalThis).microtome.store.update("predict", { job: { ...(/** @type {any} */ (globalThis).microtome.store.get("predict").job), value: null } })));
      const got = await recomputed(page, "predict", async () => {
        await type(page, "predict", { Prompt: "…" });
        await type(page, "predict", { Prompt: experiment.prompt, "Answer to look for": experiment.answer });
      });
      compare(got, expected, tolerance);
      const rows = await page.locator("#predict tbody tr").allInnerTexts();
      expected.top.forEach((/** @type {any} */ top, /** @type {number} */ i) =>
        ensure(rows[i].includes(`${(100 * top.prob).toFixed(2).slice(0, -1)}`), `row ${i} “${rows[i]}” does not show ${top.prob}`));
    }
  });
  await check(name("section 3: the oracle’s logit differences"), async () => {
    const [{ expected }] = all(({ experiment: e }) => e.kind === "logit_diff");
    const { job } = await part(page, "grid");
    compare(job.value.result, expected, tolerance);
    ensure((await page.locator("#grid .finding").innerText()).includes(expected.mean.toFixed(2)), "the mean is not stated");
  });
  await check(name("section 4: the oracle’s patterns"), async () => {
    const [{ experiment, expected }] = all(({ experiment: e }) => e.kind === "trace");
    const tensors = readTensors(join(golden, expected.tensors));
    await type(page, "attention", { Prompt: experiment.prompts[0] });
    await settled(page, "attention");
    const layers = Object.keys(tensors).filter((key) => key.startsWith("0/") && key.endsWith("hook_pattern")).length;
    for (let layer = 0; layer < layers; layer++) {
      const got = await page.evaluate((hook) => {
        const tensor = /** @type {any} */ (globalThis).microtome.store.get("attention").job.value.result.tensors[0][hook];
        return { shape: tensor.shape, data: [...tensor.data] };
      }, patternHook(layer));
      const want = tensors[`0/${patternHook(layer)}`];
      compare(got, { shape: want.shape, data: [...want.data] }, tolerance, patternHook(layer));
    }
  });
  await check(name("section 5: the oracle’s ablations, by loss and by logit difference, of v and of z"), async () => {
    for (const { experiment, expected } of all(({ experiment: e }) => e.kind === "ablate" && axes(e) === "layer,head" && "vz".includes(e.site))) {
      const section = page.locator("#ablate");
      await section.getByText(experiment.metric.kind === "loss" ? "Loss" : "Logit difference", { exact: true }).click();
      await section.getByText(experiment.site === "v" ? "v (values)" : "z (mixed values)").click();
      await type(page, "ablate", { Prompt: experiment.prompt });
      await page.waitForFunction(([site, kind, prompt]) => {
        const { job } = /** @type {any} */ (globalThis).microtome.store.get("ablate");
        const e = job.value?.result.experiment;
        return job.status === "done" && e.site === site && e.metric.kind === kind && e.prompt === prompt;
      }, [experiment.site, experiment.metric.kind, experiment.prompt], { timeout: 120_000 });
      const { result, figure } = (await part(page, "ablate")).job.value;
      compare(result, expected, tolerance);
      compare(figure.values, expected.values, tolerance, "figure");
      compare(figure.scale.mid, expected.baseline, tolerance, "the middle of the scale");
      ensure((await section.locator(".finding").innerText()).includes(expected.baseline.toFixed(2)), "the baseline is not stated");
    }
  });
  await check(name("section 6: the oracle’s patchings"), async () => {
    for (const { experiment, expected } of all(({ experiment: e }) => e.kind === "patch" && axes(e) === "layer,pos")) {
      await page.locator("#patch").getByLabel("Activation").selectOption(experiment.site);
      await page.waitForFunction((site) => {
        const { job } = /** @type {any} */ (globalThis).microtome.store.get("patch");
        return job.status === "done" && job.value.result.experiment.site === site;
      }, experiment.site, { timeout: 120_000 });
      const { result, figure } = (await part(page, "patch")).job.value;
      compare(result, expected, tolerance);
      compare(figure.values, expected.values, tolerance, "figure");
      ensure(figure.col_axis.labels[1] === "Mary_1", `the second column is labelled ${figure.col_axis.labels[1]}`);
    }
  });
  await check(name("section 7: the oracle’s biases and their ratio"), async () => {
    const [{ expected }] = all(({ experiment: e }) => e.kind === "unembed_bias");
    compare((await part(page, "bias")).job.value, expected, tolerance);
  });
}

/** @param {Page} page @param {"cpu" | "gpu"} backend @param {string} golden @param {string} models @param {string} file */
async function goldenApi(page, backend, golden, models, file) {
  const cases = casesOf(golden, `${file}.json`).filter(({ experiment }) => experiment.kind !== "trace");
  const results = await page.evaluate(async ({ cases, model, backend }) => {
    const { Lab } = await import(/** @type {any} */ (new URL("microtome.js", document.baseURI).href));
    const lab = await Lab.open({ model, backend });
    const results = [];
    for (const { name, experiment } of cases) {
      results.push(await lab.run(experiment).catch((/** @type {any} */ error) => ({ failed: `${name}: ${error.code} ${error.message}` })));
    }
    lab.close();
    return results;
  }, { cases, model: `${models}${file.split(".")[0]}/`, backend });
  cases.forEach(({ name, expected }, i) => {
    ensure(!results[i].failed, results[i].failed);
    compare(results[i], expected, TOLERANCE[backend], name);
  });
}

/** Points at cells of the patching figure: words, number and the colour under the pointer must belong together. @param {Page} page */
async function hover(page) {
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

/** Where the cells are, found in the pixels: the frame around them is the longest line of its colour. */
async function plotOf(/** @type {import("playwright-core").Locator} */ canvas, /** @type {any} */ figure) {
  const { layout } = await import("../../www/draw/heatmap.js");
  const width = await canvas.evaluate((node) => /** @type {HTMLElement} */ (node.parentElement).clientWidth);
  const { plot, cell } = layout(figure, { width, ratio: 1 });
  return { x: plot.x, y: plot.y, w: cell.w, h: cell.h };
}

/** @param {Page} page */
async function keys(page) {
  const readout = page.locator("#ablate .readout");
  await settled(page, "ablate");
  await page.locator("#ablate canvas").focus();
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
async function heads(page) {
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

/** @param {Page} page */
async function cancelling(page) {
  const cancelled = await page.evaluate(async () => {
    const lab = /** @type {any} */ (globalThis).microtome.lab();
    const controller = new AbortController();
    // Long enough to be under way when it is cancelled: every head, every dest and src, on the longest prompt.
    const running = lab.run({
      version: 1, kind: "ablate", prompt: "Mary is a great friend, isn’t she? ".repeat(4).trim(), site: "pattern",
      edit: { kind: "zero" }, axes: ["layer", "head", "dest", "src"], metric: { kind: "loss" },
    }, { signal: controller.signal, onProgress: () => setTimeout(() => controller.abort(), 30) });
    let began = 0;
    controller.signal.addEventListener("abort", () => (began = performance.now()));
    const error = await running.then(() => null, (/** @type {any} */ e) => e);
    const rejected = performance.now() - began;
    await lab.tokenize("still there");
    return { code: error?.code, rejected, free: performance.now() - began };
  });
  ensure(cancelled.code === "run.cancelled", `the job ended with ${cancelled.code}`);
  ensure(cancelled.rejected < 200, `the promise took ${Math.round(cancelled.rejected)} ms to reject`);
  ensure(cancelled.free < 200, `the engine took ${Math.round(cancelled.free)} ms to be free again`);
}
