// A sweep over all heads that is asked for in section 8, of the prompts and the measure that section 5 has.
import { S } from "../strings.js";
import { toPlain } from "../errors.js";
import { ablate } from "../experiments.js";
import { showPercent } from "../format.js";
import { el, fill } from "./dom.js";
import { button } from "./fields.js";
import { errorBox } from "./section.js";

/**
 * @param {import("../state.js").Store} store
 * @param {import("../session.js").Session} session
 * @param {{ changed: () => void, after: HTMLElement }} hands `after`: where the keyboard goes when there is nothing left to press
 */
export function headsSweep(store, session, { changed, after }) {
  /** The last one, and what was asked of which model. @type {{ result: any, asked: string } | null} */
  let swept = null;
  /** The one that is under way. @type {AbortController | null} */
  let controller = null;

  const progress = el("progress", { "aria-label": S.heads.sweep });
  const percent = el("span", { class: "note" });
  const parts = {
    none: [button(S.heads.sweep, run, { quiet: true })],
    running: [progress, button(S.common.cancel, () => controller?.abort(), { quiet: true }), percent],
    found: [],
  };
  const work = el("div", { class: "row tight" });
  const trouble = el("div", {});

  const experiment = () => ablate({ ...store.get("ablate").inputs, what: "heads", edit: "zero" }, store.get("settings").inputs, store.get("grid").inputs);

  /** What would be asked now of which model, to be compared; null where the inputs are no experiment. */
  function asked() {
    try {
      return JSON.stringify([store.get("model").info?.model, experiment()]);
    } catch {
      return null;
    }
  }

  async function run() {
    const lab = session.lab();
    fill(trouble);
    if (!lab) return fill(trouble, el("p", { class: "note" }, S.common.waiting));
    const mine = new AbortController();
    controller = mine;
    const of = asked();
    progress.removeAttribute("value");
    percent.textContent = S.common.queued;
    changed();
    try {
      const result = await lab.run(experiment(), { signal: mine.signal, onProgress: (done, total) => {
        Object.assign(progress, { max: total, value: done });
        percent.textContent = S.common.computed(showPercent(Math.floor((100 * done) / total) / 100, 0));
      } });
      // What was changed in the meantime makes it an answer to another question.
      if (of !== null && of === asked()) swept = { result, asked: of };
    } catch (thrown) {
      const error = toPlain(thrown);
      if (!["run.cancelled", "lab.closed"].includes(error.code)) fill(trouble, errorBox(error));
    }
    controller = null;
    changed();
  }

  // Numbers of other inputs, or of another model, are not those of section 5.
  for (const key of /** @type {const} */ (["ablate", "grid", "settings", "model"])) {
    store.subscribe(key, () => {
      if (!swept || swept.asked === asked()) return;
      swept = null;
      changed();
    });
  }

  return {
    work, trouble,
    get result() {
      return swept?.result;
    },
    /** What was pressed goes: the keyboard stays where the work goes on. @param {boolean} found there are effects, whosever */
    draw(found) {
      const state = controller ? "running" : found ? "found" : "none";
      if (work.dataset.state === state) return;
      const held = work.contains(document.activeElement);
      work.dataset.state = state;
      fill(work, ...parts[state]);
      if (held) (work.querySelector("button") ?? after).focus({ preventScroll: true });
    },
  };
}
