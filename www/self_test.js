// The check of a GPU at its first use: a small model runs on it and on the CPU engine, and every number is compared. Runs in
// the engine's worker while the model's files are on their way. A GPU that fails is never used: whoever opened the engine
// replaces the worker, with whatever the GPU left in it, by one on the CPU.
import { TOY, toyModel } from "./toy_model.js";

/** @typedef {import("./microtome.js").SelfTest} SelfTest */
/** @typedef {import("./engine.js").Engine} Engine */
/** @typedef {{ name: string, difference: number, allowed: number }} Check `difference`: NaN where a number was none */
/** By adapter, build, browser, precision and limits: what was found. @typedef {Record<string, SelfTest>} Tested */

/** Milliseconds that a GPU has for its kernels and the check. A software adapter on a busy machine needs many. */
const PATIENCE = { hardware: 45_000, software: 240_000 };
/** Most that the engines may differ by: of log-probabilities, patterns, the residual stream relative to its size, and metrics. */
const ALLOWED = { logProbs: 1e-3, patterns: 1e-4, residual: 1e-4, metric: 1e-3 };

/** Token ids. Long enough for every kernel of attention; the second differs in one place. */
const CLEAN = [0, 17, 930, 4, 4, 611, 17, 930, 1030, 256, 77, 5];
const CORRUPTED = CLEAN.with(2, 402);
/** The raw weights: processing is the same code for both. */
const BASE = { version: /** @type {const} */ (1), processing: "none", prepend_bos: false };
const PATTERNS = Array.from({ length: TOY.n_layer }, (_, layer) => `blocks.${layer}.attn.hook_pattern`);
const RESIDUALS = Array.from({ length: TOY.n_layer }, (_, layer) => `blocks.${layer}.hook_resid_post`);

/**
 * An engine with its kernels ready; a GPU is checked first where it was not before.
 * @param {typeof import("./engine.js")} glue
 * @param {Pick<import("./host.js").Opening, "backend" | "precision" | "limits"> & { kernels: import("./engine.js").Remembered,
 *   tested: Tested, timeScale?: number }} options
 * @returns {Promise<{ prepared: import("./engine.js").Prepared, selfTest?: SelfTest, key?: string } | { refused: string }>}
 *   `refused`: a report for people on what is wrong with the GPU
 */
export async function prepareChecked(glue, { backend, precision, limits, kernels, tested, timeScale = 1 }) {
  const prepare = (/** @type {typeof kernels} */ known, on = backend) => glue.Engine.prepare(on, known, precision, limits === "default");
  const adapter = backend === "cpu" ? null : await adapterOf();
  // Without an adapter there is nothing to check, and the engine says so itself.
  if (!adapter || (backend === "auto" && adapter.software)) return { prepared: await prepare(kernels) };
  const began = performance.now();
  const about = { ...adapter, precision, limits, build: await buildOf() };
  const key = JSON.stringify([about, navigator.userAgent]);
  try {
    return await within(PATIENCE[adapter.software ? "software" : "hardware"] * timeScale, (async () => {
      const first = await prepare(kernels);
      if (first.backend() !== "gpu") {
        // Only when it is asked for by name does the GPU say why it could not be opened.
        await prepare(kernels, "gpu").catch((error) => {
          if (error.code !== "gpu.missing") throw error;
        });
        return { prepared: first };
      }
      if (usable(tested[key], kernels)) return { prepared: first, selfTest: tested[key], key };
      const cpu = await answers(glue, await glue.Engine.prepare("cpu", {}, precision, false), precision);
      const gpu = await answers(glue, first, precision);
      const checks = compare(gpu.found, cpu.found);
      if (checks.some(failed)) return { refused: report(about, checks, null, performance.now() - began) };
      // The kernels that were checked are those that will be used.
      const { adapter: name, kernels: fastest, build } = gpu.engine;
      const known = name && fastest ? { ...kernels, [name]: { build, kernels: fastest } } : kernels;
      const selfTest = { difference: checks[0].difference, checked: checks.map(({ name }) => name), kernels: fastest ?? undefined, at: new Date().toISOString(),
        milliseconds: Math.round(performance.now() - began) };
      return { prepared: await prepare(known), selfTest, key };
    })());
  } catch (thrown) {
    const { code, message } = /** @type {any} */ (thrown);
    // A GPU that is not there at all is no failure.
    if (code === "gpu.missing") throw thrown;
    return { refused: report(about, [], `${code ? `${code}: ` : ""}${message ?? thrown}`, performance.now() - began) };
  }
}

/** Whether what is remembered was of the kernels that will be used. @param {SelfTest | undefined} test @param {import("./engine.js").Remembered} kernels */
const usable = (test, kernels) => Number.isFinite(test?.difference) && Array.isArray(test?.checked)
  && Object.values(kernels).some((entry) => entry?.kernels === test.kernels);

/** @param {Check} check */
export const failed = ({ difference, allowed }) => !(difference <= allowed);

/**
 * What the small model gives on an engine, which is then gone.
 * @param {typeof import("./engine.js")} glue
 * @param {import("./engine.js").Prepared} prepared
 * @param {"f32" | "f16"} precision
 */
