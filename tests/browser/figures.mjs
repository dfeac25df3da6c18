// Figures that read well: hundreds of tokens under the pointer, keys, fingers, colours that are locked, tables, and the run
// behind a cell.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { check, ensure, newPage } from "./harness.mjs";
import { PHONE, colourOf, open, placed, same, traced, write } from "./figure_page.mjs";
import { followsPointer } from "./figure_speed.mjs";
import { liveFigureChecks } from "./figures_live.mjs";
import { allSettled, part, recomputed, settled, type } from "./lab_page.mjs";
import { MAPS } from "../../www/draw/maps.js";
import { position, ramp } from "../../www/draw/colour.js";

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {import("playwright-core").Browser} Browser */

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
/** @param {Browser} browser @param {string} url @param {string} shots */
export async function figureChecks(browser, url, shots) {
  const name = (/** @type {string} */ text) => `figures: ${text}`;
  /** @param {import("playwright-core").BrowserContextOptions} [options] */
  const fresh = async (options) => {
    const page = await newPage(browser, { bypassCSP: true, ...options });
    await page.goto(url);
    await allSettled(page);
    await page.mouse.move(1, 1);
    return page;
  };

  await check(name("144 heads of 256 tokens follow the pointer within a frame, also with the table of numbers open"), () => followsPointer(fresh, shots));
  await check(name("the sheet is drawn once, whatever the pointer does"), async () => {
    const page = await fresh();
    const drawn = await page.evaluate(() => {
      let images = 0;
      const put = OffscreenCanvasRenderingContext2D.prototype.putImageData;
      OffscreenCanvasRenderingContext2D.prototype.putImageData = /** @type {any} */ (function (/** @type {any} */ ...all) {
        images += 1;
        // @ts-expect-error: `this` is the context
        return /** @type {any} */ (put).apply(this, all);
      });
      const canvas = /** @type {HTMLCanvasElement} */ (document.querySelector("#attention canvas"));
      const box = canvas.getBoundingClientRect();
      for (let i = 0; i < 200; i++) {
        canvas.dispatchEvent(new PointerEvent("pointermove", { clientX: box.left + ((i * 37) % box.width), clientY: box.top + ((i * 53) % box.height), bubbles: true }));
      }
      OffscreenCanvasRenderingContext2D.prototype.putImageData = put;
      return images;
    });
    // Two for each head that is enlarged: its cells and its colour bar. Sheets would be 32 each.
    ensure(drawn > 0 && drawn <= 400, `${drawn} images for 200 moves`);
    await page.context().close();
  });

  await check(name("heads with keys alone: arrows, ends, kept by Enter, let go by Enter and by Escape, and read out"), () => headKeys(fresh));
  await check(name("tokens: what one looks at and who looks at it, by colour, line and arrow, with pointer and keys"), () => tokenHover(fresh));
  await check(name("cells with keys alone: a grid with its sizes, ends, pages, and words with the rank once the keys rest"), () => cellKeys(fresh));
  await check(name("a range that is locked stays, also typed; a second result compares; it is told in numbers"), () => ranges(fresh, join(shots, "patch-locked.png")));
  await check(name("maps and signs: of all figures, in the pixels"), () => maps(fresh, join(shots, "patch-puor-signs.png")));
  await check(name("the numbers: sorted by any column, every panel’s, page by page"), () => tables(fresh));
  await check(name("a click shows the run behind an ablation’s cell: its metric is the cell’s, tokens and attention before and after"), () => ablated(fresh, url, shots));
  await check(name("Enter shows the run behind a patch’s cell, Escape and the button close it, and it follows a new result"), () => patched(fresh, join(shots, "behind-patch.png")));
  await check(name("the run behind one of many: a prompt and a reference are chosen"), () => ofMany(fresh));
  await check(name("touch: a tap keeps, a finger scrubs with the value above it, and the page still scrolls"), () => touch(fresh, shots));
  await check(name("axe finds no violation with everything open, in both themes; forced colours keep outlines"), () => access(fresh, shots));
  await liveFigureChecks(browser, url, fresh, shots);
}

