// An experiment as a Python script for nnsight, which runs Hugging Face's own model, here or on NDIF's machines: for models
// that outgrow a tab. Its weights are the raw ones. A site is a module of that model and one side of it. Longer than most files:
// one part for each kind, that read side by side.
import { checkFields, known } from "./known.js";
import { indented, py, pyString } from "./literal.js";
import { isHub, placeOfSource } from "./origin.js";

/** What the scripts were checked with. */
export const NNSIGHT_PINS = "nnsight==0.8.1 torch==2.15.0 transformers==4.57.6";

/**
 * Where a site is in Hugging Face's GPT-2: the module of layer `{}`, and its side; `part` of the three that c_attn makes at
 * once. In the order in which they run.
 * @type {Record<string, { at: string, side: "input" | "output", heads?: boolean, part?: number, square?: boolean, read?: boolean }>}
 */
const SITES = {
  resid_pre: { at: "model.transformer.h[{}]", side: "input" },
  q: { at: "model.transformer.h[{}].attn.c_attn", side: "output", heads: true, part: 0 },
  k: { at: "model.transformer.h[{}].attn.c_attn", side: "output", heads: true, part: 1 },
  v: { at: "model.transformer.h[{}].attn.c_attn", side: "output", heads: true, part: 2 },
  // Dropout does nothing here, and its modules see what no other module does.
  pattern: { at: "model.transformer.h[{}].attn.attn_dropout", side: "output", square: true },
  z: { at: "model.transformer.h[{}].attn.c_proj", side: "input", heads: true },
  attn_out: { at: "model.transformer.h[{}].attn.resid_dropout", side: "output" },
  // What is added to afterwards is not this module's input: it can only be read here.
  resid_mid: { at: "model.transformer.h[{}].ln_2", side: "input", read: true },
  pre: { at: "model.transformer.h[{}].mlp.c_fc", side: "output" },
  post: { at: "model.transformer.h[{}].mlp.c_proj", side: "input" },
  mlp_out: { at: "model.transformer.h[{}].mlp", side: "output" },
  resid_post: { at: "(model.transformer.h[{} + 1] if {} + 1 < N_LAYERS else model.transformer.ln_f)", side: "input" },
};
const ORDER = Object.keys(SITES);
const HOOK = /^blocks\.(\d+)\.(?:attn\.|mlp\.)?hook_(\w+)$/;

/** The module of a site. @param {string} site @param {string} layer */
const moduleOf = (site, layer) => SITES[site].at.replaceAll("{}", layer);

/**
 * Why there is no such script for an experiment; null where there is one.
 * @param {any} experiment @param {import("./origin.js").Source} [source]
 */
export function whyNoNnsight(experiment, source) {
  if (source?.step !== undefined && !isHub(source.address)) return "a checkpoint that is stored as a difference has no folder that nnsight could load";
  if (experiment.edited) return "a single run with an edit is written for TransformerLens only";
  const edited = (/** @type {string[]} */ sites) => sites.find((site) => !SITES[site] || SITES[site].read);
  switch (experiment.kind) {
    case "predict": case "logit_diff": return null;
    case "trace": {
      const hook = experiment.hooks.find((/** @type {string} */ name) => !SITES[HOOK.exec(name)?.[2] ?? ""]);
      return hook ? `Hugging Face's model has no module where ${hook} could be read` : null;
    }
    case "ablate": case "patch": {
      const site = edited(experiment.sets ? experiment.sets.flat().map((/** @type {any} */ place) => place.site) : experiment.sites ?? [experiment.site]);
      return site ? `Hugging Face's model has no module where ${site} could be edited` : null;
    }
    default: return "it is about processed weights, many models or attention alone, for which TransformerLens is the tool";
  }
}

