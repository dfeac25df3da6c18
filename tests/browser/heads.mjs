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