/** @param {(options?: any) => Promise<Page>} fresh */
async function headKeys(fresh) {
  const page = await fresh();
  const { info: { model: { n_layers, n_heads } } } = await part(page, "model");
  const grid = page.locator("#attention [role=grid]").first();
  const title = page.locator("#attention .heading h3");
  const shows = async (/** @type {string} */ head) => ensure((await title.innerText()).endsWith(head), `it shows ${await title.innerText()}, not ${head}`);
  const press = async (/** @type {string[]} */ ...keys) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  await grid.focus();
  ensure((await grid.getAttribute("aria-rowcount")) === String(n_layers) && (await grid.getAttribute("aria-colcount")) === String(n_heads), "the grid does not say its sizes");
  await press("ArrowRight", "ArrowDown");
  await shows("L1H1");
  await press("Home");
  await shows("L1H0");
  await press("End", "ArrowRight");
  await shows(`L1H${n_heads - 1}`);
  await press("Control+End", "PageDown");
  await shows(`L${n_layers - 1}H${n_heads - 1}`);
  await press("Control+Home", "ArrowLeft", "PageUp");
  await shows("L0H0");
  const view = async () => (await part(page, "attention")).view;
  await press("ArrowDown", "Enter");
  ensure((await view()).locked && (await view()).head.layer === 1, JSON.stringify(await view()));
  await page.locator("#attention p[role=status]").first().getByText("Layer 1, head 0, kept").waitFor({ state: "attached" });
  const active = await grid.evaluate((node) => document.getElementById(node.getAttribute("aria-activedescendant") ?? "")?.textContent);
  ensure(active === "Layer 1, head 0, kept", `the cell under the cursor is “${active}”`);
  await press(" ");
  ensure(!(await view()).locked, "Space does not let go");
  await press("Enter", "Escape");
  ensure(!(await view()).locked, "Escape does not let go");
  // One tab stop each: the sheet, then the enlarged head.
  await press("Tab");
  ensure(await page.locator("#attention [role=grid]").nth(1).evaluate((node) => node === document.activeElement), "Tab does not lead to the enlarged head");
  await page.context().close();
}

/** @param {(options?: any) => Promise<Page>} fresh */
async function tokenHover(fresh) {
  const page = await fresh();
  const section = page.locator("#attention");
  const { job: { value: { tokens } } } = await part(page, "attention");
  const n = tokens.length;
  // A token that looks at one before it and is looked at by one after it, of whichever head.
  const found = await page.evaluate(() => {
    for (const [hook, { shape: [heads, n], data }] of Object.entries(/** @type {any} */ (globalThis).microtome.store.get("attention").job.value.result.tensors[0])) {
      for (let head = 0; head < heads; head++) {
        const pattern = [...data.slice(head * n * n, (head + 1) * n * n)];
        const some = (/** @type {number} */ from, /** @type {number} */ to, /** @type {(i: number) => number} */ share) => {
          for (let i = from; i < to; i++) if (share(i) > 0.1) return true;
          return false;
        };
        for (let at = 1; at + 1 < n; at++) {
          if (some(0, at, (i) => pattern[at * n + i]) && some(at + 1, n, (i) => pattern[i * n + at])) return { layer: Number(hook.split(".")[1]), head, at, pattern };
        }
      }
    }
    return null;
  });
  ensure(found, "no token looks back and is looked at");
  const { at, pattern, layer, head } = found;
  await page.evaluate((head) => /** @type {any} */ (globalThis).microtome.store.update("attention", { view: { layer: null, head, locked: true } }), { layer, head });
  const chips = section.locator(".strip .chip");
  const zoom = section.locator("canvas").nth(1);
  const before = await zoom.evaluate((node) => /** @type {HTMLCanvasElement} */ (node).toDataURL());
  await chips.nth(at).hover();
  await section.locator(`.strip .chip[data-at] .index`, { hasText: new RegExp(`^${at}$`) }).waitFor();
  const shown = await chips.evaluateAll((nodes) => nodes.map((node) => ({
    side: node.getAttribute("data-side"), weight: node.querySelector(".weight")?.textContent, line: getComputedStyle(node).borderBottomStyle,
    colour: getComputedStyle(node).backgroundColor,
  })));
  ensure(shown.length === n, `${shown.length} chips`);
  shown.forEach(({ side, weight, line }, i) => {
    const share = (i <= at ? pattern[at * n + i] : pattern[i * n + at]).toFixed(2);
    // What is nothing has no side.
    const expected = share === "0.00" ? { side: null, weight: share, line: "solid" }
      : i <= at ? { side: "at", weight: `← ${share}`, line: "solid" } : { side: "by", weight: `→ ${share}`, line: "dashed" };
    ensure(side === expected.side && weight === expected.weight && line === expected.line, `token ${i}: ${side} ${weight} ${line}, not ${JSON.stringify(expected)}`);
  });
  const grounds = (/** @type {string | null} */ side) => shown.filter((chip) => chip.side === side).map(({ colour }) => colour);
  ensure(grounds("at").length && grounds("by").length && !grounds("at").some((colour) => grounds("by").includes(colour)), `both sides are coloured alike: ${grounds("at")} / ${grounds("by")}`);
  ensure((await zoom.evaluate((node) => /** @type {HTMLCanvasElement} */ (node).toDataURL())) !== before, "the token is not marked in the figure");
  await page.mouse.move(1, 1);
  await section.locator(".strip").focus();
  await page.keyboard.press("Home");
  await section.locator(".strip .chip[data-at] .index", { hasText: /^0$/ }).waitFor();
  const said = await section.locator(".token-strip .note").innerText();
  const best = Array.from({ length: n - 1 }, (_, i) => i + 1).reduce((best, i) => (pattern[i * n] > pattern[best * n] ? i : best), 1);
  ensure(said.includes("looks most at") && said.includes(`(${best}) looks most at it, ${pattern[best * n].toFixed(2)}`), said);
  await section.locator(".token-strip p[role=status]").getByText("looks most at it").waitFor({ state: "attached" });
  await page.context().close();
}

