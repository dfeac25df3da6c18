// The look of the page, read from its CSS variables for the drawing functions.
import { BREWER } from "../draw/maps.js";

/** @returns {import("../draw/paint.js").Theme} */
export function readTheme() {
  const style = getComputedStyle(document.documentElement);
  const value = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
  return {
    ink: value("--ink"), muted: value("--muted"), line: value("--line"), surface: value("--surface"),
    accent: value("--accent"), masked: value("--masked"), light: value("--on-dark"), dark: value("--on-light"),
    bad: value("--bad"), series: [0, 1, 2, 3].map((i) => value(`--series-${i}`)), font: value("--mono"),
    at: value("--look-at"), by: value("--look-by"), diverging: BREWER.RdBu, sequential: BREWER.Blues,
  };
}

/** Calls back when colours or pixel density change. @param {() => void} callback */
export function onLook(callback) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", callback);
  const density = () => {
    matchMedia(`(resolution: ${devicePixelRatio}dppx)`).addEventListener("change", () => {
      callback();
      density();
    }, { once: true });
  };
  density();
}
