// The panel under a sweep's figure: what the run behind the chosen cell predicts, and where its heads look, beside the run
// without the edit. Loaded with the first click. Longer than most files: one run, four ways to look at it.
import { S } from "../strings.js";
import { behind, metricOf, movedBy, patternsAsked, prediction, sameModel } from "../behind.js";
import { LabError, toPlain } from "../errors.js";
import { patternHook } from "../experiments.js";
import { patternFigure, patternsOf } from "../figures.js";
import { symmetric } from "../draw/colour.js";
import { nameOf, showBytes, showCount, showExact, showFixed, showPercent, showSigned, showText } from "../format.js";
import { el, fill, table } from "./dom.js";
import { button, choice, select } from "./fields.js";
import { heatmapView } from "./heatmap.js";
import { errorBox } from "./section.js";

/** @typedef {import("../behind.js").Behind} Behind */
/** @typedef {import("../behind.js").AblateResult | import("../behind.js").PatchResult} Swept */
/** @typedef {import("../draw/attention.js").Pattern} Pattern */
/** @typedef {import("../microtome.js").Token} Token */
/** Rows of the table of tokens. */
const TOP = 8;
/** The patterns of both runs are kept on the page. */
const MOST_BYTES = 256e6;

/**
 * @param {import("../state.js").Store} store
 * @param {import("../session.js").Session} session
 * @param {() => void} closed
 */
