// The workshop in the page: a visitor who has no pointer solves all of it; wrong answers, hints, what is kept, the file for
// handing in, the handout, and how it all looks. What is right is worked out here by itself, from experiments of its own.
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { check, ensure, newPage, watchedPage } from "./harness.mjs";
import { answer, serve } from "./server.mjs";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
/** @typedef {import("playwright-core").Page} Page */
/** @typedef {Record<string, string>} Answers by `step.question`: what is typed, or the label of what is chosen */

/** Waits until the step in sight is measured. @param {Page} page @param {string} [status] */
export const measured = (page, status = "done") => page.waitForFunction((status) => {
  const now = /** @type {any} */ (globalThis).microtome?.runner.state;
  return now?.status === status || (now?.status === "error" && status !== "error");
}, status, { timeout: 120_000 }).then(async () => {
  const state = await page.evaluate(() => { const { status, error } = /** @type {any} */ (globalThis).microtome.runner.state; return { status, error }; });
  ensure(state.status === status, `the step is ${state.status}: ${state.error?.message}`);
});

/** @param {Page} page @param {string} id */
const kept = (page, id) => page.evaluate((id) => /** @type {any} */ (globalThis).microtome.progress.get(id), id);

/** @param {Page} page @param {string} step @param {string} question */
const form = (page, step, question) => page.locator(`[data-step="${step}"] form[data-question="${question}"]`);

/**
 * The right answers, from experiments that are put together here.
 * @param {Page} page
 * @returns {Promise<Answers>}
 */
