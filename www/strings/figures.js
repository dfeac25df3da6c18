// Sentences of the figures: their tables, colours, cells as they are read out, and the run behind a cell.
import { apart, showCount, showFixed } from "../format.js";

export const FIGURES = {
  grid: "grid",
  /** A place along an axis, the first of a list of them or a later one. @param {string} axis @param {string} label @param {boolean} first */
  axis: (axis, label, first) => `${first ? axis : axis.toLowerCase()} ${label}`,
  axisComma: ", ",
  place: (/** @type {string} */ place, /** @type {string} */ value) => `${place}, ${value}`,
  rank: (/** @type {string} */ words, /** @type {string} */ rank, /** @type {string} */ count) => `${words}, rank ${rank} of ${count}`,
  head: (/** @type {number} */ layer, /** @type {number} */ head, /** @type {boolean} */ kept) => `Layer ${showFixed(layer, 0)}, head ${showFixed(head, 0)}${kept ? ", kept" : ""}`,

  table: {
    value: "Value",
    caption: (/** @type {string} */ title, /** @type {string} */ count) => `${title}: ${count} cells`,
    rows: (/** @type {string} */ from, /** @type {string} */ to, /** @type {string} */ all) => `Rows ${from} to ${to} of ${all}`,
    before: "Earlier rows",
    after: "Later rows",
  },

  look: {
    summary: (/** @type {string} */ map, /** @type {string} */ min, /** @type {string} */ max, /** @type {boolean} */ locked) =>
      `Colours: ${map}, ${min} to ${max}${locked ? ", locked" : ""}`,
    map: "Colour map",
    maps: /** @type {[import("../draw/maps.js").MapName, string][]} */ ([["RdBu", "Red–blue"], ["PuOr", "Orange–purple"], ["sequential", "One hue"]]),
    /** What the colours of a map are called where a sentence begins with them. @type {Record<import("../draw/maps.js").MapName, { low: string, mid: string, high: string }>} */
    colours: {
      RdBu: { low: "Red", mid: "White", high: "Blue" },
      PuOr: { low: "Orange", mid: "White", high: "Purple" },
      sequential: { low: "Paler", mid: "Middling blue", high: "Darker" },
    },
    signs: "Write + and − into the cells",
    range: "Range: middle ±",
    lock: "Lock the range",
    contrast: "Strongest colour at",
    contrastAll: "all of the attention",
    contrastAt: (/** @type {string} */ share) => `a share of ${share}`,
    note: "The range follows each new result, unless it is locked; then two results have the same colours. Map and signs are those of all figures. Small cells, which have no room for their number, have their sign in any case.",
  },

  strip: {
    legendAt: "what it looks at",
    legendBy: "who looks at it",
    token: (/** @type {string} */ token, /** @type {number} */ index) => `Token ${apart(token)} (${showFixed(index, 0)})`,
    at: (/** @type {string} */ token, /** @type {number} */ index, /** @type {string} */ share) => `looks most at ${apart(token)} (${showFixed(index, 0)}), ${share}`,
    by: (/** @type {string} */ token, /** @type {number} */ index, /** @type {string} */ share) => `${apart(token)} (${showFixed(index, 0)}) looks most at it, ${share}`,
    none: "nothing comes after it",
    keys: "Point at a token, or move through them with the arrow keys; a click keeps it.",
  },

  behind: {
    hint: "Click a cell, tap it twice, or press Enter on it, to see the run behind it.",
    zero: (/** @type {string} */ places) => `${places} set to zero`,
    mean: (/** @type {string} */ places) => `${places} replaced by the mean over the reference prompts`,
    resample: (/** @type {string} */ places) => `${places} copied from the reference prompt`,
    patch: (/** @type {string} */ places) => `${places} copied from the clean run into the corrupted run`,
    all: "all layers’",
    part: (/** @type {string} */ name, /** @type {string} */ site) => `${name}’s ${site}`,
    named: (/** @type {string} */ token, /** @type {number} */ index) => `${apart(token)} (${showFixed(index, 0)})`,
    token: (/** @type {number} */ index) => `token ${showFixed(index, 0)}`,
    at: (/** @type {string} */ what) => ` at ${what}`,
    dest: (/** @type {string} */ what) => ` from ${what}`,
    src: (/** @type {string} */ what) => ` to ${what}`,
    layer: (/** @type {number} */ layer) => `layer ${showFixed(layer, 0)}`,
    and: " and ",
    close: "Close",
    prompt: "Prompt",
    reference: "Reference",
    running: "Running it …",
    waiting: "It runs as soon as the model is there.",
    otherModel: "The figure is of another model than the one that is open now, so the run behind its cells cannot be shown. A new sweep makes it one of this model.",
    earlier: "This is a run of the model that was open before.",
    measured: /** @type {Record<string, string>} */ ({ loss: "loss", logit_diff: "logit difference" }),
    metric: (/** @type {string} */ what, /** @type {string} */ after, /** @type {string} */ before, /** @type {string} */ change) =>
      `With this, the ${what} is ${after}; without, ${before} (${change}).`,
    normal: (/** @type {string} */ part) => `That is ${part} of the way from the corrupted to the clean run.`,
    ofMany: (/** @type {number} */ runs) => `The cell is the mean over ${showCount(runs)} such runs; this is one of them.`,
    columns: { clean: "Clean run", corrupted: "Corrupted run", before: "Unedited run", after: "With the edit" },
    top: "Likeliest next tokens",
    answers: "The answers",
    answer: "Token (logit · probability)",
    rank: "Rank",
    attention: "Attention in that run",
    show: "Show",
    head: "Head",
    moved: (/** @type {string} */ head, /** @type {string} */ by) => `${head}: moved ${by}`,
    movedNote: "Heads with what the edit moved of their attention, as a mean over the tokens: 0 is none of it, 1 all of it. The one that moved most is shown first.",
    before: "Before the edit",
    after: "After the edit",
    difference: "After minus before",
    still: "No head’s attention is changed by this edit.",
    tooLong: (/** @type {string} */ size) => `The patterns of both runs are ${size}, too much for this page: use a shorter prompt.`,
    pattern: (/** @type {string} */ dest, /** @type {number} */ d, /** @type {string} */ src, /** @type {number} */ s, /** @type {string} */ value) =>
      `${apart(dest)} (dest ${showFixed(d, 0)}) → ${apart(src)} (src ${showFixed(s, 0)}): ${value}`,
  },
};
