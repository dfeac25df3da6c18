// Every layout of a model's files through the whole page, by every way that a visitor can bring them. The numbers are those
// of the native command on the same files.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check, ensure } from "./harness.mjs";
import { startHub } from "./hub.mjs";
import { openPage, serveWithHub } from "./download_page.mjs";

/** @typedef {Record<string, Buffer>} Files */

const EXPERIMENT = { version: 1, kind: "predict", prompt: [1, 2, 3], top_k: 5 };
/** The shape of the files in tests/golden/torch. */
const TINY = Buffer.from(JSON.stringify({ model_type: "gpt2", n_layer: 2, n_head: 2, n_embd: 4, n_inner: 6, n_positions: 3, vocab_size: 5, tie_word_embeddings: true }));

/** @param {import("playwright-core").Browser} browser @param {string} folder of the site @param {string} golden @param {string} binary `microtome` */
export async function formatChecks(browser, folder, golden, binary) {
  const torch = (/** @type {string} */ file) => ({ "config.json": TINY, "pytorch_model.bin": readFileSync(join(golden, "torch", file)) });
  const plain = filesIn(join(golden, "models/relu"));
  /** @type {Record<string, Files>} */
  const models = {
    "f32": { ...plain, "model.safetensors": renamed(plain["model.safetensors"], "") },
    "transformer-names": { ...plain, "model.safetensors": renamed(plain["model.safetensors"], "transformer.") },
    "bf16": filesIn(join(golden, "models/gelu-bf16")),
    "f16-shards": filesIn(join(golden, "models/gelu-fast-f16")),
    "torch-tied": torch("tied.bin"), "torch-f16-masks": torch("masks-f16.bin"), "torch-bf16": torch("views-bf16.bin"),
    "torch-shards": { "config.json": TINY, ...filesIn(join(golden, "torch/sharded")) }, "torch-nested": torch("nested.bin"),
    "packed": packed(binary, join(golden, "models/relu")),
  };
  const xl = JSON.stringify({ model_type: "gpt2", n_layer: 48, n_head: 25, n_embd: 1600, n_positions: 1024, vocab_size: 50_257 });
  const refused = {
    "formats/not-finite": { ...models.f32, "model.safetensors": notFinite(models.f32["model.safetensors"]) },
    "formats/xl": { "config.json": Buffer.from(xl), "model.safetensors": models.f32["model.safetensors"] },
  };
  const hub = await startHub(Object.fromEntries(Object.entries(models).map(([name, files]) => [`formats/${name}`, files]).concat(Object.entries(refused))));
  const site = await serveWithHub(folder, hub.url, Object.fromEntries(Object.entries(models).flatMap(([name, files]) =>
    Object.entries(files).map(([file, bytes]) => [`/golden/${name}/${file}`, (/** @type {import("node:http").ServerResponse} */ response) => void response.writeHead(200).end(bytes)]))));
  const page = await openPage(browser, site.url);
  for (const [name, files] of Object.entries(models)) {
    const expected = native(binary, files);
    for (const way of /** @type {const} */ (["hub", "folder", "files"])) {
      // The parts of a packed folder are for folders: the Hub has no need of them.
      if (name === "packed" && way !== "folder") continue;
      await check(`formats: ${name} by ${way}`, async () => {
        const found = await page.evaluate(open, { way, name, hub: hub.url, experiment: EXPERIMENT, list: Object.keys(files) });
        for (const { id, prob } of expected) {
          const token = found.find((/** @type {{ id: number }} */ other) => other.id === id);
          ensure(token && Math.abs(Math.log(token.prob) - Math.log(prob)) < 1e-4, `token ${id}: ${token?.prob}, natively ${prob}`);
        }
      // The page asks for files that a folder may lack.
      }, /404/);
    }
  }
  const opened = (/** @type {string} */ name, /** @type {object} */ more) => page.evaluate(async ({ model, hub, more }) => {
    const { Lab } = await import(new URL("microtome.js", document.baseURI).href);
    try {
      const lab = await Lab.open({ model, hub, backend: "cpu", ...more });
      lab.close();
      return { code: "opened", message: "", action: "" };
    } catch (error) {
      const { code, message, action } = /** @type {any} */ (error);
      return { code, message, action };
    }
  }, { model: `hf:formats/${name}`, hub: hub.url, more });

  await check("formats: 23: weights that are no numbers are refused with their tensor, and open with consent", async () => {
    const { code, message } = await opened("not-finite", {});
    ensure(code === "model.not_finite" && /tensor 'wte\.weight': 1 of \d+ values/.test(message), `${code}: ${message}`);
    const allowed = await opened("not-finite", { allowNotFinite: true });
    ensure(allowed.code === "opened", `${allowed.code}: ${allowed.message}`);
  });

  await check("formats: 24: a model that cannot fit is refused with the numbers before its weights are asked for", async () => {
    hub.reset();
    const { code, message, action } = await opened("xl", {});
    ensure(code === "model.too_large" && message.includes("6.30 GB") && action?.includes("f16"), `${code}: ${message} ${action}`);
    ensure(hub.weightBytes() === 0, `${hub.weightBytes()} bytes of weights came from the Hub`);
  });
  await page.context().close();
  site.close();
  hub.close();
}

