// The GPU engine's opening: its kernels are made ready while the files are on their way, and which ones measured fastest
// is remembered between visits.
import { check, ensure, launch, newPage } from "./harness.mjs";
import { allSettled } from "./lab_page.mjs";
import { answer } from "./server.mjs";

/** @typedef {import("playwright-core").Page} Page */

/**
 * @param {import("playwright-core").Browser} browser
 * @param {string} url of a built site, where there is an adapter
 */
export async function rememberedChecks(browser, url) {
  await check("gpu: the kernels that measured fastest are taken again, and give the same bits", async () => {
    const page = await newPage(browser);
    await page.goto(url);
    await allSettled(page);
    const first = await opened(page);
    // The check of the GPU has measured them already.
    ensure(first.before === first.kernels && first.kernels?.split("/").length === 3, JSON.stringify(first));
    const stored = await page.evaluate(() => localStorage.getItem("microtome.kernels") ?? "");
    ensure(JSON.parse(stored)[first.adapter].kernels === first.kernels, `stored: ${stored}`);
    await page.reload();
    await allSettled(page);
    const second = await opened(page);
    ensure(second.before === first.kernels && second.kernels === first.kernels, JSON.stringify(second));
    ensure(second.top === first.top, `${first.top}, then ${second.top}`);

    for (const spoilt of ["linear_few/no_such/linear_few", 7]) {
      await page.evaluate(([stored, spoilt]) => {
        const all = JSON.parse(/** @type {string} */ (stored));
        for (const entry of Object.values(all)) entry.kernels = spoilt;
        localStorage.setItem("microtome.kernels", JSON.stringify(all));
      }, [stored, spoilt]);
      const again = await opened(page);
      ensure(again.before !== spoilt && again.before === again.kernels && again.kernels?.startsWith("linear_"), `${spoilt}: ${JSON.stringify(again)}`);
    }
    await page.context().close();
  });

  await check("gpu: weights kept as halves give what the CPU engine gives with the same halves", async () => {
    const page = await newPage(browser);
    // Of the site, but without its scripts and its policy, which keeps the module to a worker.
    await page.goto(`${url}pkg/build.json`);
    const engines = /** @type {const} */ ([["gpu", "f16"], ["cpu", "f16"], ["gpu", "f32"]]);
    const [gpu, cpu, full] = await page.evaluate(kept, /** @type {const} */ ([engines, url]));
    ensure(gpu.precision === "f16" && cpu.precision === "f16" && full.precision === "f32", JSON.stringify([gpu, cpu, full]));
    const apart = (/** @type {number[]} */ a, /** @type {number[]} */ b) => Math.max(...a.map((x, i) => Math.abs(x - b[i])));
    ensure(apart(gpu.values, cpu.values) < 1e-3, `GPU and CPU differ by ${apart(gpu.values, cpu.values)}`);
    ensure(apart(gpu.values, full.values) > 1e-5, `halves differ from f32 by ${apart(gpu.values, full.values)}`);
    await page.context().close();
  }, /404/); // the browser asks for an icon

  await check("gpu: asked for where there is none, it is an error with its reason", async () => {
    const plain = await launch(["--enable-unsafe-webgpu"]);
    const page = await newPage(plain);
    await page.goto(url);
    await allSettled(page);
    const code = await opened(page).catch((error) => String(error));
    ensure(String(code).includes("no GPU was found"), JSON.stringify(code));
    await plain.close();
  });
}

/**
 * @param {import("playwright-core").Browser} browser
 * @param {Awaited<ReturnType<typeof import("./server.mjs").serve>>} site with the stand-in engine
 */
export async function preparedChecks(browser, site) {
  await check("faults: the engine gets ready while the weights are on their way", async () => {
    const [engine, weights] = ["/pkg/microtome.js", "/models/pronoun/model.safetensors"];
    const before = { [engine]: site.answers[engine], [weights]: site.answers[weights] };
    const script = await (await fetch(new URL(engine, site.url))).text();
    const asking = script.replace("static async prepare(backend) {", 'static async prepare(backend) {\n await fetch("/preparing");');
    ensure(asking !== script, "the stand-in has no prepare(backend)");
    /** @type {() => void} */
    let preparing = () => {};
    const asked = new Promise((resolve) => (preparing = () => resolve(undefined)));
    Object.assign(site.answers, {
      [engine]: answer("text/javascript", asking),
      "/preparing": (/** @type {any} */ response) => { preparing(); response.writeHead(204).end(); },
      // They come only when the engine has begun: one that waits for them would wait for ever.
      [weights]: (/** @type {any} */ response, /** @type {any} */ request) => void asked.then(() => before[weights](response, request)),
    });
    const page = await newPage(browser);
    await page.goto(site.url);
    await allSettled(page, 20_000);
    await page.context().close();
    Object.assign(site.answers, before);
    delete site.answers["/preparing"];
  });
}

/** A lab of its own on the GPU: its kernels before and after a run, and what it computes. @param {Page} page */
const opened = (page) => page.evaluate(async () => {
  const { Lab } = await import(/** @type {any} */ (new URL("microtome.js", document.baseURI).href));
  const lab = await Lab.open({ model: "./models/pronoun/", backend: "gpu" });
  const before = lab.info.engine.kernels;
  const { top, engine } = await lab.run({ version: 1, kind: "predict", prompt: "Mary is a great friend, isn’t" });
  lab.close();
  return { before, kernels: engine.kernels, adapter: engine.adapter, top: JSON.stringify(top) };
});

/**
 * Losses of an ablation of the shipped model on each engine, its weights kept as each says. Without a worker: the module
 * is asked itself.
 * @param {readonly [readonly (readonly ["gpu" | "cpu", "f32" | "f16"])[], string]} of the engines, and the site's address
 */
async function kept([engines, base]) {
  const { default: init, Engine } = await import(/** @type {any} */ (new URL("pkg/microtome.js", base).href));
  await init({ module_or_path: new URL("pkg/microtome_bg.wasm", base) });
  const files = await Promise.all(["config.json", "model.safetensors", "tokenizer.json"].map(async (name) => {
    const response = await fetch(new URL(`models/pronoun/${name}`, base));
    return { name, blob: await response.blob() };
  }));
  const results = [];
  for (const [backend, precision] of engines) {
    const prepared = await Engine.prepare(backend, {}, precision);
    const engine = await Engine.open({ name: "pronoun", files }, prepared, { precision }, () => {}, () => false);
    const experiment = {
      version: 1, kind: "ablate", prompt: "Mary is a great friend, isn’t she", site: "v", edit: { kind: "zero" }, axes: ["layer", "head"],
      metric: { kind: "loss" },
    };
    const { values, engine: { precision: found } } = await engine.run(experiment, () => {}, () => {}, () => false);
    results.push({ values, precision: found });
    engine.free();
  }
  return results;
}
