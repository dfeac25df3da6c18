// How figures are coloured. Signed ones: which map, signs, and a range that stays what it is, so that two figures compare.
// Attention: which share of it has the strongest colour.
import { S } from "../strings.js";
import { showFixed, writerFor } from "../format.js";
import { el, fill, uniqueId } from "./dom.js";
import { checkbox, select } from "./fields.js";

/** @typedef {import("../state.js").Look} Look */
/** @typedef {{ min: number, mid: number, max: number }} Scale */

/**
 * @param {import("../state.js").Store} store
 * @param {string} key of the figure, whose range it is
 */
export function lookControls(store, key) {
  const now = () => store.get("look");
  /** The figure's own range. */ let own = 1;
  /** @type {Scale} */ let scale = { min: -1, mid: 0, max: 1 };

  const map = select(S.figures.look.map, S.figures.look.maps, now().map, (map) => store.update("look", { map }));
  const signs = checkbox(S.figures.look.signs, now().signs, (on) => store.update("look", { signs: on }));
  const lock = checkbox(S.figures.look.lock, now().ranges[key] !== undefined, (on) => set(on ? own : null));
  const id = uniqueId();
  const range = el("input", { id, type: "number", min: 0, step: "any", inputmode: "decimal", input: () => {
    const typed = range.valueAsNumber;
    if (typed > 0 && Number.isFinite(typed)) set(typed);
  }, change: () => draw(true) });
  const summary = el("summary", {});
  const root = el("details", { class: "look" }, summary, el("div", { class: "row" }, map.root,
    el("div", { class: "field" }, el("label", { for: id }, S.figures.look.range), range), lock.root, signs.root),
  el("p", { class: "note" }, S.figures.look.note));

  /** @param {number | null} to */
  function set(to) {
    const { [key]: _, ...others } = now().ranges;
    store.update("look", { ranges: to === null ? others : { ...others, [key]: to } });
  }

  /** @param {boolean} [all] also the field that is typed in */
  function draw(all = false) {
    const fixed = now().ranges[key];
    const reach = fixed ?? own;
    const write = writerFor({ min: scale.mid - reach, max: scale.mid + reach });
    const name = S.figures.look.maps.find(([value]) => value === now().map)?.[1] ?? "";
    summary.textContent = S.figures.look.summary(name, write(scale.mid - reach), write(scale.mid + reach), fixed !== undefined);
    map.input.value = now().map;
    signs.input.checked = now().signs;
    lock.input.checked = fixed !== undefined;
    if (all || document.activeElement !== range) range.value = fixed === undefined ? String(Number(own.toPrecision(3))) : String(fixed);
  }

  store.subscribe("look", () => draw());
  return {
    root,
    /** The range that figures of this key are held to; null: their own. */
    range: () => now().ranges[key] ?? null,
    /** @param {Scale} next of the figure as it came */
    show(next) {
      scale = next;
      own = next.max - next.mid;
      draw();
    },
  };
}

/** Shares that the strongest colour may stand for. */
const TOPS = [1, 0.5, 0.25, 0.1, 0.05];

/**
 * How much of a head's attention has the strongest colour: with less than all of it, weak attention shows.
 * @param {import("../state.js").Store} store
 */
export function contrastControl(store) {
  const top = () => Math.min(1, store.get("look").ranges.attention ?? 1);
  const pick = select(S.figures.look.contrast, [], "", (to) => {
    const { attention: _, ...others } = store.get("look").ranges;
    store.update("look", { ranges: Number(to) === 1 ? others : { ...others, attention: Number(to) } });
  });
  const draw = () => {
    // A link may hold one of its own.
    const tops = TOPS.includes(top()) ? TOPS : [...TOPS, top()].sort((a, b) => b - a);
    fill(pick.input, ...tops.map((share) => el("option", { value: share, selected: share === top() }, share === 1 ? S.figures.look.contrastAll : S.figures.look.contrastAt(showFixed(share, 2)))));
  };
  store.subscribe("look", draw);
  draw();
  return { root: pick.root, top };
}