/** The part of a site's tensor at some indices, as a Python index. @param {string} site @param {Record<string, string | number>} at */
function indexOf(site, at) {
  const { heads, part, square } = SITES[site];
  if (square) return `[${[":", ...["head", "dest", "src"].map((axis) => at[axis] ?? ":")].join(", ")}]`;
  const pos = at.pos ?? ":";
  if (!heads) return at.pos === undefined ? "[:]" : `[:, ${pos}]`;
  const from = part ? `${part} * D_MODEL` : "";
  const head = at.head;
  const columns = head === undefined ? (part === undefined ? "" : `${from}:${part + 1} * D_MODEL`)
    : `${[from, `${head} * D_HEAD`].filter(Boolean).join(" + ")}:${[from, `(${head} + 1) * D_HEAD`].filter(Boolean).join(" + ")}`;
  return columns ? `[:, ${pos}, ${columns}]` : `[:, ${pos}]`;
}

/** @param {any} prompt @param {any} context @param {any} [more] */
const lineOf = (prompt, { ids, bos }, more = {}) => ({ ids: ids.prompt(prompt, bos), ...(typeof prompt === "string" ? { text: prompt } : {}), ...more });
const answersOf = (/** @type {any} */ entry, /** @type {any} */ metric, /** @type {any} */ { ids }) => (metric.kind !== "logit_diff" ? {}
  : { correct: ids.token(entry.correct ?? metric.correct), incorrect: ids.token(entry.incorrect ?? metric.incorrect) });

/** Python of the metric on one run. @param {string} kind */
const metricOf = (kind) => known("metric", {
  loss: `def metric(logits, case):
    """Mean cross-entropy of token t + 1 at position t, in nats."""
    return torch.nn.functional.cross_entropy(logits[0, :-1], tokens(case)[0, 1:].to(logits.device))`,
  logit_diff: `def metric(logits, case):
    """logit(correct) - logit(incorrect) at the last position."""
    return logits[0, -1, case["correct"]] - logits[0, -1, case["incorrect"]]`,
}, kind);

/** Python that runs the model on a case and names what it gives. @param {string} name @param {string} of */
const run = (name, of) => `with model.trace(tokens(${of}), remote=REMOTE):
    ${name} = model.lm_head.output.save()`;

