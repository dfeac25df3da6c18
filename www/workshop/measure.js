// What the steps share: the notebook's prompts, and small readings of results. Pure.

export const PROMPT = "Mary is a great friend, isn’t";
export const CORRUPTED = "John is a great friend, isn’t";
export const SHE = " she";
export const HE = " he";
export const BASE = { version: /** @type {const} */ (1), processing: /** @type {const} */ ("transformer_lens"), prepend_bos: true };
export const LOGIT_DIFF = { kind: /** @type {const} */ ("logit_diff"), correct: SHE, incorrect: HE };
export const LAYER_HEAD = /** @type {const} */ (["layer", "head"]);

/** Values that four decimals hardly tell apart are one and the same to a question. */
const TIE = 5e-4;
/** A head so close to a threshold may be named or left out. */
const MARGIN = 0.02;

/** @typedef {{ name: string, layer: number, head: number, value: number }} Valued */

/**
 * A value for each head, layer by layer; heads without one are left out.
 * @param {{ shape: number[], values: ArrayLike<number | null> }} result whose last two axes are layer and head
 * @param {number} [panel] of the axes before them
 * @returns {Valued[]}
 */
export function headsOf({ shape, values }, panel = 0) {
  const [layers, heads] = shape.slice(-2);
  return Array.from({ length: layers * heads }, (_, i) => ({
    name: `L${Math.floor(i / heads)}H${i % heads}`, layer: Math.floor(i / heads), head: i % heads,
    value: values[panel * layers * heads + i],
  })).filter((entry) => /** @returns {entry is Valued} */ typeof entry.value === "number" && Number.isFinite(entry.value)).map((entry) => /** @type {Valued} */ (entry));
}

/** The head with the highest value, or with a sign of −1 the lowest. @param {Valued[]} all @param {1 | -1} [sign] */
export function topOf(all, sign = 1) {
  return all.reduce((best, entry) => (sign * entry.value > sign * best.value ? entry : best));
}

/** Any head as high as the highest. @param {Valued[]} all @param {1 | -1} [sign] @returns {import("./lesson.js").Truth} */
export function topHead(all, sign = 1) {
  const best = topOf(all, sign);
  return { kind: "head", heads: [best, ...all.filter((entry) => entry !== best && Math.abs(entry.value - best.value) < TIE)].map(({ name }) => name) };
}

/**
 * All heads over a threshold.
 * @param {Valued[]} all
 * @param {number} threshold
 * @param {number} [margin]
 * @returns {import("./lesson.js").Truth}
 */
export function headsOver(all, threshold, margin = MARGIN) {
  return {
    kind: "heads",
    must: all.filter(({ value }) => value >= threshold + margin).map(({ name }) => name),
    may: all.filter(({ value }) => Math.abs(value - threshold) < margin).map(({ name }) => name),
  };
}

/** Where the largest values are. @param {ArrayLike<number>} values @param {1 | -1} [sign] @returns {import("./lesson.js").Truth} */
export function topPlaces(values, sign = 1) {
  const all = Array.from(values, (value) => sign * value);
  const best = Math.max(...all);
  return { kind: "token", places: all.flatMap((value, i) => (best - value < TIE ? [i] : [])).sort((a, b) => all[b] - all[a] || a - b) };
}

/** The value of a head that was named in an answer. @param {Valued[]} all @param {string} name @returns {number | undefined} */
export const valueOf = (all, name) => all.find((entry) => entry.name === name)?.value;

/** The first place in which two prompts differ. @param {import("../microtome.js").Token[]} a @param {import("../microtome.js").Token[]} b */
export const differing = (a, b) => Math.max(0, a.findIndex(({ id }, i) => id !== b[i]?.id));

/** A figure over layers and heads. @param {string} title @param {number[]} shape `[layer, head]` @param {(number | null)[]} values @param {{ min: number, mid: number, max: number }} scale @returns {import("../microtome.js").Figure} */
export function layerHead(title, [layers, heads], values, scale) {
  const labels = (/** @type {number} */ n) => Array.from({ length: n }, (_, i) => String(i));
  return { title, row_axis: { title: "Layer", labels: labels(layers) }, col_axis: { title: "Head", labels: labels(heads) }, rows: layers, cols: heads, values, scale, caption: "" };
}
