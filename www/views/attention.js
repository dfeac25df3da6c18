// Section 4: every head's attention pattern as a small square, one enlarged, and the same token by token.
import { S } from "../strings.js";
import { attention } from "../experiments.js";
import { patternFigure, patternsOf } from "../figures.js";
import { LabError } from "../errors.js";
import { live } from "../live.js";
import { drawSheet, hitTile, sharesTo, sheetLayout, sheetMark } from "../draw/attention.js";
import { nameOf, showBytes, showCount, showExact } from "../format.js";
import { el, fill } from "./dom.js";
import { promptChips } from "./chips.js";
import { choice, textField } from "./fields.js";
import { gridSurface } from "./grid_surface.js";
import { heatmapView } from "./heatmap.js";
import { contrastControl } from "./look.js";
import { computed } from "./section.js";
import { tokenStrip } from "./strip.js";
import { copying } from "./tools.js";

/** All patterns of a prompt are kept on the page; beyond this a tab on a phone would be killed. */
const MOST_BYTES = 256e6;

/** @typedef {import("../draw/attention.js").Pattern} Pattern */
/** @typedef {import("../microtome.js").Token} Token */
/** @typedef {{ result: import("../microtome.js").TraceResult, tokens: Token[] }} Value */

/**
 * @param {import("../state.js").Store} store
 * @param {import("../session.js").Session} session
 * @param {import("../tokens.js").TokenSource} source
 * @param {() => Promise<boolean>} copyLink to the section, whose link says which head is enlarged; whether it is copied
 */
export function attentionView(store, session, source, copyLink) {
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

  /** The heads of the sheet; the same list as long as it is the same sheet. @type {Pattern[]} */ let listed = [];
  /** @param {Partial<ReturnType<typeof now>["view"]>} patch */
  const look = (patch) => store.update("attention", { view: { ...now().view, ...patch } });
  const shown = () => {
    const { head, locked } = now().view;
    const chosen = all.find((p) => p.layer === head.layer && p.head === head.head) ?? all[0];
    return locked ? chosen : preview ?? chosen;
  };

  /** A head's place in the sheet. @param {Pattern | undefined} pattern */
  const placeOf = (pattern) => {
    const index = pattern ? listed.indexOf(pattern) : -1;
    return index < 0 || !sheet ? null : { row: Math.floor(index / sheet.columns), col: index % sheet.columns };
  };
  /** @param {import("../cursor.js").Cell} cell */
  const headAt = ({ row, col }) => (sheet ? listed[row * sheet.columns + col] : undefined);
  const tiles = gridSurface({
    role: S.attention.sheetRole,
    size: () => sheet && { rows: Math.ceil(listed.length / sheet.columns), cols: sheet.columns, count: listed.length },
    under: (x, y) => {
      const index = sheet && hitTile(sheet, listed.length, x, y);
      return index === null ? null : placeOf(listed[index]);
    },
    at: () => placeOf(shown()),
    say: (cell) => {
      const { layer, head } = headAt(cell) ?? { layer: 0, head: 0 };
      return S.figures.head(layer, head, now().view.locked);
    },
    point: (cell) => hover(cell ? headAt(cell) ?? null : null),
    move: (cell) => {
      const to = headAt(cell);
      preview = null;
      if (to) look({ head: { layer: to.layer, head: to.head } });
    },
    pick: (cell) => {
      const to = headAt(cell);
      if (to) lock(to);
    },
    drop: () => {},
    draw: (size, theme) => {
      if (!listed.length) return null;
      const layers = new Set(listed.map(({ layer }) => layer)).size;
      const at = sheetLayout(listed.length / layers, layers, size);
      const [heads, top] = [listed, contrast.top()];
      sheet = at;
      return { width: at.width, height: at.height, key: [heads, top], ops: () => drawSheet(heads, at, theme, size.ratio, top),
        marks: sheetMark(at, theme, { shown: Math.max(0, heads.indexOf(shown())), locked: now().view.locked }) };
    },
  });
  tiles.name(S.attention.sheet);
  const zoom = heatmapView({
    square: true,
    describe: (_, { row, col }, value) => S.attention.cell(nameOf(tokens[row]), row, nameOf(tokens[col]), col,
      value === null ? S.attention.masked : showExact(value)),
  });
  const strip = tokenStrip({ point: (token) => zoom.mark(token) });
  const title = el("h3", {});
  const hint = el("span", { class: "note" });
  const link = copying("", copyLink);
  const layers = el("div", {});
  const contrast = contrastControl(store);
  /** @type {ReturnType<typeof choice> | null} */ let pick = null;
  const prompt = textField(S.common.prompt, now().inputs.prompt, (prompt) => store.edit("attention", { prompt }));
  const chips = promptChips(source, () => now().inputs.prompt);
  store.subscribe("attention", () => {
    prompt.set(now().inputs.prompt);
    chips.look();
  });
  fill(frame.controls, prompt.root, chips.root, el("div", { class: "row" }, layers, contrast.root));
  fill(frame.body, tiles.root, tiles.live, el("div", { class: "heading" }, title, hint), zoom.root, el("p", { class: "copy-link" }, link), strip.root);
  frame.root.addEventListener("keydown", ({ key }) => key === "Escape" && look({ locked: false }));

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

  function refresh() {
    const pattern = shown();
    if (!pattern) return;
    tiles.redraw();
    title.textContent = S.attention.figure(pattern.layer, pattern.head);
    hint.textContent = now().view.locked ? S.attention.kept : S.attention.preview;
    link.textContent = S.attention.copyLink(`L${pattern.layer}H${pattern.head}`);
    zoom.show({ ...patternFigure(pattern, tokens), scale: sharesTo(contrast.top()) });
    strip.show(pattern, tokens);
  }

  /** @param {Value} value */
  function render({ result, tokens: next }) {
    const count = all.at(-1)?.layer;
    all = patternsOf(result);
    tokens = next;
    list();
    preview = null;
    if (all.at(-1)?.layer !== count) drawLayers();
    refresh();
  }

  /** The layer that is chosen; null, all of them, where the model has no such layer: a link, or a larger model, may have named it. */
  function onlyLayer() {
    const { layer } = now().view;
    return all.some((pattern) => pattern.layer === layer) ? layer : null;
  }

  function list() {
    const only = onlyLayer();
    listed = all.filter(({ layer }) => only === null || layer === only);
  }

  function drawLayers() {
    const numbers = [...new Set(all.map(({ layer }) => layer))].map((layer) => /** @type {[string, string]} */ ([`${layer}`, `${layer}`]));
    pick = choice(S.attention.layer, [["", S.attention.all], ...numbers], String(onlyLayer() ?? ""), (to) => {
      const layer = to === "" ? null : Number(to);
      look({ layer, head: layer === null ? now().view.head : { layer, head: now().view.head.head } });
    });
    fill(layers, pick.root);
  }

  let seen = contrast.top();
  store.subscribe("look", () => {
    if (contrast.top() !== seen) refresh();
    seen = contrast.top();
  });
  let view = now().view;
  store.subscribe("attention", () => {
    if (now().view !== view) {
      // The list of heads chooses, too.
      if (now().view.layer !== view.layer) {
        pick?.set(String(onlyLayer() ?? ""));
        list();
      }
      refresh();
    }
    view = now().view;
  });
  return frame.root;
}
