// How long GPT-2 small takes from the browser's own storage to a first answer, and how much memory at its peak: Microtome's
// page and onnxruntime-web in the same Chromium, one after the other. Prints a table, or JSON with --json.
//
//   node tests/bench/load_times.mjs --site DIR --ort DIR --model FILE.onnx [--repeat N] [--json]
//
// Both read a file that was put into the page's private file system before; both have a shape of 124 million parameters with
// random weights. Memory is what the browser's processes take beyond what they took on the empty page, by Linux's PSS.
import { join } from "node:path";
import { parseArgs } from "node:util";
import { CONFIG, gpt2Layout } from "../browser/gpt2_layout.mjs";
import { memoryOfBrowser, watchedPage, withProfile } from "../browser/harness.mjs";
import { startHub } from "../browser/hub.mjs";
import { answer, file, serve } from "../browser/server.mjs";

const { values: options } = parseArgs({ options: {
  site: { type: "string", default: "target/site" }, ort: { type: "string" }, model: { type: "string" },
  repeat: { type: "string", default: "3" }, json: { type: "boolean", default: false },
} });
if (!options.ort || !options.model) throw new Error("--ort DIR and --model FILE.onnx are needed; tests/bench/peers makes both");
const { ort, model } = { ort: options.ort, model: options.model };

const hub = await startHub({ "bench/gpt2": { "config.json": Buffer.from(CONFIG), "model.safetensors": gpt2Layout(7) } });
const server = await serve(options.site, {
  "/ort/": (response, request) => file(join(ort, new URL(request.url ?? "/", "http://x").pathname.slice(5)))(response, request),
  "/gpt2.onnx": file(model),
  "/empty.html": answer("text/html", "<!doctype html><title>Loading</title>"),
});

/** What each page does with a model that is stored: opens it and asks for the logits of seven tokens. */
const ENGINES = {
  "Microtome, CPU": { prepare: ourDownload, load: (/** @type {any} */ page) => ourLoad(page, "cpu") },
  "onnxruntime-web, wasm": { prepare: ortDownload, load: (/** @type {any} */ page) => ortLoad(page, "wasm") },
  "Microtome, GPU": { prepare: ourDownload, load: (/** @type {any} */ page) => ourLoad(page, "gpu") },
  "onnxruntime-web, WebGPU": { prepare: ortDownload, load: (/** @type {any} */ page) => ortLoad(page, "webgpu") },
};
/** @type {{ engine: string, milliseconds: number[], megabytes: number[] }[]} */
const rows = [];
for (const [engine, { prepare, load }] of Object.entries(ENGINES)) {
  await withProfile(async (context) => {
    const fresh = async () => {
      const page = await watchedPage(context);
      page.setDefaultTimeout(0);
      await page.goto(`${server.url}empty.html`);
      return page;
    };
    const first = await fresh();
    await prepare(first);
    await first.close();
    const [milliseconds, megabytes] = [[], []].map((list) => /** @type {number[]} */ (list));
    for (let i = 0; i < Number(options.repeat); i += 1) {
      const page = await fresh();
      const before = memoryOfBrowser();
      let peak = before;
      const watch = setInterval(() => { peak = Math.max(peak, memoryOfBrowser()); }, 50);
      milliseconds.push(await load(page));
      clearInterval(watch);
      megabytes.push((Math.max(peak, memoryOfBrowser()) - before) / 1e6);
      await page.close();
    }
    rows.push({ engine, milliseconds, megabytes });
    console.error(`  ${engine}: ${median(milliseconds).toFixed(0)} ms, ${median(megabytes).toFixed(0)} MB`);
  });
}
server.close();
hub.close();
if (options.json) console.log(JSON.stringify(rows));
else for (const { engine, milliseconds, megabytes } of rows) console.log(`${engine.padEnd(26)}${median(milliseconds).toFixed(0).padStart(8)} ms${median(megabytes).toFixed(0).padStart(8)} MB at the peak`);

/** @param {number[]} values */
function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** @param {import("playwright-core").Page} page */
async function ourDownload(page) {
  await ourLoad(page, "cpu");
}

/** @param {import("playwright-core").Page} page @param {"cpu" | "gpu"} backend */
function ourLoad(page, backend) {
  return page.evaluate(async ({ hub, backend }) => {
    const { Lab } = await import(new URL("microtome.js", document.baseURI).href);
    const start = performance.now();
    const lab = await Lab.open({ model: "hf:bench/gpt2", hub, backend, threads: 1 });
    await lab.run({ version: 1, kind: "predict", prompt: [50_256, 15_496, 11, 314, 716, 257, 3_303] });
    return performance.now() - start;
  }, { hub: hub.url, backend });
}

/** @param {import("playwright-core").Page} page */
async function ortDownload(page) {
  await page.evaluate(async () => {
    const root = await navigator.storage.getDirectory();
    const stored = await (await root.getFileHandle("gpt2.onnx", { create: true })).createWritable();
    await /** @type {ReadableStream} */ ((await fetch("/gpt2.onnx")).body).pipeTo(stored);
  });
}

/** @param {import("playwright-core").Page} page @param {"wasm" | "webgpu"} provider */
function ortLoad(page, provider) {
  return page.evaluate(async (provider) => {
    const ort = await import(/** @type {string} */ (provider === "wasm" ? "/ort/ort.wasm.min.mjs" : "/ort/ort.webgpu.min.mjs"));
    ort.env.wasm.wasmPaths = new URL("/ort/", location.href).href;
    ort.env.wasm.numThreads = 1;
    ort.env.logLevel = "error";
    const start = performance.now();
    const root = await navigator.storage.getDirectory();
    const bytes = await (await (await root.getFileHandle("gpt2.onnx")).getFile()).arrayBuffer();
    const session = await ort.InferenceSession.create(bytes, { executionProviders: [provider] });
    const ids = BigInt64Array.from([50_256n, 15_496n, 11n, 314n, 716n, 257n, 3_303n]);
    await session.run({ input_ids: new ort.Tensor("int64", ids, [1, ids.length]) });
    return performance.now() - start;
  }, provider);
}