const solve = (page) => page.evaluate(async () => {
  const lab = /** @type {any} */ (globalThis).microtome.lab();
  const [mary, john] = ["Mary", "John"].map((name) => `${name} is a great friend, isn’t`);
  const run = (/** @type {any} */ experiment) => lab.run({ version: 1, ...experiment });
  const metric = { kind: "logit_diff", correct: " she", incorrect: " he" };
  const zero = { kind: "zero" };
  const axes = ["layer", "head"];
  const { n_heads } = lab.info.model;
  const name = (/** @type {number} */ i) => `L${Math.floor(i / n_heads)}H${i % n_heads}`;
  const top = (/** @type {number[]} */ list) => list.indexOf(Math.max(...list));
  const low = (/** @type {number[]} */ list) => list.indexOf(Math.min(...list));
  const over = (/** @type {number[]} */ list, /** @type {number} */ from) => list.flatMap((value, i) => (value > from ? [name(i)] : [])).join(", ") || "none";
  const shown = (/** @type {string} */ token) => token.replaceAll(" ", "␣");

  const { tokens, top: likely } = await run({ kind: "predict", prompt: mary });
  const place = (/** @type {number} */ i) => `${shown(tokens[i].text)} (${i})`;
  const logit = (/** @type {string} */ text) => likely.find((/** @type {any} */ entry) => entry.text === text).logit;
  const diff = logit(" she") - logit(" he");
  const bare = await lab.tokenize("she", false);

  const sentences = ["great friend", "amazing person", "fantastic colleague", "wonderful partner", "excellent student"];
  const women = ["Mary", "Amy"];
  const names = ["Mary", "John", "Tom", "Dan", "Amy"];
  const prompts = sentences.flatMap((what) => names.map((who) => ({
    prompt: `${who} is ${/^[ae]/.test(what) ? "an" : "a"} ${what}, isn’t`, correct: women.includes(who) ? " she" : " he", incorrect: women.includes(who) ? " he" : " she",
  })));
  const grid = await run({ kind: "logit_diff", prompts });
  const sums = names.map((_, i) => grid.values.filter((/** @type {number} */ _, /** @type {number} */ at) => at % 5 === i).reduce((/** @type {number} */ a, /** @type {number} */ b) => a + b));

  const hooks = Array.from({ length: lab.info.model.n_layers }, (_, layer) => `blocks.${layer}.attn.hook_pattern`);
  const { tensors: [patterns] } = await run({ kind: "trace", prompts: [mary], hooks });
  const n = tokens.length;
  const rows = hooks.flatMap((hook) => Array.from({ length: n_heads }, (_, head) => Array.from(patterns[hook].data.slice((head * n + n - 1) * n, (head * n + n) * n))));
  const john2 = await lab.tokenize(john);
  const who = tokens.findIndex((/** @type {any} */ token, /** @type {number} */ i) => token.id !== john2[i].id);

  const loss = await run({ kind: "ablate", prompt: `${mary} she`, site: "z", axes, edit: zero, metric: { kind: "loss" } });
  const one = await run({ kind: "ablate", prompt: mary, site: "z", axes, edit: zero, metric });
  const all = await run({ kind: "ablate", prompts, site: "z", axes, edit: zero, metric: { kind: "logit_diff" } });
  const lost = all.values.map((/** @type {number} */ value) => 1 - value / all.baseline);

  const pair = { clean: mary, corrupted: john, metric: { ...metric, normalize: true } };
  const resid = await run({ kind: "patch", ...pair, site: "resid_pre", axes: ["layer", "pos"] });
  const last = resid.values.filter((/** @type {number} */ _, /** @type {number} */ i) => i % n === n - 1);
  const [z, v, pattern] = [await run({ kind: "patch", ...pair, site: "z", axes }), await run({ kind: "patch", ...pair, site: "v", axes }), await run({ kind: "patch", ...pair, site: "pattern", axes })].map(({ values }) => values);

  const { values: [she, he] } = await run({ kind: "unembed_bias", tokens: [" she", " he"] });

  const { repeatedTokens } = await import(new URL("./training.js", document.baseURI).href);
  const rowsOfTokens = repeatedTokens(lab.info.model);
  const detect = { kind: "detect", prompts: rowsOfTokens, pattern: "induction", exclude_bos: true, exclude_current_token: true };
  const { values: scores } = await run(detect);
  const repeats = { kind: "ablate", prompts: rowsOfTokens.map((/** @type {number[]} */ prompt) => ({ prompt })), edit: zero, metric: { kind: "loss" } };
  const alone = await run({ ...repeats, site: "z", axes });
  const heads = scores.flatMap((/** @type {number} */ value, /** @type {number} */ i) => (value > 0.4 ? [i] : []));
  const { values: [together] } = await run({ ...repeats, sets: [heads.map((/** @type {number} */ i) => ({ site: "z", layer: Math.floor(i / n_heads), head: i % n_heads }))] });
  const apart = heads.reduce((/** @type {number} */ sum, /** @type {number} */ i) => sum + Math.max(0, alone.values[i] - alone.baseline), 0);

  const at = low(one.values);
  const [layer, head] = [Math.floor(at / n_heads), at % n_heads];
  const zeroed = async (/** @type {"v" | "z"} */ site) => (await run({ kind: "ablate", prompt: mary, edit: zero, metric, sets: tokens.map((/** @type {any} */ _, /** @type {number} */ pos) => [{ site, layer, head, pos }]) })).values;
  const raw = { fold_ln: false, center_writing_weights: false, center_unembed: false, fold_value_biases: false, refactor_factored_attn_matrices: false };
  const switches = ["fold_ln", "center_writing_weights", "center_unembed", "fold_value_biases"];
  const by = await Promise.all([raw, ...switches.map((key) => ({ ...raw, [key]: true }))].map(async (processing) =>
    (await run({ kind: "ablate", prompt: mary, edit: zero, metric, processing, sets: [[{ site: "v", layer, head }]] })).values[0]));

  const steps = await lab.checkpoints();
  const trained = await run({ kind: "training", steps, experiments: [{ kind: "logit_diff", prompts }, detect] });
  const first = (/** @type {(answers: any[]) => boolean} */ passes) => trained.checkpoints.find((/** @type {any} */ checkpoint) => passes(checkpoint.answers))?.step ?? -1;

  return {
    "tokens.count": "12", "tokens.space": bare.length > 1 ? "No, it is even more than one token" : "No, another token",
    "next.likeliest": "␣it", "next.times": (likely[0].prob / likely[1].prob).toFixed(1),
    "difference.minus": diff.toFixed(2), "difference.power": Math.exp(diff).toFixed(1).replace(".", ","),
    "grid.right": "20", "grid.weakest": names[low(sums)], "grid.mean": Math.exp(grid.mean).toFixed(1),
    "attention.look": place(top(/** @type {number[]} */ (rows[0]))), "attention.name": name(top(rows.map((row) => /** @type {number} */ (row[who])))).toLowerCase(),
    "ablate.same": "Yes, the same head", "ablate.loss": name(top(loss.values)), "ablate.diff": name(low(one.values)),
    "matter.heads": over(lost, 0.25), "matter.share": `${(100 * Math.max(...lost)).toFixed(1)}%`,
    "travel.start": place(top(resid.values.slice(0, n))), "travel.layer": String(last.findIndex((/** @type {number} */ value) => value > 0.5)),
    "mover.heads": over(z, 0.25), "mover.what": v[top(z)] > 2 * pattern[top(z)] ? "What it copies (v)" : "Where it looks (pattern)",
    "bias.times": Math.exp(Math.abs(she - he)).toFixed(3), "bias.enough": Math.abs(she - he) < Math.abs(diff - she + he) ? "What the prompt contributes" : "The bias",
    "induction.find": over(scores, 0.4), "induction.alone": alone.values[top(scores)] < 1.1 * alone.baseline ? "It hardly changes (rises by less than a tenth)" : "It rises a lot",
    "induction.backup": together - alone.baseline > 2 * apart ? "Copying breaks: the heads stand in for each other, so one alone was not missed" : "The small effects of the single heads just add up",
    "induction.first": name(top(alone.values)),
    "values.everywhere": "Zeroing v", "values.v": place(low(await zeroed("v"))), "values.z": place(low(await zeroed("z"))),
    "values.switch": ["Folding LayerNorm", "Centring what is written", "Centring the unembedding", "Folding the value biases"][top(by.slice(1).map((value) => Math.abs(value - by[0])))],
    "own.flip": "Tom is a great friend, isn’t",
    "training.sooner": "Induction", "training.pronouns": String(first(([grid]) => grid.mean > 1)), "training.induction": String(first(([, { values }]) => Math.max(...values) > 0.4)),
  };
});

