// The export menu: every format of every section is saved in the browser, and read back.
import { execFile, spawnSync } from "node:child_process";
import { readFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { unzipSync } from "../../www/vendor/fflate/fflate.esm.js";
import { check, ensure, newPage, skip } from "./harness.mjs";
import { allSettled, choose, part, settled, type } from "./lab_page.mjs";

/** @typedef {import("playwright-core").Page} Page */

const python = ["python3", "python"].find((name) => spawnSync(name, ["--version"]).status === 0);
const HOSTILE = "<img src=x onerror=alert(1)>";
/** Sections with a figure, and how many cells its heatmaps have in the SVG. @type {Record<string, (result: any) => number>} */
const FIGURES = {
  grid: ({ values }) => values.length, ablate: ({ values }) => values.length, patch: ({ values }) => values.length,
  // Every head, and one enlarged; what comes after dest is no cell.
  attention: ({ tensors: [found] }) => {
    const shapes = Object.values(found).map((/** @type {any} */ { shape }) => shape);
    const [, n] = shapes[0];
    return (shapes.reduce((sum, [heads]) => sum + heads, 0) + 1) * (n * (n + 1)) / 2;
  },
};

/**
 * @param {import("playwright-core").Browser} browser
 * @param {string} url of a site with the real engine
 * @param {string} shots
 */
export async function exportChecks(browser, url, shots) {
  const name = (/** @type {string} */ text) => `export: ${text}`;
  // A language that writes 0,5: files have 0.5 all the same.
  const page = await newPage(browser, { locale: "de-DE", acceptDownloads: true });
  page.setDefaultTimeout(60_000);
  /** Reads what was saved, without the page's policy. */
  const reader = await browser.newPage();
  /** @type {Record<string, any>} */
  const results = {};

  await check(name("nothing is loaded for it, and no menu stands under a section without a result, before it is opened"), async () => {
    /** @type {string[]} */
    const asked = [];
    page.on("request", (request) => asked.push(new URL(request.url()).pathname));
    await page.goto(url);
    await choose(page, "cpu");
    await allSettled(page);
    ensure(!asked.some((path) => /export\/(menu|python|svg|npz)|fflate/.test(path)), `it asked for ${asked.filter((path) => /export|fflate/.test(path))}`);
    for (const key of ["predict", "training"]) {
      const { value } = (await part(page, key)).job;
      ensure((await page.locator(`#${key} .export`).isVisible()) === (value !== null && value.result !== null), `the menu of ${key}`);
    }
    for (const key of ["predict", "grid", "attention", "ablate", "patch", "bias", "heads"]) {
      ensure(await page.locator(`#${key} .export > summary`).isVisible(), `no menu under ${key}`);
      const { value } = (await part(page, key)).job;
      results[key] = value.result ?? value;
    }
    // Tensors do not cross as they are.
    results.attention = await page.evaluate(() => JSON.parse(JSON.stringify(/** @type {any} */ (globalThis).microtome.store.get("attention").job.value.result,
      (_, value) => (value instanceof Float32Array ? Array.from(value) : value))));
  });

  /** Chromium lets a page save only so many files in a row; one that is opened anew begins anew. */
  const anew = async () => {
    await page.goto("about:blank");
    await page.goto(url);
    await choose(page, "cpu");
    await allSettled(page);
  };

  await check(name("CSV: the numbers of every section, in full, with a full stop, and where they come from"), async () => {
    for (const key of Object.keys(results)) {
      const file = await save(page, key, "CSV");
      const [header, ...rows] = parseCsv(file.text);
      ensure(/^[a-z0-9_-]+\.csv$/.test(file.name), file.name);
      const about = JSON.parse(rows[0][header.indexOf("about")]);
      const { model, engine, experiment } = results[key];
      ensure(about.model.sha256 === model.sha256 && about.model.name === model.name && about.engine.backend === "cpu" && about.engine.build === engine.build
        && about.browser.includes("Chrome") && about.processing === "transformer_lens" && JSON.stringify(about.experiment) === JSON.stringify(experiment), JSON.stringify(about));
      const column = ["value", "logit_diff", "b_U", "score", "logit"].find((word) => header.includes(word)) ?? "";
      const numbers = rows.map((row) => Number(row[header.indexOf(column)]));
      const wanted = key === "predict" ? results.predict.top.map((/** @type {any} */ entry) => entry.logit)
        : key === "attention" ? masked(results.attention) : results[key].values;
      ensure(numbers.length === wanted.length && numbers.every((value, i) => value === wanted[i]), `${key}: ${numbers.slice(0, 3)} …, not ${wanted.slice(0, 3)} …`);
    }
    ensure((await save(page, "ablate", "CSV")).name === "ablate-v-zero-loss.csv", "the name");
    const [header, first] = parseCsv((await save(page, "patch", "CSV")).text);
    ensure(header.slice(0, 6).join() === "layer,pos,pos_clean_token,pos_clean_id,pos_corrupted_token,pos_corrupted_id" && first[2] === "<|endoftext|>", `${header} ${first}`);
  });

  await check(name("JSON: the result, with the browser beside it, and the figure where there is one"), async () => {
    for (const key of Object.keys(results)) {
      const { exported, figure, ...rest } = JSON.parse((await save(page, key, "JSON")).text);
      ensure(exported.browser.includes("Chrome") && exported.address === "./models/pronoun/", JSON.stringify(exported));
      ensure(Boolean(figure) === ["ablate", "patch"].includes(key), `${key}: a figure`);
      if (key !== "attention") ensure(JSON.stringify(rest) === JSON.stringify(results[key]), `${key}: another result`);
      else for (const [hook, { data }] of Object.entries(rest.tensors[0])) {
        ensure(data.every((/** @type {number} */ value, /** @type {number} */ i) => Math.fround(value) === results.attention.tensors[0][hook].data[i]), hook);
      }
    }
  });

  await check(name("NPZ: arrays of the result's shape and numbers"), async () => {
    await anew();
    for (const key of ["grid", "attention", "ablate", "patch", "bias", "heads"]) {
      const file = await save(page, key, "NPZ");
      const arrays = parseNpz(file.bytes);
      ensure(JSON.parse(arrays.about.data[0]).model.name === results[key].model.name, "about");
      const wanted = key === "attention" ? Object.entries(results.attention.tensors[0]).map(([hook, { shape, data }]) => [`0/${hook}`, shape, data])
        : [["values", results[key].shape ?? [results[key].values.length], results[key].values]];
      for (const [at, shape, data] of wanted) {
        ensure(arrays[at].shape.join() === shape.join() && data.every((/** @type {number} */ value, /** @type {number} */ i) => arrays[at].data[i] === value), `${key}: ${at}`);
      }
    }
  });

  await check(name("SVG: a picture with a rectangle for each cell, which says what it is of"), async () => {
    for (const key of [...Object.keys(FIGURES), "bias"]) {
      const { text } = await save(page, key, "SVG");
      const found = await reader.evaluate((text) => {
        const tree = new DOMParser().parseFromString(text, "image/svg+xml");
        const groups = [...tree.querySelectorAll("g.cells")].filter((group) => !["1,128", "128,1"].includes(`${group.getAttribute("data-rows")},${group.getAttribute("data-cols")}`));
        return { error: tree.querySelector("parsererror")?.textContent, root: tree.documentElement.tagName, cells: groups.reduce((sum, group) => sum + group.children.length, 0),
          title: tree.querySelector("title")?.textContent ?? "", desc: tree.querySelector("desc")?.textContent ?? "", texts: [...tree.querySelectorAll("text")].map((node) => node.textContent) };
      }, text);
      ensure(!found.error && found.root === "svg", `${key}: ${found.error}`);
      if (key !== "bias") ensure(found.cells === FIGURES[key](results[key]), `${key}: ${found.cells} cells, not ${FIGURES[key](results[key])}`);
      ensure(found.desc.includes(results[key].model.sha256) && found.desc.includes("cpu") && found.texts.some((words) => words?.includes("processing transformer_lens")), `${key}: ${found.desc}`);
      if (key === "attention") ensure(found.texts.some((words) => /^Attention pattern of head L\d+H\d+$/.test(words ?? "")), "which head is enlarged");
      ensure(found.title.length > 5 && found.texts[0] === found.title, `${key}: ${found.title}`);
    }
  });

  await check(name("PNG: twice as many pixels as the picture is wide, and many colours"), async () => {
    await anew();
    await mkdir(shots, { recursive: true });
    for (const key of [...Object.keys(FIGURES), "bias"]) {
      const { bytes, path } = await save(page, key, "PNG");
      const [width, height] = [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
      ensure(bytes.includes("iTXtDescription") && bytes.includes(results[key].model.sha256), `${key}: it does not say what it is of`);
      ensure(width === 1664 && height > 200, `${key}: ${width} × ${height}`);
      const colours = await reader.evaluate(async (data) => {
        const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${data}`)).blob());
        const ctx = new OffscreenCanvas(image.width, image.height).getContext("2d");
        ctx?.drawImage(image, 0, 0);
        const { data: pixels } = /** @type {ImageData} */ (ctx?.getImageData(0, 0, image.width, image.height));
        return new Set(new Uint32Array(pixels.buffer)).size;
      }, bytes.toString("base64"));
      ensure(colours > 20, `${key}: ${colours} colours`);
      await import("node:fs/promises").then(({ copyFile }) => copyFile(path, join(shots, `export-${key}.png`)));
    }
    const menu = page.locator("#grid .export");
    await menu.getByLabel("Picture on").selectOption("none");
    const { bytes } = await save(page, "grid", "PNG");
    const corner = await reader.evaluate(async (data) => {
      const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${data}`)).blob());
      const ctx = new OffscreenCanvas(1, 1).getContext("2d");
      ctx?.drawImage(image, 0, 0);
      return ctx?.getImageData(0, 0, 1, 1).data[3];
    }, bytes.toString("base64"));
    ensure(corner === 0, `the corner is ${corner}`);
    await menu.getByLabel("Picture on").selectOption("page");
  });

  if (!python) skip(name("Python: scripts compile"), "there is no Python here");
  else await check(name("Python: scripts of every section compile, with the page's very token ids"), async () => {
    await anew();
    for (const key of Object.keys(results)) {
      await open(page, key);
      for (const library of ["TransformerLens", "nnsight"]) {
        const button = page.locator(`#${key} .export`).getByRole("button", { name: `Save the script for ${library}` });
        if (!(await button.isVisible())) {
          ensure(library === "nnsight" && ["bias", "heads"].includes(key), `${key} has no script for ${library}`);
          continue;
        }
        const { path, text, name: file } = await take(page, () => button.click());
        ensure(/^[a-z0-9_-]+\.py$/.test(file), file);
        await promisify(execFile)(python, ["-c", "import sys; compile(open(sys.argv[1], encoding='utf8').read(), 'script', 'exec')", path]);
        if (key === "predict") ensure(text.includes(JSON.stringify(results.predict.tokens.map((/** @type {any} */ token) => token.id)).replaceAll(",", ", ")), "other tokens");
        ensure(text.includes(results[key].model.sha256), "which weights");
      }
    }
  });

  await check(name("a script is copied; where the browser refuses, it stands in a box to be copied by hand"), async () => {
    const button = page.locator("#ablate .export").getByRole("button", { name: "Copy the script for TransformerLens" });
    await page.evaluate(() => Object.defineProperty(navigator, "clipboard", { configurable: true, value: { writeText: async (/** @type {string} */ text) => void (/** @type {any} */ (globalThis).copied = text) } }));
    await button.click();
    await page.locator("#ablate .export [role=status]", { hasText: "Copied." }).waitFor();
    const copied = await page.evaluate(() => /** @type {any} */ (globalThis).copied);
    await page.evaluate(() => Object.defineProperty(navigator, "clipboard", { configurable: true, value: { writeText: async () => { throw new DOMException("denied", "NotAllowedError"); } } }));
    await button.click();
    const box = page.locator("#ablate .export textarea");
    await box.waitFor();
    const chosen = await box.evaluate((node) => {
      const area = /** @type {HTMLTextAreaElement} */ (node);
      return { text: area.value.slice(area.selectionStart, area.selectionEnd), focused: document.activeElement === area };
    });
    ensure(chosen.focused && chosen.text === copied && copied.startsWith("# Ablation, with TransformerLens"), `${chosen.text.slice(0, 50)} …`);
  });

  await check(name("the menu works with keys alone, and Escape closes it"), async () => {
    const summary = page.locator("#bias .export > summary");
    if (await page.locator("#bias .export[open]").count()) await summary.press("Enter");
    await summary.focus();
    await page.keyboard.press("Enter");
    await page.locator("#bias .export").getByRole("button", { name: "CSV" }).waitFor();
    for (let i = 0; i < 3; i++) await page.keyboard.press("Tab");
    const file = await take(page, () => page.keyboard.press("Enter"));
    ensure(file.name === "unembed-bias.csv", file.name);
    await page.keyboard.press("Escape");
    ensure(!(await page.locator("#bias .export[open]").count()), "it is open");
    ensure(await summary.evaluate((node) => document.activeElement === node), "the keyboard is elsewhere");
  });

  await check(name("with its menu open a sweep over positions is drawn and cancelled, and every format says that it is incomplete, and of what"), async () => {
    await anew();
    await open(page, "patch");
    const { sofar, sha256 } = await cancelledSweep(page);
    ensure(await page.locator("#patch .body .incomplete").isVisible(), "what is done was not drawn");
    const { result } = (await part(page, "patch")).job.value;
    const cells = result.shape.reduce((/** @type {number} */ all, /** @type {number} */ size) => all * size, 1);
    const says = (/** @type {any} */ about, /** @type {string} */ format) => ensure(about.incomplete === true && about.model.sha256 === sha256 && about.model.address === "./models/pronoun/"
      && about.engine.backend === "cpu" && about.engine.build.startsWith("microtome "), `${format}: ${JSON.stringify(about)}`);
    const [header, ...rows] = parseCsv((await save(page, "patch", "CSV")).text);
    says(JSON.parse(rows[0][header.indexOf("about")]), "CSV");
    const column = (/** @type {string} */ called) => rows.map((row) => row[header.indexOf(called)]);
    ensure(rows.length === cells && column("value").filter(Boolean).length === sofar.done && column("dest_clean_token").every(Boolean), `CSV: ${rows.length} rows of ${cells}, ${header}`);
    const json = JSON.parse((await save(page, "patch", "JSON")).text);
    ensure(json.incomplete === true && json.values.filter((/** @type {number | null} */ value) => value !== null).length === sofar.done && json.model.sha256 === sha256
      && json.engine.backend === "cpu" && json.exported.address === "./models/pronoun/", `JSON: ${JSON.stringify({ ...json, values: 0, figure: 0 })}`);
    const arrays = parseNpz((await save(page, "patch", "NPZ")).bytes);
    says(JSON.parse(arrays.about.data[0]), "NPZ");
    ensure(arrays.values.shape.join() === result.shape.join() && arrays.values.data.filter((value) => !Number.isNaN(value)).length === sofar.done
      && arrays.clean_ids.data.length === result.shape.at(-1), `NPZ: ${arrays.values.shape}, ${arrays.clean_ids?.data.length} ids`);
    const svg = (await save(page, "patch", "SVG")).text;
    ensure(svg.includes(sha256) && svg.includes("incomplete: hatched cells are not computed") && svg.includes("&quot;incomplete&quot;:true"), "SVG");
    const png = (await save(page, "patch", "PNG")).bytes;
    ensure(png.includes(sha256) && png.includes('"incomplete":true'), "PNG");
    for (const library of ["TransformerLens", "nnsight"]) {
      const { text } = await take(page, () => page.locator("#patch .export").getByRole("button", { name: `Save the script for ${library}` }).click());
      ensure(text.includes(sha256), `the script for ${library}`);
    }
  });

  await check(name("a result that is kept while another model fails to load is exported as its own model’s, and embedded as such"), async () => {
    await anew();
    const { sha256 } = (await part(page, "model")).info.model;
    await open(page, "predict");
    await page.locator("#model").getByLabel("Another model").fill("./models/nowhere/");
    await page.locator("#model form").getByRole("button", { name: "Load" }).click();
    await page.locator("#model .error").waitFor();
    ensure((await part(page, "model")).address === "./models/nowhere/", "another model was not asked for");
    const [header, first] = parseCsv((await save(page, "predict", "CSV")).text);
    const about = JSON.parse(first[header.indexOf("about")]);
    ensure(about.model.address === "./models/pronoun/" && about.model.sha256 === sha256, JSON.stringify(about.model));
    ensure(JSON.parse((await save(page, "predict", "JSON")).text).exported.address === "./models/pronoun/", "JSON");
    const menu = page.locator("#ablate .embed");
    await menu.locator("summary").click();
    await menu.getByText("Put this figure into a page of your own").waitFor();
    const html = await menu.locator("[data-way=element] textarea").inputValue();
    ensure(html.includes('model="./models/pronoun/"') && !html.includes("nowhere"), html.slice(0, 400));
    ensure(!(await menu.locator("[data-way=frame] textarea").inputValue()).includes("nowhere"), "the frame has the other model");
  }, /404/);

  await check(name("hostile tokens, labels and names are text in every file"), async () => {
    await anew();
    await page.evaluate((hostile) => {
      const { store } = /** @type {any} */ (globalThis).microtome;
      const { job } = store.get("grid");
      const result = structuredClone(job.value.result);
      result.model.name = hostile;
      result.experiment.prompts[0].prompt = "=cmd|'/c calc'!A1";
      result.experiment.prompts[0].correct = hostile;
      store.update("grid", { job: { ...job, value: { result, inputs: { ...job.value.inputs, formats: job.value.inputs.formats.with(0, hostile) } } } });
    }, HOSTILE);
    const csv = parseCsv((await save(page, "grid", "CSV")).text);
    ensure(csv[1][0] === "'=cmd|'/c calc'!A1" && csv[1][1] === HOSTILE, `${csv[1]}`);
    const svg = (await save(page, "grid", "SVG")).text;
    ensure(svg.includes("model &lt;img src=x onerror=alert(1)&gt;") && !svg.includes("<img"), "the SVG");
    ensure(JSON.parse((await save(page, "grid", "JSON")).text).model.name === HOSTILE, "the JSON");
    ensure(JSON.parse(parseNpz((await save(page, "grid", "NPZ")).bytes).about.data[0]).model.name === HOSTILE, "the NPZ");
    await page.locator("#grid .export").getByRole("button", { name: "Save the script for TransformerLens" }).click();
    const said = page.locator("#grid .export [role=status]", { hasText: "is not open" });
    await said.waitFor();
    await page.evaluate(() => /** @type {any} */ (globalThis).microtome.store.edit("predict", { prompt: "Mary <img src=x onerror=alert(1)>\"\"\" =cmd()" }));
    await page.waitForFunction(() => {
      const { job } = /** @type {any} */ (globalThis).microtome.store.get("predict");
      return job.status === "done" && job.value.experiment.prompt.includes("cmd");
    });
    await open(page, "predict");
    const { text } = await take(page, () => page.locator("#predict .export").getByRole("button", { name: "Save the script for TransformerLens" }).click());
    ensure(text.includes(String.raw`"text": "Mary <img src=x onerror=alert(1)>\"\"\" =cmd()"`), text.slice(0, 2000));
    ensure(!(await page.locator("main img").count()), "an image was made");
  });
  await page.context().close();
  await reader.close();

  for (const [look, options] of Object.entries({
    light: { colorScheme: /** @type {const} */ ("light") }, dark: { colorScheme: /** @type {const} */ ("dark") },
    phone: { colorScheme: /** @type {const} */ ("light"), viewport: { width: 360, height: 740 }, deviceScaleFactor: 3, hasTouch: true, isMobile: true },
  })) {
    await check(name(`${look}: the menu is not wider than the screen, and every button can be hit`), async () => {
      const looked = await newPage(browser, options);
      looked.setDefaultTimeout(60_000);
      await looked.goto(url);
      await allSettled(looked);
      await open(looked, "ablate");
      const section = looked.locator("#ablate");
      const small = await section.locator(".export :is(button, select, summary):visible").evaluateAll((nodes) => nodes.filter((node) => {
        const { width, height } = node.getBoundingClientRect();
        return width < 24 || height < 24;
      }).map((node) => node.textContent));
      ensure(!small.length, `too small: ${small}`);
      ensure(await looked.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page is too wide");
      await section.locator(".export").scrollIntoViewIfNeeded();
      await section.locator(".export").screenshot({ path: join(shots, `export-menu-${look}.png`) });
      if (look === "dark") {
        await section.getByLabel("Picture on").selectOption("white");
        const { path } = await save(looked, "ablate", "PNG");
        await import("node:fs/promises").then(({ copyFile }) => copyFile(path, join(shots, "export-white-from-dark.png")));
      }
      await looked.context().close();
    });
  }
}

/**
 * A patch of thousands of runs, which is cancelled when some of its cells are there.
 * @param {Page} page
 * @returns {Promise<{ sofar: { done: number, cells: number }, sha256: string }>} the model is the page's
 */
async function cancelledSweep(page) {
  const patch = page.locator("#patch");
  const long = (/** @type {string} */ name) => `${`${name} is a great friend. `.repeat(15)}${name} is a great friend, isn’t`;
  await patch.getByLabel("Patched").selectOption("get_act_patch_attn_head_pattern_by_pos");
  await type(page, "patch", { "Clean prompt": long("Mary"), "Corrupted prompt": long("John") });
  const found = await page.waitForFunction(() => {
    const { job } = /** @type {any} */ (globalThis).microtome.store.get("patch");
    // What was typed last may not have been heard yet.
    return job.estimate?.cells > 2000 && ["held", "running"].includes(job.status) && job.status;
  }, null, { timeout: 60_000 });
  if ((await found.jsonValue()) === "held") await patch.locator(".status").getByRole("button", { name: "Run" }).click();
  await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome.store.get("patch").job.sofar?.done > 0, null, { timeout: 60_000 });
  await patch.locator(".status").getByRole("button", { name: "Cancel" }).click();
  await settled(page, "patch", "cancelled");
  // The last of what was done may come a moment later.
  await page.waitForTimeout(1000);
  const { job } = await part(page, "patch");
  ensure(job.status === "cancelled" && job.sofar.done < job.sofar.cells, JSON.stringify(job.sofar));
  return { sofar: job.sofar, sha256: (await part(page, "model")).info.model.sha256 };
}

