// The figure in other people's pages: another origin, strict policies, sandboxed frames, iframes, the article, the package.
// The page and the site with the lab are two servers, so that everything between them crosses origins.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { ENGINE } from "../../www/embed/sizes.js";
import { listenerOf, snippetOf } from "../../www/snippet.js";
import { assemble, lacking } from "../npm/assemble.mjs";
import { figureRunChecks } from "./embed_runs.mjs";
import { check, ensure, newPage, skip } from "./harness.mjs";
import { allSettled, coloursOf, part, recomputed } from "./lab_page.mjs";
import { PLAIN, answer, serve } from "./server.mjs";

/** @typedef {import("playwright-core").Page} Page @typedef {import("playwright-core").Frame} Frame */
/** @typedef {import("../../www/element.js").MicrotomeFigure} Element */

const WWW = fileURLToPath(new URL("../../www", import.meta.url));
const NAMES = ["attention", "ablation", "patching"];
const LOOKS = /** @type {Record<string, import("playwright-core").BrowserContextOptions>} */ ({
  light: { colorScheme: "light" }, dark: { colorScheme: "dark" },
  phone: { colorScheme: "light", viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true },
});

/**
 * @param {import("playwright-core").Browser} browser
 * @param {string} folder of the site
 * @param {string} binary
 * @param {string} shots
 */
