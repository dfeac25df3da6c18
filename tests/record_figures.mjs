// Makes the recorded figures of www/article from the element itself, in Chromium, on the CPU engine.
//
//   node tests/record_figures.mjs --site DIR [--out DIR]
//
// Each file has its experiment; what was computed is put beside it. The browser tests compare with the command line.
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { launch, newPage } from "./browser/harness.mjs";
import { answer, serve } from "./browser/server.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const { values: options } = parseArgs({ options: {
  site: { type: "string", default: join(ROOT, "target/site") },
  out: { type: "string", default: join(ROOT, "www/article") },
} });

const site = await serve(options.site, { "/record.html": answer("text/html", '<!doctype html><link rel=icon href=data:,><body><script type=module src=element.js></script>') });
const browser = await launch();
for (const name of (await readdir(options.out)).filter((name) => name.endsWith(".json"))) {
  const { experiment, head } = JSON.parse(await readFile(join(options.out, name), "utf8"));
  const page = await newPage(browser);
  await page.goto(`${site.url}record.html`);
  const recorded = await page.evaluate(async (spec) => {
    const figure = /** @type {import("../www/element.js").MicrotomeFigure} */ (document.createElement("microtome-figure"));
    figure.setAttribute("backend", "cpu");
    document.body.append(figure);
    figure.show(spec);
    await figure.run();
    return figure.recorded;
  }, { version: 1, experiment, head });
  await writeFile(join(options.out, name), `${JSON.stringify(recorded)}\n`);
  console.log(`${name}: ${recorded?.figure?.values.length} cells`);
  await page.context().close();
}
await browser.close();
site.close();
