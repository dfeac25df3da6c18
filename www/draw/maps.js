// Colour maps, as Cynthia Brewer's ColorBrewer 2 lists them (11 and 9 classes; Apache-2.0, colorbrewer.org), low to high.
// Nothing here is tuned: what is between two stops is interpolated. They are the same on a light page and on a dark one, so
// that a colour means the same number on a screen, in a screenshot and on paper.
import { parseHex } from "./colour.js";

/** @typedef {import("./colour.js").Rgb} Rgb */
/** @typedef {"RdBu" | "PuOr" | "sequential"} MapName the maps that a signed figure can be drawn in */

/** @param {string} digits six for each colour @returns {Rgb[]} */
const stops = (digits) => (digits.match(/.{6}/g) ?? []).map((hex) => parseHex(`#${hex}`));

export const BREWER = {
  RdBu: stops("67001fb2182bd6604df4a582fddbc7f7f7f7d1e5f092c5de4393c32166ac053061"),
  PuOr: stops("7f3b08b35806e08214fdb863fee0b6f7f7f7d8daebb2abd28073ac5427882d004b"),
  Blues: stops("f7fbffdeebf7c6dbef9ecae16baed64292c62171b508519c08306b"),
};

/** @type {Record<MapName, Rgb[]>} */
export const MAPS = { RdBu: BREWER.RdBu, PuOr: BREWER.PuOr, sequential: BREWER.Blues };
/** @type {MapName[]} */
export const MAP_NAMES = ["RdBu", "PuOr", "sequential"];
