// What the checks of downloads share: a page that takes the stand-in for the Hub for the Hub, how a person loads a model
// there, and what then lies in the browser's storage, read behind the page's back.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ensure, newPage, watchedPage } from "./harness.mjs";
import { sha256 } from "./hub.mjs";
import { loadAgain } from "./lab_page.mjs";
import { answer, serve } from "./server.mjs";

/** @typedef {import("playwright-core").Page} Page @typedef {import("./hub.mjs").Hub} Hub */

/** All waits and time limits of a download are shortened by this. */
export const SCALE = 0.02;
export const REPO = "tests/tiny";
export const ADDRESS = `hf:${REPO}`;

/** A golden model's files by their names. @param {string} golden @param {string} name @param {string[]} files */
export const filesOf = (golden, name, files) => Object.fromEntries(files.map((file) => [file, readFileSync(join(golden, "models", name, file))]));

/**
 * The site with another Hub, as its owner would set it.
 * @param {string} folder
 * @param {string} hub
 * @param {Record<string, import("./server.mjs").Answer>} [answers]
 */
export function serveWithHub(folder, hub, answers = {}, scale = SCALE) {
  const index = readFileSync(join(folder, "index.html"), "utf8");
  const meta = '<meta name="microtome-hub" content="">';
  ensure(index.includes(meta), "index.html has no place for a Hub");
  const page = index.replace(meta, `<meta name="microtome-hub" content="${hub}" data-time-scale="${scale}">`);
  return serve(folder, { "/": answer("text/html; charset=utf-8", page), ...answers });
}

/**
 * A fresh page that is done with its first model, and remembers every event of the next ones.
 * @param {import("playwright-core").Browser} browser
 * @param {string} url
 * @param {import("playwright-core").BrowserContext} [context] one that has something stored already
 */
export async function openPage(browser, url, context) {
  const page = context ? await watchedPage(context) : await newPage(browser);
  await page.goto(url);
  await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome?.store.get("model").status === "ready", null, { timeout: 60_000 });
  await page.evaluate(() => {
    const { store } = /** @type {any} */ (globalThis).microtome;
    /** @type {any[]} */
    const events = /** @type {any} */ (globalThis).events = [];
    /** @type {Set<string>} */
    const words = /** @type {any} */ (globalThis).words = new Set();
    // The page's own subscription is older: what it makes of an event is drawn by now.
    store.subscribe("model", () => {
      const { progress } = store.get("model");
      if (progress && progress !== events.at(-1)) events.push(progress);
      words.add(document.querySelector("#model .status .words")?.textContent ?? "");
    });
  });
  return page;
}

/** Asks for a model as a person does. @param {Page} page @param {string} address */
export async function ask(page, address) {
  await page.evaluate(() => {
    const { events, words } = /** @type {any} */ (globalThis);
    events.length = 0;
    words?.clear();
  });
  await page.locator("#model").getByLabel("Another model").fill(address);
  await page.locator("#model form").getByRole("button", { name: "Load" }).click();
}

/** How the loading ends, in the page's own words. @param {Page} page @param {number} [timeout] */
export async function ended(page, timeout = 40_000) {
  await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome.store.get("model").status !== "loading", null, { timeout });
  const { status, error, notices } = await page.evaluate(() => /** @type {any} */ (globalThis).microtome.store.get("model"));
  const box = page.locator("#model .error");
  const said = (await box.count()) ? await box.innerText() : "";
  const code = (await box.count()) ? await box.getAttribute("data-code") : null;
  ensure((error?.code ?? null) === code, `the page shows ${code}, the error is ${error?.code}`);
  return { status, code, said, notices: notices.map((/** @type {any} */ notice) => notice.code) };
}

/** Loads a model and waits for it. @param {Page} page @param {string} [address] */
export async function load(page, address = ADDRESS) {
  await ask(page, address);
  return ended(page);
}

/** Loads the same model again, which has to work. @param {Page} page @param {number} [timeout] */
export async function reloaded(page, timeout) {
  await loadAgain(page);
  const { status, said } = await ended(page, timeout);
  ensure(status === "ready", `loading again, it ended as ${status}: ${said}`);
}

