// A theme whose colours are words, with the page's own maps.
import { BREWER } from "../../www/draw/maps.js";

/** @type {import("../../www/draw/paint.js").Theme} */
export const theme = {
  ink: "ink", muted: "muted", line: "line", surface: "surface", accent: "accent", masked: "masked", light: "light",
  dark: "dark", at: "at", by: "by", font: "mono", bad: "bad", series: ["a", "b", "c", "d"], diverging: BREWER.RdBu, sequential: BREWER.Blues,
};
