// A training in the page: the slider, a run over all checkpoints, what is pointed at, exports, checkpoints that are broken.
// Longer than most files: a check for each.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { lesson, lessonWords } from "../../www/lesson.js";
import { csvOf } from "../../www/export/csv.js";
import { seriesOf, tableOf } from "../../www/series.js";
import { check, ensure, newPage } from "./harness.mjs";
import { choose, coloursOf, part, recomputed, settled, type } from "./lab_page.mjs";
import { save, take } from "./export.mjs";
import { answer, serve, weights } from "./server.mjs";

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {import("../../www/series.js").Series} Series */

/** A run over the shipped checkpoints must not take longer, in milliseconds. */
const MOST = 60_000;
const RUN = { name: "Run over training" };

/**
 * @param {import("playwright-core").Browser} browser
 * @param {string} url of a site with the real engine
 * @param {string} binary the native command
 * @param {string} model the folder of the model that the page opens with
 */
export async function trainingChecks(browser, url, binary, model) {
  const name = (/** @type {string} */ text) => `training: ${text}`;
  const page = await newPage(browser);
  const section = page.locator("#training");
  const status = section.locator(".status");
  /** @type {any} */ let result = null;
  /** @type {Series | null} */ let series = null;

  await check(name("the model that comes with the page offers its checkpoints, and nothing is claimed before they are measured"), async () => {
    await page.goto(url);
    await offered(page);
    await choose(page, "cpu");
    await offered(page);
    const { family } = await part(page, "training");
    ensure(family.length >= 10 && family[0] === 0, `the steps are ${family}`);
    ensure(await status.getByRole("button", RUN).isVisible(), "there is no button");
    ensure((await section.locator(".lesson").innerText()).includes("Run over training"), await section.locator(".lesson").innerText());
    ensure(!(await section.locator(".curves").isVisible()), "there are curves before the run");
    ensure((await section.getByRole("slider").getAttribute("aria-valuetext")) === `step ${family.at(-1).toLocaleString("en")}`, "the slider is not at the end");
  });

  await check(name("all checkpoints are measured in under a minute, one after the other, and the circuits appear"), async () => {
    const began = Date.now();
    await status.getByRole("button", RUN).click();
    await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome.store.get("training").job.sofar?.done >= 2, null, { timeout: MOST });
    ensure(/\d+ of \d+ checkpoints/.test(await status.innerText()), `it says “${await status.innerText()}”`);
    ensure(await section.locator(".curves").isVisible(), "nothing is drawn of what is done");
    await settled(page, "training", "done", MOST);
    const took = Date.now() - began;
    console.log(`  (a run over training took ${(took / 1000).toFixed(1)} s)`);
    ensure(took < MOST, `it took ${took} ms`);
    ({ result, series } = (await part(page, "training")).job.value);
    ensure(series && result.checkpoints.every((/** @type {any} */ one) => !one.error), "some checkpoints were skipped");
    const { tasks, detectors } = series;
    const best = series.steps.map((_, i) => Math.max(...detectors.induction.map((curve) => curve[i] ?? 0)));
    ensure(Math.abs(tasks.pronouns[0] ?? 9) < 0.5 && (tasks.pronouns.at(-1) ?? 0) >= 3, `pronouns go from ${tasks.pronouns[0]} to ${tasks.pronouns.at(-1)}`);
    ensure(best[0] < 0.1 && (best.at(-1) ?? 0) > 0.5, `induction goes from ${best[0]} to ${best.at(-1)}`);
    for (const canvas of await section.locator("canvas").all()) ensure((await coloursOf(canvas)) > 5, "a canvas is blank");
  });

  await check(name("the model that was open is still the one on the engine"), async () => {
    const { info } = await part(page, "model");
    const before = (await part(page, "predict")).job.value.top[0];
    const after = await recomputed(page, "predict", () => type(page, "predict", { Prompt: "John is a great friend, isn’t" }));
    ensure(after.model.sha256 === info.model.sha256, `it is ${after.model.sha256}`);
    await recomputed(page, "predict", () => type(page, "predict", { Prompt: "Mary is a great friend, isn’t" }));
    const again = (await part(page, "predict")).job.value.top[0];
    ensure(again.text === before.text && again.logit === before.logit, JSON.stringify([before, again]));
  });

  await check(name("a step that is pointed at in any figure is shown in all of them"), () => pointing(page, /** @type {Series} */ (series)));
  await check(name("keys move from step to step in every figure"), () => keys(page, /** @type {Series} */ (series)));
  await check(name("the numbers are in a table, too"), async () => {
    const { steps, tasks } = /** @type {Series} */ (series);
    await section.locator(".numbers summary").first().click();
    const rows = section.locator(".numbers tbody tr");
    await rows.first().waitFor();
    ensure((await rows.count()) === steps.length, `${await rows.count()} rows`);
    const last = await rows.last().locator("td").nth(1).innerText();
    ensure(last === tasks.pronouns.at(-1)?.toFixed(4), `${last}, not ${tasks.pronouns.at(-1)}`);
  });
  await check(name("the exports are what was measured"), () => exports(page, result));
  await check(name("the lesson says what the native command finds in the same checkpoints"), () => native(page, result, binary, model));

  await check(name("the slider moves with the keyboard, and every figure above shows its step"), async () => {
    const slider = section.getByRole("slider");
    const { steps } = /** @type {Series} */ (series);
    const table = page.locator("#predict table.top");
    const final = await table.innerText();
    const sofar = (await part(page, "predict")).job.value;
    await slider.focus();
    await slider.press("Home");
    await arrived(page, steps[0]);
    await page.waitForFunction((top) => {
      const { job } = /** @type {any} */ (globalThis).microtome.store.get("predict");
      return job.status === "done" && job.value.top[0].logit !== top;
    }, sofar.top[0].logit);
    ensure((await table.innerText()) !== final, "the table is still that of the finished model");
    ensure((await slider.getAttribute("aria-valuetext")) === "step 0", `it is ${await slider.getAttribute("aria-valuetext")}`);
    ensure((await section.locator(".steps-bar .note").innerText()).includes("show step 0"), await section.locator(".steps-bar .note").innerText());
    await slider.press("ArrowRight");
    await arrived(page, steps[1]);
    await slider.press("End");
    await arrived(page, steps[steps.length - 1]);
    await page.waitForFunction((text) => document.querySelector("#predict table.top")?.textContent?.replaceAll(/\s/g, "") === text, final.replaceAll(/\s/g, ""));
  });

  await check(name("of many moves of the slider the last one counts"), async () => {
    const slider = section.getByRole("slider");
    const { steps } = /** @type {Series} */ (series);
    await slider.press("Home");
    await page.waitForTimeout(170);
    for (let i = 0; i < 4; i++) await slider.press("ArrowRight", { delay: 40 });
    await arrived(page, steps[4]);
    await page.waitForTimeout(500);
    ensure((await part(page, "model")).info.model.step === steps[4], `it is at ${(await part(page, "model")).info.model.step}`);
    ensure(!Object.keys((await part(page, "training")).failed).length, "a step that was passed over counts as failed");
    const values = await page.evaluate(() => /** @type {any} */ (globalThis).microtome.store.get("training").job.status);
    ensure(values === "done", `the curves are ${values}`);
  });

  await check(name("cancel keeps what is done, and a run begins again"), async () => {
    await page.reload();
    await offered(page);
    await status.getByRole("button", RUN).click();
    await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome.store.get("training").job.sofar?.done >= 2, null, { timeout: MOST });
    await status.getByRole("button", { name: "Cancel" }).click();
    await settled(page, "training", "cancelled");
    const { job } = await part(page, "training");
    const { done, cells } = job.sofar;
    ensure(done >= 2 && done < cells && job.value.checkpoints.length === done, JSON.stringify(job.sofar));
    ensure((await status.innerText()).includes(`${done} of ${cells} checkpoints are done`), await status.innerText());
    ensure(await section.locator(".curves").isVisible() && !(await section.locator(".lesson .finding").count()), "a run that is not whole is a lesson");
    await status.getByRole("button", RUN).click();
    await settled(page, "training", "done", MOST);
  });

  await check(name("with its export menu open a run begins again, is cancelled, and the menu is there again with the next result"), async () => {
    const menu = section.locator(".export");
    const places = section.locator(".others textarea");
    await menu.locator("summary").click();
    await menu.getByRole("button", { name: "CSV" }).waitFor();
    await section.locator(".others summary").click();
    await places.fill("./models/pronoun/@300\n./models/pronoun/");
    await settled(page, "training", "held");
    ensure(await menu.isVisible(), "the earlier run cannot be exported");
    await status.getByRole("button", RUN).click();
    await settled(page, "training", "done", MOST);
    ensure((await menu.getAttribute("open")) !== null && JSON.parse((await save(page, "training", "JSON")).text).checkpoints.length === 2, "the menu does not have the new run");
    await places.fill("");
    await settled(page, "training", "held");
    await status.getByRole("button", RUN).click();
    await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome.store.get("training").job.sofar?.done >= 1, null, { timeout: MOST });
    ensure(!(await menu.isVisible()), "a run under way can be exported");
    await status.getByRole("button", { name: "Cancel" }).click();
    await settled(page, "training", "cancelled");
    ensure(!(await menu.isVisible()) && await section.locator(".curves").isVisible(), "the menu, or the curves, after a cancel");
  });
  await page.context().close();

  await check(name("addresses that came with a link are named beside the button, with their host, in an open box, before anything is asked of anybody"), async () => {
    const linked = await newPage(browser);
    /** @type {string[]} */
    const asked = [];
    linked.on("request", (request) => asked.push(request.url()));
    const elsewhere = "hf:somebody/else@checkpoint-{step}";
    await linked.goto(`${url}#v=1&training.addresses=${encodeURIComponent(elsewhere)}&training.steps=1,2&s=training`);
    await offered(linked);
    const training = linked.locator("#training");
    const said = training.locator(".asks");
    ensure((await said.innerText()) === `“Run over training” asks huggingface.co for ${elsewhere}.`, await said.innerText());
    ensure((await training.locator(".others").getAttribute("open")) !== null && (await training.locator(".others textarea").inputValue()) === elsewhere, "the addresses lie in a closed box");
    const [text, run] = [await said.boundingBox(), await training.locator(".status").getByRole("button", RUN).boundingBox()];
    ensure(text && run && run.y >= text.y && run.y - text.y - text.height < 60, `the words are at ${text?.y}, the button at ${run?.y}`);
    // Another link on the same page, and undo.
    await training.locator(".others summary").click();
    await linked.evaluate(() => { location.hash = `v=1&training.addresses=${encodeURIComponent("https://models.example/<b>\u202e/\n./models/pronoun/\nhf:a/b\nhf:c/d")}`; });
    await linked.waitForFunction(() => document.querySelector("#training .asks")?.textContent?.includes("models.example"));
    ensure((await said.innerText()) === "“Run over training” asks models.example, this site, huggingface.co for https://models.example/<b>\\u{202e}/, ./models/pronoun/, hf:a/b and 1 more.", await said.innerText());
    ensure((await training.locator(".others").getAttribute("open")) !== null, "the addresses of the other link lie in a closed box");
    await training.locator(".others textarea").fill("");
    ensure(!(await said.isVisible()), "it names nobody, and says so");
    const others = asked.filter((address) => !address.startsWith(url) && !/^(blob|data):/.test(address));
    ensure(!others.length, `asked for ${others}`);
    await linked.context().close();
  });
}

