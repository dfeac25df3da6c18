// The whole page with the keyboard alone: no mouse, and no focus that was not reached with Tab, Shift+Tab or a key of the
// page's own. At every stop there is a name for who does not see it, and a mark for who does.
import { readFile } from "node:fs/promises";
import { check, ensure, newPage } from "./harness.mjs";
import { allSettled, choose, part, settled } from "./lab_page.mjs";

/** @typedef {import("playwright-core").Page} Page */
/**
 * Where the keyboard is. `at`: the place in the document's order; `outline`: of what shows the focus, in CSS pixels.
 * @typedef {{ at: number, tag: string, kind: string, section: string, role: string, name: string, outline: number, box: string, seen: boolean }} Stop
 */

/** More presses of Tab than any page here has stops. */
const MOST = 1000;

/** @param {Page} page */
export async function keyboardOf(page) {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("Accessibility.enable");

  /** @returns {Promise<Stop | null>} null: on nothing */
  async function where() {
    const { result } = await cdp.send("Runtime.evaluate", { expression: "document.activeElement?.shadowRoot?.activeElement ?? document.activeElement" });
    const objectId = result.objectId ?? "";
    const { nodes } = await cdp.send("Accessibility.getPartialAXTree", { objectId, fetchRelatives: false });
    const { result: found } = await cdp.send("Runtime.callFunctionOn", { objectId, returnByValue: true, functionDeclaration: `function () {
      if (this === document.body) return null;
      // A radio button shows its focus on its label.
      const shown = this.matches(".bar input") ? this.nextElementSibling : this;
      const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(shown);
      const box = shown.getBoundingClientRect();
      const host = this.getRootNode().host;
      return { at: [...document.querySelectorAll("*")].indexOf(host ?? this), tag: this.localName, kind: this.localName + "." + this.className + "." + (this.getAttribute("type") ?? ""),
        section: this.closest("section")?.id ?? (this.closest(".sayings") ? "sayings" : this.closest("nav, header, aside")?.localName ?? ""),
        outline: outlineStyle === "none" || /, 0\\)$/.test(outlineColor) ? 0 : parseFloat(outlineWidth),
        box: [box.left, box.top, box.width, box.height].map(Math.round).join(),
        seen: box.width > 1 && box.height > 1 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth };
    }` });
    await cdp.send("Runtime.releaseObject", { objectId });
    if (!found.value) return null;
    return { ...found.value, role: nodes[0].role?.value ?? "", name: String(nodes[0].name?.value ?? "").trim() };
  }

  /** @param {string} after @returns {Promise<Stop>} */
  async function stopped(after) {
    let stop = await where();
    // What comes in above it, or the page that is still scrolling, may move it for a moment.
    for (let i = 0; stop && !stop.seen && i < 20; i++) {
      await page.waitForTimeout(50);
      stop = await where();
    }
    // What came in between the window's upper edge and it pushed it out: where the keyboard comes again, it must be in sight.
    if (stop && !stop.seen && after.endsWith("Tab")) {
      const [away, back] = after === "Tab" ? ["Shift+Tab", "Tab"] : ["Tab", "Shift+Tab"];
      await page.keyboard.press(away);
      await page.keyboard.press(back);
      const again = await where();
      ensure(again?.at === stop.at, `${away} and ${back} lead from “${stop.name}” to “${again?.name}”`);
      stop = again;
    }
    return good(stop, after);
  }

  /** @param {Stop | null} stop @param {string} after @returns {Stop} */
  function good(stop, after) {
    ensure(stop, `after ${after} the keyboard is nowhere`);
    ensure(stop.name, `${stop.kind} in “${stop.section}” has no name`);
    ensure(stop.outline >= 1, `the focus on “${stop.name}” (${stop.kind}) cannot be seen`);
    ensure(stop.seen, `“${stop.name}” has the keyboard and is out of sight, at ${stop.box}`);
    return stop;
  }

  /** @param {string} key */
  async function press(key) {
    await page.keyboard.press(key);
    return stopped(key);
  }

  /**
   * Goes on until there.
   * @param {RegExp} name @param {string} [section] @param {"Tab" | "Shift+Tab"} [key]
   */
  async function to(name, section, key = "Tab") {
    for (let i = 0; i < MOST; i++) {
      await page.keyboard.press(key);
      // Past the page's end lies the browser itself.
      if (await page.evaluate(() => document.activeElement === document.body)) continue;
      const stop = await stopped(key);
      if (name.test(stop.name) && (!section || stop.section === section)) return stop;
    }
    throw new Error(`${key} does not lead to ${name} in “${section}”`);
  }
  /** The next stop; null behind the last one. */
  async function next() {
    await page.keyboard.press("Tab");
    return (await page.evaluate(() => document.activeElement === document.body)) ? null : stopped("Tab");
  }

  /** Where a key leads to in the document's order; -1 is nowhere. @param {"Tab" | "Shift+Tab"} key */
  async function index(key) {
    await page.keyboard.press(key);
    return page.evaluate(() => (document.activeElement === document.body ? -1 : [...document.querySelectorAll("*")].indexOf(/** @type {Element} */ (document.activeElement))));
  }
  return { where, press, to, next, index, type: (/** @type {string} */ text) => page.keyboard.type(text) };
}