/** @param {(options?: any) => Promise<Page>} fresh */
async function cellKeys(fresh) {
  const page = await fresh();
  const { job: { value: { figure } } } = await part(page, "ablate");
  const grid = page.locator("#ablate [role=grid]");
  const live = page.locator("#ablate .body p[role=status]").first();
  await grid.focus();
  const { rows, cols, values, scale: { mid } } = figure;
  ensure((await grid.getAttribute("aria-rowcount")) === String(rows) && (await grid.getAttribute("aria-colcount")) === String(cols), "the grid does not say its sizes");
  ensure((await grid.getAttribute("aria-label")) === figure.title, "the grid has another name than the figure");
  const far = values.map((/** @type {number} */ value) => Math.abs(value - mid));
  for (const [keys, cell] of /** @type {[string[], number][]} */ ([
    [["ArrowDown"], 0], [["ArrowRight", "ArrowRight"], 2], [["ArrowUp", "End"], cols - 1], [["PageDown"], rows * cols - 1], [["Home"], (rows - 1) * cols], [["Control+Home", "ArrowLeft"], 0],
  ])) {
    for (const key of keys) await page.keyboard.press(key);
    const by = values[cell] - mid;
    const rank = far.filter((/** @type {number} */ other) => other > far[cell]).length + 1;
    const words = `Layer ${Math.floor(cell / cols)}, head ${cell % cols}, ${by > 0 ? "+" : ""}${by.toFixed(4).replace("-", "−")}, rank ${rank} of ${values.length}`;
    await live.getByText(words, { exact: true }).waitFor({ state: "attached", timeout: 3000 });
    const active = await grid.evaluate((node) => {
      const cell = document.getElementById(node.getAttribute("aria-activedescendant") ?? "");
      return [cell?.textContent, cell?.parentElement?.getAttribute("aria-rowindex"), cell?.getAttribute("aria-colindex")];
    });
    ensure(active.join("|") === `${words}|${Math.floor(cell / cols) + 1}|${(cell % cols) + 1}`, `${active}, not ${words}`);
  }
  // Keys that follow each other are not all read out.
  await live.evaluate((node) => {
    /** @type {any} */ (globalThis).said = [];
    new MutationObserver(() => /** @type {any} */ (globalThis).said.push(node.textContent)).observe(node, { childList: true, characterData: true, subtree: true });
  });
  for (let i = 0; i < 5; i++) await page.keyboard.press("ArrowRight");
  await live.getByText("Layer 0, head 5,").waitFor({ state: "attached" });
  const said = await page.evaluate(() => /** @type {any} */ (globalThis).said);
  ensure(said.length === 1, `it says ${said.join(" / ")}`);
  await page.context().close();
}