async function answers(glue, prepared, precision) {
  const engine = await glue.Engine.open(toyModel(), prepared, { precision }, () => {}, () => false);
  const run = async (/** @type {any} */ experiment) => /** @type {any} */ (await engine.run({ ...BASE, ...experiment }, () => {}, () => {}, () => false));
  try {
    const predicted = await run({ kind: "predict", prompt: CLEAN, top_k: TOY.vocab_size });
    const { tensors: [tensors] } = await run({ kind: "trace", prompts: [CLEAN], hooks: [...PATTERNS, ...RESIDUALS] });
    const ablated = await run({ kind: "ablate", prompt: CLEAN, site: "v", edit: { kind: "zero" }, axes: ["layer", "head"], metric: { kind: "loss" } });
    const patched = await run({ kind: "patch", clean: CLEAN, corrupted: CORRUPTED, site: "resid_pre", axes: ["layer", "pos"],
      metric: { kind: "logit_diff", correct: 7, incorrect: 8 } });
    const { data: pattern, shape: [, n] } = tensors[PATTERNS[0]]; // [head, dest, src]
    return { engine: /** @type {import("./microtome.js").EngineReport} */ (predicted.engine), found: {
      logProbs: logProbs(predicted.top),
      patterns: PATTERNS.map((hook) => tensors[hook].data),
      sums: Array.from({ length: pattern.length / n }, (_, row) => sum(pattern.subarray(row * n, (row + 1) * n))),
      residuals: RESIDUALS.map((hook) => tensors[hook].data),
      ablated: ablated.values, patched: patched.values,
    } };
  } finally {
    engine.free();
  }
}

/** By token id; from the logits, which have more digits than small probabilities. @param {{ id: number, logit: number }[]} top */
function logProbs(top) {
  const most = Math.max(...top.map(({ logit }) => logit));
  const all = most + Math.log(sum(top.map(({ logit }) => Math.exp(logit - most))));
  const byId = new Float64Array(top.length);
  for (const { id, logit } of top) byId[id] = logit - all;
  return byId;
}

/** @typedef {Awaited<ReturnType<typeof answers>>["found"]} Found */

/** What is compared, the log-probabilities first. @param {Found} gpu @param {Found} cpu @returns {Check[]} */
export function compare(gpu, cpu) {
  const { logProbs, patterns, residual, metric } = ALLOWED;
  const size = (/** @type {ArrayLike<number>} */ a) => Math.sqrt(sum(Array.from(a, (x) => x * x)) / a.length);
  return [
    { name: "log-probabilities of every token", difference: apart(gpu.logProbs, cpu.logProbs), allowed: logProbs },
    ...gpu.patterns.map((pattern, i) => ({ name: `attention patterns, layer ${i}`, difference: apart(pattern, cpu.patterns[i]), allowed: patterns })),
    { name: "rows of a pattern add up to 1", difference: apart(gpu.sums, gpu.sums.map(() => 1)), allowed: patterns },
    ...gpu.residuals.map((stream, i) => ({ name: `residual stream after layer ${i}, relative to its size`,
      difference: apart(stream, cpu.residuals[i]) / size(cpu.residuals[i]), allowed: residual })),
    { name: "loss with each head switched off", difference: apart(gpu.ablated, cpu.ablated), allowed: metric },
    { name: "logit difference with each residual patched", difference: apart(gpu.patched, cpu.patched), allowed: metric },
  ];
}

const sum = (/** @type {ArrayLike<number>} */ values) => Array.from(values).reduce((a, b) => a + b, 0);

/** The largest difference; NaN where a number is missing or none. @param {ArrayLike<number>} a @param {ArrayLike<number>} b */
function apart(a, b) {
  if (a.length !== b.length) return NaN;
  let most = 0;
  for (let i = 0; i < a.length; i++) {
    const by = Math.abs(a[i] - b[i]);
    if (!(by <= most)) most = by;
    if (Number.isNaN(by)) return NaN;
  }
  return most;
}

/** @typedef {{ name: string, software: boolean, bindings: string }} Adapter */

/** The adapter that the engine will get; null where there is none. @returns {Promise<Adapter | null>} */
async function adapterOf() {
  try {
    const adapter = await /** @type {any} */ (navigator).gpu?.requestAdapter({ powerPreference: "high-performance" });
    if (!adapter) return null;
    const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info ?? {};
    const { maxStorageBufferBindingSize, maxBufferSize } = adapter.limits;
    return {
      name: [vendor, architecture, device, description].filter(Boolean).join(" ") || "unnamed",
      software: Boolean(isFallbackAdapter ?? adapter.isFallbackAdapter),
      bindings: `${maxStorageBufferBindingSize} of ${maxBufferSize} bytes`,
    };
  } catch {
    return null;
  }
}

/** What the module was built from: other shaders are to be checked again. */
async function buildOf() {
  const response = await fetch(new URL("./pkg/build.json", import.meta.url)).catch(() => null);
  const record = response?.ok ? await response.json().catch(() => null) : null;
  return String(record?.inputs_sha256 ?? "unknown").slice(0, 16);
}

/** @template T @param {number} milliseconds @param {Promise<T>} work @returns {Promise<T>} */
function within(milliseconds, work) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${Math.round(milliseconds / 1000)} s`)), milliseconds);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/**
 * Plain text, to be copied into a report of the fault.
 * @param {Adapter & { precision: string, limits: string, build: string }} about
 * @param {Check[]} checks
 * @param {string | null} error
 * @param {number} milliseconds
 */
function report({ name, software, bindings, precision, limits, build }, checks, error, milliseconds) {
  return [
    "Microtome: the check of the GPU failed",
    `Adapter: ${name}${software ? " (software)" : ""}; bindings ${bindings}; limits: ${limits}; weights: ${precision}`,
    `Browser: ${navigator.userAgent}`,
    `Build: ${build}; ${new Date().toISOString()}; took ${Math.round(milliseconds)} ms`,
    ...(error ? [`Error: ${error}`] : []),
    ...checks.map((check) => `${failed(check) ? "FAILED" : "ok"}: ${check.name}: ${Number.isNaN(check.difference) ? "not a number" : check.difference.toExponential(1)}, allowed ${check.allowed}`),
  ].join("\n");
}