/**
 * @param {import("playwright-core").Browser} browser
 * @param {string} url
 */
export async function keyboardChecks(browser, url) {
  const name = (/** @type {string} */ text) => `everyone: keys: ${text}`;

  await check(name("every stop of the page with all of its boxes open: in the document's order, there and back, with a name and a mark that is seen"), () => everyStop(browser, url));
  await check(name("what goes away, or is drawn anew, hands the keyboard on"), () => handedOn(browser, url));
  await check(name("a task, a prompt, cells, the run behind one, its table, a head, a sweep cancelled, a patch, a file, a link, undo"), () => wholeRun(browser, url));
}

/** Waits for the ablation of thousands of runs. @param {Page} page @returns {Promise<boolean>} whether it waits for a click: an engine whose speed nobody knows yet begins */
export async function longSweep(page) {
  // What was typed last may not have been heard yet: the same has to be found twice.
  const found = await page.waitForFunction(() => {
    const seen = /** @type {any} */ (globalThis);
    const { job } = seen.microtome.store.get("ablate");
    const now = `${job.status} ${job.estimate?.runs}`;
    const still = now === seen.sweepSeen;
    seen.sweepSeen = now;
    return still && job.estimate?.runs > 10_000 && ["held", "running"].includes(job.status) && job.status;
  }, null, { timeout: 60_000, polling: 500 });
  return (await found.jsonValue()) === "held";
}

