// What may happen to a figure while it runs, or before it has anything to run: cancelled, removed, moved, shown anew, off the
// screen, late, without storage. Part of the group “embed”.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { check, ensure } from "./harness.mjs";
import { answer, serveFolder } from "./server.mjs";

/** @typedef {import("playwright-core").Page} Page @typedef {import("../../www/element.js").MicrotomeFigure} Element */
/**
 * @typedef {{ host: Awaited<ReturnType<typeof import("./server.mjs").serve>>, folder: string, recorded: Record<string, any>,
 *   figure: (spec: object, attributes?: string) => string, page: (body: string, head?: string) => string, asked: (end: string) => number,
 *   onBlog: (pages: Record<string, string>, body: (page: Page, blog: any) => Promise<unknown>, how?: { site?: string,
 *   options?: import("playwright-core").BrowserContextOptions, init?: () => void }) => () => Promise<void> }} Tools as embed.mjs has them
 */

const WEIGHTS = "/models/pronoun/model.safetensors";

/** While `globalThis.hold` is set, the engine hears of no run: it is under way for as long as a check wants. */
const init = () => {
  const state = /** @type {any} */ (globalThis);
  Object.assign(state, { hold: false, held: [], seen: [] });
  state.release = () => {
    state.hold = false;
    state.held.splice(0).forEach((/** @type {() => void} */ post) => post());
  };
  const post = Worker.prototype.postMessage;
  Worker.prototype.postMessage = function (/** @type {any} */ message, /** @type {any[]} */ ...more) {
    const send = () => post.call(this, message, .../** @type {[any]} */ (more));
    if (state.hold && message?.kind === "run") state.held.push(send);
    else send();
  };
  for (const type of ["ready", "result", "error"]) document.addEventListener(type, (event) => {
    const { target, detail } = /** @type {CustomEvent} */ (event);
    if (target instanceof HTMLElement && target.localName === "microtome-figure") state.seen.push([type, detail.code ?? detail.result?.experiment.prompt ?? detail.result?.experiment.clean]);
  }, true);
};

/** The events of the page's figures so far. @param {Page} page @returns {Promise<[string, string][]>} */
const seen = (page) => page.evaluate(() => /** @type {any} */ (globalThis).seen);
/** @param {Page} page @param {boolean} on */
const hold = (page, on) => page.evaluate((on) => (on ? Object.assign(globalThis, { hold: true }) && undefined : /** @type {any} */ (globalThis).release()), on);
/** Calls a figure's `run`, and keeps how it ends in `globalThis.ended`. @param {Page} page */
const run = (page) => page.evaluate(() => {
  const node = /** @type {Element} */ (document.querySelector("microtome-figure"));
  Object.assign(globalThis, { ended: null });
  void node.run().then(() => "result", ({ code }) => code).then((ended) => Object.assign(globalThis, { ended }));
});
/** @param {Page} page */
const ended = async (page) => {
  await page.waitForFunction(() => /** @type {any} */ (globalThis).ended !== null);
  return page.evaluate(() => /** @type {any} */ (globalThis).ended);
};
/** Two pictures drawn, and what they left to do. @param {Page} page */
const settled = (page) => page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(resolve, 50)))));

