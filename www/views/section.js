// The frame that every section shares: heading, explanation, controls, how far the computation is, and the figure.
import { S } from "../strings.js";
import { showAbout, showBytes, showCount, showLarge, showPercent, showSentence, showSmall, showText, showTime } from "../format.js";
import { el, refill } from "./dom.js";
import { sectionMenus } from "./export.js";
import { button } from "./fields.js";
import { recordedMark, wayOf } from "./recorded.js";

/** The sections: first the notebook's, in its order. */
export const ORDER = /** @type {const} */ (["model", "predict", "grid", "attention", "ablate", "patch", "bias", "heads", "training"]);
/** @typedef {typeof ORDER[number]} SectionKey */

/** @param {SectionKey} key */
export function section(key) {
  const { title, intro } = S[key];
  const controls = el("div", { class: "controls" });
  const status = el("div", { class: "status" });
  const body = el("div", { class: "body" });
  const heading = `${key}-heading`;
  const root = el("section", { id: key, "aria-labelledby": heading },
    el("header", {},
      el("p", { class: "number", "aria-hidden": "true" }, String(ORDER.indexOf(key) + 1)),
      el("h2", { id: heading }, title),
      el("p", { class: "intro" }, intro)),
    controls, status, body);
  return { root, controls, status, body };
}

/** @typedef {import("../microtome.js").Estimate} Estimate */
/** How a section's status line says what it has to say. @typedef {{ run: string, cells: (done: string, cells: string) => string,
 *   kept: (done: string, cells: string) => string, cost: (estimate: Estimate) => string }} Say */

/** @type {Say} */
const SAY = {
  run: S.common.run, cells: S.common.cells, kept: S.common.kept,
  cost: ({ seconds, cells, flops, memory_bytes }) => S.common.cost(seconds === null ? S.common.untimed : showAbout(seconds),
    showCount(cells), showLarge(flops), showBytes(memory_bytes)),
};

/** How far a run is. @param {import("../state.js").Progress} progress @param {import("../state.js").Sofar | null} sofar @param {Say} say */
function under({ done, total, left }, sofar, say) {
  return [
    S.common.computed(showPercent(Math.floor((100 * done) / total) / 100, 0)),
    sofar && say.cells(showCount(sofar.done), showCount(sofar.cells)),
    left !== null && S.common.left(showAbout(left)),
  ].filter(Boolean).join(" · ");
}

/** What the check of the GPU found. @param {import("../state.js").Store} store */
export function checkedWords(store) {
  const test = store.get("model").info?.engine.self_test;
  return test && S.selfTest.differs(showSmall(test.difference));
}

/** @param {import("../errors.js").PlainError} error */
export const errorBox = ({ code, message, action }) =>
  el("div", { class: "error", role: "alert", "data-code": code }, el("p", {}, showText(showSentence(message))), action ? el("p", {}, showText(action)) : null);

/**
 * A computed section: its status line follows the job, and `render` draws each new value.
 * @template T
 * @param {{ store: import("../state.js").Store, key: import("../state.js").JobKey, live: import("../live.js").Live,
 *   render: (value: T) => void, engineOf: (value: T) => import("../microtome.js").EngineReport, say?: Say }} options
 */
export function computed({ store, key, live, render, engineOf, say = SAY }) {
  const frame = section(key);
  frame.root.append(sectionMenus({ store, key, body: frame.body }));
  /** @type {T | null} */
  let drawn = null;
  /** @type {string | null} */
  let shown = null;
  let coming = wayOf(store, key);
  const progress = el("progress", { "aria-label": S[key].title });
  const words = el("span", {});

  function update() {
    const { job } = store.get(key);
    frame.root.dataset.status = job.status;
    if (job.value !== null && job.value !== drawn) {
      drawn = /** @type {T} */ (job.value);
      render(/** @type {T} */ (job.value));
    }
    frame.root.toggleAttribute("data-fresh", job.fresh);
    frame.root.toggleAttribute("data-recorded", Boolean(job.recorded));
    if (job.status === "running") {
      words.textContent = job.progress ? under(job.progress, job.sofar, say) : S.common.queued;
      if (job.progress) Object.assign(progress, { max: job.progress.total, value: job.progress.done });
      else progress.removeAttribute("value");
    }
    // The line is built anew only where it changes: a button that is rebuilt under the pointer cannot be clicked.
    const now = JSON.stringify([job.status, job.error, job.recorded, job.recorded && coming, job.status === "running" || [job.sofar, job.estimate]]) + (job.status === "done" ? performance.now() : "");
    if (now !== shown) {
      shown = now;
      refill(frame.status, ...(job.recorded ? recordedMark(job.recorded, job.status, coming) : []), ...line(job));
    }
  }

  /** @param {import("../state.js").Job<T>} job */
  function line(job) {
    switch (job.status) {
      case "running": return [progress, button(S.common.cancel, live.cancel), words];
      case "error": return [job.error && errorBox(job.error), button(S.common.again, live.run)];
      case "held": return [
        button(say.run, live.run, { primary: true }),
        el("span", { class: "words" }, job.estimate && say.cost(job.estimate), job.value !== null && !job.recorded && ` ${S.common.earlier}`),
      ];
      case "cancelled": return [
        button(say.run, live.run),
        el("span", {}, job.sofar ? say.kept(showCount(job.sofar.done), showCount(job.sofar.cells)) : S.common.cancelled),
      ];
      // A recorded result says itself what it waits for.
      case "waiting": return job.recorded ? [] : [el("span", {}, S.common.waiting, job.value !== null && ` ${S.common.earlier}`)];
      case "done": {
        if (job.value === null) return [];
        const { milliseconds, backend, precision, precision_effect } = engineOf(job.value);
        const took = S.common.took(showTime(milliseconds), S.common.backends[backend] ?? backend);
        return [el("span", { class: "took" }, [took, backend === "gpu" && checkedWords(store), precision === "f16" && S.common.halves(precision_effect)].filter(Boolean).join(" · "))];
      }
    }
  }

  store.subscribe(key, update);
  store.subscribe("model", () => {
    const now = wayOf(store, key);
    if (now === coming) return;
    coming = now;
    update();
  });
  return { ...frame, update };
}
