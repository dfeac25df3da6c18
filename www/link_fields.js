// What a link can hold: one row a field, with its name in the link, its kind and its limits. Nothing else gets in or out.
import { FIRST } from "./presets.js";
import { GROUPS } from "./patching.js";
import { MAP_NAMES } from "./draw/maps.js";
import { MOST_ROWS, PRESETS, initialState } from "./state.js";
import { PROMPTS } from "./strings/prompts.js";

const { expected } = PROMPTS.link;

/** Characters of a prompt, and of a token or a name. */
const TEXT = 20_000;
const SHORT = 200;

/**
 * How a value is written in a link. `read` gives undefined for everything that is not of the kind, and never throws.
 * @template T
 * @typedef {{ expected: string, write: (value: T) => string, read: (text: string) => T | undefined }} Kind
 */

/** @param {unknown} value @param {number} most @returns {value is string} */
const isText = (value, most) => typeof value === "string" && value.length <= most;

/** @param {number} most @returns {Kind<string>} */
const text = (most) => ({ expected: expected.text(most), write: String, read: (read) => (read.length <= most ? read : undefined) });

/** @type {Kind<boolean>} */
const bool = { expected: expected.bool, write: (on) => (on ? "1" : "0"), read: (read) => (read === "1" ? true : read === "0" ? false : undefined) };

/** @param {readonly string[]} list @returns {Kind<string>} */
const oneOf = (list) => ({ expected: expected.oneOf(list.length > 8 ? `${list.slice(0, 3).join(", ")}, …` : list.join(", ")),
  write: String, read: (read) => (list.includes(read) ? read : undefined) });

/** @param {string} read @param {number} max @returns {number | undefined} */
const whole = (read, max) => (/^(0|[1-9]\d{0,6})$/.test(read) && Number(read) <= max ? Number(read) : undefined);

/** @param {readonly number[]} list @returns {Kind<number>} */
const count = (list) => ({ expected: expected.oneOf(list.join(", ")), write: String,
  read: (read) => list.find((n) => String(n) === read) });

/** A layer, or all of them. @type {Kind<number | null>} */
const layer = { expected: expected.integer(0, 999), write: (value) => (value === null ? "" : String(value)), read: (read) => (read === "" ? null : whole(read, 999)) };

/** @type {Kind<{ layer: number, head: number }>} */
const head = {
  expected: expected.head, write: ({ layer, head }) => `L${layer}H${head}`,
  read(read) {
    const [, layer, head] = /^L(\d{1,3})H(\d{1,3})$/.exec(read) ?? [];
    const [l, h] = [whole(layer ?? "", 999), whole(head ?? "", 999)];
    return l === undefined || h === undefined ? undefined : { layer: l, head: h };
  },
};

/** A list as JSON, each entry of which is checked by itself. @param {string} read @param {number} most @returns {unknown[] | undefined} */
function list(read, most) {
  try {
    const value = JSON.parse(read);
    return Array.isArray(value) && value.length <= most ? value : undefined;
  } catch {
    return undefined;
  }
}

/** @param {number} most @param {number} longest @param {number} [exactly] @returns {Kind<string[]>} */
const texts = (most, longest, exactly) => ({
  expected: expected.texts(most), write: (value) => JSON.stringify(value),
  read(read) {
    const value = list(read, most);
    const good = value && (exactly === undefined || value.length === exactly) && value.every((entry) => isText(entry, longest));
    return good ? /** @type {string[]} */ (value) : undefined;
  },
});

/** @type {Kind<import("./state.js").Name[]>} */
const names = {
  expected: expected.names, write: (value) => JSON.stringify(value.map(({ name, answer }) => [name, answer])),
  read(read) {
    const value = list(read, MOST_ROWS);
    if (!value?.every((entry) => Array.isArray(entry) && entry.length === 2 && isText(entry[0], SHORT) && (entry[1] === 0 || entry[1] === 1))) return undefined;
    return /** @type {[string, 0 | 1][]} */ (value).map(([name, answer]) => ({ name, answer }));
  },
};

/** @type {Kind<import("./state.js").Row[]>} */
const rows = {
  expected: expected.rows, write: (value) => JSON.stringify(value.map(({ prompt, correct, incorrect }) => [prompt, correct, incorrect])),
  read(read) {
    const value = list(read, MOST_ROWS);
    if (!value?.every((entry) => Array.isArray(entry) && entry.length === 3 && isText(entry[0], TEXT) && isText(entry[1], SHORT) && isText(entry[2], SHORT))) return undefined;
    return /** @type {[string, string, string][]} */ (value).map(([prompt, correct, incorrect]) => ({ prompt, correct, incorrect }));
  },
};

const SWITCHES = /** @type {(keyof typeof PRESETS.none)[]} */ (Object.keys(PRESETS.none));
/** The switches that are on. @type {Kind<Record<string, boolean>>} */
const switches = {
  expected: expected.switches, write: (value) => SWITCHES.filter((name) => value[name]).join(","),
  read(read) {
    const on = read === "" ? [] : read.split(",");
    if (new Set(on).size !== on.length || !on.every((name) => SWITCHES.some((known) => known === name))) return undefined;
    return Object.fromEntries(SWITCHES.map((name) => [name, on.includes(name)]));
  },
};

/** The figures whose range can be locked, by their keys in `Look`. */
export const RANGED = /** @type {const} */ (["grid", "ablate", "patch", "behind", "attention"]);

