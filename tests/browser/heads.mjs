// The list of heads in the page: sorted, filtered, linked to the attention view, asked about an own pattern.
import { check, ensure, newPage } from "./harness.mjs";
import { allSettled, choose, part, recomputed, settled } from "./lab_page.mjs";

/** @typedef {import("playwright-core").Page} Page */

/** @param {import("playwright-core").Browser} browser @param {string} url of a site with the real engine */
export async function headChecks(browser, url) {
  const name = (/** @type {string} */ text) => `heads: ${text}`;
  const page = await newPage(browser);
  const section = page.locator("#heads");
  const rows = section.locator("tbody tr");
  const column = async (/** @type {number} */ at) => Promise.all((await rows.all()).map((row) => row.locator("td").nth(at).innerText()));
  const numbers = async (/** @type {number} */ at) => (await column(at)).map((text) => Number(text.replace("−", "-").replace("+", "")));

  await check(name("the scores are those of the detection, and the default model has an induction head"), async () => {
    await page.goto(url);
    await allSettled(page);
    await choose(page, "cpu");
    await allSettled(page);
    const { job: { value } } = await part(page, "heads");
    const [layers, heads] = value.shape.slice(1);
    const scores = value.values.slice(2 * layers * heads);
    const best = Math.max(...scores);
    ensure(best > 0.5, `the best induction score is ${best}`);
    const at = scores.indexOf(best);
    ensure((await rows.first().innerText()).startsWith(`L${Math.floor(at / heads)}H${at % heads}`), await rows.first().innerText());
    ensure((await numbers(2))[0] === Number(best.toFixed(4)), `${(await numbers(2))[0]}, not ${best}`);
    ensure((await rows.count()) === 10, `${await rows.count()} rows`);
    const ablate = (await part(page, "ablate")).job.value.result;
    const effect = ablate.values[at] - ablate.baseline;
    ensure((await numbers(3))[0] === Number(effect.toFixed(4)), `${(await numbers(3))[0]}, not ${effect}`);
  });

  await check(name("a click on a column sorts by it, a second one the other way round, and so do keys"), async () => {
    const head = (/** @type {string} */ label) => section.locator("thead th", { hasText: label });
    const falls = (/** @type {number[]} */ list) => list.every((value, i) => i === 0 || value <= list[i - 1]);
    ensure((await head("Induction").getAttribute("aria-sort")) === "descending" && falls(await numbers(2)), "it does not begin with induction");
    await head("Previous token").getByRole("button").click();
    ensure((await head("Previous token").getAttribute("aria-sort")) === "descending" && falls(await numbers(0)), `${await numbers(0)}`);
    ensure((await head("Induction").getAttribute("aria-sort")) === "none", "two columns are sorted");
    await page.keyboard.press("Enter");
    ensure((await head("Previous token").getAttribute("aria-sort")) === "ascending" && falls((await numbers(0)).reverse()), `${await numbers(0)}`);
    await head("Ablation effect").getByRole("button").focus();
    await page.keyboard.press(" ");
    ensure(falls((await numbers(3)).map(Math.abs)), `${await numbers(3)}`);
    await head("Head").getByRole("button").first().click();
    ensure((await rows.first().innerText()).startsWith("L0H0"), await rows.first().innerText());
    await section.getByLabel("Show", { exact: true }).selectOption("all heads");
    const { job: { value } } = await part(page, "heads");
    ensure((await rows.count()) === value.shape[1] * value.shape[2], `${await rows.count()} rows`);
    ensure((await section.locator("caption").innerText()) === `${await rows.count()} of ${await rows.count()} heads`, await section.locator("caption").innerText());
  });

  await check(name("a head that is clicked is kept in the attention view, whichever layers are shown there"), async () => {
    await page.locator("#attention .bar label").getByText("0", { exact: true }).click();
    await section.getByRole("button", { name: "Show L1H3 in section 4" }).click();
    const { view } = await part(page, "attention");
    ensure(JSON.stringify(view) === '{"layer":null,"head":{"layer":1,"head":3},"locked":true}', JSON.stringify(view));
    ensure((await page.locator("#attention .heading h3").innerText()).includes("L1H3"), await page.locator("#attention .heading h3").innerText());
    ensure(await page.locator("#attention").getByRole("radio", { name: "All" }).isChecked(), "the choice of layers still says another");
    ensure(await page.evaluate(() => document.activeElement?.closest("section")?.id === "attention"), "the keyboard stayed behind");
  });

  await check(name("a sweep that is asked for here says how far it is, can be cancelled, tells why it failed, and goes with what it was of"), async () => {
    const ablate = page.locator("#ablate");
    await recomputed(page, "ablate", () => ablate.getByText("Sets of parts", { exact: true }).click());
    const effects = () => numbers(3);
    const sweep = section.getByRole("button", { name: "Sweep over all heads" });
    const note = section.getByText("Ablation effect: how the loss changes");
    await sweep.waitFor();
    ensure((await effects()).every(Number.isNaN), `there are effects already: ${await effects()}`);
    /** @param {"half" | "fail"} how */
    const instead = (how) => page.evaluate((how) => {
      const lab = /** @type {any} */ (globalThis).microtome.lab();
      lab.run = (/** @type {any} */ _, /** @type {any} */ { signal, onProgress }) => (how === "fail"
        ? Promise.reject({ code: "gpu.lost", message: "the GPU went away.", action: "Try again." })
        : new Promise((_, reject) => {
          onProgress(16, 32);
          signal.addEventListener("abort", () => reject({ code: "run.cancelled", message: "Cancelled." }));
        }));
    }, how);
    await instead("half");
    await sweep.press("Enter");
    await section.getByText("50% computed").waitFor();
    ensure((await section.locator("progress").getAttribute("value")) === "16", "the bar says something else");
    ensure(await section.getByRole("button", { name: "Cancel" }).evaluate((node) => node === document.activeElement), "running leaves the keyboard on nothing");
    await page.keyboard.press("Enter");
    await sweep.waitFor();
    ensure(await sweep.evaluate((node) => node === document.activeElement), "cancelling leaves the keyboard on nothing");
    await instead("fail");
    await sweep.press("Enter");
    await section.locator(".error[data-code='gpu.lost']", { hasText: "GPU went away" }).waitFor();
    await page.evaluate(() => delete /** @type {any} */ (globalThis).microtome.lab().run);
    await sweep.press("Enter");
    await note.waitFor();
    ensure((await note.innerText()).endsWith("on section 5’s prompts.") && !(await section.locator(".error").count()), await note.innerText());
    const { prompts } = (await part(page, "ablate")).inputs;
    const { values, baseline } = await page.evaluate((prompt) => /** @type {any} */ (globalThis).microtome.lab().run(
      { version: 1, kind: "ablate", prompt, site: "v", axes: ["layer", "head"], edit: { kind: "zero" }, metric: { kind: "loss" } }), prompts.loss);
    const names = await rows.locator("th").allInnerTexts();
    const { shape: [, , heads] } = (await part(page, "heads")).job.value;
    const expected = names.map((name) => {
      const [, layer, head] = /L(\d+)H(\d+)/.exec(name) ?? [];
      return Number((values[Number(layer) * heads + Number(head)] - baseline).toFixed(4));
    });
    ensure((await effects()).join() === expected.join(), `${await effects()}, not ${expected}`);
    // What it was of is another now.
    await ablate.getByLabel("Prompt", { exact: true }).fill("Tom is a great friend, isn’t he");
    await sweep.waitFor();
    ensure((await effects()).every(Number.isNaN) && !(await note.count()), `effects of the prompt before stay: ${await effects()}`);
    await settled(page, "ablate");
    await recomputed(page, "ablate", () => ablate.getByText("Each head in turn", { exact: true }).click());
    ensure((await note.innerText()).endsWith("from section 5."), await note.innerText());
  });

  await check(name("on a prompt the scores follow what is typed in section 4"), async () => {
    const value = await recomputed(page, "heads", () => section.getByText("The prompt of section 4", { exact: true }).click());
    ensure(value.experiment.prompt === "Mary is a great friend, isn’t", JSON.stringify(value.experiment));
    const other = await recomputed(page, "heads", () => page.locator("#attention").getByLabel("Prompt", { exact: true }).fill("Tom is Tom"));
    ensure(other.experiment.prompt === "Tom is Tom", JSON.stringify(other.experiment));
  });

  await check(name("an own pattern is compared, and what is wrong with one is said in words"), async () => {
    await section.getByText("An own pattern", { exact: true }).click();
    await settled(page, "heads", "error");
    const field = section.getByLabel("The pattern: a row of numbers for each token");
    const said = async (/** @type {string} */ text, /** @type {string} */ words) => {
      await field.fill(text);
      await page.waitForFunction((words) => document.querySelector("#heads .error")?.textContent?.includes(words), words);
    };
    await said("1 0\n0 x", "“x” is no number");
    await said("1 0\n0 1", "2 rows, expected 4");
    await said("1 1 0 0\n1 0 0 0\n1 0 0 0\n1 0 0 0", "row 0, column 1: 1, expected 0");
    const value = await recomputed(page, "heads", () => field.fill("1 0 0 0\n1 0 0 0\n1 0 0 0\n1 0 0 0"));
    ensure(value.axes.join() === "layer,head" && value.experiment.pattern.length === 4, JSON.stringify(value.experiment));
    ensure((await section.locator("thead").innerText()).includes("Own pattern"), await section.locator("thead").innerText());
  });
  await page.context().close();
}
