// The slider over the checkpoints of a training: it drives every figure of the page.
import { S } from "../strings.js";
import { toPlain } from "../errors.js";
import { showCount } from "../format.js";
import { el, fill, uniqueId } from "./dom.js";
import { checkbox } from "./fields.js";

/** Milliseconds that the slider must rest before a checkpoint is asked for. */
const REST = 150;
/** More of them are no longer told apart. */
const MOST_TICKS = 80;

/**
 * @param {import("../state.js").Store} store
 * @param {import("../session.js").Session} session
 * @returns {{ root: HTMLElement, go: (step: number) => void }} `go` puts a checkpoint onto the engine
 */
export function stepSlider(store, session) {
  const now = () => store.get("training");
  const steps = () => now().family ?? [];
  const id = uniqueId();
  const input = el("input", { id, type: "range", min: 0, step: 1, input: () => slide(steps()[Number(input.value)], REST) });
  const said = el("output", { for: id });
  const ticks = el("div", { class: "ticks", "aria-hidden": "true" });
  const words = el("p", { class: "note", role: "status" });
  const marks = el("ul", { class: "skips" });
  const pin = checkbox(S.training.pin, false, (on) => root.toggleAttribute("data-pinned", on));
  const bar = el("div", { class: "steps-bar" },
    el("div", { class: "heading" }, el("label", { for: id }, S.training.slider), said, pin.root), el("div", { class: "slide" }, input, ticks), words);
  const root = el("div", { class: "steps" }, bar, marks);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let drawn = "";

  /** @param {number} step @param {number} rest milliseconds in which a newer one may take its place */
  function slide(step, rest) {
    store.update("training", { wanted: step });
    clearTimeout(timer);
    timer = setTimeout(go, rest, step);
  }

  /** @param {number} step */
  async function go(step) {
    const lab = session.lab();
    try {
      await session.goTo(step);
    } catch (thrown) {
      const error = toPlain(thrown);
      // A model that was changed takes its checkpoints with it; a newer step says itself what becomes of it.
      if (lab === session.lab() && !["run.superseded", "run.cancelled", "lab.closed"].includes(error.code)) {
        store.update("training", { failed: { ...now().failed, [step]: error } });
      }
    }
    if (now().wanted === step) store.update("training", { wanted: null });
  }

  function update() {
    const { family, wanted, job, failed } = now();
    // Its place is kept until it is known whether there are any.
    root.hidden = family !== null && !family.length;
    if (family === null) {
      input.disabled = true;
      words.textContent = S.common.waiting;
    }
    if (!family?.length) return;
    const all = steps();
    const here = stepOf(store);
    const shown = wanted ?? here ?? all[all.length - 1];
    const index = Math.max(0, all.indexOf(shown));
    const busy = job.status === "running";
    const errors = { ...(job.value?.own ? skippedOf(job.value) : {}), ...failed };
    const key = JSON.stringify([all, errors]);
    input.max = String(all.length - 1);
    if (Number(input.value) !== index) input.value = String(index);
    input.disabled = busy;
    const text = S.training.step(showCount(all[index]));
    input.setAttribute("aria-valuetext", all[index] in errors ? `${text}, ${S.training.skippedMark}` : text);
    said.textContent = text;
    words.textContent = busy ? S.training.busy : wanted !== null ? S.training.going(showCount(wanted))
      : here === null ? S.training.finished : S.training.shows(showCount(here));
    if (key === drawn) return;
    drawn = key;
    fill(ticks, ...all.flatMap((step, i) => {
      if (all.length > MOST_TICKS && !(step in errors)) return [];
      const tick = el("span", { class: step in errors ? "tick skipped" : "tick", title: step in errors ? errors[step].message : showCount(step) });
      tick.style.setProperty("--at", String(all.length > 1 ? i / (all.length - 1) : 0));
      return [tick];
    }));
    fill(marks, ...skips(failed));
  }
  store.subscribe("training", update);
  store.subscribe("model", update);
  update();
  return { root, go: (step) => slide(step, 0) };
}

/** The step of the model on the engine; null where it is not one of a training. @param {import("../state.js").Store} store */
export const stepOf = (store) => store.get("model").info?.model.step ?? null;

/** Why steps were skipped. @param {{ checkpoints: import("../series.js").Checkpoint[] } | null} value @returns {Record<number, import("../errors.js").PlainError>} */
export const skippedOf = (value) => Object.fromEntries((value?.checkpoints ?? []).flatMap(({ step, error }) => (error ? [[step, error]] : [])));

/** A line for each. @param {Record<number, import("../errors.js").PlainError>} errors */
export const skips = (errors) => Object.entries(errors).map(([step, { code, message }]) =>
  el("li", { "data-code": code, "data-step": step }, S.training.skipped(showCount(Number(step)), message)));
