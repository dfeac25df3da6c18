import assert from "node:assert/strict";
import { test } from "node:test";
import { patch } from "../../www/experiments.js";
import { GROUPS, placesOf } from "../../www/patching.js";
import { initialState } from "../../www/state.js";

/** The functions of transformer_lens.patching (2.18) and the shapes that they state, without `get_act_patch_`. */
const SHAPES = {
  resid_pre: "layer pos", resid_mid: "layer pos", attn_out: "layer pos", mlp_out: "layer pos", block_every: "site layer pos",
  attn_head_out_by_pos: "layer pos head", attn_head_q_by_pos: "layer pos head", attn_head_k_by_pos: "layer pos head",
  attn_head_v_by_pos: "layer pos head", attn_head_pattern_by_pos: "layer head dest",
  attn_head_pattern_dest_src_pos: "layer head dest src",
  attn_head_out_all_pos: "layer head", attn_head_q_all_pos: "layer head", attn_head_k_all_pos: "layer head",
  attn_head_v_all_pos: "layer head", attn_head_pattern_all_pos: "layer head",
  attn_head_all_pos_every: "site layer head", attn_head_by_pos_every: "site layer pos head",
};

test("every function of transformer_lens.patching is there once, with its axes", () => {
  const names = GROUPS.filter(({ kind }) => kind !== "other").flatMap(({ functions }) => functions.map(({ name }) => name));
  assert.deepEqual([...names].sort(), Object.keys(SHAPES).map((name) => `get_act_patch_${name}`).sort());
  for (const [name, shape] of Object.entries(SHAPES)) {
    const places = placesOf(`get_act_patch_${name}`);
    assert.equal([...("sites" in places ? ["site"] : []), ...places.axes].join(" "), shape, name);
  }
});

test("the families stack their activations in TransformerLens’ order", () => {
  const { inputs } = initialState().patch;
  const { settings } = initialState();
  const every = patch({ ...inputs, what: "get_act_patch_attn_head_by_pos_every" }, settings.inputs);
  assert.deepEqual("sites" in every && every.sites, ["z", "q", "k", "v", "pattern"]);
  const block = patch({ ...inputs, what: "get_act_patch_block_every" }, settings.inputs);
  assert.deepEqual("sites" in block && block.sites, ["resid_pre", "attn_out", "mlp_out"]);
  assert.throws(() => placesOf("get_act_patch_nothing"), /no function/);
});
