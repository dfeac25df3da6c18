// The oracle's numbers (tests/golden), and how closely the page must meet them.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ensure } from "./harness.mjs";

/** DESIGN: the CPU engine against TransformerLens, and the GPU engine, which may differ from the CPU by 1e-3. */
export const TOLERANCE = { cpu: 1e-4, gpu: 1.1e-3 };

/** @typedef {{ name: string, experiment: any, expected: any }} Case */

/** @param {string} folder @param {string} file @returns {Case[]} */
export const casesOf = (folder, file) => JSON.parse(readFileSync(join(folder, file), "utf8")).cases;

/**
 * Every number of `expected`, and every token id, must be in `got`, in the same place.
 * @param {any} got
 * @param {any} expected
 * @param {number} tolerance
 * @param {string} [where]
 * @returns {number} the largest difference
 */
export function compare(got, expected, tolerance, where = "result") {
  if (typeof expected === "number") {
    ensure(typeof got === "number", `${where}: expected ${expected}, found ${got}`);
    // Logits are known up to a constant of all tokens; what they add up to is checked by prob.
    const allowed = tolerance * Math.max(1, Math.abs(expected));
    const off = Math.abs(got - expected);
    ensure(off <= allowed, `${where}: expected ${expected}, found ${got}, which is ${off.toExponential(1)} off`);
    return off;
  }
  if (expected === null || typeof expected !== "object") {
    ensure((got ?? null) === expected, `${where}: expected ${JSON.stringify(expected)}, found ${JSON.stringify(got)}`);
    return 0;
  }
  ensure(got !== null && typeof got === "object", `${where}: expected an object, found ${got}`);
  if (Array.isArray(expected)) ensure(got.length === expected.length, `${where}: expected ${expected.length} entries, found ${got.length}`);
  return Math.max(0, ...Object.entries(expected).map(([key, value]) => compare(got[key], value, tolerance, `${where}.${key}`)));
}

/**
 * The tensors of a safetensors file, F32 only.
 * @param {string} path
 * @returns {Record<string, { shape: number[], data: Float32Array }>}
 */
export function readTensors(path) {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + length));
  return Object.fromEntries(Object.entries(header).filter(([name]) => name !== "__metadata__").map(([name, { shape, dtype, data_offsets: [from, to] }]) => {
    ensure(dtype === "F32", `${name} is ${dtype}, not F32`);
    const copy = bytes.buffer.slice(bytes.byteOffset + 8 + length + from, bytes.byteOffset + 8 + length + to);
    return [name, { shape, data: new Float32Array(copy) }];
  }));
}