/** @param {import("playwright-core").Browser} browser @param {string} url */
async function wholeRun(browser, url) {
  const page = await newPage(browser, { permissions: ["clipboard-read", "clipboard-write"], acceptDownloads: true });
  await page.goto(url);
  await allSettled(page);
  const keys = await keyboardOf(page);
  const { press, to, type } = keys;
  const inputs = async (/** @type {string} */ key) => (await part(page, key)).inputs;

  // The engine, by its radio buttons.
  ensure((await press("Tab")).name === "Skip to the experiments", "the first stop is not the way past the rest");
  await to(/^(Automatic|GPU|CPU)$/, "model");
  while ((await keys.where())?.name !== "CPU") await press("ArrowRight");
  await page.waitForFunction(() => {
    const { status, info } = /** @type {any} */ (globalThis).microtome.store.get("model");
    return status === "ready" && info.engine.backend === "cpu";
  });
  await allSettled(page);

  // A task.
  await to(/^Indirect objects/, "aside", "Shift+Tab");
  await press("Enter");
  ensure((await inputs("predict")).prompt !== "Mary is a great friend, isn’t", "the task changed nothing");
  await allSettled(page);

  // A prompt.
  await to(/^Prompt$/, "predict");
  await press("Control+a");
  await type("Tom is a great friend, isn’t");
  await page.waitForFunction(() => {
    const { job } = /** @type {any} */ (globalThis).microtome.store.get("predict");
    return job.status === "done" && job.value.experiment.prompt.startsWith("Tom");
  });
  ensure((await page.locator("#predict .finding").innerText()).length > 10, "no answer is told");

  // A head: kept, and let go.
  const view = async () => (await part(page, "attention")).view;
  await to(/^Attention patterns of all heads/, "attention");
  for (const key of ["ArrowRight", "ArrowDown", "Enter"]) await press(key);
  ensure((await view()).locked && (await view()).head.layer === 1, "Enter keeps no head");
  await page.locator("#attention [role=status]", { hasText: "Layer 1, head 1, kept" }).waitFor({ state: "attached" });
  await press("Escape");
  ensure(!(await view()).locked, "Escape does not let go");

  // Cells, and the run behind one.
  await to(/./, "ablate");
  while ((await keys.where())?.role !== "grid") await press("Tab");
  for (const key of ["ArrowDown", "ArrowRight"]) await press(key);
  await page.locator("#ablate .body [role=status]", { hasText: /^Layer 0, head 1, .*rank \d+ of 32$/ }).first().waitFor({ state: "attached" });
  await press("Enter");
  await page.locator("#ablate .behind canvas:visible").waitFor();
  await to(/^Close$/, "ablate");
  ensure((await press("Enter")).role === "grid", "closing the run behind a cell does not lead back to the cells");

  // The table of the numbers.
  await to(/^Numbers as a table$/, "ablate");
  await press("Enter");
  await to(/^Value$/, "ablate");
  ensure((await press("Enter")).name === "Value", "sorting loses the keyboard");
  ensure((await page.locator("#ablate th[aria-sort=descending]").innerText()) === "Value", "the table is not sorted");

  // A sweep that takes long, and its end.
  await to(/^One prompt$/, "ablate", "Shift+Tab");
  await press("ArrowRight");
  await to(/^Zero$/, "ablate");
  for (const key of ["ArrowRight", "ArrowRight"]) await press(key);
  await to(/^Use the prompt grid’s$/, "ablate");
  await press("Enter");
  // So many that it takes seconds on any machine.
  await to(/^Reference prompts/, "ablate", "Shift+Tab");
  for (const key of ["Control+a", "Control+c", "ArrowRight"]) await press(key);
  for (let i = 0; i < 15; i++) for (const key of ["Enter", "Control+v"]) await press(key);
  const waits = await longSweep(page);
  await to(waits ? /^Run$/ : /^Cancel$/, "ablate");
  if (waits) ensure((await press("Enter")).name === "Cancel", "running leaves the keyboard on nothing");
  await page.locator("#ablate .status progress[value]").waitFor();
  ensure((await press("Enter")).name === "Run", "cancelling leaves the keyboard on nothing");
  await settled(page, "ablate", "cancelled");

  // A patch.
  await to(/^Patched$/, "patch");
  await press("ArrowDown");
  await page.waitForFunction(() => {
    const { job, inputs } = /** @type {any} */ (globalThis).microtome.store.get("patch");
    return inputs.what !== "get_act_patch_resid_pre" && job.status === "done" && job.fresh && job.value.result.experiment.sites?.[0] !== "resid_pre";
  });

  // A file.
  await to(/^Export: Where the answer travels$/, "patch");
  await press("Enter");
  await page.locator("#patch .export").getByRole("button", { name: "CSV" }).waitFor();
  await to(/^CSV$/, "patch");
  const [download] = await Promise.all([page.waitForEvent("download"), press("Enter")]);
  ensure((await readFile(await download.path(), "utf8")).startsWith("layer,"), "the file is no CSV");
  ensure((await press("Escape")).name.startsWith("Export:"), "Escape does not lead back to the menu");

  // A link to the section.
  await to(/^Copy a link to “Where the answer travels”$/, "patch", "Shift+Tab");
  await press("Enter");
  await page.locator(".saying").waitFor();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  ensure(link.startsWith(`${url}#`) && link.includes("patch"), link);
  await to(/^Close$/, "sayings", "Shift+Tab");
  await press("Enter");
  ensure(!(await page.locator(".saying").count()), "what was said stays");

  // Undo, with its keys and with its button.
  const patched = (await inputs("patch")).what;
  await press("Control+z");
  ensure((await inputs("patch")).what !== patched, "Control+Z undoes nothing");
  await to(/^Redo$/, "header", "Shift+Tab");
  await press("Enter");
  ensure((await inputs("patch")).what === patched, "redo does nothing");
  await to(/^Undo$/, "header", "Shift+Tab");
  await press(" ");
  ensure((await inputs("patch")).what !== patched, "undo does nothing");
  await page.context().close();
}

