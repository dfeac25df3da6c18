// The state of the page as the part of an address after its “#”, and back. Pure: nothing is fetched, nothing is applied.
//
//   #v=1&m=hf:owner/name&predict.prompt=Mary+is&s=ablate     a small state
//   #v=1&z=…                                                 a larger one: the same text, deflated (RFC 1951), as base64url
//   #ablate                                                  the page as it begins, at a section
//
// Only what differs from the page as it begins is written. link_fields.js has every field with its kind and limits. A link
// holds no results, no tokens, no files' names and no keys; it is no secret, as every address is in the browser's history.
import { LabError } from "./errors.js";
import { FIELDS, SECTIONS } from "./link_fields.js";
import { PROMPTS } from "./strings/prompts.js";
import { showBytes, showToken } from "./format.js";

/**
 * What a link says, part by part; what it does not say stays as it is at the page's beginning. `look`: the head that is
 * looked at, how the list of heads is sorted, and how signed figures are coloured.
 * @typedef {{ address?: string, backend?: "auto" | "gpu" | "cpu", precision?: "f32" | "f16" }} LinkModel
 * @typedef {import("./state.js").State} State
 * @typedef {Partial<State["attention"]["view"] & State["heads"]["view"] & State["look"]>} Look
 * @typedef {{ model?: LinkModel, settings?: Partial<import("./state.js").Settings>, predict?: Partial<import("./state.js").PredictInputs>,
 *   grid?: Partial<import("./state.js").GridInputs>, attention?: Partial<import("./state.js").AttentionInputs>,
 *   ablate?: Partial<import("./state.js").AblateInputs>, patch?: Partial<import("./state.js").PatchInputs>,
 *   bias?: Partial<import("./state.js").BiasInputs>, heads?: Partial<import("./state.js").HeadsInputs>,
 *   training?: Partial<import("./state.js").TrainingInputs>, look?: Look }} LinkState
 * @typedef {typeof SECTIONS[number]} Section
 * @typedef {{ state: LinkState, section: Section | null, ignored: string[] }} Link `ignored`: keys that are not known, and a place
 */

/** Bytes of a link, and of what it holds when it is unpacked. */
export const CAP_CODED = 8192;
export const CAP_INFLATED = 65_536;
/** A longer link is packed: this much still reads well in a chat. */
const PLAIN = 1500;
/** Unknown keys are listed up to so many, and so long. */
const MOST_IGNORED = 10;
const LONGEST = 40;

const { link: words } = PROMPTS;
const FIELD_BY_KEY = new Map(FIELDS.map((field) => [field.key, field]));

/** Why a link is refused. `code`: link.too_long, link.inflated, link.damaged, link.version, link.twice or link.value. */
export class LinkError extends LabError {
  /** @param {string} code @param {string} message @param {string} [action] */
  constructor(code, message, action = words.action) {
    super(code, message, action);
    this.name = "LinkError";
  }
}

/**
 * A state as a link's text, without the “#”. The empty text stands for the page as it begins.
 * @param {LinkState} state what equals the page's beginning is left out
 * @param {Section | null} [section] that the link leads to
 * @returns {Promise<string>}
 * @throws {LinkError} `link.too_long`, `link.inflated`
 */
export async function encode(state, section = null) {
  const said = new URLSearchParams();
  for (const { key, part, name, kind, start } of FIELDS) {
    let value = /** @type {any} */ (state)[part]?.[name];
    // Files of one's own have no address, and a page on plain http has none that a link may hold.
    if (key === "m" && value !== undefined && kind.read(value) === undefined) value = start;
    // Where a kind cannot read what it would write, a link would be one that nobody can open.
    if (value !== undefined && kind.write(value) !== kind.write(start)) said.append(key, checked(key, kind, kind.write(value)).text);
  }
  if (!said.size) return section ?? "";
  const at = section ? `&s=${section}` : "";
  const text = readable(said.toString());
  const plain = `v=1&${text}${at}`;
  if (plain.length <= PLAIN) return plain;
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > CAP_INFLATED) throw new LinkError("link.inflated", words.tooMuch, words.tooMuchAction);
  const packed = `v=1&z=${toBase64(await through(bytes, new CompressionStream("deflate-raw"), Infinity))}${at}`;
  const best = packed.length < plain.length ? packed : plain;
  if (best.length > CAP_CODED) throw new LinkError("link.too_long", words.tooMuch, words.tooMuchAction);
  return best;
}

/**
 * What a link says. Total: for every text it gives a state within the limits of link_fields.js, or throws a LinkError.
 * @param {string} hash with or without its “#”
 * @returns {Promise<Link>}
 */
