// The page's first seconds: recorded results until the live ones are there, nothing big without a click, a start that asks
// where it should, and how soon there is something to see.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { check, ensure, newPage } from "./harness.mjs";
import { allSettled, coloursOf, COMPUTED, part, settled, type } from "./lab_page.mjs";
import { chooseTask, RECORDED, recordingOf } from "./recording.mjs";
import { answer, serve } from "./server.mjs";
import { emptyPaint, median, vitalsOf } from "./vitals.mjs";

/** @typedef {import("playwright-core").Page} Page */

/** Nothing larger is fetched without a click. */
const MOST_BYTES = 5e6;
/** Milliseconds until the first figure. */
const SOON = 1500;
/** How much may move: of the page as it opens, and in the middle of it on a phone, where tokens come with the model. */
const [STILL, NEARLY] = [0.01, 0.03];
/** How far down the first result begins, in CSS pixels; on the desktop all of it is on the first screen. */
const FIRST_RESULT = { desktop: { width: 1280, height: 800, top: 500, bottom: 800 }, phone: { width: 360, height: 740, top: 1480, bottom: 2220 } };
/** Milliseconds until an empty page is painted on a machine that has nothing else to do. */
const EMPTY = 150;
/** So many times that the limit is lengthened at most. */
const MOST_SLOWER = 4;

/**
 * @param {import("playwright-core").Browser} browser
 * @param {string} folder of a built site
 * @param {string} shots
 */
