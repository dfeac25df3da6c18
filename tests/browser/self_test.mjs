// The check of a GPU at its first use: what it says of one that is good, and what becomes of one that is not. Faults are put
// into the worker's own WebGPU before anything else of it runs.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { check, ensure, newPage } from "./harness.mjs";
import { allSettled, choose, COMPUTED, part, settled } from "./lab_page.mjs";
import { answer, serve } from "./server.mjs";

/** @typedef {import("playwright-core").Page} Page */

/** Lines before the worker's own code. `WGSL` stands for what is done to a shader's text. */
const SHADERS = `const make = GPUDevice.prototype.createShaderModule;
GPUDevice.prototype.createShaderModule = function (what) { return make.call(this, { ...what, code: WGSL(what.code) }); };\n`;
const FAULTS = {
  "shaders that do not compile": { code: SHADERS.replace("WGSL", "((code) => code.replace('@compute', '@compute nonsense'))"), words: /Error: gpu\.validation/ },
  "wrong numbers": { code: SHADERS.replace("WGSL", "((code) => code.replaceAll('0.044715', '0.05'))"), words: /FAILED: log-probabilities of every token: [\d.]+e-\d/ },
  "a GPU that never answers": { code: "GPUBuffer.prototype.mapAsync = () => new Promise(() => {});\n", words: /Error: no answer within \d+ s/ },
};
/** A software adapter that says it is none, so that “Automatic” takes it. */
const HARDWARE = "for (const kind of [GPUAdapterInfo, GPUAdapter]) Object.defineProperty(kind.prototype, 'isFallbackAdapter', { get: () => false });\n";

/**
 * @param {import("playwright-core").Browser} browser
 * @param {string} folder of a built site
 * @param {string} shots
 */
export async function selfTestChecks(browser, folder, shots) {
  const name = (/** @type {string} */ text) => `selftest: ${text}`;
  const site = await serve(folder);
  const worker = await readFile(join(folder, "worker.js"), "utf8");
  const index = await readFile(join(folder, "index.html"), "utf8");
  /** @param {string} code before the worker's own @param {number} [scale] of its time limits */
  const inject = (code, scale = 1) => {
    site.answers["/worker.js"] = answer("text/javascript", code + worker);
    site.answers["/"] = answer("text/html", index.replace('name="microtome-hub"', `name="microtome-hub" data-time-scale="${scale}"`));
  };

  await check(name("a GPU is compared with the CPU engine once, and every result says how far they are apart"), async () => {
    const page = await newPage(browser);
    await page.goto(site.url);
    await choose(page, "gpu");
    const first = (await part(page, "model")).info.engine.self_test;
    ensure(first.difference > 0 && first.difference < 1e-4 && first.checked.length === 8, JSON.stringify(first));
    await allSettled(page);
    // One checkpoint by its address: a whole training would take long on a software adapter.
    await page.locator("#training .others summary").click();
    await page.locator("#training .others textarea").fill("./models/pronoun/@300");
    await page.locator("#training .status").getByRole("button", { name: "Run over training" }).click();
    await settled(page, "training", "done", 240_000);
    const differs = / on the GPU engine · differs from the CPU engine by at most \de−\d$/;
    for (const key of [...COMPUTED, "training"]) {
      const said = await page.locator(`#${key} .took`).innerText();
      ensure(differs.test(said), `${key} says “${said}”`);
    }
    ensure((await page.locator("#model .facts").innerText()).includes("8 checks"), "section 1 does not say it");
    await page.locator("#predict").screenshot({ path: join(shots, "selftest-badge.png") });
    await choose(page, "cpu");
    await allSettled(page);
    for (const key of COMPUTED) ensure(!(await page.locator(`#${key} .took`).innerText()).includes("differs"), `${key}: the CPU engine is said to differ from itself`);
    ensure(!(await part(page, "model")).info.engine.self_test, "the CPU engine has the GPU’s check");
    await page.reload();
    await choose(page, "gpu");
    ensure((await part(page, "model")).info.engine.self_test.at === first.at, "it was compared again");
    // What somebody else has written into the storage counts for nothing.
    await page.evaluate(() => localStorage.setItem("microtome.self_test", JSON.stringify(Object.fromEntries(
      Object.keys(JSON.parse(localStorage.getItem("microtome.self_test") ?? "{}")).map((key) => [key, { difference: "<b>" }])))));
    await page.reload();
    await choose(page, "gpu");
    const again = (await part(page, "model")).info.engine.self_test;
    ensure(again.difference === first.difference && again.at > first.at, JSON.stringify(again));
    // What is outdated is replaced: the next visit believes the new record.
    await page.reload();
    await choose(page, "gpu");
    ensure((await part(page, "model")).info.engine.self_test.at === again.at, "the outdated record stayed, and it was compared once more");
    await page.context().close();
  });

  for (const [what, { code, words }] of Object.entries(FAULTS)) {
    await check(name(`${what}: the CPU engine takes over, in red, with a report`), async () => {
      inject(code, what.includes("never") ? 0.05 : 1);
      const page = await newPage(browser, { permissions: ["clipboard-read", "clipboard-write"] });
      await page.goto(site.url);
      await page.locator("#model").getByText("GPU", { exact: true }).first().click();
      await refused(page, words);
      await page.getByRole("button", { name: "Copy the report" }).click();
      await page.getByText("Copied.").waitFor();
      const copied = await page.evaluate(() => navigator.clipboard.readText());
      ensure(words.test(copied) && /Adapter: \S/.test(copied) && copied.includes("Mozilla/5.0") && /Build: [0-9a-f]{16}/.test(copied), copied);
      ensure((await page.evaluate(() => localStorage.getItem("microtome.self_test"))) === null, "a failure is remembered as a success");
      await page.locator("#model .notices").screenshot({ path: join(shots, `selftest-${what.split(" ")[0]}.png`) });
      await page.context().close();
    });
  }

  for (const what of /** @type {const} */ (["shaders that do not compile", "wrong numbers"])) {
    await check(name(`${what}: “Automatic” says so, too`), async () => {
      inject(HARDWARE + FAULTS[what].code);
      const page = await newPage(browser);
      await page.goto(site.url);
      await refused(page, FAULTS[what].words);
      await page.context().close();
    });
  }
  site.close();
}

/** Waits for the red notice, and for a result of the CPU engine. @param {Page} page @param {RegExp} words of the report */
async function refused(page, words) {
  const notice = page.locator("#model .notice.failed");
  await notice.waitFor({ timeout: 120_000 });
  ensure(words.test(await notice.locator("pre").textContent() ?? ""), `the report says “${await notice.locator("pre").textContent()}”`);
  ensure((await notice.innerText()).includes("computed on the CPU engine instead"), "the notice has no words");
  await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome.store.get("model").status === "ready", null, { timeout: 120_000 });
  const { engine } = (await part(page, "model")).info;
  ensure(engine.backend === "cpu" && engine.reason.includes("failed its check") && !engine.self_test, JSON.stringify(engine));
  await settled(page, "predict");
  ensure((await page.locator("#predict .took").innerText()).includes("on the CPU engine"), "the result is not the CPU engine’s");
}
