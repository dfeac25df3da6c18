// Prompts made safe, and the page's state in its address: tokens of what is typed, tables that are pasted, links, tasks, undo.
import { mkdir } from "node:fs/promises";
import { deflateRawSync } from "node:zlib";
import { join } from "node:path";
import { check, ensure, newPage, watchedPage } from "./harness.mjs";
import { allSettled, part, recomputed, settled, type } from "./lab_page.mjs";
import { serve } from "./server.mjs";

/** @typedef {import("playwright-core").Page} Page */

const PARTS = ["settings", "predict", "grid", "attention", "ablate", "patch", "bias", "heads", "training"];
const COMPUTED = ["predict", "grid", "ablate", "patch", "bias"];
/** What the prompts are looked at in. */
const LOOKS = { light: { dark: false, width: 1280 }, dark: { dark: true, width: 1280 }, phone: { dark: false, width: 360 } };

/** What is put in on a page, and what it came to. @param {Page} page */
const inputsOf = (page) => page.evaluate((parts) => Object.fromEntries(parts.map((part) => [part, /** @type {any} */ (globalThis).microtome.store.get(part).inputs])), PARTS);
/** @param {Page} page */
const resultsOf = (page) => page.evaluate((parts) => Object.fromEntries(parts.map((part) => {
  const { value } = /** @type {any} */ (globalThis).microtome.store.get(part).job;
  const { values, top, baseline } = value.result ?? value;
  return [part, { values, top, baseline }];
})), COMPUTED);
const same = (/** @type {unknown} */ a, /** @type {unknown} */ b) => JSON.stringify(a) === JSON.stringify(b);
/** The texts of chips in a section, once there are some. @param {Page} page @param {string} at */
async function chips(page, at) {
  await page.locator(`${at} .chip`).first().waitFor();
  return page.locator(`${at} .chip .token`).allTextContents();
}

/**
 * @param {import("playwright-core").Browser} browser
 * @param {string} folder of a site with its engine
 * @param {Awaited<ReturnType<typeof serve>>} faulty a site with the stand-in engine
 * @param {string} shots
 */
