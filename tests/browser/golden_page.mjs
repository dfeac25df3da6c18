// The oracle's numbers, from the page's own sections and through the JavaScript API.
import { join } from "node:path";
import { check, ensure } from "./harness.mjs";
import { casesOf, compare, readTensors, TOLERANCE } from "./golden.mjs";
import { part, recomputed, settled, type } from "./lab_page.mjs";
import { patternHook } from "../../www/experiments.js";
import { GROUPS } from "../../www/patching.js";

/** @typedef {import("playwright-core").Page} Page */

/** The page's first sections, as the oracle computed them. */
export const PAGE_GOLDEN = "pronoun.transformer_lens";

/**
 * The page's own sections, worked by hand to each of the oracle's experiments that they can show.
 * @param {Page} page @param {"cpu" | "gpu"} backend @param {string} golden @param {(text: string) => string} name
 */
export async function goldenPage(page, backend, golden, name) {
  const cases = casesOf(golden, `${PAGE_GOLDEN}.json`);
  const tolerance = TOLERANCE[backend];
  /** @param {(c: import("./golden.mjs").Case) => boolean} which */
  const all = (which) => {
    const found = cases.filter(which);
    ensure(found.length, "the golden file has no such case");
    return found;
  };
  const axes = (/** @type {any} */ experiment) => experiment.axes?.join();

  await check(name("section 2: the oracle’s tokens, logits, probabilities and rank"), async () => {
    for (const { experiment, expected } of all(({ experiment: e }) => e.kind === "predict" && e.prepend_bos !== false)) {
      await page.evaluate(() => void (/** @type {any} */ (globalThis).microtome.store.update("predict", { job: { ...(/** @type {any} */ (globalThis).microtome.store.get("predict").job), value: null } })));
      const got = await recomputed(page, "predict", async () => {
        await type(page, "predict", { Prompt: "…" });
        await type(page, "predict", { Prompt: experiment.prompt, "Answer to look for": experiment.answer });
      });
      compare(got, expected, tolerance);
      const rows = await page.locator("#predict tbody tr").allInnerTexts();
      expected.top.forEach((/** @type {any} */ top, /** @type {number} */ i) =>
        ensure(rows[i].includes(`${(100 * top.prob).toFixed(2).slice(0, -1)}`), `row ${i} “${rows[i]}” does not show ${top.prob}`));
    }
  });
  await check(name("section 3: the oracle’s logit differences"), async () => {
    const [{ expected }] = all(({ experiment: e }) => e.kind === "logit_diff");
    const { job } = await part(page, "grid");
    compare(job.value.result, expected, tolerance);
    ensure((await page.locator("#grid .finding").innerText()).includes(expected.mean.toFixed(2)), "the mean is not stated");
  });
  await check(name("section 4: the oracle’s patterns"), async () => {
    const [{ experiment, expected }] = all(({ experiment: e }) => e.kind === "trace");
    const tensors = readTensors(join(golden, expected.tensors));
    await type(page, "attention", { Prompt: experiment.prompts[0] });
    await settled(page, "attention");
    const layers = Object.keys(tensors).filter((key) => key.startsWith("0/") && key.endsWith("hook_pattern")).length;
    for (let layer = 0; layer < layers; layer++) {
      const got = await page.evaluate((hook) => {
        const tensor = /** @type {any} */ (globalThis).microtome.store.get("attention").job.value.result.tensors[0][hook];
        return { shape: tensor.shape, data: [...tensor.data] };
      }, patternHook(layer));
      const want = tensors[`0/${patternHook(layer)}`];
      compare(got, { shape: want.shape, data: [...want.data] }, tolerance, patternHook(layer));
    }
  });
  await check(name("section 5: the oracle’s ablations, by loss and by logit difference, of v and of z"), async () => {
    for (const { experiment, expected } of all(({ experiment: e }) => e.kind === "ablate" && axes(e) === "layer,head" && ["v", "z"].includes(e.site) && e.edit.kind === "zero" && e.prompt)) {
      const section = page.locator("#ablate");
      await section.getByText(experiment.metric.kind === "loss" ? "Loss" : "Logit difference", { exact: true }).click();
      await section.getByText(experiment.site === "v" ? "v (values)" : "z (mixed values)").click();
      await type(page, "ablate", { Prompt: experiment.prompt });
      await page.waitForFunction(([site, kind, prompt]) => {
        const { job } = /** @type {any} */ (globalThis).microtome.store.get("ablate");
        const e = job.value?.result.experiment;
        return job.status === "done" && e.site === site && e.metric.kind === kind && e.prompt === prompt;
      }, [experiment.site, experiment.metric.kind, experiment.prompt], { timeout: 120_000 });
      const { result, figure } = (await part(page, "ablate")).job.value;
      compare(result, expected, tolerance);
      compare(figure.values, expected.values, tolerance, "figure");
      compare(figure.scale.mid, expected.baseline, tolerance, "the middle of the scale");
      const stated = (await section.locator(".finding").innerText()).replace("−", "-").match(/-?\d+\.\d+/);
      // Four decimals are shown.
      compare(Number(stated?.[0]), expected.baseline, tolerance + 5e-5, "the baseline that is stated");
    }
  });
  await check(name("section 6: the oracle’s patchings"), async () => {
    for (const { experiment, expected } of all(({ experiment: e }) => e.kind === "patch" && axes(e) && !e.pairs && e.metric.normalize)) {
      const places = JSON.stringify([experiment.site, experiment.sites, experiment.axes]);
      const what = GROUPS.flatMap(({ functions }) => functions).find(({ places: p }) => JSON.stringify(["site" in p ? p.site : undefined, "sites" in p ? p.sites : undefined, p.axes]) === places);
      ensure(what, `no function has ${places}`);
      await page.locator("#patch").getByLabel("Patched").selectOption(what.name);
      await page.waitForFunction(([site, sites, axes]) => {
        const { job } = /** @type {any} */ (globalThis).microtome.store.get("patch");
        const e = job.value?.result.experiment;
        return job.status === "done" && e.site === site && `${e.sites}` === `${sites}` && `${e.axes}` === `${axes}`;
      }, [experiment.site, experiment.sites, experiment.axes], { timeout: 120_000 });
      const { result, figure } = (await part(page, "patch")).job.value;
      compare(result, expected, tolerance);
      // Panels order the values anew.
      if (figure.panel_axes) continue;
      compare(figure.values, expected.values, tolerance, "figure");
      if (axes(experiment) === "layer,pos") ensure(figure.col_axis.labels[1] === "Mary_1", `the second column is labelled ${figure.col_axis.labels[1]}`);
    }
  });
  await check(name("section 7: the oracle’s biases and their ratio"), async () => {
    const [{ expected }] = all(({ experiment: e }) => e.kind === "unembed_bias");
    compare((await part(page, "bias")).job.value, expected, tolerance);
  });
}

/** @param {Page} page @param {"cpu" | "gpu"} backend @param {string} golden @param {string} models @param {string} file */
export async function goldenApi(page, backend, golden, models, file) {
  const cases = casesOf(golden, `${file}.json`).filter(({ experiment }) => experiment.kind !== "trace");
  const results = await page.evaluate(async ({ cases, model, backend }) => {
    const { Lab } = await import(/** @type {any} */ (new URL("microtome.js", document.baseURI).href));
    const lab = await Lab.open({ model, backend });
    const results = [];
    for (const { name, experiment } of cases) {
      results.push(await lab.run(experiment).catch((/** @type {any} */ error) => ({ failed: `${name}: ${error.code} ${error.message}` })));
    }
    lab.close();
    return results;
  }, { cases, model: `${models}${file.split(".")[0]}/`, backend });
  cases.forEach(({ name, expected }, i) => {
    ensure(!results[i].failed, results[i].failed);
    compare(results[i], expected, TOLERANCE[backend], name);
  });
}
