// Names that are meant to become something else: of a model's folder, of its files, tokens, prompts, columns. Everywhere they
// are text, nothing of them runs, and none turns the text around it.
import { execFile, spawnSync } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { unzipSync } from "../../www/vendor/fflate/fflate.esm.js";
import { check, ensure, newPage } from "./harness.mjs";
import { save, take } from "./export.mjs";
import { opened } from "./fingers.mjs";
import { allSettled, choose, part, settled, type } from "./lab_page.mjs";
import { listenerOf, snippetOf } from "../../www/snippet.js";

/** @typedef {import("playwright-core").Page} Page */

const MARKUP = "<img src=x onerror=window.hit=1>\"'><svg onload=window.hit=1>${window.hit=1}";
/** Turns the text behind it around, and would begin a line of a script. */
const TURN = "\u202e";
/** As a folder of a disk may be called, where every character but “/” and NUL is allowed. */
const FOLDER = `=cmd() ${MARKUP} ${TURN}gnp.exe\nimport os; hit = 1`;
/** The same as the page shows it. */
const SHOWN = FOLDER.replace(TURN, "\\u{202e}");
const FILES = ["config.json", "model.safetensors", "tokenizer.json"];
/** A whole token of a model's vocabulary, in the place of “ she”; and as the page shows a token. */
const TOKEN = "<img src=x onerror=window.hit=1>";
const TOKEN_SHOWN = TOKEN.replaceAll(" ", "␣");
/** Every page of the site. */
const PAGES = ["index.html", "embed.html", "article.html", "bench.html", "workshop.html", "handout.html"];
const python = ["python3", "python"].find((name) => spawnSync(name, ["--version"]).status === 0);

/**
 * @param {import("playwright-core").Browser} browser
 * @param {string} folder of the site
 * @param {string} url
 */
