// Colour scales. The stops come from maps.js, never from here.

/** @typedef {[number, number, number]} Rgb */

/** @param {string} hex "#rrggbb" @returns {Rgb} */
export function parseHex(hex) {
  const n = parseInt(hex.trim().slice(1), 16);
  return [(n >> 16) & 255, (n >> 8) & 255, n & 255];
}

/**
 * The colour at `t` in 0..1 along evenly spaced stops; outside, the end's.
 * @param {Rgb[]} stops
 * @param {number} t
 * @returns {Rgb}
 */
export function ramp(stops, t) {
  const at = Math.min(1, Math.max(0, t)) * (stops.length - 1);
  const low = Math.min(Math.floor(at), stops.length - 2);
  const part = at - low;
  const channel = (/** @type {number} */ c) => Math.round(stops[low][c] + (stops[low + 1][c] - stops[low][c]) * part);
  return [channel(0), channel(1), channel(2)];
}

/**
 * Where a value lies on its scale: 0 at min, 1/2 at mid, 1 at max.
 * @param {{ min: number, mid: number, max: number }} scale
 * @param {number} value
 */
export function position(scale, value) {
  const half = value < scale.mid ? scale.mid - scale.min : scale.max - scale.mid;
  return half > 0 ? 0.5 + (0.5 * (value - scale.mid)) / half : 0.5;
}

/**
 * The smallest scale that is symmetric about `mid` and holds every value; null values do not count.
 * @param {(number | null)[]} values
 * @param {number} mid
 */
export function symmetric(values, mid) {
  let reach = 0;
  for (const value of values) if (value !== null) reach = Math.max(reach, Math.abs(value - mid));
  // Where nothing differs from mid any width is right, but not zero: the colour bar needs two ends.
  const half = reach || 1;
  return { min: mid - half, mid, max: mid + half };
}

/**
 * The same scale with another reach about its middle, which two figures can share; null leaves it.
 * @param {{ min: number, mid: number, max: number }} scale
 * @param {number | null} range
 */
export const locked = (scale, range) => (range === null ? scale : { min: scale.mid - range, mid: scale.mid, max: scale.mid + range });

/**
 * Colours of many values, as pixels; what is null or no number stays see-through. Gives what `ramp` gives for each of
 * `position`, without an array for each: a figure of 256 tokens has 65,536 cells and is drawn while the pointer moves.
 * @param {ArrayLike<number | null>} values
 * @param {{ min: number, mid: number, max: number }} scale
 * @param {Rgb[]} stops
 */
export function coloured(values, { min, mid, max }, stops) {
  const count = values.length;
  const rgba = new Uint8ClampedArray(count * 4);
  const flat = Float64Array.from(stops.flat());
  const last = stops.length - 2;
  const [below, above] = [mid - min, max - mid];
  for (let i = 0; i < count; i++) {
    const value = values[i];
    if (value === null || value !== value) continue;
    const half = value < mid ? below : above;
    const t = half > 0 ? 0.5 + (0.5 * (value - mid)) / half : 0.5;
    const at = (t < 0 ? 0 : t > 1 ? 1 : t) * (last + 1);
    const low = at >= last ? last : Math.floor(at);
    const part = at - low;
    const [from, to] = [low * 3, i * 4];
    for (let c = 0; c < 3; c++) rgba[to + c] = Math.round(flat[from + c] + (flat[from + 3 + c] - flat[from + c]) * part);
    rgba[to + 3] = 255;
  }
  return rgba;
}

/** Black or white ink, whichever is read better on a colour (WCAG relative luminance). @param {Rgb} rgb */
export function inkOn([r, g, b]) {
  const linear = (/** @type {number} */ c) => (c <= 10 ? c / 3294.6 : ((c / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  return luminance > 0.179 ? "dark" : "light";
}

/** @param {Rgb} rgb */
export const css = ([r, g, b]) => `rgb(${r} ${g} ${b})`;
