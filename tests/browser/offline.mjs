// The page without its server: kept whole by its service worker, one version at a time; and the page opened as a file.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { check, ensure, newPage, watchedPage } from "./harness.mjs";
import { part, settled } from "./lab_page.mjs";
import { answer, serve } from "./server.mjs";
import { measured } from "./workshop.mjs";

/** @typedef {import("playwright-core").Page} Page @typedef {import("./server.mjs").Answer} Answer */

const NOBODY = /ERR_CONNECTION_REFUSED|ERR_INTERNET_DISCONNECTED|Failed to load resource/;
const hash = (/** @type {string | Buffer} */ bytes) => createHash("sha256").update(bytes).digest("hex");

/**
 * @param {import("playwright-core").Browser} browser
 * @param {string} folder a built site
 * @param {string} shots
 */
export async function offlineChecks(browser, folder, shots) {
  const name = (/** @type {string} */ text) => `offline: ${text}`;
  const read = (/** @type {string} */ file) => readFileSync(join(folder, file), "utf8");
  const worker = read("sw.js");
  const list = /^const SHELL = (\{.*\});$/m.exec(worker)?.[1];
  if (!list) return check(name("the site has a list of its files"), async () => {
    throw new Error("sw.js has none: build the site with “microtome build --out DIR”");
  });

  /** The worker of a version in which some files are others. @param {Record<string, string>} changed */
  const workerWith = (changed) => {
    const shell = JSON.parse(/** @type {string} */ (list));
    for (const [file, text] of Object.entries(changed)) (file in shell.core ? shell.core : shell.later)[file] = hash(text);
    shell.version = hash(JSON.stringify(changed)).slice(0, 16);
    return worker.replace(/^const SHELL = .*;$/m, `const SHELL = ${JSON.stringify(shell)};`);
  };
  /** Those files on a server, with their worker or without it. @param {Record<string, string>} changed @returns {Record<string, Answer>} */
  const answers = (changed) => Object.fromEntries(Object.entries(changed).map(([file, text]) => [`/${file}`, answer(file.endsWith(".js") ? "text/javascript" : "application/wasm", text)]));
  /** A second version: its words are others, and a file that only the first page uses late. */
  const NEXT = {
    "strings.js": read("strings.js").replace('name: "Microtome"', 'name: "Microtome, the second"'),
    "bench.js": `${read("bench.js")}\n// the second`,
    "pkg/microtome.js": `${read("pkg/microtome.js")}\n// the second`,
  };

  await check(name("after one visit the page opens and computes without its server, isolated as before"), async () => {
    const site = await serve(folder);
    const page = await visit(browser, site.url);
    const first = await part(page, "predict");
    await site.close();
    await page.context().setOffline(true);
    const began = performance.now();
    await page.goto(`${site.url}?limits=default#predict`);
    await settled(page, "predict");
    const seconds = (performance.now() - began) / 1000;
    const [model, predict] = [await part(page, "model"), await part(page, "predict")];
    ensure(JSON.stringify(predict.job.value.top) === JSON.stringify(first.job.value.top), "it computes something else");
    ensure(await page.evaluate(() => crossOriginIsolated), "it is not isolated any more");
    ensure(model.status === "ready" && seconds < 15, `it is ${model.status} after ${seconds.toFixed(1)} s`);
    console.log(`# offline, from the address to the first table: ${seconds.toFixed(1)} s; notices: ${model.notices.map((/** @type {any} */ { code }) => code)}`);
    // What was never used is not there, and nothing else is given in its place.
    ensure(await page.evaluate(async () => (await fetch("preview.png")).status) === 504, "a file that nobody has kept is there");
    await page.context().close();
  }, NOBODY);

  await check(name("after one visit to the workshop it opens and computes without its server, and so does the handout"), async () => {
    const site = await serve(folder);
    const page = await newPage(browser, { serviceWorkers: "allow" });
    await page.goto(`${site.url}workshop.html#next`);
    await measured(page);
    await page.locator("footer .kept").waitFor();
    await site.close();
    await page.context().setOffline(true);
    await page.goto(`${site.url}workshop.html#difference`);
    await measured(page);
    ensure(await page.evaluate(() => /** @type {any} */ (globalThis).microtome.runner.state.found.she.logit > 0), "nothing was computed");
    await page.goto(`${site.url}handout.html`);
    await page.getByLabel("With answers").check();
    await page.locator(".computed").waitFor({ timeout: 120_000 });
    await page.context().close();
  }, NOBODY);

  await check(name("the models are not the worker's: nothing of them is in its cache"), async () => {
    const site = await serve(folder);
    const page = await visit(browser, site.url);
    const kept = await keptFiles(page);
    ensure(kept.includes("/index.html") && kept.includes("/main.js") && kept.some((path) => path.endsWith("_bg.wasm")), `it keeps ${kept}`);
    ensure(!kept.some((path) => /models\/|safetensors|threads\/.*pkg|\.d\.ts/.test(path)), `it keeps ${kept}`);
    ensure(kept.filter((path) => path.endsWith(".wasm")).length === 1, "it keeps both builds of the engine");
    await page.context().close();
    site.close();
  });

  await check(name("49: a new version never mixes with the old one, and is offered when it is whole"), async () => {
    const site = await serve(folder);
    const page = await visit(browser, site.url);
    Object.assign(site.answers, answers(NEXT));
    // Half a deployment: the new list with an old file.
    const half = { ...NEXT, "main.js": `${read("main.js")}\n// the second` };
    site.answers["/sw.js"] = answer("text/javascript", workerWith(half));
    await page.reload();
    await settled(page, "predict");
    const state = await page.evaluate(async () => {
      const registration = /** @type {ServiceWorkerRegistration} */ (await navigator.serviceWorker.getRegistration());
      await registration.update().catch(() => {});
      const { installing } = registration;
      if (installing) await new Promise((resolve) => installing.addEventListener("statechange", () => installing.state === "redundant" && resolve(0)));
      return { waiting: Boolean(registration.waiting), caches: (await caches.keys()).length };
    });
    ensure(!state.waiting && state.caches === 1, `half a version was taken: ${JSON.stringify(state)}`);

    // The whole of it.
    site.answers["/sw.js"] = answer("text/javascript", workerWith(NEXT));
    await page.reload();
    const banner = page.locator(".update");
    await banner.waitFor();
    ensure(await page.locator("h1").innerText() === "Microtome", "the old page has new words");
    const late = await page.evaluate(async () => [await (await fetch("bench.js")).text(), (await fetch("preview.png")).status]);
    ensure(late[0] === read("bench.js") && late[1] === 200, "the old page got a file of the new version");
    await page.screenshot({ path: join(shots, "update-light.png") });

    // With another old page open it would get new files: it has to be closed first.
    const other = await watchedPage(page.context());
    await other.goto(site.url);
    await settled(other, "predict");
    await banner.getByRole("button").click();
    await banner.getByText("Close it").waitFor();
    ensure(await other.locator("h1").innerText() === "Microtome", "the other page was changed");
    await other.close();
    await banner.getByRole("button").click();
    await page.waitForFunction(() => document.querySelector("h1")?.textContent === "Microtome, the second");
    await settled(page, "predict");
    const now = await page.evaluate(async () => [await (await fetch("pkg/microtome.js")).text(), (await caches.keys()).length]);
    ensure(now[0] === NEXT["pkg/microtome.js"] && now[1] === 1, "something of the old version is left");
    ensure(!(await banner.count()), "it is still offered");
    await page.context().close();
    site.close();
  }, /Failed to load resource/);

  await check(name("the workshop offers a new version in a banner of its own, which stands on the page and can be pressed"), async () => {
    const site = await serve(folder);
    const page = await newPage(browser, { serviceWorkers: "allow" });
    await page.goto(`${site.url}workshop.html`);
    await measured(page);
    await page.locator("footer .kept").waitFor();
    const next = { "strings/workshop.js": read("strings/workshop.js").replace('name: "Microtome workshop"', 'name: "The second workshop"') };
    Object.assign(site.answers, answers(next), { "/sw.js": answer("text/javascript", workerWith(next)) });
    await page.reload();
    const banner = page.locator(".update");
    await banner.waitFor();
    const look = await banner.evaluate((node) => ({ place: getComputedStyle(node).position, ground: getComputedStyle(node).backgroundColor }));
    ensure(look.place === "fixed" && look.ground !== "rgba(0, 0, 0, 0)", JSON.stringify(look));
    await page.screenshot({ path: join(shots, "update-workshop-light.png") });
    await banner.getByRole("button").click();
    await page.waitForFunction(() => document.querySelector("h1")?.textContent === "The second workshop");
    await page.context().close();
    site.close();
  }, /Failed to load resource/);

  await check(name("a new worker that cannot be installed takes nothing from the one that runs"), async () => {
    const site = await serve(folder);
    const page = await visit(browser, site.url);
    // The same files, of which the browser has lost one and the host has it no more.
    await page.evaluate(async () => {
      for (const name of await caches.keys()) await (await caches.open(name)).delete(new URL("bench.js", location.href).href);
    });
    site.answers["/bench.js"] = (response) => void response.writeHead(404).end();
    site.answers["/sw.js"] = answer("text/javascript", `${worker}\n// mended`);
    const state = await page.evaluate(async () => {
      const registration = /** @type {ServiceWorkerRegistration} */ (await navigator.serviceWorker.getRegistration());
      await registration.update().catch(() => {});
      const { installing } = registration;
      if (installing) await new Promise((resolve) => installing.addEventListener("statechange", () => installing.state === "redundant" && resolve(0)));
      return { tried: Boolean(installing), waiting: Boolean(registration.waiting), active: registration.active?.state };
    });
    ensure(state.tried && !state.waiting && state.active === "activated", JSON.stringify(state));
    ensure((await keptFiles(page)).includes("/index.html"), "the running version was deleted");
    await site.close();
    await page.context().setOffline(true);
    await page.goto(`${site.url}#predict`);
    await settled(page, "predict");
    await page.context().close();
  }, /Failed to load resource|ERR_CONNECTION_REFUSED|ERR_INTERNET_DISCONNECTED/);

  await check(name("a file that the host has changed meanwhile is refused, not mixed in"), async () => {
    const site = await serve(folder);
    const page = await visit(browser, site.url);
    const path = await page.evaluate(() => crossOriginIsolated && navigator.hardwareConcurrency > 1) ? "pkg/microtome.js" : "pkg/threads/microtome.js";
    site.answers[`/${path}`] = answer("text/javascript", "// of another version");
    await page.reload();
    const [status, words] = await page.evaluate(async (path) => {
      const response = await fetch(path);
      return [response.status, await response.text()];
    }, path);
    ensure(status === 504 && String(words).includes("is not of version"), `${status}: ${words}`);
    await page.context().close();
    site.close();
  }, /Failed to load resource/);

  await check(name("a site that is served for development takes the worker and its files away"), async () => {
    const site = await serve(folder);
    const page = await visit(browser, site.url);
    site.answers["/sw.js"] = answer("text/javascript", worker.replace(/^const SHELL = .*;$/m, "const SHELL = null;"));
    await page.reload();
    await page.waitForFunction(async () => !(await navigator.serviceWorker.getRegistrations()).length && !(await caches.keys()).length);
    await page.context().close();
    site.close();
  });

  await check(name("45: a page that is opened as a file says what to do"), async () => {
    for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
      const page = await newPage(browser, { colorScheme, viewport: { width: 360, height: 740 } });
      await page.goto(pathToFileURL(join(folder, "index.html")).href);
      const notice = page.locator(".file");
      await notice.waitFor({ state: "visible" });
      const words = await notice.innerText();
      ensure(words.includes("python3 -m http.server") && words.includes("cargo run --release -- serve"), words);
      await page.screenshot({ path: join(shots, `file-${colorScheme}.png`) });
      await page.context().close();
    }
    const page = await newPage(browser);
    const site = await serve(folder);
    await page.goto(site.url);
    await page.locator("main").waitFor();
    ensure(!(await page.locator(".file").count()), "a page from a server says it too");
    await page.context().close();
    site.close();
  }, /CORS policy|net::ERR_FAILED|ERR_FILE_NOT_FOUND|policy: /);
}

/** A first visit, until everything is kept. @param {import("playwright-core").Browser} browser @param {string} url */
async function visit(browser, url) {
  const page = await newPage(browser, { serviceWorkers: "allow" });
  await page.goto(url);
  await settled(page, "predict");
  await page.locator("footer .kept").waitFor();
  return page;
}

/** Paths of all files that the worker keeps. @param {Page} page @returns {Promise<string[]>} */
const keptFiles = (page) => page.evaluate(async () => {
  const found = [];
  for (const name of await caches.keys()) found.push(...(await (await caches.open(name)).keys()).map(({ url }) => new URL(url).pathname));
  return found;
});
