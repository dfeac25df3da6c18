// Accessibility in both themes, sharpness, narrow screens, and a picture of every section.
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { check, ensure, newPage } from "./harness.mjs";
import { allSettled, part, recomputed, settled, type } from "./lab_page.mjs";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const SECTIONS = ["model", "predict", "grid", "attention", "ablate", "patch", "bias", "heads", "training"];
/** @type {Record<string, import("playwright-core").BrowserContextOptions>} */
const LOOKS = {
  light: { colorScheme: "light" },
  dark: { colorScheme: "dark" },
  phone: { colorScheme: "light", viewport: { width: 360, height: 740 }, deviceScaleFactor: 3, hasTouch: true, isMobile: true },
};

/**
 * @param {import("playwright-core").Browser} browser
 * @param {string} url
 * @param {string} slow a site with the stand-in engine, which is as slow as a check wants
 * @param {string} shots
 */
export async function lookChecks(browser, url, slow, shots) {
  /** What a run over training gave, which takes its time: it is drawn in every look. @type {any} */
  let trained = null;
  await mkdir(shots, { recursive: true });
  const axe = await readFile(AXE, "utf8");
  for (const [look, options] of Object.entries(LOOKS)) {
    // The page's policy refuses what axe does to the page; the policy itself is tested by every other check.
    const page = await newPage(browser, { ...options, bypassCSP: true });
    await check(`looks: ${look}: the page is drawn, nothing is wider than the screen`, async () => {
      await page.goto(url);
      await allSettled(page);
      await page.mouse.move(1, 1);
      const { content, screen } = await page.evaluate(() => ({ content: document.documentElement.scrollWidth, screen: innerWidth }));
      ensure(content <= screen, `the page is ${content} px wide on a screen of ${screen} px`);
      for (const id of SECTIONS) await page.locator(`#${id}`).screenshot({ path: join(shots, `${id}-${look}.png`) });
    });
    await check(`looks: ${look}: canvases have one pixel for each of the screen's`, async () => {
      const off = await page.locator("canvas:visible").evaluateAll((nodes) => nodes.map((node) => {
        const canvas = /** @type {HTMLCanvasElement} */ (node);
        return Math.abs(canvas.width - canvas.getBoundingClientRect().width * devicePixelRatio);
      }));
      ensure(off.length >= 6 && off.every((by) => by < 1.01), `off by ${off}`);
    });
    await check(`looks: ${look}: axe finds no violation`, async () => {
      for (const summary of await page.locator(".numbers summary:visible").all()) await summary.click();
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => /** @type {any} */ (globalThis).axe.run());
      ensure(!violations.length, violations.map((/** @type {any} */ v) => `${v.id}: ${v.nodes.map((/** @type {any} */ n) => n.target).join(" ")}`).join("; "));
    });
    await check(`looks: ${look}: a run over training: drawn, not too wide, and axe finds no violation`, async () => {
      trained = await trainingLook(page, trained, axe, (name) => join(shots, `${name}-${look}.png`));
    });
    if (look === "phone") await check("looks: phone: a tap on a cell says its value", async () => {
      await page.locator("#ablate canvas").tap({ position: { x: 120, y: 30 } });
      const words = await page.locator("#ablate .readout").innerText();
      ensure(words.startsWith("Layer"), `it says “${words}”`);
    });
    await page.context().close();
    await check(`looks: ${look}: sweeps that wait, run and are cancelled, panels, sets: drawn, not too wide, and axe finds no violation`,
      () => sweepLooks(browser, slow, options, axe, (name) => join(shots, `${name}-${look}.png`)));
  }
  await check("looks: every control is reached with the keyboard, and its focus can be seen", async () => {
    const page = await newPage(browser);
    await page.goto(url);
    await allSettled(page);
    // The recorded run over training comes when its section is near.
    if ((await part(page, "training")).family?.length) {
      await page.locator("#training").scrollIntoViewIfNeeded();
      await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome.store.get("training").job.value !== null);
      // The list of models is drawn anew once the one that was loaded is stored.
      await page.locator("#model .stored summary").waitFor();
      await page.evaluate(() => scrollTo(0, 0));
    }
    const wanted = await page.locator("a, button, input:not([type=radio]), select, summary, [tabindex]").evaluateAll((nodes) => nodes.filter((n) => {
      const shown = /** @type {HTMLElement} */ (n).checkVisibility();
      if (shown) n.setAttribute("data-wanted", "");
      return shown;
    }).length);
    const seen = new Set();
    for (let i = 0; i < wanted + 40; i++) {
      await page.keyboard.press("Tab");
      const { key, outlined } = await page.evaluate(() => {
        const node = /** @type {HTMLElement} */ (document.activeElement);
        const shown = node.matches("[type=radio]") ? /** @type {Element} */ (node.nextElementSibling) : node;
        const all = [...document.querySelectorAll("*")];
        return { key: node === document.body ? "" : `${all.indexOf(node)} ${node.tagName} ${node.getAttribute("type")} ${node.hasAttribute("data-wanted") ? "" : `${node.className} unexpected`}`, outlined: getComputedStyle(shown).outlineStyle !== "none" };
      });
      if (!key) break;
      ensure(outlined, `focus on ${key} cannot be seen`);
      if (!key.includes("radio")) seen.add(key);
    }
    ensure(seen.size === wanted, `Tab reached ${seen.size} of ${wanted} controls: ${[...seen].join("; ")}`);
    await page.context().close();
  });
}

