// The whole page with a finger alone, on a screen of a phone: every control is large enough, nothing is wider than the screen.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { check, ensure, newPage } from "./harness.mjs";
import { allSettled, part, settled } from "./lab_page.mjs";
import { longSweep } from "./keyboard.mjs";
import { layout } from "../../www/draw/heatmap.js";

/** @typedef {import("playwright-core").Page} Page */

const PHONE = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 3, hasTouch: true, isMobile: true, acceptDownloads: true,
  permissions: ["clipboard-read", "clipboard-write"] };
/** CSS pixels that a finger hits. */
const TARGET = 24;

/** @param {import("playwright-core").Browser} browser @param {string} url @param {string} shots */
export async function fingerChecks(browser, url, shots) {
  const name = (/** @type {string} */ text) => `everyone: fingers: ${text}`;
  await check(name("a task, a prompt, a head, a cell and the run behind it, a long table, a sweep cancelled, a patch, a file, a link, undo"), () => wholeRun(browser, url, shots));
  for (const path of ["", "workshop.html", "handout.html", "article.html", "bench.html", "embed.html#s=patch"]) {
    await check(name(`${path || "the lab"}: every control can be hit, nothing is wider than the screen`), async () => {
      const page = await newPage(browser, PHONE);
      await page.goto(url + path);
      if (path === "") await opened(page);
      else await page.locator("h1, microtome-figure").first().waitFor();
      await fits(page);
      await page.context().close();
    });
  }
}

/** Opens every box of the lab's page. @param {Page} page */
export async function opened(page) {
  await allSettled(page);
  await page.locator("#training").scrollIntoViewIfNeeded();
  // The visitor's own files have no training.
  await page.waitForFunction(() => {
    const { store } = /** @type {any} */ (globalThis).microtome;
    return store.get("model").address === "local" || store.get("training").job.value !== null;
  });
  for (const summary of await page.locator("summary:visible").all()) if (!(await summary.evaluate((node) => /** @type {any} */ (node.parentElement).open))) await summary.click();
  await page.waitForFunction(() => [...document.querySelectorAll(".export[open]")].every((menu) => menu.querySelector("button"))
    && [...document.querySelectorAll(".numbers[open]")].every((box) => !box.checkVisibility() || box.querySelector("table")));
}

/** Nothing is wider than the screen, and every control is large enough. @param {Page} page */
async function fits(page) {
  const { content, screen, small } = await page.evaluate((least) => {
    /** What a tap may hit: a control and its label. @param {Element} node */
    const area = (node) => {
      const labels = [.../** @type {any} */ (node).labels ?? []];
      // A radio button of a bar is its label.
      const boxes = (node.matches(".bar input") ? labels : node.matches("[type=checkbox], [type=radio]") ? [node, ...labels] : [node]).map((part) => part.getBoundingClientRect());
      const [left, top] = [Math.min(...boxes.map(({ left }) => left)), Math.min(...boxes.map(({ top }) => top))];
      return { width: Math.max(...boxes.map(({ right }) => right)) - left, height: Math.max(...boxes.map(({ bottom }) => bottom)) - top };
    };
    const roots = [document, ...[...document.querySelectorAll("microtome-figure")].map((node) => /** @type {any} */ (node).shadowRoot)];
    const small = roots.flatMap((root) => [...root.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")]).filter((node) => {
      if (!node.checkVisibility({ visibilityProperty: true, opacityProperty: !node.matches(".bar input") }) || node.matches(".jump")) return false;
      // Links in a sentence are as high as its line.
      if (node.localName === "a" && getComputedStyle(node).display === "inline" && node.parentElement?.textContent?.trim() !== node.textContent?.trim()) return false;
      const { width, height } = area(node);
      return width < least - 0.1 || height < least - 0.1;
    }).map((node) => `${node.localName}.${node.className} “${(node.getAttribute("aria-label") ?? node.textContent ?? "").slice(0, 30)}” ${Math.round(area(node).width)} × ${Math.round(area(node).height)}`);
    return { content: document.documentElement.scrollWidth, screen: innerWidth, small };
  }, TARGET);
  ensure(content <= screen, `the page is ${content} px wide on a screen of ${screen} px`);
  ensure(!small.length, `too small: ${small.join("; ")}`);
}

