// Which build of the module a page gets, that both give the same numbers, and that threads end with their engine.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { compare } from "./golden.mjs";
import { check, ensure, newPage, skip } from "./harness.mjs";
import { allSettled, part } from "./lab_page.mjs";
import { answer, PLAIN, serve } from "./server.mjs";

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {import("./server.mjs").Answer} Answer */

const SWEEPS = [
  { version: 1, kind: "predict", prompt: "Mary is a great friend, isn’t", answer: " she" },
  {
    version: 1, kind: "ablate", prompt: "Mary is a great friend, isn’t", site: "z", edit: { kind: "zero" },
    axes: ["layer", "head"], metric: { kind: "logit_diff", correct: " she", incorrect: " he" },
  },
  {
    version: 1, kind: "patch", clean: "Mary is a great friend, isn’t", corrupted: "John is a great friend, isn’t",
    site: "resid_pre", axes: ["layer", "pos"], metric: { kind: "logit_diff", correct: " she", incorrect: " he", normalize: true },
  },
];
/** Long enough to be under way when it is cancelled. */
const LONG = {
  version: 1, kind: "ablate", prompt: "Mary is a great friend, isn’t she? ".repeat(4).trim(), site: "pattern",
  edit: { kind: "zero" }, axes: ["layer", "head", "dest", "src"], metric: { kind: "loss" },
};

/**
 * @param {import("playwright-core").Browser} browser
 * @param {string} folder a built site
 * @param {Record<string, Answer>} fakes the stand-in engine
 */
