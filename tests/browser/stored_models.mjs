// Models between visits: loaded again without the network, shared by two tabs, resumed after a tab was closed, kept in memory
// where nothing can be stored, and read again where bytes have changed.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { check, ensure, withProfile, newPage } from "./harness.mjs";
import { COMMIT, startHub } from "./hub.mjs";
import { ADDRESS, ask, ended, eventsOf, filesOf, load, monotone, openPage, REPO, serveWithHub, sound, storedFiles } from "./download_page.mjs";
import { CONFIG, serveFolder, standIn, weights } from "./server.mjs";
import { recomputed, settled, type } from "./lab_page.mjs";

/** @typedef {import("playwright-core").Page} Page */

const WEIGHTS = "model.safetensors";
const FILES = ["config.json", WEIGHTS, "tokenizer.json"];
const FAILED = /Failed to load resource|net::ERR|CORS policy/;
const PINNED = `${ADDRESS}@${COMMIT}`;
/** A slow file: some three seconds for 97 kB, and more on a busy machine. @type {import("./hub.mjs").Fault} */
const SLOW = { kind: "drip", bytes: 700, every: 20 };

/** What a worker's browser lacks or forbids, done before anything else in it. */
const WITHOUT = {
  locks: "delete WorkerNavigator.prototype.locks;",
  opfs: "delete FileSystemFileHandle.prototype.createSyncAccessHandle;",
  room: "StorageManager.prototype.estimate = async () => ({ quota: 2e6, usage: 1e5 });",
  storage: `const no = () => { throw new DOMException("denied", "SecurityError"); };
    for (const name of ["storage", "locks"]) Object.defineProperty(WorkerNavigator.prototype, name, { get: no });
    for (const name of ["caches", "indexedDB"]) Object.defineProperty(self, name, { get: no });`,
};

/**
 * @param {import("playwright-core").Browser} browser
 * @param {string} folder of the site
 * @param {string} golden
 * @param {string} here
 */
