// Section 4: every head's attention pattern as a small square, one enlarged, and the same token by token.
import { S } from "../strings.js";
import { attention } from "../experiments.js";
import { patternFigure, patternsOf } from "../figures.js";
import { LabError } from "../errors.js";
import { live } from "../live.js";
import { drawSheet, hitTile, sheetLayout } from "../draw/attention.js";
import { nameOf, showBytes, showCount, showExact } from "../format.js";
import { el, fill } from "./dom.js";
import { choice, textField } from "./fields.js";
import { heatmapView } from "./heatmap.js";
import { computed } from "./section.js";
import { surface } from "./surface.js";
import { tokenStrip } from "./strip.js";

/** All patterns of a prompt are kept on the page; beyond this a tab on a phone would be killed. */
const MOST_BYTES = 256e6;

/** @typedef {import("../draw/attention.js").Pattern} Pattern */
/** @typedef {import("../microtome.js").Token} Token */
/** @typedef {{ result: import("../microtome.js").TraceResult, tokens: Token[] }} Value */

/** @param {import("../state.js").Store} store @param {import("../session.js").Session} session */
export function attentionView(store, session) {
  const now = () => store.get("attention");
  const job = live(store, session, "attention", async (lab, options) => {
    const { inputs } = now();
    const settings = store.get("settings").inputs;
    const { n_layers, n_heads } = lab.info.model;
    const tokens = await lab.tokenize(inputs.prompt, settings.prepend_bos);
    const bytes = n_layers * n_heads * tokens.length ** 2 * 4;
    if (bytes > MOST_BYTES) throw new LabError("input.too_big", S.attention.tooBig(showCount(tokens.length), showBytes(bytes)));
    return { result: await lab.run(attention(inputs, settings, n_layers), options), tokens };
  });
  const frame = computed({ store, key: "attention", live: job, render, engineOf: ({ result }) => result.engine });

  /** @type {Pattern[]} */ let all = [];
  /** @type {Token[]} */ let tokens = [];
  /** @type {ReturnType<typeof sheetLayout> | null} */ let sheet = null;
  /** The head under the pointer, shown as long as none is locked. @type {Pattern | null} */ let preview = null;

  const listed = () => all.filter(({ layer }) => now().view.layer === null || layer === now().view.layer);
  /** @param {Partial<ReturnType<typeof now>["view"]>} patch */
  const look = (patch) => store.update("attention", { view: { ...now().view, ...patch } });
  const shown = () => {
    const { head, locked } = now().view;
    const chosen = all.find((p) => p.layer === head.layer && p.head === head.head) ?? all[0];
    return locked ? chosen : preview ?? chosen;
  };

  const tiles = surface({
    tabindex: 0, role: "application", "aria-label": S.attention.sheet, "aria-roledescription": S.attention.sheetRole,
    pointermove: (/** @type {PointerEvent} */ event) => hover(under(event)),
    pointerleave: () => hover(null),
    click: (/** @type {PointerEvent} */ event) => {
      const tile = under(event);
      if (tile) lock(tile);
    },
    keydown: (/** @type {KeyboardEvent} */ event) => step(event),
  }, (size, theme) => {
    const heads = listed();
    if (!heads.length) return null;
    const layers = new Set(heads.map(({ layer }) => layer)).size;
    sheet = sheetLayout(heads.length / layers, layers, size);
    const { locked } = now().view;
    return { width: sheet.width, height: sheet.height, ops: drawSheet(heads, sheet, theme, { shown: heads.indexOf(shown()), locked }) };
  });
  const zoom = heatmapView({
    palette: "sequential", square: true,
    describe: (_, { row, col }, value) => S.attention.cell(nameOf(tokens[row]), row, nameOf(tokens[col]), col,
      value === null ? S.attention.masked : showExact(value)),
  });
  const strip = tokenStrip();
  const title = el("h3", {});
  const hint = el("span", { class: "note" });
  const layers = el("div", {});
  /** @type {ReturnType<typeof choice> | null} */ let pick = null;
  fill(frame.controls, textField(S.common.prompt, now().inputs.prompt, (prompt) => store.edit("attention", { prompt })).root, layers);
  fill(frame.body, tiles.root, el("div", { class: "heading" }, title, hint), zoom.root, strip.root);
  frame.root.addEventListener("keydown", ({ key }) => key === "Escape" && look({ locked: false }));

  /** @param {PointerEvent} event */
  function under(event) {
    const box = tiles.canvas.getBoundingClientRect();
    const heads = listed();
    const index = sheet && hitTile(sheet, heads.length, event.clientX - box.left, event.clientY - box.top);
    return index === null ? null : heads[index];
  }

  /** @param {Pattern | null} pattern */
  function hover(pattern) {
    if (pattern === preview) return;
    preview = pattern;
    if (!now().view.locked) refresh();
  }

  /** Locks a head; the locked one is let go. @param {Pattern} pattern */
  function lock({ layer, head }) {
    const { view } = now();
    const again = view.locked && view.head.layer === layer && view.head.head === head;
    look({ head: { layer, head }, locked: !again });
  }

  /** @param {KeyboardEvent} event */
  function step(event) {
    const heads = listed();
    const at = heads.indexOf(shown());
    const columns = sheet?.columns ?? 1;
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Enter: 0, " ": 0 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    if (by === 0) return lock(heads[at]);
    const { layer, head } = heads[Math.min(heads.length - 1, Math.max(0, at + by))];
    preview = null;
    look({ head: { layer, head } });
  }

  function refresh() {
    const pattern = shown();
    if (!pattern) return;
    tiles.redraw();
    title.textContent = S.attention.figure(pattern.layer, pattern.head);
    hint.textContent = now().view.locked ? S.attention.kept : S.attention.preview;
    zoom.show(patternFigure(pattern, tokens));
    strip.show(pattern, tokens);
  }

  /** @param {Value} value */
  function render({ result, tokens: next }) {
    const count = all.at(-1)?.layer;
    all = patternsOf(result);
    tokens = next;
    preview = null;
    if (all.at(-1)?.layer !== count) drawLayers();
    refresh();
  }

  function drawLayers() {
    const numbers = [...new Set(all.map(({ layer }) => layer))].map((layer) => /** @type {[string, string]} */ ([`${layer}`, `${layer}`]));
    pick = choice(S.attention.layer, [["", S.attention.all], ...numbers], String(now().view.layer ?? ""), (to) => {
      const layer = to === "" ? null : Number(to);
      look({ layer, head: layer === null ? now().view.head : { layer, head: now().view.head.head } });
    });
    fill(layers, pick.root);
  }

  let view = now().view;
  store.subscribe("attention", () => {
    if (now().view !== view) {
      // The list of heads chooses, too.
      if (now().view.layer !== view.layer) pick?.set(String(now().view.layer ?? ""));
      refresh();
    }
    view = now().view;
  });
  return frame.root;
}
