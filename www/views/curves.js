// The figures of section 9: four line charts, a strip of small heatmaps and their numbers. A step that is pointed at in
// one of them is shown in all. Longer than most files: they share the step.
import { S } from "../strings.js";
import { MAPS } from "../draw/maps.js";
import { drawStrip, hitStep, stripLayout, stripOf } from "../draw/strip.js";
import { lastDone, ranked } from "../series.js";
import { showCount, showExact, showNumber } from "../format.js";
import { el, fill, scrollable, table } from "./dom.js";
import { select } from "./fields.js";
import { linesView } from "./lines.js";
import { numbersView } from "./numbers.js";
import { surface } from "./surface.js";

/** @typedef {import("../series.js").Series} Series */
/** Heads that are drawn strong in the chart of all heads. */
const STRONG = 4;

/**
 * @param {import("../state.js").Store} store
 * @param {{ pick: (step: number) => void, current: () => number | null }} steps `pick` puts a step onto the engine,
 *   `current` is the one that is there
 */
export function curvesView(store, { pick, current }) {
  const now = () => store.get("training");
  /** @type {Series | null} */ let series = null;
  /** @type {ReturnType<typeof stripLayout> | null} */ let sheet = null;
  const here = () => {
    const index = series?.steps.indexOf(current() ?? NaN) ?? -1;
    return index < 0 ? null : index;
  };
  /** The step whose numbers are in sight. */
  const shown = () => now().pointed ?? here() ?? (series ? lastDone(series) : null);

  /** The step under the pointer, and the one that keys have chosen, which stays when the pointer leaves. */
  const at = { pointer: /** @type {number | null} */ (null), keys: /** @type {number | null} */ (null) };
  const show = () => {
    const pointed = at.pointer ?? at.keys;
    if (pointed !== now().pointed) store.update("training", { pointed });
  };
  const hands = {
    point: (/** @type {number | null} */ index) => {
      at.pointer = index;
      show();
    },
    pick: (/** @type {number} */ index) => {
      const { job, family } = now();
      if (series && job.status !== "running" && job.value?.own && family?.includes(series.steps[index])) pick(series.steps[index]);
    },
    key: (/** @type {KeyboardEvent} */ event) => {
      if (!series) return;
      const last = series.steps.length - 1;
      const from = now().pointed ?? here() ?? last;
      // The first arrow only shows where it starts from.
      const by = now().pointed === null ? 0 : 1;
      const to = { ArrowRight: from + by, ArrowDown: from + by, ArrowLeft: from - by, ArrowUp: from - by, Home: 0, End: last, Escape: null, Enter: from, " ": from }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      if (event.key === "Enter" || event.key === " ") return hands.pick(from);
      at.pointer = null;
      at.keys = to === null ? null : Math.min(last, Math.max(0, to));
      show();
    },
  };

  const { charts } = S.training;
  const heads = select(charts.effect.head, [], "", (head) => store.edit("training", { head }), { hiddenLabel: true });
  const views = {
    loss: linesView(charts.loss, hands), tasks: linesView(charts.tasks, hands),
    induction: linesView(charts.induction, hands), effect: linesView(charts.effect, hands, [heads.root]),
  };
  const strip = surface({
    tabindex: 0, role: "application", "aria-label": S.training.stripLabel, "aria-roledescription": S.training.stripRole,
    pointermove: (/** @type {PointerEvent} */ event) => hands.point(under(event)),
    pointerleave: () => hands.point(null),
    click: (/** @type {PointerEvent} */ event) => {
      const index = under(event);
      if (index !== null) hands.pick(index);
    },
    keydown: hands.key,
  }, (size, theme) => {
    if (!series?.heads.length) return null;
    const maps = stripOf(series);
    sheet = stripLayout(maps, size);
    const coloured = { ...theme, diverging: MAPS[store.get("look").map] };
    return { width: sheet.width, height: sheet.height, ops: drawStrip(maps, sheet, coloured, { pointed: now().pointed, current: here() }) };
  });
  const stripNote = el("p", { class: "note" });
  const recolour = () => {
    stripNote.textContent = S.training.stripNote(S.figures.look.colours[store.get("look").map]);
    strip.redraw();
  };
  store.subscribe("look", recolour);
  recolour();
  const readout = el("p", { class: "readout", "aria-live": "polite" }, S.training.pointAt);
  const scroll = scrollable(S.training.table);
  const cells = numbersView(S.training.cellsTable);
  const numbers = el("details", { class: "numbers", toggle: () => fillTable() }, el("summary", {}, S.training.table), scroll);
  const root = el("figure", { class: "curves" },
    el("div", { class: "charts" }, ...Object.values(views).map((view) => view.root)),
    el("h3", {}, S.training.strip), stripNote, strip.root, readout, el("div", { class: "below" }, numbers, cells.root));

  /** @param {PointerEvent} event */
  function under(event) {
    const box = strip.canvas.getBoundingClientRect();
    return sheet && series ? hitStep(sheet, series.steps.length, event.clientX - box.left, event.clientY - box.top) : null;
  }

  /** The head whose effect is drawn strong. */
  function chosen() {
    const at = series ? series.heads.indexOf(now().inputs.head) : -1;
    return at >= 0 || !series ? at : ranked(series.changes, lastDone(series), -1)[0]?.head ?? 0;
  }

  function draw() {
    if (!series) return;
    const { steps, errors, heads: names, loss, kinds, tasks, detectors, changes } = series;
    const frame = { steps, skipped: errors.flatMap((error, i) => (error ? [i] : [])), current: here() };
    const line = (/** @type {string} */ name, /** @type {import("../series.js").Curve} */ curve, /** @type {number | null} */ style) => ({ name, curve, style });
    const of = (/** @type {Record<string, string>} */ lines, /** @type {Record<string, import("../series.js").Curve>} */ curves) =>
      Object.entries(lines).map(([key, name], i) => line(name, curves[key], i));
    views.loss.show({ ...frame, lines: of(charts.loss.lines, { mean: loss, ...kinds }) });
    views.tasks.show({ ...frame, lines: of(charts.tasks.lines, tasks) });
    const strong = ranked(detectors.induction, lastDone(series)).slice(0, STRONG).map(({ head }) => head);
    const thin = names.flatMap((name, i) => (strong.includes(i) ? [] : [line(name, detectors.induction[i], null)]));
    views.induction.show({ ...frame, lines: [...strong.map((i, style) => line(names[i], detectors.induction[i], style)), ...thin] }, charts.induction.others(thin.length));
    const head = chosen();
    views.effect.show({ ...frame, lines: names.map((name, i) => line(name, changes[i], i === head ? 0 : null)).sort((a, b) => Number(b.style !== null) - Number(a.style !== null)) },
      charts.effect.others(Math.max(0, names.length - 1)));
    if (heads.input.length !== names.length) fill(heads.input, ...names.map((name) => el("option", { value: name }, name)));
    if (names.length) heads.input.value = names[head];
    fillTable();
    point();
  }

  /** What is said, and drawn, of the step that is pointed at. */
  function point() {
    const at = shown();
    for (const view of Object.values(views)) view.point(now().pointed, at);
    strip.redraw();
    const { pointed } = now();
    readout.textContent = series && pointed !== null && pointed < series.steps.length ? wordsOf(series, pointed) : S.training.pointAt;
  }

  /** @param {Series} all @param {number} at */
  function wordsOf(all, at) {
    const { steps, errors, done, loss, tasks, changes, heads: names, detectors } = all;
    const step = showCount(steps[at]);
    const error = errors[at];
    if (error) return S.training.skipped(step, error.message);
    if (!done[at]) return S.training.notDone(step);
    const write = (/** @type {number | null | undefined} */ value) => (value === null || value === undefined ? "–" : showNumber(value));
    const [best] = ranked(detectors.induction, at);
    const head = chosen();
    const change = changes[head]?.[at];
    return S.training.at({ step, loss: write(loss[at]), pronouns: write(tasks.pronouns[at]), objects: write(tasks.objects[at]),
      best: best ? names[best.head] : "–", induction: write(best?.value), head: names[head], change: `${change && change > 0 ? "+" : ""}${write(change)}` });
  }

  /** The strip's numbers: every head at every step. @param {Series} of */
  function fillCells({ steps, shape: [rows, cols], done, changes }) {
    const axis = (/** @type {string} */ title, /** @type {number} */ n) => ({ title, labels: Array.from({ length: n }, (_, i) => String(i)) });
    const { columns, strip: title } = S.training;
    cells.show({
      title, caption: "", rows, cols, scale: { min: -1, mid: 0, max: 1 },
      panel_axes: [{ title: columns.step, labels: steps.map(showCount) }], row_axis: axis(columns.layer, rows), col_axis: axis(columns.head, cols),
      values: steps.flatMap((_, i) => changes.map((curve) => curve[i] ?? null)),
    }, !done.every(Boolean));
  }

  function fillTable() {
    if (!numbers.open || !series) return fill(scroll);
    const { steps, done, errors, loss, tasks, changes, heads: names, detectors } = series;
    const { columns } = S.training;
    const head = chosen();
    const write = (/** @type {number | null | undefined} */ value) => (value === null || value === undefined ? "–" : showExact(value));
    fill(scroll, table(S.training.table,
      [columns.step, columns.loss, columns.pronouns, columns.objects, columns.best, columns.induction, columns.without(names[head] ?? "–")],
      steps.map((step, i) => {
        const [best] = ranked(detectors.induction, i);
        if (errors[i] || !done[i]) return [showCount(step), errors[i] ? S.training.skippedMark : "…", "", "", "", "", ""];
        return [showCount(step), write(loss[i]), write(tasks.pronouns[i]), write(tasks.objects[i]), best ? names[best.head] : "–", write(best?.value), write(changes[head]?.[i])];
      })));
  }

  let { pointed, inputs } = now();
  store.subscribe("training", () => {
    const last = { pointed, inputs };
    ({ pointed, inputs } = now());
    if (inputs !== last.inputs) draw();
    else if (pointed !== last.pointed) point();
  });

  return {
    root, views,
    /** @param {Series} next */
    show(next) {
      series = next;
      if (series.steps.length <= Math.max(at.pointer ?? 0, at.keys ?? 0)) at.pointer = at.keys = null;
      fillCells(series);
      draw();
    },
    /** Another step is on the engine. */
    moved: draw,
  };
}
