// Arrays as NumPy's .npz: what `np.load` reads without pickle. The zip is written by fflate (www/vendor/fflate, MIT), stored and
// not compressed, which np.load can map.
import { zipSync } from "../vendor/fflate/fflate.esm.js";

/**
 * One array, row-major. Text is stored as fixed-width unicode (`<U`), the way NumPy stores labels itself.
 * @typedef {{ shape: number[], data: Float32Array | Float64Array | BigInt64Array | string[] }} Array
 */

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]; // \x93NUMPY, version 1.0

/** A number in little-endian order whatever the machine's. @param {number} bytes @param {number} count @param {(view: DataView, at: number, i: number) => void} set */
function packed(bytes, count, set) {
  const buffer = new ArrayBuffer(bytes * count);
  const view = new DataView(buffer);
  for (let i = 0; i < count; i++) set(view, i * bytes, i);
  return new Uint8Array(buffer);
}

/** @param {Array["data"]} data @returns {{ descr: string, bytes: Uint8Array }} */
function encoded(data) {
  if (data instanceof Float32Array) return { descr: "<f4", bytes: packed(4, data.length, (view, at, i) => view.setFloat32(at, data[i], true)) };
  if (data instanceof Float64Array) return { descr: "<f8", bytes: packed(8, data.length, (view, at, i) => view.setFloat64(at, data[i], true)) };
  if (data instanceof BigInt64Array) return { descr: "<i8", bytes: packed(8, data.length, (view, at, i) => view.setBigInt64(at, data[i], true)) };
  // A surrogate without its other half is no character, and NumPy would refuse the file.
  const points = data.map((text) => Array.from(text, (char) => char.codePointAt(0) ?? 0).map((code) => (code >= 0xd800 && code < 0xe000 ? 0xfffd : code)));
  const width = points.reduce((most, text) => Math.max(most, text.length), 1);
  return { descr: `<U${width}`, bytes: packed(4, width * data.length, (view, at, i) => view.setUint32(at, points[Math.floor(i / width)][i % width] ?? 0, true)) };
}

/** An array as a .npy file, version 1.0. @param {Array} array */
export function npy({ shape, data }) {
  const count = shape.reduce((product, size) => product * size, 1);
  if (count !== data.length) throw new Error(`An array of shape [${shape}] has ${count} elements, not ${data.length}.`);
  const { descr, bytes } = encoded(data);
  const dictionary = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(", ")}${shape.length === 1 ? "," : ""}), }`;
  // What lies before the data is a multiple of 64 bytes long, and ends with a line feed.
  const before = MAGIC.length + 2;
  const length = Math.ceil((before + dictionary.length + 1) / 64) * 64 - before;
  const header = new TextEncoder().encode(`${dictionary.padEnd(length - 1)}\n`);
  const file = new Uint8Array(before + length + bytes.length);
  file.set([...MAGIC, length & 255, length >> 8]);
  file.set(header, before);
  file.set(bytes, before + length);
  return file;
}

/** Numbers with null for what is missing, which NumPy calls NaN. In f64, as the result has them. @param {(number | null)[]} values */
export const floats = (values) => Float64Array.from(values, (value) => value ?? NaN);
/** @param {number[]} values */
export const integers = (values) => BigInt64Array.from(values, BigInt);

/** Arrays by name as the bytes of an .npz. The same arrays give the same bytes. @param {Record<string, Array>} arrays */
export function npzOf(arrays) {
  const files = Object.fromEntries(Object.entries(arrays).map(([name, array]) => [`${name}.npy`, npy(array)]));
  // A zip knows local times only: this is the first that it can say.
  return zipSync(files, { level: 0, mtime: new Date(1980, 0, 1) });
}