export async function threadChecks(browser, folder, fakes) {
  const name = (/** @type {string} */ text) => `threads: ${text}`;
  const isolated = await serve(folder);
  const plain = await serve(folder, {}, PLAIN);
  const page = await labPage(browser, isolated.url);
  const cores = await page.evaluate(() => navigator.hardwareConcurrency);
  const threads = Math.min(cores, 8);
  const threaded = `wasm32 threads(${threads})`;

  if (!existsSync(join(folder, "pkg/threads/microtome.js"))) skip(name("every check"), "this site has no build with threads");
  else if (threads < 2) skip(name("every check"), "this machine has one core");
  else {
    let single = { build: "", results: /** @type {any[]} */ ([]) };
    await check(name("an isolated page gets the threads, and the same numbers as one thread"), async () => {
      await allSettled(page);
      ensure(await page.evaluate(() => crossOriginIsolated), "the page is not isolated");
      const got = await sweeps(page, {});
      single = await sweeps(page, { threads: 1 });
      ensure(got.build.endsWith(threaded), `the build is ${got.build}, not … ${threaded}`);
      ensure(single.build.endsWith("wasm32"), `with threads: 1 the build is ${single.build}`);
      compare(got.results, single.results, 1e-5);
    });

    await check(name("more threads than cores are not started, and no threads are refused"), async () => {
      ensure((await sweeps(page, { threads: 64 }, [])).build.endsWith(threaded), "64 threads are not the machine's");
      const code = await page.evaluate(() => /** @type {any} */ (globalThis).open({ threads: 0 }).catch((/** @type {any} */ error) => error.code));
      ensure(code === "input.threads", `0 threads: ${code}`);
    });

    await check(name("a sweep is cancelled within 200 ms"), async () => {
      const { code, rejected, free } = await page.evaluate(cancel, LONG);
      ensure(code === "run.cancelled", `the job ended with ${code}`);
      ensure(rejected < 200 && free < 200, `rejected after ${Math.round(rejected)} ms, free after ${Math.round(free)} ms`);
    });
    await page.context().close();

    await check(name("a page that is not isolated loads only the build without threads"), async () => {
      /** @type {string[]} */
      const asked = [];
      const page = await labPage(browser, plain.url, (path) => asked.push(path));
      await allSettled(page);
      ensure(!(await page.evaluate(() => crossOriginIsolated)), "the page is isolated without headers");
      const got = await sweeps(page, { threads: 8 });
      ensure(got.build.endsWith("wasm32"), `the build is ${got.build}`);
      compare(got.results, single.results, 1e-7);
      ensure(asked.includes("/pkg/microtome.js"), `no engine was asked for: ${asked.join()}`);
      ensure(!asked.some((path) => /threads\/|thread\.js|build\.json|isolate/.test(path)), `the threads cost ${asked.join()}`);
      await page.context().close();
    });

    await check(name("a service worker isolates the second load of a plain host, without reloading"), async () => {
      plain.answers["/"] = withOffline(folder);
      plain.answers["/sw.js"] = isolating(folder);
      const page = await newPage(browser, { serviceWorkers: "allow" });
      let loads = 0;
      page.on("domcontentloaded", () => (loads += 1));
      await page.goto(plain.url);
      await allSettled(page);
      await page.evaluate(() => navigator.serviceWorker.ready);
      ensure((await build(page)).endsWith("wasm32"), `on the first load the build is ${await build(page)}`);
      for (let i = 2; i <= 3; i++) {
        await page.reload();
        await allSettled(page);
        ensure(await page.evaluate(() => crossOriginIsolated), `load ${i} is not isolated`);
        ensure((await build(page)).endsWith(threaded), `on load ${i} the build is ${await build(page)}`);
      }
      ensure(loads === 3, `the page was loaded ${loads} times instead of 3`);
      await page.context().close();
    });

    await check(name("a service worker that is missing breaks nothing"), async () => {
      plain.answers["/sw.js"] = (response) => void response.writeHead(404).end();
      const page = await newPage(browser, { serviceWorkers: "allow" });
      const said = page.waitForEvent("console", (message) => message.text().includes("is not kept for use offline"));
      await page.goto(plain.url);
      await allSettled(page);
      await said;
      await page.context().close();
      plain.answers["/sw.js"] = isolating(folder);
    }, /bad HTTP response code \(404\)|Failed to load resource/);

    await check(name("a frame does not register a service worker"), async () => {
      const outer = answer("text/html", "<!doctype html><link rel=icon href=data:,><iframe src=/></iframe>");
      plain.answers["/outer.html"] = outer;
      const page = await newPage(browser, { serviceWorkers: "allow" });
      await page.goto(`${plain.url}outer.html`);
      const inner = page.frames()[1];
      await inner.waitForFunction(() => /** @type {any} */ (globalThis).microtome?.store.get("model").status === "ready");
      ensure((await inner.evaluate(() => navigator.serviceWorker.getRegistrations())).length === 0, "it did");
      await page.context().close();
    });

    await check(name("an isolated page of another origin may use the threads"), async () => {
      const script = `import { Lab } from ${JSON.stringify(`${isolated.url}microtome.js`)};
        const lab = await Lab.open({ model: ${JSON.stringify(`${isolated.url}models/pronoun/`)}, backend: "cpu" });
        const { top } = await lab.run({ version: 1, kind: "predict", prompt: "Mary is" });
        document.body.textContent = top.length + " " + lab.info.engine.build;`;
      const other = await serve("/nowhere", {
        "/": answer("text/html", "<!doctype html><link rel=icon href=data:,><body><script type=module src=x.js></script>"),
        "/x.js": answer("text/javascript", script),
      });
      const page = await newPage(browser);
      await page.goto(other.url);
      await page.getByText(`10 microtome`).waitFor();
      ensure((await page.locator("body").innerText()).endsWith(threaded), `the build is ${await page.locator("body").innerText()}`);
      await page.context().close();
      other.close();
    });

    await check(name("closing a lab ends its threads"), async () => {
      const page = await labPage(browser, isolated.url);
      await allSettled(page);
      const before = await workers(browser);
      await page.evaluate(async () => Object.assign(globalThis, { opened: await /** @type {any} */ (globalThis).open({}) }));
      const open = await workers(browser);
      ensure(open === before + threads, `${open} workers with a second lab, ${before} before it`);
      await page.evaluate(() => /** @type {any} */ (globalThis).opened.close());
      await workersAre(browser, before);
      await page.context().close();
    });
  }
  await faultyThreads(browser, folder, fakes, name);
  isolated.close();
  plain.close();
}