/**
 * Checkpoints that a server does not have, or has wrongly.
 * @param {import("playwright-core").Browser} browser
 * @param {string} folder of a built site
 */
export async function brokenChecks(browser, folder) {
  await check("training: a checkpoint that is missing, damaged or of another shape is skipped with a mark and a message, the rest goes on", async () => {
    const files = join(folder, "models/pronoun");
    const manifest = JSON.parse(await readFile(join(files, "microtome.json"), "utf8"));
    const [absent, damaged, reshaped] = [2, 4, 6].map((i) => manifest.checkpoints[i].step);
    const bytes = await readFile(join(files, `step-${damaged}.safetensors`));
    const flipped = Buffer.from(bytes);
    flipped[flipped.length - 9] ^= 0xff;
    const site = await serve(folder, {
      ...at(`step-${absent}.safetensors`, (response) => void response.writeHead(404).end("not found")),
      ...at(`step-${damaged}.safetensors`, answer("application/octet-stream", flipped)),
      ...at(`step-${reshaped}.safetensors`, answer("application/octet-stream", weights(bytes.length))),
    });
    // Another shape with the right hash: what the folder states is of this file.
    const other = weights(bytes.length);
    const entry = manifest.files.find((/** @type {any} */ file) => file.name === `step-${reshaped}.safetensors`);
    Object.assign(entry, { size: other.length, sha256: createHash("sha256").update(other).digest("hex") });
    Object.assign(site.answers, at("microtome.json", answer("application/json", JSON.stringify(manifest))));
    const page = await newPage(browser);
    await page.goto(site.url);
    await offered(page);
    const section = page.locator("#training");
    await section.locator(".status").getByRole("button", RUN).click();
    await settled(page, "training", "done", MOST);
    const { checkpoints } = (await part(page, "training")).job.value;
    const bad = checkpoints.filter((/** @type {any} */ one) => one.error);
    console.log(`  (${bad.map((/** @type {any} */ one) => `step ${one.step}: ${one.error.code}`).join(", ")})`);
    ensure(bad.map((/** @type {any} */ one) => one.step).join() === [absent, damaged, reshaped].join(), JSON.stringify(bad));
    ensure(checkpoints.every((/** @type {any} */ one) => Boolean(one.error) !== Boolean(one.answers)), "a checkpoint is neither skipped nor measured");
    ensure(checkpoints.length - bad.length >= 7, `${checkpoints.length} in all`);
    const said = await section.locator(".body .skips li").allInnerTexts();
    ensure(said.length === 3 && said[0].startsWith(`Step ${absent.toLocaleString("en")} was skipped: `) && said.every((text) => text.length > 40), said.join("; "));
    ensure((await section.locator(".tick.skipped").count()) === 3, "the slider has no marks");
    ensure((await section.locator(".lesson .finding").count()) >= 3, "there is no lesson");
    await section.locator(".plot").first().press("Home");
    for (let i = 0; i < 2; i++) await section.locator(".plot").first().press("ArrowRight");
    ensure((await section.locator(".readout").innerText()).startsWith(`Step ${absent.toLocaleString("en")} was skipped: `), await section.locator(".readout").innerText());
    // The slider goes there in vain, says why, and comes back.
    await section.getByRole("slider").focus();
    const { family } = await part(page, "training");
    await section.getByRole("slider").press("Home");
    await arrived(page, 0);
    for (let i = 0; i < family.indexOf(absent); i++) await section.getByRole("slider").press("ArrowRight");
    await page.waitForFunction((absent) => {
      const { failed, wanted } = /** @type {any} */ (globalThis).microtome.store.get("training");
      return failed[absent] && wanted === null;
    }, absent);
    ensure((await section.getByRole("slider").getAttribute("aria-valuetext")) === "step 0", "the slider stays where it could not go");
    ensure((await part(page, "model")).info.model.step === 0, "another model is on the engine");
    await page.context().close();
    site.close();
  }, /404|Failed to load resource/);
}

