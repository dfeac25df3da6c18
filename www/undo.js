// Undo and redo of what the visitor put in. Results are no part of it: they follow the inputs by themselves. Which model is
// loaded is no part of it either, as going back to another one may be a download.
import { PARTS, inputsOf, setInputs } from "./page_state.js";

/** @typedef {import("./page_state.js").Inputs} Inputs */
/** @typedef {{ before: Inputs, after: Inputs, what: string, at: number }} Step `what`: the fields that changed */

/** Milliseconds between two changes of the same field that are taken for one, as letters of a word are. */
const TOGETHER = 1000;
const MOST_STEPS = 200;

/**
 * @param {import("./state.js").Store} store
 * @param {{ now?: () => number, onChange?: () => void }} [options] `onChange`: what can be undone is another than before
 */
export function createUndo(store, { now = () => performance.now(), onChange = () => {} } = {}) {
  /** @type {Step[]} */ let done = [];
  /** @type {Step[]} */ let undone = [];
  let last = inputsOf(store);
  /** Changes that are being made together, or by undoing: they are looked at when all of them are there. */
  let quiet = false;

  /** @param {boolean} alone a step that none is joined to */
  function look(alone) {
    if (quiet) return;
    const next = inputsOf(store);
    const what = changed(last, next);
    if (!what) return;
    const before = last;
    last = next;
    undone = [];
    const top = done.at(-1);
    const at = alone ? -Infinity : now();
    if (!alone && top && top.what === what && at - top.at < TOGETHER) done[done.length - 1] = { ...top, after: next, at };
    else done = [...done, { before, after: next, what, at }].slice(-MOST_STEPS);
    // Typed and taken back: there is nothing to undo.
    const step = /** @type {Step} */ (done.at(-1));
    if (!changed(step.before, step.after)) done.pop();
    onChange();
  }

  /** @param {Inputs} inputs */
  function put(inputs) {
    quiet = true;
    try {
      setInputs(store, inputs);
    } finally {
      quiet = false;
    }
    last = inputsOf(store);
    onChange();
  }

  for (const part of PARTS) store.subscribe(part, () => look(false));
  return {
    canUndo: () => done.length > 0,
    canRedo: () => undone.length > 0,
    undo() {
      const step = done.pop();
      if (!step) return;
      undone.push(step);
      put(step.before);
    },
    redo() {
      const step = undone.pop();
      if (!step) return;
      // What is typed from here on is a step of its own.
      done.push({ ...step, at: -Infinity });
      put(step.after);
    },
    /** Makes all changes of `body` one step. @template T @param {() => T} body @returns {T} */
    together(body) {
      quiet = true;
      try {
        return body();
      } finally {
        quiet = false;
        look(true);
      }
    },
  };
}
/** @typedef {ReturnType<typeof createUndo>} Undo */

/** The names of the fields that differ, as one text; empty where none does. @param {Inputs} a @param {Inputs} b */
function changed(a, b) {
  return PARTS.flatMap((part) => (a[part] === b[part] ? [] : Object.keys(b[part])
    .filter((name) => JSON.stringify(/** @type {any} */ (a[part])[name]) !== JSON.stringify(/** @type {any} */ (b[part])[name]))
    .map((name) => `${part}.${name}`))).join();
}
