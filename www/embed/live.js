// What an embedded figure loads when somebody wants it live: the engine, shared by all figures of the page.
import { LabError } from "../errors.js";
import { Lab } from "../microtome.js";
import { cancelled } from "../host.js";
import { tokenLabel, showToken } from "../format.js";
import { EMBED } from "../strings/embed.js";

/** @typedef {import("./spec.js").Spec} Spec @typedef {import("../microtome.js").Figure} Figure */
/** @typedef {{ onProgress: (progress: import("../microtome.js").LoadProgress) => void, onNotice: (notice: import("../microtome.js").Notice) => void }} Listener */
/** One lab for each model and backend, and who hears how its opening goes. @type {Map<string, { lab: Promise<Lab>, listeners: Set<Listener>, notices: import("../microtome.js").Notice[] }>} */
const labs = new Map();

/** @param {string} model @param {string} backend @param {Listener} listener @param {AbortSignal} signal of this figure: the lab is opened for all */
export async function openLab(model, backend, listener, signal) {
  const key = JSON.stringify([model, backend]);
  let shared = labs.get(key);
  if (!shared) {
    /** @type {Set<Listener>} */
    const listeners = new Set();
    /** @type {import("../microtome.js").Notice[]} */
    const notices = [];
    // `./` means the site that this script comes from, not the page around the figure.
    const address = model.startsWith("./") ? new URL(model.slice(2), new URL("../", import.meta.url)).href : model;
    const lab = Lab.open({
      model: address, backend: /** @type {any} */ (backend),
      onProgress: (progress) => listeners.forEach((one) => one.onProgress(progress)),
      onNotice: (notice) => {
        notices.push(notice);
        listeners.forEach((one) => one.onNotice(notice));
      },
    });
    lab.catch(() => labs.delete(key));
    shared = { lab, listeners, notices };
    labs.set(key, shared);
  }
  const { lab, listeners, notices } = shared;
  notices.forEach(listener.onNotice);
  listeners.add(listener);
  try {
    return await Promise.race([lab, new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(cancelled(signal)), { once: true });
    })]);
  } finally {
    listeners.delete(listener);
  }
}

/**
 * @param {Lab} lab
 * @param {Spec} spec
 * @param {{ signal: AbortSignal, onProgress: (done: number, total: number) => void, onFigure: (figure: Figure, done: number, cells: number) => void }} hooks
 * @returns {Promise<{ result: import("../microtome.js").Result, figure: Figure }>}
 */
export async function compute(lab, { experiment, head }, { signal, onProgress, onFigure }) {
  if (experiment.kind === "trace" && head) return pattern(lab, experiment, head, { signal, onProgress });
  const drawn = async (/** @type {any} */ result) => {
    const figure = await lab.figure(result);
    if (!figure || figure.panel_axes) throw new LabError("figure.panels", EMBED.panels);
    return readable(figure);
  };
  const onPartial = async (/** @type {import("../microtome.js").PartialSweep} */ partial) => {
    const figure = await drawn({ version: 1, kind: experiment.kind, experiment, ...partial }).catch(() => null);
    if (figure && !signal.aborted) onFigure(figure, partial.done, partial.values.length);
  };
  const result = /** @type {any} */ (await lab.run(/** @type {any} */ (experiment), { signal, onProgress, onPartial }));
  return { result, figure: await drawn(result) };
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
