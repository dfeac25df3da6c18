// The colours of style.css, so that what is tested is what is shown.
import { readFileSync } from "node:fs";
import { parseHex } from "../../www/draw/colour.js";

const css = readFileSync(new URL("../../www/style.css", import.meta.url), "utf8");

/** The stops of a CSS variable in the light theme. @param {string} name */
const stops = (name) => (new RegExp(`${name}: ([#0-9a-f ]+);`).exec(css)?.[1] ?? "").split(" ").map(parseHex);

/** @type {import("../../www/draw/paint.js").Theme} */
export const theme = {
  ink: "ink", muted: "muted", line: "line", surface: "surface", accent: "accent", masked: "masked", light: "light",
  dark: "dark", font: "mono", bad: "bad", series: ["a", "b", "c", "d"], diverging: stops("--diverging"), sequential: stops("--sequential"),
};
