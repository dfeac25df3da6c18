// A GPU that grants no more than WebGPU's default limits: GPT-2's table of embeddings is larger than one binding there and is
// cut in two. One layer of GPT-2 small with its whole vocabulary; the numbers are those of the native command.
import { configOf, gpt2Layout } from "./gpt2_layout.mjs";
import { native } from "./formats.mjs";
import { check, ensure, newPage } from "./harness.mjs";
import { startHub } from "./hub.mjs";
import { ask, openPage, serveWithHub } from "./download_page.mjs";

/** `maxStorageBufferBindingSize` of the default limits, and the rows of 768 numbers that it holds. */
const BINDING = 134_217_728;
const ROWS = Math.floor(BINDING / (4 * 768));
/** Of the log-probabilities, as everywhere on the GPU. */
const TOLERANCE = 1e-3;
/** Tokens of both pieces, and those beside the cut. */
const EXPERIMENT = { version: 1, kind: "predict", prompt: [50_256, 0, ROWS - 1, ROWS, ROWS + 1, 50_000, 257], top_k: 200 };
const MODEL = "hf:tests/wide";

/**
 * @param {import("playwright-core").Browser} browser
 * @param {string} folder of the site
 * @param {string} binary `microtome`
 */
export async function limitChecks(browser, folder, binary) {
  const files = { "config.json": Buffer.from(configOf(1)), "model.safetensors": gpt2Layout(11, 1) };
  const golden = native(binary, files, EXPERIMENT);
  const hub = await startHub({ "tests/wide": files });
  const site = await serveWithHub(folder, hub.url, {}, 1);
  const page = await openPage(browser, site.url);
  page.setDefaultTimeout(120_000);
  // Whatever the adapter has, a page may ask for no more than the defaults; what it then gets is what every GPU has.
  for (const [limits, pieces] of /** @type {const} */ ([["default", 2], ["adapter", null]])) {
    await check(`limits: 29: ${limits}: the embedding ${pieces ? `is cut in ${pieces}` : "is as the adapter allows"}, and the numbers are the native command’s`, async () => {
      const { engine, top } = await page.evaluate(predict, { model: MODEL, hub: hub.url, limits, experiment: EXPERIMENT });
      const { binding_bytes, embedding_pieces } = engine.tables;
      ensure(pieces ? binding_bytes === BINDING && embedding_pieces === pieces
        : embedding_pieces === Math.ceil(50_257 / Math.floor(binding_bytes / (4 * 768))), JSON.stringify(engine.tables));
      const found = new Map(top.map((/** @type {{ id: number, prob: number }} */ { id, prob }) => [id, prob]));
      const both = [0, 0];
      // The last ones of the list may have changed places with those that are not in it.
      const worst = Math.max(...golden.slice(0, 100).map(({ id, prob }) => {
        both[Number(id >= ROWS)] += 1;
        return Math.abs(Math.log(found.get(id) ?? 0) - Math.log(prob));
      }));
      console.log(`# ${limits}: ${JSON.stringify(engine.tables)}, log-probabilities within ${worst.toExponential(1)} of the native command’s, ${both} of them of each piece`);
      ensure(both[0] && both[1], `the likeliest tokens are all of one piece: ${both}`);
      ensure(worst <= TOLERANCE, `a log-probability is ${worst} off`);
    });
  }
  await page.context().close();

  await check("limits: ?limits=default is heard by the page, which says how the embedding is cut", async () => {
    const page = await newPage(browser);
    page.setDefaultTimeout(120_000);
    await page.goto(`${site.url}?limits=default`);
    await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome?.store.get("model").status === "ready");
    await page.evaluate(() => void (/** @type {any} */ (globalThis).events = []));
    await page.locator("#model").getByText("GPU", { exact: true }).first().click();
    await ask(page, MODEL);
    await page.locator("#model .facts").getByText("in 2 pieces: a kernel sees at most 134 MB at once").waitFor();
    await page.context().close();
  });
  site.close();
  hub.close();
}

/** @param {{ model: string, hub: string, limits: "default" | "adapter", experiment: object }} asked */
async function predict({ model, hub, limits, experiment }) {
  const { Lab } = await import(new URL("microtome.js", document.baseURI).href);
  const lab = await Lab.open({ model, hub, limits, backend: "gpu", threads: 1 });
  try {
    const { top } = await lab.run(experiment);
    return { engine: lab.info.engine, top };
  } finally {
    lab.close();
  }
}