/** @param {import("playwright-core").Browser} browser @param {string} url */
async function everyStop(browser, url) {
  const page = await newPage(browser);
  await page.goto(url);
  await allSettled(page);
  // The two sections that come later come as soon as they are near.
  await page.locator("#training").scrollIntoViewIfNeeded();
  await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome.store.get("training").job.value !== null);
  await page.evaluate(() => scrollTo(0, 0));
  const keys = await keyboardOf(page);
  /** @type {number[]} */
  const order = [];
  /** Kinds of controls whose mark was looked at. @type {Map<string, string>} */
  const marks = new Map();
  for (let stop = await keys.next(); stop; stop = await keys.next()) {
    ensure(stop.at > (order.at(-1) ?? -1), `“${stop.name}” comes after what follows it in the document`);
    order.push(stop.at);
    ensure(order.length < MOST, `the keyboard is caught at “${stop.name}”`);
    if (stop.tag === "summary" && !(await page.evaluate(() => /** @type {any} */ (document.activeElement?.parentElement).open))) {
      await page.keyboard.press("Enter");
      await page.waitForFunction(() => /** @type {any} */ (document.activeElement?.parentElement).open && !/Loading/.test(document.activeElement?.nextElementSibling?.textContent ?? ""));
      // The document's order is another now.
      order[order.length - 1] = (await keys.where())?.at ?? NaN;
    }
    if (marks.has(stop.kind)) continue;
    const [x, y, width, height] = stop.box.split(",").map(Number);
    const clip = { x: Math.max(0, x - 6), y: Math.max(0, y - 6), width: Math.min(width, 600) + 12, height: Math.min(height, 400) + 12 };
    const held = await page.screenshot({ clip });
    // Tab goes on from where it was.
    await page.evaluate(() => /** @type {HTMLElement} */ (document.activeElement).blur());
    marks.set(stop.kind, stop.name);
    ensure(!held.equals(await page.screenshot({ clip })), `the focus on “${stop.name}” (${stop.kind}) changes no pixel`);
  }
  ensure(order.length > 150 && marks.size > 12, `only ${order.length} stops of ${marks.size} kinds`);
  // And back again. A summary was opened, so that what it holds was no stop before.
  const back = [];
  for (let at = await keys.index("Shift+Tab"); at >= 0; at = await keys.index("Shift+Tab")) {
    back.push(at);
    ensure(back.length < MOST, "the keyboard is caught on its way back");
  }
  const forth = [];
  for (let at = await keys.index("Tab"); at >= 0; at = await keys.index("Tab")) forth.push(at);
  ensure(JSON.stringify(back) === JSON.stringify(forth.toReversed()), `there ${forth.length} stops, back ${back.length}`);
  await page.context().close();
}

/** @param {import("playwright-core").Browser} browser @param {string} url */
async function handedOn(browser, url) {
  const page = await newPage(browser);
  await page.goto(url);
  await choose(page, "cpu");
  await allSettled(page);
  const keys = await keyboardOf(page);
  /** @param {string} section @param {string} button @param {RegExp} then where the keyboard is after it */
  const pressed = async (section, button, then) => {
    await page.locator(`#${section}`).getByRole("button", { name: button, exact: true }).first().focus();
    const { name } = await keys.press("Enter");
    ensure(then.test(name), `after “${button}” the keyboard is on “${name}”`);
  };
  await pressed("grid", "Remove Format 2", /^Format 2$/);
  await pressed("grid", "Add a format", /^Format \d+$/);
  await pressed("grid", "Remove John", /^Name \d+$/);
  await pressed("grid", "Add a name", /^Name \d+$/);
  await page.locator("#grid").getByText("A list of prompts", { exact: true }).click();
  await pressed("grid", "Remove Prompt 1", /^Prompt 1$/);
  await pressed("grid", "Add a prompt", /^Prompt \d+$/);
  await page.locator("#ablate").getByText("Sets of parts", { exact: true }).click();
  await pressed("ablate", "Remove Set 1", /^Set 1$/);
  await pressed("ablate", "Add a set", /^Set \d+$/);
  await page.locator("#heads").scrollIntoViewIfNeeded();
  await page.locator("#heads .heads tbody button").first().waitFor();
  // A new answer draws the list of heads anew while the keyboard is in it.
  // The recorded one makes room for the live one, which may list others.
  await settled(page, "heads");
  await page.locator("#heads .heads tbody button").first().focus();
  const at = (await keys.where())?.name;
  await page.evaluate(() => {
    const { store } = /** @type {any} */ (globalThis).microtome;
    store.update("ablate", { job: { ...store.get("ablate").job } });
  });
  const then = (await keys.where())?.name;
  ensure(then === at, `a new ablation takes the keyboard from “${at}” in the list of heads to “${then}”`);
  // Pages of a long table, to the end.
  await page.evaluate(() => {
    const { store } = /** @type {any} */ (globalThis).microtome;
    const { job } = store.get("patch");
    const labels = Array.from({ length: 40 }, (_, i) => `${i}`);
    const figure = { ...job.value.figure, rows: 40, cols: 40, row_axis: { title: "Layer", labels }, col_axis: { title: "Head", labels }, values: labels.flatMap(() => labels.map(Number)) };
    store.update("patch", { job: { ...job, value: { ...job.value, figure } } });
  });
  await page.locator("#patch .numbers summary").click();
  await pressed("patch", "Later rows", /^Later rows$/);
  for (let i = 0; i < 5 && !(await page.locator("#patch .pages button").last().isDisabled()); i++) await keys.press("Enter");
  ensure((await keys.where())?.name === "Earlier rows", `at the table’s end the keyboard is on ${JSON.stringify(await keys.where())}`);
  await page.context().close();
}
