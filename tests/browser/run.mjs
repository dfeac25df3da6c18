// The page in a real Chromium: on both engines, and with an engine that misbehaves.
//
//   node tests/browser/run.mjs --site DIR [--url URL] [--golden DIR] [--shots DIR] [--binary FILE] [--only GROUP]
//
// DIR is a built site (`microtome build --out DIR`); with a URL, the checks with a real engine use the server that
// answers there. GROUP is cpu, gpu, auto, first, threads, stores, downloads, formats, broken, large, families, limits, cancel, stored, faults, sweeps, figures, training, embed, export, workshop, offline, room, selftest, everyone, weight or looks. Prints `ok NAME`, `not ok NAME: why` or `skip NAME: why` for each
// check and `# pass N fail N skip N` at the end; with CHECK=TEXT in the environment, only checks with that text in their name; exits with 1 if any failed.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { benchChecks } from "./bench_page.mjs";
import { check, finish, launch, newPage, skip } from "./harness.mjs";
import { brokenModelChecks } from "./broken_models.mjs";
import { cancelChecks } from "./cancel.mjs";
import { embedChecks } from "./embed.mjs";
import { autoChecks, engineChecks } from "./engines.mjs";
import { downloadFaultChecks } from "./download_faults.mjs";
import { exportChecks } from "./export.mjs";
import { familyChecks } from "./families.mjs";
import { everyoneChecks } from "./everyone.mjs";
import { faultChecks } from "./faults.mjs";
import { preparedChecks, rememberedChecks } from "./kernels.mjs";
import { firstChecks } from "./first.mjs";
import { figureChecks } from "./figures.mjs";
import { formatChecks } from "./formats.mjs";
import { headChecks } from "./heads.mjs";
import { largeModelChecks } from "./large_models.mjs";
import { limitChecks } from "./limits.mjs";
import { lookChecks } from "./looks.mjs";
import { needsChecks } from "./needs.mjs";
import { offlineChecks } from "./offline.mjs";
import { roomChecks } from "./room.mjs";
import { selfTestChecks } from "./self_test.mjs";
import { storedModelChecks } from "./stored_models.mjs";
import { storeChecks } from "./stores.mjs";
import { sweepChecks } from "./sweeps.mjs";
import { promptChecks } from "./prompts.mjs";
import { serve, serveFolder, standIn } from "./server.mjs";
import { threadChecks } from "./threads.mjs";
import { brokenChecks, trainingChecks } from "./training.mjs";
import { weightChecks } from "./weight.mjs";
import { workshopChecks } from "./workshop.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const ROOT = join(HERE, "../..");
const { values: options } = parseArgs({ options: {
  site: { type: "string", default: join(ROOT, "target/site") },
  golden: { type: "string", default: join(ROOT, "tests/golden") },
  shots: { type: "string", default: join(ROOT, "target/screenshots") },
  only: { type: "string" },
  url: { type: "string" },
  binary: { type: "string", default: join(ROOT, "target/release/microtome") },
} });
const wanted = (/** @type {string} */ group) => !options.only || group.includes(options.only);

const browser = await launch();
const built = existsSync(join(options.site, "pkg/microtome.js"));
const site = await serve(options.site, serveFolder("/golden/", options.golden));
const url = options.url ?? site.url;
const faulty = await serve(options.site, await standIn(HERE, options.site));

if (wanted("site")) {
  await check("the site has an engine", async () => {
    if (!built) throw new Error(`${options.site}/pkg/microtome.js is missing: build the site with “microtome build --out DIR”`);
  });
}
for (const backend of /** @type {const} */ (["cpu", "gpu"])) {
  if (!built || !wanted(backend)) continue;
  if (backend === "gpu" && !(await hasWebGpu())) skip("gpu: every check", "this Chromium has no WebGPU adapter");
  else {
    await engineChecks(browser, { url, backend, golden: options.golden, models: `${site.url}golden/models/` });
    if (backend === "gpu") await rememberedChecks(browser, url);
  }
}
if (built && wanted("weight")) await weightChecks(browser, options.site);
if (built && wanted("auto")) await autoChecks(browser, url);
if (built && wanted("first")) await firstChecks(browser, options.site, options.shots);
if (built && wanted("selftest")) {
  if (await hasWebGpu()) await selfTestChecks(browser, options.site, options.shots);
  else skip("selftest: every check", "this Chromium has no WebGPU adapter");
}
if (built && wanted("threads")) await threadChecks(browser, options.site, await standIn(HERE, options.site));
if (built && wanted("bench")) await benchChecks(browser, url, await hasWebGpu(), options.shots);
if (wanted("stores")) await storeChecks(browser, options.site, HERE);
if (built && wanted("downloads")) await downloadFaultChecks(browser, options.site, options.golden);
if (built && wanted("formats")) await formatChecks(browser, options.site, options.golden, options.binary);
if (built && wanted("broken")) await brokenModelChecks(browser, options.site, options.golden);
if (built && wanted("large")) await largeModelChecks(browser, options.site, options.binary, await hasWebGpu());
if (built && wanted("families")) await familyChecks(browser, options.site, options.binary);
if (built && wanted("limits")) {
  if (await hasWebGpu()) await limitChecks(browser, options.site, options.binary);
  else skip("limits: every check", "this Chromium has no WebGPU adapter");
}
if (built && wanted("cancel")) await cancelChecks(browser, options.site, await hasWebGpu());
if (built && wanted("stored")) {
  await needsChecks(browser, options.site, options.golden);
  await storedModelChecks(browser, options.site, options.golden, HERE);
}
if (built && wanted("faults")) {
  await faultChecks(browser, faulty);
  await preparedChecks(browser, faulty);
}
if (built && wanted("sweeps")) await sweepChecks(browser, faulty.url);
if (built && wanted("figures")) await figureChecks(browser, url, options.shots);
if (built && wanted("training")) {
  await headChecks(browser, url);
  await trainingChecks(browser, url, options.binary, join(ROOT, "www/models/pronoun"));
  await brokenChecks(browser, options.site);
}
if (built && wanted("embed")) await embedChecks(browser, options.site, options.binary, options.shots);
if (built && wanted("export")) await exportChecks(browser, url, options.shots);
if (built && wanted("workshop")) await workshopChecks(browser, options.site, options.shots);
if (built && wanted("offline")) await offlineChecks(browser, options.site, options.shots);
if (built && wanted("room")) await roomChecks(options.binary, options.site, await hasWebGpu(), options.shots);
if (built && wanted("everyone")) await everyoneChecks(browser, options.site, url, options.shots);
if (built && wanted("prompts")) await promptChecks(browser, options.site, faulty, options.shots);
if (wanted("looks")) await lookChecks(browser, built ? url : faulty.url, faulty.url, options.shots);

await browser.close();
site.close();
faulty.close();
process.exitCode = finish();

async function hasWebGpu() {
  const page = await newPage(browser);
  await page.goto(url);
  const found = await page.evaluate(async () => Boolean(await /** @type {any} */ (navigator).gpu?.requestAdapter()));
  await page.context().close();
  return found;
}
