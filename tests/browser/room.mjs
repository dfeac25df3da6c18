// A room of laptops, as `microtome serve --lan` serves it: over plain http, over HTTPS, and the page that says how to join.
import { spawn } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readFile, rm, utimes } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { check, ensure, launch, newPage, skip, watchedPage } from "./harness.mjs";
import { choose, part, settled } from "./lab_page.mjs";

/** @typedef {import("playwright-core").BrowserContext} Context */

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
/** A name that only this browser knows, for this machine: to a browser it is another one. */
const HOST = "room.test";
/** @type {Record<string, import("playwright-core").BrowserContextOptions>} */
const LOOKS = {
  light: { colorScheme: "light" },
  dark: { colorScheme: "dark" },
  phone: { colorScheme: "light", viewport: { width: 360, height: 740 }, deviceScaleFactor: 3, hasTouch: true, isMobile: true },
  forced: { forcedColors: "active" },
};

/**
 * @param {string} binary
 * @param {string} folder of the site, whose model is brought to the room under another name
 * @param {boolean} hasWebGpu
 * @param {string} shots
 */
export async function roomChecks(binary, folder, hasWebGpu, shots) {
  const name = (/** @type {string} */ text) => `room: ${text}`;
  const room = await open(binary, join(folder, "models/pronoun"));
  const browser = await launch([], [`--host-resolver-rules=MAP ${HOST} 127.0.0.1`]);
  const weights = (await readFile(join(folder, "models/pronoun/model.safetensors"))).length;
  const served = async () => /** @type {{ laptops: number, loaded: number, bytes: number, weights: number }} */ (
    await (await fetch(`${room.plain}join.json`)).json());

  await check(name("over plain http the CPU computes, the page says why and two ways out, and keeps the model"), async () => {
    const page = await newPage(browser);
    await page.goto(`http://${HOST}:${room.ports.http}/`);
    await settled(page, "predict");
    ensure(!(await page.evaluate(() => isSecureContext || "gpu" in navigator)), "this is no insecure page");
    const { info, address } = await part(page, "model");
    ensure(info.engine.backend === "cpu", `the engine is ${info.engine.backend}`);
    ensure(address === "./models/tiny/", `it opened ${address}`);
    const said = await page.locator('#model .notice[data-code="page.insecure"]').innerText();
    for (const words of ["plain http", "CPU engine", `https://${HOST}:${room.ports.https}/`, `http://localhost:${room.ports.http}/`]) {
      ensure(said.includes(words), `“${words}” is missing in: ${said}`);
    }
    ensure((await kept(page))[0]?.where === "idb", "the model is not in the database");
    const counted = await served();
    ensure(counted.loaded === 1 && counted.weights === weights, `the server counted ${JSON.stringify(counted)}`);
    await again(page.context(), `http://${HOST}:${room.ports.http}/`);
    await room.replace();
    const before = await served();
    const after = await visited(page.context(), `http://${HOST}:${room.ports.http}/`);
    const sent = after.weights - before.weights;
    ensure(sent >= weights && sent <= weights + 1, `of weights that are others now, ${sent} bytes of ${weights} were sent`);
    await page.context().close();
  });

  await check(name("over HTTPS the page is secure and isolated, the GPU is there, and the model is kept"), async () => {
    const page = await newPage(browser, { ignoreHTTPSErrors: true, serviceWorkers: "allow" });
    const url = `https://${HOST}:${room.ports.https}/`;
    await page.goto(url);
    await settled(page, "predict");
    const found = await page.evaluate(() => ({ secure: isSecureContext, isolated: crossOriginIsolated, gpu: "gpu" in navigator }));
    ensure(found.secure && found.isolated && found.gpu, JSON.stringify(found));
    ensure(!(await page.locator('[data-code="page.insecure"]').count()), "it says that it is not secure");
    const [{ address }, stored] = [await part(page, "model"), await kept(page)];
    ensure(address === "./models/tiny/" && stored[0]?.where === "opfs", `${address}, ${JSON.stringify(stored)}`);
    if (hasWebGpu) {
      await choose(page, "gpu");
      await settled(page, "predict");
    }
    await again(page.context(), url);
    await page.context().close();
    // Chromium starts no service worker behind a certificate that it does not know, and says so.
  }, /SSL certificate error/);
  if (!hasWebGpu) skip(name("the GPU computes over HTTPS"), "this Chromium has no WebGPU adapter");

  /**
   * Later visits fetch no weights: the second reads what is stored once more, the third only asks whether it is still the
   * server's, by its first byte, since this model's folder states no hashes.
   * @param {Context} context
   * @param {string} url
   */
  async function again(context, url) {
    const first = await served();
    for (const visit of ["second", "third", "fourth"]) {
      const before = await served();
      const after = await visited(context, url);
      ensure(after.bytes > before.bytes, `the ${visit} visit asked for nothing at all`);
      const sent = after.weights - before.weights;
      ensure(sent <= 1, `the server sent ${sent} bytes of weights again at the ${visit} visit`);
    }
    const asked = (await served()).weights - first.weights;
    ensure(asked > 0, "nobody asked whether the weights are still the server's");
  }

  /** A visit, and what the server has sent by its end. @param {Context} context @param {string} url */
  async function visited(context, url) {
    const page = await watchedPage(context);
    await page.goto(url);
    await settled(page, "predict");
    ensure((await kept(page))[0]?.complete, "the model is not whole");
    await page.close();
    return served();
  }

  const axe = await readFile(AXE, "utf8");
  for (const [look, options] of Object.entries(LOOKS)) {
    await check(name(`join: ${look}: drawn, not too wide, current, and axe finds no violation`), async () => {
      const page = await newPage(browser, { ...options, ignoreHTTPSErrors: true });
      await page.goto(`https://${HOST}:${room.ports.https}/join`);
      const { loaded, laptops } = await served();
      await page.waitForFunction((loaded) => document.getElementById("loaded")?.textContent === loaded, String(loaded));
      ensure(await page.locator("#laptops").innerText() === String(laptops), "the number of laptops is another one");
      ensure(await page.locator("img").evaluate((img) => /** @type {HTMLImageElement} */ (img).naturalWidth > 200), "there is no code");
      ensure((await page.locator(".invite .address").innerText()) === room.https, "the address is another one");
      const { content, screen } = await page.evaluate(() => ({ content: document.documentElement.scrollWidth, screen: innerWidth }));
      ensure(content <= screen, `the page is ${content} px wide on a screen of ${screen} px`);
      await page.screenshot({ path: join(shots, `join-${look}.png`), fullPage: true });
      await page.context().close();
      // The page's policy refuses what axe does to the page.
      const open = await newPage(browser, { ...options, ignoreHTTPSErrors: true, bypassCSP: true });
      await open.goto(`https://${HOST}:${room.ports.https}/join`);
      await open.evaluate(axe);
      const { violations } = await open.evaluate(() => /** @type {any} */ (globalThis).axe.run());
      ensure(!violations.length, violations.map((/** @type {any} */ v) => `${v.id}: ${v.nodes.map((/** @type {any} */ n) => n.target).join(" ")}`).join("; "));
      await open.context().close();
    });
  }

  await check(name("the handout of a model without checkpoints says so, and names the room's address though it was opened as localhost"), async () => {
    const page = await newPage(browser);
    await page.goto(`http://localhost:${room.ports.http}/handout.html`);
    ensure((await page.locator(".where").innerText()) === `${room.https}workshop.html`, await page.locator(".where").innerText());
    await page.getByLabel("With answers").check();
    await page.locator(".computed").waitFor({ timeout: 120_000 });
    const training = page.locator("[data-step=training]");
    ensure((await training.locator(".solved").allInnerTexts()).join() === "This model comes without checkpoints of its training. Go back to the workshop’s own model for this step.",
      (await training.locator(".solved").allInnerTexts()).join("; "));
    ensure((await page.locator("[data-step=bias] .solved").count()) === 2, "the other steps have no answers");
    await page.screenshot({ path: join(shots, "handout-room.png"), fullPage: true });
    await page.context().close();
  });

  await check(name("the workshop in a room begins with the model that was brought"), async () => {
    const page = await newPage(browser);
    await page.goto(`http://localhost:${room.ports.http}/workshop.html`);
    await page.getByText("Model “tiny”").waitFor({ timeout: 60_000 });
    ensure((await page.locator(".engine select option").first().textContent()) === "tiny, from this server", "it is not in the list");
    await page.context().close();
  });

  await check(name("join: the pages for the class and for the teacher are linked, and what was served has a rate"), async () => {
    const page = await newPage(browser, { ignoreHTTPSErrors: true });
    await page.goto(`https://${HOST}:${room.ports.https}/join`);
    for (const [name, path] of [["The workshop", "workshop.html"], ["The handout", "handout.html"]]) {
      const href = await page.getByRole("link", { name }).evaluate((link) => /** @type {HTMLAnchorElement} */ (link).href);
      ensure(href.endsWith(`/${path}`) && (await fetch(href.replace(/^https:.*:\d+\//, room.plain))).ok, href);
    }
    ensure((await page.locator("#rate").innerText()) === "0", "something is sent while nobody asks");
    // A laptop comes, and 200 kB go out within the ten seconds that the rate is of.
    await (await fetch(`${room.plain}models/tiny/model.safetensors`)).arrayBuffer();
    await page.waitForFunction(() => Number(document.getElementById("rate")?.textContent?.replace(",", ".")) > 0);
    await page.context().close();
  });

  await check(name("join: a server that is gone is said to be gone"), async () => {
    const page = await newPage(browser, { ignoreHTTPSErrors: true });
    await page.goto(`https://${HOST}:${room.ports.https}/join`);
    await page.locator("#lost").waitFor({ state: "hidden" });
    await page.context().setOffline(true);
    await page.locator("#lost").waitFor({ state: "visible" });
    await page.context().setOffline(false);
    await page.locator("#lost").waitFor({ state: "hidden" });
    await page.context().close();
  }, /ERR_INTERNET_DISCONNECTED/);

  await browser.close();
  await room.close();
}

/**
 * What the page says is stored, once it has looked.
 * @param {import("playwright-core").Page} page
 * @returns {Promise<import("../../www/microtome.js").StoredModel[]>}
 */
async function kept(page) {
  const found = await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome.store.get("model").stored);
  return found.jsonValue();
}

/**
 * The command itself, with a certificate of its own and a copy of a model.
 * @param {string} binary
 * @param {string} original
 */
async function open(binary, original) {
  const cache = await mkdtemp(join(tmpdir(), "microtome-room-"));
  const model = join(cache, "tiny");
  await mkdir(model);
  for (const file of ["config.json", "model.safetensors", "tokenizer.json"]) await copyFile(join(original, file), join(model, file));
  const child = spawn(binary, ["serve", "--lan", "--port", "0", "--model", model],
    { env: { ...process.env, XDG_CACHE_HOME: cache }, stdio: ["ignore", "pipe", "inherit"] });
  /** @type {URL[]} */
  const addresses = [];
  await new Promise((resolve, reject) => {
    child.once("exit", (status) => reject(new Error(`serve --lan ended with ${status}`)));
    createInterface(child.stdout).on("line", (line) => {
      addresses.push(new URL(line));
      if (addresses.at(-1)?.protocol === "http:") resolve(undefined);
    });
  });
  const of = (/** @type {string} */ protocol) => /** @type {URL} */ (addresses.find((address) => address.protocol === protocol));
  const ports = { https: of("https:").port, http: of("http:").port };
  /** Puts other weights in the place of the model's, as far as a server can tell: later ones. */
  const replace = () => utimes(join(model, "model.safetensors"), new Date(), new Date());
  return { ports, https: of("https:").href, plain: `http://127.0.0.1:${ports.http}/`, replace, async close() {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGINT");
    child.kill("SIGINT");
    await ended;
    await rm(cache, { recursive: true, force: true });
  } };
}