/** @param {import("playwright-core").Browser} browser @param {string} url @param {string} shots */
async function wholeRun(browser, url, shots) {
  const page = await newPage(browser, PHONE);
  await page.goto(url);
  await allSettled(page);
  const inputs = async (/** @type {string} */ key) => (await part(page, key)).inputs;
  const button = (/** @type {string} */ section, /** @type {string | RegExp} */ name) => page.locator(section).getByRole("button", { name, exact: true }).first();
  const wide = async () => ensure(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page is wider than the screen");

  // The engine and a task.
  await page.locator("#model").getByText("CPU", { exact: true }).first().tap();
  await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome.store.get("model").info?.engine.backend === "cpu");
  await allSettled(page);
  await page.locator(".task", { hasText: "Indirect objects" }).tap();
  ensure((await inputs("predict")).prompt !== "Mary is a great friend, isn’t", "the task changed nothing");
  await allSettled(page);

  // A prompt.
  await page.locator("#predict").getByLabel("Prompt", { exact: true }).tap();
  await page.keyboard.press("Control+a");
  await page.keyboard.insertText("Tom is a great friend, isn’t");
  await page.waitForFunction(() => {
    const { job } = /** @type {any} */ (globalThis).microtome.store.get("predict");
    return job.status === "done" && job.value.experiment.prompt.startsWith("Tom");
  });

  // A head is kept, and let go.
  const view = async () => (await part(page, "attention")).view;
  const sheet = page.locator("#attention canvas").first();
  await sheet.tap({ position: { x: 60, y: 60 } });
  ensure((await view()).locked, "a tap keeps no head");
  await sheet.tap({ position: { x: 60, y: 60 } });
  ensure(!(await view()).locked, "a second tap does not let it go");

  // A cell says its value; the second tap opens the run behind it.
  const section = page.locator("#ablate");
  const canvas = section.locator("canvas").first();
  const cell = async (/** @type {number} */ row, /** @type {number} */ col) => {
    const { figure } = (await part(page, "ablate")).job.value;
    const at = layout(figure, { width: await canvas.evaluate((node) => /** @type {HTMLElement} */ (node.parentElement).clientWidth), ratio: 3 });
    return { x: at.plot.x + (col + 0.5) * at.cell.w, y: at.plot.y + (row + 0.5) * at.cell.h };
  };
  const readout = section.locator(".readout").first();
  await canvas.tap({ position: await cell(1, 2) });
  ensure((await readout.innerText()).startsWith("Layer 1, head 2:"), await readout.innerText());
  ensure(!(await section.locator(".behind").count()), "the first tap opens a run");
  await canvas.tap({ position: await cell(1, 2) });
  await section.locator(".behind canvas:visible").waitFor();
  ensure((await section.locator(".behind h4").innerText()).startsWith("L1H2"), await section.locator(".behind h4").innerText());
  await wide();
  await page.screenshot({ path: join(shots, "everyone-phone-behind.png") });
  await section.locator(".behind").getByRole("button", { name: "Close" }).tap();

  // A long table scrolls under the finger.
  await section.locator(".numbers summary").first().tap();
  const list = section.locator(".numbers .scroll").first();
  await list.locator("tbody tr").first().waitFor();
  await list.evaluate((node) => node.scrollIntoView({ block: "center" }));
  const box = await list.boundingBox();
  ensure(box, "the table is not shown");
  const cdp = await page.context().newCDPSession(page);
  const before = await page.evaluate(() => scrollY);
  const finger = (/** @type {"touchStart" | "touchMove" | "touchEnd"} */ type, y = 0) =>
    cdp.send("Input.dispatchTouchEvent", { type, touchPoints: type === "touchEnd" ? [] : [{ x: box.x + 60, y }] });
  await finger("touchStart", box.y + 300);
  for (let step = 1; step <= 10; step++) await finger("touchMove", box.y + 300 - 20 * step);
  await finger("touchEnd");
  await page.waitForFunction(() => /** @type {Element} */ (document.querySelector("#ablate .numbers .scroll")).scrollTop > 50);
  ensure((await page.evaluate(() => scrollY)) === before, "the page scrolls in place of the table");
  // A tap while it still glides would only stop it.
  await page.waitForFunction(() => {
    const [table, seen] = [/** @type {Element} */ (document.querySelector("#ablate .numbers .scroll")), /** @type {any} */ (globalThis)];
    const still = seen.glided === table.scrollTop;
    seen.glided = table.scrollTop;
    return still;
  }, null, { polling: 200 });
  await wide();

  // A sweep that takes long, and its end.
  await section.getByText("All of the prompt grid", { exact: true }).tap();
  await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome.store.get("ablate").inputs.batch === "grid");
  await section.getByText("Another prompt’s", { exact: true }).tap();
  await button("#ablate", "Use the prompt grid’s").tap();
  await section.getByLabel("Reference prompts, one a line").tap();
  const { references, metric } = await inputs("ablate");
  await page.keyboard.press("Control+End");
  await page.keyboard.insertText(`\n${references[metric]}`.repeat(15));
  if (await longSweep(page)) await button("#ablate", "Run").tap();
  await section.locator(".status progress[value]").waitFor();
  await button("#ablate", "Cancel").tap();
  await settled(page, "ablate", "cancelled");
  await wide();

  // A patch.
  await page.locator("#patch").getByLabel("Patched").selectOption("get_act_patch_mlp_out");
  await page.waitForFunction(() => {
    const { job } = /** @type {any} */ (globalThis).microtome.store.get("patch");
    return job.status === "done" && job.fresh && job.value.result.experiment.places?.[0]?.site !== "resid_pre" && !JSON.stringify(job.value.result.experiment).includes("resid_pre");
  });
  // A file, and a link.
  await page.locator("#patch .export > summary").tap();
  const [download] = await Promise.all([page.waitForEvent("download"), button("#patch", "CSV").tap()]);
  ensure((await readFile(await download.path(), "utf8")).startsWith("layer,"), "the file is no CSV");
  await button("#patch", /^Copy a link/).tap();
  const saying = page.locator(".saying");
  await saying.waitFor();
  const { y } = await saying.boundingBox() ?? { y: NaN };
  ensure(y >= 0 && y < 740, `what is said of the link stands at ${y}, out of sight`);
  await page.screenshot({ path: join(shots, "everyone-phone-link.png") });
  await saying.getByRole("button", { name: "Close" }).tap();
  ensure((await page.evaluate(() => navigator.clipboard.readText())).startsWith(`${url}#`), "the link is not in the clipboard");
  // Undo.
  await button(".tools", "Undo").tap();
  ensure((await inputs("patch")).what === "get_act_patch_resid_pre", "undo does nothing");
  await page.context().close();
}
