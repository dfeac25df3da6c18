// Times onnxruntime-web and Microtome's own page, one after the other in the same Chromium, and prints JSON.
//
//   node tests/bench/browser_times.mjs --site DIR [--ort DIR --model FILE.onnx] [--tokens 11,30] [--repeat N] [--only PART,…]
//                                      [--shape tiny]
//
// PART: ort-single, ort-threads, ort-gpu, single, threads, gpu. The GPU here is often a software one: one prompt length, one
// forward pass, one small sweep and no repeats there. A part that fails is reported as such, and the others go on.
import { join } from "node:path";
import { parseArgs } from "node:util";
import { launch, newPage } from "../browser/harness.mjs";
import { answer, file, serve } from "../browser/server.mjs";

const { values: options } = parseArgs({ options: {
  site: { type: "string", default: "target/site" }, ort: { type: "string" }, model: { type: "string" },
  tokens: { type: "string", default: "11,30" }, repeat: { type: "string" }, only: { type: "string" },
  shape: { type: "string", default: "gpt2-small" },
} });
const lengths = options.tokens.split(",").map(Number);
const say = (/** @type {string} */ text) => console.error(`  ${text}`);

const server = await serve(options.site, {
  "/ort/": (response, request) => file(join(options.ort ?? "", new URL(request.url ?? "/", "http://x").pathname.slice(5)))(response, request),
  "/gpt2.onnx": file(options.model ?? ""),
  "/empty.html": answer("text/html", "<!doctype html><title>onnxruntime-web</title>"),
});

/** @typedef {{ engine: string, adapter?: string | null, matmul?: number, rows: { case: string, tokens: number, milliseconds: number[] | null, median_ms?: number, min_ms?: number }[], error?: string }} Times */

/**
 * @param {"wasm" | "webgpu"} provider @param {number} threads @param {number[]} tokens @param {number} repeat
 * @returns {Promise<Times["rows"]>}
 */
async function ort(provider, threads, tokens, repeat) {
  const page = await fresh("empty.html");
  try {
    return await page.evaluate(async ([provider, threads, tokens, repeat, d_vocab]) => {
      const ort = await import(/** @type {string} */ (provider === "wasm" ? "/ort/ort.wasm.min.mjs" : "/ort/ort.webgpu.min.mjs"));
      ort.env.wasm.wasmPaths = new URL("/ort/", location.href).href;
      ort.env.wasm.numThreads = threads;
      ort.env.logLevel = "error";
      const session = await ort.InferenceSession.create("/gpt2.onnx", { executionProviders: [provider] });
      const rows = [];
      for (const length of tokens) {
        const ids = BigInt64Array.from({ length }, (_, i) => BigInt((7919 * i + 11) % d_vocab));
        const run = () => session.run({ input_ids: new ort.Tensor("int64", ids, [1, length]) });
        const { logits } = await run();
        if (logits.dims.join() !== [1, length, d_vocab].join() || !logits.data.every(Number.isFinite)) throw new Error(`logits ${logits.dims}`);
        const milliseconds = [];
        for (let i = 0; i < repeat; i++) {
          const start = performance.now();
          await run();
          milliseconds.push(performance.now() - start);
        }
        rows.push({ case: "forward", tokens: length, milliseconds });
      }
      return rows;
    }, /** @type {const} */ ([provider, threads, tokens, repeat, options.shape === "tiny" ? 61 : 50257]));
  } finally {
    await page.context().browser()?.close();
  }
}

/** @param {string} engine @param {Record<string, string>} [more] */
async function ours(engine, more = {}) {
  const query = new URLSearchParams({ engines: engine, tokens: options.tokens, shape: options.shape, run: "" });
  for (const [name, value] of Object.entries({ repeat: options.repeat, ...more })) if (value) query.set(name, value);
  const page = await fresh(`bench.html?${query}`);
  try {
    await page.waitForFunction(() => /** @type {any} */ (globalThis).benchResult, null, { timeout: 0, polling: 1000 });
    const { engines, errors } = await page.evaluate(() => /** @type {any} */ (globalThis).benchResult);
    if (!engines.length) throw new Error(errors.map((/** @type {any} */ error) => `${error.message} [${error.code}]`).join("; ") || "nothing was measured");
    return engines[0];
  } finally {
    await page.context().browser()?.close();
  }
}

/** A page of a browser of its own: nothing of the part before stays in memory. @param {string} path */
async function fresh(path) {
  const page = await newPage(await launch());
  page.setDefaultTimeout(0);
  await page.goto(server.url + path);
  if (!(await page.evaluate(() => crossOriginIsolated))) throw new Error("the page is not isolated, so nothing has threads");
  return page;
}

const repeats = Number(options.repeat ?? 5);
const small = { tokens: String(lengths[0]), cases: "forward,patch_shared", repeat: "1" };
/** @type {[string, () => Promise<any>][]} */
const parts = [
  ["ort-single", async () => ({ rows: await ort("wasm", 1, lengths, repeats) })],
  ["ort-threads", async () => ({ rows: await ort("wasm", 2, lengths, repeats) })],
  ["ort-gpu", async () => ({ rows: await ort("webgpu", 1, lengths.slice(0, 1), 1) })],
  ["single", () => ours("single")],
  ["threads", () => ours("threads")],
  ["gpu", () => ours("gpu", small)],
];
const wanted = options.only?.split(",");
const measured = [];
for (const [name, measure] of parts) {
  if (wanted ? !wanted.includes(name) : name.startsWith("ort") && !options.ort) continue;
  say(name);
  try {
    measured.push({ engine: name, ...(await measure()) });
  } catch (error) {
    const why = (error instanceof Error ? error.message : String(error)).split("\n")[0];
    say(`${name} failed: ${why}`);
    measured.push({ engine: name, rows: [], error: why });
  }
}
server.close();
console.log(JSON.stringify(measured));
