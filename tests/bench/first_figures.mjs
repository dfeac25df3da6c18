// How soon the page is of use: Lighthouse's figures, the first figure and the live results, on localhost with an empty
// cache. Medians; the phone is this machine with its processor slowed down four times.
//
//   node tests/bench/first_figures.mjs --site DIR [--runs 5] [--json FILE] [--why]
//
// `--why` adds what shifted, and when the main thread was busy for how long.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { launch } from "../browser/harness.mjs";
import { serve } from "../browser/server.mjs";
import { DEVICES, median, vitalsOf } from "../browser/vitals.mjs";

const { values: options } = parseArgs({ options: {
  site: { type: "string", default: fileURLToPath(new URL("../../target/site", import.meta.url)) },
  runs: { type: "string", default: "5" }, json: { type: "string" }, why: { type: "boolean", default: false },
} });
const site = await serve(join(options.site));
const browser = await launch();
/** @type {Record<string, Record<string, number>>} */
const table = {};
for (const device of /** @type {(keyof typeof DEVICES)[]} */ (Object.keys(DEVICES))) {
  /** @type {Awaited<ReturnType<typeof vitalsOf>>[]} */
  const all = [];
  for (let i = 0; i < Number(options.runs); i++) {
    const found = await vitalsOf(browser, site.url, device);
    if (options.why) console.log(device, found.shifts, "long tasks (from, for):", found.tasks.join(" "));
    all.push(found);
  }
  table[device] = Object.fromEntries(/** @type {const} */ (["paint", "largest", "figure", "live", "all", "blocked", "shift"])
    .map((name) => [name, median(all.map((one) => one[name]))]));
}
await browser.close();
site.close();

const rows = { paint: "first contentful paint", largest: "largest contentful paint", figure: "first figure (recorded)", live: "first live result",
  all: "every section live", blocked: "blocking time", shift: "layout shift" };
console.log(`| | ${Object.keys(table).join(" | ")} |\n|---|${Object.keys(table).map(() => "---:|").join("")}`);
for (const [name, title] of Object.entries(rows)) {
  console.log(`| ${title} | ${Object.values(table).map((values) => (name === "shift" ? values[name].toFixed(3)
    : `${Math.round(values[name])} ms`)).join(" | ")} |`);
}
if (options.json) await writeFile(options.json, `${JSON.stringify(table, null, 1)}\n`);