/** Every event since a model was asked for. @param {Page} page @returns {Promise<import("../../www/microtome.js").LoadProgress[]>} */
export const eventsOf = (page) => page.evaluate(() => /** @type {any} */ (globalThis).events);

/** Every line that the page has shown beside its progress bar since then. @param {Page} page @returns {Promise<string[]>} */
export const wordsOf = (page) => page.evaluate(() => [.../** @type {any} */ (globalThis).words]);

/**
 * What lies in the private file system, hashed by the browser and not by us.
 * @param {Page} page
 * @returns {Promise<{ file: string, source: string, have: number, complete: boolean, checked: boolean, size: number, sha256: string, prefix: string }[]>}
 */
export const storedFiles = (page) => page.evaluate(async () => {
  const hex = async (/** @type {Blob} */ blob) => [...new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()))]
    .map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const root = await navigator.storage.getDirectory();
  const folder = /** @type {any} */ (await root.getDirectoryHandle("microtome-models").catch(() => null));
  const found = [];
  if (!folder) return [];
  for await (const [name, handle] of folder.entries()) {
    if (!name.endsWith(".json")) continue;
    const lines = (await (await handle.getFile()).text()).split("\n").filter(Boolean);
    if (!lines.length) continue;
    const entry = JSON.parse(lines.at(-1));
    const bytes = await (await folder.getFileHandle(name.replace(".json", ".bin"))).getFile();
    found.push({ file: entry.file, source: entry.source, have: entry.have, complete: entry.complete, checked: entry.checked, size: bytes.size, sha256: entry.sha256, prefix: await hex(bytes.slice(0, entry.have)) });
  }
  return found;
});

/**
 * Every byte that the store speaks of is the right one, and what it calls whole is whole.
 * @param {Page} page
 * @param {Hub} hub
 * @param {{ whole?: string[], absent?: string[] }} [expected] files that must be there, and that must not be
 * @param {string} [repo]
 */
export async function sound(page, hub, { whole = [], absent = [] } = {}, repo = REPO) {
  const files = (await storedFiles(page)).filter(({ source }) => source === `hf:${repo}`);
  for (const { file, have, complete, prefix, size } of files) {
    const bytes = hub.repositories[repo][file];
    ensure(bytes, `${file} is stored and was never there`);
    ensure(prefix === sha256(bytes.subarray(0, have)), `the stored ${have} bytes of ${file} are wrong`);
    if (complete) ensure(have === bytes.length && size === bytes.length, `${file} is called whole with ${have} of ${bytes.length} bytes`);
  }
  for (const name of whole) ensure(files.some(({ file, complete }) => file === name && complete), `${name} is not stored: ${JSON.stringify(files)}`);
  for (const name of absent) ensure(!files.some(({ file }) => file === name), `${name} is stored`);
  return files;
}

/**
 * transformer.js' three promises about progress, which only a restart may break, and that each file begins and ends once.
 * @param {import("../../www/microtome.js").LoadProgress[]} events
 */
export function monotone(events) {
  /** @type {Map<string, { loaded: number, total: number | null, began: number, ended: number }>} */
  const files = new Map();
  let all = 0;
  for (const { status, phase, file, loaded, total, all_loaded, all_total } of events) {
    if (!["list", "download", "verify"].includes(phase)) continue;
    if (status === "restart") {
      all = all_loaded;
      files.delete(file);
      continue;
    }
    ensure(all_loaded >= all, `all bytes went from ${all} back to ${all_loaded}`);
    ensure(all_total === null || all_loaded <= all_total, `${all_loaded} of ${all_total} bytes`);
    all = all_loaded;
    if (!file) continue;
    const seen = files.get(file) ?? { loaded: 0, total: null, began: 0, ended: 0 };
    ensure(loaded >= seen.loaded, `${file} went from ${seen.loaded} back to ${loaded}`);
    ensure(seen.total === null || total === seen.total, `${file}: the total went from ${seen.total} to ${total}`);
    files.set(file, { loaded, total, began: seen.began + Number(status === "initiate"), ended: seen.ended + Number(status === "done") });
  }
  for (const [file, { loaded, total, ended }] of files) {
    if (ended) ensure(loaded === total && ended === 1, `${file} ended ${ended} times with ${loaded} of ${total} bytes`);
  }
}
