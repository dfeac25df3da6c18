// What a first visit costs: every byte that the page fetches before the weights of its own model, compressed as a host would
// keep it (brotli and gzip at their highest levels), for both builds of the module; a visit loads one of them.
//
// README's figure is the one that this prints.
import { createServer } from "node:http";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { check, ensure, newPage } from "./harness.mjs";
import { PLAIN, serveFolder } from "./server.mjs";

/** The most that may be fetched before the model, in bytes after brotli. */
const BUDGET = 700_000;
const WEIGHTS = /^\/models\/.*\.safetensors/;
/** The model's other files, a few kilobytes, are asked for before its weights and are part of it. */
const MODEL = /^\/models\//;

const ISOLATED = {
  "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp", "cross-origin-resource-policy": "cross-origin",
};

/** @param {import("playwright-core").Browser} browser @param {string} site */
export async function weightChecks(browser, site) {
  await check("a first visit without threads fetches no more than it did before the model", () => weigh(browser, site, false));
  await check("a first visit with threads fetches no more than it did before the model", () => weigh(browser, site, true));
}

/** @param {import("playwright-core").Browser} browser @param {string} site @param {boolean} isolated */
async function weigh(browser, site, isolated) {
  const paths = await fetched(browser, site, isolated);
  const build = isolated ? "/pkg/threads/microtome_bg.wasm" : "/pkg/microtome_bg.wasm";
  ensure(paths.has(build), `${build} was not fetched before the weights: ${[...paths].join(" ")}`);
  const sizes = await Promise.all([...paths].map(async (path) => ({ path, ...compressed(await readFile(join(site, path))) })));
  sizes.sort((a, b) => b.brotli - a.brotli);
  const sum = (/** @type {"plain" | "brotli" | "gzip"} */ how) => sizes.reduce((all, one) => all + one[how], 0);
  const line = (/** @type {{ plain: number, brotli: number, gzip: number }} */ one) => [one.brotli, one.gzip, one.plain].map((n) => kB(n).padStart(9)).join("");
  console.log(`# ${isolated ? "with threads" : "without threads"}: ${sizes.length} files; kB after brotli, after gzip, and as they are`);
  console.log(`#${line({ plain: sum("plain"), brotli: sum("brotli"), gzip: sum("gzip") })}  all`);
  for (const one of sizes.slice(0, 10)) console.log(`#${line(one)}  ${one.path}`);
  ensure(sum("brotli") <= BUDGET, `${kB(sum("brotli"))} kB after brotli, expected at most ${kB(BUDGET)}; most of it: ${sizes.slice(0, 3).map((one) => `${one.path} ${kB(one.brotli)}`).join(", ")}`);
}

/**
 * The paths of all files that a new visitor's browser asks for before the first weights, in their order.
 * @param {import("playwright-core").Browser} browser @param {string} site @param {boolean} isolated
 */
async function fetched(browser, site, isolated) {
  /** @type {Set<string>} */
  const paths = new Set();
  /** @type {(asked: void) => void} */
  let weightsAsked;
  const asked = new Promise((resolve) => { weightsAsked = resolve; });
  let open = true;
  const files = serveFolder("/", site)["/"];
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://x");
    for (const [name, value] of Object.entries({ ...PLAIN, ...(isolated ? ISOLATED : {}) })) response.setHeader(name, value);
    if (WEIGHTS.test(pathname)) {
      open = false;
      weightsAsked();
    }
    if (open && !MODEL.test(pathname)) paths.add(pathname);
    files(response, request);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  const page = await newPage(browser);
  try {
    await page.goto(`http://127.0.0.1:${port}/index.html`);
    let timer;
    await Promise.race([asked, new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`the weights were not asked for within a minute, after ${paths.size} files`)), 60_000);
    })]);
    clearTimeout(timer);
  } finally {
    await page.context().close();
    server.close();
  }
  return paths;
}

/** @param {Buffer} bytes */
function compressed(bytes) {
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  return { plain: bytes.length, brotli: brotliCompressSync(bytes, { params }).length, gzip: gzipSync(bytes, { level: 9 }).length };
}

/** @param {number} bytes */
const kB = (bytes) => (bytes / 1000).toFixed(1);
