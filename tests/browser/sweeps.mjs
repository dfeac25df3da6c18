// Sweeps as the page shows them: estimate, cells that appear, cancel, every kind of result. On the stand-in engine, whose
// speed the test chooses. Longer than most files: a check for each thing that a sweep can show.
import { check, ensure, newPage } from "./harness.mjs";
import { allSettled, coloursOf, part, recomputed, settled, type } from "./lab_page.mjs";

/** @typedef {import("playwright-core").Page} Page */

/** 4 layers × 8 heads × 9 destinations at 20 ms a cell. */
const LONG = { what: "get_act_patch_attn_head_pattern_by_pos", cells: 288 };

/**
 * @param {import("playwright-core").Browser} browser
 * @param {string} url a site with the stand-in engine
 */
export async function sweepChecks(browser, url) {
  const name = (/** @type {string} */ text) => `sweeps: ${text}`;
  const fresh = async () => {
    const page = await newPage(browser);
    await page.goto(url);
    await allSettled(page);
    return page;
  };
  const status = (/** @type {Page} */ page, /** @type {string} */ key) => page.locator(`#${key} .status`);

  await check(name("cells appear before the end, hatched where they are not done, and cancel keeps them"), async () => {
    const page = await fresh();
    await startLong(page);
    await status(page, "patch").getByText(/% computed · \d+ of 288 cells · (about|under) .* left/).waitFor();
    ensure(await page.locator("#patch .body .incomplete").isVisible(), "the figure is not marked as incomplete");
    const first = await part(page, "patch");
    ensure(first.job.status === "running", `the sweep is ${first.job.status}`);
    const { values } = first.job.value.figure;
    const done = values.filter((/** @type {number | null} */ value) => value !== null).length;
    ensure(done === first.job.sofar.done && done > 0 && done < LONG.cells, `${done} of ${values.length} cells are shown`);
    const took = await cancelled(page, "patch");
    ensure(took < 200, `cancelling took ${Math.round(took)} ms`);
    await page.waitForTimeout(500);
    const { job } = await part(page, "patch");
    ensure(job.status === "cancelled" && job.sofar.done >= done, `${job.status}, ${job.sofar?.done} cells are kept`);
    ensure((await status(page, "patch").innerText()).includes(`incomplete, ${job.sofar.done} of 288 cells`), await status(page, "patch").innerText());
    ensure(await page.locator("#patch .body .incomplete").isVisible(), "the figure is no longer marked as incomplete");
    const opacity = await page.locator("#patch .body").evaluate((node) => getComputedStyle(node).opacity);
    ensure(opacity === "1", `what was done is dimmed to ${opacity}`);
    // The last panel has nothing yet, and says so.
    await page.locator("#patch [role=grid]").first().press("Control+End");
    await page.locator("#patch [role=grid]").nth(1).press("ArrowDown");
    for (let i = 0; i < 3; i++) await page.locator("#patch [role=grid]").nth(1).press("ArrowDown");
    ensure((await page.locator("#patch .readout").innerText()) === "not computed yet", await page.locator("#patch .readout").innerText());
    await page.locator("#patch .numbers summary").click();
    // The table is filled when its details have opened.
    await page.locator("#patch .numbers td", { hasText: /^…$/ }).first().waitFor();
    const whole = await recomputed(page, "patch", async () => {
      await type(page, "patch", { "Clean prompt": "Mary is a great friend, isn’t", "Corrupted prompt": "John is a great friend, isn’t" });
    });
    ensure(!whole.sofar && !(await page.locator("#patch .body .incomplete").count()), "a complete figure is marked as incomplete");
    await page.context().close();
  });

  await check(name("a newer request drops what an older one still sends"), async () => {
    const page = await fresh();
    await startLong(page);
    await status(page, "patch").getByText(/of 288 cells/).waitFor();
    await recomputed(page, "patch", async () => {
      await page.locator("#patch").getByLabel("Patched").selectOption("get_act_patch_resid_pre");
      await type(page, "patch", { "Clean prompt": "Tom is", "Corrupted prompt": "Dan is" });
    });
    await page.waitForTimeout(700);
    const { job } = await part(page, "patch");
    ensure(job.status === "done" && job.value.figure.values.length === 4 * 3, `${job.status}, ${job.value.figure.values.length} cells`);
    await page.context().close();
  });

  await check(name("the API hands out partial answers, and the last with the error of a cancel"), async () => {
    const page = await fresh();
    const seen = await page.evaluate(async () => {
      const lab = /** @type {any} */ (globalThis).microtome.lab();
      const experiment = { version: 1, kind: "ablate", prompt: "SLOW it is", site: "pattern", edit: { kind: "zero" },
        axes: ["layer", "head", "dest"], metric: { kind: "loss" } };
      /** @type {any[]} */ const partials = [];
      const controller = new AbortController();
      const error = await lab.run(experiment, { signal: controller.signal, onPartial: async (/** @type {any} */ partial) => {
        partials.push(partial);
        if (partials.length === 2) controller.abort();
      } }).catch((/** @type {any} */ e) => e);
      const late = partials.length;
      const figure = await lab.figure({ experiment, kind: "ablate", ...error.partial });
      return { code: error.code, same: error.partial === partials[1], done: partials.map((p) => p.done), late,
        counted: partials.map((p) => p.values.filter((/** @type {number} */ v) => !Number.isNaN(v)).length), panels: figure.panel_axes[0].labels.length };
    });
    ensure(seen.code === "run.cancelled" && seen.same && seen.late === 2 && seen.panels === 8, JSON.stringify(seen));
    ensure(seen.done.join() === seen.counted.join() && seen.done[0] > 0 && seen.done[1] > seen.done[0], JSON.stringify(seen));
    await page.context().close();
  });

  await check(name("an estimate is shown before a big sweep, which waits for a click"), async () => {
    const page = await fresh();
    const before = (await part(page, "ablate")).job.value;
    await type(page, "ablate", { Prompt: "BIG is it" });
    await settled(page, "ablate", "held");
    const said = await status(page, "ablate").innerText();
    for (const words of ["about 2 min", "32 cells", "252 billion operations", "1.3 MB"]) ensure(said.includes(words), `it says “${said}”, not “${words}”`);
    ensure((await part(page, "ablate")).job.value === before || (await part(page, "ablate")).job.value.result.experiment.prompt === before.result.experiment.prompt, "it ran");
    await recomputed(page, "ablate", () => status(page, "ablate").getByRole("button", { name: "Run" }).click());
    await recomputed(page, "ablate", () => type(page, "ablate", { Prompt: "Small is it" }));
    await page.context().close();
  });

  await check(name("a quick sweep shows nothing but its result"), async () => {
    const page = await fresh();
    await page.evaluate(() => {
      const { store } = /** @type {any} */ (globalThis).microtome;
      /** @type {any} */ (globalThis).marks = [];
      store.subscribe("ablate", () => /** @type {any} */ (globalThis).marks.push(store.get("ablate").job.sofar));
    });
    await recomputed(page, "ablate", () => type(page, "ablate", { Prompt: "Dan is here" }));
    ensure((await page.evaluate(() => /** @type {any} */ (globalThis).marks)).every((/** @type {any} */ mark) => mark === null), "a partial answer was shown");
    await page.context().close();
  });

  await check(name("every function of transformer_lens.patching is there by name, and has its axes and figure"), async () => {
    const page = await fresh();
    const select = page.locator("#patch").getByLabel("Patched");
    const names = (await select.locator("option").allInnerTexts()).filter((text) => text.startsWith("get_act_patch_"));
    ensure(names.length === 18, `there are ${names.length}: ${names}`);
    for (const what of names.filter((text) => text !== "get_act_patch_resid_pre")) {
      const { result, figure } = await recomputed(page, "patch", () => select.selectOption(what));
      const panels = figure.panel_axes?.reduce((/** @type {number} */ n, /** @type {any} */ axis) => n * axis.labels.length, 1) ?? 1;
      ensure(panels * figure.rows * figure.cols === result.values.length, `${what}: ${panels} panels of ${figure.rows} × ${figure.cols}`);
      const canvases = page.locator("#patch canvas");
      ensure((await canvases.count()) === (panels > 1 ? 2 : 1), `${what}: ${await canvases.count()} canvases for ${panels} panels`);
      for (const canvas of await canvases.all()) ensure((await coloursOf(canvas)) > 10, `${what}: a canvas is blank`);
    }
    await page.context().close();
  });

  await check(name("panels: pointed at, kept, let go, and moved through with keys"), async () => {
    const page = await fresh();
    const { figure } = await recomputed(page, "patch", () => page.locator("#patch").getByLabel("Patched").selectOption("get_act_patch_attn_head_by_pos_every"));
    const tiles = page.locator("#patch [role=grid]").first();
    await tiles.scrollIntoViewIfNeeded();
    const title = page.locator("#patch .heading h4");
    const shows = async (/** @type {string} */ words) => ensure((await title.innerText()) === words, `it shows “${await title.innerText()}”, not “${words}”`);
    const far = figure.values.map((/** @type {number} */ value) => Math.abs(value));
    const strongest = Math.floor(far.indexOf(Math.max(...far)) / (figure.rows * figure.cols));
    await shows(`${["z", "q", "k", "v", "pattern"][Math.floor(strongest / 8)]}, head ${strongest % 8}`);
    await tiles.press("Control+Home");
    await shows("z, head 0");
    await tiles.press("ArrowRight");
    await tiles.press("ArrowDown");
    await shows("q, head 1");
    await page.locator("#patch [role=grid]").nth(1).press("ArrowRight");
    const value = figure.values[(8 + 1) * figure.rows * figure.cols];
    const words = await page.locator("#patch .readout").innerText();
    ensure(words.startsWith(`q, head 1, layer 0, position ${figure.col_axis.labels[0]}: ${value.toFixed(4)}`), `it says “${words}”`);
    const box = await tiles.boundingBox();
    ensure(box, "the panels are not shown");
    await page.mouse.move(box.x + box.width - 20, box.y + box.height - 15);
    await shows("pattern, head 7");
    await page.mouse.down();
    await page.mouse.up();
    await page.mouse.move(box.x + box.width - 20, box.y + 40);
    await shows("pattern, head 7");
    await tiles.press("Escape");
    await page.mouse.move(box.x + box.width - 20, box.y + 41);
    await page.mouse.move(2, 2);
    await shows("pattern, head 7");
    await page.context().close();
  });

  await check(name("ablation: mean, resample, the grid’s prompts, and sets"), async () => {
    const page = await fresh();
    const section = page.locator("#ablate");
    const experiment = async (/** @type {() => Promise<unknown>} */ action) => (await recomputed(page, "ablate", action)).result.experiment;
    const click = (/** @type {string} */ text) => () => section.getByText(text, { exact: true }).click();
    let asked = await experiment(click("Mean"));
    ensure(JSON.stringify(asked.edit) === '{"kind":"mean","prompts":["John is a great friend, isn’t he"],"over":"tokens"}', JSON.stringify(asked.edit));
    asked = await experiment(click("Another prompt’s"));
    ensure(asked.edit.kind === "resample" && !("over" in asked.edit), JSON.stringify(asked.edit));
    asked = await experiment(() => section.getByLabel("Reference prompts, one a line").fill("Tom is\n\nDan is"));
    ensure(asked.edit.prompts.join() === "Tom is,Dan is", JSON.stringify(asked.edit));
    asked = await experiment(() => section.getByRole("button", { name: "Use the prompt grid’s" }).click());
    ensure(asked.edit.prompts.length === 25 && asked.edit.prompts[1] === "John is a great friend, isn’t he", JSON.stringify(asked.edit));
    asked = await experiment(click("All of the prompt grid"));
    ensure(asked.prompts.length === 25 && asked.prompts[0].prompt.endsWith(" she") && !asked.prompts[0].correct, JSON.stringify(asked.prompts[0]));
    ensure((await section.locator(".finding").innerText()).includes("mean loss over 25 prompts"), await section.locator(".finding").innerText());
    asked = await experiment(click("Logit difference"));
    ensure(asked.prompts[1].correct === " he" && JSON.stringify(asked.metric) === '{"kind":"logit_diff"}', JSON.stringify(asked));
    asked = await experiment(() => page.locator("#grid").getByLabel("Name 1").fill("Anna"));
    ensure(asked.prompts[0].prompt.startsWith("Anna"), "the grid changed and the ablation did not");
    asked = await experiment(click("Sets of parts"));
    ensure(asked.sets.length === 3 && asked.sets[2].length === 2 && !asked.axes, JSON.stringify(asked.sets));
    asked = await experiment(() => section.getByRole("textbox", { name: "Set 1" }).fill("L3H6, attn2"));
    ensure(JSON.stringify(asked.sets[0]) === '[{"site":"v","layer":3,"head":6},{"site":"attn_out","layer":2}]', JSON.stringify(asked.sets[0]));
    await section.getByRole("textbox", { name: "Set 2" }).fill("L3Q6");
    await settled(page, "ablate", "error");
    ensure((await section.locator(".error").innerText()).includes("Set 2: “L3Q6” is no part"), await section.locator(".error").innerText());
    asked = await experiment(() => section.getByRole("button", { name: "Remove Set 2" }).click());
    ensure(asked.sets.length === 2, JSON.stringify(asked.sets));
    await page.context().close();
  });
}

/** Starts a sweep of several seconds in section 6. @param {Page} page */
async function startLong(page) {
  await recomputed(page, "patch", () => page.locator("#patch").getByLabel("Patched").selectOption(LONG.what));
  await type(page, "patch", { "Clean prompt": "Mary is a great SLOW friend, isn", "Corrupted prompt": "John is a great SLOW friend, isn" });
}

/** Presses Cancel; how long the section takes to say so, in milliseconds. @param {Page} page @param {string} key */
const cancelled = (page, key) => page.evaluate(async (key) => {
  const { store } = /** @type {any} */ (globalThis).microtome;
  const began = performance.now();
  const ended = new Promise((resolve) => store.subscribe(key, () => store.get(key).job.status === "cancelled" && resolve(0)));
  /** @type {HTMLElement} */ (document.querySelector(`#${key} .status button`)).click();
  await ended;
  return performance.now() - began;
}, key);
