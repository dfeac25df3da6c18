// Every function of transformer_lens.patching, as the site and axes that give the same numbers.

/** @typedef {import("./microtome.js").GridPlaces} GridPlaces */
/** @typedef {import("./microtome.js").Site} Site */
/** @typedef {import("./microtome.js").Axis} Axis */
/** @typedef {{ name: string, places: GridPlaces }} Named */

/** What TransformerLens calls each head's activations, in the order of its `every` functions. @type {[string, Site][]} */
const HEADS = [["out", "z"], ["q", "q"], ["k", "k"], ["v", "v"], ["pattern", "pattern"]];
/** @type {Site[]} */
const BLOCKS = ["resid_pre", "attn_out", "mlp_out"];
/** @type {Record<"pos" | "head" | "both", Axis[]>} */
const BY = { pos: ["layer", "pos"], head: ["layer", "head"], both: ["layer", "pos", "head"] };

const every = HEADS.map(([, site]) => site);
/** @param {string} name @param {GridPlaces} places @returns {Named} */
const get = (name, places) => ({ name: `get_act_patch_${name}`, places });

/** Groups by what a cell of the figure is. @type {{ kind: "pos" | "heads" | "both" | "patterns" | "other", functions: Named[] }[]} */
export const GROUPS = [
  { kind: "pos", functions: [
    ...(/** @type {Site[]} */ (["resid_pre", "resid_mid", "attn_out", "mlp_out"]).map((site) => get(site, { site, axes: BY.pos }))),
    get("block_every", { sites: BLOCKS, axes: BY.pos }),
  ] },
  { kind: "heads", functions: [
    ...HEADS.map(([name, site]) => get(`attn_head_${name}_all_pos`, { site, axes: BY.head })),
    get("attn_head_all_pos_every", { sites: every, axes: BY.head }),
  ] },
  { kind: "both", functions: [
    ...HEADS.slice(0, 4).map(([name, site]) => get(`attn_head_${name}_by_pos`, { site, axes: BY.both })),
    get("attn_head_by_pos_every", { sites: every, axes: BY.both }),
  ] },
  { kind: "patterns", functions: [
    get("attn_head_pattern_by_pos", { site: "pattern", axes: ["layer", "head", "dest"] }),
    get("attn_head_pattern_dest_src_pos", { site: "pattern", axes: ["layer", "head", "dest", "src"] }),
  ] },
  // What TransformerLens has no name for: every other site that has positions, all its heads together.
  { kind: "other", functions: /** @type {Site[]} */ (["q", "k", "v", "z", "pre", "post", "resid_post"])
    .map((site) => ({ name: site, places: { site, axes: BY.pos } })) },
];

const FUNCTIONS = new Map(GROUPS.flatMap(({ functions }) => functions.map(({ name, places }) => [name, places])));

/** @param {string} name @returns {GridPlaces} */
export function placesOf(name) {
  const places = FUNCTIONS.get(name);
  if (!places) throw new Error(`There is no function ${name}.`);
  return places;
}
