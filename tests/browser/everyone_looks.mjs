// Forced colours, no motion, every language's numbers: of every page.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { check, ensure, newPage } from "./harness.mjs";
import { save, take } from "./export.mjs";
import { opened } from "./fingers.mjs";
import { allSettled, choose, coloursOf, part } from "./lab_page.mjs";
import { layout } from "../../www/draw/heatmap.js";

/** @typedef {import("playwright-core").Page} Page */

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const PAGES = ["", "workshop.html", "workshop.html#attention", "handout.html", "embed.html#s=ablate", "article.html", "bench.html"];
/** Of WCAG: of text, and of what shows where a control is. */
const CONTRAST = { text: 4.5, edge: 3 };
/** Where a colour says how much, and must be what it was. */
const DATA = "canvas, .strip .chip, .legend span, .swatch";

/** @param {import("playwright-core").Browser} browser @param {string} url @param {string} shots */
export async function everyoneLooks(browser, url, shots) {
  const axe = await readFile(AXE, "utf8");
  for (const path of PAGES) {
    for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
      await check(`everyone: forced colours, ${colorScheme}: ${path || "the lab"}: every control can be seen, figures keep their colours, axe finds no violation`, async () => {
        // axe does to a page what the policy refuses; the policy itself is tested by every other check.
        const page = await newPage(browser, { forcedColors: "active", colorScheme, bypassCSP: true });
        await page.goto(url + path);
        await drawn(page, path);
        const bad = await page.evaluate(unseen, { CONTRAST, DATA });
        ensure(!bad.length, bad.join("; "));
        for (const canvas of (await page.locator("canvas:visible").all()).slice(0, 12)) {
          const colours = await canvas.evaluate((node) => getComputedStyle(node).forcedColorAdjust);
          ensure(colours === "none", `a canvas is ${colours}`);
        }
        if (path === "") ensure((await coloursOf(page.locator("#ablate canvas").first())) > 20, "the figure has lost its colours");
        await page.screenshot({ path: join(shots, `everyone-forced-${colorScheme}-${path.replace(/\W+/g, "-") || "lab"}.png`) });
        if (path === "") for (const id of ["model", "attention", "ablate"]) await page.locator(`#${id}`).screenshot({ path: join(shots, `everyone-forced-${colorScheme}-${id}.png`) });
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => /** @type {any} */ (globalThis).axe.run());
        ensure(!violations.length, violations.map((/** @type {any} */ v) => `${v.id}: ${v.nodes.map((/** @type {any} */ n) => n.target).join(" ")}`).join("; "));
        await page.context().close();
      });
    }
  }
  for (const path of PAGES) {
    await check(`everyone: reduced motion: ${path || "the lab"}: nothing moves`, async () => {
      const page = await newPage(browser, { reducedMotion: "reduce" });
      await page.goto(url + path);
      await drawn(page, path);
      const moving = await page.evaluate(() => {
        const roots = [document, ...[...document.querySelectorAll("microtome-figure")].map((node) => /** @type {any} */ (node).shadowRoot)];
        const seconds = (/** @type {string} */ times) => Math.max(...times.split(",").map((time) => parseFloat(time) / (time.trim().endsWith("ms") ? 1000 : 1)));
        return roots.flatMap((root) => [...root.querySelectorAll("*")]).flatMap((node) => [null, "::before", "::after"].flatMap((pseudo) => {
          const { transitionDuration, animationDuration, animationName, scrollBehavior } = getComputedStyle(node, pseudo);
          const moves = seconds(transitionDuration) > 0.01 || (animationName !== "none" && seconds(animationDuration) > 0.01) || scrollBehavior === "smooth";
          return moves ? [`${node.localName}.${node.className}${pseudo ?? ""}: ${transitionDuration} ${animationDuration} ${scrollBehavior}`] : [];
        })).concat(document.getAnimations().filter((one) => Number(one.effect?.getComputedTiming().duration) > 10).map((one) => String(one.id || one)));
      });
      ensure(!moving.length, moving.slice(0, 5).join("; "));
      await page.context().close();
    });
  }
  for (const [locale, [decimal, digits]] of Object.entries({ "de-DE": [",", /[0-9]/], "ar-EG": ["٫", /[٠-٩]/] })) {
    await check(`everyone: ${locale}: numbers on the page are its own, those of files have a full stop`, () => language(browser, url, locale, String(decimal), /** @type {RegExp} */ (digits)));
  }
  await check("everyone: a picture that is saved leaves the cells on the page where they are", async () => {
    const page = await newPage(browser, { viewport: { width: 420, height: 900 }, acceptDownloads: true });
    await page.goto(url);
    await choose(page, "cpu");
    await allSettled(page);
    await save(page, "ablate", "SVG");
    const canvas = page.locator("#ablate canvas").first();
    await canvas.scrollIntoViewIfNeeded();
    const { figure } = (await part(page, "ablate")).job.value;
    const { plot, cell } = layout(figure, { width: await canvas.evaluate((node) => /** @type {HTMLElement} */ (node.parentElement).clientWidth), ratio: 1 });
    const box = await canvas.boundingBox();
    ensure(box, "the figure is not shown");
    await page.mouse.move(box.x + plot.x + 7.5 * cell.w, box.y + plot.y + 3.5 * cell.h);
    const words = await page.locator("#ablate .readout").first().innerText();
    ensure(words.startsWith("Layer 3, head 7:"), words);
    await page.context().close();
  });
}

