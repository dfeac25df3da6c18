// What the page says before a model is downloaded, and asks of the browser: sizes, memory on each engine, and whether the browser
// keeps what is stored.
import { check, ensure, newPage } from "./harness.mjs";
import { COMMIT, startHub } from "./hub.mjs";
import { ADDRESS, ask, filesOf, load, openPage, REPO, serveWithHub } from "./download_page.mjs";

const WEIGHTS = "model.safetensors";
const PINNED = `${ADDRESS}@${COMMIT}`;
const FAILED = /Failed to load resource/;
/** Layers, heads and width of the presets; the one that comes with the page is the first. @type {Record<string, number[]>} */
const SHAPES = {
  "GPT-2 small": [12, 12, 768], "DistilGPT-2": [6, 12, 768], "GPT-2 medium": [24, 16, 1024], "GPT-2 large": [36, 20, 1280], "GPT-2 xl": [48, 25, 1600],
};
/** What a browser answers, as code: `kept`, `persist` and `persisted` are at hand; what the panel then says; how often it was asked. */
const BROWSERS = /** @type {const} */ ([
  ["promises", "persist = async () => (kept = true); persisted = async () => kept", "promised to keep them", 1],
  ["has promised before", "persist = async () => true; persisted = async () => true", "promised to keep them", 0],
  ["promises nothing", "persist = async () => false; persisted = async () => false", "may remove them", 1],
  ["fails", "persist = async () => { throw new TypeError('no'); }; persisted = async () => false", "may remove them", 1],
  ["never answers", "persist = () => new Promise(() => {}); persisted = async () => false", "may remove them", 1],
  ["does not know the question", "persist = undefined; persisted = undefined", "may remove them", 0],
]);

/**
 * @param {import("playwright-core").Browser} browser
 * @param {string} folder of the site
 * @param {string} golden
 */