/** @param {(options?: any) => Promise<Page>} fresh @param {string} shot */
async function ranges(fresh, shot) {
  const page = await fresh();
  const section = page.locator("#patch");
  const summary = section.locator(".look summary");
  const canvas = section.locator("canvas");
  await summary.click();
  const { figure } = (await part(page, "patch")).job.value;
  const own = figure.scale.max - figure.scale.mid;
  const field = section.getByLabel("Range: middle ±");
  ensure(Math.abs(Number(await field.inputValue()) - own) < 0.01 * own, `the range is given as ${await field.inputValue()}, not ${own}`);
  await section.getByLabel("Lock the range").check();
  ensure((await summary.innerText()).includes("locked"), await summary.innerText());
  ensure((await part(page, "look")).ranges.patch === own, JSON.stringify(await part(page, "look")));
  // Another result, whose own range is another, keeps the colours of the first.
  const other = await recomputed(page, "patch", () => section.getByLabel("Patched").selectOption("get_act_patch_mlp_out"));
  ensure(Math.abs(other.figure.scale.max - own) > 1e-3, "both figures have one range by themselves");
  const scale = { min: figure.scale.mid - own, mid: figure.scale.mid, max: figure.scale.mid + own };
  const strongest = other.figure.values.reduce((/** @type {number} */ best, /** @type {number} */ value, /** @type {number} */ i) => (Math.abs(value) > Math.abs(other.figure.values[best]) ? i : best), 0);
  const held = { ...other.figure, scale };
  same(await colourOf(canvas, held, strongest), ramp(MAPS.RdBu, position(scale, other.figure.values[strongest])), "in the locked range");
  await canvas.hover();
  same(await colourOf(canvas, held, strongest), ramp(MAPS.RdBu, position(scale, other.figure.values[strongest])), "while pointing");
  await field.fill("0.05");
  await summary.getByText("−0.050 to 0.050, locked").waitFor();
  await page.mouse.move(1, 1);
  const narrow = { min: -0.05, mid: 0, max: 0.05 };
  same(await colourOf(canvas, { ...held, scale: narrow }, strongest), ramp(MAPS.RdBu, position(narrow, other.figure.values[strongest])), "in the typed range");
  ensure(JSON.stringify(await part(page, "look")) === JSON.stringify({ map: "RdBu", signs: false, ranges: { patch: 0.05 } }), JSON.stringify(await part(page, "look")));
  await section.screenshot({ path: shot });
  await section.getByLabel("Lock the range").uncheck();
  same(await colourOf(canvas, other.figure, strongest), ramp(MAPS.RdBu, position(other.figure.scale, other.figure.values[strongest])), "let go");
  await page.context().close();
}

/** @param {(options?: any) => Promise<Page>} fresh @param {string} shot */
async function maps(fresh, shot) {
  const page = await fresh();
  const section = page.locator("#patch");
  await section.locator(".look summary").click();
  const value = (await part(page, "patch")).job.value;
  const last = value.figure.values.length - 1;
  const colours = new Set();
  for (const map of /** @type {const} */ (["PuOr", "sequential", "RdBu"])) {
    await section.getByLabel("Colour map").selectOption(map);
    for (const key of /** @type {const} */ (["patch", "ablate"])) {
      const { figure } = (await part(page, key)).job.value;
      const cell = key === "patch" ? last : 3;
      const found = await colourOf(page.locator(`#${key} canvas`).first(), figure, cell);
      same(found, ramp(MAPS[map], position(figure.scale, figure.values[cell])), `${map} in ${key}`);
      colours.add(found.join());
    }
  }
  ensure(colours.size > 3, `${[...colours]}`);
  const canvas = section.locator("canvas");
  const plain = await canvas.evaluate((node) => /** @type {HTMLCanvasElement} */ (node).toDataURL());
  await section.getByLabel("Colour map").selectOption("PuOr");
  await section.getByLabel("Write + and − into the cells").check();
  await section.screenshot({ path: shot });
  await section.getByLabel("Colour map").selectOption("RdBu");
  ensure((await canvas.evaluate((node) => /** @type {HTMLCanvasElement} */ (node).toDataURL())) !== plain, "no signs are drawn");
  await section.getByLabel("Write + and − into the cells").uncheck();
  ensure((await canvas.evaluate((node) => /** @type {HTMLCanvasElement} */ (node).toDataURL())) === plain, "something stays of the signs");
  await page.context().close();
}

