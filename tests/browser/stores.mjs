// What the stores promise, on each kind of storage that Chromium has. The checks themselves run in a worker
// (stores_worker.js), where the stores do.
import { check, ensure, newPage } from "./harness.mjs";
import { answer, serve, serveFolder } from "./server.mjs";

/**
 * @param {import("playwright-core").Browser} browser
 * @param {string} folder of the site
 * @param {string} here
 */
export async function storeChecks(browser, folder, here) {
  const site = await serve(folder, {
    "/stores.html": answer("text/html", "<!doctype html><title>stores</title><link rel=icon href=data:,>"),
    ...serveFolder("/tests/browser/", here), ...serveFolder("/www/", folder),
  });
  /** @param {string} title @param {string} what @param {string} [kind] */
  const run = (title, what, kind = "") => check(`stores: ${kind && `${kind}: `}${title}`, async () => {
    const page = await newPage(browser);
    await page.goto(`${site.url}stores.html`);
    const error = await page.evaluate(([check, kind]) => new Promise((resolve) => {
      const worker = new Worker("tests/browser/stores_worker.js", { type: "module" });
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => resolve(event.message);
      worker.postMessage({ check, kind });
    }), [what, kind]);
    ensure(!error, String(error));
    await page.context().close();
  });
  for (const kind of ["opfs", "idb", "memory"]) {
    await run("what is committed is there again, what is not is not counted, a part is never a whole", "resume", kind);
    await run("what is cut off is gone", "truncate", kind);
  }
  for (const kind of ["opfs", "idb"]) await run("one writer at a time", "taken", kind);
  await run("without locks: one writer at a time, and none that is gone is waited for", "leases", "idb");
  await run("a sidecar or bytes that were cut or changed are not believed", "damage", "opfs");
  await run("models are listed and deleted, whatever they lie in", "list");
  await run("of two that want the same, one waits, and may give up", "locks");
  site.close();
}
