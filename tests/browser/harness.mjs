// Named checks, counted and printed, and a Chromium whose every complaint fails the check that is running.
import { readFileSync, readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const FLAGS = ["--no-sandbox", "--enable-unsafe-webgpu", "--disable-quic", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const counts = { pass: 0, fail: 0, skip: 0 };

/** Only checks with this in their name are run. */
const wanted = process.env.CHECK ?? "";

/** What pages complained about and no check has answered for yet. @type {string[]} */
let complaints = [];
/** What the last check expected: its last complaints may come a moment after its end. @type {RegExp | undefined} */
let before;

/** The complaints so far but for those that are expected; the next ones are another check's. @param {RegExp} [expected] */
function taken(expected) {
  const bad = complaints.filter((text) => !expected?.test(text));
  complaints = [];
  return bad;
}

/**
 * @param {string} name
 * @param {() => Promise<unknown>} body
 * @param {RegExp} [expected] complaints that belong to the check, such as the browser's own line about a 404
 */
export async function check(name, body, expected) {
  if (!name.includes(wanted)) return;
  const began = performance.now();
  const early = taken(before);
  try {
    await body();
    const bad = taken(expected);
    if (bad.length) throw new Error(`the page complained: ${bad.join("; ")}`);
    if (early.length) throw new Error(`before it, after the last check, a page complained: ${early.join("; ")}`);
    counts.pass += 1;
    console.log(`ok ${name} (${Math.round(performance.now() - began)} ms)`);
  } catch (error) {
    counts.fail += 1;
    const text = error instanceof Error ? error.message : String(error);
    console.log(`not ok ${name}: ${text.replaceAll("\n", " ").slice(0, 600)}`);
    // One failure is enough for what else it leaves behind.
    complaints = [];
  }
  before = expected;
}

/** @param {string} name @param {string} why */
export function skip(name, why) {
  counts.skip += 1;
  console.log(`skip ${name}: ${why}`);
}

/** Prints the last line and gives the exit status. */
export function finish() {
  const late = taken(before);
  if (late.length) {
    counts.fail += 1;
    console.log(`not ok after the last check, a page complained: ${late.join("; ").replaceAll("\n", " ").slice(0, 600)}`);
  }
  console.log(`# pass ${counts.pass} fail ${counts.fail} skip ${counts.skip}`);
  return counts.fail ? 1 : 0;
}

/** @param {string[]} without flags that are left out @param {string[]} more */
export const launch = (without = [], more = []) => chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: [...FLAGS.filter((flag) => !without.includes(flag)), ...more],
});

/**
 * Does something in a browser with a profile on the disk, where files behave as a visitor's do: those of a private window,
 * as all other pages here are, never leave its memory.
 * @param {(context: import("playwright-core").BrowserContext) => Promise<unknown>} body
 */
export async function withProfile(body) {
  const folder = await mkdtemp(join(tmpdir(), "microtome-profile-"));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS, viewport: { width: 1100, height: 900 }, reducedMotion: "reduce",
    serviceWorkers: "block",
  });
  try {
    await body(context);
  } finally {
    await context.close();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/**
 * A page of a context of its own that reports errors, unhandled rejections, policy violations and dialogs. Without service
 * workers, which would go on answering for a server that a check has changed, unless the check is about them.
 * @param {import("playwright-core").Browser} browser
 * @param {import("playwright-core").BrowserContextOptions & { folded?: boolean }} [options] `folded`: see `watchedPage`
 */
export async function newPage(browser, { folded = false, ...options } = {}) {
  return watchedPage(await browser.newContext({
    viewport: { width: 1100, height: 900 }, reducedMotion: "reduce", serviceWorkers: "block", ...options,
  }), folded);
}

/**
 * Another page of a context, watched in the same way.
 * @param {import("playwright-core").BrowserContext} context
 * @param {boolean} [folded] the choice of a model stays folded, as a visitor finds it; other checks begin with it open
 */
export async function watchedPage(context, folded = false) {
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`page error: ${error.message}`));
  page.on("dialog", (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
    addEventListener("unhandledrejection", (event) => console.error(`unhandled rejection: ${event.reason}`));
  });
  if (!folded) await page.addInitScript(() => {
    const watch = new MutationObserver(() => {
      const fold = /** @type {HTMLDetailsElement | null} */ (document.querySelector("#model > .fold"));
      if (!fold) return;
      fold.open = true;
      watch.disconnect();
    });
    watch.observe(document, { childList: true, subtree: true });
  });
  return page;
}

/** @param {unknown} condition @param {string} message @returns {asserts condition} */
export function ensure(condition, message) {
  if (!condition) throw new Error(message);
}

/** Bytes of every process of Chromium that this one started, shared ones by their share (Linux's PSS). */
export function memoryOfBrowser() {
  /** @type {Map<number, { parent: number, name: string }>} */
  const processes = new Map();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    // One that has ended in the meantime counts for nothing.
    const [, name, parent] = /^\d+ \((.*)\) \S (\d+)/.exec(read(`/proc/${pid}/stat`)) ?? [];
    if (name !== undefined) processes.set(Number(pid), { name, parent: Number(parent) });
  }
  let sum = 0;
  for (const [pid, { name }] of processes) {
    if (!/chrom/.test(name)) continue;
    let above = pid;
    while (above > 1 && above !== process.pid) above = processes.get(above)?.parent ?? 0;
    if (above === process.pid) sum += 1024 * Number(/^Pss:\s+(\d+) kB/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0);
  }
  return sum;

  /** @param {string} path */
  function read(path) {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return "";
    }
  }
}