/** Presses Tab until the keyboard is at an element. @param {Page} page @param {import("playwright-core").Locator} target */
async function tabTo(page, target) {
  const node = await target.elementHandle();
  for (let i = 0; i < 150; i++) {
    if (await page.evaluate((node) => document.activeElement === node, node)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`Tab does not reach ${target}`);
}

/** Gives an answer without a pointer. @param {Page} page @param {string} step @param {string} question @param {string} answer */
async function answerByKeys(page, step, question, answer) {
  const here = form(page, step, question);
  const radios = here.locator("input[type=radio]");
  if (await radios.count()) {
    await tabTo(page, radios.first());
    const wanted = await here.getByLabel(answer, { exact: true }).getAttribute("value");
    await page.keyboard.press("Space");
    for (let i = await radios.count(); (await page.evaluate(() => /** @type {HTMLInputElement} */ (document.activeElement).value)) !== wanted; i--) {
      ensure(i > 0, `${step}.${question} has no choice ${answer}`);
      await page.keyboard.press("ArrowDown");
    }
  } else {
    const field = step === "own" ? page.locator("[data-step=own] .controls input") : here.locator("input[type=text]");
    await tabTo(page, field);
    await page.keyboard.press("Control+a");
    await page.keyboard.type(answer);
  }
  await page.keyboard.press("Enter");
}

/**
 * @param {import("playwright-core").Browser} browser
 * @param {string} folder the site
 * @param {string} shots
 */
export async function workshopChecks(browser, folder, shots) {
  const name = (/** @type {string} */ text) => `workshop: ${text}`;
  const site = await serve(folder);
  const start = `${site.url}workshop.html`;
  await mkdir(shots, { recursive: true });
  const page = await newPage(browser);
  /** @type {Answers} */ let right = {};

  await check(name("a visitor without a pointer solves the whole lesson on the CPU engine; what is right is worked out apart"), async () => {
    await page.goto(start);
    await measured(page);
    ensure((await page.evaluate(() => /** @type {any} */ (globalThis).microtome.lab().info.engine.backend)) === "cpu", "not the CPU engine");
    right = await solve(page);
    const steps = [...new Set(Object.keys(right).map((key) => key.split(".")[0]))];
    ensure(steps.length === 14, `${steps.length} steps`);
    for (const step of steps) {
      await page.locator(`[data-step="${step}"]`).waitFor();
      await measured(page, step === "training" ? "held" : "done");
      const questions = Object.keys(right).filter((key) => key.startsWith(`${step}.`)).map((key) => key.split(".")[1]);
      const guesses = await page.locator(`[data-step="${step}"] form.guess`).evaluateAll((nodes) => nodes.map((node) => node.getAttribute("data-question")));
      for (const question of questions) {
        const guess = guesses.includes(question);
        if (guess) ensure(!(await page.locator(".drawings").isVisible()), `${step}: the figure is there before the guess`);
        await answerByKeys(page, step, question, right[`${step}.${question}`]);
        if (step === "training" && guess) {
          await tabTo(page, page.getByRole("button", { name: "Measure the checkpoints" }));
          await page.keyboard.press("Enter");
          await measured(page);
        }
        await form(page, step, question).locator(".said p").nth(1).waitFor();
        const { state, answer } = await kept(page, `${step}.${question}`);
        ensure(state === (guess ? "guess" : "right"), `${step}.${question}: ${answer} is ${state}: ${await form(page, step, question).locator(".said").innerText()}`);
        ensure(await page.locator(".drawings").isVisible(), `${step}: no figure`);
      }
      const link = page.locator(`.steps-nav a[href="#${step}"]`);
      ensure((await link.getAttribute("data-done")) === "all", `${step} is not marked as done`);
      await tabTo(page, page.locator(".turn .primary"));
      await page.keyboard.press("Enter");
    }
    await page.getByRole("heading", { name: "Your answers" }).waitFor();
    ensure((await page.evaluate(() => document.activeElement?.tagName)) === "H2", "the keyboard did not go along");
    ensure((await page.locator(".finding").innerText()) === "28 of 28 solved, 0 shown.", await page.locator(".finding").innerText());
  });

  await check(name("what was answered is there after a reload, and in the file: with full stops, and a name that a spreadsheet would run as text"), async () => {
    await page.reload();
    await page.getByRole("heading", { name: "Your answers" }).waitFor();
    ensure((await page.locator(".finding").innerText()) === "28 of 28 solved, 0 shown.", await page.locator(".finding").innerText());
    await page.getByLabel("Your name, for the file (optional)").fill("=1+1, <img src=x onerror=alert(1)>");
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save as CSV" }).click()]);
    const csv = await readFile(await download.path(), "utf8");
    const lines = csv.trimEnd().split("\r\n");
    ensure(download.suggestedFilename() === "microtome-workshop.csv" && lines.length === 35, `${download.suggestedFilename()}: ${lines.length} lines`);
    ensure(lines.slice(1).every((line) => line.endsWith(`,"'=1+1, <img src=x onerror=alert(1)>"`)), lines[1]);
    ensure(/^difference,minus,What is the logit difference .*\),\d\.\d\d,\d\.\d\d,right,1,\d\.\d+,\d\.\d+,pronoun,[0-9a-f]{64},/.test(lines[5]), lines[5]);
    // It was typed with a comma.
    ensure(lines[6].startsWith("difference,power,") && lines[6].includes(`,${right["difference.power"].replace(",", ".")},right,1,`), lines[6]);
    // A choice and a token by their words, beside their keys.
    const place = Number(/\((\d+)\)$/.exec(right["travel.start"])?.[1]);
    ensure(lines.some((line) => line.startsWith("travel,start,") && line.includes(`,${place},${right["travel.start"]},right,`)), csv);
    ensure(lines.some((line) => line.startsWith("mover,what,") && line.includes(`,${right["mover.what"]},right,`)), csv);
    await page.getByRole("link", { name: "Where the name travels" }).first().click();
    await measured(page);
    ensure((await form(page, "travel", "start").locator(".verdict").innerText()).includes("right"), "an answer that was right is not shown as such");
  });

  await check(name("a wrong answer is told from the model's numbers, hints and “show me” help, and nothing stops the visitor"), async () => {
    await page.goto(`${start}#answers`);
    await page.getByRole("button", { name: "Start over" }).click();
    await page.getByRole("button", { name: "Delete my answers" }).click();
    await page.getByRole("heading", { name: "What the model reads" }).waitFor();
    ensure((await page.evaluate(() => localStorage.getItem("microtome.workshop"))) === null, "answers are still stored");
    await page.goto(`${start}#ablate`);
    await measured(page);
    await page.getByRole("button", { name: "Skip the guess" }).click();
    const here = form(page, "ablate", "diff");
    const said = here.locator(".said");
    const field = here.locator("input");
    await field.fill("the first one");
    await here.getByRole("button", { name: "Check" }).click();
    ensure((await said.innerText()).startsWith("That is no head."), await said.innerText());
    ensure((await kept(page, "ablate.diff")) === undefined, "what cannot be read counts as a try");
    const { values, baseline } = await page.evaluate(() => /** @type {any} */ (globalThis).microtome.runner.state.found.diff.result);
    ensure(right["ablate.diff"] !== "L3H7", "the wrong answer is right");
    await field.fill("L3H7");
    await here.getByRole("button", { name: "Check" }).click();
    await said.getByText("1 try").waitFor();
    const words = await said.innerText();
    ensure(words.includes(values[31].toFixed(4)) && words.includes(baseline.toFixed(4)) && words.includes("You can go on"), words);
    ensure(!words.includes(right["ablate.diff"]), "the answer is given away");
    ensure(!(await here.getByRole("button", { name: "Show me" }).isVisible()), "“Show me” comes too early");
    for (const count of [1, 2]) {
      await here.getByRole("button", { name: "A hint" }).click();
      ensure((await here.locator(".hint").count()) === count, `${count} hints`);
    }
    ensure(!(await here.getByRole("button", { name: "A hint" }).isVisible()), "there is a third hint");
    await field.press("Enter");
    await said.getByText("2 tries").waitFor();
    await here.getByRole("button", { name: "Show me" }).click();
    await said.getByText(`The answer: ${right["ablate.diff"]}.`).waitFor();
    ensure((await kept(page, "ablate.diff")).state === "shown", "what was shown counts as solved");
    await field.fill(right["ablate.diff"]);
    await field.press("Enter");
    await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome.progress.get("ablate.diff").tries === 3);
    ensure((await kept(page, "ablate.diff")).state === "shown", "what was shown counts as solved afterwards");
    await page.getByRole("link", { name: "Next step" }).click();
    await page.getByRole("heading", { name: "Which heads matter, on all prompts" }).waitFor();
  });

  await check(name("a list of heads is told how many are missing and which do not belong; a guess is compared, not judged"), async () => {
    await measured(page);
    const here = form(page, "matter", "heads");
    await here.locator("input").fill("L3H7; 3.6");
    await here.getByRole("button", { name: "Check" }).click();
    await here.getByText("1 try").waitFor();
    const words = await here.locator(".said").innerText();
    ensure(words.includes("is missing") && words.includes("L3H7, L3H6 do not belong here."), words);
    await page.goto(`${start}#next`);
    await measured(page);
    await form(page, "next", "likeliest").getByLabel("␣he", { exact: true }).check();
    await page.getByRole("button", { name: "Take this guess" }).click();
    await page.getByText("You guessed: ␣he.").waitFor();
    ensure((await kept(page, "next.likeliest")).state === "guess", "a guess was judged");
  });

  await check(name("an own prompt is run when it is checked; text that looks like HTML stays text"), async () => {
    await page.goto(`${start}#own`);
    await measured(page);
    const field = page.locator("[data-step=own] .controls input");
    await field.fill("<b>Amy</b> is a great friend, isn’t");
    await page.locator("[data-step=own]").getByRole("button", { name: "Check" }).click();
    await form(page, "own", "flip").locator(".said p").nth(1).waitFor();
    ensure((await page.locator(".drawings").innerText()).includes("<b>Amy</b> is a great friend"), "the prompt is not in the table");
    ensure((await page.locator(".drawings b").count()) === 0, "the prompt became HTML");
    await field.fill("");
    await page.locator("[data-step=own]").getByRole("button", { name: "Check" }).click();
    await page.getByText("Type a prompt first.").waitFor();
  });

  await check(name("a prompt that is too long is said to be too long"), async () => {
    const field = page.locator("[data-step=own] .controls input");
    await field.fill("Mary is a friend. ".repeat(20));
    await page.locator("[data-step=own]").getByRole("button", { name: "Check" }).click();
    await page.getByText("That is longer than 200 characters").waitFor();
  });

  await check(name("a right answer stays when nonsense follows; another tab's answers are heard of and kept"), async () => {
    await page.goto(`${start}#difference`);
    await measured(page);
    const here = form(page, "difference", "minus");
    await here.locator("input").fill(right["difference.minus"]);
    await here.getByRole("button", { name: "Check" }).click();
    await here.getByText("That’s right.").waitFor();
    const solved = await kept(page, "difference.minus");
    await here.locator("input").fill("99");
    await here.getByRole("button", { name: "Check" }).click();
    await here.getByText("Your number is too large.").waitFor();
    ensure((await here.locator(".said").innerText()).includes(`Your earlier answer, ${right["difference.minus"]}, was right`), await here.locator(".said").innerText());
    ensure(JSON.stringify(await kept(page, "difference.minus")) === JSON.stringify(solved), "nonsense took the place of the right answer");
    const other = await watchedPage(page.context());
    await other.goto(`${start}#difference`);
    await measured(other);
    const power = form(other, "difference", "power");
    await power.locator("input").fill(right["difference.power"]);
    await power.getByRole("button", { name: "Check" }).click();
    await power.getByText("That’s right.").waitFor();
    // In the first tab, without a reload.
    await form(page, "difference", "power").getByText("That’s right.").waitFor();
    await page.evaluate(() => /** @type {any} */ (globalThis).microtome.progress.set("bias.times", { answer: "1", state: "wrong", tries: 1, computed: "", model: "pronoun", sha256: "" }));
    await other.waitForFunction(() => /** @type {any} */ (globalThis).microtome.progress.get("bias.times"));
    ensure((await kept(other, "difference.power"))?.state === "right", "the first tab has overwritten the second one's answer");
    await other.close();
  });

  await check(name("the GPU's difference from the CPU stands beside the engine's name, and nothing beside the CPU's"), async () => {
    await page.goto(`${start}#difference`);
    await measured(page);
    ensure(!(await page.locator(".engine .status").innerText()).includes("differs"), "the CPU differs from itself");
    await page.evaluate(() => {
      const { store } = /** @type {any} */ (globalThis).microtome;
      const { info } = store.get("model");
      store.update("model", { info: { ...info, engine: { ...info.engine, backend: "gpu", self_test: { difference: 1.5e-6, checks: 9, when: "2026-01-01" } } } });
    });
    await page.locator(".engine .status").getByText(/on the GPU engine, which differs from the CPU engine by at most 2e−6\./).waitFor();
    await page.goto(`${start}#bias`);
    await page.locator("[data-step=bias] .took").getByText(/GPU engine · differs from the CPU engine/).waitFor();
  });

  await check(name("the model that the server brought is in the list, without a size; answers about it say nothing about another"), async () => {
    const html = (await readFile(join(folder, "workshop.html"), "utf8")).replace("</head>", '<meta name="microtome-first" content="./models/pronoun/@400"></head>');
    const brought = await serve(folder, { "/workshop.html": answer("text/html", html) });
    const tab = await newPage(browser);
    await tab.goto(`${brought.url}workshop.html#difference`);
    await measured(tab);
    const options = await tab.locator(".engine select option").allTextContents();
    ensure(options[0] === "@400, from this server" && options.length === 7 && !options.some((text) => /\b0 B/.test(text)), options.join("; "));
    const value = await tab.evaluate(() => { const { she, he } = /** @type {any} */ (globalThis).microtome.runner.state.found; return (she.logit - he.logit).toFixed(2); });
    const here = form(tab, "difference", "minus");
    await here.locator("input").fill(value);
    await here.getByRole("button", { name: "Check" }).click();
    await here.getByText("That’s right.").waitFor();
    ensure((await kept(tab, "difference.minus")).state === "right" && value !== right["difference.minus"], "both models say the same");
    await tab.locator(".engine summary").click();
    await tab.locator(".engine select").selectOption("./models/pronoun/");
    await tab.locator(".engine").getByRole("button", { name: "Load", exact: true }).click();
    await here.getByText(/Your answer was given with the model “pronoun@400”/).waitFor();
    const said = await here.locator(".said").innerText();
    ensure(!said.includes("right") && !said.includes("−") && (await here.getAttribute("data-state")) === "open", said);
    await here.getByRole("button", { name: "Check" }).click();
    await here.getByText("1 try").waitFor();
    const now = await kept(tab, "difference.minus");
    ensure(now.state === "wrong" && now.tries === 1 && now.model === "pronoun", JSON.stringify(now));
    await tab.context().close();
    brought.close();
  });

  await check(name("damaged progress, and a browser that keeps nothing, do no harm"), async () => {
    await page.evaluate(() => localStorage.setItem("microtome.workshop", '{"version":1,"answers":{"tokens.count":{"state":"won"},"__proto__":1}}'));
    await page.goto(start);
    await page.reload();
    await measured(page);
    ensure((await kept(page, "tokens.count")) === undefined, "a made-up answer was believed");
    const strict = await newPage(browser);
    await strict.addInitScript(() => Object.defineProperty(globalThis, "localStorage", { get() { throw new DOMException("denied", "SecurityError"); } }));
    await strict.goto(`${start}#answers`);
    await strict.getByText("This browser does not let the page keep anything").waitFor();
    await strict.context().close();
  });

  await check(name("the policy is in force here: what breaks it is refused and reported"), async () => {
    const refused = await page.evaluate(() => {
      try {
        document.body.innerHTML = "<p>x</p>";
        return false;
      } catch {
        return document.querySelector("main") !== null;
      }
    });
    ensure(refused, "HTML was parsed");
    const [complaint] = await Promise.all([page.waitForEvent("console", (message) => /^policy:.*img-src/.test(message.text())),
      page.evaluate(() => { document.body.append(Object.assign(document.createElement("img"), { src: "https://example.com/x.png", alt: "" })); })]);
    ensure(complaint.text().includes("example.com"), complaint.text());
  }, /policy|Content Security Policy|TrustedHTML/);

  await check(name("a model that does not come is an error with a way back; loading can be cancelled"), async () => {
    const bad = await newPage(browser);
    const missing = await serve(folder, { "/models/pronoun/config.json": (response) => void response.writeHead(404).end() });
    await bad.goto(`${missing.url}workshop.html`);
    await bad.locator(".engine .error").waitFor();
    delete missing.answers["/models/pronoun/config.json"];
    missing.answers["/models/pronoun/model.safetensors"] = () => {}; // never answers
    await bad.getByRole("button", { name: "Load again" }).click();
    await bad.locator(".engine").getByRole("button", { name: "Cancel" }).click();
    await bad.getByText("Loading was cancelled.").waitFor();
    delete missing.answers["/models/pronoun/model.safetensors"];
    await bad.getByRole("button", { name: "Load again" }).click();
    await measured(bad);
    // A tab that was killed while it loaded a model does not try again by itself.
    const killed = await newPage(browser);
    await killed.addInitScript(() => sessionStorage.setItem("microtome.loading", "1"));
    await killed.goto(`${missing.url}workshop.html`);
    await killed.getByText("This tab was closed by the browser").waitFor();
    ensure(await killed.evaluate(() => /** @type {any} */ (globalThis).microtome.lab() === null), "it was loaded all the same");
    await killed.getByRole("button", { name: "Load the model" }).click();
    await measured(killed);
    await killed.context().close();
    await bad.context().close();
    missing.close();
  }, /404/);
  await page.context().close();

  await handoutChecks(browser, folder, site.url, right, shots, name);
  await lookChecks(browser, start, shots, name);
  site.close();
}