export function behindView(store, session, closed) {
  /** @type {{ result: Swept, cell: number } | null} */ let shown = null;
  let which = { prompt: 0, reference: 0 };
  /** @type {AbortController | null} */ let running = null;
  /** @type {Pattern[]} */ let before = [];
  /** @type {Pattern[]} */ let after = [];
  /** @type {Token[]} */ let tokens = [];
  let head = 0;
  let side = "after";

  const title = el("h4", {});
  const pickers = el("div", { class: "row" });
  const status = el("p", { class: "note", role: "status" });
  const answer = el("div", {});
  const words = S.figures.behind;
  const describe = (/** @type {{ row: number, col: number }} */ { row, col }) => {
    const at = (/** @type {Pattern} */ { data, n }) => showExact(data[row * n + col]);
    return words.pattern(nameOf(tokens[row]), row, nameOf(tokens[col]), col,
      col > row ? S.attention.masked : `${at(before[head])} → ${at(after[head])} (${showSigned(after[head].data[row * after[head].n + col] - before[head].data[row * before[head].n + col])})`);
  };
  const pattern = heatmapView({ square: true, describe: (_, cell) => describe(cell) });
  const change = heatmapView({ square: true, look: { store, key: "behind" }, describe: (_, cell) => describe(cell) });
  const heads = select(words.head, [], "", (index) => {
    head = Number(index);
    drawHead();
  });
  const sides = choice(words.show, [["before", words.before], ["after", words.after], ["difference", words.difference]], side, (to) => {
    side = to;
    drawHead();
  });
  const attention = el("div", { hidden: true }, el("h5", {}, words.attention), el("div", { class: "row" }, heads.root, sides.root), el("p", { class: "note" }, words.movedNote), pattern.root, change.root);
  const root = el("aside", { class: "behind", hidden: true, keydown: (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    close();
  } }, el("div", { class: "heading" }, title, button(words.close, close, { quiet: true })), pickers, status, answer, attention);

  function close() {
    running?.abort();
    running = null;
    shown = null;
    see(false);
    closed();
  }

  /** @param {Swept} result @param {number} cell */
  function open(result, cell) {
    const same = shown && JSON.stringify(shown.result.experiment) === JSON.stringify(result.experiment);
    shown = { result, cell };
    if (!same) which = { prompt: 0, reference: 0 };
    const of = behind(result, cell);
    drawPickers(of);
    // Without the tokens, which come with the run: so the panel has its heading at once.
    name(sentence(of, []));
    see(true);
    void run();
  }

  /** @param {boolean} open */
  function see(open) {
    root.hidden = !open;
    root.closest(".body")?.classList.toggle("run-open", open);
  }

  /** @param {string} text */
  function name(text) {
    title.textContent = text;
    root.setAttribute("aria-label", text);
  }

  /** Says why there is no run, in its place. @param {string} text @param {Element} [instead] */
  function without(text, instead) {
    running = null;
    status.textContent = text;
    attention.hidden = true;
    answer.classList.remove("stale");
    fill(answer, instead);
  }

  /** @param {Behind} of */
  function drawPickers({ prompts, references }) {
    const { experiment } = /** @type {{ result: Swept }} */ (shown).result;
    const list = "prompts" in experiment ? experiment.prompts.map(({ prompt }) => prompt) : "pairs" in experiment ? experiment.pairs.map(({ corrupted }) => corrupted) : [];
    const edit = "edit" in experiment && experiment.edit.kind !== "zero" ? experiment.edit.prompts : [];
    const pick = (/** @type {string} */ label, /** @type {import("../microtome.js").Prompt[]} */ from, /** @type {"prompt" | "reference"} */ key) =>
      select(label, from.map((prompt, i) => [String(i), showText(String(prompt))]), String(which[key]), (to) => {
        which = { ...which, [key]: Number(to) };
        void run();
      }).root;
    fill(pickers, prompts > 1 && pick(words.prompt, list, "prompt"), references > 1 && pick(words.reference, edit, "reference"));
  }

  async function run() {
    running?.abort(new LabError("run.superseded", "A newer request took its place."));
    const lab = session.lab();
    const now = shown;
    if (!now) return;
    if (!lab) return without(words.waiting);
    const { model } = now.result;
    if (!sameModel(model, lab.info.model)) return without(words.otherModel);
    const mine = new AbortController();
    running = mine;
    const { signal } = mine;
    status.textContent = words.running;
    // What is still there is of the run before.
    for (const part of [answer, attention]) part.classList.add("stale");
    try {
      const of = behind(now.result, now.cell, which);
      const top = Math.min(TOP, lab.info.model.d_vocab);
      const predicted = [];
      for (const asked of of.runs) predicted.push(await lab.run(prediction(of, asked, top), { signal }));
      if (running !== mine) return;
      // Another checkpoint may have come in between.
      if (!predicted.every((result) => sameModel(model, result.model))) return without(words.otherModel);
      drawAnswer(of, predicted, now);
      await trace(lab, model, of, predicted[0].tokens, signal, () => running === mine);
      if (running === mine) running = null;
    } catch (thrown) {
      const error = toPlain(thrown);
      if (running !== mine) return;
      if (error.code === "run.cancelled") return without("");
      // The model was changed under it: which one comes is not known yet.
      if (error.code === "lab.closed") return without(words.waiting);
      without("", errorBox(error));
    }
  }

  /**
   * @param {import("../microtome.js").Lab} lab @param {import("../behind.js").Model} model @param {Behind} of @param {Token[]} words_
   * @param {AbortSignal} signal @param {() => boolean} current
   */
  async function trace(lab, model, of, words_, signal, current) {
    const { n_layers, n_heads } = lab.info.model;
    const bytes = 2 * n_layers * n_heads * words_.length ** 2 * 4;
    if (bytes > MOST_BYTES) {
      attention.hidden = true;
      return void (status.textContent = words.tooLong(showBytes(bytes)));
    }
    const hooks = Array.from({ length: n_layers }, (_, layer) => patternHook(layer));
    const [plain, edited] = of.runs.slice(-2);
    const traces = [];
    for (const asked of [plain, edited]) traces.push(await lab.run(patternsAsked(of, asked, hooks), { signal }));
    if (!current()) return;
    if (!traces.every((result) => sameModel(model, result.model))) return without(words.otherModel);
    [before, after] = traces.map(patternsOf);
    const moved = before.map((pattern, i) => movedBy(pattern, after[i]));
    head = moved.indexOf(Math.max(...moved));
    status.textContent = moved[head] > 0 ? "" : words.still;
    fill(heads.input, ...moved.map((by, i) => el("option", { value: i }, words.moved(S.attention.head(before[i].layer, before[i].head), showFixed(by, 3)))));
    heads.input.value = String(head);
    attention.hidden = false;
    attention.classList.remove("stale");
    drawHead();
  }

  /** @param {Behind} of @param {import("../microtome.js").PredictResult[]} predicted @param {{ result: Swept, cell: number }} now */
  function drawAnswer(of, predicted, { result, cell }) {
    tokens = predicted[predicted.length - 1].tokens;
    name(sentence(of, tokens));
    const [plain, edited] = predicted.slice(-2).map((result) => metricOf(of.metric, result));
    const value = result.values[cell];
    const many = of.prompts * of.references;
    const columns = of.runs.map(({ role }) => words.columns[role]);
    const rows = Array.from({ length: Math.max(...predicted.map(({ top }) => top.length)) }, (_, rank) => [showCount(rank), ...predicted.map(({ top }) => top[rank] && tokenCell(top[rank]))]);
    const answers = of.answers.map((_, i) => [nameOf((predicted[0].answers ?? [])[i]), ...predicted.map(({ answers = [] }) => `${showExact(answers[i].logit)} · ${showPercent(answers[i].prob)}`)]);
    answer.classList.remove("stale");
    fill(answer,
      el("p", { class: "finding" }, [
        words.metric(words.measured[of.metric], showExact(edited), showExact(plain), showSigned(edited - plain)),
        of.normalize && many === 1 && typeof value === "number" && words.normal(showExact(value)),
        many > 1 && words.ofMany(many)].filter(Boolean).join(" ")),
      answers.length ? box(table(words.answers, [words.answer, ...columns], answers)) : null,
      box(table(words.top, [words.rank, ...columns], rows)));
    status.textContent = words.running;
  }

  function drawHead() {
    if (!before[head]) return;
    const difference = side === "difference";
    pattern.root.hidden = difference;
    change.root.hidden = !difference;
    const one = patternFigure(side === "before" ? before[head] : after[head], tokens);
    if (!difference) return pattern.show({ ...one, title: `${one.title}: ${side === "before" ? words.before : words.after}` });
    const { n, data } = before[head];
    const values = one.values.map((value, i) => (value === null || i % n > Math.floor(i / n) ? null : value - data[i]));
    change.show({ ...one, title: `${one.title}: ${words.difference}`, values, scale: symmetric(values, 0) });
  }

  // Another model, or another checkpoint, is there.
  session.onReady(() => {
    if (!shown || running) return;
    if (!answer.childElementCount) return void run();
    if (!sameModel(shown.result.model, session.lab()?.info.model)) status.textContent = words.earlier;
    else if (status.textContent === words.earlier) status.textContent = "";
  });

  return {
    root, open, close,
    /** The sweep was computed again: the panel follows, or closes where its cell is gone. @param {Swept} result */
    follow(result) {
      if (!shown || shown.result === result) return;
      const { result: old, cell } = shown;
      if (result.shape.join() === old.shape.join() && result.axes.join() === old.axes.join()) open(result, cell);
      else close();
    },
    /** The cell that is shown; null while the panel is closed. */
    get cell() {
      return shown?.cell ?? null;
    },
  };
}

/** @param {Node} node */
const box = (node) => el("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": node.firstChild?.textContent ?? "" }, node);

/** @param {import("../microtome.js").ScoredToken} token */
const tokenCell = (token) => el("span", {}, el("span", { class: "token" }, nameOf(token)), ` ${showPercent(token.prob)}`);

/** What the edit is, in words: “L2H5’s z set to zero”. @param {Behind} of @param {Token[]} tokens of the prompt, as far as they are known */
function sentence({ places, kind }, tokens) {
  const words = S.figures.behind;
  const at = (/** @type {number | undefined} */ index, /** @type {(what: string) => string} */ say) =>
    (index === undefined ? "" : say(tokens[index] ? words.named(nameOf(tokens[index]), index) : words.token(index)));
  const all = places.map(({ site, layer, head, pos, dest, src }) => {
    const name = layer === undefined ? (head === undefined ? words.all : `H${head}`) : head === undefined ? words.layer(layer) : `L${layer}H${head}`;
    const part = layer === undefined && head === undefined ? `${words.all} ${site}` : words.part(name, site);
    return part + at(pos, words.at) + at(dest, words.dest) + at(src, words.src);
  }).join(words.and);
  const text = words[kind](all);
  return text[0].toUpperCase() + text.slice(1);
}