/** @type {Record<string, (e: any, context: any) => string>} */
const KINDS = {
  predict: (e, context) => `prompt = ${py(lineOf(e.prompt, context))}
${run("logits", "prompt")}
last, prob = logits[0, -1], logits[0, -1].softmax(-1)
top = last.topk(min(${e.top_k ?? 10}, len(last))).indices.tolist()
loss = torch.nn.functional.cross_entropy(logits[0, :-1], tokens(prompt)[0, 1:]).item() if len(prompt["ids"]) > 1 else None
result = {
    "tokens": [{"id": i} for i in prompt["ids"]],
    "top": [{"id": i, "logit": last[i].item(), "prob": prob[i].item()} for i in top],
    "loss": loss,
}
${e.answer === undefined ? "" : `answer = ${context.ids.token(e.answer)}
result["answer"] = {"id": answer, "rank": int((last > last[answer]).sum()), "logit": last[answer].item(), "prob": prob[answer].item()}
`}${e.answers?.length ? `answers = ${py(e.answers.map((/** @type {any} */ token) => context.ids.token(token)))}
result["answers"] = [{"id": i, "rank": int((last > last[i]).sum()), "logit": last[i].item(), "prob": prob[i].item()} for i in answers]
` : ""}`,
  logit_diff: (e, context) => `cases = ${py(e.prompts.map((/** @type {any} */ entry) => lineOf(entry.prompt, context, answersOf(entry, { kind: "logit_diff" }, context))))}


${metricOf("logit_diff")}


values = []
for case in cases:
${indented(run("logits", "case"))}
    values.append(metric(logits, case).item())
result = {"values": values, "mean": mean(values)}
`,
  trace(e, context) {
    const order = (/** @type {string} */ hook) => {
      const [, layer, site] = /** @type {RegExpExecArray} */ (HOOK.exec(hook));
      return { hook, layer, site, rank: Number(layer) * ORDER.length + ORDER.indexOf(site) };
    };
    const hooks = e.hooks.map(order).sort((/** @type {any} */ a, /** @type {any} */ b) => a.rank - b.rank);
    // c_attn's one output is three sites.
    const lines = hooks.map((/** @type {any} */ { hook, layer, site }) => {
      const { side, heads } = SITES[site];
      return `        found[${pyString(hook)}] = ${moduleOf(site, layer)}.${side}${heads ? `${indexOf(site, {})}.unflatten(-1, (N_HEADS, D_HEAD))` : ""}[0]`;
    });
    return `prompts = ${py(e.prompts.map((/** @type {any} */ prompt) => lineOf(prompt, context)))}
tensors = []
for prompt in prompts:
    with model.trace(tokens(prompt), remote=REMOTE):
        found = dict().save()
${lines.join("\n")}
    tensors.append({name: {"shape": list(x.shape), "data": x.flatten().tolist()} for name, x in found.items()})
result = {"tensors": tensors}
`;
  },
  ablate(e, context) {
    const cases = (e.prompts ?? [{ prompt: e.prompt }]).map((/** @type {any} */ entry) => lineOf(entry.prompt, context, answersOf(entry, e.metric, context)));
    const references = e.edit.prompts?.map((/** @type {any} */ prompt) => lineOf(prompt, context));
    const { kind, over = "tokens" } = e.edit;
    const joined = known("mean over", { tokens: "cat", prompts: "stack" }, over);
    const value = known("edit", { zero: "0.0", mean: `average[NAME, LAYER].expand_as(x)INDEX`, resample: `source[NAME, LAYER]INDEX` }, kind);
    return `cases = ${py(cases)}
${references ? `references = ${py(references)}
` : ""}

${metricOf(e.metric.kind)}

${kind === "zero" ? "" : `
${keep(e)}

kept = [keep(prompt) for prompt in references]
${kind === "mean" ? `# The mean over ${over === "tokens" ? "every position of every reference prompt" : "the reference prompts, position by position"}.
average = {place: torch.${joined}([one[place][0] for one in kept]).mean(0) for place in kept[0]}
` : ""}`}
baselines = []
for case in cases:
${indented(run("logits", "case"))}
    baselines.append(metric(logits, case).item())
${sweep(e, value, kind === "resample" ? "for case, source in ((case, source) for case in cases for source in kept):" : "for case in cases:")}
result = {"axes": axes, "shape": shape, "values": values, "baseline": mean(baselines)}
`;
  },
  patch(e, context) {
    const pairs = (e.pairs ?? [{ clean: e.clean, corrupted: e.corrupted }]).map((/** @type {any} */ pair) =>
      ({ clean: lineOf(pair.clean, context), corrupted: lineOf(pair.corrupted, context), ...answersOf(pair, e.metric, context) }));
    return `pairs = ${py(pairs)}
cases = [pair["corrupted"] | pair for pair in pairs]  # the runs that are patched


${metricOf(e.metric.kind)}


${keep(e)}

kept = [keep(pair["clean"]) for pair in pairs]
clean_metrics, corrupted_metrics = [], []
for pair, case in zip(pairs, cases):
    with model.trace(tokens(pair["clean"]), remote=REMOTE):
        clean = model.lm_head.output.save()
    with model.trace(tokens(case), remote=REMOTE):
        corrupted = model.lm_head.output.save()
    clean_metrics.append(metric(clean, pair["clean"] | pair).item())
    corrupted_metrics.append(metric(corrupted, case).item())
clean_metric, corrupted_metric = mean(clean_metrics), mean(corrupted_metrics)
${sweep(e, "source[NAME, LAYER]INDEX", "for case, source in zip(cases, kept):")}
${e.metric.normalize ? `# 0 is the corrupted run, 1 the clean one.
values = [(v - corrupted_metric) / (clean_metric - corrupted_metric) for v in values]
` : ""}result = {"axes": axes, "shape": shape, "values": values, "clean": clean_metric, "corrupted": corrupted_metric}
`;
  },
};

