// A cancel in every phase of loading a model, with the real engine: the promise rejects at once, the page never stands still,
// what was typed stays, nothing half is taken for a whole, and the next opening works.
import { configOf, gpt2Layout } from "./gpt2_layout.mjs";
import { check, ensure } from "./harness.mjs";
import { startHub } from "./hub.mjs";
import { ask, ended, openPage, reloaded, serveWithHub, sound } from "./download_page.mjs";
import { file as sent } from "./server.mjs";
import { choose, type } from "./lab_page.mjs";
import { join } from "node:path";

/** @typedef {import("playwright-core").Page} Page @typedef {import("./hub.mjs").Hub} Hub */
/** @typedef {"module" | "list" | "download" | "verify" | "convert" | "upload" | "compile"} Phase */

const REPO = "tests/wide";
const MODEL = `hf:${REPO}`;
const WEIGHTS = "model.safetensors";
/** Phases in which no bytes are counted; the others are met in their middle. @type {Phase[]} */
const UNTOLD = ["module", "list", "compile"];
/** Milliseconds that a cancel may take. */
const AT_ONCE = 200;
/** Milliseconds for which the page may stand still from the beginning of the opening on: much, as the machine of the tests may have other things to do. */
const STILL = 1000;

/**
 * The phases, each on an engine that has it, in an order in which each finds what it needs in the store. `slow`: how it is
 * made long enough to be met; `stored`: it comes after the download, so that the model has to be stored before. What was
 * stored is hashed the first time that it is read, and not again.
 * @type {{ phase: Phase, backend: "cpu" | "gpu", stored?: boolean, slow?: (hub: Hub, module: { slow: boolean }) => void }[]}
 */
const PHASES = [
  { phase: "module", backend: "cpu", slow: (_, module) => { module.slow = true; } },
  { phase: "list", backend: "cpu", slow: (hub) => { hub.hubPlan["config.json"] = Array(9).fill({ kind: "stall_headers" }); } },
  { phase: "download", backend: "cpu", slow: (hub) => { hub.always[WEIGHTS] = { kind: "drip", bytes: 100_000, every: 20 }; } },
  { phase: "verify", backend: "cpu", stored: true },
  { phase: "convert", backend: "cpu", stored: true },
  { phase: "upload", backend: "gpu", stored: true },
  { phase: "compile", backend: "gpu", stored: true },
];

/**
 * @param {import("playwright-core").Browser} browser
 * @param {string} folder of the site
 * @param {boolean} hasWebGpu
 */
export async function cancelChecks(browser, folder, hasWebGpu) {
  const hub = await startHub({ [REPO]: { "config.json": Buffer.from(configOf(1)), [WEIGHTS]: gpt2Layout(11, 1) } });
  const module = { slow: false };
  const builds = ["/pkg/microtome_bg.wasm", "/pkg/threads/microtome_bg.wasm"].map((path) => {
    const whole = sent(join(folder, path));
    return [path, (/** @type {import("node:http").ServerResponse} */ response, /** @type {import("node:http").IncomingMessage} */ request) =>
      (module.slow ? dripped(response) : whole(response, request))];
  });
  const site = await serveWithHub(folder, hub.url, Object.fromEntries(builds), 1);
  const page = await openPage(browser, site.url);
  page.setDefaultTimeout(60_000);
  for (const { phase, backend, stored, slow } of PHASES) {
    if (backend === "gpu" && !hasWebGpu) continue;
    await check(`cancel: ${phase}: within ${AT_ONCE} ms, by the page and by the API; what was typed stays, nothing half is whole, the next opening works`, async () => {
      hub.reset();
      module.slow = false;
      await openShipped(page);
      if (!stored) await forget(page);
      await choose(page, backend);
      await type(page, "predict", { Prompt: `typed before ${phase}` });
      slow?.(hub, module);

      const { code, took, still } = await page.evaluate(aborted, { phase, backend, model: MODEL, hub: hub.url, untold: UNTOLD });
      ensure(code === "run.cancelled", `the API’s promise ended with ${code}`);
      ensure(took < AT_ONCE, `the API’s promise took ${Math.round(took)} ms`);
      ensure(still < STILL, `the page stood still for ${Math.round(still)} ms`);

      const clicked = page.evaluate(cancelled, { phase, untold: UNTOLD });
      clicked.catch(() => {}); // heard below
      await ask(page, MODEL);
      const shown = await clicked;
      ensure(shown.took < AT_ONCE && shown.still < STILL, `the page took ${Math.round(shown.took)} ms and stood still for ${Math.round(shown.still)} ms`);
      ensure((await page.locator("#model .status").innerText()).includes("Loading was cancelled."), "the page does not say that it was cancelled");
      ensure((await page.locator("#predict").getByLabel("Prompt", { exact: true }).inputValue()) === `typed before ${phase}`, "the prompt is gone");
      ensure((await page.locator("#model").getByLabel("Another model").inputValue()) === MODEL, "the address is gone");
      // What the worker was about to put down is down by then.
      await page.waitForTimeout(1200);
      const files = await sound(page, hub, stored ? { whole: [WEIGHTS] } : {}, REPO);
      if (!stored) ensure(!files.some(({ file, complete }) => file === WEIGHTS && complete), "half a file is called whole");
      if (phase === "download") ensure(files.some(({ file, have }) => file === WEIGHTS && have > 0), "what came is lost");
      const kept = await page.evaluate(async () => (await (await import(new URL("microtome.js", document.baseURI).href)).Lab.stored()));
      ensure(kept.find((/** @type {any} */ { key }) => key.startsWith(MODEL))?.complete !== !stored, `the store says ${JSON.stringify(kept)}`);

      hub.reset();
      module.slow = false;
      await reloaded(page, 60_000);
      await sound(page, hub, { whole: ["config.json", WEIGHTS] }, REPO);
    });
  }
  await page.context().close();
  site.close();
  hub.close();
}

