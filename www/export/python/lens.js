// An experiment as Python functions for TransformerLens 2.x. Longer than most files: one part for each kind, that read side by
// side. Each kind gives the body of a function `(model) → dict` whose fields are those of the result.
import { GROUPS } from "../../patching.js";
import { checkFields, known } from "./known.js";
import { indented, py, pyString } from "./literal.js";

/** @typedef {import("../tokens.js").Ids} Ids */
/** What writing a function needs. @typedef {{ ids: Ids, bos: boolean, n_layers: number }} Context */

/** The processing that the experiment names, as `load_and_process_state_dict` takes it. @param {import("../../microtome.js").Processing | undefined} processing */
export function switchesOf(processing = "transformer_lens") {
  const all = { fold_ln: true, center_writing_weights: true, center_unembed: true, fold_value_biases: true, refactor_factored_attn_matrices: false };
  if (processing === "transformer_lens") return all;
  return processing === "none" ? /** @type {typeof all} */ (Object.fromEntries(Object.keys(all).map((name) => [name, false]))) : { ...all, ...processing };
}

/** The axes of a site's tensor behind the batch axis that an experiment can name. @type {Record<string, string[]>} */
const TENSORS = {
  ...Object.fromEntries(["q", "k", "v", "z", "result", "attn_in", "q_input", "k_input", "v_input"].map((site) => [site, ["pos", "head"]])),
  attn_scores: ["head", "dest", "src"], pattern: ["head", "dest", "src"],
};
const axesOf = (/** @type {string} */ site) => TENSORS[site] ?? ["pos"];
const OUTSIDE = ["embed", "pos_embed", "ln_final.scale", "ln_final.normalized"];
/** Sites whose hooks TransformerLens makes only when it is asked to. @type {Record<string, string>} */
const FLAGS = {
  result: "use_attn_result", attn_in: "use_attn_in", mlp_in: "use_hook_mlp_in",
  q_input: "use_split_qkv_input", k_input: "use_split_qkv_input", v_input: "use_split_qkv_input",
};

/** The hook of a site, as a Python expression. @param {string} site @param {string} layer an expression */
function hookOf(site, layer) {
  const [module, name] = site.includes(".") ? site.split(".") : ["", site];
  if (OUTSIDE.includes(site)) return pyString([...(module ? [module] : []), `hook_${name}`].join("."));
  if (module) return `f"blocks.{${layer}}.${module}.hook_${name}"`;
  return site in FLAGS && site !== "result" ? `f"blocks.{${layer}}.hook_${name}"` : `utils.get_act_name("${site}", ${layer})`;
}

/** The part of a site's tensor `[batch, …]` at some indices, as a Python index. @param {string} site @param {Record<string, string | number>} at */
function placeOf(site, at) {
  const parts = axesOf(site).map((axis) => String(at[axis] ?? ":"));
  while (parts.length && parts[parts.length - 1] === ":") parts.pop();
  return `np.s_[${[":", ...parts].join(", ")}]`;
}

/** @param {string[]} sites */
const flagsOf = (sites) => [...new Set(sites.flatMap((site) => FLAGS[site] ?? []))];
const setFlags = (/** @type {string[]} */ flags, on = "True") => flags.map((flag) => `model.set_${flag}(${on})\n`).join("");

/** A prompt as a line of data, with what it says. @param {any} prompt @param {Context} context @param {any} [more] */
function promptLine(prompt, { ids, bos }, more = {}) {
  const fields = { ids: ids.prompt(prompt, bos), ...(typeof prompt === "string" ? { text: prompt } : {}), ...more };
  return fields;
}

const answersOf = (/** @type {any} */ entry, /** @type {any} */ metric, /** @type {Context} */ { ids }) => {
  if (metric.kind !== "logit_diff") return {};
  const token = (/** @type {string} */ name) => {
    const ref = entry[name] ?? metric[name];
    return { [name]: ids.token(ref), ...(typeof ref === "string" ? { [`${name}_text`]: ref } : {}) };
  };
  return { ...token("correct"), ...token("incorrect") };
};

/**
 * Python of a function `edit(x, hook, place)` that writes what an edit writes, with what it needs; of a resample it also takes
 * the `source`, one of `caches`.
 * @param {any} edit @param {string[]} sites @param {Context} context
 */