/** Another answer for a file of the model that comes with the page. @param {string} file @param {import("./server.mjs").Answer} how */
const at = (file, how) => ({ [`/models/pronoun/${file}`]: how });

/** Waits until a run over training is offered. @param {Page} page */
export const offered = (page) => page.waitForFunction(() => {
  const { store } = /** @type {any} */ (globalThis).microtome ?? {};
  const { family, job } = store?.get("training") ?? {};
  return family?.length && job.status === "held" && job.estimate && store.get("predict").job.status === "done";
}, null, { timeout: 60_000 });

/** Waits until a step is on the engine. @param {Page} page @param {number} step */
export const arrived = (page, step) => page.waitForFunction((step) => {
  const { store } = /** @type {any} */ (globalThis).microtome;
  return store.get("model").info?.model.step === step && store.get("training").wanted === null;
}, step);

/** What every figure shows. @param {Page} page */
const shown = (page) => page.evaluate(() => {
  const { store } = /** @type {any} */ (globalThis).microtome;
  return {
    pointed: store.get("training").pointed,
    readout: document.querySelector("#training .readout")?.textContent ?? "",
    lines: [...document.querySelectorAll("#training .u-over")].map((over) => {
      const line = /** @type {HTMLElement} */ (over.querySelector(".u-cursor-x"));
      return (line.getBoundingClientRect().x - over.getBoundingClientRect().x) / over.getBoundingClientRect().width;
    }),
    keys: [...document.querySelectorAll("#training .key")].map((key) => [...key.querySelectorAll(".value")].map((value) => value.textContent)),
  };
});