/**
 * An engine whose thread fails, or does not start.
 * @param {import("playwright-core").Browser} browser @param {string} folder @param {Record<string, Answer>} fakes
 * @param {(text: string) => string} name
 */
async function faultyThreads(browser, folder, fakes, name) {
  const site = await serve(folder, {
    ...fakes,
    "/pkg/build.json": answer("application/json", JSON.stringify({ threads: { relaxed_simd: false } })),
    "/pkg/threads/microtome.js": answer("text/javascript", FAKE_THREADS),
    "/pkg/threads/microtome_bg.wasm": fakes["/pkg/microtome_bg.wasm"],
  });

  await check(name("a thread that fails is heard while the engine waits for it, and both are replaced"), async () => {
    const page = await labPage(browser, site.url);
    await allSettled(page);
    const before = await workers(browser);
    const { code, message, took, next } = await page.evaluate(async () => {
      const { microtome } = /** @type {any} */ (globalThis);
      const began = performance.now();
      const run = (/** @type {string} */ prompt) => microtome.lab().run({ version: 1, kind: "predict", prompt });
      const { code, message } = await run("THREAD fails").catch((/** @type {any} */ error) => error);
      return { code, message, took: performance.now() - began, next: (await run("Mary is")).kind };
    });
    ensure(code === "engine.panic" && message.includes("a thread's last words"), `${code}: ${message}`);
    ensure(took < 2000, `it took ${Math.round(took)} ms`);
    ensure(next === "predict", "the next engine does not work");
    await workersAre(browser, before);
    await page.context().close();
  }, /a thread's last words/);

  await check(name("threads that cannot start leave the build without them"), async () => {
    site.answers["/pkg/threads/microtome.js"] = answer("text/javascript", FAKE_THREADS.replace("{ cells = ", "{ throw new Error('no room'); cells = "));
    const page = await newPage(browser);
    const said = page.waitForEvent("console", (message) => message.type() === "warning" && message.text().includes("no room"));
    await page.goto(site.url);
    await allSettled(page);
    await said;
    await page.context().close();
  });

  await check(name("a build with relaxed SIMD goes only to browsers that have it"), async () => {
    const page = await newPage(browser);
    await page.goto(site.url);
    const folders = await page.evaluate(async () => {
      const { choose } = await import(/** @type {any} */ (new URL("threads.js", document.baseURI).href));
      const path = async () => (await choose(2)).glue.pathname;
      const fetched = fetch;
      globalThis.fetch = async () => new Response(JSON.stringify({ threads: { relaxed_simd: true } }));
      const here = await path();
      WebAssembly.validate = () => false;
      const old = await path();
      globalThis.fetch = fetched;
      return [here, old, await path()];
    });
    // Chromium has had relaxed SIMD since version 114.
    ensure(folders.join() === "/pkg/threads/microtome.js,/pkg/microtome.js,/pkg/threads/microtome.js", folders.join());
    await page.context().close();
  });
  site.close();
}

/** Cells 0 and 1 of the shared memory: the thread is to fail; never set. */
const FAKE_THREADS = `
  import { Engine } from "../microtome.js";
  export { default } from "../microtome.js";
  export * from "../microtome.js";
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  let cells = new Int32Array(memory.buffer);
  export const sharedModule = () => [new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])), memory];
  export function startThreads() {}
  export function initSync({ memory }) { cells = new Int32Array(memory.buffer); }
  export function runThread() {
    Atomics.wait(cells, 0, 0);
    console.error("a thread's last words");
    throw new WebAssembly.RuntimeError("unreachable");
  }
  const run = Engine.prototype.run;
  Engine.prototype.run = function (experiment, ...rest) {
    if (experiment.prompt?.startsWith("THREAD")) {
      Atomics.store(cells, 0, 1);
      Atomics.notify(cells, 0);
      Atomics.wait(cells, 1, 0);
    }
    return run.call(this, experiment, ...rest);
  };`;

/**
 * A page on which `open(options)` opens a lab of its own.
 * @param {import("playwright-core").Browser} browser @param {string} url @param {(path: string) => void} [asked]
 */
async function labPage(browser, url, asked = () => {}) {
  const page = await newPage(browser);
  page.on("request", (request) => asked(new URL(request.url()).pathname));
  await page.addInitScript(() => Object.assign(globalThis, {
    open: async (/** @type {any} */ options) => (await import(/** @type {any} */ (new URL("microtome.js", document.baseURI).href)))
      .Lab.open({ model: "./models/pronoun/", backend: "cpu", ...options }),
  }));
  await page.goto(url);
  return page;
}

/** The build of a new lab, and what it computes. @param {Page} page @param {object} options @param {any[]} experiments */
const sweeps = (page, options, experiments = SWEEPS) => page.evaluate(async ([options, experiments]) => {
  const lab = await /** @type {any} */ (globalThis).open(options);
  const results = [];
  for (const experiment of experiments) {
    const { engine, ...numbers } = await lab.run(experiment);
    results.push(numbers);
    if (engine.build !== lab.info.engine.build) throw new Error(`a result says ${engine.build}`);
  }
  lab.close();
  return { build: /** @type {string} */ (lab.info.engine.build), results };
}, /** @type {const} */ ([options, experiments]));

/** Cancels a sweep that is under way. @param {any} experiment */
async function cancel(experiment) {
  const lab = await /** @type {any} */ (globalThis).open({});
  const controller = new AbortController();
  let began = 0;
  controller.signal.addEventListener("abort", () => (began = performance.now()));
  const running = lab.run(experiment, { signal: controller.signal, onProgress: () => setTimeout(() => controller.abort(), 30) });
  const { code } = await running.catch((/** @type {any} */ error) => error);
  const rejected = performance.now() - began;
  await lab.tokenize("still there");
  const free = performance.now() - began;
  lab.close();
  return { code, rejected, free };
}

/** @param {Page} page @returns {Promise<string>} */
const build = async (page) => (await part(page, "model")).info.engine.build;

/** The page as `microtome build` writes it. @param {string} folder */
function withOffline(folder) {
  const page = readFileSync(join(folder, "index.html"), "utf8");
  const line = '<script type="module" src="offline.js"></script>';
  return answer("text/html", page.includes(line) ? page : page.replace("</head>", `${line}</head>`));
}

/** The worker as `microtome build --isolate` writes it; a copied source has no list of files, and needs none here. @param {string} folder */
function isolating(folder) {
  const list = { version: "test", isolate: true, core: {}, later: {} };
  const worker = readFileSync(join(folder, "sw.js"), "utf8").replace(/^const SHELL = .*;$/m, `const SHELL = ${JSON.stringify(list)};`);
  return answer("text/javascript", worker);
}

/** How many workers there are, nested ones too. @param {import("playwright-core").Browser} browser */
async function workers(browser) {
  const session = await browser.newBrowserCDPSession();
  const { targetInfos } = await session.send("Target.getTargets", { filter: [{}] });
  await session.detach();
  return targetInfos.filter(({ type }) => type === "worker").length;
}

/** @param {import("playwright-core").Browser} browser @param {number} expected */
async function workersAre(browser, expected) {
  for (let tries = 50; (await workers(browser)) !== expected; tries--) {
    ensure(tries > 0, `${await workers(browser)} workers are left, not ${expected}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