function writer({ kind, prompts, over = "tokens" }, sites, context) {
  const write = known("edit", { zero: "0.0", mean: "average[hook.name].expand_as(x)[place]", resample: "source[hook.name][place]" }, kind);
  const joined = known("mean over", { tokens: "cat", prompts: "stack" }, over);
  const hooks = sites.map((site) => pyString(site.includes(".") ? site.replace(".", ".hook_") : `hook_${site}`)).join(", ");
  const references = prompts ? `references = ${py(prompts.map((/** @type {any} */ prompt) => promptLine(prompt, context)))}
caches = [model.run_with_cache(tokens(prompt))[1] for prompt in references]
` : "";
  const average = kind === "mean" ? `# The mean over ${over === "tokens" ? "every position of every reference prompt" : "the reference prompts, position by position"}.
average = {name: torch.${joined}([cache[name][0] for cache in caches]).mean(0) for name in caches[0]
           if name.endswith((${hooks},))}
` : "";
  return `${references}${average}
def edit(x, hook, place${kind === "resample" ? ", source" : ""}):
    x = x.clone()
    x[place] = ${write}
    return x
`;
}

/** Python of `hooks`, the edit that one run has of its own. @param {any} edited places and what is written there @param {Context} context */
function editedRun({ places, edit }, context) {
  const sites = [...new Set(/** @type {string[]} */ (places.map((/** @type {any} */ place) => place.site)))];
  // The engine refuses more: a single run has one source.
  if (edit.kind === "resample" && edit.prompts.length !== 1) throw new Error(`a single run is resampled from one prompt, not from ${edit.prompts.length}`);
  return `${setFlags(flagsOf(sites))}${writer(edit, sites, context)}
# Places that are edited together: hooks, and what of their tensors [batch, …].
cell = [${spots(places, context.n_layers).join(", ")}]
hooks = [(name, partial(edit, place=place${edit.kind === "resample" ? ", source=caches[0]" : ""})) for name, place in cell]
`;
}

/** Each place of a set as Python: its hook, and its part of the tensor. @param {any[]} places @param {number} n_layers */
const spots = (places, n_layers) => places.flatMap(({ site, layer, ...at }) =>
  (OUTSIDE.includes(site) ? [0] : layer === undefined ? Array.from({ length: n_layers }, (_, i) => i) : [layer])
    .map((l) => `(${hookOf(site, String(l))}, ${placeOf(site, at)})`));

/** Python of the metric on one run. @param {string} kind */
const metricOf = (kind) => known("metric", {
  loss: `def metric(logits, case):
    """Mean cross-entropy of token t + 1 at position t, in nats."""
    return utils.lm_cross_entropy_loss(logits, tokens(case)).item()`,
  logit_diff: `def metric(logits, case):
    """logit(correct) - logit(incorrect) at the last position."""
    return (logits[0, -1, case["correct"]] - logits[0, -1, case["incorrect"]]).item()`,
}, kind);