export async function firstChecks(browser, folder, shots) {
  const name = (/** @type {string} */ text) => `first: ${text}`;
  const site = await serve(folder);
  const wasm = ["/pkg/microtome_bg.wasm", "/pkg/threads/microtome_bg.wasm"];
  /** A page whose engine does not come before `release` is called. */
  const held = async (/** @type {Parameters<typeof newPage>[1]} */ options = {}) => {
    /** @type {(() => void)[]} */
    const waiting = [];
    for (const path of wasm) {
      site.answers[path] = (response) => void waiting.push(() => readFile(join(folder, path)).then((bytes) =>
        response.writeHead(200, { "content-type": "application/wasm", "content-length": bytes.length }).end(bytes)));
    }
    const page = await newPage(browser, options);
    await page.goto(site.url);
    return { page, release: () => {
      for (const path of wasm) delete site.answers[path];
      waiting.forEach((go) => go());
    } };
  };

  await check(name("before the engine is there every section shows a recorded result, and says so; live ones take its place"), async () => {
    const { page, release } = await held();
    for (const key of COMPUTED) {
      // The last sections come when they are near.
      if (key === "heads") await page.locator("#heads").scrollIntoViewIfNeeded();
      await page.locator(`#${key} .badge`).waitFor();
      const said = await page.locator(`#${key} .status`).innerText();
      ensure(/^recorded/.test(said) && said.endsWith("Live numbers follow.") && said.includes("pronoun") && /microtome \d/.test(said) && /20\d\d/.test(said), `${key} says “${said}”`);
    }
    for (const [key, canvases] of Object.entries({ grid: 1, attention: 2, ablate: 1, patch: 1, bias: 1 })) {
      for (let i = 0; i < canvases; i++) ensure((await coloursOf(page.locator(`#${key} canvas`).nth(i))) > 10, `canvas ${i} of ${key} is blank`);
    }
    ensure((await page.locator("#predict tbody tr").count()) === 10 && (await page.locator("#heads tbody tr").count()) === 10, "a table is short");
    const facts = await page.locator("#model .body").innerText();
    ensure(facts.startsWith("recorded") && facts.includes("4 layers × 8 heads"), `section 1 says “${facts}”`);
    await page.locator("#training").scrollIntoViewIfNeeded();
    await page.locator("#training .status .badge").waitFor();
    ensure((await page.locator("#training .lesson").innerText()).includes("pronouns appear between steps"), "section 9 tells nothing");
    // Its curves have a library of their own.
    await page.locator("#training .plot canvas").nth(3).waitFor();

    release();
    await allSettled(page);
    ensure((await page.locator("main .status .badge").count()) === 1, "a live result is still called recorded");
    for (const key of COMPUTED) ensure((await part(page, key)).job.recorded === null, `${key} is still recorded`);
    // The run over training waits for a click: what is recorded stays, as such, and the button is there.
    await settled(page, "training", "held");
    ensure(await page.locator("#training .badge").isVisible() && await page.locator("#training .plot canvas").first().isVisible(), "the recorded run is gone");
    await page.locator("#training").getByRole("button", { name: "Run over training" }).waitFor();
    await page.context().close();
  });

  await check(name("while the recorded results are on their way the page is there, and their sections come without moving it"), async () => {
    const page = await newPage(browser, { folded: true });
    /** @type {(() => void)[]} */
    const waiting = [];
    site.answers["/recorded/notebook.json"] = (response) => void waiting.push(() => readFile(join(folder, "recorded/notebook.json")).then((bytes) =>
      response.writeHead(200, { "content-type": "application/json" }).end(bytes)));
    await page.addInitScript(() => {
      const seen = { shift: 0, sections: false };
      Object.assign(globalThis, { seen });
      new PerformanceObserver((list) => list.getEntries().forEach((entry) => (seen.shift += /** @type {any} */ (entry).value))).observe({ type: "layout-shift", buffered: true });
      // The page without its sections, painted.
      requestAnimationFrame(function look() {
        if (document.querySelector(".task") && document.querySelector("main:empty")) seen.sections = true;
        else requestAnimationFrame(look);
      });
    });
    const going = page.goto(site.url);
    await page.waitForFunction(() => /** @type {any} */ (globalThis).seen?.sections);
    ensure(await page.locator("h1").isVisible() && (await page.locator(".task").count()) === 4 && (await page.locator("nav a").count()) === 9, "the page is not there");
    delete site.answers["/recorded/notebook.json"];
    waiting.forEach((go) => go());
    await going;
    await page.locator("#predict .prompt-tokens .chip").first().waitFor();
    await page.locator("footer").waitFor();
    await allSettled(page);
    const { shift } = await page.evaluate(() => /** @type {any} */ (globalThis).seen);
    ensure(shift < STILL, `layout shift ${shift}`);
    await page.context().close();
  });

  await check(name("a recorded result is shown as that of the inputs it belongs to, and no others"), async () => {
    const { page, release } = await held();
    await page.locator("#predict .badge").waitFor();
    // The last sections come when they are near.
    await page.locator("#heads").scrollIntoViewIfNeeded();
    // The tokens are those of the recorded result, as there is no engine to ask.
    await page.locator("#predict .prompt-tokens .chip.bos").waitFor();
    const before = await page.locator("#predict table.top").innerText();
    await type(page, "predict", { Prompt: "Tom is" });
    const older = page.locator("#predict .badge.older");
    await older.waitFor();
    ensure((await page.locator("#predict .status").innerText()).includes("Not of what is written above"), "it does not say that the inputs are others");
    ensure((await page.locator("#predict table.top").innerText()) === before, "the recorded result changed");
    ensure((await page.locator("#grid .badge.older").count()) === 0, "another section is marked, too");
    await type(page, "predict", { Prompt: "Mary is a great friend, isn’t" });
    await older.waitFor({ state: "detached" });
    await page.locator("#predict .badge").waitFor();
    await page.locator("#model").getByText("Raw weights").click();
    for (const key of COMPUTED) await page.locator(`#${key} .badge.older`).waitFor();
    await page.locator("#model").getByText("As TransformerLens").click();
    await page.waitForFunction(() => !document.querySelector(".badge.older"));
    await type(page, "predict", { Prompt: "Tom is" });
    release();
    await allSettled(page);
    const { job } = await part(page, "predict");
    ensure(job.value.experiment.prompt === "Tom is" && !job.recorded, "the live result is not that of the new prompt");
    await page.context().close();
  });

  await check(name("a task that is chosen before the engine is there shows its own recorded result"), async () => {
    const { page, release } = await held();
    await page.locator("#predict .badge").waitFor();
    for (const key of ["induction", "objects"]) {
      const sections = RECORDED[key].keys;
      await chooseTask(page, key);
      await page.waitForFunction((keys) => keys.every((key) => document.querySelector(`#${key} .badge:not(.older)`)), sections);
      const { inputs, job } = await part(page, "predict");
      ensure(job.recorded.same && job.value.experiment.prompt === inputs.prompt, `${key}: shown is ${job.value.experiment.prompt}`);
      const { job: patch, inputs: { clean } } = await part(page, "patch");
      ensure(patch.recorded.same && patch.value.result.experiment.clean === clean, `${key}: patched is another prompt`);
    }
    release();
    await allSettled(page);
    ensure((await part(page, "predict")).job.recorded === null, "the live result does not come");
    await page.context().close();
  });

  for (const file of Object.keys(RECORDED)) {
    await check(name(`what is recorded in ${file}.json is what the page computes`), async () => {
      const page = await newPage(browser);
      await page.goto(site.url);
      const kept = JSON.parse(await readFile(join(folder, `recorded/${file}.json`), "utf8"));
      const live = await recordingOf(page, file, kept.made);
      // The engine's build, and what it runs on, are the recorder's.
      kept.info.engine = live.info.engine;
      same(kept, JSON.parse(JSON.stringify(live)), file);
      await page.context().close();
    });
  }

  await check(name(`nothing over ${MOST_BYTES / 1e6} MB is fetched without a click`), async () => {
    const page = await newPage(browser);
    site.requests.length = 0;
    await page.goto(site.url);
    await allSettled(page);
    await page.locator("#training").scrollIntoViewIfNeeded();
    await page.locator("#training .badge").waitFor();
    const seen = (/** @type {string} */ end) => site.requests.some(({ path, bytes }) => path.endsWith(end) && bytes > 0);
    for (const end of ["main.js", "recorded/notebook.json", "microtome_bg.wasm", "model.safetensors"]) ensure(seen(end), `${end} is not in the log of requests`);
    const big = site.requests.filter(({ bytes }) => bytes > MOST_BYTES);
    ensure(!big.length, big.map(({ path, bytes }) => `${path}: ${bytes}`).join(", "));
    await page.context().close();
  });

  await check(name("a browser that saves data: recorded results, nothing of engine or model, and a button that loads them"), async () => {
    const page = await newPage(browser, { folded: true });
    await page.addInitScript(() => Object.defineProperty(navigator, "connection", { value: { saveData: true } }));
    site.requests.length = 0;
    await page.goto(site.url);
    await page.locator("#heads .badge").waitFor();
    const early = site.requests.map(({ path }) => path).filter((path) => /\.wasm$|^\/models\//.test(path));
    ensure(!early.length, `fetched: ${early}`);
    const said = await page.locator("#model .status").innerText();
    ensure(said.includes("save data") && said.includes("2.2 MB"), `it says “${said}”`);
    ensure(await page.locator("#model .models").first().isVisible(), "there is no other model to choose");
    for (const key of COMPUTED) {
      const said = await page.locator(`#${key} .status`).innerText();
      ensure(said.includes("Live numbers come once a model is loaded.") && !said.includes("follow"), `${key} says “${said}”`);
    }
    await page.locator("#model .status").screenshot({ path: join(shots, "first-saves-data.png") });
    await page.getByRole("button", { name: "Load the model" }).click();
    await allSettled(page);
    await page.context().close();
  });

  await check(name("a tab that died while it loaded asks before it loads again; one that was left does not"), async () => {
    const page = await newPage(browser);
    /** @type {() => void} */
    let asked = () => {};
    const loading = new Promise((resolve) => (asked = () => resolve(undefined)));
    for (const path of wasm) site.answers[path] = () => asked();
    await page.goto(site.url);
    await loading;
    for (const path of wasm) delete site.answers[path];
    await page.reload();
    await allSettled(page);
    ensure((await page.evaluate(() => sessionStorage.getItem("microtome.loading"))) === null, "the mark stays when the model is there");
    // A tab that the browser kills tells its page nothing: the mark is as it was while it loaded.
    await page.goto(`${site.url}pkg/build.json`);
    await page.evaluate(() => sessionStorage.setItem("microtome.loading", "1"));
    await page.goto(site.url);
    await page.locator("#heads .badge").waitFor();
    ensure(!(await page.locator("#grid .status").innerText()).includes("Live numbers follow"), "what does not come is promised");
    const { status, held } = await part(page, "model");
    ensure(status === "cancelled" && held === "crash", `it is ${status}, ${held}`);
    ensure((await page.locator("#model .status").innerText()).includes("closed by the browser"), "it does not say why");
    await page.getByRole("button", { name: "Load the model" }).click();
    await allSettled(page);
    await page.reload();
    await allSettled(page);
    await page.context().close();
  }, /404/); // the browser asks for an icon

  await check(name(`the first figure is there within ${SOON / 1000} s, and nothing moves`), async () => {
    /** @type {Awaited<ReturnType<typeof vitalsOf>>[]} */
    const all = [];
    const empty = [];
    site.answers["/empty"] = answer("text/html", "<!doctype html><link rel=icon href=data:,><title>Empty</title><p>Text");
    for (let i = 0; i < 5; i++) {
      all.push(await vitalsOf(browser, site.url, "desktop"));
      empty.push(await emptyPaint(browser, `${site.url}empty`));
    }
    // A machine that is busy with something else paints an empty page late, too; one that is too busy measures nothing.
    const slower = Math.min(MOST_SLOWER, Math.max(1, median(empty) / EMPTY));
    const of = (/** @type {"figure" | "paint" | "live" | "all" | "shift"} */ key) => median(all.map((one) => one[key]));
    console.log(`# first paint ${Math.round(of("paint"))} ms, first figure ${Math.round(of("figure"))} ms, first live result ${Math.round(of("live"))} ms, all live ${Math.round(of("all"))} ms, layout shift ${of("shift").toFixed(4)}; an empty page ${Math.round(median(empty))} ms`);
    ensure(of("figure") < SOON * slower, `it takes ${Math.round(of("figure"))} ms, an empty page ${Math.round(median(empty))} ms`);
    for (const { figure, live } of all) ensure(figure < live, `the first figure, after ${Math.round(figure)} ms, is not a recorded one: a live result came after ${Math.round(live)} ms`);
    for (const at of ["", "#attention", "#patch", "#training"]) {
      const found = at ? await vitalsOf(browser, site.url + at, "phone") : all[0];
      ensure(found.shift < (at ? NEARLY : STILL), `layout shift at “${at}”: ${found.shifts.join("; ")}`);
    }
  });

  for (const [device, { width, height, top, bottom }] of Object.entries(FIRST_RESULT)) {
    await check(name(`${device}: the first result begins within ${top} px, which model answers is one line, live as recorded`), async () => {
      const { page, release } = await held({ folded: true, viewport: { width, height }, ...(device === "phone" ? { deviceScaleFactor: 2, hasTouch: true, isMobile: true } : {}) });
      const look = async (/** @type {string} */ state) => {
        const table = await page.locator("#predict table.top").evaluate((node) => ({ top: node.getBoundingClientRect().top + scrollY, bottom: node.getBoundingClientRect().bottom + scrollY }));
        console.log(`# ${device}, ${state}: the first result is from ${Math.round(table.top)} to ${Math.round(table.bottom)} px of ${height}`);
        ensure(table.top <= top && table.bottom <= bottom, `${state}: it is from ${table.top} to ${table.bottom} px`);
        const figure = page.locator("#predict .glance canvas");
        if (device === "desktop") {
          const ends = await figure.evaluate((node) => node.getBoundingClientRect().bottom + scrollY);
          console.log(`# ${device}, ${state}: the first figure ends at ${Math.round(ends)} px`);
          ensure(ends <= height && (await coloursOf(figure)) > 10, `${state}: the first figure ends at ${ends} px, or is blank`);
        } else ensure(!(await figure.isVisible()), "the small sheet takes a phone's room");
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        ensure(wide <= 0, `${state}: the page is ${wide} px too wide`);
        await page.screenshot({ path: join(shots, `first-screen-${state}-${device}.png`) });
      };
      await page.locator("#predict .badge").waitFor();
      await look("recorded");
      release();
      await allSettled(page);
      await look("live");
      const line = page.locator("#model summary").first();
      ensure(/^Pronouns\s+1\.1 M parameters · 4 × 8 heads · CPU engine\s+Change model/.test(await line.innerText()), `the line says “${await line.innerText()}”`);
      if (device === "desktop") {
        await page.locator("#predict .glance").click();
        await page.waitForFunction(() => Math.abs(document.getElementById("attention")?.getBoundingClientRect().top ?? Infinity) < 100);
      }
      const list = page.locator("#model .models").first();
      ensure(!(await list.isVisible()), "the models are listed before they are asked for");
      // With the keyboard, as the browser's own control, whose state is read out.
      await line.focus();
      await page.keyboard.press("Enter");
      await list.waitFor();
      ensure((await page.locator("#model").ariaSnapshot()).includes("Models to choose from"), "the list has no name");
      await page.keyboard.press("Tab");
      ensure(await page.evaluate(() => document.activeElement?.closest("#model .fold > .controls") !== null), "Tab does not go on into the list");
      await page.locator("#model").screenshot({ path: join(shots, `first-models-${device}.png`) });
      await line.focus();
      await page.keyboard.press("Enter");
      await list.waitFor({ state: "hidden" });
      await page.getByRole("link", { name: "Model", exact: true }).click();
      await list.waitFor();
      await page.context().close();
    });
  }

  await check(name("the list of models opens by itself where the model cannot start"), async () => {
    const page = await newPage(browser, { folded: true });
    site.answers["/models/pronoun/model.safetensors"] = (response) => void response.writeHead(404).end();
    await page.goto(site.url);
    await page.locator("#model .error").waitFor();
    ensure(await page.locator("#model .models").first().isVisible(), "the models are still folded");
    ensure((await page.locator("#predict .badge").count()) === 1, "the recorded result is gone");
    ensure((await page.locator("#predict .status").innerText()).includes("once a model is loaded"), "live numbers are promised");
    delete site.answers["/models/pronoun/model.safetensors"];
    await page.locator("#model").getByRole("button", { name: "Load again" }).click();
    await allSettled(page);
    ensure(await page.locator("#model .models").first().isVisible(), "what is being used closed by itself");
    await page.context().close();
  }, /404/);

  for (const [look, options] of Object.entries({
    light: {}, dark: { colorScheme: /** @type {const} */ ("dark") }, phone: { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true },
  })) {
    await check(name(`${look}: the recorded page, not too wide`), async () => {
      const { page, release } = await held(options);
      await page.locator("#training").scrollIntoViewIfNeeded();
      await page.locator("#training .badge").waitFor();
      for (const key of ["model", "predict", "patch", "heads", "training"]) await page.locator(`#${key}`).screenshot({ path: join(shots, `first-${key}-${look}.png`) });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      ensure(wide <= 0, `the page is ${wide} px too wide`);
      release();
      await page.context().close();
    });
  }
  site.close();
}

/** Throws where two values differ by more than engines may. @param {any} kept @param {any} live @param {string} path */
function same(kept, live, path) {
  if (typeof kept === "number" && typeof live === "number") {
    ensure(Math.abs(kept - live) <= 2e-4 + 1e-4 * Math.abs(live), `${path}: ${kept} is recorded, ${live} is computed`);
  } else if (kept && live && typeof kept === "object" && typeof live === "object") {
    const names = Object.keys(kept).sort();
    ensure(names.join() === Object.keys(live).sort().join(), `${path}: recorded are ${names.slice(0, 20)}, computed ${Object.keys(live).slice(0, 20)}`);
    for (const name of names) same(kept[name], live[name], `${path}.${name}`);
  } else ensure(kept === live, `${path}: ${JSON.stringify(kept)} is recorded, ${JSON.stringify(live)} is computed`);
}