/** @param {any} e @returns {string[]} in the order in which they run */
const sitesOf = (e) => [...new Set(/** @type {string[]} */ (e.sets ? e.sets.flat().map((/** @type {any} */ place) => place.site) : e.sites ?? [e.site]))]
  .sort((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b));

/** A function that keeps the sites' tensors of one run, by site and layer. @param {any} e */
const keep = (e) => `def keep(prompt):
    with model.trace(tokens(prompt), remote=REMOTE):
        found = dict().save()
        for layer in range(N_LAYERS):
${sitesOf(e).filter((site, i, all) => all.findIndex((other) => key(other) === key(site)) === i)
    .map((site) => `            found[${key(site)}, layer] = ${moduleOf(site, "layer")}.${SITES[site].side}`).join("\n")}
    return found
`;

/** What a kept tensor is called: sites of one module share theirs. @param {string} site */
const key = (site) => pyString(SITES[site].part === undefined ? site : "qkv");

/** Python that edits one place. @param {string} site @param {string} layer @param {string[]} indices @param {string} value */
function editLines(site, layer, indices, value) {
  const { side } = SITES[site];
  return `here = ${moduleOf(site, layer)}
x = here.${side}.clone()
${indices.map((index) => `x${index} = ${value.replace("NAME", key(site)).replace("LAYER", layer).replace("INDEX", index)}`).join("\n")}
here.${side} = x`;
}

/**
 * Python that fills `axes`, `shape` and `values`. The cells of the last axis are one batch, and so one request.
 * @param {any} e @param {string} value what is written @param {string} each Python's loop over the runs whose mean is taken
 */
function sweep(e, value, each) {
  const inner = (/** @type {string} */ edits, /** @type {string} */ loop) => `rows = []
${each}
    with model.trace(remote=REMOTE) as tracer:
        row = list().save()
${loop ? `        ${loop}
            with tracer.invoke(tokens(case)):
${indented(edits, 16)}
                row.append(metric(model.lm_head.output, case))` : `        with tracer.invoke(tokens(case)):
${indented(edits, 12)}
            row.append(metric(model.lm_head.output, case))`}
    rows.append([v.item() for v in row])
values += [mean(column) for column in zip(*rows)]`;
  if (e.sets) {
    const blocks = e.sets.map((/** @type {any[]} */ set) => inner(setEdits(set, value), ""));
    return `axes, shape, values = ["set"], [${e.sets.length}], []
${blocks.join("\n")}`;
  }
  const sites = /** @type {string[]} */ (e.sites ?? [e.site]);
  const size = /** @type {Record<string, string>} */ ({ layer: "N_LAYERS", head: "N_HEADS", pos: "length", dest: "length", src: "length" });
  const outer = e.axes.slice(0, -1);
  const last = e.axes.at(-1);
  const loops = sites.map((site) => {
    const at = Object.fromEntries(e.axes.map((/** @type {string} */ axis) => [e.sites && axis === "pos" && SITES[site].square ? "dest" : axis, axis]));
    const one = editLines(site, "layer", [indexOf(site, at)], value);
    const edits = e.axes.includes("layer") ? one : `for layer in range(N_LAYERS):\n${indented(one)}`;
    const body = inner(edits, last ? `for ${last} in range(${size[last]}):` : "");
    const ranges = outer.map((/** @type {string} */ axis) => `range(${size[axis]})`).join(", ");
    return outer.length ? `for ${outer.join(", ")} in ${outer.length > 1 ? `itertools.product(${ranges})` : ranges}:\n${indented(body)}` : body;
  });
  const positions = e.axes.some((/** @type {string} */ axis) => size[axis] === "length");
  return `${positions ? `length = len(cases[0]["ids"])\n` : ""}axes, shape, values = ${py([...(e.sites ? ["site"] : []), ...e.axes])}, [${[...(e.sites ? [sites.length] : []), ...e.axes.map((/** @type {string} */ axis) => size[axis])].join(", ")}], []
${loops.join("\n")}`;
}

