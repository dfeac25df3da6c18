// The benchmark's page on its tiny shape: every engine and case is there, with counts. Times are never looked at.
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { check, ensure, newPage } from "./harness.mjs";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const CASES = ["forward", "forward_logit_diff", "ablate_logit_diff", "ablate_loss", "patch", "patch_shared"];

/** @param {import("playwright-core").Browser} browser @param {string} url @param {boolean} gpu whether there is WebGPU @param {string} shots */
export async function benchChecks(browser, url, gpu, shots) {
  const page = await newPage(browser, { bypassCSP: true });
  const measured = async () => {
    await page.waitForFunction(() => /** @type {any} */ (globalThis).benchResult, null, { timeout: 120_000 });
    return page.evaluate(() => /** @type {any} */ (globalThis).benchResult);
  };
  await check("bench: every engine measures every case, and the table shows it", async () => {
    await page.goto(`${url}bench.html?shape=tiny&repeat=2&run`);
    const result = await measured();
    ensure(!result.errors.length && result.shape === "tiny" && result.build.includes("wasm32"), JSON.stringify(result));
    const threads = await page.locator('#engines input[value="threads"]').isEnabled();
    const wanted = ["cpu 1", ...(threads ? [`cpu ${Math.min(8, result.page.cores)}`] : []), ...(gpu ? ["gpu null"] : [])];
    ensure(result.engines.map((/** @type {any} */ e) => `${e.backend} ${e.threads}`).join() === wanted.join(), `engines, not ${wanted}: ${JSON.stringify(result.engines)}`);
    for (const { backend, rows, matmul } of result.engines) {
      ensure(rows.map((/** @type {any} */ row) => `${row.tokens} ${row.case}`).join() === [11, 30].flatMap((n) => CASES.map((name) => `${n} ${name}`)).join(), JSON.stringify(rows));
      ensure(matmul.gflops > 0 && matmul.products.length > 1, JSON.stringify(matmul));
      for (const row of rows) {
        const counted = row.flops > 0 && row.dispatches > 0 && row.weight_bytes_read > 0 && row.readbacks > 0 === (backend === "gpu");
        ensure(counted && row.repeats === 2 && row.min_ms <= row.median_ms, JSON.stringify(row));
      }
    }
    ensure((await page.locator("#results tbody tr").count()) === 12 * wanted.length, "the tables have other rows");
    const [saved] = await Promise.all([page.waitForEvent("download"), page.locator("#download").click()]);
    ensure(JSON.stringify(JSON.parse(await readFile(await saved.path(), "utf8"))) === JSON.stringify(result), "the saved file holds something else");
  });
  await check("bench: its page is accessible in both themes", async () => {
    await mkdir(shots, { recursive: true });
    await page.evaluate(await readFile(AXE, "utf8"));
    for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: join(shots, `bench-${colorScheme}.png`), fullPage: true });
      const { violations } = await page.evaluate(() => /** @type {any} */ (globalThis).axe.run());
      ensure(!violations.length, violations.map((/** @type {any} */ v) => `${v.id}: ${v.nodes.map((/** @type {any} */ n) => n.target).join(" ")}`).join("; "));
    }
  });
  await check("bench: a cancelled benchmark stops, and another can be started", async () => {
    await page.goto(`${url}bench.html?engines=single&tokens=30&cases=ablate_loss&repeat=1&run`);
    await page.locator("#status", { hasText: "matrix products" }).waitFor();
    await page.locator("#cancel").click();
    await page.locator("#status", { hasText: "Cancelled." }).waitFor();
    const { engines, errors } = await measured();
    ensure(!engines.length && errors[0].code === "run.cancelled", JSON.stringify(errors));
    ensure(await page.locator("#run").isVisible() && !(await page.locator("#download").isVisible()), "the buttons are wrong");
  });
  await page.context().close();
}