/** @param {(options?: any) => Promise<Page>} fresh */
async function tables(fresh) {
  const page = await fresh();
  const section = page.locator("#patch");
  // As large as a patch of every head by position, which would take its time.
  const figure = await page.evaluate(() => {
    const { store } = /** @type {any} */ (globalThis).microtome;
    const { job } = store.get("patch");
    const { figure } = job.value;
    const values = Array.from({ length: 40 * figure.values.length }, (_, i) => Math.sin(i * 12.9898) * Math.cos(i * 0.731));
    const big = { ...figure, values, panel_axes: [{ title: "Site", labels: ["z", "q", "k", "v", "pattern"] }, { title: "Head", labels: [..."01234567"] }] };
    store.update("patch", { job: { ...job, value: { ...job.value, figure: big } } });
    return big;
  });
  await section.locator(".numbers summary").click();
  const rows = section.locator(".numbers tbody tr");
  await rows.first().waitFor();
  const size = Math.floor(2000 / 5);
  ensure((await rows.count()) === size, `${await rows.count()} rows, not ${size}`);
  const all = figure.values.length;
  const cells = (/** @type {number} */ row) => rows.nth(row).locator("th, td").allInnerTexts();
  const written = (/** @type {number} */ value) => value.toFixed(4).replace("-", "−");
  ensure((await cells(1)).join("|") === ["z", "0", "0", figure.col_axis.labels[1], written(figure.values[1])].join("|"), `${await cells(1)}`);
  ensure((await section.locator(".pages").innerText()).includes(`Rows 1 to ${size} of ${all.toLocaleString("en")}`), await section.locator(".pages").innerText());
  const value = section.getByRole("columnheader", { name: "Value" });
  await value.getByRole("button").click();
  ensure((await value.getAttribute("aria-sort")) === "descending", "it is not sorted by value");
  const sorted = [...figure.values].sort((a, b) => b - a);
  ensure((await cells(0)).at(-1) === written(sorted[0]) && (await cells(7)).at(-1) === written(sorted[7]), `${await cells(0)}`);
  await section.getByRole("button", { name: "Later rows" }).click();
  ensure((await cells(0)).at(-1) === written(sorted[size]), `the second page begins with ${await cells(0)}`);
  await value.getByRole("button").press("Enter");
  ensure((await value.getAttribute("aria-sort")) === "ascending" && (await cells(0)).at(-1) === written(/** @type {number} */ (sorted.at(-1))), `${await cells(0)}`);
  ensure(await value.getByRole("button").evaluate((node) => node === document.activeElement), "sorting loses the keyboard");
  // Pointing at panels builds no table.
  await page.evaluate(() => /** @type {any} */ (globalThis).first = document.querySelector("#patch .numbers tbody tr"));
  await section.locator("canvas").first().hover();
  ensure(await page.evaluate(() => /** @type {any} */ (globalThis).first === document.querySelector("#patch .numbers tbody tr")), "the table is built anew while pointing");
  await page.context().close();
}

/** The engine's own answer to the same question. @param {Page} page @param {any} experiment */
const asked = (page, experiment) => page.evaluate((experiment) => /** @type {any} */ (globalThis).microtome.lab().run(experiment), experiment);
/** @param {(options?: any) => Promise<Page>} fresh @param {string} url @param {string} shots */
async function ablated(fresh, url, shots) {
  const page = await fresh();
  ensure(!(await page.evaluate(() => performance.getEntriesByType("resource").some(({ name }) => name.includes("behind.js")))), "the panel’s code is loaded before a click");
  await recomputed(page, "ablate", () => page.locator("#ablate").getByText("Logit difference", { exact: true }).click());
  const { figure, result } = (await part(page, "ablate")).job.value;
  const far = figure.values.map((/** @type {number} */ value) => Math.abs(value - result.baseline));
  const cell = far.indexOf(Math.max(...far));
  const [layer, head] = [Math.floor(cell / figure.cols), cell % figure.cols];
  const panel = await open(page, "ablate", cell);
  ensure((await panel.locator("h4").innerText()) === `L${layer}H${head}’s v set to zero`, await panel.locator("h4").innerText());
  const finding = await panel.locator(".finding").innerText();
  ensure(finding.includes(`logit difference is ${write(result.values[cell])}; without, ${write(result.baseline)}`), `it says “${finding}”; the cell is ${result.values[cell]} of ${result.baseline}`);
  const { experiment } = result;
  const edited = { places: [{ site: "v", layer, head }], edit: { kind: "zero" } };
  const base = { version: 1, kind: "predict", prompt: experiment.prompt, top_k: 8, answers: [" she", " he"] };
  const [plain, changed] = [await asked(page, base), await asked(page, { ...base, edited })];
  ensure(Math.abs(changed.answers[0].logit - changed.answers[1].logit - result.values[cell]) < 1e-4, "the edited run has another metric than its cell");
  const rows = await panel.locator("table").last().locator("tbody tr").evaluateAll((rows) => rows.map((row) => [...row.children].map(({ textContent }) => textContent)));
  ensure(rows.length === 8, `${rows.length} rows`);
  rows.forEach(([rank, before, after], i) => {
    const words = (/** @type {any} */ { text, prob }) => `${text.replaceAll(" ", "␣")} ${(100 * prob).toFixed(2)}%`;
    ensure(rank === String(i) && before === words(plain.top[i]) && after === words(changed.top[i]), `row ${i}: ${before} | ${after}, not ${words(plain.top[i])} | ${words(changed.top[i])}`);
  });
  const answers = await panel.locator("table").first().innerText();
  ensure(answers.includes(`${write(plain.answers[1].logit)} · ${(100 * plain.answers[1].prob).toFixed(2)}%`), answers);
  // The head whose attention moved most, before and after.
  const hooks = Array.from({ length: figure.rows }, (_, l) => `blocks.${l}.attn.hook_pattern`);
  const trace = { version: 1, kind: "trace", prompts: [experiment.prompt], hooks };
  const best = await page.evaluate(async ({ trace, edited, hooks }) => {
    const { lab } = /** @type {any} */ (globalThis).microtome;
    const [before, after] = [(await lab().run(trace)).tensors[0], (await lab().run({ ...trace, edited })).tensors[0]];
    const all = hooks.flatMap((hook, layer) => {
      const { shape: [heads, n], data } = before[hook];
      return Array.from({ length: heads }, (_, head) => {
        let sum = 0;
        for (let i = head * n * n; i < (head + 1) * n * n; i++) sum += Math.abs(data[i] - after[hook].data[i]) / 2 / n;
        return { layer, head, sum };
      });
    });
    return all.reduce((best, one) => (one.sum > best.sum ? one : best));
  }, { trace, edited, hooks });
  const chosen = await panel.getByLabel("Head", { exact: true }).evaluate((node) => /** @type {HTMLSelectElement} */ (node).selectedOptions[0].textContent);
  ensure(best.layer > layer && chosen === `L${best.layer}H${best.head}: moved ${best.sum.toFixed(3)}`, `it shows ${chosen}, not L${best.layer}H${best.head} ${best.sum}`);
  const canvas = () => panel.locator("canvas:visible").evaluate((node) => /** @type {HTMLCanvasElement} */ (node).toDataURL());
  const views = [];
  for (const side of ["Before the edit", "After minus before", "After the edit"]) {
    await panel.getByText(side, { exact: true }).click();
    views.push(await canvas());
    if (side === "After minus before") await page.locator("#ablate").screenshot({ path: join(shots, "behind-ablate.png") });
  }
  ensure(new Set(views).size === 3, "before, after and the difference look the same");
  await page.context().close();
}