/** @param {Page} page @param {Series} series */
async function pointing(page, { steps, tasks }) {
  const unit = steps[1];
  const place = (/** @type {number} */ i) => Math.log2(1 + steps[i] / unit) / Math.log2(1 + steps[steps.length - 1] / unit);
  const expect = async (/** @type {number} */ i, /** @type {string} */ where) => {
    const { pointed, readout, lines, keys } = await shown(page);
    ensure(pointed === i, `${where}: step ${pointed} is pointed at, not ${i}`);
    ensure(readout.startsWith(`Step ${steps[i].toLocaleString("en")}: loss`), `${where}: it says “${readout}”`);
    ensure(lines.length === 4 && lines.every((at) => Math.abs(at - place(i)) < 0.02), `${where}: lines at ${lines}, not ${place(i)}`);
    const value = Number(keys[1][0]?.replace("−", "-"));
    ensure(Math.abs(value - (tasks.pronouns[i] ?? NaN)) < 0.01, `${where}: the key says ${keys[1]}`);
  };
  const plots = page.locator("#training .u-over");
  for (const [chart, i] of [[0, 3], [1, 6], [2, steps.length - 1], [3, 0]]) {
    await plots.nth(chart).scrollIntoViewIfNeeded();
    const box = await plots.nth(chart).boundingBox();
    ensure(box, "a chart is not shown");
    await page.mouse.move(box.x + Math.min(box.width - 1, Math.max(1, place(i) * box.width)), box.y + box.height / 2);
    await expect(i, `chart ${chart}`);
  }
  const strip = page.locator("#training .surface canvas");
  await strip.scrollIntoViewIfNeeded();
  await page.mouse.move(2, 2);
  const before = await strip.evaluate((canvas) => /** @type {HTMLCanvasElement} */ (canvas).toDataURL());
  const box = await strip.boundingBox();
  ensure(box, "the strip is not shown");
  await page.mouse.move(box.x + 40, box.y + 30);
  await expect(0, "strip");
  ensure((await strip.evaluate((canvas) => /** @type {HTMLCanvasElement} */ (canvas).toDataURL())) !== before, "nothing is framed in the strip");
  await page.mouse.move(2, 2);
  ensure((await shown(page)).pointed === null, "the step stays when the pointer has left");
}

