// What an embedded figure loads when somebody wants it live: the engine, shared by all figures of the page.
import { LabError } from "../errors.js";
import { Lab } from "../microtome.js";
import { cancelled } from "../host.js";
import { tokenLabel, showToken } from "../format.js";
import { EMBED } from "../strings/embed.js";

/** @typedef {import("./spec.js").Spec} Spec @typedef {import("../microtome.js").Figure} Figure */
/** @typedef {{ model: string, backend: string, allowHosts: string[] }} Wanted `allowHosts`: that the page's author chose */
/** @typedef {{ onProgress: (progress: import("../microtome.js").LoadProgress) => void, onNotice: (notice: import("../microtome.js").Notice) => void }} Listener */
/**
 * `lab` is that of `opening` once it is there; `listeners` are the figures that want it now.
 * @typedef {{ opening: Promise<Lab>, lab: Lab | null, listeners: Set<Listener>, notices: import("../microtome.js").Notice[], abort: AbortController }} Shared
 */

/** One lab for each model and backend. @type {Map<string, Shared>} */
const labs = new Map();
/** An opening that nobody wants is given up after so many milliseconds: a run that takes another's place asks at once. */
const LINGER = 200;

/**
 * Does something with the page's lab of a model, which is opened for the first who asks. It belongs to no figure: the
 * opening ends when nobody waits for it any more, and an open lab stays for the next.
 * @template T
 * @param {Wanted} wanted
 * @param {Listener} listener hears of the lab until `use` is over: an engine that is replaced in a run has things to say, too
 * @param {AbortSignal} signal ends the waiting; what `use` does with it is its own affair
 * @param {(lab: Lab, stored: boolean) => Promise<T>} use `stored`: the model will be there at the next visit
 * @returns {Promise<T>}
 */
export async function withLab(wanted, listener, signal, use) {
  if (signal.aborted) throw cancelled(signal);
  const shared = sharedLab(wanted);
  shared.notices.forEach(listener.onNotice);
  shared.listeners.add(listener);
  try {
    const lab = await new Promise((/** @type {(lab: Lab) => void} */ resolve, reject) => {
      signal.addEventListener("abort", () => reject(cancelled(signal)), { once: true });
      shared.opening.then(resolve, reject);
    });
    return await use(lab, !shared.notices.some(({ code }) => code === "store.memory"));
  } finally {
    shared.listeners.delete(listener);
    setTimeout(() => {
      if (shared.lab || shared.listeners.size) return;
      drop(shared);
      shared.abort.abort(new LabError("run.cancelled", "Cancelled."));
    }, LINGER);
  }
}

/** @param {Wanted} wanted @returns {Shared} */
function sharedLab({ model, backend, allowHosts }) {
  const key = JSON.stringify([model, backend, allowHosts]);
  const known = labs.get(key);
  // One whose engine could not be replaced answers nothing any more.
  if (known && !known.lab?.closed) return known;
  /** @type {Shared["listeners"]} */
  const listeners = new Set();
  /** @type {Shared["notices"]} */
  const notices = [];
  const abort = new AbortController();
  // `./` means the site that this script comes from, not the page around the figure.
  const address = model.startsWith("./") ? new URL(model.slice(2), new URL("../", import.meta.url)).href : model;
  const opening = Lab.open({
    model: address, backend: /** @type {any} */ (backend), allowHosts, signal: abort.signal,
    onProgress: (progress) => listeners.forEach((one) => one.onProgress(progress)),
    onNotice: (notice) => {
      notices.push(notice);
      listeners.forEach((one) => one.onNotice(notice));
    },
  });
  /** @type {Shared} */
  const shared = { opening, lab: null, listeners, notices, abort };
  opening.then((lab) => { shared.lab = lab; }, () => drop(shared));
  labs.set(key, shared);
  return shared;
}

/** @param {Shared} shared that another one may have taken the place of */
function drop(shared) {
  for (const [key, one] of labs) if (one === shared) labs.delete(key);
}

/**
 * @param {Lab} lab
 * @param {Spec} spec
 * @param {{ signal: AbortSignal, onProgress: (done: number, total: number) => void, onFigure: (figure: Figure, done: number, cells: number) => void }} hooks
 * @returns {Promise<{ result: import("../microtome.js").Result, figure: Figure }>}
 */
export async function compute(lab, { experiment, head }, { signal, onProgress, onFigure }) {
  if (experiment.kind === "trace" && head) return pattern(lab, experiment, head, { signal, onProgress });
  let over = false;
  const drawn = async (/** @type {any} */ result) => {
    const figure = await lab.figure(result);
    // What cancels a run may come while its figure is made.
    if (signal.aborted) throw cancelled(signal);
    if (!figure || figure.panel_axes) throw new LabError("figure.panels", EMBED.panels);
    return readable(figure);
  };
  const onPartial = async (/** @type {import("../microtome.js").PartialSweep} */ partial) => {
    const figure = await drawn({ version: 1, kind: experiment.kind, experiment, ...partial }).catch(() => null);
    if (figure && !over) onFigure(figure, partial.done, partial.values.length);
  };
  const result = /** @type {any} */ (await lab.run(/** @type {any} */ (experiment), { signal, onProgress, onPartial }));
  const figure = await drawn(result);
  // A figure of what was done so far must not come after the one of all.
  over = true;
  return { result, figure };
}

/**
 * One head's attention.
 * @param {Lab} lab @param {import("../microtome.js").TraceExperiment} experiment @param {import("./spec.js").Head} at
 * @param {import("../microtome.js").RunOptions} options
 */
async function pattern(lab, experiment, { layer, head }, options) {
  const { n_layers, n_heads } = lab.info.model;
  if (layer >= n_layers || head >= n_heads) throw new LabError("figure.head", EMBED.badHead);
  const [prompt] = experiment.prompts;
  const hook = `blocks.${layer}.attn.hook_pattern`;
  const result = await lab.run({ ...experiment, hooks: [hook] }, options);
  const { shape: [, n], data } = result.tensors[0][hook]; // [head, dest, src]
  const tokens = typeof prompt === "string" ? await lab.tokenize(prompt, experiment.prepend_bos ?? true) : [];
  if (options.signal?.aborted) throw cancelled(options.signal);
  const labels = Array.from({ length: n }, (_, i) => (tokens[i] ? tokenLabel(tokens[i], i) : String(i)));
  /** @type {Figure} */
  const figure = {
    title: EMBED.attention(layer, head), row_axis: { title: EMBED.dest, labels }, col_axis: { title: EMBED.src, labels }, rows: n, cols: n,
    values: Array.from(data.subarray(head * n * n, (head + 1) * n * n), (value, i) => (i % n > Math.floor(i / n) ? null : value)),
    scale: { min: 0, mid: 0.5, max: 1 }, caption: "",
  };
  return { result, figure };
}

/** Labels may hold tokens: their spaces and controls become signs. @param {Figure} figure @returns {Figure} */
export function readable(figure) {
  const axis = (/** @type {import("../microtome.js").FigureAxis} */ { title, labels }) => ({ title, labels: title === "Set" ? labels : labels.map(showToken) });
  return { ...figure, row_axis: axis(figure.row_axis), col_axis: axis(figure.col_axis) };
}
