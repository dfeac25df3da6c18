// Files that are not what they seem, and prompts that are not what a person types: rows 19 to 26 of tests/FAULTS.md on the
// page itself. Every file arrives as the Hub has it, length and hash right: it is the model in it that is wrong. What the
// checks of each rule are is tested natively, case by case; here is what a visitor reads, how soon, and what is then stored.
// Longer than most files: two tables.
import { check, ensure, newPage } from "./harness.mjs";
import { sha256, startHub } from "./hub.mjs";
import { ask, ended, filesOf, openPage, REPO, serveWithHub, storedFiles } from "./download_page.mjs";
import { allSettled, part, recomputed, settled, type } from "./lab_page.mjs";

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {Record<string, Buffer>} Files */

const WEIGHTS = "model.safetensors";
const FILES = ["config.json", WEIGHTS, "tokenizer.json"];
const FAILED = /Failed to load resource/;
/** Milliseconds for which the page may stand still: much, as the machine of the tests may have other things to do. */
const STILL = 1500;

/** @param {number} length that the file states @param {string | Buffer} header @param {number} [data] bytes after it */
function withHeader(length, header, data = 64) {
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(BigInt(length));
  return Buffer.concat([start, Buffer.from(header), Buffer.alloc(data)]);
}

/** A file with these tensors, in so many bytes of data. @param {string} header @param {number} [data] */
const stating = (header, data) => withHeader(Buffer.byteLength(header), header, data);
const tensor = (/** @type {number} */ from, /** @type {number} */ to, dtype = "F32") => `{"dtype":"${dtype}","shape":[${(to - from) / 4}],"data_offsets":[${from},${to}]}`;

/**
 * Changes the header of a file, and leaves its data alone.
 * @param {Buffer} file
 * @param {(header: Record<string, { dtype: string, shape: number[], data_offsets: number[] }>) => void} change
 */
function reheaded(file, change) {
  const end = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, end).toString());
  change(header);
  const text = JSON.stringify(header);
  return withHeader(Buffer.byteLength(text), Buffer.concat([Buffer.from(text), file.subarray(end)]), 0);
}

/** @param {Buffer} json @param {(value: any) => void} change */
function edited(json, change) {
  const value = JSON.parse(json.toString());
  change(value);
  return Buffer.from(JSON.stringify(value));
}

/**
 * What is wrong, and what the page must say: in place of the model or, where the model is of use without the file, beside it.
 * @type {{ name: string, code: string | RegExp, says: RegExp, beside?: string, of: (files: Files) => Files }[]}
 *   `beside`: the code of a notice
 */
