// A result as what files are made of: a name, a sentence, a table with a row for each number, arrays. Pure.
import { tableOf as trainingTable } from "../series.js";
import { csvOf } from "./csv.js";

/** @typedef {import("../microtome.js").Token} Token */
/**
 * A section's result with what belongs to it. `tokens`: of the prompt whose positions are axes, by what it is called, such as
 * `clean`; `series`: of a training; `unfinished`: a sweep of which only some cells are done;
 * `recorded`: the result came with the page, and was not computed in this browser.
 * @typedef {{ result: any, key: string, address: string, browser: string, tokens: Record<string, Token[]>, figure?: any,
 *   series?: import("../series.js").Series, unfinished: boolean,
 *   recorded?: import("../recorded.js").Mark | null }} Item
 * @typedef {import("./npz.js").Array} Array_
 */

/** More rows than a spreadsheet takes. */
const MOST_ROWS = 1_048_575;

/** A name for files: small letters, digits and dashes, whatever it is made of. @param {string} text */
export const slug = (text) => text.toLowerCase().replace(/[^a-z0-9_]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 80) || "result";

/** What an experiment is, in a few words that a file can be called. @param {any} e */
export function nameOf(e) {
  const places = e.sets ? ["sets"] : e.sites ?? [e.site];
  switch (e.kind) {
    case "ablate": return slug(["ablate", ...places, e.edit.kind, e.metric.kind].join("-"));
    case "patch": return slug(["patch", ...places, "over", ...e.axes, e.metric.kind].join("-"));
    case "detect": return slug(["detect", ...(e.patterns ?? [e.pattern]).map((/** @type {unknown} */ p) => (typeof p === "string" ? p : "own"))].join("-"));
    case "trace": return slug(["trace", ...new Set(e.hooks.map((/** @type {string} */ hook) => hook.replace(/^.*hook_/, "")))].join("-"));
    default: return slug(e.kind.replaceAll("_", "-"));
  }
}

/** Where numbers come from: it goes into every file. @param {Item} item */
export function aboutOf({ result, address, browser, unfinished, recorded }) {
  const { experiment, model, engine } = result;
  const inner = experiment.experiments?.[0] ?? experiment.experiment ?? experiment;
  const { backend, adapter, precision, build, reason, kernels } = engine ?? {};
  return {
    ...(unfinished ? { incomplete: true } : {}),
    model: { name: model?.name, sha256: model?.sha256, ...(model?.step === undefined ? {} : { step: model.step }), address },
    processing: inner.processing, prepend_bos: inner.prepend_bos,
    engine: { backend, adapter, precision, build, reason, ...(kernels ? { kernels } : {}) },
    ...(recorded ? { recorded: recorded.made } : {}), browser: recorded ? null : browser, experiment,
  };
}

/** So many characters of a text fit, as code points: half a pair of surrogates would be no text. */
const FITS = 220;
const cut = (/** @type {string} */ text) => {
  const chars = [...text];
  return (chars.length > FITS ? `${chars.slice(0, FITS - 1).join("")}…` : text).replace(/\s+/g, " ");
};

/** A browser in two words, where its own line names one that is known. @param {string} agent */
export const browserOf = (agent) => /(?:Firefox|Edg|OPR)\/\d+|(?:Headless)?Chrome\/\d+|Version\/\d+(?=.* Safari)/.exec(agent)?.[0].replace("Version", "Safari").replace("/", " ") ?? agent;

/** What was asked, as far as it fits a line. @param {any} e */
function askedOf(e) {
  const prompt = e.prompt ?? e.clean ?? e.prompts?.[0]?.prompt ?? e.prompts?.[0] ?? e.pairs?.[0]?.clean;
  const more = (e.prompts ?? e.pairs ?? []).length - 1;
  if (prompt === undefined) return nameOf(e);
  return `${nameOf(e)}: ${textOf(prompt)}${e.corrupted === undefined ? "" : ` / ${textOf(e.corrupted)}`}${more > 0 ? ` and ${more} more` : ""}`;
}

/** The same for people, in lines under a picture. @param {ReturnType<typeof aboutOf>} about */
export function captionOf({ model, processing, engine, browser, recorded, experiment, incomplete }) {
  const weights = typeof processing === "string" ? processing : Object.entries(processing ?? {}).filter(([, on]) => on).map(([name]) => name).join(" + ") || "none";
  return [
    ...(incomplete ? ["incomplete: hatched cells are not computed"] : []),
    cut(askedOf(experiment)),
    `model ${model.name}${model.step === undefined ? "" : `, step ${model.step}`}${model.sha256 ? `, sha256 ${model.sha256.slice(0, 16)}` : ""}; processing ${weights}`,
    `${engine.build}, ${engine.backend}${engine.adapter ? ` (${engine.adapter})` : ""}, ${engine.precision}; ${browser ? browserOf(browser) : `recorded ${recorded}`}`,
  ];
}

