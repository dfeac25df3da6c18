// Downloads from a Hub that misbehaves: what the page says, and that nothing wrong is stored. Rows of a table, one check each;
// then random schedules of faults.
import { check, ensure } from "./harness.mjs";
import { startHub } from "./hub.mjs";
import { ADDRESS, ask, ended, eventsOf, filesOf, load, monotone, openPage, reloaded, REPO, serveWithHub, sound, wordsOf } from "./download_page.mjs";
import { cancelTime, loadAgain } from "./lab_page.mjs";

/** @typedef {import("playwright-core").Page} Page @typedef {import("./hub.mjs").Fault} Fault @typedef {import("./hub.mjs").Hub} Hub */

const WEIGHTS = "model.safetensors";
const FILES = ["config.json", WEIGHTS, "tokenizer.json"];
/** The browser's own lines about failed requests. */
const FAILED = /Failed to load resource|net::ERR|CORS policy/;
const SEEDS = 24;

/**
 * Faults that a download survives by itself.
 * @type {{ name: string, plan?: Record<string, (Fault | null)[]>, hub?: Record<string, (Fault | null)[]>, always?: Record<string, Fault>,
 *   shows?: RegExp, set?: (hub: Hub) => void, check?: (page: Page, hub: Hub, events: import("../../www/microtome.js").LoadProgress[]) => unknown }[]}
 *   `shows`: a line that the page shows meanwhile
 */
const SURVIVED = [
  { name: "1: a body cut off with Content-Length", shows: /broke off after byte 40000 of 97163/, plan: { [WEIGHTS]: [{ kind: "cut", after: 40_000 }] },
    check: (_, hub) => ensure(ranges(hub).includes(40_000), `it was asked for from ${ranges(hub)}`) },
  { name: "1: a chunked body cut off, several times", shows: /broke off after byte 35001 of 97163/, plan: { [WEIGHTS]: [10_000, 5_000, 0, 20_000, 1].map((after) => ({ kind: "cut_chunked", after })) } },
  { name: "1: a body cut off in its header", shows: /broke off after byte 105 of 97163/, plan: { [WEIGHTS]: [{ kind: "cut", after: 5 }, { kind: "cut", after: 100 }] } },
  { name: "2: a body that ends early without an error", shows: /the server ended after byte 30000 of 97163/, plan: { [WEIGHTS]: [{ kind: "short", after: 30_000 }] } },
  { name: "3: no headers", shows: /^No answer for 3 s: still waiting\.$/, plan: { [WEIGHTS]: [{ kind: "stall_headers" }], "config.json": [{ kind: "stall_headers" }] },
    check: (_, __, events) => ensure(events.some(({ status, message }) => status === "wait" && message?.includes("3 s")), "nobody was told that nothing comes") },
  { name: "3: a body that stops", shows: /nothing came for too long after byte 30000/, plan: { [WEIGHTS]: [{ kind: "stall", after: 30_000 }] },
    check: (_, hub) => ensure(ranges(hub).includes(30_000), `it was asked for from ${ranges(hub)}`) },
  { name: "5: Range is ignored", shows: /sends the file from its beginning again/, plan: { [WEIGHTS]: [{ kind: "cut", after: 30_000 }, { kind: "ignore_range" }] },
    check: (_, __, events) => ensure(events.some(({ status }) => status === "restart"), "progress did not say that it began again") },
  { name: "6: a part from another place", shows: /expected bytes 30000 and on of 97163/, plan: { [WEIGHTS]: [{ kind: "cut", after: 30_000 }, { kind: "range", start: 10 }] } },
  { name: "6: a part of a file of another length", plan: { [WEIGHTS]: [{ kind: "cut", after: 30_000 }, { kind: "range", total: 999_999 }] } },
  { name: "6: a part of a file that has changed", plan: { [WEIGHTS]: [{ kind: "cut", after: 30_000 }, { kind: "etag", etag: '"other"' }] } },
  { name: "7: 416", plan: { [WEIGHTS]: [{ kind: "cut", after: 30_000 }, { kind: "status", status: 416 }] } },
  { name: "7: 429 with Retry-After", shows: /busy/, plan: { [WEIGHTS]: [{ kind: "status", status: 429, headers: { "retry-after": "1" } }] },
    check: (_, __, events) => ensure(events.some(({ status, message }) => status === "wait" && message?.includes("busy")), "nobody was told to wait") },
  { name: "7: 500, 502 and 503", plan: { [WEIGHTS]: [500, 502, 503].map((status) => ({ kind: "status", status })) } },
  { name: "8: a signed address that expires between two tries", plan: { [WEIGHTS]: [{ kind: "cut", after: 30_000 }] },
    check: (_, hub) => ensure(hub.seen.filter(({ file, of }) => file === WEIGHTS && of === "hub").length >= 2, "the Hub was not asked again") },
  { name: "8: a signed address that has expired already", set: (hub) => {
    hub.options.lifetime = -1;
    setTimeout(() => { hub.options.lifetime = 60_000; }, 200);
  } },
  { name: "10: headers that a page may not read", always: { [WEIGHTS]: { kind: "hide_headers" } } },
  { name: "13: compressed JSON", always: { "config.json": { kind: "gzip" }, "tokenizer.json": { kind: "gzip" } } },
  { name: "no redirect, no hash from the Hub", set: (hub) => Object.assign(hub.options, { redirects: false, linked: false, lfs: false }) },
];