/** Waits until a page has drawn what it has. @param {Page} page @param {string} path */
async function drawn(page, path) {
  if (path === "") return opened(page);
  await page.locator("h1, microtome-figure").first().waitFor();
  // Everything that is loaded has been.
  await page.waitForLoadState("networkidle");
}

/**
 * In the page: controls that cannot be told from what is around them, and data whose colours were taken away.
 * @param {{ CONTRAST: { text: number, edge: number }, DATA: string }} options
 */
function unseen({ CONTRAST, DATA }) {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  /** @param {string} colour */
  const rgba = (colour) => {
    if (!canvas) throw new Error("no canvas");
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (/** @type {string} */ colour) => {
    const [r, g, b] = rgba(colour).map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (/** @type {string} */ a, /** @type {string} */ b) => {
    const [x, y] = [light(a), light(b)].sort((a, b) => b - a);
    return (x + 0.05) / (y + 0.05);
  };
  /** What is behind an element. @param {Element | null} node @returns {string} */
  const ground = (node) => {
    for (; node; node = node.parentElement ?? /** @type {any} */ (node.getRootNode()).host ?? null) {
      const { backgroundColor } = getComputedStyle(node);
      if (rgba(backgroundColor)[3] > 200) return backgroundColor;
    }
    return "Canvas";
  };
  const roots = [document, ...[...document.querySelectorAll("microtome-figure")].map((node) => /** @type {any} */ (node).shadowRoot)];
  /** @type {string[]} */
  const bad = [];
  for (const node of roots.flatMap((root) => [...root.querySelectorAll("a[href], button, input, select, textarea, summary, .bar label")])) {
    if (!node.checkVisibility({ opacityProperty: true }) || node.matches(".bar input")) continue;
    const style = getComputedStyle(node);
    const name = `${node.localName}.${node.className} “${(node.getAttribute("aria-label") ?? node.textContent ?? "").slice(0, 30)}”`;
    const text = contrast(style.color, ground(node));
    if (text < CONTRAST.text) bad.push(`${name}: text ${style.color} on ${ground(node)} is ${text.toFixed(1)}`);
    // A link and a summary are known by their words, and so are buttons in a heading; a bar of choices has one edge around all.
    const framed = node.matches("button:not(.sort), select, textarea, input:not([type=range], [type=checkbox], [type=radio])") ? node : !node.matches(".bar label") ? null : getComputedStyle(node).borderTopStyle === "none" ? node.parentElement : node;
    if (!framed) continue;
    const { borderTopStyle, borderTopWidth, borderTopColor } = getComputedStyle(framed);
    const edge = borderTopStyle === "none" || parseFloat(borderTopWidth) === 0 ? 0 : contrast(borderTopColor, ground(framed.parentElement));
    if (edge < CONTRAST.edge) bad.push(`${name}: its edge ${borderTopStyle} ${borderTopColor} on ${ground(framed.parentElement)} is ${edge.toFixed(1)}`);
  }
  // What is chosen is told by more than the colour that was taken away.
  for (const node of document.querySelectorAll(".bar input:checked + label, [aria-pressed=true], .chip.differs")) {
    if (node.checkVisibility() && getComputedStyle(node).outlineStyle === "none") bad.push(`${node.className} “${node.textContent}” is chosen, and looks as if it were not`);
  }
  // What floats above others has an edge.
  for (const node of document.querySelectorAll(".tip, .saying, dialog, .update")) {
    if (getComputedStyle(node).borderTopStyle === "none") bad.push(`${node.className} has no edge`);
  }
  for (const node of roots.flatMap((root) => [...root.querySelectorAll(DATA)])) {
    if (node.checkVisibility() && getComputedStyle(node).forcedColorAdjust !== "none") bad.push(`${node.localName}.${node.className} has lost its colours`);
  }
  return bad;
}

/** @param {import("playwright-core").Browser} browser @param {string} url @param {string} locale @param {string} decimal @param {RegExp} digits */
async function language(browser, url, locale, decimal, digits) {
  const page = await newPage(browser, { locale, acceptDownloads: true });
  await page.goto(url);
  await choose(page, "cpu");
  await allSettled(page);
  const format = (/** @type {number} */ value, digits = 4) => new Intl.NumberFormat(locale, { useGrouping: false, minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value).replace("-", "−");
  const { figure, result } = (await part(page, "ablate")).job.value;
  await page.locator("#ablate .numbers summary").click();
  // It is filled when the browser says that it was opened.
  await page.locator("#ablate .numbers tbody tr").first().waitFor();
  const cells = await page.locator("#ablate .numbers tbody td:last-child").allInnerTexts();
  ensure(cells.length === figure.values.length && cells.every((text, i) => text === format(figure.values[i])), `the table says ${cells.slice(0, 3)}`);
  ensure(cells[0].includes(decimal) && digits.test(cells[0]) && (await page.locator("#ablate .finding").first().innerText()).includes(format(result.baseline)), cells[0]);
  const top = await page.locator("#predict .top tbody tr").first().locator("td").allInnerTexts();
  ensure(top[1] === format((await part(page, "predict")).job.value.top[0].logit, 2) && top[2].includes(decimal), `${top}`);
  // Sizes and counts.
  const facts = await page.locator("#model .facts").innerText();
  const { n_params } = (await part(page, "model")).info.model;
  ensure(facts.includes(new Intl.NumberFormat(locale).format(n_params)), facts);
  const size = new RegExp(`[\\d٠-٩]+\\${decimal}[\\d٠-٩]+`);
  ensure(size.test(await page.locator("#model .models li").first().innerText()), await page.locator("#model .models li").first().innerText());
  // What is read out, and what is typed.
  await page.locator("#ablate [role=grid]").focus();
  await page.keyboard.press("ArrowDown");
  await page.locator("#ablate .body [role=status]", { hasText: format(figure.values[0] - figure.scale.mid) }).first().waitFor({ state: "attached" });
  await page.locator("#ablate .look summary").click();
  const range = page.locator("#ablate").getByLabel("Range: middle ±");
  ensure(Number(await range.inputValue()) > 0, `the range is “${await range.inputValue()}”`);
  // Files.
  const numbers = (/** @type {string} */ text) => ensure(!/[٠-٩٫]/.test(text) && !/\d,\d{4}\b/.test(text), text.match(/.{20}(?:[٠-٩٫]|\d,\d{4}\b).{20}/)?.[0] ?? "");
  const csv = (await save(page, "ablate", "CSV")).text;
  const [header, first] = csv.split("\r\n").map((line) => line.split(","));
  ensure(Number(first[header.indexOf("loss")] ?? first[2]) === result.values[0], `${header} ${first.slice(0, 4)}`);
  const svg = (await save(page, "ablate", "SVG")).text.replace(/<desc>[^]*<\/desc>/, "");
  numbers([...svg.matchAll(/>([^<]*)<\/text>/g)].map(([, text]) => text).join(" "));
  const english = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 4 });
  ensure(/>−?\d+\.\d+<\/text>/.test(svg), `no number such as ${english.format(figure.scale.max)} in the picture`);
  JSON.parse((await save(page, "ablate", "JSON")).text);
  const script = await take(page, () => page.locator("#ablate .export").getByRole("button", { name: "Save the script for TransformerLens" }).click());
  numbers(script.text);
  // The page still speaks the visitor's language after that.
  ensure((await page.locator("#ablate .readout").first().innerText()).includes(decimal), await page.locator("#ablate .readout").first().innerText());
  await page.context().close();
}