/** @param {Page} page @param {Series} series */
async function keys(page, { steps }) {
  const last = steps.length - 1;
  for (const figure of await page.locator("#training [role=application]").all()) {
    const press = async (/** @type {string} */ key, /** @type {number | null} */ to) => {
      await figure.press(key);
      const { pointed, readout } = await shown(page);
      ensure(pointed === to, `${key} points at ${pointed}, not ${to}`);
      if (to !== null) ensure(readout.startsWith(`Step ${steps[to].toLocaleString("en")}: `), readout);
    };
    await press("Home", 0);
    await press("ArrowRight", 1);
    await press("End", last);
    await press("ArrowRight", last);
    await press("ArrowLeft", last - 1);
    await press("Escape", null);
  }
}

/** @param {Page} page @param {any} result */
async function exports(page, result) {
  const json = await save(page, "training", "JSON");
  ensure(json.name === "training.json", json.name);
  const { exported, ...parsed } = JSON.parse(json.text);
  ensure(exported.address && JSON.stringify(parsed) === JSON.stringify(result), "the JSON is not the result");
  const csv = await save(page, "training", "CSV");
  const { header, rows: table } = tableOf(seriesOf(result.checkpoints));
  const plain = csvOf(header, table).trimEnd().split("\r\n");
  const lines = csv.text.trimEnd().split("\r\n");
  ensure(csv.name === "training.csv" && lines.length === plain.length && lines[0] === `${plain[0]},about` && lines.slice(2).every((line, i) => line === `${plain[i + 2]},`), `the CSV is not that of the result: ${lines.length} lines for ${plain.length}, ${lines[0]}, ${lines.slice(2).find((line, i) => line !== `${plain[i + 2]},`)}`);
  const svg = await save(page, "training", "SVG");
  ensure((svg.text.match(/<polyline/g) ?? []).length > 40 && svg.text.includes("sha256"), "the curves are not in the SVG");
  const png = await save(page, "training", "PNG");
  ensure(png.bytes.readUInt32BE(16) >= 1664 && png.bytes.readUInt32BE(20) > 2000, "the PNG");
  const npz = await save(page, "training", "NPZ");
  ensure(npz.text.includes("2_ablate_values.npy"), "the NPZ");
  const script = await take(page, () => page.locator("#training .export").getByRole("button", { name: "Save the script for TransformerLens" }).click());
  ensure(script.text.includes(`STEPS = [${result.checkpoints.map((/** @type {any} */ one) => one.step).join(", ")}]`) && script.text.includes("def add_step("), "the script");
  const rows = csv.text.trimEnd().split("\r\n").slice(1).map((row) => row.split(","));
  for (const { step, answers } of result.checkpoints) {
    const of = (/** @type {string} */ measure, /** @type {string} */ name) => Number(rows.find((row) => row[0] === String(step) && row[1] === measure && row[2] === name)?.[3]);
    const [, heads] = answers[2].shape;
    ensure(of("logit_diff", "pronouns") === answers[0].mean && of("logit_diff", "objects") === answers[1].mean, `logit differences of step ${step}`);
    ensure(of("ablation_change", "L1H2") === answers[2].values[heads + 2] - answers[2].baseline, `ablation at step ${step}`);
    ensure(of("induction", "L0H3") === answers[3].values[2 * answers[2].values.length + 3], `induction at step ${step}`);
  }
}