/**
 * Faults that end in an error, with its code and words.
 * @type {{ name: string, code: string | RegExp, says: RegExp, always?: Record<string, Fault>, hub?: Record<string, Fault[]>, set?: (hub: Hub, site: string) => void, address?: string, kept?: boolean }[]}
 *   `kept`: a part of the weights stays for the next time
 */
const ENDED = [
  { name: "1: a body that is cut off every time", code: "net.truncated", says: /model\.safetensors.*Try again/s, always: { [WEIGHTS]: { kind: "cut", after: 0 } } },
  { name: "2: a body that is short every time", code: "net.short", says: /model\.safetensors/, always: { [WEIGHTS]: { kind: "short", after: 0 } } },
  { name: "3: no headers, ever", code: "net.stalled", says: /model\.safetensors/, always: { [WEIGHTS]: { kind: "stall_headers" } } },
  { name: "6: parts that never fit", code: "net.inconsistent", says: /twice/, always: { [WEIGHTS]: { kind: "range", start: 10 } } },
  { name: "7: 403", code: "net.forbidden", says: /tests\/tiny.*403|403.*tests\/tiny|model\.safetensors/s, set: (hub) => { hub.hubPlan[WEIGHTS] = Array(9).fill({ kind: "status", status: 403 }); } },
  { name: "7: 429 without end", code: "net.busy", says: /busy/, always: { [WEIGHTS]: { kind: "status", status: 429 } } },
  { name: "7: 500 without end", code: "net.server", says: /500/, always: { [WEIGHTS]: { kind: "status", status: 500 } } },
  { name: "7: a repository that does not exist", code: /net\.(forbidden|not_found)/, says: /nobody\/nothing/, address: "hf:nobody/nothing" },
  { name: "7: a revision that does not exist", code: /net\.(forbidden|not_found)/, says: /tests\/tiny/, address: `${ADDRESS}@nowhere` },
  { name: "9: a redirect that leads in a circle", code: "net.unreachable", says: /model\.safetensors/, always: { [WEIGHTS]: { kind: "loop" } } },
  { name: "9: a redirect to a host that has no business here", code: "net.blocked", says: /localhost/,
    set: (hub) => { hub.away.push(...Array(9).fill(`${hub.filesUrl.replace("127.0.0.1", "evil.localhost")}x`)); } },
  { name: "10: no CORS", code: "net.unreachable", says: /CORS/, always: { [WEIGHTS]: { kind: "no_cors" } } },
  { name: "11: a web page", code: "file.not_safetensors", says: /<!doctype html><title>Sign in/i, always: { [WEIGHTS]: { kind: "body", body: "<!doctype html><title>Sign in</title>".padEnd(97_163) } } },
  { name: "11: a Git LFS pointer", code: "file.not_safetensors", says: /version https:\/\/git-lfs/, always: { [WEIGHTS]: { kind: "body", type: "text/plain", body: `version https://git-lfs.github.com/spec/v1\noid sha256:${"0".repeat(64)}\nsize 97163\n`.padEnd(97_163) } } },
  { name: "11: an error in JSON", code: "file.not_safetensors", says: /Repository not found/, always: { [WEIGHTS]: { kind: "body", type: "application/json", body: '{"error":"Repository not found, or so they say"}'.padEnd(97_163) } } },
  { name: "12: one flipped byte", code: "file.hash_mismatch", says: /[0-9a-f]{12}/, always: { [WEIGHTS]: { kind: "flip", at: 60_000 } } },
];

/** Where requests for the weights began. @param {Hub} hub */
const ranges = (hub) => hub.seen.filter(({ file, of }) => file === WEIGHTS && of === "files").map(({ from }) => from);

/**
 * @param {import("playwright-core").Browser} browser
 * @param {string} folder of the site
 * @param {string} golden
 */