/** @type {Record<string, (e: any, context: Context) => string>} */
const KINDS = {
  predict(e, context) {
    const answer = e.answer === undefined ? null : context.ids.token(e.answer);
    return `prompt = ${py(promptLine(e.prompt, context))}
${e.edited ? `${editedRun(e.edited, context)}logits = model.run_with_hooks(tokens(prompt), fwd_hooks=hooks)` : "logits = model(tokens(prompt))"}
last, prob = logits[0, -1], logits[0, -1].softmax(-1)
top = last.topk(min(${e.top_k ?? 10}, len(last))).indices.tolist()
loss = utils.lm_cross_entropy_loss(logits, tokens(prompt)).item() if len(prompt["ids"]) > 1 else math.nan
result = {
    "tokens": [{"id": i} for i in prompt["ids"]],
    "top": [{"id": i, "logit": last[i].item(), "prob": prob[i].item()} for i in top],
    "loss": number(loss),
}
${answer === null ? "" : `answer = ${answer}${typeof e.answer === "string" ? `  # ${pyString(e.answer)}` : ""}
result["answer"] = {"id": answer, "rank": int((last > last[answer]).sum()), "logit": last[answer].item(), "prob": prob[answer].item()}
`}${e.answers?.length ? `answers = ${py(e.answers.map((/** @type {any} */ token) => context.ids.token(token)))}
result["answers"] = [{"id": i, "rank": int((last > last[i]).sum()), "logit": last[i].item(), "prob": prob[i].item()} for i in answers]
` : ""}return result`;
  },

  logit_diff: (e, context) => `cases = ${py(e.prompts.map((/** @type {any} */ entry) => promptLine(entry.prompt, context, answersOf(entry, { kind: "logit_diff" }, context))))}

${metricOf("logit_diff")}

values = [metric(model(tokens(case)), case) for case in cases]
return {"values": values, "mean": mean(values)}`,

  trace(e, context) {
    const of = (/** @type {RegExp} */ pattern) => e.hooks.filter((/** @type {string} */ hook) => pattern.test(hook));
    const special = /hook_(attn_in|[qkv]_input)$/;
    const rounds = [
      { hooks: e.hooks.filter((/** @type {string} */ hook) => !special.test(hook)), flags: ["use_attn_result", "use_hook_mlp_in"].filter((flag) => of(flag === "use_attn_result" ? /hook_result$/ : /hook_mlp_in$/).length) },
      { hooks: of(/hook_attn_in$/), flags: ["use_attn_in"] },
      { hooks: of(/hook_[qkv]_input$/), flags: ["use_split_qkv_input"] },
    ].filter(({ hooks }) => hooks.length);
    // What the edit needs stays on, round by round.
    const needed = flagsOf(e.edited?.places.map((/** @type {any} */ place) => place.site) ?? []);
    return `prompts = ${py(e.prompts.map((/** @type {any} */ prompt) => promptLine(prompt, context)))}
${e.edited ? editedRun(e.edited, context) : ""}tensors = [{} for _ in prompts]
${rounds.map(({ hooks, flags }) => `wanted = ${py(hooks)}
${setFlags(flags)}for prompt, found in zip(prompts, tensors):
    ${e.edited ? `with model.hooks(fwd_hooks=hooks):
        _, cache = model.run_with_cache(tokens(prompt), names_filter=wanted)` : "_, cache = model.run_with_cache(tokens(prompt), names_filter=wanted)"}
    for name in wanted:
        x = cache[name][0]  # without the batch axis
        found[name] = {"shape": list(x.shape), "data": [number(v) for v in x.flatten().tolist()]}
${setFlags(flags.filter((flag) => !needed.includes(flag)), "False")}`).join("")}return {"tensors": tensors}`;
  },

  ablate(e, context) {
    const entries = e.prompts ?? [{ prompt: e.prompt }];
    const cases = entries.map((/** @type {any} */ entry) => promptLine(entry.prompt, context, answersOf(entry, e.metric, context)));
    const copies = e.edit.kind === "resample";
    return `${setFlags(flagsOf(sitesOf(e)))}cases = ${py(cases)}
${metricOf(e.metric.kind)}

${writer(e.edit, sitesOf(e), context)}
${cells(e, context, copies
    ? `metric(model.run_with_hooks(tokens(case), fwd_hooks=[(name, partial(edit, place=place, source=source)) for name, place in cell]), case)
        for case in cases for source in caches`
    : `metric(model.run_with_hooks(tokens(case), fwd_hooks=[(name, partial(edit, place=place)) for name, place in cell]), case)
        for case in cases`)}
baseline = mean(metric(model(tokens(case)), case) for case in cases)
return {"axes": axes, "shape": shape, "values": [number(v) for v in values], "baseline": baseline}`;
  },

  patch(e, context) {
    const entries = e.pairs ?? [{ clean: e.clean, corrupted: e.corrupted }];
    const pairs = entries.map((/** @type {any} */ pair) => ({
      clean: promptLine(pair.clean, context), corrupted: promptLine(pair.corrupted, context), ...answersOf(pair, e.metric, context),
    }));
    const measure = metricOf(e.metric.kind);
    const lengths = new Set(pairs.map((/** @type {any} */ pair) => pair.clean.ids.length));
    const theirs = lengths.size === 1 ? functionOf(e) : null;
    const normalised = e.metric.normalize ? `# 0 is the corrupted run, 1 the clean one.
values = [(v - corrupted_metric) / (clean_metric - corrupted_metric) for v in values]
` : "";
    const end = `return {"axes": axes, "shape": shape, "values": [number(v) for v in values], "clean": clean_metric, "corrupted": corrupted_metric}`;
    const head = `${setFlags(flagsOf(sitesOf(e)))}pairs = ${py(pairs)}
`;
    if (theirs) {
      return `${head}clean = torch.tensor([pair["clean"]["ids"] for pair in pairs])  # [pair, pos]
corrupted = torch.tensor([pair["corrupted"]["ids"] for pair in pairs])

${e.metric.kind === "loss" ? `def metric(logits, of=corrupted):
    """Mean cross-entropy of token t + 1 at position t, in nats."""
    return utils.lm_cross_entropy_loss(logits, of)` : `correct = torch.tensor([[pair["correct"]] for pair in pairs])
incorrect = torch.tensor([[pair["incorrect"]] for pair in pairs])

def metric(logits):
    """logit(correct) - logit(incorrect) at the last position, the mean over the pairs."""
    return (logits[:, -1].gather(-1, correct) - logits[:, -1].gather(-1, incorrect)).mean()`}

clean_logits, clean_cache = model.run_with_cache(clean)
clean_metric = metric(clean_logits${e.metric.kind === "loss" ? ", clean" : ""}).item()
corrupted_metric = metric(model(corrupted)).item()
patched = patching.${theirs}(model, corrupted, clean_cache, metric)
axes, shape, values = ${py([...(e.sites ? ["site"] : []), ...e.axes])}, list(patched.shape), patched.flatten().tolist()
${normalised}${end}`;
    }
    return `${head}
${measure}

def edit(x, hook, place, source):
    x = x.clone()
    x[place] = source[hook.name][place]
    return x

cases = [pair["corrupted"] | pair for pair in pairs]  # the runs that are patched
caches, clean_metrics = [], []
for pair in pairs:
    logits, cache = model.run_with_cache(tokens(pair["clean"]))
    caches.append(cache)
    clean_metrics.append(metric(logits, pair["clean"] | pair))
${cells(e, context, `metric(model.run_with_hooks(tokens(case), fwd_hooks=[(name, partial(edit, place=place, source=source)) for name, place in cell]), case)
        for case, source in zip(cases, caches)`)}
clean_metric = mean(clean_metrics)
corrupted_metric = mean(metric(model(tokens(case)), case) for case in cases)
${normalised}${end}`;
  },

  unembed_bias(e, { ids }) {
    const tokens = e.tokens.map((/** @type {any} */ token) => ids.token(token));
    const texts = e.tokens.every((/** @type {unknown} */ token) => typeof token === "string") ? `  # ${e.tokens.map(pyString).join(", ")}` : "";
    return `token_ids = ${py(tokens)}${texts}
values = model.b_U[token_ids].tolist()
ratio = math.exp(values[0] - values[1]) if len(values) > 1 else math.nan
return {"values": values, "prob_ratio": number(ratio)}`;
  },

  detect(e, context) {
    const prompts = (e.prompts ?? [e.prompt]).map((/** @type {any} */ prompt) => promptLine(prompt, context));
    const patterns = (e.patterns ?? [e.pattern]).map((/** @type {any} */ pattern) => (typeof pattern === "string" ? pattern.replace(/_head$/, "") : pattern));
    const named = patterns.map((/** @type {any} */ pattern) => (typeof pattern === "string"
      ? `head_detector.get_${pattern}_head_detection_pattern` : `lambda _tokens: torch.tensor(${py(pattern, 4)}, dtype=torch.float32)`));
    const stacked = Boolean(e.patterns);
    return `prompts = ${py(prompts)}
# What detect_head compares with: a matrix [dest, src] for a prompt's tokens.
patterns = [
${indented(named.join(",\n"))},
]

def score(attention, wanted):
    """Of one head's attention pattern [dest, src]: ${e.measure === "abs" ? "1 - the mean distance of their rows, not rounded" : "the share of it that lies where the wanted one is 1"}."""
${e.measure === "abs" ? `    off = (attention - wanted).abs()${e.exclude_bos ? "\n    off[:, 0] = 0" : ""}${e.exclude_current_token ? "\n    off.fill_diagonal_(0)" : ""}
    return 1 - (off.mean() * len(off)).item()` : `    return head_detector.compute_head_attention_similarity_score(
        attention.clone(), wanted, exclude_bos=${py(Boolean(e.exclude_bos))}, exclude_current_token=${py(Boolean(e.exclude_current_token))}, error_measure="mul")`}

caches = [model.run_with_cache(tokens(prompt), names_filter=lambda name: name.endswith("hook_pattern"))[1] for prompt in prompts]
${e.heads ? `heads = ${py(e.heads)}  # [layer, head] of those that are scored
` : ""}values = []
for pattern in patterns:
    for layer, head in itertools.product(range(model.cfg.n_layers), range(model.cfg.n_heads)):
${e.heads ? `        if [layer, head] not in heads:
            values.append(None)
            continue
` : ""}        values.append(number(mean(score(cache["pattern", layer][0, head], pattern(tokens(prompt))) for prompt, cache in zip(prompts, caches))))
return {
    "axes": ${py([...(stacked ? ["pattern"] : []), "layer", "head"])},
    "shape": [${stacked ? "len(patterns), " : ""}model.cfg.n_layers, model.cfg.n_heads],
    "values": values,
}`;
  },
};