/** @param {Page} page @param {any} result @param {string} binary @param {string} model */
async function native(page, result, binary, model) {
  const folder = await mkdtemp(join(tmpdir(), "microtome-training-"));
  try {
    await writeFile(join(folder, "training.json"), JSON.stringify(result.experiment));
    await promisify(execFile)(binary, ["run", join(folder, "training.json"), "--model", model, "--backend", "cpu", "--out", join(folder, "out.json")]);
    const computed = JSON.parse(await readFile(join(folder, "out.json"), "utf8"));
    const [here, there] = [result, computed].map(({ checkpoints }) => lesson(seriesOf(checkpoints)));
    ensure(here && there, "there is no lesson");
    near(here, there, "lesson");
    const said = await page.locator("#training .lesson .finding").allInnerTexts();
    ensure(said.join("\n") === lessonWords(here).join("\n"), `it says “${said.join(" ")}”`);
    for (const claim of [there.pronouns.rise, there.objects.rise, there.heads[0], there.loss, there.induction.half]) ensure(claim, `nothing is said of a part: ${JSON.stringify(there)}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The same words and steps, numbers to a thousandth. @param {any} a @param {any} b @param {string} where */
function near(a, b, where) {
  if (typeof a === "number" && typeof b === "number") return ensure(Math.abs(a - b) < 1e-3, `${where}: ${a} here, ${b} there`);
  if (a === null || typeof a !== "object") return ensure(a === b, `${where}: ${a} here, ${b} there`);
  ensure(b && Object.keys(a).join() === Object.keys(b).join(), `${where}: ${JSON.stringify(a)} here, ${JSON.stringify(b)} there`);
  for (const key of Object.keys(a)) near(a[key], b[key], `${where}.${key}`);
}