/** @param {(options?: any) => Promise<Page>} fresh @param {string} shot */
async function patched(fresh, shot) {
  const page = await fresh();
  const grid = page.locator("#patch [role=grid]").first();
  const panel = page.locator("#patch .behind");
  await grid.focus();
  for (const key of ["ArrowDown", "ArrowRight", "Enter"]) await page.keyboard.press(key);
  await traced(page, "patch");
  const { figure, result } = (await part(page, "patch")).job.value;
  const title = await panel.locator("h4").innerText();
  ensure(title === "Layer 0’s resid_pre at John (1) copied from the clean run into the corrupted run", title);
  const finding = await panel.locator(".finding").innerText();
  ensure(finding.includes(`without, ${write(result.corrupted)}`) && finding.includes(`That is ${write(result.values[1])} of the way`), finding);
  ensure((await panel.locator("thead").first().innerText()).replace(/\s+/g, " ").includes("Clean run Corrupted run With the edit"), await panel.locator("thead").first().innerText());
  await page.locator("#patch").screenshot({ path: shot });
  await page.keyboard.press("Escape");
  ensure(!(await panel.isVisible()), "Escape leaves the panel");
  for (const key of ["ArrowDown", "Enter"]) await page.keyboard.press(key);
  await traced(page, "patch");
  // A new result of the same shape is followed.
  await recomputed(page, "patch", () => type(page, "patch", { "Corrupted prompt": "Tom is a great friend, isn’t" }));
  await panel.locator("h4").getByText(/^Layer 0’s resid_pre at/).waitFor();
  await page.waitForFunction(() => /without, /.test(document.querySelector("#patch .behind .finding")?.textContent ?? ""));
  const now = (await part(page, "patch")).job.value.result;
  await panel.locator(".finding").getByText(`without, ${write(now.corrupted)}`).waitFor();
  await traced(page, "patch");
  await panel.getByRole("button", { name: "Close" }).click();
  ensure(!(await panel.isVisible()), "the button leaves the panel");
  ensure(await grid.evaluate((node) => node === document.activeElement), "the keyboard is lost with the panel");
  // Another shape: the cell is no more.
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await traced(page, "patch");
  await recomputed(page, "patch", () => page.locator("#patch").getByLabel("Patched").selectOption("get_act_patch_attn_head_out_all_pos"));
  await panel.waitFor({ state: "hidden" });
  ensure(figure.values.length > 1, "the figure has cells");
  await page.context().close();
}

