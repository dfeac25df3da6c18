// What happens when things go wrong: hostile text, hung and trapped engines, bad downloads. The stand-in engine
// (fake_engine.js) misbehaves on request, so none of this depends on how fast a real one is.
import { check, ensure, newPage } from "./harness.mjs";
import { answer, serve, weights } from "./server.mjs";
import { allSettled, cancelTime, loadAgain, part, recomputed, settled, type } from "./lab_page.mjs";

/** @typedef {import("playwright-core").Page} Page */

/**
 * @param {import("playwright-core").Browser} browser
 * @param {Awaited<ReturnType<typeof serve>>} site
 */
export async function faultChecks(browser, site) {
  const name = (/** @type {string} */ text) => `faults: ${text}`;
  /** A fresh page, with the model loaded. */
  const fresh = async () => {
    const page = await newPage(browser);
    await page.goto(site.url);
    await allSettled(page);
    return page;
  };

  await check(name("HTML in a prompt is shown as text"), async () => {
    const page = await fresh();
    const evil = "<img src=x onerror=alert(1)><script>alert(2)</script>";
    const nodes = () => page.evaluate(() => document.querySelectorAll("img, script, iframe").length);
    const before = await nodes();
    await recomputed(page, "predict", () => type(page, "predict", { Prompt: evil }));
    await recomputed(page, "attention", () => type(page, "attention", { Prompt: evil }));
    await recomputed(page, "grid", () => page.locator("#grid").getByLabel("Name 1").fill(evil));
    await recomputed(page, "patch", () => type(page, "patch", { "Clean prompt": `<b>x</b>`, "Corrupted prompt": `<i>x</i>` }));
    for (const id of ["grid", "attention"]) await page.locator(`#${id} .numbers summary`).first().click();
    ensure((await nodes()) === before, "the prompt became elements");
    ensure((await page.locator("#predict .chips").innerText()).includes("onerror"), "the prompt is not shown");
    await page.context().close();
  });

  await check(name("a hung engine: cancelled within 200 ms, replaced, and nothing that was typed is lost"), async () => {
    const page = await fresh();
    await type(page, "bias", { "First token": " it" });
    await type(page, "patch", { "Clean prompt": "Mary HANG is" });
    await page.waitForFunction(() => /** @type {any} */ (globalThis).microtome.store.get("patch").job.status === "running");
    await page.waitForTimeout(300);
    const took = await cancelTime(page, "patch");
    ensure(took < 200, `cancelling took ${Math.round(took)} ms`);
    ensure((await page.locator("#patch").getByLabel("Clean prompt").inputValue()) === "Mary HANG is", "the prompt is gone");
    await settled(page, "bias");
    await recomputed(page, "predict", () => type(page, "predict", { Prompt: "Dan is" }));
    await recomputed(page, "patch", () => type(page, "patch", { "Clean prompt": "Amy is a great friend, isn’t" }));
    await page.context().close();
  });

  await check(name("a hung engine: a newer prompt replaces it without a click"), async () => {
    const page = await fresh();
    await type(page, "predict", { Prompt: "HANG" });
    await page.waitForTimeout(700);
    const { experiment } = await recomputed(page, "predict", () => type(page, "predict", { Prompt: "Tom is" }));
    ensure(experiment.prompt === "Tom is", `it computed ${experiment.prompt}`);
    await page.context().close();
  });

  await check(name("a trapped engine: said in words, replaced, the next job works"), async () => {
    const page = await fresh();
    await type(page, "predict", { Prompt: "TRAP" });
    await settled(page, "predict", "error");
    const { error } = (await part(page, "predict")).job;
    ensure(error.code === "engine.panic", `the code is ${error.code}`);
    ensure((await page.locator("#predict .error").innerText()).includes("stopped unexpectedly"), "the error is not shown");
    ensure((await page.locator("#predict").getByLabel("Prompt", { exact: true }).inputValue()) === "TRAP", "the prompt is gone");
    await recomputed(page, "predict", () => type(page, "predict", { Prompt: "Tom is" }));
    await recomputed(page, "ablate", () => type(page, "ablate", { Prompt: "Tom is great" }));
    await page.context().close();
  });

  await check(name("an engine that traps again and again is not restarted for ever"), async () => {
    const page = await fresh();
    const codes = await page.evaluate(async () => {
      const { Lab } = await import(/** @type {any} */ (new URL("microtome.js", document.baseURI).href));
      const lab = await Lab.open({ model: "./models/pronoun/" });
      const codes = [];
      for (let i = 0; i < 6; i++) codes.push(await lab.run({ version: 1, kind: "predict", prompt: "TRAP" }).then(() => "done", (/** @type {any} */ e) => e.code));
      lab.close();
      return codes;
    });
    ensure(codes.every((code) => code === "engine.panic"), codes.join());
    await page.context().close();
  });

  await check(name("typing fast: the last prompt wins"), async () => {
    const page = await fresh();
    await page.evaluate(() => {
      const { store } = /** @type {any} */ (globalThis).microtome;
      /** @type {any} */ (globalThis).seen = new Set();
      store.subscribe("predict", () => /** @type {any} */ (globalThis).seen.add(store.get("predict").job.value.experiment.prompt));
    });
    for (const prompt of ["Mary SLOW", "John SLOW", "Dan"]) {
      await type(page, "predict", { Prompt: prompt });
      await page.waitForTimeout(prompt === "Dan" ? 1500 : 500);
    }
    const seen = await page.evaluate(() => [.../** @type {any} */ (globalThis).seen].slice(1));
    ensure(seen.join() === "Dan", `results were shown for ${seen}`);
    await page.context().close();
  });

  await check(name("progress is shown, and Cancel and Run work"), async () => {
    const page = await fresh();
    await type(page, "ablate", { Prompt: "Mary SLOW" });
    await page.locator("#ablate .status").getByText(/\d+% computed/).waitFor();
    await page.locator("#ablate").getByRole("button", { name: "Cancel" }).click();
    await settled(page, "ablate", "cancelled");
    await recomputed(page, "ablate", () => page.locator("#ablate").getByRole("button", { name: "Run" }).click());
    await page.context().close();
  });

  await check(name("loading: progress in bytes, cancel within 200 ms, load again"), async () => {
    const good = site.answers["/models/pronoun/model.safetensors"];
    const bytes = weights(300_000);
    site.answers["/models/pronoun/model.safetensors"] = (response) => {
      response.writeHead(200, { "content-length": 300_000 });
      let at = 0;
      const drip = setInterval(() => response.write(bytes.subarray(at, at += 3000)), 30);
      response.on("close", () => clearInterval(drip));
    };
    const page = await newPage(browser);
    await page.goto(site.url);
    await page.locator("#model .status").getByText(/model\.safetensors: \d+ kB of 300 kB/).waitFor();
    const took = await cancelTime(page, "model");
    ensure(took < 200, `cancelling took ${Math.round(took)} ms`);
    site.answers["/models/pronoun/model.safetensors"] = good;
    await loadAgain(page);
    await allSettled(page);
    await page.context().close();
  });

  for (const [what, path, body, words] of /** @type {const} */ ([
    ["a missing file", "/models/pronoun/config.json", null, "config.json: the server has no such file"],
    ["a web page instead of weights", "/models/pronoun/model.safetensors", "<!doctype html><title>Home</title>".padEnd(1000), "'<!doctype html><title>Home</title>"],
  ])) {
    await check(name(`${what} is named in section 1, and typed text stays`), async () => {
      const good = site.answers[path];
      site.answers[path] = body ? answer("text/html", body) : (response) => void response.writeHead(404).end();
      const page = await newPage(browser);
      await page.goto(site.url);
      await type(page, "predict", { Prompt: "typed before" });
      const said = await page.locator("#model .error").innerText();
      ensure(said.includes(words), `it says “${said}”`);
      site.answers[path] = good;
      await loadAgain(page);
      await allSettled(page);
      const { experiment } = (await part(page, "predict")).job.value;
      ensure(experiment.prompt === "typed before", `it computed “${experiment.prompt}”`);
      await page.context().close();
    }, /Failed to load resource/);
  }

  await check(name("the API works from a page of another origin"), async () => {
    const script = `import { Lab, LabError } from ${JSON.stringify(`${site.url}microtome.js`)};
      const lab = await Lab.open({ model: ${JSON.stringify(`${site.url}models/pronoun/`)}, backend: "cpu" });
      const result = await lab.run({ version: 1, kind: "predict", prompt: "Mary is" });
      const late = lab.run({ version: 1, kind: "predict", prompt: "SLOW" });
      lab.close();
      const closed = await late.catch((error) => error instanceof LabError && error.code);
      document.body.textContent = result.top.length + " " + lab.info.model.name + " " + closed;`;
    const other = await serve("/nowhere", { "/": answer("text/html", "<!doctype html><link rel=icon href=data:,><body><script type=module src=x.js></script>"), "/x.js": answer("text/javascript", script) });
    const page = await newPage(browser);
    await page.goto(other.url);
    await page.getByText("10 pronoun lab.closed").waitFor();
    await page.context().close();
    other.close();
  });

  await check(name("a trace stringifies to the JSON that the command line prints"), async () => {
    const page = await fresh();
    const tensor = await page.evaluate(async () => {
      const result = await /** @type {any} */ (globalThis).microtome.lab().run({ version: 1, kind: "trace", prompts: ["Mary"], hooks: ["blocks.0.attn.hook_pattern"], prepend_bos: true });
      return { data: result.tensors[0]["blocks.0.attn.hook_pattern"].data instanceof Float32Array, text: JSON.stringify(result.tensors[0]) };
    });
    const { shape, data } = JSON.parse(tensor.text)["blocks.0.attn.hook_pattern"];
    ensure(tensor.data && Array.isArray(data) && data.length === shape.reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b), tensor.text.slice(0, 100));
    await page.context().close();
  });

  await check(name("the API refuses what it cannot do, with codes"), async () => {
    const page = await fresh();
    const codes = await page.evaluate(async () => {
      const { Lab } = await import(/** @type {any} */ (new URL("microtome.js", document.baseURI).href));
      const code = (/** @type {Promise<any>} */ promise) => promise.then(() => "done", (e) => e.code);
      const model = "./models/pronoun/";
      const aborted = AbortSignal.abort();
      const lab = await Lab.open({ model });
      return [
        await code(Lab.open({ model, backend: "tpu" })), await code(Lab.open({ model: "javascript:alert(1)" })),
        await code(Lab.open({ model, signal: aborted })), await code(lab.run({ version: 1, kind: "predict", prompt: "x" }, { signal: aborted })),
        await code(lab.run({ version: 1, kind: "predict", prompt: () => "x" })), await code(lab.run({ version: 1, kind: "predict", prompt: "x" })),
      ];
    });
    ensure(codes.join() === "input.backend,address.scheme,run.cancelled,run.cancelled,input.json,done", codes.join());
    await page.context().close();
  });
}