export async function downloadFaultChecks(browser, folder, golden) {
  const hub = await startHub({ [REPO]: filesOf(golden, "gelu-new", FILES) });
  const site = await serveWithHub(folder, hub.url);
  const name = (/** @type {string} */ text) => `downloads: ${text}`;
  /** @param {(page: Page) => Promise<void>} body */
  const onPage = (body) => async () => {
    hub.reset();
    const page = await openPage(browser, site.url);
    try {
      await body(page);
    } finally {
      await page.context().close();
    }
  };

  for (const row of SURVIVED) {
    await check(name(row.name), onPage(async (page) => {
      Object.assign(hub.plan, structuredClone(row.plan ?? {}));
      Object.assign(hub.always, row.always ?? {});
      row.set?.(hub);
      const { status, said } = await load(page);
      ensure(status === "ready", `it ended as ${status}: ${said}`);
      await sound(page, hub, { whole: FILES });
      const events = await eventsOf(page);
      monotone(events);
      await row.check?.(page, hub, events);
      const words = await wordsOf(page);
      if (row.shows) ensure(words.some((line) => row.shows?.test(line)), `the page showed ${words.join(" | ")}`);
    }), FAILED);
  }

  for (const row of ENDED) {
    await check(name(row.name), onPage(async (page) => {
      Object.assign(hub.always, row.always ?? {});
      row.set?.(hub, site.url);
      const { status, code, said } = await load(page, row.address);
      ensure(status === "error", `it ended as ${status}`);
      ensure(typeof row.code === "string" ? code === row.code : row.code.test(code ?? ""), `the code is ${code}: ${said}`);
      ensure(row.says.test(said), `it says “${said}”`);
      const files = await sound(page, hub);
      ensure(!files.some(({ file, complete }) => file === WEIGHTS && complete), "weights are stored as whole");
      if (["file.not_safetensors", "file.hash_mismatch", "net.inconsistent"].includes(String(row.code))) await sound(page, hub, { absent: [WEIGHTS] });
      if (row.address) return;
      // And it is a fault, not a state: as soon as the Hub behaves again, so does the page.
      hub.reset();
      await reloaded(page);
      await sound(page, hub, { whole: FILES });
    }), FAILED);
  }

  await check(name("1: what came before the end is kept, and the next try goes on from there"), onPage(async (page) => {
    hub.plan[WEIGHTS] = [{ kind: "cut", after: 50_000 }, ...Array(8).fill({ kind: "cut", after: 0 })];
    const { code } = await load(page);
    ensure(code === "net.truncated", `the code is ${code}`);
    ensure((await sound(page, hub)).some(({ file, have }) => file === WEIGHTS && have === 50_000), "the first bytes are not kept");
    hub.reset();
    await reloaded(page);
    ensure(!ranges(hub).includes(null) && !ranges(hub).includes(0), `it began at ${ranges(hub)}`);
    await sound(page, hub, { whole: FILES });
  }), FAILED);

  await check(name("4: a slow drip is not given up; rate and time left are shown; cancel takes 200 ms and keeps what came"), onPage(async (page) => {
    // A byte every 30 ms, where the time limit without one is 400 ms.
    hub.always[WEIGHTS] = { kind: "drip", bytes: 400, every: 30 };
    await ask(page, ADDRESS);
    await page.locator("#model .status").getByText(/model\.safetensors: \d+ kB of 97 kB.* · \d+ kB\/s · .* left/).waitFor();
    await page.waitForTimeout(1000);
    const took = await cancelTime(page, "model");
    ensure(took < 200, `cancelling took ${Math.round(took)} ms`);
    monotone(await eventsOf(page));
    await page.waitForTimeout(500);
    const kept = (await sound(page, hub)).find(({ file }) => file === WEIGHTS);
    ensure(kept && kept.have > 10_000 && !kept.complete, `kept: ${JSON.stringify(kept)}`);
    hub.reset();
    await reloaded(page);
    ensure(ranges(hub)[0] === kept.have, `it went on from ${ranges(hub)[0]}, not from ${kept.have}`);
  }), FAILED);

  for (const file of ["config.json", "tokenizer.json"]) {
    await check(name(`7: ${file} does not exist`), onPage(async (page) => {
      const bytes = hub.repositories[REPO][file];
      delete hub.repositories[REPO][file];
      const { status, code, said } = await load(page);
      hub.repositories[REPO][file] = bytes;
      // A model without a tokenizer works with token ids; one without its configuration is none.
      if (file === "tokenizer.json") return ensure(status === "ready", `it ended as ${status}: ${said}`);
      ensure(/not_found|missing/.test(code ?? "") && said.includes(file), `${code}: ${said}`);
    }), FAILED);
  }

  await check(name("9: a policy that does not admit the host is named"), async () => {
    hub.reset();
    const strict = await serveWithHub(folder, hub.url, { "/worker.js": async (response) => {
      const { readFile } = await import("node:fs/promises");
      response.writeHead(200, { "content-type": "text/javascript", "content-security-policy": `default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self' ${hub.url}` });
      response.end(await readFile(`${folder}/worker.js`));
    } });
    const page = await openPage(browser, strict.url);
    const { code, said } = await load(page);
    // The browser names what was asked for, not where that led to.
    ensure(code === "net.blocked" && said.includes("Content-Security-Policy"), `${code}: ${said}`);
    await sound(page, hub, { absent: [WEIGHTS] });
    await page.context().close();
    strict.close();
  }, /Content Security Policy|policy:|Failed to load resource/);

  await check(name("addresses that are none are refused by name, and nobody is asked"), onPage(async (page) => {
    for (const address of ["javascript:alert(1)", "data:,x", "http://example.org/x/", "hf:a", "hf:a/b@../c", "https://user:password@example.org/", "./../x/", "//example.org/x/", "blob:x", "\u202ehf:a/b", "<img src=x onerror=alert(1)>"]) {
      await ask(page, address);
      await page.waitForFunction((address) => {
        const { model } = { model: /** @type {any} */ (globalThis).microtome.store.get("model") };
        return model.address === address && model.status === "error";
      }, address);
      const { code } = await ended(page);
      ensure(code?.startsWith("address."), `${address} ended with ${code}`);
    }
    ensure(!hub.seen.length, `the Hub was asked for ${hub.seen.map(({ file }) => file)}`);
    ensure((await page.locator("#model img").count()) === 0, "the address became an element");
  }), FAILED);

  await check(name("another host is asked about before it is asked"), onPage(async (page) => {
    /** @type {string[]} */
    const asked = [];
    page.on("request", (request) => void (request.url().includes("example.org") && asked.push(request.url())));
    await ask(page, "https://models.example.org/gpt2/");
    const dialog = page.getByRole("dialog");
    await dialog.waitFor();
    ensure((await dialog.innerText()).includes("models.example.org"), "the dialog does not name the host");
    await dialog.getByRole("button", { name: "Cancel" }).click();
    ensure((await ended(page)).status === "cancelled" && !asked.length, `${asked}`);
    await page.route("https://models.example.org/**", (route) => {
      asked.push(route.request().url());
      return route.fulfill({ status: 404, headers: { "access-control-allow-origin": "*" } });
    });
    await loadAgain(page);
    await dialog.getByRole("button", { name: "Load from models.example.org" }).click();
    await page.locator("#model .error").waitFor();
    ensure((await page.locator("#model .error").innerText()).includes("config.json"), "no file was asked for");
  }), FAILED);

  for (let seed = 1; seed <= SEEDS; seed++) {
    await check(name(`random faults, seed ${seed}: the right bytes or an error with a name`), onPage(async (page) => {
      const next = random(seed);
      const size = hub.repositories[REPO][WEIGHTS].length;
      const length = 1 + Math.floor(next() * 7);
      hub.plan[WEIGHTS] = Array.from({ length }, () => anyFault(next, size));
      if (next() < 0.3) hub.plan["config.json"] = [anyFault(next, 500)];
      if (next() < 0.3) hub.plan["tokenizer.json"] = [anyFault(next, 5000), anyFault(next, 5000)];
      const shown = JSON.stringify(hub.plan);
      const { status, code, said } = await load(page);
      ensure(status === "ready" || (code && /^(net|file)\./.test(code) && said.length > 20), `it ended as ${status} (${code}) after ${shown}`);
      await sound(page, hub, { whole: status === "ready" ? FILES : [] });
      monotone(await eventsOf(page));
    }), FAILED);
  }

  site.close();
  hub.close();
}

/** @param {() => number} next @param {number} size @returns {Fault | null} */
function anyFault(next, size) {
  const at = Math.floor(next() * size);
  /** @type {(Fault | null)[]} */
  const all = [
    null, { kind: "cut", after: at }, { kind: "cut_chunked", after: at }, { kind: "short", after: at }, { kind: "stall", after: at }, { kind: "stall_headers" },
    { kind: "ignore_range" }, { kind: "range", start: 1 + at }, { kind: "range", total: size + at + 1 }, { kind: "etag", etag: '"x"' },
    { kind: "status", status: 503 }, { kind: "status", status: 416 }, { kind: "hide_headers" }, { kind: "flip", at },
  ];
  return all[Math.floor(next() * all.length)];
}

/** @param {number} seed */
function random(seed) {
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
}