/** Locked ranges, `grid:2.5,patch:1`: each as JavaScript writes the number, so that a link has one way to say it. @type {Kind<Record<string, number>>} */
const ranges = {
  expected: expected.ranges(RANGED.join(", ")),
  write: (value) => RANGED.filter((key) => value[key] !== undefined).map((key) => `${key}:${value[key]}`).join(","),
  read(read) {
    const all = read === "" ? [] : read.split(",", RANGED.length + 1).map((part) => part.split(":", 3));
    const good = new Set(all.map(([key]) => key)).size === all.length && all.every(([key, text, more]) =>
      RANGED.some((known) => known === key) && more === undefined && Number(text) > 0 && Number.isFinite(Number(text)) && String(Number(text)) === text);
    return good ? Object.fromEntries(all.map(([key, text]) => [key, Number(text)])) : undefined;
  },
};

/** The grammar of `src/address.rs`, without files of one's own, which no link can hold. @param {string} address */
export function isAddress(address) {
  if (address.length > 512) return false;
  const name = (/** @type {string} */ part) => /^(?![-.])[A-Za-z0-9._-]{1,96}(?<![-.])$/.test(part) && !/--|\.\.|\.git$/.test(part);
  const hub = /^hf:([^/@]+)\/([^/@]+)(?:@(.+))?$/.exec(address);
  if (hub) {
    const [, owner, repo, revision] = hub;
    return name(owner) && name(repo) && (revision === undefined || (/^[A-Za-z0-9._/-]{1,128}$/.test(revision) && !revision.includes("..")
      && revision.split("/").every((part) => part && !part.startsWith(".") && !part.endsWith("."))));
  }
  const place = /^(?:\.\/|https:\/\/([A-Za-z0-9.-]{1,253})(?::([1-9]\d{0,4}))?(?:\/|$))(.*)$/.exec(address);
  if (!place) return false;
  const [, host, port, path] = place;
  if (host !== undefined && !host.split(".").every((label) => /^(?!-)[A-Za-z0-9-]{1,63}(?<!-)$/.test(label))) return false;
  if (port !== undefined && Number(port) > 65_535) return false;
  const folder = path.replace(/\/$/, "").replace(/(^|\/)@(0|[1-9]\d{0,14})$/, "");
  return folder === "" || folder.split("/").every((part) => /^(?![. ])[\p{Alphabetic}\p{N}._~+ -]+(?<![. ])$/u.test(part));
}
/** @type {Kind<string>} */
const address = { expected: expected.address, write: String, read: (read) => (isAddress(read) ? read : undefined) };

const start = initialState();
const prompt = text(TEXT);
const token = text(SHORT);

/** Where a link may lead to on the page. */
export const SECTIONS = /** @type {const} */ (["model", "predict", "grid", "attention", "ablate", "patch", "bias", "heads", "training"]);

/**
 * Every field: its key in the link, the part of the state and the name in it, its kind, and what it is without a link.
 * `look` is what is looked at, which nothing has to be computed for.
 * @type {{ key: string, part: string, name: string, kind: Kind<any>, start: unknown }[]}
 */
export const FIELDS = [
  { key: "m", part: "model", name: "address", kind: address, start: FIRST },
  ...of("model", start.model.inputs, { backend: oneOf(["auto", "gpu", "cpu"]), precision: oneOf(["f32", "f16"]) }),
  ...of("settings", start.settings.inputs, { processing: switches, prepend_bos: bool }),
  ...of("predict", start.predict.inputs, { prompt, answer: token }),
  ...of("grid", start.grid.inputs, { use: oneOf(["formats", "rows"]), formats: texts(MOST_ROWS, TEXT), names, answers: texts(2, SHORT, 2), rows }),
  ...of("attention", start.attention.inputs, { prompt }),
  ...of("ablate", start.ablate.inputs, {
    metric: oneOf(["loss", "logit_diff"]), batch: oneOf(["one", "grid"]), site: oneOf(["v", "z"]), what: oneOf(["heads", "sets"]),
    sets: texts(MOST_ROWS, 1000), correct: token, incorrect: token, edit: oneOf(["zero", "mean", "resample"]), over: oneOf(["tokens", "prompts"]),
    prompts: byMetric(), references: byMetric(),
  }),
  ...of("patch", start.patch.inputs, { clean: prompt, corrupted: prompt, correct: token, incorrect: token,
    what: oneOf(GROUPS.flatMap(({ functions }) => functions.map(({ name }) => name))) }),
  ...of("bias", start.bias.inputs, { tokens: texts(2, SHORT, 2) }),
  ...of("heads", start.heads.inputs, { on: oneOf(["repeated", "prompt"]), pattern: oneOf(["named", "own"]), own: prompt,
    measure: oneOf(["mul", "abs"]), exclude_bos: bool, exclude_current_token: bool }),
  ...of("training", start.training.inputs, { head: text(20), addresses: text(4000), steps: text(1000) }),
  ...of("look", { ...start.attention.view, ...start.heads.view, ...start.look }, { layer, head, locked: bool,
    by: oneOf(["head", "previous_token", "duplicate_token", "induction", "own", "effect"]), down: bool, most: count([0, 10, 20, 50]),
    map: oneOf(MAP_NAMES), signs: bool, ranges }),
];

/** The texts of both measures. @returns {Kind<Record<"loss" | "logit_diff", string>>} */
function byMetric() {
  const both = texts(2, TEXT, 2);
  return {
    expected: both.expected, write: ({ loss, logit_diff }) => both.write([loss, logit_diff]),
    read(read) {
      const [loss, logit_diff] = both.read(read) ?? [];
      return loss === undefined || logit_diff === undefined ? undefined : { loss, logit_diff };
    },
  };
}

/**
 * @template {Record<string, any>} T
 * @param {string} part @param {T} start @param {{ [K in keyof T]?: Kind<any> }} kinds
 */
function of(part, start, kinds) {
  return Object.entries(kinds).map(([name, kind]) => ({ key: `${part}.${name}`, part, name, kind: /** @type {Kind<any>} */ (kind), start: start[name] }));
}