/** @param {{ way: "hub" | "folder" | "files", name: string, hub: string, experiment: object, list: string[] }} asked */
async function open({ way, name, hub, experiment, list }) {
  const { Lab } = await import(new URL("microtome.js", document.baseURI).href);
  const fetched = way !== "files" ? [] : await Promise.all(list.map(async (file) => new File([await (await fetch(`golden/${name}/${file}`)).blob()], file)));
  const model = way === "hub" ? { model: `hf:formats/${name}`, hub } : way === "folder" ? { model: `./golden/${name}/` } : { files: fetched };
  const lab = await Lab.open({ ...model, backend: "cpu" });
  try {
    return (await lab.run(experiment)).top;
  } finally {
    lab.close();
  }
}

/** @param {string} folder @returns {Files} */
const filesIn = (folder) => Object.fromEntries(readdirSync(folder).map((file) => [file, readFileSync(join(folder, file))]));

/** The same tensors with or without `transformer.`, as some checkpoints have them and some have not. @param {Buffer} file @param {string} prefix */
function renamed(file, prefix) {
  const end = 8 + Number(file.readBigUInt64LE(0));
  const tensors = Object.entries(JSON.parse(file.subarray(8, end).toString()));
  const header = Buffer.from(JSON.stringify(Object.fromEntries(tensors.map(([name, tensor]) => [/^(__metadata__|lm_head\.weight)$/.test(name) ? name : prefix + name.replace(/^transformer\./, ""), tensor]))));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, file.subarray(end)]);
}

/** The same file with a first embedding that is no number. @param {Buffer} file */
function notFinite(file) {
  const end = 8 + Number(file.readBigUInt64LE(0));
  const { data_offsets: [start] } = JSON.parse(file.subarray(8, end).toString())["wte.weight"];
  const changed = Buffer.from(file);
  changed.writeFloatLE(NaN, end + start);
  return changed;
}

/** In parts of 16 kB. @param {string} binary @param {string} model */
function packed(binary, model) {
  const out = mkdtempSync(join(tmpdir(), "microtome-packed-"));
  try {
    execFileSync(binary, ["pack", "--model", model, "--dtype", "f32", "--shard-size", "16kB", "--out", out], { stdio: "pipe" });
    return filesIn(out);
  } finally {
    rmSync(out, { recursive: true });
  }
}

/** The native CPU engine's answer. @param {string} binary @param {Files} files @returns {{ id: number, prob: number }[]} */
export function native(binary, files, experiment = /** @type {object} */ (EXPERIMENT)) {
  const model = mkdtempSync(join(tmpdir(), "microtome-model-"));
  try {
    for (const [name, bytes] of Object.entries(files)) writeFileSync(join(model, name), bytes);
    const output = execFileSync(binary, ["run", "-", "--model", model, "--backend", "cpu"], { input: JSON.stringify(experiment), maxBuffer: 1 << 24, stdio: "pipe" });
    return JSON.parse(output.toString()).top;
  } finally {
    rmSync(model, { recursive: true });
  }
}