export async function hostileChecks(browser, folder, url) {
  const name = (/** @type {string} */ text) => `everyone: hostile names: ${text}`;
  const made = await mkdtemp(join(tmpdir(), "microtome-hostile-"));
  const model = join(made, FOLDER);
  await mkdir(model);
  for (const file of FILES) await copyFile(join(folder, "models/pronoun", file), join(model, file));
  await writeFile(join(model, `${MARKUP}${TURN}.txt`), "nothing");
  const page = await newPage(browser, { acceptDownloads: true });
  page.setDefaultTimeout(60_000);
  await page.goto(url);
  await choose(page, "cpu");
  await allSettled(page);
  const before = await elements(page);

  await check(name("of a model’s folder and of its files: facts, list, errors"), async () => {
    await page.locator("#model input[type=file]").nth(1).setInputFiles(model);
    await page.waitForFunction(() => {
      const { status, address } = /** @type {any} */ (globalThis).microtome.store.get("model");
      return address === "local" && status === "ready";
    });
    await allSettled(page);
    ensure((await part(page, "model")).info.model.name === FOLDER, JSON.stringify((await part(page, "model")).info.model.name));
    ensure((await page.locator("#model .facts dd").first().textContent()) === SHOWN, `the page says ${await page.locator("#model .facts dd").first().textContent()}`);
    await harmless(page, before);
    // A file that is missing, in a folder with that name; and one that is no model.
    await page.locator("#model input[type=file]").first().setInputFiles({ name: `${MARKUP}${TURN}.safetensors`, mimeType: "application/octet-stream", buffer: Buffer.from("<!doctype html><script>window.hit=1</script>") });
    await page.locator("#model .error").waitFor();
    await harmless(page, before);
    await page.locator("#model input[type=file]").nth(1).setInputFiles(model);
    await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome.store.get("model").status === "ready");
    await allSettled(page);
  });

  await check(name("prompts, answers, formats, sets and references, in every field, and what the page says of them"), async () => {
    await type(page, "predict", { Prompt: `${MARKUP}${TURN}`, "Answer to look for": `${MARKUP}${TURN}` });
    await page.locator("#predict .error").waitFor();
    await harmless(page, before);
    await type(page, "predict", { "Answer to look for": " she" });
    await type(page, "attention", { Prompt: `Mary ${MARKUP.slice(0, 40)}${TURN} is` });
    await page.locator("#grid").getByLabel("Name 1", { exact: true }).fill(`${MARKUP}${TURN}`);
    await page.locator("#grid").getByLabel("Format 1", { exact: true }).fill(`{} ${MARKUP}${TURN} isn’t`);
    await type(page, "ablate", { Prompt: `Mary <b onclick=1>x</b>${TURN} is a friend, isn’t she` });
    await type(page, "patch", { "Clean prompt": `Mary <b>${TURN}, isn’t`, "Corrupted prompt": `John <b>${TURN}, isn’t` });
    await type(page, "bias", { "First token": `${TURN}<b>` });
    await page.locator("#bias .error").waitFor();
    await harmless(page, before);
    await type(page, "bias", { "First token": " she" });
    await page.waitForFunction(() => ["predict", "bias"].every((key) => /** @type {any} */ (globalThis).microtome.store.get(key).job.status === "done"));
    for (const key of ["attention", "ablate", "patch"]) {
      const found = await page.waitForFunction((key) => {
        const { job } = /** @type {any} */ (globalThis).microtome.store.get(key);
        // A machine that is busy takes it for a big sweep, which waits for a click.
        return job.status === "held" || (job.status === "done" && job.fresh && JSON.stringify(key === "attention" ? job.value.tokens : job.value.result.experiment).includes("<")) ? job.status : null;
      }, key);
      if ((await found.jsonValue()) !== "held") continue;
      await page.locator(`#${key} .status`).getByRole("button", { name: "Run" }).click();
      await page.waitForFunction((key) => /** @type {any} */ (globalThis).microtome.store.get(key).job.status === "done", key);
    }
    await opened(page);
    await harmless(page, before);
    // Cells: their words under the pointer, and for keys; the run behind one.
    for (const key of ["grid", "ablate", "patch", "attention"]) {
      await page.locator(`#${key} [role=grid]`).last().focus();
      for (const press of ["ArrowDown", "ArrowRight"]) await page.keyboard.press(press);
      await page.locator(`#${key} canvas`).last().hover();
    }
    await page.locator("#patch .panels [role=grid]").last().focus();
    await page.keyboard.press("Enter");
    await page.locator("#patch .behind canvas:visible").waitFor();
    await harmless(page, before);
  });

  await check(name("SVG, PNG, CSV, JSON, NPZ and Python of every section that has them"), async () => {
    const reader = await browser.newPage();
    // The visitor's own files have no training: one checkpoint of the page's own model, which has the same shape.
    await page.locator("#training .others").evaluate((node) => void (/** @type {HTMLDetailsElement} */ (node).open = true));
    await page.locator("#training .others textarea").fill("./models/pronoun/@300");
    await page.locator("#training .status").getByRole("button", { name: "Run over training" }).click();
    await settled(page, "training");
    for (const key of ["predict", "grid", "attention", "ablate", "patch", "bias", "heads", "training"]) {
      ensure((await part(page, key)).job.value !== null, `${key} has no result`);
      const has = async (/** @type {string} */ format) => (await page.locator(`#${key} .export`).getByRole("button", { name: format, exact: true }).count()) > 0;
      if (await has("SVG")) {
        const found = await reader.evaluate((text) => {
          const tree = new DOMParser().parseFromString(text, "image/svg+xml");
          return { error: tree.querySelector("parsererror")?.textContent, names: [...new Set([...tree.querySelectorAll("*")].map(({ localName }) => localName))],
            on: [...tree.querySelectorAll("*")].flatMap((node) => [...node.attributes].filter(({ name }) => name.startsWith("on"))).length,
            shown: [...tree.querySelectorAll("text, title")].map(({ textContent }) => textContent).join("\n") };
        }, (await save(page, key, "SVG")).text);
        ensure(!found.error && !found.on && found.names.every((tag) => ["svg", "title", "desc", "rect", "g", "text", "line", "path", "polyline", "image"].includes(tag)), `${key}: ${JSON.stringify(found).slice(0, 400)}`);
        ensure(!found.shown.includes(TURN), `${key}: the picture’s text is turned around`);
        const { bytes } = await save(page, key, "PNG");
        ensure(bytes.includes(Buffer.from("onerror=window.hit")) && bytes.includes("iTXtDescription"), `${key}: the PNG does not name the model`);
      }
      const { exported, model } = JSON.parse((await save(page, key, "JSON")).text);
      ensure(model.name === FOLDER && exported, `${key}: ${model.name}`);
      if (await has("NPZ")) {
        const about = unzipSync(new Uint8Array((await save(page, key, "NPZ")).bytes))["about.npy"];
        ensure(Buffer.from(about).toString("utf16le").replaceAll("\0", "").includes("onerror"), `${key}: the NPZ does not name the model`);
      }
      const csv = (await save(page, key, "CSV")).text;
      // A cell that a spreadsheet would compute has an apostrophe before it.
      const cells = [...csv.matchAll(/(?:^|,|\r\n)(?:"((?:[^"]|"")*)"|([^",\r\n]*))/g)].map(([, quoted, plain]) => quoted ?? plain);
      ensure(cells.length > 8 && !cells.some((cell) => /^[=+@\t\r]|^-[^\d.]/.test(cell)), `${key}: ${cells.find((cell) => /^[=+@\t\r]|^-[^\d.]/.test(cell))}`);
      for (const library of ["TransformerLens", "nnsight"]) {
        const button = page.locator(`#${key} .export`).getByRole("button", { name: `Save the script for ${library}` });
        if (!(await button.isVisible())) continue;
        const { path, text, name: file } = await take(page, () => button.click());
        ensure(/^[a-z0-9_-]+\.py$/.test(file), file);
        if (!python) continue;
        // What a name smuggled in would be a name of Python's.
        const { stdout } = await promisify(execFile)(python, ["-c", "import ast, sys\ntree = ast.parse(open(sys.argv[1], encoding='utf8', newline='').read())\nprint([n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id in ('hit', 'window')])", path]);
        ensure(stdout.trim() === "[]" && text.includes("hit"), `${key}: the script has ${stdout}`);
      }
    }
    await reader.close();
    await harmless(page, before);
  });

  await check(name("a whole token of the vocabulary: page, labels, readout, SVG, CSV"), async () => {
    await page.goto("about:blank");
    await page.goto(url);
    await allSettled(page);
    const folder = join(made, "token");
    await mkdir(folder);
    for (const file of FILES.slice(0, 2)) await copyFile(join(model, file), join(folder, file));
    await writeFile(join(folder, "tokenizer.json"), renamed(await readFile(join(model, "tokenizer.json"), "utf8")));
    await page.locator("#model input[type=file]").nth(1).setInputFiles(folder);
    await page.waitForFunction(() => {
      const { status, address } = /** @type {any} */ (globalThis).microtome.store.get("model");
      return address === "local" && status === "ready";
    });
    const prompt = (/** @type {string} */ name) => `${name}${TOKEN} is a great friend, isn’t`;
    await type(page, "predict", { Prompt: "Mary is a great friend, isn’t", "Answer to look for": TOKEN });
    await type(page, "attention", { Prompt: prompt("Mary") });
    await type(page, "patch", { "Clean prompt": prompt("Mary"), "Corrupted prompt": prompt("John"), "Correct answer": TOKEN });
    await type(page, "bias", { "Second token": TOKEN });
    await page.waitForFunction((token) => {
      const of = (/** @type {string} */ key) => /** @type {any} */ (globalThis).microtome.store.get(key).job;
      return ["predict", "attention", "patch", "bias"].every((key) => of(key).status === "done" && of(key).fresh && JSON.stringify(of(key).value).includes(token));
    }, TOKEN);
    const { top, answer } = (await part(page, "predict")).job.value;
    ensure(top[0].text === TOKEN && answer.rank === 0, JSON.stringify(top[0]));
    ensure((await page.locator("#predict table.top tbody tr").first().innerText()).includes(TOKEN_SHOWN), await page.locator("#predict table.top").innerText());
    await page.locator("#attention .prompt-tokens .chip .token", { hasText: TOKEN_SHOWN }).first().waitFor();
    ensure((await page.locator("#predict .body").innerText()).includes(`“${TOKEN_SHOWN}”`), "the answer is not named");
    await harmless(page, before);
    // What a cell says, for keys and under the pointer.
    for (const [key, press] of /** @type {const} */ ([["attention", "ArrowDown"], ["patch", "ArrowRight"]])) {
      await page.locator(`#${key} [role=grid]`).last().focus();
      let said = "";
      for (let i = 0; i < 8 && !said.includes(TOKEN_SHOWN); i++) {
        await page.keyboard.press(press);
        said = (await page.locator(`#${key} .readout`).allTextContents()).join("\n");
      }
      ensure(said.includes(TOKEN_SHOWN), `${key}: the cells say “${said}”`);
      await page.locator(`#${key} canvas`).last().hover();
      await harmless(page, before);
    }
    const reader = await browser.newPage();
    for (const key of ["attention", "patch"]) {
      const found = await reader.evaluate((text) => {
        const tree = new DOMParser().parseFromString(text, "image/svg+xml");
        return { tags: [...new Set([...tree.querySelectorAll("*")].map(({ localName }) => localName))], texts: [...tree.querySelectorAll("text")].map(({ textContent }) => textContent) };
      }, (await save(page, key, "SVG")).text);
      ensure(!found.tags.some((tag) => ["img", "parsererror", "script"].includes(tag)) && found.texts.some((words) => words?.includes("<img")), `${key}: ${JSON.stringify(found).slice(0, 400)}`);
      ensure((await save(page, key, "CSV")).text.includes(`,${TOKEN},`), `${key}: the CSV does not have the token`);
    }
    ensure((await save(page, "predict", "CSV")).text.split("\r\n")[1].startsWith(`0,${TOKEN},`), "the CSV of the prediction");
    await reader.close();
    await harmless(page, before);
  });

  for (const path of PAGES) {
    await check(name(`${path}: the policy is in force, what breaks it is refused`), async () => {
      const probed = await newPage(browser);
      await probed.goto(url + path);
      const { parsed, refused } = await probed.evaluate(async () => {
        /** @type {Set<string>} */
        const refused = new Set();
        addEventListener("securitypolicyviolation", ({ effectiveDirective }) => refused.add(effectiveDirective));
        const elsewhere = "https://elsewhere.invalid/x";
        /** @param {string} tag @param {Record<string, string>} properties */
        const made = (tag, properties) => Object.assign(document.createElement(tag), properties);
        /** Texts where a type is required. @type {Record<string, () => unknown>} */
        const texts = {
          innerHTML: () => made("div", { innerHTML: "<b>x</b>" }), text: () => made("script", { text: "globalThis.hit = 1" }),
          src: () => made("script", { src: elsewhere }), eval: () => (0, eval)("1"), srcdoc: () => made("iframe", { srcdoc: "x" }),
          data: () => made("object", { data: elsewhere }),
        };
        // What the debugger itself evaluates may evaluate more; a timer's callback is the page's own.
        await new Promise((resolve) => setTimeout(resolve, 10));
        const parsed = Object.entries(texts).flatMap(([what, act]) => {
          try {
            act();
            return [what];
          } catch {
            return [];
          }
        });
        made("img", { src: elsewhere });
        made("b", {}).setAttribute("style", "color: red");
        document.head.append(made("link", { rel: "stylesheet", href: elsewhere }));
        document.body.append(made("iframe", { src: elsewhere }), made("base", { href: elsewhere }));
        await fetch(elsewhere).catch(() => {});
        await new Promise((resolve) => setTimeout(resolve, 300));
        return { parsed, refused: [...refused].sort() };
      });
      ensure(!parsed.length, `taken as it is: ${parsed}`);
      for (const directive of ["base-uri", "connect-src", "frame-src", "img-src", "require-trusted-types-for", "style-src-attr", "style-src-elem"]) {
        ensure(refused.includes(directive), `${directive} is not in force; refused: ${refused}`);
      }
      await probed.context().close();
    }, /policy|Content Security Policy|Trusted|Refused|violates|Framing/i);
  }

  await check(name("a link of another page, its question, and what an article copies"), async () => {
    const asks = await newPage(browser);
    const address = `hf:owner/${encodeURIComponent("<img src=x onerror=window.hit=1>")}`;
    await asks.goto(`${url}#v=1&m=${encodeURIComponent(address)}&p.p=${encodeURIComponent(MARKUP)}&${encodeURIComponent("<b>")}=1`);
    await asks.locator(".saying").first().waitFor();
    ensure((await asks.locator(".saying").first().innerText()).length > 20, "nothing is said of the link");
    await harmless(asks, await elements(asks));
    await asks.context().close();
    // As a browser reads what was copied.
    const article = await browser.newPage();
    const html = snippetOf({ hash: `v=1&p=${MARKUP}"></iframe><script>window.hit=1</script>`, title: `${MARKUP}</iframe><script>window.hit=1</script>`, base: url }) + listenerOf(url);
    const found = await article.evaluate((html) => {
      const tree = new DOMParser().parseFromString(html, "text/html");
      return [...tree.body.querySelectorAll("*")].map(({ localName }) => localName).concat([...tree.head.querySelectorAll("*")].map(({ localName }) => localName)).sort().join();
    }, html);
    ensure(found === "iframe,script", found);
    await article.close();
  });

  await check(name("the handout"), async () => {
    const sheet = await newPage(browser);
    await sheet.addInitScript((name) => {
      // The model that the answers are computed on says another name.
      const add = EventTarget.prototype.addEventListener;
      const renamed = (/** @type {any} */ event) => {
        const { data } = event;
        const info = data?.value?.info ?? data?.info;
        if (info?.model?.name) info.model.name = name;
        if (data?.value?.model?.name) data.value.model.name = name;
      };
      Object.defineProperty(Worker.prototype, "onmessage", { configurable: true, set(handler) {
        add.call(this, "message", renamed);
        add.call(this, "message", handler);
      } });
      const own = Worker.prototype.addEventListener;
      Worker.prototype.addEventListener = function (/** @type {any} */ type, /** @type {any} */ handler, /** @type {any} */ options) {
        if (type === "message") own.call(this, type, renamed);
        own.call(this, type, handler, options);
      };
    }, FOLDER);
    sheet.setDefaultTimeout(120_000);
    await sheet.goto(`${url}handout.html`);
    const before = await elements(sheet);
    await sheet.getByRole("checkbox").check();
    await sheet.locator(".status", { hasText: "onerror" }).waitFor();
    ensure((await sheet.locator("body").textContent())?.includes(SHOWN), "the handout does not say the name as it is");
    await harmless(sheet, before);
    await sheet.context().close();
  });
  await page.context().close();
  await rm(made, { recursive: true, force: true });
}