/** @param {(options?: any) => Promise<Page>} fresh */
async function ofMany(fresh) {
  const page = await fresh();
  const section = page.locator("#ablate");
  await recomputed(page, "ablate", async () => {
    await section.getByText("All of the prompt grid", { exact: true }).click();
    // A slow machine takes it for a big sweep, which waits for a click.
    await page.waitForFunction(() => {
      const { job } = /** @type {any} */ (globalThis).microtome.store.get("ablate");
      return job.status === "held" || (job.status === "done" && job.value.result.experiment.prompts?.length === 25);
    });
    const { status } = (await part(page, "ablate")).job;
    if (status === "held") await section.locator(".status").getByRole("button", { name: "Run" }).click();
  });
  const panel = await open(page, "ablate", 3);
  ensure((await panel.locator(".finding").innerText()).includes("the mean over 25 such runs"), await panel.locator(".finding").innerText());
  const first = await panel.locator(".finding").innerText();
  const { experiment } = (await part(page, "ablate")).job.value.result;
  await panel.getByLabel("Prompt", { exact: true }).selectOption("7");
  await page.waitForFunction((first) => document.querySelector("#ablate .behind .finding")?.textContent !== first, first);
  await traced(page, "ablate");
  const { loss } = await asked(page, { version: 1, kind: "predict", prompt: experiment.prompts[7].prompt, top_k: 1, edited: { places: [{ site: "v", layer: 0, head: 3 }], edit: { kind: "zero" } } });
  ensure((await panel.locator(".finding").innerText()).includes(`the loss is ${write(loss)};`), `${await panel.locator(".finding").innerText()}; it is ${loss}`);
  await page.context().close();
}

/** @param {(options?: any) => Promise<Page>} fresh @param {string} shots */
async function touch(fresh, shots) {
  const page = await fresh(PHONE);
  const cdp = await page.context().newCDPSession(page);
  const finger = (/** @type {string} */ type, /** @type {number} */ x = 0, /** @type {number} */ y = 0) =>
    cdp.send("Input.dispatchTouchEvent", { type: /** @type {any} */ (type), touchPoints: type === "touchEnd" ? [] : [{ x, y }] });
  const section = page.locator("#ablate");
  const canvas = section.locator("canvas").first();
  await canvas.evaluate((node) => node.scrollIntoView({ block: "center" }));
  const { figure } = (await part(page, "ablate")).job.value;
  const place = async () => {
    const box = await canvas.boundingBox();
    ensure(box, "the figure is not shown");
    const at = await placed(canvas, figure, 3);
    return (/** @type {number} */ row, /** @type {number} */ col) => /** @type {[number, number]} */ ([box.x + at.plot.x + (col + 0.5) * at.cell.w, box.y + at.plot.y + (row + 0.5) * at.cell.h]);
  };
  const tip = section.locator(".panels .tip").first();
  let cell = await place();
  const scroll = () => page.evaluate(() => scrollY);
  const before = await scroll();
  await finger("touchStart", ...cell(2, 1));
  for (let step = 1; step <= 8; step++) await finger("touchMove", cell(2, 1)[0] + ((cell(2, 5)[0] - cell(2, 1)[0]) * step) / 8, cell(2, 1)[1]);
  await tip.getByText(/^Layer 2, head 5:/).waitFor();
  const box = await tip.boundingBox();
  ensure(box && box.y + box.height < cell(2, 5)[1] - 20, `the value at ${box?.y} is under the finger at ${cell(2, 5)[1]}`);
  await page.screenshot({ path: join(shots, "ablate-scrub.png") });
  await finger("touchEnd");
  ensure((await scroll()) === before, `the page scrolled from ${before} to ${await scroll()} while the finger scrubbed`);
  ensure((await section.locator(".readout").first().innerText()).startsWith("Layer 2, head 5:"), "what was scrubbed to is lost");
  ensure(!(await section.locator(".behind").count()), "scrubbing opened a run");
  // Up and down, the page scrolls.
  cell = await place();
  await finger("touchStart", ...cell(3, 3));
  for (let step = 1; step <= 10; step++) await finger("touchMove", cell(3, 3)[0], cell(3, 3)[1] - 20 * step);
  await finger("touchEnd");
  await page.waitForFunction((before) => scrollY > before + 50, before);
  // Until the page has come to rest.
  await page.evaluate(() => new Promise((resolve) => {
    let at = scrollY;
    const timer = setInterval(() => {
      if (scrollY === at) resolve(clearInterval(timer));
      at = scrollY;
    }, 100);
  }));
  await canvas.evaluate((node) => node.scrollIntoView({ block: "center" }));
  cell = await place();
  await page.touchscreen.tap(...cell(1, 2));
  ensure((await section.locator(".readout").first().innerText()).startsWith("Layer 1, head 2:"), "a tap does not say what the cell is");
  ensure(!(await section.locator(".behind").count()), "the first tap opens a run");
  await page.touchscreen.tap(...cell(1, 2));
  const panel = await traced(page, "ablate");
  ensure((await panel.locator("h4").innerText()).startsWith("L1H2’s v"), await panel.locator("h4").innerText());
  await page.locator("#ablate").screenshot({ path: join(shots, "behind-phone.png") });
  const { content, screen } = await page.evaluate(() => ({ content: document.documentElement.scrollWidth, screen: innerWidth }));
  ensure(content <= screen, `the page is ${content} px wide on a screen of ${screen} px`);
  // The sheet: a tap keeps a head, a second one lets it go.
  const sheet = page.locator("#attention canvas").first();
  await sheet.evaluate((node) => node.scrollIntoView({ block: "center" }));
  const tiles = await sheet.boundingBox();
  ensure(tiles, "the sheet is not shown");
  const view = async () => (await part(page, "attention")).view;
  await page.touchscreen.tap(tiles.x + tiles.width - 20, tiles.y + tiles.height - 20);
  ensure((await view()).locked && (await view()).head.head > 0, JSON.stringify(await view()));
  await page.touchscreen.tap(tiles.x + tiles.width - 20, tiles.y + tiles.height - 20);
  ensure(!(await view()).locked, "a second tap does not let go");
  await page.locator("#attention").screenshot({ path: join(shots, "attention-touch.png") });
  await page.context().close();
}

