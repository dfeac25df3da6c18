// What the page shows on one engine: figures, numbers against the oracle's, pointing, typing, cancelling.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { check, ensure, launch, newPage, skip } from "./harness.mjs";
import { goldenApi, goldenPage, PAGE_GOLDEN } from "./golden_page.mjs";
import { allSettled, choose, COMPUTED, coloursOf, part, recomputed, settled, type } from "./lab_page.mjs";
import { arriving, cancelling, estimated } from "./engine_sweeps.mjs";
import { heads, hover, keys } from "./pointing.mjs";

/** @typedef {import("playwright-core").Page} Page */

/** Random models whose goldens are run through the JavaScript API. */
const API_GOLDENS = ["gelu-new.transformer_lens", "gelu-bf16.none", "gelu-new.detect"];

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
    for (const fact of [info.model.name, info.engine.reason, info.engine.adapter ?? "WebAssembly"]) {
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
    await processed(page, "Raw weights", "none");
    ensure((await page.locator("#bias .finding").innerText()).includes("Fold LayerNorm"), "section 7 does not explain the missing bias");
    await processed(page, "As TransformerLens", "transformer_lens");
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

  await check(name("an estimate counts the work that the run then does"), () => estimated(page));
  await check(name("cells of a big sweep arrive before its end, and a cancel leaves them"), () => arriving(page, backend));
  await check(name("a sweep is cancelled within 200 ms, and the engine goes on"), () => cancelling(page, backend));
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

/** Chooses a preset and waits until every section shows its numbers. @param {Page} page @param {string} label @param {string} preset */
async function processed(page, label, preset) {
  await page.locator("#model").getByText(label).click();
  await page.waitForFunction(([preset, ...keys]) => keys.every((key) => {
    const { job } = /** @type {any} */ (globalThis).microtome.store.get(key);
    return job.status === "done" && (job.value.result ?? job.value).experiment.processing === preset;
  }), [preset, ...COMPUTED], { timeout: 120_000 });
}