export async function storedModelChecks(browser, folder, golden, here) {
  const hub = await startHub({ [REPO]: filesOf(golden, "gelu-new", FILES), "tests/big": { "config.json": Buffer.from(CONFIG), "tokenizer.json": Buffer.from("{}"), [WEIGHTS]: weights(5_000_000) } });
  const site = await serveWithHub(folder, hub.url, serveFolder("/golden/", golden));
  const name = (/** @type {string} */ text) => `stored: ${text}`;
  const bytes = hub.repositories[REPO][WEIGHTS].length;
  const weightBytes = () => hub.weightBytes();
  /** A site whose workers lack something, with the real engine or with the stand-in. @param {keyof typeof WITHOUT | null} what @param {boolean} [fake] */
  const siteWithout = async (what, fake = false) => serveWithHub(folder, hub.url, {
    ...(fake ? await standIn(here, folder) : {}),
    ...(what ? {
      "/worker.js": async (response) => {
        const script = await readFile(join(folder, "worker.js"), "utf8");
        response.writeHead(200, { "content-type": "text/javascript" }).end(`import "./without.js";\n${script}`);
      },
      "/without.js": (response) => void response.writeHead(200, { "content-type": "text/javascript" }).end(WITHOUT[what]),
    } : {}),
  });
  /** @param {Page} page @param {string} [address] */
  const ready = async (page, address) => {
    const result = await load(page, address);
    ensure(result.status === "ready", `it ended as ${result.status}: ${result.said}`);
    return result;
  };

  await check(name("loaded once, it is there again after a reload without a byte of its weights"), () => withProfile(async (context) => {
    hub.reset();
    const page = await openPage(browser, site.url, context);
    await ready(page);
    ensure(weightBytes() >= bytes, `only ${weightBytes()} bytes came`);
    await sound(page, hub, { whole: FILES });
    // The first time that it is read back its hash is computed; then it is believed.
    for (const checked of [false, true]) {
      ensure((await storedFiles(page)).filter(({ source }) => source === ADDRESS).every((file) => file.checked === checked), "hashes are checked at another time");
      hub.reset();
      const next = await openPage(browser, site.url, page.context());
      await ready(next);
      ensure(weightBytes() === 0, `${weightBytes()} bytes of weights came again`);
      const { info } = await next.evaluate(() => /** @type {any} */ (globalThis).microtome.store.get("model"));
      ensure(info.model.name === REPO, `the model is called ${info.model.name}`);
      monotone(await eventsOf(next));
      await next.close();
    }
  }));

  await check(name("a pinned commit needs no network at all the second time it is read"), async () => {
    hub.reset();
    const page = await openPage(browser, site.url);
    await ready(page, PINNED);
    await ready(page, PINNED);
    hub.reset();
    await ready(page, PINNED);
    ensure(!hub.seen.length, `the Hub was asked for ${hub.seen.map(({ file }) => file)}`);
    await page.context().close();
  });

  await check(name("14: the Hub cannot be reached: what is stored runs, with a notice; what is not says so"), async () => {
    hub.reset();
    const page = await openPage(browser, site.url);
    await ready(page);
    await page.context().route(`${hub.url}**`, (route) => route.abort("internetdisconnected"));
    const away = new URL(hub.url);
    await page.reload();
    const again = await openPage(browser, site.url, page.context());
    const { status, notices, said } = await load(again);
    ensure(status === "ready", `it ended as ${status}: ${said}`);
    ensure(notices.includes("net.offline"), `the notices are ${notices}`);
    ensure((await again.locator("#model .notice").innerText()).includes("stored here"), "the notice is not shown");
    const other = await load(again, "hf:tests/big");
    ensure(other.code === "net.unreachable", `${other.code}: ${other.said} (${away.host})`);
    await page.context().close();
  }, FAILED);

  for (const without of /** @type {const} */ ([null, "locks"])) {
    await check(name(`15: two tabs${without ? ", no locks: both have the model in the end" : ": one downloads, the other waits and reads"}`), async () => {
      hub.reset();
      const place = without ? await siteWithout(without) : site;
      const first = await openPage(browser, place.url);
      const second = await openPage(browser, place.url, first.context());
      hub.always[WEIGHTS] = SLOW;
      await ask(first, ADDRESS);
      await first.locator("#model .status").getByText(/model\.safetensors/).waitFor();
      await ask(second, ADDRESS);
      if (!without) await second.locator("#model .status").getByText(/Another tab/).waitFor();
      for (const page of [first, second]) {
        const { status, said } = await ended(page);
        ensure(status === "ready", `it ended as ${status}: ${said}`);
      }
      if (!without) ensure(weightBytes() < 1.5 * bytes, `${weightBytes()} bytes came for a file of ${bytes}`);
      await sound(first, hub, { whole: FILES });
      await first.context().close();
      if (without) place.close();
    }, FAILED);
  }

  for (const without of /** @type {const} */ ([null, "opfs"])) {
    await check(name(`16: a tab closed half way${without ? " (IndexedDB)" : ""}: the next one goes on from there`), async () => {
      hub.reset();
      const place = without ? await siteWithout(without) : site;
      const page = await openPage(browser, place.url);
      const context = page.context();
      hub.always[WEIGHTS] = { kind: "drip", bytes: 1_000, every: 40 };
      await ask(page, ADDRESS);
      await page.waitForFunction(() => {
        const { progress } = /** @type {any} */ (globalThis).microtome.store.get("model");
        return progress?.file === "model.safetensors" && progress.loaded > 50_000;
      });
      // The browser takes the tab away: nobody is asked to tidy up.
      await page.close({ runBeforeUnload: false });
      hub.reset();
      const next = await openPage(browser, place.url, context);
      if (!without) {
        const kept = (await sound(next, hub)).find(({ file }) => file === WEIGHTS);
        ensure(kept && kept.have > 20_000 && !kept.complete, `kept: ${JSON.stringify(kept)}`);
        await next.locator("#model .stored summary").click();
        ensure((await next.locator("#model .stored").innerText()).includes("goes on where it stopped"), "the panel does not say that it is a part");
      }
      await ready(next);
      const first = hub.seen.find(({ file, of }) => file === WEIGHTS && of === "files")?.from ?? 0;
      ensure(first > 20_000 && weightBytes() < bytes - 20_000, `it began at ${first}, and ${weightBytes()} bytes came`);
      if (!without) await sound(next, hub, { whole: FILES });
      hub.reset();
      await ready(next);
      ensure(weightBytes() === 0, "it was not stored");
      await context.close();
      if (without) place.close();
    }, FAILED);
  }

  await check(name("17: too small a quota: one notice with numbers, and the model runs from memory"), async () => {
    hub.reset();
    const place = await siteWithout("room", true);
    const page = await openPage(browser, place.url);
    const { notices } = await ready(page, "hf:tests/big");
    ensure(notices.join() === "store.memory", `the notices are ${notices}`);
    const said = await page.locator("#model .notice").innerText();
    ensure(/needs 5\.0 MB.*room for 1\.\d MB/.test(said), `it says “${said}”`);
    // A dead engine starts again from the same bytes.
    hub.reset();
    await type(page, "predict", { Prompt: "TRAP" });
    await settled(page, "predict", "error");
    await recomputed(page, "predict", () => type(page, "predict", { Prompt: "Tom is" }));
    ensure(!hub.seen.length, `the Hub was asked for ${hub.seen.map(({ file }) => file)}`);
    await page.context().close();
    place.close();
  });

  await check(name("17: storage that fills up in the middle: what came goes to memory, and the rest after it"), async () => {
    hub.reset();
    const place = await siteWithout(null, true);
    await withProfile(async (context) => {
      const page = await openPage(browser, place.url, context);
      hub.always[WEIGHTS] = { kind: "drip", bytes: 100_000, every: 20 };
      await ask(page, "hf:tests/big");
      await page.waitForFunction(() => {
        const { progress } = /** @type {any} */ (globalThis).microtome.store.get("model");
        return progress?.file === "model.safetensors" && progress.loaded > 2_000_000;
    });
    const session = await page.context().newCDPSession(page);
    await session.send("Storage.overrideQuotaForOrigin", { origin: new URL(place.url).origin, quotaSize: 100_000 });
    const { status, said, notices } = await ended(page);
    ensure(status === "ready" && notices.join() === "store.memory", `${status} ${said} ${notices}`);
    const words = await page.locator("#model .notice").innerText();
    ensure(/full: model\.safetensors has 5\.0 MB, of which \d\.\d MB/.test(words), `it says “${words}”`);
    ensure(weightBytes() < 9_000_000, `${weightBytes()} bytes came for 5,000,000`);
    ensure(!(await storedFiles(page)).some(({ file, source }) => file === WEIGHTS && source === "hf:tests/big"), "half a file is left");
    });
    place.close();
  });

  await check(name("17: storage that is forbidden: one notice, no crash"), async () => {
    hub.reset();
    const place = await siteWithout("storage");
    const page = await newPage(browser);
    await page.goto(place.url);
    await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome?.store.get("model").status === "ready");
    ensure((await page.locator("#model .notice").allInnerTexts()).length === 1, "there is not one notice");
    await page.evaluate(() => void (/** @type {any} */ (globalThis).events = []));
    const { notices } = await ready(page);
    ensure(notices.join() === "store.memory", `the notices are ${notices}`);
    await page.context().close();
    place.close();
  });

  await check(name("17: storage that the browser emptied: a dead engine downloads again"), async () => {
    hub.reset();
    const place = await siteWithout(null, true);
    const page = await openPage(browser, place.url);
    await ready(page, "hf:tests/big");
    await page.evaluate(async () => {
      const root = await navigator.storage.getDirectory();
      await root.removeEntry("microtome-models", { recursive: true });
    });
    hub.reset();
    await type(page, "predict", { Prompt: "TRAP" });
    await settled(page, "predict", "error");
    await recomputed(page, "predict", () => type(page, "predict", { Prompt: "Tom is" }));
    ensure(weightBytes() >= 5_000_000, "it did not ask for the weights");
    await page.context().close();
    place.close();
  }, FAILED);

  /** Changes one byte of the stored weights. @param {Page} page */
  const poison = (page) => page.evaluate(async (file) => {
    const root = await navigator.storage.getDirectory();
    const folder = /** @type {any} */ (await root.getDirectoryHandle("microtome-models"));
    for await (const [name, handle] of folder.entries()) {
      if (!name.endsWith(".json")) continue;
      const { file: of, source } = JSON.parse((await (await handle.getFile()).text()).split("\n").filter(Boolean).at(-1));
      if (of !== file || !source.startsWith("hf:")) continue;
      const bytes = await folder.getFileHandle(name.replace(".json", ".bin"));
      const stream = await bytes.createWritable({ keepExistingData: true });
      await stream.write({ type: "write", position: 60_000, data: new Uint8Array([1, 2, 3]) });
      await stream.close();
    }
  }, WEIGHTS);

  await check(name("18: bytes that changed on the disk are found at the next load, and downloaded again"), () => withProfile(async (context) => {
    hub.reset();
    const page = await openPage(browser, site.url, context);
    await ready(page);
    await poison(page);
    hub.reset();
    await ready(page);
    ensure(weightBytes() >= bytes, `${weightBytes()} bytes came`);
    await sound(page, hub, { whole: FILES });
  }));

  await check(name("18: “Check” finds them at any time; “Delete” deletes"), () => withProfile(async (context) => {
    hub.reset();
    const page = await openPage(browser, site.url, context);
    await ready(page, PINNED);
    const panel = page.locator("#model .stored");
    await panel.locator("summary").click();
    const item = panel.locator("li", { hasText: REPO });
    await item.getByRole("button", { name: "Check" }).click();
    await item.getByText("All 3 files are unchanged.").waitFor();
    await poison(page);
    await item.getByRole("button", { name: "Check" }).click();
    await item.getByText(/Changed.*model\.safetensors/).waitFor();
    await sound(page, hub, { absent: [WEIGHTS] });
    hub.reset();
    await ready(page, PINNED);
    ensure(weightBytes() >= bytes, "it was not downloaded again");
    await sound(page, hub, { whole: FILES });
    await item.getByRole("button", { name: "Delete" }).click();
    await item.waitFor({ state: "detached" });
    await sound(page, hub, { absent: FILES });
  }));

  await check(name("a folder beside the page, with shards; and again without a byte of its weights"), async () => {
    const page = await openPage(browser, site.url);
    await ready(page, "./golden/models/gelu-fast-f16/");
    /** @type {string[]} */
    const asked = [];
    page.on("response", async (response) => {
      if (response.url().endsWith(".safetensors")) asked.push(`${response.url()} ${(await response.body().catch(() => "")).length}`);
    });
    await ready(page, "./golden/models/gelu-fast-f16/");
    ensure(!asked.some((line) => !line.endsWith(" 0")), asked.join());
    await page.context().close();
  });

  await check(name("files that are picked, and files that are dropped, are read and not stored"), async () => {
    const page = await openPage(browser, site.url);
    const path = join(golden, "models/gelu-new");
    await page.locator("#model input[type=file]").first().setInputFiles(FILES.map((file) => join(path, file)));
    ensure((await ended(page)).status === "ready", "picked files did not load");
    const content = Object.fromEntries(FILES.map((file) => [file, [...hub.repositories[REPO][file]]]));
    await page.evaluate((content) => {
      const transfer = new DataTransfer();
      for (const [file, bytes] of Object.entries(content)) transfer.items.add(new File([new Uint8Array(bytes)], file));
      document.querySelector("#model .drop")?.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }, content);
    await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome.store.get("model").status === "loading");
    ensure((await ended(page)).status === "ready", "dropped files did not load");
    ensure((await storedFiles(page)).every(({ source }) => !source.includes("local")), "they were stored");
    await page.locator("#model input[type=file]").first().setInputFiles([join(path, WEIGHTS)]);
    const { code, said } = await ended(page);
    ensure(code === "file.missing" && said.includes("config.json"), `${code}: ${said}`);
    await page.context().close();
  });

  site.close();
  hub.close();
}
