import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSets } from "../../www/sets.js";
import { ablate } from "../../www/experiments.js";
import { initialState } from "../../www/state.js";

test("heads, MLPs, attention layers and whole layers are read as people write them", () => {
  /** @type {[string, object[]][]} */
  const written = [
    ["L9H6", [{ site: "z", layer: 9, head: 6 }]], ["l10h07", [{ site: "z", layer: 10, head: 7 }]], ["9.6", [{ site: "z", layer: 9, head: 6 }]],
    ["MLP11", [{ site: "mlp_out", layer: 11 }]], ["L11 MLP", [{ site: "mlp_out", layer: 11 }]], ["mlp 0", [{ site: "mlp_out", layer: 0 }]],
    ["attn3", [{ site: "attn_out", layer: 3 }]], ["L3 attn", [{ site: "attn_out", layer: 3 }]],
    ["L2", [{ site: "attn_out", layer: 2 }, { site: "mlp_out", layer: 2 }]], ["layer 2", [{ site: "attn_out", layer: 2 }, { site: "mlp_out", layer: 2 }]],
    ["L0H1, MLP2 + L0H3;", [{ site: "z", layer: 0, head: 1 }, { site: "mlp_out", layer: 2 }, { site: "z", layer: 0, head: 3 }]],
  ];
  for (const [text, places] of written) assert.deepEqual(parseSets([text], "z"), [places], text);
  assert.deepEqual(parseSets(["L1H1", "  ", "L2H2"], "v").map((set) => set[0].layer), [1, 2]);
});

test("what is no part of a model is named with its set", () => {
  for (const text of ["L9Q6", "H6", "MLP", "L1H2H3", "head 3"]) {
    assert.throws(() => parseSets(["L1", text], "v"), { code: "input.set", message: `Set 2: “${text}” is no part of the model.` });
  }
  assert.throws(() => parseSets(["", " "], "v"), { code: "input.set" });
});

test("the choices of section 5 as experiments", () => {
  const { ablate: { inputs }, grid, settings } = initialState();
  const ask = (/** @type {Partial<import("../../www/state.js").AblateInputs>} */ patch) =>
    /** @type {any} */ (ablate({ ...inputs, ...patch }, settings.inputs, grid.inputs));
  const batch = ask({ batch: "grid", metric: "logit_diff" });
  assert.equal(batch.prompts.length, 25);
  assert.deepEqual(batch.prompts[1], { prompt: "John is a great friend, isn’t", correct: " he", incorrect: " she" });
  assert.deepEqual(batch.metric, { kind: "logit_diff" });
  assert.ok(!("prompt" in batch));
  assert.deepEqual(ask({ batch: "grid" }).prompts[0], { prompt: "Mary is a great friend, isn’t she" });
  assert.deepEqual(ask({ edit: "mean", over: "prompts" }).edit, { kind: "mean", prompts: ["John is a great friend, isn’t he"], over: "prompts" });
  assert.deepEqual(ask({ edit: "resample", metric: "logit_diff" }).edit, { kind: "resample", prompts: ["John is a great friend, isn’t"] });
  assert.throws(() => ask({ edit: "mean", references: { loss: "\n ", logit_diff: "x" } }), { code: "input.references" });
  const sets = ask({ what: "sets", sets: ["L0H1"], site: "z" });
  assert.deepEqual(sets.sets, [[{ site: "z", layer: 0, head: 1 }]]);
  assert.ok(!("axes" in sets) && !("site" in sets));
  assert.throws(() => ablate({ ...inputs, batch: "grid" }, settings.inputs, { ...grid.inputs, names: [] }), { code: "input.empty_grid" });
});