/** @param {Page} page @param {string} key */
async function open(page, key) {
  const menu = page.locator(`#${key} .export`);
  if (!(await page.locator(`#${key} .export[open]`).count())) await menu.locator("summary").click();
  await menu.getByRole("button").first().waitFor();
}

/** Milliseconds between two files: Chromium drops what a page saves beyond ten in a second, without a word. */
const APART = 150;
let taken = 0;

/** @param {Page} page @param {() => Promise<unknown>} act */
export async function take(page, act) {
  await page.waitForTimeout(Math.max(0, taken + APART - performance.now()));
  taken = performance.now();
  const [download] = await Promise.all([page.waitForEvent("download"), act()]);
  const path = /** @type {string} */ (await download.path());
  const bytes = await readFile(path);
  return { name: download.suggestedFilename(), path, bytes, text: bytes.toString("utf8") };
}

/** Saves a section in a format. @param {Page} page @param {string} key @param {string} format */
export async function save(page, key, format) {
  await open(page, key);
  return take(page, () => page.locator(`#${key} .export`).getByRole("button", { name: format, exact: true }).click());
}

/** What the mask lets be, as the CSV has it. @param {any} result */
function masked({ tensors }) {
  return tensors.flatMap((/** @type {any} */ found) => Object.values(found).flatMap((/** @type {any} */ { shape: [, n], data }) =>
    data.filter((/** @type {number} */ _, /** @type {number} */ i) => i % n <= Math.floor(i / n) % n)));
}

