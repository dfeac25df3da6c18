// The figure's own style: a constructed sheet, which a host page's policy against inline styles does not concern. Colours
// are those of style.css, which is not there on a foreign page; a test compares the two.

const LIGHT = `
  --surface: #fbfaf7; --raised: #ffffff; --sunken: #f2f0ea; --line: #dcd8ce; --edge: #8d897f;
  --ink: #1c2024; --muted: #5b5f66; --accent: #1d5fa8; --on-accent: #ffffff;
  --bad: #a3241f; --bad-surface: #fdf0ee; --masked: #eceae4; --on-light: #15181c; --on-dark: #ffffff;`;
const DARK = `
  --surface: #14171b; --raised: #1b1f25; --sunken: #20252c; --line: #353b44; --edge: #767d88;
  --ink: #e9e7e2; --muted: #a3a8b0; --accent: #7db4ee; --on-accent: #0d1a28;
  --bad: #ff9c94; --bad-surface: #35201f; --masked: #23282f;`;

export const THEMES = { light: LIGHT, dark: DARK };

const CSS = `
:host { display: grid; grid-template-columns: minmax(0, 1fr); margin-block: 1.5rem; color-scheme: light dark; ${LIGHT}
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
@media (prefers-color-scheme: dark) { :host { ${DARK} } }
:host([theme="light"]) { color-scheme: light; ${LIGHT} }
:host([theme="dark"]) { color-scheme: dark; ${DARK} }
:host([hidden]), [hidden] { display: none !important; }
*, *::before, *::after { box-sizing: border-box; }
figure { margin: 0; padding: 1rem; min-height: var(--height, 0); background: var(--raised); color: var(--ink);
  border: 1px solid var(--line); border-radius: 6px; font: 0.9375rem / 1.5 var(--sans); text-align: start; }
.title { margin: 0 0 0.75rem; font-weight: 600; line-height: 1.3; }
.surface { position: relative; overflow-x: auto; }
canvas { display: block; cursor: crosshair; touch-action: pan-y; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
canvas:focus-visible { outline-offset: -2px; }
p { margin: 0; }
.readout, .words, .notices, figcaption, label, summary, table, .open { font-size: 0.8125rem; }
.readout { min-height: 1.6em; margin-top: 0.5rem; color: var(--muted); overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.actions { display: flex; flex-wrap: wrap; gap: 0.5rem 0.75rem; align-items: center; margin-top: 0.75rem; }
.words { flex: 1 1 8rem; color: var(--muted); font-variant-numeric: tabular-nums; }
.open, ::slotted(a) { display: inline-flex; align-items: center; color: var(--accent); min-height: 24px; font-size: 0.8125rem; }
button, input { font: inherit; color: inherit; min-height: 2.25rem; border-radius: 6px; }
button { padding: 0.25rem 1rem; border: 1px solid var(--edge); background: var(--raised); cursor: pointer; }
button:hover { border-color: var(--accent); color: var(--accent); }
button.primary { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
button.primary:hover { color: var(--on-accent); filter: brightness(1.08); }
progress { width: 8rem; height: 0.5rem; accent-color: var(--accent); }
form { display: flex; flex-wrap: wrap; gap: 0.5rem 0.75rem; align-items: end; margin-bottom: 1rem; padding: 0.75rem; background: var(--sunken); border-radius: 6px; }
form > div { flex: 1 1 16rem; min-width: 0; }
form > .token { flex: 0 1 8rem; }
label { display: block; color: var(--muted); margin-bottom: 0.25rem; }
input { width: 100%; padding: 0.25rem 0.75rem; background: var(--surface); border: 1px solid var(--edge); }
.error { margin-top: 0.75rem; padding: 0.5rem 1rem; border-inline-start: 3px solid var(--bad); background: var(--bad-surface); color: var(--bad); overflow-wrap: anywhere; }
.notices { margin-top: 0.5rem; color: var(--muted); }
.notices:empty, .error:empty { display: none; }
figcaption { margin-top: 0.75rem; color: var(--muted); line-height: 1.5; }
figcaption:empty { display: none; }
summary { cursor: pointer; color: var(--accent); padding: 0.25rem 0; min-height: 24px; width: fit-content; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: start; color: var(--muted); padding-bottom: 0.5rem; }
th, td { padding: 0.25rem 1rem 0.25rem 0; text-align: end; font-weight: 400; white-space: nowrap; border-bottom: 1px solid var(--line); }
tbody th, th:first-child { text-align: start; }
figure[data-status="error"] .surface, figure[data-status="running"]:not([data-fresh]) .surface { opacity: 0.6; }
@media (forced-colors: active) { :host { --on-accent: ButtonText; } canvas { forced-color-adjust: none; } button, input, figure { border-color: CanvasText; } }
@media print { .actions, form, details, .readout { display: none; } }
`;

/** @type {CSSStyleSheet | undefined} */
let made;
/** One sheet for all figures of the page. */
export function sheet() {
  if (!made) {
    made = new CSSStyleSheet();
    made.replaceSync(CSS);
  }
  return made;
}