const MODELS = [
  { name: "19: a header of no bytes", code: /^file\./, says: /model\.safetensors/, of: () => ({ [WEIGHTS]: withHeader(0, "") }) },
  { name: "19: a header that is longer than the file", code: /^file\./, says: /model\.safetensors/, of: () => ({ [WEIGHTS]: withHeader(1_000_000, "{}") }) },
  { name: "19: a header of more than 25 MB", code: /^file\./, says: /model\.safetensors/, of: () => ({ [WEIGHTS]: withHeader(2 ** 40, "{}") }) },
  { name: "19: a header that is not UTF-8", code: /^file\./, says: /UTF-8/, of: () => ({ [WEIGHTS]: withHeader(4, Buffer.from([0x7b, 0xff, 0xfe, 0x7d])) }) },
  { name: "19: a header that is not JSON", code: /^file\./, says: /JSON/, of: () => ({ [WEIGHTS]: stating('{"a":') }) },
  { name: "19: a header of 100,000 brackets", code: /^file\./, says: /model\.safetensors/, of: () => ({ [WEIGHTS]: stating(`{"a":${"[".repeat(100_000)}`) }) },
  { name: "20: a tensor twice", code: "file.layout", says: /twice|duplicate|'a'/, of: () => ({ [WEIGHTS]: stating(`{"a":${tensor(0, 32)},"a":${tensor(32, 64)}}`) }) },
  { name: "20: tensors that overlap", code: "file.layout", says: /'b'|overlap/, of: () => ({ [WEIGHTS]: stating(`{"a":${tensor(0, 40)},"b":${tensor(32, 64)}}`) }) },
  { name: "20: a hole between tensors", code: "file.layout", says: /'b'|hole/, of: () => ({ [WEIGHTS]: stating(`{"a":${tensor(0, 32)},"b":${tensor(40, 64)}}`) }) },
  { name: "20: a tensor beyond 4 GiB", code: "file.layout", says: /model\.safetensors/, of: () => ({ [WEIGHTS]: stating(`{"a":{"dtype":"F32","shape":[16],"data_offsets":[${2 ** 32},${2 ** 32 + 64}]}}`) }) },
  { name: "20: numbers of a kind that no weights have", code: /^(file|model)\./, says: /I64/, of: (files) => ({ [WEIGHTS]: reheaded(files[WEIGHTS], (header) => { const first = Object.keys(header).find((name) => name.endsWith("wpe.weight")) ?? ""; header[first] = { ...header[first], dtype: "I64", shape: [header[first].shape[0], header[first].shape[1] / 2] }; }) }) },
  { name: "21: a shape whose product no number holds", code: "file.layout", says: /'a'|overflow|large/, of: () => ({ [WEIGHTS]: stating(`{"a":{"dtype":"F32","shape":[${2 ** 40},${2 ** 40}],"data_offsets":[0,64]}}`) }) },
  { name: "21: a tensor of a thousand dimensions", code: "file.layout", says: /dimension/, of: () => ({ [WEIGHTS]: stating(`{"a":{"dtype":"F32","shape":[${Array(1000).fill(1)}],"data_offsets":[0,4]}}`, 4) }) },
  { name: "21: 5,000 tensors", code: "file.layout", says: /5000|4096|tensors/, of: () => ({ [WEIGHTS]: stating(`{${Array.from({ length: 5000 }, (_, i) => `"t${i}":${tensor(4 * i, 4 * i + 4)}`)}}`, 20_000) }) },
  { name: "21: a name of a megabyte", code: "file.layout", says: /name/, of: () => ({ [WEIGHTS]: stating(`{"${"a".repeat(1_000_000)}":${tensor(0, 64)}}`) }) },
  { name: "22: Llama’s configuration", code: "model.unsupported", says: /llama.*rotary/is, of: (files) => ({ "config.json": edited(files["config.json"], (config) => Object.assign(config, { model_type: "llama", architectures: ["LlamaForCausalLM"] })) }) },
  { name: "22: Llama’s tensors", code: "model.unsupported", says: /wte/, of: () => ({ [WEIGHTS]: stating(`{"model.embed_tokens.weight":${tensor(0, 64)}}`) }) },
  { name: "22: a missing tensor", code: "model.unsupported", says: /ln_f\.bias/, of: (files) => ({ [WEIGHTS]: reheaded(files[WEIGHTS], (header) => { const name = Object.keys(header).find((name) => name.endsWith("ln_f.bias")) ?? ""; header[name.replace("ln_f.bias", "ln_f.other")] = header[name]; delete header[name]; }) }) },
  { name: "22: a transposed matrix", code: "model.unsupported", says: /c_attn\.weight/, of: (files) => ({ [WEIGHTS]: reheaded(files[WEIGHTS], (header) => { for (const [name, { shape }] of Object.entries(header)) if (name.endsWith("h.0.attn.c_attn.weight")) shape.reverse(); }) }) },
  { name: "22: another number of heads", code: /^model\./, says: /head/, of: (files) => ({ "config.json": edited(files["config.json"], (config) => { config.n_head = 7; }) }) },
  { name: "22: a tokenizer of another vocabulary", code: /^(tokenizer|model)\./, says: /vocab/, of: (files) => ({ "tokenizer.json": edited(files["tokenizer.json"], ({ model }) => { model.vocab["a token too many"] = 300; }) }) },
  { name: "24: a configuration with absurd sizes", code: "model.config", says: /n_layer.*64/, of: (files) => ({ "config.json": edited(files["config.json"], (config) => { config.n_layer = 1e15; }) }) },
  { name: "24: a configuration without sizes", code: "model.unsupported", says: /'n_embd' is absent/, of: (files) => ({ "config.json": edited(files["config.json"], (config) => { delete config.n_embd; }) }) },
  { name: "24: a model that no tab has room for", code: "model.too_large", says: /6\.30 GB at its peak, 6\.23 GB of them weights.*room for 4\.23 GB.*f16 weights: they need 3\.19 GB/s, of: (files) => ({ "config.json": edited(files["config.json"], (config) => Object.assign(config, { n_layer: 48, n_head: 25, n_embd: 1600, n_inner: null, n_positions: 1024, n_ctx: 1024, vocab_size: 50_257 })) }) },
  { name: "25: a tokenizer of 50 MB", code: /^(tokenizer|file|net)\./, says: /tokenizer\.json.*10.?000.?000/s, of: (files) => ({ "tokenizer.json": Buffer.concat([files["tokenizer.json"], Buffer.alloc(50_000_000, " ")]) }) },
  { name: "25: a tokenizer of 100,000 brackets", code: "tokenizer.file", beside: "model.tokenizer", says: /tokenizer\.json.*recursion/, of: (files) => ({ "tokenizer.json": Buffer.from(files["tokenizer.json"].toString().replace(/^\{/, `{"normalizer":${"[".repeat(100_000)}${"]".repeat(100_000)},`).replace(/"normalizer": null,/, "")) }) },
  { name: "25: a pattern of the file’s own, which would take for ever", code: "tokenizer.unsupported", beside: "model.tokenizer", says: /tokenizer\.json.*pre_tokenizer is 'Split', expected 'ByteLevel'/s, of: (files) => ({ "tokenizer.json": edited(files["tokenizer.json"], (file) => { file.pre_tokenizer = { type: "Split", pattern: { Regex: "^(a+)+$" }, behavior: "Isolated", invert: false }; }) }) },
];

/**
 * @param {import("playwright-core").Browser} browser
 * @param {string} folder of the site
 * @param {string} golden
 */
export async function brokenModelChecks(browser, folder, golden) {
  const good = /** @type {Files} */ (filesOf(golden, "gelu-new", FILES));
  const hub = await startHub({ [REPO]: good });
  const site = await serveWithHub(folder, hub.url);
  const name = (/** @type {string} */ text) => `broken: ${text}`;
  const page = await openPage(browser, site.url);

  for (const [i, row] of MODELS.entries()) {
    await check(name(row.name), async () => {
      hub.reset();
      const repo = `tests/broken-${i}`;
      const files = hub.repositories[repo] = { ...good, ...row.of(good) };
      await watched(page);
      await ask(page, `hf:${repo}`);
      const end = await ended(page);
      const noticed = end.status === "ready" && row.beside && end.notices.includes(row.beside);
      const [code, said] = noticed ? [row.beside, (await page.locator("#model .notice").allInnerTexts()).join()] : [end.code, end.said];
      ensure(noticed || end.status === "error", `it ended as ${end.status}`);
      ensure(noticed || (typeof row.code === "string" ? code === row.code : row.code.test(code ?? "")), `the code is ${code}: ${said}`);
      ensure(row.says.test(said), `it says “${said}”`);
      ensure(said.length < 2000, `it says ${said.length} characters`);
      await calm(page);
      const whole = await stored(page, repo, files);
      // What is no file of weights is not kept as one.
      if (/^(19|20|21):/.test(row.name)) ensure(!whole.includes(WEIGHTS), "the weights are stored");
      if (code === "model.too_large" || code?.startsWith("model.config") || row.name.includes("configuration")) ensure(hub.weightBytes() === 0, `${hub.weightBytes()} bytes of weights came`);
      // The same page goes on.
      hub.repositories[repo] = good;
    }, FAILED);
  }
  await check(name("23: weights that are no numbers: the page names the tensor, and opens them after consent"), async () => {
    hub.reset();
    const weights = Buffer.from(good[WEIGHTS]);
    const end = 8 + Number(weights.readBigUInt64LE(0));
    const [table, { data_offsets: [start] }] = Object.entries(JSON.parse(weights.subarray(8, end).toString())).find(([name]) => name.endsWith("wte.weight")) ?? ["", { data_offsets: [0] }];
    weights.writeFloatLE(NaN, end + start);
    const files = { ...good, [WEIGHTS]: weights };
    hub.repositories["tests/not-finite"] = files;
    await ask(page, "hf:tests/not-finite");
    const { code, said } = await ended(page);
    ensure(code === "model.not_finite" && said.includes(`Tensor '${table}': 1 of `), `${code}: “${said}”`);
    await stored(page, "tests/not-finite", files);
    await page.locator("#model").getByRole("button", { name: "Open it with such weights" }).click();
    const after = await ended(page);
    ensure(after.status === "ready", `after consent it ended as ${after.status}: ${after.said}`);
    // Consent is for this model, not for the next one.
    await ask(page, "./models/pronoun/");
    await ended(page);
    await ask(page, "hf:tests/not-finite");
    ensure((await ended(page)).code === "model.not_finite", "it was not asked again");
  }, FAILED);
  await page.context().close();
  await promptChecks(browser, site.url, name);
  site.close();
  hub.close();
}

/** Prompts that end in an error, on a model of 128 positions. @type {{ name: string, prompt: string, code: string, says: RegExp }[]} */
const TOO_LONG = [
  { name: "26: a prompt of 10 MB", prompt: "Mary is ".repeat(1_250_000), code: "input.too_long", says: /10000000 characters, expected at most 20000/ },
  { name: "26: a prompt of 100,000 times the same letter", prompt: "a".repeat(100_000), code: "input.too_long", says: /100000 characters, expected at most 20000/ },
  { name: "26: the longest text that is encoded, which no model has room for", prompt: "a".repeat(20_000), code: "input.length", says: /\d+ tokens, expected 1 to 128 \(n_ctx\)/ },
  { name: "26: one token more than the model has positions", prompt: " she".repeat(128), code: "input.length", says: /129 tokens, expected 1 to 128 \(n_ctx\)/ },
];

/** Prompts that are odd and must be answered, and how they are understood where that is not as they are. @type {{ name: string, prompt: string, understood?: string }[]} */
const ODD = [
  { name: "26: an empty prompt is BOS alone", prompt: "" },
  { name: "26: NUL", prompt: "a\0b" },
  { name: "26: lone surrogates are replaced, and what only looks like one is not", prompt: "a\ud800b\\ud800 \udc00 👩", understood: "a\ufffdb\\ud800 \ufffd 👩" },
  { name: "26: right to left, with marks that would turn the page around", prompt: "\u202eשלום" },
  { name: "26: joined emoji", prompt: "👩\u200d👩\u200d👧" },
];

/**
 * @param {import("playwright-core").Browser} browser
 * @param {string} url
 * @param {(text: string) => string} name
 */
async function promptChecks(browser, url, name) {
  const page = await newPage(browser);
  await page.goto(url);
  await allSettled(page);
  /** As a paste does: at once, and what no keyboard types too. @param {string} prompt */
  const paste = async (prompt) => {
    const field = page.locator("#predict").getByLabel("Prompt", { exact: true });
    const took = await field.evaluate((node, text) => {
      const input = /** @type {HTMLInputElement} */ (node);
      const began = performance.now();
      input.value = text;
      input.dispatchEvent(new Event("input", { bubbles: true }));
      return performance.now() - began;
    }, prompt);
    return took;
  };
  for (const { name: what, prompt, code, says } of TOO_LONG) {
    await check(name(what), async () => {
      await recomputed(page, "predict", () => type(page, "predict", { Prompt: `Tom ${prompt.length}` }));
      await watched(page);
      const took = await paste(prompt);
      await settled(page, "predict", "error");
      const said = await page.locator("#predict .error").innerText();
      const { error } = (await part(page, "predict")).job;
      ensure(error.code === code && says.test(said), `${error.code}: “${said.slice(0, 300)}”`);
      ensure(said.length < 500, `it says ${said.length} characters`);
      ensure((await page.locator("#predict").getByLabel("Prompt", { exact: true }).inputValue()) === prompt, "the prompt was cut");
      ensure(took < 500, `the page took ${Math.round(took)} ms of it`);
      // The browser itself lays out 10 MB in a field for seconds, on any page.
      if (prompt.length < 1e6) await calm(page);
      await recomputed(page, "predict", () => type(page, "predict", { Prompt: "Tom is" }));
    });
  }
  for (const { name: what, prompt, understood } of ODD) {
    await check(name(what), async () => {
      const { tokens, experiment } = await recomputed(page, "predict", async () => void await paste(prompt));
      ensure(experiment.prompt === (understood ?? prompt), `it is understood as ${JSON.stringify(experiment.prompt)}`);
      const chips = await page.locator("#predict .chip .token").allTextContents();
      ensure(chips.length === tokens.length && tokens.length > Number(prompt !== ""), `${tokens.length} tokens, ${chips.length} chips`);
      ensure(!/[\0-\x1f\u200b-\u200f\u202a-\u202e]/.test(chips.join("")), `signs that act on the page are shown as they are: ${JSON.stringify(chips)}`);
    });
  }
  await page.context().close();
}

/** Every byte that the store has of a model is the Hub's. @param {Page} page @param {string} repo @param {Files} files @returns {Promise<string[]>} the files that it has as a whole */
async function stored(page, repo, files) {
  const whole = [];
  for (const { source, file, have, complete, prefix } of await storedFiles(page)) {
    if (source !== `hf:${repo}`) continue;
    ensure(prefix === sha256(files[file].subarray(0, have)), `${have} stored bytes of ${file} are wrong`);
    ensure(!complete || have === files[file].length, `${file} is called whole with ${have} of ${files[file].length} bytes`);
    if (complete) whole.push(file);
  }
  return whole;
}

/** Begins to watch for how long the page stands still. @param {Page} page */
const watched = (page) => page.evaluate(() => {
  const all = /** @type {any} */ (globalThis);
  clearInterval(all.ticks);
  let last = performance.now();
  all.still = 0;
  all.ticks = setInterval(() => {
    all.still = Math.max(all.still, performance.now() - last);
    last = performance.now();
  }, 10);
});

/** @param {Page} page */
async function calm(page) {
  const still = await page.evaluate(() => /** @type {any} */ (globalThis).still);
  ensure(still < STILL, `the page stood still for ${Math.round(still)} ms`);
}