/** Places of a sweep in row-major order. @param {number[]} shape */
function* places(shape) {
  const at = shape.map(() => 0);
  const count = shape.reduce((product, size) => product * size, 1);
  for (let i = 0; i < count; i++) {
    yield [...at];
    for (let axis = shape.length - 1; axis >= 0 && ++at[axis] === shape[axis]; axis--) at[axis] = 0;
  }
}

const POSITIONS = ["pos", "dest", "src"];

/** The columns of an axis, and its cells at an index. @param {string} axis @param {any} experiment @param {Record<string, Token[]>} tokens */
function columnsOf(axis, experiment, tokens) {
  if (POSITIONS.includes(axis)) {
    const lists = Object.entries(tokens);
    const name = (/** @type {string} */ which) => (which === "prompt" ? axis : `${axis}_${which}`);
    return {
      header: [axis, ...lists.flatMap(([which]) => [`${name(which)}_token`, `${name(which)}_id`])],
      cells: (/** @type {number} */ i) => [i, ...lists.flatMap(([, list]) => [list[i]?.text ?? null, list[i]?.id ?? null])],
    };
  }
  const names = { site: experiment.sites, pattern: experiment.patterns, set: experiment.sets }[axis];
  const word = (/** @type {any} */ value) => (typeof value === "string" ? value : JSON.stringify(value));
  return names ? { header: [axis, `${axis}_name`], cells: (/** @type {number} */ i) => [i, word(names[i])] }
    : { header: [axis], cells: (/** @type {number} */ i) => [i] };
}

/** @param {any} experiment @param {string[]} axes @param {number[]} shape @param {Record<string, Token[]>} tokens @param {string[]} values names @param {(i: number) => (number | null)[]} cells */
function sweepTable(experiment, axes, shape, tokens, values, cells) {
  const columns = axes.map((axis) => columnsOf(axis, experiment, tokens));
  let i = 0;
  const rows = [];
  for (const at of places(shape)) rows.push([...at.flatMap((index, axis) => columns[axis].cells(index)), ...cells(i++)]);
  return { header: [...columns.flatMap(({ header }) => header), ...values], rows };
}

const textOf = (/** @type {unknown} */ value) => (typeof value === "string" ? value : JSON.stringify(value));

/** @param {Item} item @returns {{ header: string[], rows: (string | number | boolean | null)[][] }} */
function tableOf({ result, tokens }) {
  const { experiment, values, axes, shape } = result;
  switch (result.kind) {
    case "predict": return {
      header: ["rank", "token", "id", "logit", "prob", "answer"],
      rows: [...result.top.map((/** @type {any} */ entry, /** @type {number} */ rank) => ({ ...entry, rank })),
        ...(result.answer && !result.top.some((/** @type {any} */ entry) => entry.id === result.answer.id) ? [result.answer] : [])]
        .map(({ rank, text, id, logit, prob }) => [rank, text, id, logit, prob, id === result.answer?.id]),
    };
    case "logit_diff": return {
      header: ["prompt", "correct", "incorrect", "logit_diff"],
      rows: experiment.prompts.map((/** @type {any} */ { prompt, correct, incorrect }, /** @type {number} */ i) => [textOf(prompt), textOf(correct), textOf(incorrect), values[i]]),
    };
    case "unembed_bias": return { header: ["token", "b_U"], rows: experiment.tokens.map((/** @type {any} */ token, /** @type {number} */ i) => [textOf(token), values[i]]) };
    case "ablate": return sweepTable(experiment, axes, shape, tokens, ["value", "change"], (i) => [values[i], values[i] === null ? null : values[i] - result.baseline]);
    case "patch": return sweepTable(experiment, axes, shape, tokens, ["value"], (i) => [values[i]]);
    case "detect": return sweepTable(experiment, axes, shape, {}, ["score"], (i) => [values[i]]);
    case "trace": return traceTable(result, tokens);
    default: throw new Error(`There is no table of a result of kind ${result.kind}.`);
  }
}