/** RFC 4180. @param {string} text */
function parseCsv(text) {
  /** @type {string[][]} */
  const rows = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|$)/g)) {
    rows[rows.length - 1].push(quoted === undefined ? plain : quoted.replaceAll("\"\"", "\""));
    if (end === "\r\n") rows.push([]);
    if (end === "") break;
  }
  return rows.slice(0, -1);
}

/** The arrays of an .npz. @param {Uint8Array} bytes @returns {Record<string, { shape: number[], data: any[] }>} */
function parseNpz(bytes) {
  return Object.fromEntries(Object.entries(unzipSync(new Uint8Array(bytes))).map(([name, file]) => {
    const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
    const start = 10 + view.getUint16(8, true);
    const [, kind, size, shape] = /'descr': '<([fiU])(\d+)'.*'shape': \(([^)]*)\)/.exec(new TextDecoder("latin1").decode(file.subarray(10, start))) ?? [];
    const width = kind === "U" ? 4 * Number(size) : Number(size);
    const data = Array.from({ length: (file.length - start) / width }, (_, i) => {
      const at = start + i * width;
      if (kind === "i") return Number(view.getBigInt64(at, true));
      if (kind === "f") return width === 4 ? view.getFloat32(at, true) : view.getFloat64(at, true);
      const points = Array.from({ length: Number(size) }, (_, j) => view.getUint32(at + 4 * j, true));
      return String.fromCodePoint(...points.slice(0, points.findLastIndex((point) => point > 0) + 1));
    });
    return [name.replace(/\.npy$/, ""), { shape: shape.split(",").filter((part) => part.trim()).map(Number), data }];
  }));
}
