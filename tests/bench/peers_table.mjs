// Tables from what `tests/bench/peers` measured, with the ratios, and one JSON file.
//
//   node tests/bench/peers_table.mjs FOLDER OUT.json
//
// FOLDER holds transformer_lens.json, native.json, browser.json and load.json; a part that was left out has no file.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";

const [folder, out] = process.argv.slice(2);
const read = (/** @type {string} */ name) => {
  const path = join(folder, name);
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : null;
};

/** @typedef {{ engine: string, rows: any[], [more: string]: any }} Engine */
/** @type {Engine[]} */
const engines = [read("transformer_lens.json"), ...(read("native.json")?.engines ?? []).map((/** @type {any} */ e) => ({ engine: "native", ...e })),
  ...(read("browser.json") ?? [])].filter(Boolean);

const median = (/** @type {number[]} */ times) => {
  const sorted = [...times].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
};
for (const { rows } of engines) for (const row of rows) row.median_ms ??= median(row.milliseconds);

const NAMES = {
  transformer_lens: "TransformerLens", native: "native", single: "wasm, 1 thread", threads: "wasm, threads", gpu: "WebGPU",
  "ort-single": "ORT wasm, 1", "ort-threads": "ORT wasm, 2", "ort-gpu": "ORT WebGPU",
};
const order = /** @type {(keyof typeof NAMES)[]} */ (Object.keys(NAMES)).filter((name) => engines.some((e) => e.engine === name && e.rows.length));
/** @param {string} engine @param {string} name @param {number} tokens @returns {number | undefined} */
const time = (engine, name, tokens) =>
  engines.find((e) => e.engine === engine)?.rows.find((row) => row.case === name && row.tokens === tokens)?.median_ms;
const keys = [...new Set(engines.flatMap(({ rows }) => rows.map((row) => `${row.tokens} ${row.case}`)))]
  .map((key) => ({ tokens: Number(key.split(" ")[0]), name: key.split(" ")[1] }));

const table = keys.map(({ tokens, name }) => {
  const medians = Object.fromEntries(order.flatMap((engine) => {
    const ms = time(engine, name, tokens);
    return ms === undefined ? [] : [[engine, ms]];
  }));
  /** How many times quicker the second is. @param {string} slow @param {string} quick */
  const times = (slow, quick) => (medians[slow] && medians[quick] ? medians[slow] / medians[quick] : undefined);
  const ratios = {
    "TransformerLens / native": times("transformer_lens", "native"), "TransformerLens / wasm, 1 thread": times("transformer_lens", "single"),
    "TransformerLens / wasm, threads": times("transformer_lens", "threads"), "wasm, 1 thread / threads": times("single", "threads"),
    "ORT / ours, 1 thread": times("ort-single", "single"), "ORT / ours, threads": times("ort-threads", "threads"), "ORT / ours, WebGPU": times("ort-gpu", "gpu"),
  };
  return { case: name, tokens, medians, ratios: Object.fromEntries(Object.entries(ratios).filter(([, ratio]) => ratio !== undefined)) };
});

const show = (/** @type {number | undefined} */ ms) => (ms === undefined ? "" : ms >= 10_000 ? `${(ms / 1000).toFixed(1)} s` : ms >= 1000 ? `${(ms / 1000).toFixed(2)} s` : `${ms.toFixed(0)} ms`);
/** Pipes, so that it can go into the README as it is. @param {string[][]} rows heading first; the first column is words */
function print(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length), 3));
  const line = (/** @type {string[]} */ row) => `| ${row.map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join(" | ")} |`;
  const rule = `|${widths.map((width, i) => `${"-".repeat(width + 1)}${i ? ":" : "-"}`).join("|")}|`;
  console.log([line(rows[0]), rule, ...rows.slice(1).map(line)].join("\n"));
}
const label = (/** @type {{ case: string, tokens: number }} */ row) => `${row.case}, ${row.tokens} tokens`;
const ratios = [...new Set(table.flatMap((row) => Object.keys(row.ratios)))];
const ratio = (/** @type {number | undefined} */ value) => (value === undefined ? "" : `${value >= 10 ? value.toFixed(0) : value.toFixed(2)}×`);
console.log(`\n${cpus()[0]?.model ?? "unknown processor"}, ${cpus().length} cores, medians`);
if (table.length) {
  console.log();
  print([["", ...order.map((engine) => NAMES[engine])], ...table.map((row) => [label(row), ...order.map((engine) => show(row.medians[engine]))])]);
}
if (ratios.length) {
  console.log("\nHow many times quicker the second is:\n");
  print([["", ...ratios], ...table.map((row) => [label(row), ...ratios.map((name) => ratio(row.ratios[name]))])]);
}
for (const { engine, error } of engines) if (error) console.log(`\n${engine} was not measured: ${error}`);
/** Loading, as load_times.mjs measured it; each row of onnxruntime-web has the row of ours before it. @type {{ engine: string, milliseconds: number[], megabytes: number[] }[]} */
const load = read("load.json") ?? [];
const loads = load.map(({ engine, milliseconds, megabytes }) => ({ engine, median_ms: median(milliseconds), median_megabytes: median(megabytes), milliseconds, megabytes }));
if (loads.length) {
  console.log("\nFrom the browser's storage to the logits of seven tokens, and memory at the peak:\n");
  const beside = (/** @type {number} */ i, /** @type {"median_ms" | "median_megabytes"} */ what) => (i % 2 ? ` (${ratio(loads[i][what] / loads[i - 1][what])})` : "");
  print([["", "time", "memory"], ...loads.map(({ engine, median_ms, median_megabytes }, i) =>
    [engine, show(median_ms) + beside(i, "median_ms"), `${median_megabytes.toFixed(0)} MB${beside(i, "median_megabytes")}`])]);
}
writeFileSync(out, JSON.stringify({ cores: cpus().length, processor: cpus()[0]?.model, table, load: loads, engines }, null, 2));