/** A row for each number of each activation; of patterns only those that the mask lets be. @param {any} result @param {Record<string, Token[]>} tokens */
function traceTable({ tensors, experiment }, tokens) {
  const header = ["prompt", "hook", "index_0", "index_1", "index_2", ...(tokens.prompt ? ["dest_token", "src_token"] : []), "value"];
  /** @type {(string | number | null)[][]} */
  const rows = [];
  for (const [prompt, found] of tensors.entries()) {
    for (const [hook, { shape, data }] of Object.entries(/** @type {Record<string, any>} */ (found))) {
      const square = /hook_(pattern|attn_scores)$/.test(hook);
      let i = 0;
      for (const at of places(shape)) {
        const value = data[i++];
        if (square && at[2] > at[1]) continue;
        if (rows.length === MOST_ROWS) return { header, rows };
        const words = tokens.prompt ? (square ? [tokens.prompt[at[1]]?.text ?? null, tokens.prompt[at[2]]?.text ?? null] : [null, null]) : [];
        rows.push([prompt, hook, at[0], at[1] ?? null, at[2] ?? null, ...words, value]);
      }
    }
  }
  return { header, rows };
}

/** The numbers as CSV. @param {Item} item */
export function csv(item) {
  const { header, rows } = item.series ? trainingTable(item.series) : tableOf(item);
  if (rows.length >= MOST_ROWS) throw new TooMany();
  return csvOf(header, rows, aboutOf(item));
}

/** More rows than a spreadsheet takes: NPZ and JSON have them all. */
export class TooMany extends Error {}

/** The numbers as arrays for NPZ. @param {Item} item @param {typeof import("./npz.js")} npz @returns {Record<string, Array_>} */
export function arrays(item, { floats, integers }) {
  const { result, tokens } = item;
  const { experiment, values, axes, shape } = result;
  const scalar = (/** @type {number | null} */ value) => ({ shape: [], data: floats([value]) });
  const words = (/** @type {string[]} */ data) => ({ shape: [data.length], data });
  /** @type {Record<string, Array_>} */
  const all = { about: { shape: [], data: [JSON.stringify(aboutOf(item))] } };
  for (const [which, list] of Object.entries(tokens)) {
    all[`${which}_ids`] = { shape: [list.length], data: integers(list.map(({ id }) => id)) };
    all[`${which}_tokens`] = words(list.map(({ text }) => text ?? ""));
  }
  for (const name of ["baseline", "clean", "corrupted", "mean", "prob_ratio"]) {
    if (typeof result[name] === "number") all[name] = scalar(result[name]);
  }
  if (values) {
    all.values = { shape: shape ?? [values.length], data: floats(values) };
    if (axes) all.axes = words(axes);
  }
  switch (result.kind) {
    case "logit_diff":
      for (const name of ["prompt", "correct", "incorrect"]) all[`${name}s`] = words(experiment.prompts.map((/** @type {any} */ entry) => textOf(entry[name])));
      break;
    case "unembed_bias": all.tokens = words(experiment.tokens.map(textOf)); break;
    case "trace":
      result.tensors.forEach((/** @type {Record<string, any>} */ found, /** @type {number} */ prompt) => {
        // As the command line names them in its .safetensors.
        for (const [hook, { shape, data }] of Object.entries(found)) all[`${prompt}/${hook}`] = { shape, data };
      });
      break;
    case "training": trainingArrays(result, all, floats, integers); break;
  }
  return all;
}

/** One array for each question, its first axis the checkpoints that answered. @param {any} result @param {Record<string, Array_>} all @param {typeof import("./npz.js").floats} floats @param {typeof import("./npz.js").integers} integers */
function trainingArrays({ checkpoints }, all, floats, integers) {
  const good = checkpoints.filter((/** @type {any} */ one) => one.answers);
  all.steps = { shape: [good.length], data: integers(good.map((/** @type {any} */ one) => one.step)) };
  (good[0]?.answers ?? []).forEach((/** @type {any} */ first, /** @type {number} */ i) => {
    const numbers = (/** @type {string} */ name) => good.map((/** @type {any} */ one) => one.answers[i][name]);
    const name = `${i}_${first.kind}`;
    if (first.values) all[`${name}_values`] = { shape: [good.length, ...(first.shape ?? [first.values.length])], data: floats(numbers("values").flat()) };
    for (const one of ["mean", "baseline", "loss"]) if (typeof first[one] === "number") all[`${name}_${one}`] = { shape: [good.length], data: floats(numbers(one)) };
  });
}