export async function embedChecks(browser, folder, binary, shots) {
  await mkdir(shots, { recursive: true });
  const host = await serve(folder, {}, PLAIN);
  const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  /** @type {Record<string, any>} */
  const recorded = {};
  for (const name of NAMES) recorded[name] = JSON.parse(await readFile(join(WWW, `article/${name}.json`), "utf8"));
  const name = (/** @type {string} */ text) => `embed: ${text}`;

  /** HTML of a figure. @param {object} spec @param {string} [attributes] */
  const figure = (spec, attributes = "") => `<microtome-figure backend="cpu" ${attributes}><script type="application/json">${JSON.stringify(spec)}</script><a href="${host.url}">Open in the lab</a></microtome-figure>`;
  const page = (/** @type {string} */ body, head = "") => `<!doctype html><html lang=en><meta charset=utf-8><title>A blog</title>${head}<link rel=icon href=data:,><body><main>${body}</main><script type=module src="${host.url}element.js"></script>`;

  /**
   * Opens pages of another origin, by the path; the first one is "/".
   * @param {Record<string, string>} pages HTML
   * @param {(page: Page, blog: Awaited<ReturnType<typeof serve>>) => Promise<unknown>} body
   * @param {{ site?: string, options?: import("playwright-core").BrowserContextOptions, init?: () => void }} [how] `site`: its host name
   */
  const onBlog = (pages, body, { site = "127.0.0.1", options = {}, init } = {}) => async () => {
    const blog = await serve("/nowhere", Object.fromEntries(Object.entries(pages).map(([path, html]) => [path, answer("text/html", html)])), {});
    const opened = await newPage(browser, options);
    if (init) await opened.addInitScript(init);
    host.requests.length = 0;
    // Closed in any case: a server that stays would keep the run from ending.
    try {
      await opened.goto(blog.url.replace("127.0.0.1", site));
      await body(opened, blog);
    } finally {
      await opened.context().close();
      blog.close();
    }
  };
  const asked = (/** @type {string} */ end) => host.requests.filter(({ path }) => path.endsWith(end)).length;
  const three = NAMES.map((each) => figure(recorded[each])).join("");

  await check(name("before the click nothing is fetched but the element and what it draws with"), onBlog({ "/": page(three) }, async (page) => {
    await page.locator("canvas").nth(2).waitFor();
    await page.mouse.move(400, 300);
    await page.locator("canvas").first().hover();
    ensure(await page.locator(`link[rel=preconnect]`).count() === 1, "pointing at a figure does not prepare the connection, or more than once");
    const bad = host.requests.filter(({ path }) => !/^\/(element|errors|format|presets)\.js$|^\/embed\/(heatmap|lab_page|look|on_screen|sizes|source|spec)\.js$|^\/draw\/|^\/strings\/(axes|embed|units)\.js$|^\/views\/dom\.js$/.test(path));
    ensure(!bad.length && asked("element.js") === 1, `fetched: ${bad.map(({ path }) => path)}`);
    const bytes = (await Promise.all(host.requests.map(({ path }) => readFile(join(folder, path))))).reduce((sum, file) => sum + gzipSync(file).length, 0);
    ensure(bytes < 34_000, `${bytes} bytes before the click`);
    const says = await page.getByRole("button").first().innerText();
    ensure(/^Run live \(2\.[7-9] MB\)$/.test(says), `the button says “${says}”`);
  }));

  await check(name("what the button says is what the engine weighs"), async () => {
    const files = ["pkg/microtome_bg.wasm", "pkg/microtome.js", "microtome.js", "host.js", "service.js", "worker.js", "download.js", "store.js", "store/blocks.js",
      "store/entry.js", "store/idb.js", "store/memory.js", "store/opfs.js", "threads.js", "module.js", "self_test.js", "toy_model.js", "tested.js", "training_run.js", "progress.js", "spawn.js", "kernels.js", "panic.js", "ask.js", "embed/live.js"];
    const bytes = (await Promise.all(files.map((file) => readFile(join(folder, file))))).reduce((sum, file) => sum + gzipSync(file).length, 0);
    ensure(Math.abs(bytes / ENGINE - 1) < 0.1, `the engine is ${bytes} bytes, and www/embed/sizes.js says ${ENGINE}`);
  });

  await check(name("a click: events in order, the recorded numbers, and one engine for three figures"), onBlog({ "/": page(three) }, async (page) => {
    await page.evaluate(() => {
      const seen = /** @type {any[]} */ (/** @type {any} */ (globalThis).seen = []);
      const first = /** @type {HTMLElement} */ (document.querySelector("microtome-figure"));
      for (const type of ["ready", "progress", "result", "error"]) first.addEventListener(type, (event) => seen.push([type, /** @type {CustomEvent} */ (event).detail]));
      addEventListener("error", () => seen.push(["escaped"]));
    });
    await page.getByRole("button", { name: /Run live/ }).first().click();
    await page.getByText(/^Live: pronoun on the CPU/).waitFor();
    const seen = /** @type {[string, any][]} */ (await page.evaluate(() => /** @type {any} */ (globalThis).seen));
    const kinds = seen.map(([type]) => type);
    ensure(kinds.filter((type) => type === "ready").length === 1 && kinds.at(-1) === "result" && kinds.indexOf("progress") < kinds.indexOf("ready"), kinds.join());
    ensure(!kinds.includes("error") && seen[kinds.indexOf("ready")][1].model.name === "pronoun", "the events' details are wrong");
    const results = await page.evaluate(() => Promise.all([...document.querySelectorAll("microtome-figure")].map((node) => /** @type {Element} */ (node).run())));
    for (const [i, { figure }] of results.entries()) {
      const off = worst(figure.values, recorded[NAMES[i]].figure.values);
      ensure(off < 1e-4, `${NAMES[i]} differs by ${off}`);
    }
    for (const file of ["/worker.js", "/microtome_bg.wasm", "/model.safetensors"]) ensure(asked(file) === 1, `${file} was asked for ${asked(file)} times`);
    // What is off the screen would wait.
  }, { options: { viewport: { width: 1100, height: 2600 } } }));

  await check(name("a reader's own prompt, from the keyboard, and the engine is not fetched again"), onBlog({ "/": page(figure(recorded.ablation)) }, async (page) => {
    await page.locator("canvas").focus();
    for (const key of ["ArrowDown", "ArrowRight", "ArrowRight"]) await page.keyboard.press(key);
    ensure((await page.locator(".readout").innerText()).startsWith("Layer 0, Head 2: 4.68"), await page.locator(".readout").innerText());
    await page.getByRole("button").focus();
    await page.keyboard.press("Enter");
    await page.getByLabel("Prompt", { exact: true }).fill("Tom is a great friend, isn’t");
    await page.getByLabel("Correct answer").fill(" he");
    await page.getByLabel("Other answer").fill(" she");
    const result = page.evaluate(() => new Promise((resolve) => {
      document.querySelector("microtome-figure")?.addEventListener("result", (event) => resolve(/** @type {CustomEvent} */ (event).detail.result));
    }));
    await page.keyboard.press("Enter");
    const { experiment, values, baseline } = /** @type {any} */ (await result);
    ensure(experiment.prompt.startsWith("Tom") && experiment.metric.correct === " he", JSON.stringify(experiment));
    ensure(baseline > 4 && values[6] < 1, `${baseline}, and ${values[6]} without L0H6`);
    const kept = await page.evaluate(() => /** @type {Element} */ (document.querySelector("microtome-figure")).recorded);
    ensure(kept && kept.figure?.values[6] === values[6] && kept.experiment.kind === "ablate" && kept.model?.name === "pronoun", "what can be kept is something else");
    ensure(asked("/worker.js") === 1, "a second engine");
    await page.getByLabel("Correct answer").fill("nonesuch");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").getByText(/is 4 tokens, expected exactly one/).waitFor();
  }, { site: "localhost" }));

  await check(name("off the screen nothing starts, and what leaves it waits"), onBlog({ "/": page(`<div id=space></div>${figure(recorded.ablation)}`, "<style>#space { height: 3000px }</style>") }, async (page) => {
    /** @type {(value?: unknown) => void} */
    let release = () => {};
    const held = new Promise((resolve) => { release = resolve; });
    host.answers["/models/pronoun/model.safetensors"] = async (response) => {
      const bytes = await readFile(join(folder, "models/pronoun/model.safetensors"));
      await held;
      response.writeHead(200, { "content-length": bytes.length }).end(bytes);
    };
    try {
      await page.locator("canvas").waitFor();
      await page.evaluate(() => {
        const node = /** @type {Element} */ (document.querySelector("microtome-figure"));
        node.addEventListener("result", () => { node.dataset.results = String(Number(node.dataset.results ?? 0) + 1); });
        void node.run();
      });
      await page.getByText("Goes on when it is on the screen").waitFor();
      ensure(asked("live.js") === 0, "a figure off the screen fetches its engine");
      await page.evaluate(() => scrollTo(0, 3000));
      await page.waitForFunction(() => performance.getEntriesByType("resource").some(({ name }) => name.endsWith("/embed/live.js")));
      await page.getByText(/Loading the model|Starting/).waitFor();
      await page.evaluate(() => scrollTo(0, 0));
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(resolve)))));
      release();
      // A download that was asked for comes to its end; this figure must not compute.
      await page.getByText("Goes on when it is on the screen").waitFor();
      await page.waitForTimeout(500);
      const results = () => page.locator("microtome-figure").getAttribute("data-results");
      ensure(await results() === null, "it computed off the screen");
      await page.evaluate(() => scrollTo(0, 3000));
      await page.getByText(/^Live:/).waitFor();
      ensure(await results() === "1", `${await results()} results`);
    } finally {
      delete host.answers["/models/pronoun/model.safetensors"];
    }
  }));

  await check(name("a sandboxed frame: no worker, no storage, and it runs"), onBlog({
    "/": '<!doctype html><html lang=en><title>A blog</title><link rel=icon href=data:,><body><iframe title="A figure" sandbox="allow-scripts" src="/frame.html" width=700 height=600></iframe>',
    "/frame.html": page(figure(recorded.patching)),
  }, async (page) => {
    const frame = page.frameLocator("iframe");
    await frame.getByRole("button", { name: /Run live/ }).click();
    await frame.getByText(/^Live: pronoun/).waitFor();
    const notices = await frame.locator(".notices").innerText();
    ensure(/may not start a worker/.test(notices) && /lets the page store nothing/.test(notices), `it says “${notices}”`);
    // The harness' own way of refusing service workers reads what throws in such a frame.
  }, { site: "localhost", options: { serviceWorkers: "allow" } }));

  await check(name("no worker and every kind of storage refused: it runs, and stays alive while it does"), onBlog({ "/": page(figure(recorded.patching)) }, async (page) => {
    await page.getByRole("button", { name: /Run live/ }).click();
    await page.getByText(/^Live: pronoun/).waitFor();
    const gap = await page.evaluate(async () => {
      const node = /** @type {Element} */ (document.querySelector("microtome-figure"));
      let [last, most, running] = [performance.now(), 0, true];
      const beat = () => {
        most = Math.max(most, performance.now() - last);
        last = performance.now();
        if (running) setTimeout(beat, 0);
      };
      beat();
      const { experiment } = node;
      if (experiment?.kind === "patch") node.show({ ...experiment, site: "z", sites: undefined, axes: ["head", "pos"] });
      await node.run();
      running = false;
      return most;
    });
    ensure(gap < 1000, `the page stood still for ${Math.round(gap)} ms`);
  }, { init: () => {
    const refuse = (/** @type {object} */ on, /** @type {string} */ key) => Object.defineProperty(on, key, { get() { throw new DOMException("refused", "SecurityError"); } });
    for (const key of ["Worker", "caches", "indexedDB", "localStorage", "sessionStorage"]) refuse(globalThis, key);
    for (const key of ["storage", "locks", "serviceWorker", "gpu"]) refuse(Navigator.prototype, key);
  } }));

  const policy = (/** @type {string} */ more) => `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; script-src ${host.url} 'wasm-unsafe-eval'; ${more}; require-trusted-types-for 'script'; trusted-types microtome">`;
  await check(name("a page with a strict policy: no violation"), onBlog({ "/": page(three, policy(`connect-src ${host.url}; worker-src blob: ${host.url}`)) }, async (page) => {
    await page.getByRole("button", { name: /Run live/ }).nth(2).click();
    await page.getByText(/^Live: pronoun/).waitFor();
    await page.locator("canvas").first().hover();
    ensure(asked("/worker.js") === 1, `no worker: ${await page.locator(".notices").nth(2).innerText()}`);
  }));
  await check(name("a page whose policy refuses the host: said in words, and an error event"), onBlog({ "/": page(figure(recorded.ablation), policy("connect-src 'none'; worker-src blob:")) }, async (page) => {
    const error = page.evaluate(() => new Promise((resolve) => document.querySelector("microtome-figure")?.addEventListener("error", (event) => resolve(/** @type {CustomEvent} */ (event).detail))));
    await page.getByRole("button", { name: /Run live/ }).click();
    const { code, message } = /** @type {any} */ (await error);
    ensure(/^(net|engine)\./.test(code) && (await page.getByRole("alert").innerText()).includes(message), `${code}: ${message}`);
    await page.getByRole("button", { name: /Run live/ }).waitFor();
  }), /Content Security Policy|policy:|Failed to (load|fetch)/);

  await check(name("HTML in a figure's JSON, in a prompt and in attributes is text"), async () => {
    const evil = "<img src=x onerror=alert(1)>";
    const spec = structuredClone(recorded.ablation);
    Object.assign(spec.figure, { title: evil });
    spec.figure.row_axis.labels[0] = evil;
    spec.experiment.prompt = evil;
    spec.model.name = evil;
    await onBlog({ "/": page(`<microtome-figure backend=cpu heading="${evil}" caption="${evil}" src="/evil.json"></microtome-figure>`), "/evil.json": JSON.stringify(spec) }, async (page) => {
      await page.getByRole("button", { name: /Run live/ }).click();
      await page.getByText(/^Live:/).waitFor();
      await page.locator("summary").click();
      ensure(await page.evaluate(() => document.querySelector("microtome-figure")?.shadowRoot?.querySelectorAll("img, script, iframe").length) === 0, "text became elements");
    })();
  });

  await check(name("what is no experiment and no figure is named"), async () => {
    for (const [json, code] of [["{", "figure.json"], ["[]", "figure.json"], ['{"kind":"predict"}', "figure.kind"], ['{"kind":"trace","prompts":["a"]}', "figure.head"],
      [JSON.stringify({ ...recorded.ablation, figure: { ...recorded.ablation.figure, rows: 1e9 } }), "figure.json"]]) {
      await onBlog({ "/": page("") }, async (page) => {
        const got = await page.evaluate((json) => new Promise((resolve) => {
          const node = document.createElement("microtome-figure");
          node.addEventListener("error", (event) => resolve(/** @type {CustomEvent} */ (event).detail.code));
          const script = document.createElement("script");
          script.type = "application/json";
          script.textContent = json;
          node.append(script);
          document.body.append(node);
        }), json);
        ensure(got === code, `${json.slice(0, 40)}: ${got}`);
      })();
    }
  });

  await check(name("without JavaScript the link is there"), onBlog({ "/": page(three) }, async (page) => {
    ensure(await page.getByRole("link", { name: "Open in the lab" }).first().isVisible(), "no link");
  }, { options: { javaScriptEnabled: false } }));

  await figureRunChecks({ host, folder, recorded, figure, page, asked, onBlog });

  if (existsSync(join(folder, "link.js"))) await frameChecks();
  else skip("embed: frames and links to the lab", "this site has no link.js");

  async function frameChecks() {
    const { encode } = await import(`${folder.startsWith("/") ? "" : `${process.cwd()}/`}${folder}/link.js`);
    const hash = await encode({ patch: { clean: "Amy is a great friend, isn’t", corrupted: "Tom is a great friend, isn’t", what: "get_act_patch_attn_head_out_all_pos" }, model: { backend: "cpu" } }, "patch");
    const frame = snippetOf({ hash, title: 'A "figure" <b>', base: host.url });

    await check(name("a frame is as high as its figure, and only its own messages count"), onBlog({
      "/": `<!doctype html><html lang=en><meta charset=utf-8><title>A blog</title><link rel=icon href=data:,><body>${frame}<iframe id=other title=other src=/other.html></iframe>${listenerOf(host.url)}`,
      "/other.html": `<!doctype html><link rel=icon href=data:,><script>
        for (const data of [{ type: "microtome:resize", height: 9 }, { type: "microtome:measure" }, null, "x", { type: "eval", code: "alert(1)" }])
          for (const to of [parent, parent.frames[0]]) to.postMessage(data, "*");</script>`,
    }, async (page) => {
      const inside = page.frameLocator("iframe").first();
      await inside.getByRole("button", { name: /Run live/ }).waitFor();
      const node = page.locator("iframe").first();
      const height = async () => Number(await node.getAttribute("height"));
      ensure(await node.getAttribute("title") === 'A "figure" <b>', "the title is something else");
      await page.waitForFunction(() => Number(document.querySelector("iframe")?.getAttribute("height")) !== 480);
      const before = await height();
      ensure(asked("/microtome_bg.wasm") === 0 && asked(".safetensors") === 0, "it loads before the click");
      await inside.getByRole("button", { name: /Run live/ }).click();
      await inside.getByText(/^Live: pronoun/).waitFor();
      await page.waitForFunction((before) => Number(document.querySelector("iframe")?.getAttribute("height")) > before + 100, before);
      const experiment = await inside.locator("microtome-figure").evaluate((figure) => /** @type {any} */ (figure).experiment);
      ensure(experiment?.kind === "patch" && experiment.clean === "Amy is a great friend, isn’t" && JSON.stringify(experiment).includes('"axes":["layer","head"]'), JSON.stringify(experiment));
      ensure(!(await page.locator("#other").getAttribute("height")), "another origin's frame was resized");
      const told = await page.evaluate(() => new Promise((resolve) => {
        const frame = /** @type {HTMLIFrameElement} */ (document.querySelector("iframe"));
        addEventListener("message", ({ data, source }) => source === frame.contentWindow && resolve(data));
        for (const data of [null, 7, "x", { type: "microtome:run" }, { type: "microtome:measure" }]) frame.contentWindow?.postMessage(data, "*");
      }));
      ensure(JSON.stringify(Object.keys(/** @type {object} */ (told))) === '["type","height"]', JSON.stringify(told));
    }, { site: "localhost" }));

    await check(name("a link that is damaged, or leads to another host, is said and nothing is fetched"), async () => {
      for (const [bad, says] of [["v=1&patch.what=nonesuch", /nonesuch/], ["v=9&m=x", /version/i], ["v=1&m=javascript:alert(1)", /javascript/]]) {
        const page = await newPage(browser);
        await page.goto(`${host.url}embed.html#${bad}`);
        await page.getByRole("alert").getByText(/** @type {RegExp} */ (says)).waitFor();
        await page.context().close();
      }
      const page = await newPage(browser);
      await page.goto(`${host.url}embed.html#v=1&m=https://example.org/x/&s=patch`);
      // What a frame must not do, the lab may: it asks.
      const lab = page.getByRole("alert").filter({ hasText: "example.org" }).getByRole("link");
      ensure((await lab.getAttribute("href")) === "./#v=1&m=https://example.org/x/&s=patch", "it leads elsewhere");
      ensure(!(await page.locator("microtome-figure").count()), "a figure that cannot run");
      await page.context().close();
    });

    await check(name("a frame with `sandbox=allow-scripts`: it runs, and is as high as its figure"), onBlog({
      "/": `<!doctype html><html lang=en><meta charset=utf-8><title>A blog</title><link rel=icon href=data:,><body>${frame.replace("<iframe", '<iframe sandbox="allow-scripts"')}${listenerOf(host.url)}`,
    }, async (page) => {
      const inside = page.frameLocator("iframe");
      await inside.getByRole("button", { name: /Run live/ }).click();
      await inside.getByText(/^Live: pronoun/).waitFor();
      await page.waitForFunction(() => ![480, 0].includes(Number(document.querySelector("iframe")?.getAttribute("height"))));
      ensure(await inside.locator("canvas").isVisible(), "no figure");
      // The harness' own way of refusing service workers reads what throws in such a frame.
    }, { site: "localhost", options: { serviceWorkers: "allow" } }));

    await check(name("two addresses in a row: the last one is shown"), async () => {
      const long = await encode({ ablate: { prompts: { loss: "a ".repeat(4000), logit_diff: "b" } } }, "ablate");
      ensure(long.includes("z="), "it is not packed");
      const page = await newPage(browser);
      // What is packed takes its time to read.
      await page.addInitScript(() => {
        const Real = DecompressionStream;
        /** @type {any} */ (globalThis).DecompressionStream = function (/** @type {CompressionFormat} */ format) {
          const { readable, writable } = new Real(format);
          const slow = { transform: async (/** @type {any} */ chunk, /** @type {any} */ to) => new Promise((resolve) => setTimeout(resolve, 300)).then(() => to.enqueue(chunk)) };
          return { writable, readable: readable.pipeThrough(new TransformStream(slow)) };
        };
      });
      await page.goto(`${host.url}embed.html#attention`);
      await page.locator("microtome-figure").waitFor();
      await page.evaluate(([first, second]) => {
        location.hash = first;
        location.hash = second;
      }, [long, hash]);
      await page.waitForFunction(() => /** @type {any} */ (document.querySelector("microtome-figure"))?.experiment?.kind === "patch");
      await page.waitForTimeout(1500);
      ensure((await page.locator("microtome-figure").evaluate((node) => /** @type {any} */ (node).experiment.kind)) === "patch", "the first one took its place");
      await page.context().close();
    });

    const amy = { ...recorded.patching, experiment: { ...recorded.patching.experiment, clean: "Amy is a great friend, isn’t" } };
    await check(name("“Open in the lab” leads to the same experiment"), onBlog({ "/": page(figure(amy)) }, async (page) => {
      const link = page.getByRole("link", { name: "Open in the lab" });
      await link.focus();
      await page.waitForFunction(() => /** @type {HTMLAnchorElement} */ (document.querySelector("microtome-figure a")).hash);
      const { decode } = await import(`${folder.startsWith("/") ? "" : `${process.cwd()}/`}${folder}/link.js`);
      const { section, state } = await decode(new URL(await link.evaluate((a) => /** @type {HTMLAnchorElement} */ (a).href)).hash);
      ensure(section === "patch" && state.patch.clean === amy.experiment.clean, JSON.stringify([section, state]));
    }));
  }

  await check(name("the lab's own menu: what it hands out shows the figure in a page of another origin, with what was measured"), async () => {
    const lab = await newPage(browser);
    await lab.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await lab.goto(host.url);
    await allSettled(lab);
    ensure(asked("/export/embed.js") === 0, "the menu's code comes before it is opened");
    ensure((await lab.locator(".embed:visible").count()) === 3 && (await lab.locator("#grid .embed").count()) === 0, "other sections have the menu");
    // A head that is kept, a measure and a place that are not the first ones.
    await lab.locator("#attention [role=grid]").first().focus();
    for (const key of ["ArrowRight", "ArrowRight", "ArrowDown", "Enter"]) await lab.keyboard.press(key);
    await recomputed(lab, "ablate", () => lab.locator("#ablate").getByText("Logit difference", { exact: true }).click());
    await recomputed(lab, "patch", () => lab.locator("#patch").getByLabel("Patched").selectOption("get_act_patch_attn_head_out_all_pos"));
    /** @type {Record<string, Record<string, string>>} */
    const html = {};
    for (const key of ["attention", "ablate", "patch"]) {
      const menu = lab.locator(`#${key} .embed`);
      await menu.locator("summary").focus();
      await lab.keyboard.press("Enter");
      await menu.getByText("Put this figure into a page of your own").waitFor();
      html[key] = Object.fromEntries(await Promise.all(["element", "frame", "listener"].map(async (way) => [way, await menu.locator(`[data-way=${way}] textarea`).inputValue()])));
      await menu.getByRole("button", { name: "Copy: With this result in it" }).click();
      await menu.getByText("Copied.", { exact: true }).waitFor();
      ensure((await lab.evaluate(() => navigator.clipboard.readText())) === html[key].element, "something else is in the clipboard");
      for (const [look, options] of Object.entries(LOOKS)) {
        await lab.emulateMedia({ colorScheme: options.colorScheme });
        await lab.setViewportSize(options.viewport ?? { width: 1100, height: 900 });
        await lab.locator(`#${key} .menus`).screenshot({ path: join(shots, `embed-menu-${key}-${look}.png`) });
        const wide = await lab.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        ensure(wide <= 0, `${look}: the page is ${wide} px too wide`);
      }
    }
    const shown = /** @type {any} */ (Object.fromEntries(await Promise.all(["attention", "ablate", "patch"].map(async (key) => [key, await part(lab, key)]))));
    ensure(shown.attention.view.head.layer === 1 && shown.attention.view.head.head === 2, JSON.stringify(shown.attention.view));
    const blog = (/** @type {string} */ body) => `<!doctype html><html lang=en><meta charset=utf-8><title>A blog</title><link rel=icon href=data:,><body>${body}`;
    const all = Object.values(html);
    await onBlog({ "/": blog(all.map(({ element }) => element).join("<hr>")) }, async (page) => {
      await page.locator("canvas").nth(2).waitFor();
      ensure(!host.requests.some(({ path }) => /\.wasm$|^\/models\/|^\/worker|\.json$/.test(path)), `fetched: ${host.requests.map(({ path }) => path)}`);
      for (let i = 0; i < 3; i++) ensure((await coloursOf(page.locator("canvas").nth(i))) > 5, `figure ${i} is blank`);
      await page.screenshot({ path: join(shots, "embed-snippets.png"), fullPage: true });
      const titles = await page.locator("microtome-figure").evaluateAll((nodes) => nodes.map((node) => node.getAttribute("heading")));
      ensure(titles[0] === "Attention pattern of head L1H2", titles.join());
      const frozen = await page.locator("microtome-figure script").evaluateAll((nodes) => nodes.map((node) => JSON.parse(node.textContent ?? "")));
      ensure(worst(frozen[1].figure.values, shown.ablate.job.value.figure.values) === 0 && worst(frozen[2].figure.values, shown.patch.job.value.figure.values) === 0, "other numbers");
      const live = await page.evaluate(() => Promise.all([...document.querySelectorAll("microtome-figure")].map((node) => /** @type {Element} */ (node).run())));
      for (const [i, { figure }] of live.entries()) {
        const off = worst(figure.values, frozen[i].figure.values);
        ensure(off < 1e-4 && figure.title === titles[i], `figure ${i}, “${figure.title}”, differs by ${off}`);
        ensure(JSON.stringify([figure.row_axis, figure.col_axis]) === JSON.stringify([frozen[i].figure.row_axis, frozen[i].figure.col_axis]), `figure ${i} has other labels`);
      }
    }, { options: { viewport: { width: 1100, height: 3000 } } })();
    await onBlog({ "/": blog(all.map(({ frame }) => frame).join("<hr>") + html.patch.listener) }, async (page) => {
      for (let i = 0; i < 3; i++) {
        const inside = page.frameLocator("iframe").nth(i);
        await inside.getByRole("button", { name: /Run live/ }).click();
        await inside.getByText(/^Live: pronoun/).waitFor();
      }
      const values = await page.frameLocator("iframe").nth(1).locator("microtome-figure").evaluate((node) => /** @type {any} */ (node).recorded.figure.values);
      ensure(worst(values, shown.ablate.job.value.figure.values) < 1e-4, "the frame has other numbers");
    }, { options: { viewport: { width: 1100, height: 3000 } } })();
    // Several heatmaps are no figure that can be embedded; nor is what no other page could load.
    await recomputed(lab, "patch", () => lab.locator("#patch").getByLabel("Patched").selectOption("get_act_patch_attn_head_all_pos_every"));
    await lab.locator("#patch .embed").getByText("This choice gives several heatmaps").waitFor();
    ensure(!(await lab.locator("#patch .embed textarea").first().isVisible()), "it is handed out all the same");
    await lab.evaluate(() => {
      const { store } = /** @type {any} */ (globalThis).microtome;
      store.update("ablate", { job: { ...store.get("ablate").job, address: "local" } });
      store.update("model", {});
    });
    await lab.locator("#ablate .embed").getByText("no other page could load it").waitFor();
    // Another host is an author's choice in the element, and nobody's in a link.
    await lab.evaluate(() => {
      const { store } = /** @type {any} */ (globalThis).microtome;
      store.update("ablate", { job: { ...store.get("ablate").job, address: "https://models.example/x/" } });
      store.update("model", {});
    });
    const frame = lab.locator("#ablate .embed [data-way=frame]");
    await frame.getByText("The model lies on models.example").waitFor();
    ensure(!(await frame.locator("textarea").isVisible()) && !(await frame.getByRole("button").isVisible()), "a frame that cannot run is handed out");
    ensure((await lab.locator("#ablate .embed [data-way=element] textarea").inputValue()).includes('model="https://models.example/x/"'), "the element has another model");
    await lab.context().close();
  });

  await check(name("the lab's own menu where the clipboard is denied: the text is marked, to be copied by hand"), async () => {
    const lab = await newPage(browser);
    await lab.addInitScript(() => Object.defineProperty(navigator, "clipboard", { value: { writeText: () => Promise.reject(new DOMException("no", "NotAllowedError")) } }));
    await lab.goto(host.url);
    await allSettled(lab);
    const menu = lab.locator("#patch .embed");
    await menu.locator("summary").click();
    await menu.getByRole("button", { name: "Copy: As a frame" }).click();
    await menu.getByText("Select the text and copy it").waitFor();
    const marked = await lab.evaluate(() => {
      const text = /** @type {HTMLTextAreaElement} */ (document.activeElement);
      return text.value.slice(text.selectionStart, text.selectionEnd);
    });
    ensure(marked.startsWith("<iframe") && marked.endsWith("</iframe>"), `marked is “${marked}”`);
    await lab.context().close();
  });

  for (const [look, options] of Object.entries(LOOKS)) {
    await check(name(`${look}: the article and its live figures: no violation of axe, nothing too wide`), async () => {
      const page = await newPage(browser, { ...options, bypassCSP: true });
      await page.goto(`${host.url}article.html`);
      await page.locator("canvas").nth(2).waitFor();
      const clean = async () => {
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => /** @type {any} */ (globalThis).axe.run());
        ensure(!violations.length, violations.map((/** @type {any} */ v) => `${v.id}: ${v.nodes.map((/** @type {any} */ n) => n.target).join(" ")}`).join("; "));
      };
      await page.screenshot({ path: join(shots, `article-${look}.png`), fullPage: true });
      await clean();
      for (const figure of await page.locator("microtome-figure").all()) {
        await figure.getByRole("button", { name: /Run live/ }).click();
        await figure.getByText(/^Live:/).waitFor();
        await figure.locator("summary").click();
      }
      await clean();
      await page.locator("microtome-figure").nth(1).screenshot({ path: join(shots, `element-${look}.png`) });
      const { content, screen } = await page.evaluate(() => ({ content: document.documentElement.scrollWidth, screen: innerWidth }));
      ensure(content <= screen, `the article is ${content} px wide on a screen of ${screen} px`);
      await page.context().close();
    });
  }
  await check(name("the article under its own policy, in forced colours"), async () => {
    const page = await newPage(browser, { forcedColors: "active" });
    await page.goto(`${host.url}article.html`);
    await page.getByRole("button", { name: /Run live/ }).first().click();
    await page.getByText(/^Live:/).waitFor();
    await page.locator("microtome-figure").first().screenshot({ path: join(shots, "element-forced.png") });
    await page.context().close();
  });

  if (existsSync(binary)) {
    for (const each of NAMES) await check(name(`article/${each}.json is what the command line computes`), async () => {
      const { experiment, figure: { values, rows }, head } = recorded[each];
      const run = JSON.parse(execFileSync(binary, ["run", "-", "--model", join(WWW, "models/pronoun"), "--backend", "cpu"], { input: JSON.stringify(experiment), maxBuffer: 1 << 26 }).toString());
      const all = head ? run.tensors[0][`blocks.${head.layer}.attn.hook_pattern`].data.slice(head.head * rows * rows, (head.head + 1) * rows * rows)
        .map((/** @type {number} */ value, /** @type {number} */ i) => (i % rows > Math.floor(i / rows) ? null : value)) : run.values;
      ensure(worst(all, values) < 1e-4, `it differs by ${worst(all, values)}`);
      ensure(run.model.sha256 === recorded[each].model.sha256, "it is of another model");
    });
  } else skip("embed: the article's figures", `${binary} is missing`);

  await packageChecks(browser, folder);
  host.close();
}

