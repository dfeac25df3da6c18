// The colours of a picture: those of the page, or those of the light page on white, whatever the visitor's own are.
/** @typedef {import("../draw/paint.js").Theme} Theme */

/** @param {Theme} theme of the page @param {string} paper `page`, `white` or `none` @returns {Theme} */
export function paperOf(theme, paper) {
  if (paper === "page") return theme;
  const light = lightRule();
  if (!light) return { ...theme, surface: "#ffffff" };
  const value = (/** @type {string} */ name) => light.getPropertyValue(name).trim();
  return {
    ...theme,
    ink: value("--ink"), muted: value("--muted"), line: value("--line"), accent: value("--accent"), masked: value("--masked"), bad: value("--bad"),
    surface: "#ffffff", series: theme.series.map((_, i) => value(`--series-${i}`)), at: value("--look-at"), by: value("--look-by"),
  };
}

/** Where the style sheet sets the variables of the light page: the rule that no media query stands around. */
function lightRule() {
  for (const sheet of document.styleSheets) {
    for (const rule of sheet.cssRules) {
      if (rule instanceof CSSStyleRule && rule.selectorText === ":root" && rule.style.getPropertyValue("--ink")) return rule.style;
    }
  }
  return null;
}