/** The edits of a set, module by module in the order in which they run. @param {any[]} set @param {string} value */
function setEdits(set, value) {
  const everywhere = set.filter(({ layer }) => layer === undefined);
  if (everywhere.length) throw new Error("A set without a layer is not written for nnsight.");
  /** @type {Map<string, { site: string, layer: number, indices: string[] }>} */
  const modules = new Map();
  for (const { site, layer, ...at } of set) {
    const where = `${layer} ${key(site)}`;
    const known = modules.get(where) ?? { site, layer, indices: /** @type {string[]} */ ([]) };
    known.indices.push(indexOf(site, at));
    modules.set(where, known);
  }
  return [...modules.values()].sort((a, b) => a.layer - b.layer || ORDER.indexOf(a.site) - ORDER.indexOf(b.site))
    .map(({ site, layer, indices }) => editLines(site, String(layer), indices, value)).join("\n");
}

/** What is the same with raw weights, and what is not. @param {any} e @returns {string[]} */
function comparable(e) {
  const raw = e.processing === "none";
  if (raw) return ["The page ran the raw weights too: every number is comparable."];
  const how = `To compare, choose "Raw weights" on the page (or "processing": "none").`;
  if (e.kind === "predict") return ["The page ran processed weights: ranks, probabilities and the loss are the same, logits are shifted by one constant."];
  if (e.kind === "logit_diff") return ["The page ran processed weights, which leave logit differences as they are."];
  if (e.kind === "trace") return ["The page ran processed weights: patterns are the same, residual streams, values and z are not.", how];
  const sites = sitesOf(e);
  if (e.kind === "ablate" && e.edit.kind === "zero" && sites.some((site) => ["v", "z", "pattern"].includes(site))) {
    return ["The page ran processed weights. There the value biases lie in the output bias, and stay when v, z or pattern is zero;",
      "here they go with it: these numbers differ, and both are right.", how];
  }
  return ["The page ran processed weights, which leave the values of this experiment as they are but for rounding."];
}

/** @param {any} experiment @param {{ source: import("./origin.js").Source, ids: import("../tokens.js").Ids, about: string[] }} options */
export function nnsightScript(experiment, { source, ids, about }) {
  const why = whyNoNnsight(experiment, source);
  if (why) throw new Error(why);
  checkFields(experiment);
  const place = placeOfSource(source);
  const body = KINDS[experiment.kind](experiment, { ids, bos: experiment.prepend_bos !== false });
  const uses = (/** @type {string} */ word) => new RegExp(`\\b${word}\\b`).test(body);
  return `${about.map((line) => (line ? `# ${line}` : "#")).join("\n")}
#
${comparable(experiment).map((line) => `# ${line}`).join("\n")}
# With --remote the model runs on NDIF's machines (https://ndif.us; set an API key first, and name a model that they serve).

${uses("itertools") ? "import itertools\n" : ""}import json
import sys

import torch
from nnsight import TransformersModel

REMOTE = "--remote" in sys.argv
FOLDERS = [word for word in sys.argv[1:] if not word.startswith("--")]
MODEL = FOLDERS[0] if FOLDERS else ${pyString(place.model)}  # ${isHub(source.address) ? "of the Hugging Face Hub, or a folder" : "a folder with config.json, weights and a tokenizer"}
torch.set_grad_enabled(False)

# LanguageModel of older versions is the same. Eager attention: the other kind has no patterns.
model = TransformersModel(MODEL, task="text-generation", ${place.revision === null ? "" : `revision=${pyString(place.revision)}, `}attn_implementation="eager", dtype=torch.float32, dispatch=not REMOTE)
N_LAYERS, N_HEADS, D_MODEL = model.config.n_layer, model.config.n_head, model.config.n_embd
D_HEAD = D_MODEL // N_HEADS


def tokens(prompt):
    return torch.tensor([prompt["ids"]])  # [batch, pos]


def mean(values):
    values = list(values)
    return sum(values) / len(values)


${body}
print(json.dumps({"version": 1, "kind": ${pyString(experiment.kind)}, **result}))
`;
}