/** @param {any} e @returns {string[]} */
const sitesOf = (e) => (e.sets ? [...new Set(e.sets.flat().map((/** @type {any} */ place) => place.site))] : e.sites ?? [e.site]);

/** What `transformer_lens.patching` has for these places. @param {any} e @returns {string | null} */
function functionOf(e) {
  const key = (/** @type {any} */ { site, sites, axes }) => JSON.stringify([site ?? null, sites ?? null, axes]);
  return GROUPS.flatMap(({ functions }) => functions).find(({ name, places }) => name.startsWith("get_act_patch") && key(places) === key(e))?.name ?? null;
}

/**
 * Python that fills `axes`, `shape` and `values`: for every cell its hooks and places, and the mean of what is measured there.
 * @param {any} e an ablation or a patch @param {Context} context @param {string} measured a Python generator over `cell`
 */
function cells(e, { n_layers }, measured) {
  const value = `values.append(mean(
    ${measured.replace(/^ {8}/gm, "    ")}))`;
  if (e.sets) {
    const sets = e.sets.map((/** @type {any[]} */ set) => spots(set, n_layers));
    return `# Places that are edited together: hooks, and what of their tensors [batch, …].
sets = [
${sets.map((/** @type {string[]} */ set) => `    [${set.join(", ")}],`).join("\n")}
]
axes, shape, values = ["set"], [len(sets)], []
for cell in sets:
${indented(value)}`;
  }
  const sites = sitesOf(e);
  const size = /** @type {Record<string, string>} */ ({ layer: "model.cfg.n_layers", head: "model.cfg.n_heads", pos: "length", dest: "length", src: "length" });
  const positions = e.axes.some((/** @type {string} */ axis) => size[axis] === "length");
  const ranges = e.axes.map((/** @type {string} */ axis) => `range(${size[axis]})`).join(", ");
  // Without axes there is one cell: all of it.
  const loop = (/** @type {string} */ body) => (!e.axes.length ? body : `for ${e.axes.join(", ")} in ${e.axes.length > 1 ? `itertools.product(${ranges})` : ranges}:
${indented(body)}`);
  const at = (/** @type {string} */ site) => Object.fromEntries(e.axes.map((/** @type {string} */ axis) =>
    [e.sites && axis === "pos" && axesOf(site).includes("dest") ? "dest" : axis, axis]));
  const cell = (/** @type {string} */ site) => {
    const one = OUTSIDE.includes(site) || e.axes.includes("layer");
    const pair = (/** @type {string} */ layer) => `(${hookOf(site, layer)}, ${placeOf(site, at(site))})`;
    return one ? `cell = [${pair("layer")}]` : `cell = [${pair("every")} for every in range(model.cfg.n_layers)]`;
  };
  const shape = e.axes.map((/** @type {string} */ axis) => size[axis]).join(", ");
  const tensor = (/** @type {string} */ site) => `# ${site} is [batch, ${axesOf(site).join(", ")}${axesOf(site).includes("src") ? "" : ", …"}]`;
  return `${positions ? `length = len(cases[0]["ids"])\n` : ""}axes, shape, values = ${py([...(e.sites ? ["site"] : []), ...e.axes])}, [${e.sites ? `${sites.length}, ` : ""}${shape}], []
${sites.map((site) => `${loop(`${cell(site)}  ${tensor(site)}\n${value}`)}`).join("\n")}`;
}


/** A function of one experiment. @param {string} name @param {any} experiment @param {Context} context */
export function functionFor(name, experiment, context) {
  checkFields(experiment);
  return `def ${name}(model):
${indented(known("kind", KINDS, experiment.kind)(experiment, context))}`;
}