/** @param {import("playwright-core").Browser} browser @param {string} folder @param {string} url @param {Answers} right @param {string} shots @param {(text: string) => string} name */
async function handoutChecks(browser, folder, url, right, shots, name) {
  const page = await newPage(browser);
  const answers = page.locator(".solved");
  await check(name("the handout has every step and no answer, and loads no model"), async () => {
    /** @type {string[]} */
    const asked = [];
    page.on("request", (request) => asked.push(new URL(request.url()).pathname));
    await page.goto(`${url}handout.html`);
    await page.locator("[data-step=training]").waitFor();
    ensure((await page.locator(".sheet section[data-step]").count()) === 14 && (await page.locator("[data-question]").count()) === 34, "steps or questions are missing");
    ensure((await answers.count()) === 0, "there are answers");
    ensure(!asked.some((path) => /models|pkg/.test(path)), asked.join(" "));
    // The address of this machine is no one else's: room to write another one.
    ensure((await page.locator(".where").innerText()) === "" && !(await page.locator(".sheet").innerText()).includes("127.0.0.1"), await page.locator(".where").innerText());
    const minutes = (await page.locator("tbody tr td:nth-child(2)").allInnerTexts()).map(Number);
    ensure(minutes.slice(0, -1).reduce((a, b) => a + b) === minutes.at(-1), minutes.join());
  });
  await check(name("in a room the handout names the room's address, whoever opens it"), async () => {
    const html = (await readFile(join(folder, "handout.html"), "utf8")).replace("</head>", '<meta name="microtome-room" content="https://192.168.1.5:8080/"></head>');
    const room = await serve(folder, { "/handout.html": answer("text/html", html) });
    const tab = await newPage(browser);
    await tab.goto(`${room.url}handout.html`);
    await tab.locator(".where").getByText("https://192.168.1.5:8080/workshop.html").waitFor();
    await tab.context().close();
    room.close();
  });
  await check(name("on paper it is black on white, and the controls are gone"), async () => {
    await page.emulateMedia({ media: "print", colorScheme: "dark" });
    const look = await page.evaluate(() => ({ ink: getComputedStyle(document.body).color, ground: getComputedStyle(document.body).backgroundColor }));
    ensure(look.ink === "rgb(0, 0, 0)" && look.ground === "rgb(255, 255, 255)", JSON.stringify(look));
    ensure(!(await page.getByRole("button", { name: "Print" }).isVisible()), "the button is printed");
    await page.pdf({ path: join(shots, "handout.pdf"), format: "A4" });
    await page.emulateMedia({ media: null, colorScheme: null });
  });
  await check(name("with answers they are those of the model, which is named with its hash"), async () => {
    await page.getByLabel("With answers").check();
    await page.locator(".computed").waitFor({ timeout: 120_000 });
    const named = await page.locator(".computed").innerText();
    ensure(/model “pronoun”.*d5a6e1fa4a223fede8aa4c0ba11f29e39d2d3624614ccdac0790b5db3df66a40/.test(named), named);
    ensure((await answers.count()) === 34, `${await answers.count()} answers`);
    for (const key of ["ablate.diff", "matter.heads", "induction.find", "mover.what", "values.switch", "travel.start", "training.induction", "grid.weakest"]) {
      const [step, question] = key.split(".");
      const text = await page.locator(`[data-step="${step}"] [data-question="${question}"] .solved b`).innerText();
      ensure(text === `Answer: ${right[key]}.`, `${key}: “${text}”, expected ${right[key]}`);
    }
    await page.emulateMedia({ media: "print" });
    await page.pdf({ path: join(shots, "handout-answers.pdf"), format: "Letter" });
    await page.emulateMedia({ media: null });
    await page.getByLabel("With answers").uncheck();
    ensure((await answers.count()) === 0, "the answers stay");
  });
  await page.context().close();
}

