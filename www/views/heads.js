// Section 8: every head with its scores, sortable; a click shows it in the attention view. Longer than most files:
// what is asked and what is listed decide on each other.
import { S } from "../strings.js";
import { detect, effectsOf, rowsOf, sorted } from "../heads.js";
import { live } from "../live.js";
import { showExact, showSigned } from "../format.js";
import { el, fill, scrollable } from "./dom.js";
import { button, checkbox, choice, linesField, select } from "./fields.js";
import { headsSweep } from "./heads_sweep.js";
import { computed } from "./section.js";

/** @typedef {import("../heads.js").Row} Row */
/** How many heads are listed. */
const COUNTS = [10, 20, 50];

/** @param {import("../state.js").Store} store @param {import("../session.js").Session} session */
export function headsView(store, session) {
  const now = () => store.get("heads");
  const { inputs } = now();
  const prompt = () => store.get("attention").inputs.prompt;
  const onPrompt = () => now().inputs.on === "prompt" || now().inputs.pattern === "own";
  const job = live(store, session, "heads", (lab, options) =>
    lab.run(detect(now().inputs, store.get("settings").inputs, prompt(), lab.info.model), options), {
    also: { keys: ["attention"], inputs: () => onPrompt() && prompt() },
  });
  const frame = computed({ store, key: "heads", live: job, render, engineOf: ({ engine }) => engine });

  const source = choice(S.heads.on, S.heads.sources, inputs.on, (on) => edit({ on }));
  const pattern = choice(S.heads.looked, S.heads.patterns, inputs.pattern, (pattern) => edit({ pattern }));
  const own = linesField(S.heads.own, inputs.own, (text) => store.edit("heads", { own: text }));
  own.input.rows = 6;
  const ownBox = el("div", { class: "field wide" }, own.root, el("p", { class: "note" }, `${S.heads.ownNote} ${S.heads.ownOnPrompt}`));
  const measure = choice(S.heads.measure, S.heads.measures, inputs.measure, (measure) => edit({ measure }));
  const excluded = /** @type {const} */ ([["exclude_bos", S.heads.excludeBos], ["exclude_current_token", S.heads.excludeCurrent]])
    .map(([name, label]) => ({ name, box: checkbox(label, inputs[name], (on) => edit({ [name]: on })) }));
  const note = el("p", { class: "note" });
  const row = (/** @type {Node[]} */ ...nodes) => el("div", { class: "row" }, ...nodes);
  fill(frame.controls, row(pattern.root, source.root), ownBox, row(measure.root), note,
    el("div", {}, ...excluded.map(({ box }) => box.root)));

  const most = select(S.heads.show, [...COUNTS.map((n) => /** @type {[string, string]} */ ([`${n}`, S.heads.first(`${n}`)])), ["0", S.heads.all]], String(now().view.most),
    (count) => look({ most: Number(count) }));
  const list = scrollable(S.heads.title);
  const caption = el("caption", {});
  const head = el("tr", {});
  const body = el("tbody", {});
  fill(list, el("table", { class: "heads" }, caption, el("thead", {}, head), body));
  const effectNote = el("p", { class: "note" });
  const sweep = headsSweep(store, session, { changed: () => draw(), after: list });
  const finding = el("p", { class: "finding" });
  fill(frame.body, finding, row(most.root), list, row(effectNote, sweep.work), sweep.trouble);

  /** The last detection. @type {any} */
  let scores = null;

  /** @param {Partial<import("../state.js").HeadsInputs>} patch */
  function edit(patch) {
    store.edit("heads", patch);
  }

  function arrange() {
    const { pattern: looked, on, measure: by } = now().inputs;
    source.set(on);
    pattern.set(looked);
    measure.set(by);
    own.set(now().inputs.own);
    for (const { name, box } of excluded) box.set(now().inputs[name]);
    most.set(String(now().view.most));
    ownBox.hidden = looked !== "own";
    source.root.hidden = looked === "own";
    const info = store.get("model").info?.model;
    const rows = info && on === "repeated" && looked !== "own" ? scores?.experiment.prompts : null;
    note.textContent = [S.heads.measureNote[by], rows && S.heads.repeated(rows.length, rows[0].length)].filter(Boolean).join(" ");
  }

  /** @param {Partial<ReturnType<typeof now>["view"]>} patch */
  function look(patch) {
    store.update("heads", { view: { ...now().view, ...patch } });
  }

  /** @param {any} result */
  function render(result) {
    scores = result;
    arrange();
    draw();
  }

  /** What section 5 found, if it switched every head off by itself; else what was asked for here. */
  function ablation() {
    const { job } = store.get("ablate");
    const count = scores.shape.slice(-2).reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b, 1);
    const found = job.status === "done" || job.recorded?.same ? job.value?.result : undefined;
    for (const result of [found, sweep.result]) {
      const effects = effectsOf(result, count);
      if (effects) return { effects, metric: result.experiment.metric.kind, here: result === sweep.result };
    }
    return null;
  }

  function draw() {
    if (!scores) return;
    const { by, down, most } = now().view;
    const found = ablation();
    const rows = rowsOf(scores, found?.effects ?? null);
    const columns = ["head", ...Object.keys(rows[0]?.values ?? {})];
    const column = columns.includes(by) ? by : columns[1];
    const all = sorted(rows, column, down);
    const shown = most ? all.slice(0, most) : all;
    // Buttons that stay keep the keyboard where it is.
    if (head.dataset.columns !== columns.join()) {
      head.dataset.columns = columns.join();
      fill(head, ...columns.map((name) => el("th", { scope: "col", "data-column": name }, el("button", { type: "button", class: "sort", click: () => {
        const { by, down } = now().view;
        look({ by: name, down: by === name ? !down : name !== "head" });
      } }, S.heads.columns[/** @type {keyof typeof S.heads.columns} */ (name)]))));
    }
    for (const th of head.children) {
      th.setAttribute("aria-sort", th.getAttribute("data-column") === column ? (down ? "descending" : "ascending") : "none");
    }
    caption.textContent = S.heads.caption(shown.length, all.length);
    const held = document.activeElement instanceof HTMLElement && body.contains(document.activeElement) ? document.activeElement.textContent : null;
    fill(body, ...shown.map((entry) => el("tr", {},
      el("th", { scope: "row" }, button(entry.name, () => open(entry), { quiet: true, label: S.heads.open(entry.name) })),
      ...Object.entries(entry.values).map(([name, value]) => cell(value, name === "effect")))));
    if (held !== null) ([...body.querySelectorAll("button")].find(({ textContent }) => textContent === held) ?? list).focus({ preventScroll: true });
    effectNote.textContent = found ? S.heads.effect(S.ablate.measured[found.metric], found.here) : S.heads.noEffect;
    sweep.draw(Boolean(found));
    const strongest = columns.slice(1).filter((name) => name !== "effect").map((name) => {
      const [top] = sorted(rows, name, true);
      const value = top?.values[name];
      return value === null || value === undefined ? "" : S.heads.strongest(S.heads.columns[/** @type {keyof typeof S.heads.columns} */ (name)], top.name, showExact(value));
    });
    finding.textContent = strongest.join(" ");
  }

  /** Shows a head in the attention view. @param {Row} row */
  function open({ layer, head }) {
    const { view } = store.get("attention");
    store.update("attention", { view: { layer: view.layer === layer ? layer : null, head: { layer, head }, locked: true } });
    const section = document.getElementById("attention");
    section?.scrollIntoView();
    /** @type {HTMLElement | null | undefined} */ (section?.querySelector("[role=grid]"))?.focus({ preventScroll: true });
  }

  let seen = { inputs, view: now().view };
  store.subscribe("heads", () => {
    const { inputs, view } = now();
    if (inputs !== seen.inputs || view !== seen.view) arrange();
    if (view !== seen.view) draw();
    seen = { inputs, view };
  });
  let effect = store.get("ablate").job;
  store.subscribe("ablate", () => {
    if (store.get("ablate").job === effect) return;
    effect = store.get("ablate").job;
    draw();
  });
  arrange();
  return frame.root;
}

/** A number with a bar of its size behind it. @param {number | null} value @param {boolean} signed */
function cell(value, signed) {
  const node = el("td", { class: signed ? "" : "score" }, value === null ? "–" : signed ? showSigned(value) : showExact(value));
  if (!signed) node.style.setProperty("--part", String(Math.max(0, Math.min(1, value ?? 0))));
  return node;
}