/** @param {(options?: any) => Promise<Page>} fresh @param {string} shots */
async function access(fresh, shots) {
  const axe = await readFile(AXE, "utf8");
  for (const scheme of /** @type {const} */ (["light", "dark"])) {
    const page = await fresh({ colorScheme: scheme });
    await open(page, "ablate", 5);
    for (const summary of await page.locator("#ablate .panels summary, #ablate .behind summary:visible, #attention summary, #grid summary").all()) await summary.click();
    await page.locator("#attention .strip .chip").nth(3).click();
    await page.locator("#attention [role=grid]").nth(1).press("ArrowDown");
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => /** @type {any} */ (globalThis).axe.run({ include: ["#grid", "#attention", "#ablate", "#patch"] }));
    ensure(!violations.length, `${scheme}: ${violations.map((/** @type {any} */ v) => `${v.id}: ${v.nodes.map((/** @type {any} */ n) => n.target).join(" ")}`).join("; ")}`);
    await page.locator("#ablate").screenshot({ path: join(shots, `behind-open-${scheme}.png`) });
    await page.locator("#attention").screenshot({ path: join(shots, `attention-open-${scheme}.png`) });
    await page.context().close();
  }
  const page = await fresh({ forcedColors: "active" });
  const grid = page.locator("#ablate [role=grid]");
  await grid.focus();
  await page.keyboard.press("ArrowDown");
  ensure((await grid.evaluate((node) => getComputedStyle(node).outlineStyle)) === "solid", "focus has no outline in forced colours");
  await page.locator("#attention .strip .chip").nth(3).hover();
  await page.locator("#attention .strip .chip[data-side=by]").first().waitFor();
  // The lines around tokens are all there, and those of both sides differ without a colour.
  const borders = await page.locator("#attention .strip .chip").evaluateAll((nodes) => nodes.map((node) => {
    const { borderStyle, borderTopWidth, borderTopColor, backgroundColor } = getComputedStyle(node);
    return { side: node.getAttribute("data-side"), style: borderStyle, seen: parseFloat(borderTopWidth) >= 1 && borderTopColor !== backgroundColor && !/, 0\)$/.test(borderTopColor) };
  }));
  ensure(borders.every(({ seen }) => seen), `tokens without a line around them: ${JSON.stringify(borders.filter(({ seen }) => !seen))}`);
  ensure(["at", "by"].every((side) => borders.some((chip) => chip.side === side)), `only one side is shown: ${JSON.stringify(borders)}`);
  ensure(borders.every(({ side, style }) => style === (side === "by" ? "dashed" : "solid")), `both sides look the same in forced colours: ${JSON.stringify(borders)}`);
  await page.locator("#attention").screenshot({ path: join(shots, "attention-forced.png") });
  await page.context().close();
}