/** @type {Record<string, import("playwright-core").BrowserContextOptions>} */
const LOOKS = {
  light: { colorScheme: "light" },
  dark: { colorScheme: "dark" },
  phone: { colorScheme: "light", viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true },
};

/** @param {import("playwright-core").Browser} browser @param {string} start @param {string} shots @param {(text: string) => string} name */
async function lookChecks(browser, start, shots, name) {
  const axe = await readFile(AXE, "utf8");
  for (const [look, options] of Object.entries(LOOKS)) {
    await check(name(`${look}: steps, answers and handout are drawn, none wider than the screen, targets are large, and axe finds no violation`), async () => {
      // The page's policy refuses what axe does to the page; the policy itself is tested by every other check.
      const page = await newPage(browser, { ...options, bypassCSP: true });
      for (const step of ["tokens", "attention", "ablate", "values", "own", "answers", "handout"]) {
        await page.goto(step === "handout" ? start.replace("workshop", "handout") : `${start}#${step}`);
        if (step !== "answers" && step !== "handout") {
          await measured(page);
          const skip = page.getByRole("button", { name: "Skip the guess" });
          if (await skip.isVisible()) await (options.hasTouch ? skip.tap() : skip.click());
          await page.locator(".drawings").waitFor();
        } else await page.locator("h2").first().waitFor();
        await page.screenshot({ path: join(shots, `workshop-${step}-${look}.png`), fullPage: true });
        const { content, screen } = await page.evaluate(() => ({ content: document.documentElement.scrollWidth, screen: innerWidth }));
        ensure(content <= screen, `${step} is ${content} px wide on a screen of ${screen} px`);
        const small = await page.locator("button:visible, .steps-nav a:visible, .turn a:visible, input[type=text]:visible, .bar label:visible").evaluateAll((nodes) => nodes.flatMap((node) => {
          const { width, height } = node.getBoundingClientRect();
          return Math.min(width, height) < 24 ? [`${node.textContent} ${width}×${height}`] : [];
        }));
        ensure(!small.length, `${step}: too small: ${small.join("; ")}`);
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => /** @type {any} */ (globalThis).axe.run());
        ensure(!violations.length, `${step}: ${violations.map((/** @type {any} */ v) => `${v.id}: ${v.nodes.map((/** @type {any} */ n) => n.target).join(" ")}`).join("; ")}`);
      }
      await page.context().close();
    });
  }
}
