// Makes the recorded results of www/recorded from the page itself, in Chromium, on the CPU engine.
//
//   node tests/record.mjs --site DIR [--out DIR] [--only NAME]
//
// DIR is a site that “microtome build --out DIR” made. The browser tests compute the same again and compare, so that what
// is kept here can neither go stale nor be edited.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { launch, newPage } from "./browser/harness.mjs";
import { RECORDED, recordingOf } from "./browser/recording.mjs";
import { serve } from "./browser/server.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const { values: options } = parseArgs({ options: {
  site: { type: "string", default: join(ROOT, "target/site") },
  out: { type: "string", default: join(ROOT, "www/recorded") },
  only: { type: "string" },
} });

const site = await serve(options.site);
const browser = await launch();
await mkdir(options.out, { recursive: true });
for (const name of Object.keys(RECORDED)) {
  if (options.only && name !== options.only) continue;
  const page = await newPage(browser);
  await page.goto(site.url);
  const recording = await recordingOf(page, name, new Date().toISOString().slice(0, 10));
  const text = `${JSON.stringify(recording)}\n`;
  await writeFile(join(options.out, `${name}.json`), text);
  console.log(`${name}.json: ${Math.round(text.length / 1000)} kB, ${Object.keys(recording.sections).join(", ")}`);
  await page.context().close();
}
await browser.close();
site.close();