export async function decode(hash) {
  const text = hash.replace(/^#/, "");
  if (text.length > CAP_CODED) throw new LinkError("link.too_long", words.tooLong(showBytes(CAP_CODED)));
  const anchor = SECTIONS.find((section) => section === text);
  // An anchor that is nowhere on the page is no link: it is what other sites add to addresses.
  if (anchor || !text.includes("=")) return { state: {}, section: anchor ?? null, ignored: [] };
  const outer = new URLSearchParams(text);
  // Neither is what has no version.
  if (!outer.has("v")) return { state: {}, section: null, ignored: [...new Set(outer.keys())].slice(0, MOST_IGNORED).map(shown) };
  const version = one(outer, "v") ?? "";
  if (version !== "1") throw new LinkError("link.version", words.version(shown(version)));
  const place = one(outer, "s");
  const section = SECTIONS.find((section) => section === place) ?? null;
  const packed = one(outer, "z");
  const all = [...outer].filter(([key]) => !["v", "s", "z"].includes(key));
  if (packed !== null) all.push(...new URLSearchParams(await unpack(packed)));

  /** @type {Map<string, Map<string, unknown>>} */
  const parts = new Map();
  const seen = new Set();
  /** @type {Set<string>} */
  const ignored = new Set(place === null || section ? [] : [shown(`s=${place}`)]);
  for (const [key, said] of all) {
    const field = FIELD_BY_KEY.get(key);
    if (!field) {
      if (ignored.size < MOST_IGNORED) ignored.add(shown(key));
      continue;
    }
    if (seen.has(key)) throw new LinkError("link.twice", words.twice(key));
    seen.add(key);
    const part = parts.get(field.part) ?? new Map();
    parts.set(field.part, part.set(field.name, checked(key, field.kind, said).value));
  }
  const state = Object.fromEntries([...parts].map(([part, fields]) => [part, Object.fromEntries(fields)]));
  return { state: /** @type {LinkState} */ (state), section, ignored: [...ignored] };
}

/** @param {string} key @param {import("./link_fields.js").Kind<any>} kind @param {string} text */
function checked(key, kind, text) {
  const value = kind.read(text);
  if (value === undefined) throw new LinkError("link.value", words.value(key, shown(text), kind.expected));
  return { text, value };
}

/** @param {URLSearchParams} params @param {string} key */
function one(params, key) {
  const all = params.getAll(key);
  if (all.length > 1) throw new LinkError("link.twice", words.twice(key));
  return all[0] ?? null;
}

/** A link's text for a message. @param {string} text */
const shown = (text) => showToken([...text.slice(0, 4 * LONGEST)].slice(0, LONGEST).join("")) + (text.length > LONGEST ? "…" : "");

/** Signs that an address may hold as they are, so that it can be read. @param {string} query */
const readable = (query) => query.replaceAll("%3A", ":").replaceAll("%2F", "/").replaceAll("%40", "@").replaceAll("%2C", ",");

/** @param {string} packed @returns {Promise<string>} */
async function unpack(packed) {
  const damaged = () => new LinkError("link.damaged", words.damaged);
  if (!/^[A-Za-z0-9_-]+$/.test(packed) || packed.length % 4 === 1) throw damaged();
  const bytes = Uint8Array.from(atob(packed.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await through(bytes, new DecompressionStream("deflate-raw"), CAP_INFLATED));
  } catch (cause) {
    throw cause instanceof LinkError ? cause : damaged();
  }
}

/**
 * Sends bytes through a stream that changes their length, and stops when more than `cap` have come out.
 * @param {Uint8Array} bytes @param {CompressionStream | DecompressionStream} stream @param {number} cap
 */
async function through(bytes, stream, cap) {
  const writer = stream.writable.getWriter();
  // What goes wrong is heard where it is read.
  writer.write(/** @type {any} */ (bytes)).catch(() => {});
  writer.close().catch(() => {});
  const reader = stream.readable.getReader();
  /** @type {Uint8Array[]} */
  const parts = [];
  let size = 0;
  for (let step = await reader.read(); !step.done; step = await reader.read()) {
    size += step.value.length;
    if (size > cap) {
      reader.cancel().catch(() => {});
      throw new LinkError("link.inflated", words.inflated(showBytes(cap)));
    }
    parts.push(step.value);
  }
  const all = new Uint8Array(size);
  parts.reduce((at, part) => (all.set(part, at), at + part.length), 0);
  return all;
}

/** @param {Uint8Array} bytes */
const toBase64 = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