/** A body that takes its time. @param {import("node:http").ServerResponse} response */
function dripped(response) {
  response.writeHead(200, { "content-type": "application/wasm", "content-length": 1e6 });
  const drip = setInterval(() => response.write(new Uint8Array(1000)), 20);
  response.on("close", () => clearInterval(drip));
}

/** Back to the model that comes with the page. @param {Page} page */
async function openShipped(page) {
  await ask(page, "./models/pronoun/");
  const { status, said } = await ended(page);
  ensure(status === "ready", `the page’s own model: ${said}`);
}

/** @param {Page} page */
const forget = (page) => page.evaluate(async (model) => {
  const { Lab } = await import(new URL("microtome.js", document.baseURI).href);
  for (const { key } of await Lab.stored()) if (key.startsWith(model)) await Lab.deleteStored(key);
}, MODEL);

/**
 * Opens the model and aborts as soon as a phase is seen: how the promise ends, after how many milliseconds, and for how many
 * the page stood still at most.
 * @param {{ phase: Phase, backend: "cpu" | "gpu", model: string, hub: string, untold: Phase[] }} asked
 */
async function aborted({ phase, backend, model, hub, untold }) {
  const { Lab } = await import(new URL("microtome.js", document.baseURI).href);
  const abort = new AbortController();
  let began = NaN;
  const opening = Lab.open({ model, hub, backend, threads: 1, signal: abort.signal, onProgress: (/** @type {any} */ progress) => {
    if (progress.phase !== phase || began > 0 || !(untold.includes(phase) || progress.all_loaded > 1e6)) return;
    began = performance.now();
    abort.abort();
  } });
  let last = performance.now();
  let still = 0;
  const ticks = setInterval(() => {
    still = Math.max(still, performance.now() - last);
    last = performance.now();
  }, 10);
  const code = await opening.then((/** @type {any} */ lab) => (lab.close(), "opened"), (/** @type {any} */ error) => error.code);
  const took = performance.now() - began;
  await new Promise((resolve) => setTimeout(resolve, 300));
  clearInterval(ticks);
  return { code, took, still };
}

/** Clicks “Cancel” as soon as a phase is shown. @param {{ phase: Phase, untold: Phase[] }} asked */
function cancelled({ phase, untold }) {
  const { store } = /** @type {any} */ (globalThis).microtome;
  return new Promise((resolve, reject) => {
    let began = NaN;
    let loading = false;
    let last = performance.now();
    let still = 0;
    const ticks = setInterval(() => {
      still = Math.max(still, performance.now() - last);
      last = performance.now();
    }, 10);
    const done = store.subscribe("model", () => {
      const { status, progress } = store.get("model");
      loading ||= status === "loading";
      if (loading && ["ready", "error"].includes(status)) reject(new Error(`loading ended as ${status}, and ${phase} was never shown`));
      if (!(began > 0) && progress?.phase === phase && (untold.includes(phase) || progress.all_loaded > 1e6)) {
        began = performance.now();
        /** @type {HTMLElement} */ (document.querySelector("#model .status button")).click();
      } else if (began > 0 && status === "cancelled") {
        done();
        const took = performance.now() - began;
        setTimeout(() => {
          clearInterval(ticks);
          resolve({ took, still });
        }, 300);
      }
    });
  });
}