/** @param {import("playwright-core").Browser} browser @param {string} site */
async function packageChecks(browser, site) {
  const folder = await mkdtemp(join(tmpdir(), "microtome-package-"));
  const npm = (/** @type {string} */ command, /** @type {string[]} */ ...args) => execFileSync(command, args, { cwd: folder, stdio: ["ignore", "pipe", "ignore"] }).toString();
  await check("embed: the package: publint and attw find nothing, licences and types are in it", async () => {
    await assemble(site, join(folder, "made"));
    npm("npm", "pack", "./made");
    npm("tar", "xzf", "microtome-0.1.0.tgz");
    for (const file of ["LICENSE-MIT", "LICENSE-APACHE", "README.md", "microtome.d.ts", "element.d.ts", "pkg/THIRD_PARTY.txt", "pkg/microtome_bg.wasm", "models/pronoun/model.safetensors"]) {
      ensure(existsSync(join(folder, "package", file)), `${file} is missing`);
    }
    ensure(!existsSync(join(folder, "package/models/pronoun/step-300.safetensors")), "the checkpoints are in it");
    const lacks = await lacking(join(folder, "package"));
    ensure(!lacks.length, `it lacks ${lacks}`);
    const { publint } = await import("publint");
    const { messages } = await publint({ pkgDir: join(folder, "package"), strict: true, pack: false });
    ensure(!messages.length, messages.map(({ code, path }) => `${code} ${path.join(".")}`).join("; "));
    const { checkPackage, createPackageFromTarballData } = await import("@arethetypeswrong/core");
    // The module itself has no types.
    const checked = await checkPackage(createPackageFromTarballData(await readFile(join(folder, "microtome-0.1.0.tgz"))), { excludeEntrypoints: ["./microtome_bg.wasm"] });
    ensure(checked.types !== false, "it has no types");
    // Only ES modules are in it, which old ways of resolving, and CommonJS, cannot take.
    const problems = checked.problems.filter((problem) => !("resolutionKind" in problem && ["node10", "node16-cjs"].includes(problem.resolutionKind)) && problem.kind !== "CJSResolvesToESM");
    ensure(!problems.length, JSON.stringify(problems.map(({ kind, ...more }) => [kind, more])).slice(0, 400));
  });
  await check("embed: the package, unpacked on a plain host, answers a page of another origin", async () => {
    const host = await serve(join(folder, "package"), {}, PLAIN);
    const script = `import { Lab } from ${JSON.stringify(`${host.url}microtome.js`)}; import ${JSON.stringify(`${host.url}element.js`)};
      const lab = await Lab.open({ model: ${JSON.stringify(`${host.url}models/pronoun/`)}, backend: "cpu" });
      const { top } = await lab.run({ version: 1, kind: "predict", prompt: "Mary is a great friend, isn’t" });
      document.body.append(top[0].text + " " + customElements.get("microtome-figure").name);
      const figure = document.createElement("microtome-figure"); document.body.append(figure);
      figure.show({ version: 1, kind: "ablate", prompt: "Mary is", site: "v", edit: { kind: "zero" }, axes: ["layer", "head"], metric: { kind: "loss" } });
      await figure.run();`;
    const blog = await serve("/nowhere", { "/": answer("text/html", "<!doctype html><link rel=icon href=data:,><body><script type=module src=x.js></script>"), "/x.js": answer("text/javascript", script) }, {});
    const page = await newPage(browser);
    await page.goto(blog.url);
    await page.getByText("she MicrotomeFigure").waitFor();
    await page.getByText(/^Live: pronoun/).waitFor();
    await page.context().close();
    blog.close();
    host.close();
  });
  await check("embed: the package by its own names: what `exports` maps to works, and there is no link to a lab that it does not have", async () => {
    const host = await serve(join(folder, "package"), {}, PLAIN);
    const { exports } = JSON.parse(await readFile(join(folder, "package/package.json"), "utf8"));
    const imports = Object.fromEntries(["", "/element.js"].map((path) => [`microtome${path}`, new URL(exports[`.${path}`].default, host.url).href]));
    const script = `import { Lab, LabError } from "microtome"; import { MicrotomeFigure } from "microtome/element.js";
      const lab = await Lab.open({ model: new URL("models/pronoun/", ${JSON.stringify(host.url)}), backend: "cpu" });
      const { top } = await lab.run({ version: 1, kind: "predict", prompt: "Mary is a great friend, isn’t" });
      lab.close();
      const [bare, led] = ["", "https://lab.example/"].map((lab) => Object.assign(document.createElement("microtome-figure"), { id: lab ? "led" : "bare" }));
      led.setAttribute("lab", "https://lab.example/");
      document.body.append(bare, led);
      document.body.append([top[0].text, typeof LabError, bare instanceof MicrotomeFigure].join());`;
    const blog = await serve("/nowhere", { "/": answer("text/html", `<!doctype html><link rel=icon href=data:,><script type=importmap>${JSON.stringify({ imports })}</script><body><script type=module src=x.js></script>`), "/x.js": answer("text/javascript", script) }, {});
    const page = await newPage(browser);
    await page.goto(blog.url);
    await page.getByText("she,function,true").waitFor();
    ensure(!(await page.locator("#bare a").first().isVisible()) && await page.locator("#led a").isVisible(), "the wrong figure has a link");
    const module = await page.request.get(new URL(exports["./microtome_bg.wasm"], host.url).href);
    ensure(module.ok() && (await module.body()).subarray(0, 4).equals(Buffer.from("\0asm")), "the module is not where `exports` says");
    await page.context().close();
    blog.close();
    host.close();
  });
  await rm(folder, { recursive: true, force: true });
}

/** The largest difference of two lists; infinite where one has a number and the other has none. @param {(number | null)[]} a @param {(number | null)[]} b */
const worst = (a, b) => (a.length !== b.length ? Infinity : Math.max(...a.map((x, i) => {
  const y = b[i];
  return x === null || y === null ? (x === y ? 0 : Infinity) : Math.abs(x - y);
})));