export async function promptChecks(browser, folder, faulty, shots) {
  const name = (/** @type {string} */ text) => `prompts: ${text}`;
  /** Everything that the site was asked for. @type {string[]} */
  const log = [];
  const missing = (/** @type {import("node:http").ServerResponse} */ response) => void response.writeHead(404).end();
  /** @param {Record<string, import("./server.mjs").Answer>} [answers] */
  const logged = (answers = {}) => serve(folder, answers);
  const site = await logged();
  await mkdir(shots, { recursive: true });
  /** @param {string} [hash] @param {string} [url] */
  const opened = async (hash = "", url = site.url) => {
    const page = await newPage(browser);
    // A browser asks for the icon when it likes.
    page.on("request", (request) => void (request.url().endsWith("/icon.svg") || log.push(request.url())));
    await page.goto(`${url}${hash}`);
    return page;
  };
  const settledPage = async (hash = "") => {
    const page = await opened(hash);
    await allSettled(page);
    return page;
  };
  const done = (/** @type {Page} */ page) => page.context().close();

  await check(name("every token is a chip with its index, the BOS token first and marked, with the limit"), async () => {
    const page = await settledPage();
    await type(page, "predict", { Prompt: "Mary\u000b is\n" });
    await page.locator("#predict .prompt-tokens .chip .token", { hasText: "\\x0b" }).first().waitFor();
    const texts = await chips(page, "#predict .prompt-tokens");
    ensure(texts[0] === "<|endoftext|>" && texts[1] === "Mary" && texts.includes("␣is"), texts.join("|"));
    const classes = await page.locator("#predict .prompt-tokens .chip").evaluateAll((nodes) => nodes.map((node) => [node.classList.contains("bos"), node.querySelector(".index")?.textContent]));
    ensure(classes.every(([bos, index], i) => bos === (i === 0) && index === String(i)), JSON.stringify(classes));
    ensure((await page.locator("#predict .prompt-tokens").innerText()).includes(`${texts.length} tokens of at most 128`), "the limit is not said");
    await page.getByLabel("Start every prompt with the BOS token").uncheck();
    await page.waitForFunction(() => !document.querySelector("#predict .prompt-tokens .bos"));
    // Section 4 follows, each field on its own.
    await page.waitForFunction(() => document.querySelector("#attention .prompt-tokens .chip") && !document.querySelector("#attention .prompt-tokens .bos"));
    await type(page, "attention", { Prompt: "Mary ".repeat(150) });
    await page.locator("#attention .prompt-tokens .over").getByText(/15\d tokens, expected 1 to 128/).waitFor();
    await type(page, "ablate", { Prompt: "a".repeat(30_000) });
    await page.locator("#ablate .prompt-tokens .over").getByText(/30,000 characters/).waitFor();
    await page.waitForFunction(() => !document.querySelector(".prompt-tokens .bos"));
    // Of the pair a chip has two.
    for (const [at, count] of /** @type {const} */ ([["#grid .prompt-tokens", 9], ["#patch .prompt-tokens", 18]])) {
      const shown = await chips(page, at);
      ensure(shown[0] === "Mary" && shown.length === count, `${at}: ${shown.join("|")}`);
    }
    await done(page);
  });

  await check(name("without a tokenizer, and before a model is there, there are no chips and no complaint"), async () => {
    const bare = await logged({ "/models/pronoun/microtome.json": missing, "/models/pronoun/tokenizer.json": missing });
    const page = await opened("", bare.url);
    ensure((await page.locator("#patch .prompt-tokens .chip").count()) === 0, "chips of no model");
    await page.waitForFunction(() => ["ready", "error"].includes(/** @type {any} */ (globalThis).microtome.store.get("model").status));
    ensure((await part(page, "model")).info?.model.has_tokenizer === false, "the model has a tokenizer, or did not load");
    await type(page, "predict", { Prompt: "Dan is" });
    await settled(page, "predict", "error");
    ensure((await page.locator(".prompt-tokens .chip").count()) === 0 && (await page.locator(".one-token:not(:empty)").count()) === 0, "chips of a model without a tokenizer");
    bare.close();
    await done(page);
  }, /404/);

  await check(name("an answer of several tokens shows its pieces, and the space is put there with the keyboard"), async () => {
    const page = await settledPage();
    const answer = page.locator("#predict").getByLabel("Answer to look for");
    const said = page.locator("#predict .one-token");
    await said.getByText("✓ One token.").waitFor();
    await answer.fill("she");
    await said.getByText("2 tokens, but an answer is exactly one:").waitFor();
    ensure(same(await said.locator(".piece").allTextContents(), ["s", "he"]), "the pieces are not shown");
    await answer.focus();
    await page.keyboard.press("Tab");
    ensure((await page.evaluate(() => document.activeElement?.textContent)) === "Use ␣she", "Tab does not reach the fix");
    await recomputed(page, "predict", () => page.keyboard.press("Enter"));
    ensure((await answer.inputValue()) === " she" && (await part(page, "predict")).inputs.answer === " she", "the answer is not mended");
    ensure(await answer.evaluate((node) => node === document.activeElement), "the focus is lost");
    await answer.fill("he");
    await said.getByText("One token. After a word it is “␣he”, which is another token than “he”.").waitFor();
    await said.getByRole("button", { name: "Use ␣he" }).click();
    await said.getByText("✓ One token.").waitFor();
    ensure((await answer.inputValue()) === " he", "the space is not put in");
    await answer.fill("");
    await page.waitForFunction(() => document.querySelector("#predict .one-token")?.textContent === "");
    await done(page);
  });

  await check(name("clean and corrupted stand position by position, and where they cannot it is said"), async () => {
    const page = await settledPage();
    await page.locator("#patch .pairs .chip").first().waitFor();
    const marked = () => page.locator("#patch .pairs .chip").evaluateAll((nodes) => nodes.flatMap((node, i) => (node.querySelector(".unequal") ? [i] : [])));
    ensure(same(await marked(), [1]), `marked: ${await marked()}`);
    await type(page, "patch", { "Corrupted prompt": "John is a bad friend, isn’t" });
    await page.locator("#patch").getByText(/positions differ/).waitFor();
    await type(page, "patch", { "Corrupted prompt": "Bartholomew is a great friend, isn’t" });
    const sentence = page.locator("#patch .prompt-tokens .over");
    await sentence.waitFor();
    ensure(/^The clean prompt has 10 tokens, the corrupted one \d+: .* part at position 1\.$/.test(await sentence.innerText()), await sentence.innerText());
    ensure((await page.locator("#patch .one-of-two .chips").count()) === 2, "not both tokenisations are shown");
    // What follows the names is the same, though at other positions.
    const differing = await page.locator("#patch .one-of-two .chips").evaluateAll((lists) => lists.map((list) =>
      [...list.querySelectorAll(".chip.differs .token")].map((node) => node.textContent).join("")));
    ensure(same(differing, ["Mary", "Bartholomew"]), `marked: ${differing.join(", ")}`);
    await page.locator("#patch .prompt-tokens").screenshot({ path: join(shots, "prompts-lengths.png") });
    await type(page, "patch", { "Corrupted prompt": "שלום is a great\u3000friend, isn’t" });
    await page.locator("#patch .one-of-two .token", { hasText: "\\u{3000}" }).or(page.locator("#patch .one-of-two .token", { hasText: "\\xe3" })).first().waitFor();
    ensure((await page.locator("#patch .one-of-two .token").first().evaluate((node) => getComputedStyle(node).unicodeBidi)) === "isolate", "a token can turn its chip around");
    await done(page);
  });

  await check(name("a table is pasted with the keyboard, computed, and one with a fault changes nothing"), async () => {
    const page = await settledPage();
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    const paste = async (/** @type {string} */ text) => {
      await page.evaluate((text) => navigator.clipboard.writeText(text), text);
      await page.keyboard.press("Control+V");
    };
    const evil = "<img src=x onerror=alert(1)> \u202e";
    await page.locator("#grid").getByLabel("Format 1", { exact: true }).focus();
    const value = await recomputed(page, "grid", () => paste(`prompt,correct,incorrect\r\n"Mary is a great friend, isn’t", she, he\r\n"${evil}, isn’t", he, she\r\n`));
    ensure(value.result.values.length === 2 && value.result.values[0] > 3, JSON.stringify(value.result.values));
    const rows = page.locator("#grid .prompt-rows tbody tr");
    ensure((await rows.count()) === 2 && (await rows.nth(1).locator("input").first().inputValue()) === `${evil}, isn’t`, "the rows are not there");
    ensure((await page.locator("#grid img").count()) === 0, "the prompt became an element");
    await rows.first().getByText("✓ 10 tokens").waitFor();
    const before = await inputsOf(page);
    await rows.first().locator("input").first().focus();
    await paste('prompt\tcorrect\tincorrect\na\t b\t c\nd\t e\n');
    await page.locator("#grid .table-said").getByText("Line 3 has 2 columns, expected 3.").waitFor();
    ensure(same(await inputsOf(page), before), "a table with a fault changed something");
    await paste("Ann is,\nBob is\nTom is");
    await page.waitForFunction(() => document.querySelectorAll("#grid .prompt-rows tbody tr").length === 3);
    // The columns of answers take theirs, and prose with the words of a heading is prose.
    await page.locator("#grid").getByLabel("Correct answer 1", { exact: true }).focus();
    await paste(" her\r him\r it");
    await page.locator("#grid .table-said").getByText("3 prompts were put into the list.").waitFor();
    ensure(same((await part(page, "grid")).inputs.rows.map((/** @type {any} */ row) => row.correct), [" her", " him", " it"]), "the answers are not put in");
    await page.locator("#grid").getByLabel("Prompt 1", { exact: true }).focus();
    await paste("The prompt is incorrect here\nand the correct one, I think, is\nTom is");
    await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome.store.get("grid").inputs.rows[0].prompt === "The prompt is incorrect here");
    ensure((await part(page, "grid")).inputs.rows[1].prompt === "and the correct one, I think, is", "a sentence lost its end");
    // One cell is left to the field.
    await page.locator("#grid").getByLabel("Prompt 2", { exact: true }).fill("");
    await paste("Dan is");
    ensure((await rows.nth(1).locator("input").first().inputValue()) === "Dan is", "a single cell is not pasted");
    await page.locator("#grid").getByText("Formats × names", { exact: true }).click();
    await page.locator("#grid").getByLabel("Name 5", { exact: true }).focus();
    await paste("Helen\nOlivia\nRuth");
    await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome.store.get("grid").inputs.names.length === 7);
    ensure((await part(page, "grid")).inputs.formats.length === 5, "the formats are lost");
    await page.locator("#grid").getByLabel("First answer", { exact: true }).focus();
    await paste(" her\t him");
    await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome.store.get("grid").inputs.answers.join() === " her, him");
    // More prompts than can be computed: it is said, and nothing runs.
    await page.locator("#grid").getByLabel("Format 1", { exact: true }).focus();
    await paste("{} is\n".repeat(500));
    await page.locator("#grid").getByLabel("Name 1", { exact: true }).focus();
    await paste("Ann\n".repeat(400));
    await page.locator("#grid .error").getByText("500 formats with 400 names each are 200,000 prompts, at most 10,000 are taken.").waitFor();
    await done(page);
  });

  await check(name("a .csv file is opened, or dropped, and too much of it refused with its lines"), async () => {
    const page = await settledPage();
    const picker = page.locator("#grid input[type=file]");
    const csv = (/** @type {string} */ text) => ({ name: "<b>x</b>.csv", mimeType: "text/csv", buffer: Buffer.from(text) });
    await recomputed(page, "grid", () => picker.setInputFiles(csv("Amy is a great friend\\, isn’t\t she\t he\nTom is a great friend\t he\t she\n")));
    ensure((await page.locator("#grid .prompt-rows tbody tr").count()) === 2, "the file's rows are not there");
    let before = await inputsOf(page);
    await recomputed(page, "grid", () => picker.setInputFiles(csv("Mary is a great friend, isn’t; she; he\r\nTom is a great friend, isn’t; he; she\r\nAmy is here, isn’t; she; he\r\n")));
    ensure(same((await part(page, "grid")).inputs.rows[1], { prompt: "Tom is a great friend, isn’t", correct: " he", incorrect: " she" }), "semicolons without a heading are no table");
    for (const [look, options] of Object.entries(LOOKS)) {
      await page.emulateMedia({ colorScheme: options.dark ? "dark" : "light" });
      await page.setViewportSize({ width: options.width, height: 900 });
      for (const key of ["predict", "grid", "patch"]) await page.locator(`#${key} .controls`).first().screenshot({ path: join(shots, `prompts-${key}-${look}.png`) });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      ensure(wide <= 0, `${look}: the page is ${wide} px too wide`);
    }
    before = await inputsOf(page);
    await picker.setInputFiles(csv(`prompt,correct,incorrect\n${"a, b, c\n".repeat(612)}`));
    await page.locator("#grid .table-said").getByText("That makes 612 rows, at most 500 are taken.").waitFor();
    await picker.setInputFiles({ ...csv(""), buffer: Buffer.from([0xff, 0xfe, 0x00]) });
    await page.locator("#grid .table-said").getByText("“<b>x</b>.csv” cannot be read as text.").waitFor();
    ensure(same(await inputsOf(page), before), "a refused file changed something");
    await page.evaluate(() => {
      const data = new DataTransfer();
      data.items.add(new File(["incorrect;correct;prompt\n he; she;Mary is a great friend"], "x.csv", { type: "text/csv" }));
      document.querySelector("#grid .drop")?.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    });
    await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome.store.get("grid").inputs.rows.length === 1);
    ensure(same((await part(page, "grid")).inputs.rows, [{ prompt: "Mary is a great friend", correct: " she", incorrect: " he" }]), "the dropped file is not what was put in");
    await done(page);
  });

  await check(name("a link that was copied with the keyboard gives the same state and the same numbers on another page"), async () => {
    const page = await settledPage();
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.locator(".task").nth(1).focus();
    await recomputed(page, "patch", () => page.keyboard.press("Enter"));
    await type(page, "predict", { Prompt: "When Amy and Tom went to the park, Tom gave a book to", "Answer to look for": " Amy" });
    await page.locator("#model").getByText("Raw weights").click();
    await page.locator("#attention [role=grid]").first().focus();
    for (const key of ["ArrowRight", "ArrowDown", "Enter"]) await page.keyboard.press(key);
    await page.waitForTimeout(500);
    await allSettled(page);
    await page.getByRole("button", { name: "Copy link", exact: true }).focus();
    await page.keyboard.press("Enter");
    await page.locator(".saying").getByText(/The link is in the clipboard/).waitFor();
    const link = await page.evaluate(() => navigator.clipboard.readText());
    ensure(link.startsWith(`${site.url}#v=1&`), link);
    ensure(link === page.url(), `the address says ${page.url()}, the link ${link}`);
    const other = await watchedPage(page.context());
    await other.goto(link);
    await allSettled(other);
    ensure(same(await inputsOf(other), await inputsOf(page)), "other inputs");
    ensure(same((await part(other, "attention")).view, (await part(page, "attention")).view), "another head is looked at");
    ensure((await part(other, "attention")).view.locked === true, "the head was not locked to begin with");
    ensure(same(await resultsOf(other), await resultsOf(page)), "other numbers");
    for (const label of ["Clean prompt", "Corrupted prompt"]) {
      ensure((await other.locator("#patch").getByLabel(label, { exact: true }).inputValue()) === (await page.locator("#patch").getByLabel(label, { exact: true }).inputValue()), `${label} is not in its field`);
    }
    await page.locator("#patch").getByRole("button", { name: "Copy a link to" }).click();
    await page.locator(".saying").nth(1).waitFor();
    const place = await page.evaluate(() => navigator.clipboard.readText());
    ensure(place === `${link}&s=patch`, place);
    const third = await watchedPage(page.context());
    await third.goto(place);
    await allSettled(third);
    ensure(await third.locator("#patch").evaluate((node) => Math.abs(node.getBoundingClientRect().top) < innerHeight), "the link does not lead to its section");
    await done(page);
  });

  await check(name("a link to a head has it enlarged and kept, with the colours, signs and locked ranges of the page"), async () => {
    const page = await settledPage();
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    const look = page.locator("#grid .look");
    await look.locator("summary").click();
    await look.getByLabel("Colour map").selectOption({ label: "Orange–purple" });
    await look.getByLabel("Write + and − into the cells").check();
    await look.getByLabel("Range: middle ±").fill("2.5");
    await page.locator("#attention [role=grid]").first().focus();
    for (const key of ["ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight", "ArrowRight", "Enter"]) await page.keyboard.press(key);
    const copy = page.locator("#attention").getByRole("button", { name: "Copy link to L2H3" });
    await copy.focus();
    await page.keyboard.press("Enter");
    await page.locator("#attention button[data-copied]").waitFor();
    const link = await page.evaluate(() => navigator.clipboard.readText());
    ensure(link === `${site.url}#v=1&look.head=L2H3&look.locked=1&look.map=PuOr&look.signs=1&look.ranges=grid:2.5&s=attention`, link);
    await page.locator("#attention").screenshot({ path: join(shots, "prompts-head.png") });
    const other = await watchedPage(page.context());
    await other.goto(link);
    await allSettled(other);
    ensure(same((await part(other, "look")), { map: "PuOr", signs: true, ranges: { grid: 2.5 } }), JSON.stringify(await part(other, "look")));
    ensure((await other.locator("#attention h3").first().innerText()).endsWith("L2H3"), "another head is enlarged");
    ensure(/^Colours: Orange–purple, .*, locked$/.test(await other.locator("#grid .look summary").innerText()), await other.locator("#grid .look summary").innerText());
    const pixels = (/** @type {Page} */ at) => at.locator("#grid canvas").first().evaluate((node) => /** @type {HTMLCanvasElement} */ (node).toDataURL());
    ensure((await pixels(other)) === (await pixels(page)), "the figure looks different");
    ensure((await other.locator("#ablate .look summary").innerText()).includes("Orange–purple"), "another figure has other colours");
    // Another link on the same page takes them away again.
    await other.evaluate(() => { location.hash = "v=1&predict.answer=+he"; });
    await other.waitForFunction(() => /** @type {any} */ (globalThis).microtome.store.get("look").map === "RdBu");
    ensure(same((await part(other, "look")).ranges, {}), "the range stays locked");
    await allSettled(other);
    await done(page);
  });

  await check(name("where the clipboard is denied, the link can be copied by hand"), async () => {
    const page = await newPage(browser);
    await page.addInitScript(() => Object.defineProperty(navigator, "clipboard", { value: { writeText: () => Promise.reject(new DOMException("no", "NotAllowedError")) } }));
    await page.goto(site.url);
    await allSettled(page);
    await type(page, "bias", { "First token": " it" });
    await page.getByRole("button", { name: "Copy link", exact: true }).click();
    const field = page.locator(".saying input");
    await field.waitFor();
    ensure((await field.inputValue()) === `${site.url}#v=1&bias.tokens=%5B%22+it%22,%22+she%22%5D`, await field.inputValue());
    ensure(await field.evaluate((node) => node === document.activeElement && /** @type {HTMLInputElement} */ (node).selectionEnd === /** @type {HTMLInputElement} */ (node).value.length), "it is not selected");
    await done(page);
  });

  await check(name("anchors work as ever: they scroll, history goes back and forth, and what was typed stays"), async () => {
    const page = await settledPage("#ablate");
    ensure(await page.locator("#ablate").evaluate((node) => Math.abs(node.getBoundingClientRect().top) < innerHeight), "an old link does not lead to its section");
    await type(page, "predict", { Prompt: "Dan is" });
    await page.waitForURL(/#v=1&predict\.prompt=Dan\+is&s=ablate$/);
    await page.locator("nav").getByText("Unembedding bias").click();
    await page.waitForURL(/#v=1&predict\.prompt=Dan\+is&s=bias$/);
    ensure(await page.locator("#bias").evaluate((node) => Math.abs(node.getBoundingClientRect().top) < innerHeight), "the anchor does not scroll");
    await type(page, "predict", { Prompt: "Amy is" });
    await page.waitForURL(/Amy\+is&s=bias$/);
    await page.goBack();
    await page.waitForURL(/Amy\+is&s=ablate$/);
    ensure((await part(page, "predict")).inputs.prompt === "Amy is", "going back undid what was typed");
    await page.goForward();
    await page.waitForURL(/Amy\+is&s=bias$/);
    // An address that is typed is another link.
    await page.evaluate(() => void (location.hash = "#v=1&predict.prompt=Tom+is"));
    await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome.store.get("predict").inputs.prompt === "Tom is");
    ensure((await page.locator("#predict").getByLabel("Prompt", { exact: true }).inputValue()) === "Tom is", "the field does not follow");
    await page.getByRole("button", { name: "Undo" }).click();
    ensure((await page.locator("#predict").getByLabel("Prompt", { exact: true }).inputValue()) === "Amy is", "a link cannot be undone");
    await done(page);
  });

  await check(name("hostile links: the page begins as ever, and says why"), async () => {
    const packed = (/** @type {string} */ text) => `#v=1&z=${deflateRawSync(text).toString("base64url")}`;
    for (const [hash, words] of /** @type {const} */ ([
      ["#v=1&m=javascript:alert(1)", "In the link, m is “javascript:alert(1)”"], ["#v=1&m=http://evil.example/", "expected hf:owner/name"],
      ["#v=1&z=!!!!", "damaged"], [packed(`predict.prompt=${"a".repeat(5_000_000)}`), "Unpacked, the link is longer than"],
      [`${packed("predict.answer=a")}AAAA`, "damaged"], ["#v=9&predict.prompt=x", "version “9”"], ["#v=1&look.head=L1000000000H0", "expected a head such as L5H1"],
      [`#v=1&predict.prompt=${"a".repeat(9000)}`, "longer than"], ["#v=1&grid.names={\"__proto__\":1}", "expected a list of names"], ["#v=1&predict.answer=1&predict.answer=2", "twice"],
    ])) {
      const page = await opened(hash);
      await page.locator(".saying .error").getByText(words).waitFor();
      await settled(page, "predict");
      ensure(/** @type {any} */ (await inputsOf(page)).predict.prompt === "Mary is a great friend, isn’t", hash);
      ensure((await page.evaluate(() => /** @type {any} */ ({}).polluted)) === undefined, "polluted");
      await done(page);
    }
    const page = await opened("#v=1&__proto__.polluted=1&<img src=x onerror=alert(1)>=2&predict.answer=+he");
    await page.locator(".saying").getByText(/were left out: __proto__\.polluted, /).waitFor();
    ensure((await page.locator("img").count()) === 0 && (await part(page, "predict")).inputs.answer === " he", "the rest of the link is lost");
    await settled(page, "predict");
    await done(page);
  });

  await check(name("a model that a link asks for is asked about, with host and size, before any request"), async () => {
    log.length = 0;
    const gpt2 = "hf:openai-community/gpt2@607a30d783dfa663caf39e06633721c8d4cfcd7e";
    for (const [address, words] of [[gpt2, "GPT-2 small, from huggingface.co. A download of 550 MB."], ["https://evil.example/<b>/".replace(/<b>\//, "x/"), "https://evil.example/x/, from evil.example. How large"]]) {
      const page = await opened(`#v=1&m=${address}&predict.answer=+he`);
      await page.locator(".question").getByText(words).waitFor();
      await settled(page, "predict");
      ensure((await part(page, "model")).address === "./models/pronoun/", "the page's own model is not the one that runs");
      ensure(page.url().includes("&predict.answer=+he") && (await part(page, "model")).linked === address, "what was asked for is forgotten");
      await page.locator(".question").screenshot({ path: join(shots, "question.png") });
      await page.getByRole("button", { name: "Keep the model that is here" }).click();
      await page.waitForURL(/#v=1&predict\.answer=\+he$/);
      ensure((await page.locator(".question").count()) === 0, "the question stays");
      await done(page);
    }
    ensure(log.length > 0 && log.every((url) => url.startsWith(site.url)), `asked for ${log.filter((url) => !url.startsWith(site.url))}`);
    log.length = 0;
    const page = await opened("#v=1&m=./models/pronoun/@300");
    await page.locator(".question").getByText("./models/pronoun/@300, from this site.").waitFor();
    await settled(page, "predict");
    ensure(!log.some((url) => url.includes("step-300")), "it was fetched before it was agreed to");
    await page.getByRole("button", { name: "Load it from this site" }).focus();
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome.store.get("model").info?.model.step === 300);
    ensure(log.some((url) => url.includes("step-300")), "it was not fetched");
    await page.waitForURL(/#v=1&m=\.\/models\/pronoun\/@300$/);
    await done(page);
  });

  await check(name("the tasks: the page's own model does what their cards say"), async () => {
    const page = await settledPage();
    for (const [index, clean, least] of /** @type {const} */ ([[1, "When Mary and John went to the store, John gave a drink to", 5], [2, " lake gift letter sad happy lake gift letter sad", 4]])) {
      await recomputed(page, "patch", () => page.locator(".task").nth(index).click());
      await page.waitForTimeout(400);
      await allSettled(page);
      ensure((await page.locator(".task").nth(index).getAttribute("aria-pressed")) === "true", "the card is not marked");
      const { predict, patch, grid, ablate } = Object.fromEntries(await Promise.all(["predict", "patch", "grid", "ablate"].map(async (key) => [key, (await part(page, key)).job.value])));
      ensure(predict.experiment.prompt === clean && predict.answer.rank === 0, `rank ${predict.answer.rank}`);
      ensure(patch.result.clean > least && patch.result.corrupted < -least, `clean ${patch.result.clean}, corrupted ${patch.result.corrupted}`);
      ensure(Math.max(...patch.result.values) > 0.9, "no place brings the answer back");
      ensure(grid.result.values.every((/** @type {number} */ v) => v > least), `${grid.result.values}`);
      ensure(Math.min(...ablate.result.values) < ablate.result.baseline - 1, "no head matters");
      await recomputed(page, "ablate", () => page.locator("#ablate").getByText("Mean", { exact: true }).click());
      await recomputed(page, "ablate", () => page.locator("#ablate").getByText("Zero", { exact: true }).click());
    }
    log.length = 0;
    const before = await inputsOf(page);
    await page.locator(".task").nth(3).click();
    await page.locator(".question").getByText("GPT-2 small, from huggingface.co. A download of 550 MB.").waitFor();
    await page.locator(".question").getByText("No results of this task come with the page").waitFor();
    await page.locator(".question").screenshot({ path: join(shots, "prompts-greater.png") });
    await page.getByRole("button", { name: "Keep the model that is here" }).click();
    ensure(same(await inputsOf(page), before) && !log.length, `a task that the model cannot do changed something, or asked for ${log}`);
    await done(page);
  });

  await check(name("undo and redo: buttons and keys, typing as one step, a task as one, and no fight with a field's own"), async () => {
    const page = await settledPage();
    const start = await inputsOf(page);
    const field = page.locator("#bias").getByLabel("First token");
    await field.fill("");
    await field.pressSequentially(" it");
    await page.locator(".task").nth(1).click();
    const task = await inputsOf(page);
    await page.locator("#heads").getByText("Likeness").click();
    await page.keyboard.press("Control+z");
    ensure(same(await inputsOf(page), task), "the choice is not undone");
    await page.keyboard.press("Control+z");
    ensure((await field.inputValue()) === " it" && (await page.locator("#patch").getByLabel("Clean prompt", { exact: true }).inputValue()) === "Mary is a great friend, isn’t", "the task is not undone as one");
    await page.keyboard.press("Control+z");
    ensure(same(await inputsOf(page), start), "the typing is not undone as one");
    ensure((await page.getByRole("button", { name: "Undo" }).getAttribute("aria-disabled")) === "true", "there is more to undo");
    await page.getByRole("button", { name: "Redo" }).focus();
    await page.keyboard.press("Enter");
    await page.keyboard.press("Enter");
    ensure(same(await inputsOf(page), task), "not redone");
    await field.focus();
    await page.keyboard.press("Control+z");
    ensure(same((await inputsOf(page)).patch, task.patch), "Ctrl+Z in a field undid the page");
    await allSettled(page);
    await done(page);
  });

  await check(name("a new engine, or a crashed one: the figure stays, marked as the earlier one, until the new one is there"), async () => {
    const page = await newPage(browser);
    await page.goto(faulty.url);
    await allSettled(page);
    const good = faulty.answers["/models/pronoun/model.safetensors"];
    /** @type {() => void} */
    let go = () => {};
    const held = new Promise((resolve) => void (go = () => resolve(undefined)));
    faulty.answers["/models/pronoun/model.safetensors"] = async (response, request) => {
      await held;
      good(response, request);
    };
    const look = () => page.locator("#patch").evaluate((node) => ({
      status: /** @type {HTMLElement} */ (node).dataset.status, fresh: node.hasAttribute("data-fresh"), words: node.querySelector(".status")?.textContent,
      faded: Number(getComputedStyle(/** @type {Element} */ (node.querySelector(".body"))).opacity) < 1, drawn: (node.querySelector("canvas")?.width ?? 0) > 0,
    }));
    const before = (await part(page, "patch")).job.value;
    await page.locator("#model").getByText("GPU", { exact: true }).first().click();
    await page.waitForFunction(() => document.getElementById("patch")?.dataset.status === "waiting");
    const waiting = await look();
    ensure(!waiting.fresh && waiting.faded && waiting.drawn && /earlier one/.test(String(waiting.words)), JSON.stringify(waiting));
    ensure(same((await part(page, "patch")).job.value, before), "the result is gone");
    go();
    faulty.answers["/models/pronoun/model.safetensors"] = good;
    await settled(page, "patch");
    ensure((await look()).fresh && !(await look()).faded, "the mark stays");
    await type(page, "patch", { "Clean prompt": "Mary TRAP" });
    await settled(page, "patch", "error");
    const crashed = await look();
    ensure(!crashed.fresh && crashed.faded && crashed.drawn, JSON.stringify(crashed));
    await recomputed(page, "patch", () => type(page, "patch", { "Clean prompt": "Amy is a great friend, isn’t" }));
    ensure(!(await look()).faded, "the mark stays after the crash");
    await done(page);
  });

  await check(name("an enormous prompt is pasted: the page answers, and its link is refused in words"), async () => {
    const page = await settledPage();
    const took = await page.evaluate(() => {
      const field = /** @type {HTMLInputElement} */ (document.querySelector("#attention input[type=text]"));
      const began = performance.now();
      field.value = "a\u202e<b>".repeat(400_000);
      field.dispatchEvent(new Event("input"));
      return performance.now() - began;
    });
    ensure(took < 1000, `typing took ${Math.round(took)} ms`);
    await page.locator("#attention .prompt-tokens .over").waitFor();
    await page.getByRole("button", { name: "Copy link", exact: true }).click();
    await page.locator(".saying .error").waitFor();
    ensure(!page.url().includes("z="), "the address has a link that nobody can open");
    await page.locator("#attention").getByLabel("Prompt", { exact: true }).fill("Dan is");
    await page.waitForURL(/attention\.prompt=Dan\+is$/);
    await done(page);
  });
  site.close();
}