/** @param {Tools} tools */
export async function figureRunChecks({ host, folder, recorded, figure, page: html, asked, onBlog }) {
  const name = (/** @type {string} */ text) => `embed: ${text}`;
  const queued = "Waiting for its turn …";

  /** The model's weights come when they are released. */
  const slowWeights = () => {
    const state = { release: () => {}, gone: 0 };
    const held = new Promise((resolve) => { state.release = () => resolve(undefined); });
    host.answers[WEIGHTS] = async (response) => {
      const bytes = await readFile(join(folder, WEIGHTS));
      response.on("close", () => { state.gone += Number(!response.writableFinished); });
      response.writeHead(200, { "content-length": bytes.length }).write(bytes.subarray(0, 1000));
      await held;
      response.end(bytes.subarray(1000));
    };
    return state;
  };

  await check(name("Cancel ends the download, and a later click downloads again"), onBlog({ "/": html(figure(recorded.ablation)) }, async (page) => {
    const weights = slowWeights();
    try {
      await page.getByRole("button", { name: /Run live/ }).click();
      await page.getByText(/^Loading the model/).waitFor();
      await page.getByRole("button", { name: "Cancel" }).click();
      await page.getByText("Cancelled.", { exact: true }).waitFor();
      for (let i = 0; i < 50 && !weights.gone; i++) await page.waitForTimeout(100);
      ensure(weights.gone === 1, "the download goes on when nobody wants it");
      ensure(!(await page.locator(".error").textContent()) && !(await seen(page)).length, "a cancelled run says something");
    } finally {
      weights.release();
      delete host.answers[WEIGHTS];
    }
    await page.getByRole("button", { name: /Run live/ }).click();
    await page.getByText(/^Live: pronoun/).waitFor();
  }, { init }));

  await check(name("cancel() in the middle of a run: it ends at once, nothing comes of it, and the next run works"), onBlog({ "/": html(figure(recorded.ablation)) }, async (page) => {
    await page.locator("canvas").waitFor();
    await hold(page, true);
    await run(page);
    await page.getByText(queued).waitFor();
    await page.evaluate(() => /** @type {Element} */ (document.querySelector("microtome-figure")).cancel());
    ensure(await ended(page) === "run.cancelled", "it ends otherwise");
    await page.getByText("Cancelled.", { exact: true }).waitFor();
    await hold(page, false);
    await run(page);
    ensure(await ended(page) === "result", "the next run does not work");
    ensure((await seen(page)).filter(([type]) => type === "result").length === 1, "a cancelled run has a result");
  }, { init }));

  await check(name("an engine that ends is replaced by the next click"), onBlog({ "/": html(figure(recorded.ablation)) }, async (page) => {
    await page.getByRole("button", { name: /Run live/ }).click();
    await page.getByText(/^Live: pronoun/).waitFor();
    await page.evaluate(async (url) => {
      const { withLab } = await import(`${url}embed/live.js`);
      const wanted = { model: "./models/pronoun/", backend: "cpu", allowHosts: [] };
      await withLab(wanted, { onProgress() {}, onNotice() {} }, new AbortController().signal, async (/** @type {any} */ lab) => lab.close());
    }, host.url);
    ensure(asked("/worker.js") === 1, "the check has an engine of its own");
    await run(page);
    ensure(await ended(page) === "result", "it fails until the page is loaded again");
  }, { init }));

  await check(name("removed in the middle of a run: cancelled; moved: it goes on, with its heading"), onBlog({ "/": html(`<div id=elsewhere></div>${figure(recorded.ablation)}`) }, async (page) => {
    await page.locator("canvas").waitFor();
    const heading = await page.locator(".title").innerText();
    await hold(page, true);
    await run(page);
    await page.getByText(queued).waitFor();
    await page.evaluate(() => document.querySelector("#elsewhere")?.append(/** @type {Element} */ (document.querySelector("microtome-figure"))));
    await settled(page);
    ensure(await page.locator(".title").innerText() === heading && heading.startsWith("Logit difference"), "the heading is gone");
    await hold(page, false);
    ensure(await ended(page) === "result", "a figure that was moved was cancelled");
    await hold(page, true);
    await run(page);
    await page.getByText(queued).waitFor();
    await page.evaluate(() => {
      const node = /** @type {Element} */ (document.querySelector("microtome-figure"));
      Object.assign(globalThis, { node });
      node.remove();
    });
    ensure(await ended(page) === "run.cancelled", "a figure that was removed runs on");
    await hold(page, false);
    await page.evaluate(() => document.body.append(/** @type {any} */ (globalThis).node));
    await run(page);
    ensure(await ended(page) === "result" && (await seen(page)).filter(([type]) => type === "result").length === 2, "put back, it does not run");
  }, { init }));

  await check(name("show() in the middle of a run: nothing of the old one is seen, and JSON is taken as text too"), onBlog({ "/": html(figure(recorded.ablation)) }, async (page) => {
    await page.locator("canvas").waitFor();
    await hold(page, true);
    await run(page);
    await page.getByText(queued).waitFor();
    await page.evaluate((json) => /** @type {Element} */ (document.querySelector("microtome-figure")).show(json), JSON.stringify(recorded.patching));
    ensure(await ended(page) === "run.cancelled", "the old run goes on");
    await hold(page, false);
    await settled(page);
    ensure(await page.locator(".title").innerText() === recorded.patching.figure.title, "another figure is drawn");
    ensure(await page.locator(".words").innerText() === "Recorded with the model pronoun", `it says “${await page.locator(".words").innerText()}”`);
    ensure(!(await seen(page)).some(([type]) => type !== "ready"), "the old run has events");
    await run(page);
    ensure(await ended(page) === "result", "the new one does not run");
    ensure(JSON.stringify((await seen(page)).at(-1)) === JSON.stringify(["result", recorded.patching.experiment.clean]), JSON.stringify(await seen(page)));
    const thrown = await page.evaluate(() => {
      try {
        return /** @type {Element} */ (document.querySelector("microtome-figure")).show("{");
      } catch (error) {
        return /** @type {any} */ (error).code;
      }
    });
    ensure(thrown === "figure.json" && await page.locator(".title").innerText() === recorded.patching.figure.title, "what cannot be shown takes its place");
  }, { init }));

  await check(name("in the middle of a run it leaves the screen: for a moment, and it goes on; for long, and it begins anew when it is back"), onBlog({
    "/": html(`<div id=space></div>${figure(recorded.ablation)}`, "<style>#space { height: 3000px }</style>"),
  }, async (page) => {
    const scroll = (/** @type {number} */ y) => page.evaluate((y) => scrollTo(0, y), y);
    const runs = () => page.evaluate(() => /** @type {any} */ (globalThis).held.length);
    await page.locator("canvas").waitFor();
    await hold(page, true);
    await scroll(3000);
    await run(page);
    await page.getByText(queued).waitFor();
    await scroll(0);
    await page.waitForTimeout(1500);
    ensure(await page.locator(".words").innerText() === queued, "it gives up at once");
    await scroll(3000);
    await page.waitForTimeout(500);
    ensure(await runs() === 1 && await page.locator(".words").innerText() === queued, "a short scroll has begun the run anew");
    await scroll(0);
    await page.getByText("Goes on when it is on the screen").waitFor();
    await hold(page, false);
    await page.waitForTimeout(3000);
    ensure(!(await seen(page)).some(([type]) => type === "result"), "it computes off the screen");
    await scroll(3000);
    ensure(await ended(page) === "result", "it does not begin anew");
  }, { init }));

  await check(name("a click before `src` has arrived waits for it; a late one does not take the place of show(); a bad one is mended by another"), async () => {
    /** @type {() => void} */
    let arrive = () => {};
    const slow = { "/slow.json": async (/** @type {import("node:http").ServerResponse} */ response) => {
      await new Promise((resolve) => { arrive = () => resolve(undefined); });
      answer("application/json", JSON.stringify(recorded.ablation))(response, /** @type {any} */ (null));
    } };
    const late = '<microtome-figure backend=cpu src="/slow.json"></microtome-figure>';
    await onBlog({ "/": html(late) }, async (page, blog) => {
      Object.assign(blog.answers, slow);
      await page.goto(page.url());
      await page.getByRole("button", { name: /Run live/ }).click();
      await settled(page);
      ensure(await page.locator("figure").getAttribute("data-status") === "running", await page.locator(".error").innerText());
      arrive();
      await page.getByText(/^Live: pronoun/).waitFor();
    }, { init })();
    await onBlog({ "/": html(late), "/new.json": JSON.stringify(recorded.attention) }, async (page, blog) => {
      Object.assign(blog.answers, slow);
      await page.goto(page.url());
      await settled(page);
      await page.evaluate((spec) => /** @type {Element} */ (document.querySelector("microtome-figure")).show(spec), recorded.patching);
      const response = page.waitForResponse(/slow\.json/);
      arrive();
      await response;
      await settled(page);
      ensure(await page.locator(".title").innerText() === recorded.patching.figure.title, "a late src took the place of what was shown");
      const set = (/** @type {string} */ src) => page.evaluate((src) => document.querySelector("microtome-figure")?.setAttribute("src", src), src);
      await set("http://[");
      await page.getByRole("alert").getByText("is no address").waitFor();
      await set("/new.json");
      await page.getByText("Attention pattern of head L0H6").waitFor();
      ensure(!(await page.locator(".error").textContent()), "the error of the last address stays");
    }, { init })();
  // The pages are opened once before their server has the slow answer.
  }, /404/);

  await check(name("JSON inside the element: read by a script with `async`, and put there later"), async () => {
    const long = figure({ ...recorded.ablation, note: "x".repeat(300_000) });
    await onBlog({ "/": `<!doctype html><html lang=en><meta charset=utf-8><title>A blog</title><link rel=icon href=data:,><script type=module async src="${host.url}element.js"></script><body>${long}` }, async (page) => {
      await page.locator("canvas").waitFor();
      ensure(!(await page.locator(".error").textContent()), "it was read by halves");
    }, { init })();
    await onBlog({ "/": html("<microtome-figure backend=cpu></microtome-figure>") }, async (page) => {
      await page.getByRole("button", { name: /Run live/ }).click();
      await page.getByRole("alert").getByText("The figure has no experiment").waitFor();
      await page.evaluate((json) => {
        const script = document.createElement("script");
        script.type = "application/json";
        document.querySelector("microtome-figure")?.append(script);
        script.textContent = json;
      }, JSON.stringify(recorded.ablation));
      await page.locator("canvas").waitFor();
      ensure(!(await page.locator(".error").textContent()), "the error stays");
    }, { init })();
  });

  await check(name("attributes that change later, and the theme that an author chooses"), onBlog({ "/": html(figure(recorded.ablation, 'theme="light"')) }, async (page) => {
    await page.locator("canvas").waitFor();
    const set = (/** @type {string} */ key, /** @type {string} */ value) => page.evaluate(([key, value]) => document.querySelector("microtome-figure")?.setAttribute(key, value), [key, value]);
    const paper = () => page.locator("figure").evaluate((node) => getComputedStyle(node).backgroundColor);
    ensure(await paper() === "rgb(255, 255, 255)", `light is ${await paper()}`);
    const canvas = () => page.locator("canvas").evaluate((node) => /** @type {HTMLCanvasElement} */ (node).toDataURL());
    const light = await canvas();
    await set("theme", "dark");
    ensure(await paper() === "rgb(27, 31, 37)" && await canvas() !== light, "dark is not dark");
    await set("theme", "auto");
    ensure(await paper() === "rgb(27, 31, 37)", "auto is not as the system is");
    await set("heading", "Another heading");
    await set("caption", "Another caption");
    ensure(await page.locator(".title").innerText() === "Another heading" && await page.locator("figcaption").innerText() === "Another caption", "the words stay");
    await page.evaluate(() => document.querySelector("microtome-figure")?.removeAttribute("heading"));
    ensure(await page.locator(".title").innerText() === recorded.ablation.figure.title, "its own heading does not come back");
    await hold(page, true);
    await run(page);
    await page.getByText(queued).waitFor();
    await set("model", "hf:openai-community/gpt2");
    ensure(await ended(page) === "run.cancelled", "a run of the former model goes on");
    await page.getByRole("button", { name: /^Run live \(5(49\.6|50) MB\)$/ }).waitFor();
    await set("model", "hf:some/body");
    await page.getByRole("button", { name: /^Run live/ }).waitFor();
    await hold(page, false);
  }, { init, options: { colorScheme: "dark" } }));

  await check(name("figures that a page removes are forgotten by the system's theme"), onBlog({ "/": html(figure(recorded.ablation)) }, async (page) => {
    await page.locator("canvas").waitFor();
    const count = () => page.evaluate(() => /** @type {any} */ (globalThis).listeners);
    ensure(await count() === 1, `${await count()} listeners for one figure`);
    await page.evaluate(() => document.querySelector("microtome-figure")?.remove());
    ensure(await count() === 0, "it is still listened for");
  }, { init: () => {
    let all = 0;
    const { addEventListener: add, removeEventListener: remove } = MediaQueryList.prototype;
    Object.assign(MediaQueryList.prototype, {
      addEventListener(/** @type {any[]} */ ...rest) { all += 1; add.apply(this, /** @type {any} */ (rest)); },
      removeEventListener(/** @type {any[]} */ ...rest) { all -= 1; remove.apply(this, /** @type {any} */ (rest)); },
    });
    Object.defineProperty(globalThis, "listeners", { get: () => all });
  } }));

  await check(name("two models in a page: an engine for each, and the buttons say what is there"), onBlog({
    "/": html(figure(recorded.ablation) + figure(recorded.patching) + figure(recorded.ablation, 'model="./other/"')),
  }, async (page) => {
    Object.assign(host.answers, serveFolder("/other/", join(folder, "models/pronoun")));
    const says = () => page.getByRole("button").allInnerTexts();
    await page.locator("canvas").nth(2).waitFor();
    ensure(/MB/.test((await says())[1]), (await says()).join());
    const results = await page.evaluate(() => Promise.all([...document.querySelectorAll("microtome-figure")].slice(0, 1).map((node) => /** @type {Element} */ (node).run())));
    ensure(results.length === 1 && (await page.locator("microtome-figure").nth(1).getByRole("button").first().innerText()) === "Run live", `the neighbour says ${(await says()).join()}`);
    ensure((await page.locator("microtome-figure").nth(2).getByRole("button").first().innerText()) === "Run live (the model)", `the other model says ${(await says()).join()}`);
    await page.evaluate(() => Promise.all([...document.querySelectorAll("microtome-figure")].map((node) => /** @type {Element} */ (node).run())));
    ensure(asked("/worker.js") === 2, `${asked("/worker.js")} engines for two models`);
    ensure(asked("/pronoun/model.safetensors") === 1 && asked("/other/model.safetensors") === 1, "a model was fetched again");
    ensure((await page.evaluate(() => JSON.parse(localStorage.getItem("microtome.embedded") ?? "[]"))).length === 2, "what is stored is not remembered");
  }, { init, options: { viewport: { width: 1100, height: 3000 } } }));

  await check(name("a model that could not be stored is not promised to the next visit"), onBlog({ "/": html(figure(recorded.ablation)) }, async (page) => {
    await page.getByRole("button", { name: /Run live/ }).click();
    await page.getByText(/^Live: pronoun/).waitFor();
    await page.getByText(/The model is kept in memory/).waitFor();
    await page.reload();
    await page.getByRole("button", { name: /^Run live \(2\.[7-9] MB\)$/ }).waitFor();
  }, { init: () => {
    // Without a worker the engine stores from the page, whose stores can be refused.
    Object.defineProperty(globalThis, "Worker", { get() { throw new DOMException("refused", "SecurityError"); } });
    Object.defineProperty(globalThis, "indexedDB", { get() { throw new DOMException("refused", "SecurityError"); } });
    Object.defineProperty(Navigator.prototype, "storage", { get() { throw new DOMException("refused", "SecurityError"); } });
  } }));

  await check(name("an author's https:// model is fetched without a question"), onBlog({ "/": html(figure(recorded.ablation, 'model="https://models.example/pronoun/"')) }, async (page) => {
    await page.context().route("https://models.example/**", async (route) => {
      const body = await readFile(join(folder, "models", new URL(route.request().url()).pathname)).catch(() => null);
      await route.fulfill({ status: body ? 200 : 404, headers: { "access-control-allow-origin": "*", ...(body ? { "content-length": String(body.length) } : {}) }, body: body ?? "" });
    });
    await page.getByRole("button", { name: /Run live/ }).click();
    await page.getByText(/^Live: pronoun/).waitFor();
  }, { init }), /404/);

  await check(name("the link to the lab: by default, and where a script or white space lies inside, but not beside an author's own"), onBlog({
    "/": html(`<microtome-figure id=bare>\n  <script type="application/json">${JSON.stringify(recorded.ablation)}</script>\n</microtome-figure>
      <microtome-figure id=own src="/f.json"><a href="https://blog.example/">My notes</a></microtome-figure>
      <microtome-figure id=odd src="/f.json"><a id=nowhere>A word</a></microtome-figure>
      <microtome-figure id=lab src="/f.json" lab="https://lab.example/here/"></microtome-figure>`), "/f.json": JSON.stringify(recorded.ablation),
  }, async (page) => {
    await page.locator("canvas").nth(3).waitFor();
    const link = (/** @type {string} */ id) => page.locator(`#${id}`).getByRole("link", { name: "Open in the lab" });
    ensure(await link("bare").isVisible() && await link("odd").isVisible() && !(await link("own").isVisible()), "the wrong figures have the link");
    ensure(await link("bare").getAttribute("href") === host.url && await link("lab").getAttribute("href") === "https://lab.example/here/", "it leads elsewhere");
    await page.locator("#nowhere").hover();
    await page.getByRole("link", { name: "My notes" }).hover();
    await link("lab").hover();
    await page.waitForFunction(() => /** @type {any} */ (document.querySelector("#lab"))?.shadowRoot.querySelector("a.open").hash.includes("s=ablate"));
    ensure(await page.getByRole("link", { name: "My notes" }).getAttribute("href") === "https://blog.example/", "an author's link was changed");
  }));
}