/** A tokenizer whose “ she” is called otherwise, and is found in a text as a whole. @param {string} text of a tokenizer.json */
function renamed(text) {
  const file = JSON.parse(text);
  const { model } = file;
  const old = "Ġshe";
  const { [old]: id, ...vocab } = model.vocab;
  ensure(Number.isInteger(id), "the vocabulary has no “ she”");
  model.vocab = { ...vocab, [TOKEN]: id };
  model.merges = model.merges.filter((/** @type {string[]} */ [left, right]) => ![left, right, left + right].includes(old));
  file.added_tokens.push({ ...file.added_tokens[0], id, content: TOKEN, special: false });
  return JSON.stringify(file);
}

/** How many elements there are of those that fetch or run something. @param {Page} page */
const elements = (page) => page.evaluate(() => document.querySelectorAll("img, script, iframe, object, embed, style, base, b[onclick], svg[onload]").length);

/** Nothing ran, nothing was made, nothing turns the page's text around. @param {Page} page @param {number} before elements */
async function harmless(page, before) {
  ensure((await page.evaluate(() => /** @type {any} */ (globalThis).hit)) === undefined, "a name ran");
  ensure((await elements(page)) === before, "a name became an element");
  const turned = await page.evaluate(() => {
    const marks = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
    const found = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      // What is typed stays as it was typed.
      if (texts.currentNode.parentElement?.localName !== "textarea" && marks.test(texts.currentNode.nodeValue ?? "")) found.push(`${texts.currentNode.parentElement?.outerHTML.slice(0, 160)}`);
    }
    for (const node of document.querySelectorAll("*")) {
      for (const { name, value } of node.attributes) if (name !== "value" && marks.test(value)) found.push(`${node.localName}[${name}=${value.slice(0, 80)}]`);
    }
    return [...found, ...(marks.test(document.title) ? [document.title] : [])];
  });
  ensure(!turned.length, `turned around: ${turned.slice(0, 4).join("; ")}`);
}