export async function needsChecks(browser, folder, golden) {
  const hub = await startHub({ [REPO]: filesOf(golden, "gelu-new", ["config.json", WEIGHTS, "tokenizer.json"]) });
  const site = await serveWithHub(folder, hub.url);
  const name = (/** @type {string} */ text) => `stored: ${text}`;
  /** @param {import("playwright-core").Page} page @param {string} [address] */
  const ready = async (page, address) => {
    const { status, said } = await load(page, address);
    ensure(status === "ready", `it ended as ${status}: ${said}`);
  };

  await check(name("nothing is asked of the Hub without a click, and sizes are stated before"), async () => {
    hub.reset();
    const page = await openPage(browser, site.url);
    ensure(!hub.seen.length, `the Hub was asked for ${hub.seen.map(({ file }) => file)}`);
    const list = await page.locator("#model .models").first().innerText();
    for (const words of ["GPT-2 small", "Download 550 MB", "565 MB of memory", "Download 1.52 GB",
      "6.30 GB of memory", "Too large for the CPU engine. With 16 bit weights it needs 3.19 GB, which fits."]) ensure(list.includes(words), `the list does not say “${words}”: ${list}`);
    await page.locator("#model").getByText("this tab’s on the CPU engine, which has 4.23 GB at most, and the GPU’s on the GPU engine").waitFor();
    await page.locator("#model").getByText("16 bit, half the memory").click();
    await page.locator("#model .models").first().getByText("318 MB of memory").waitFor();
    await page.context().close();
  });

  await check(name("the memory that the list states is what the engine plans"), async () => {
    const page = await openPage(browser, site.url);
    const wrong = await page.evaluate(async (shapes) => {
      const { MODELS, TAB_BYTES } = await import(new URL("presets.js", document.baseURI).href);
      const { default: init, Engine } = await import(new URL("pkg/microtome.js", document.baseURI).href);
      await init({ module_or_path: new URL("pkg/microtome_bg.wasm", document.baseURI) });
      const prepared = await Engine.prepare("cpu", {}, "f32");
      const wrong = [];
      for (const { title, params, peaks } of MODELS) {
        const [n_layer, n_head, n_embd] = shapes[title] ?? [4, 8, 128];
        const config = new TextEncoder().encode(JSON.stringify(shapes[title] ? { n_layer, n_head, n_embd, n_positions: 1024, vocab_size: 50_257 }
          : { n_layer, n_head, n_embd, n_positions: 128, vocab_size: 2048 }));
        for (const precision of ["f32", "f16"]) {
          const found = (() => {
            try {
              const { peak_bytes, room_bytes } = prepared.plan(config, precision);
              return `${peak_bytes} of ${room_bytes}`;
            } catch (error) {
              return /** @type {any} */ (error).code;
            }
          })();
          const stated = peaks[precision] > TAB_BYTES ? "model.too_large" : `${peaks[precision]} of ${TAB_BYTES}`;
          if (found !== stated) wrong.push(`${title} in ${precision}: ${stated} is stated, ${found} planned`);
        }
        if (4 * params > peaks.f32) wrong.push(`${title}: ${params} parameters do not fit into ${peaks.f32} bytes`);
      }
      return wrong;
    }, SHAPES);
    ensure(!wrong.length, wrong.join("; "));
    await page.context().close();
  });

  await check(name("what a model needs is shown before its weights are asked for, and stays beside a refusal"), async () => {
    hub.reset();
    const page = await openPage(browser, site.url);
    hub.always[WEIGHTS] = { kind: "stall_headers" };
    await ask(page, ADDRESS);
    const needs = page.locator("#model .plan");
    await needs.getByText(/^The model needs \d+\.\d MB of this tab’s memory at its peak, \d+ kB of it for the weights; there is room for 4\.23 GB\.$/).waitFor();
    ensure(hub.weightBytes() === 0, `${hub.weightBytes()} bytes of weights came before`);
    ensure(await page.locator("#model .status progress").isVisible(), "it does not stand beside the progress");
    ensure((await page.locator("#model .facts").innerText()).includes("71.4 MB at the peak"), "the model that is still here is said to need what the next one does");
    await page.locator("#model .status").getByRole("button", { name: "Cancel" }).click();
    hub.reset();
    hub.always[WEIGHTS] = { kind: "status", status: 403 };
    const { code } = await load(page);
    ensure(code === "net.forbidden" && (await needs.innerText()).startsWith("The model needs"), `${code}: “${await needs.innerText()}”`);
    hub.reset();
    await ready(page);
    ensure(!(await needs.isVisible()) && (await page.locator("#model .facts").innerText()).includes("at the peak"), "of a model that is there it is one of the facts");
    await page.context().close();
  }, FAILED);

  for (const [what, script, words, asks] of BROWSERS) {
    await check(name(`a browser that ${what} when it is asked to keep the models: the panel says whether it may remove them, and the model loads`), async () => {
      hub.reset();
      const page = await newPage(browser);
      await page.addInitScript(`{ let kept = false, persist, persisted; ${script};
        globalThis.asked = 0;
        const { prototype } = StorageManager;
        Object.defineProperty(prototype, "persist", { value: persist && (() => { globalThis.asked += 1; return persist(); }) });
        Object.defineProperty(prototype, "persisted", { value: persisted });
      }`);
      await page.goto(site.url);
      await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome?.store.get("model").status === "ready");
      ensure((await page.evaluate(() => /** @type {any} */ (globalThis).asked)) === 0, "it was asked before the visitor chose anything");
      await page.evaluate(() => void (/** @type {any} */ (globalThis).events = []));
      await ready(page);
      await ready(page, PINNED);
      ensure((await page.evaluate(() => /** @type {any} */ (globalThis).asked)) === asks, "it was asked another number of times");
      await page.locator("#model .stored summary").click();
      await page.locator("#model .stored .note").getByText(words).waitFor();
      await page.context().close();
    });
  }

  site.close();
  hub.close();
}