/**
 * @param {import("playwright-core").Page} page
 * @param {any} value of an earlier run over training; null where there is none yet
 * @param {string} axe
 * @param {(name: string) => string} shot
 */
async function trainingLook(page, value, axe, shot) {
  const section = page.locator("#training");
  if (!(await part(page, "training")).family?.length) return value; // a site without an engine of its own
  if (!value) await section.getByRole("button", { name: "Run over training" }).click();
  else await page.evaluate((value) => {
    const { store } = /** @type {any} */ (globalThis).microtome;
    store.update("training", { job: { ...store.get("training").job, status: "done", value, fresh: true } });
  }, value);
  await settled(page, "training");
  await section.locator(".plot").nth(1).press("Home");
  for (let i = 0; i < 5; i++) await page.keyboard.press("ArrowRight");
  // The check before may have opened them.
  for (const box of await section.locator(".numbers").all()) if ((await box.getAttribute("open")) === null) await box.locator("summary").click();
  await section.getByLabel("Keep the slider in sight").check();
  await page.screenshot({ path: shot("training-pinned") });
  await section.getByLabel("Keep the slider in sight").uncheck();
  await section.screenshot({ path: shot("training-done") });
  const { content, screen } = await page.evaluate(() => ({ content: document.documentElement.scrollWidth, screen: innerWidth }));
  ensure(content <= screen, `the page is ${content} px wide on a screen of ${screen} px`);
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => /** @type {any} */ (globalThis).axe.run("#training"));
  ensure(!violations.length, violations.map((/** @type {any} */ v) => `${v.id}: ${v.nodes.map((/** @type {any} */ n) => n.target).join(" ")}`).join("; "));
  return (await part(page, "training")).job.value;
}

/**
 * @param {import("playwright-core").Browser} browser
 * @param {string} url
 * @param {import("playwright-core").BrowserContextOptions} options
 * @param {string} axe
 * @param {(name: string) => string} shot
 */
async function sweepLooks(browser, url, options, axe, shot) {
  const page = await newPage(browser, { ...options, bypassCSP: true });
  await page.goto(url);
  await allSettled(page);
  const section = { ablate: page.locator("#ablate"), patch: page.locator("#patch") };
  const patched = section.patch.getByLabel("Patched");
  /** @param {"ablate" | "patch"} key @param {string} name */
  const look = async (key, name) => {
    await page.mouse.move(1, 1);
    await section[key].screenshot({ path: shot(`${key}-${name}`) });
    const { content, screen } = await page.evaluate(() => ({ content: document.documentElement.scrollWidth, screen: innerWidth }));
    ensure(content <= screen, `${name}: the page is ${content} px wide on a screen of ${screen} px`);
    await page.evaluate(axe);
    const { violations } = await page.evaluate((key) => /** @type {any} */ (globalThis).axe.run(`#${key}`), key);
    ensure(!violations.length, `${name}: ${violations.map((/** @type {any} */ v) => `${v.id}: ${v.nodes.map((/** @type {any} */ n) => n.target).join(" ")}`).join("; ")}`);
  };

  for (const what of ["attn_head_all_pos_every", "attn_head_out_by_pos", "attn_head_by_pos_every", "attn_head_pattern_dest_src_pos"]) {
    await recomputed(page, "patch", () => patched.selectOption(`get_act_patch_${what}`));
    await look("patch", what);
  }
  await recomputed(page, "patch", () => patched.selectOption("get_act_patch_attn_head_pattern_by_pos"));
  await type(page, "patch", { "Clean prompt": "Mary is a great SLOW friend, isn", "Corrupted prompt": "John is a great SLOW friend, isn" });
  await section.patch.locator(".status").getByText(/left/).waitFor();
  await page.waitForTimeout(1500);
  await page.mouse.move(1, 1);
  await section.patch.screenshot({ path: shot("patch-running") });
  await section.patch.getByRole("button", { name: "Cancel" }).click();
  await settled(page, "patch", "cancelled");
  await look("patch", "cancelled");

  for (const choice of ["Another prompt’s", "Sets of parts"]) await recomputed(page, "ablate", () => section.ablate.getByText(choice, { exact: true }).click());
  await look("ablate", "sets");
  await section.ablate.getByText("All of the prompt grid", { exact: true }).click();
  await page.locator("#grid").getByLabel("Name 1").fill("BIG");
  await settled(page, "ablate", "held");
  await look("ablate", "held");
  await page.context().close();
}
