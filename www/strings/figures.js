// Sentences of the figures: their tables, colours, cells as they are read out, and the run behind a cell.

export const FIGURES = {
  grid: "grid",
  place: (/** @type {string} */ place, /** @type {string} */ value) => `${place}, ${value}`,
  rank: (/** @type {string} */ words, /** @type {string} */ rank, /** @type {string} */ count) => `${words}, rank ${rank} of ${count}`,
  head: (/** @type {number} */ layer, /** @type {number} */ head, /** @type {boolean} */ kept) => `Layer ${layer}, head ${head}${kept ? ", kept" : ""}`,

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
    signs: "Write + and − into the cells",
    range: "Range: middle ±",
    lock: "Lock the range",
    note: "The range follows each new result, unless it is locked; then two results have the same colours. Map and signs are those of all figures.",
  },

  strip: {
    legendAt: "what it looks at",
    legendBy: "who looks at it",
    token: (/** @type {string} */ token, /** @type {number} */ index) => `Token ${token} (${index})`,
    at: (/** @type {string} */ token, /** @type {number} */ index, /** @type {string} */ share) => `looks most at ${token} (${index}), ${share}`,
    by: (/** @type {string} */ token, /** @type {number} */ index, /** @type {string} */ share) => `${token} (${index}) looks most at it, ${share}`,
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
    at: (/** @type {string} */ token, /** @type {number} */ index) => ` at ${token} (${index})`,
    dest: (/** @type {string} */ token, /** @type {number} */ index) => ` from ${token} (${index})`,
    src: (/** @type {string} */ token, /** @type {number} */ index) => ` to ${token} (${index})`,
    layer: (/** @type {number} */ layer) => `layer ${layer}`,
    and: " and ",
    close: "Close",
    prompt: "Prompt",
    reference: "Reference",
    running: "Running it …",
    measured: /** @type {Record<string, string>} */ ({ loss: "loss", logit_diff: "logit difference" }),
    metric: (/** @type {string} */ what, /** @type {string} */ after, /** @type {string} */ before, /** @type {string} */ change) =>
      `With this, the ${what} is ${after}; without, ${before} (${change}).`,
    normal: (/** @type {string} */ part) => `That is ${part} of the way from the corrupted to the clean run.`,
    ofMany: (/** @type {number} */ runs) => `The cell is the mean over ${runs} such runs; this is one of them.`,
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
      `${dest} (dest ${d}) → ${src} (src ${s}): ${value}`,
  },
};
