"""The oracle: TransformerLens and Hugging Face on one model directory, asked in the words of the contract.

Every number is computed one run at a time by `run_with_hooks`. Where `transformer_lens.patching` has a function for the
same sweep, its own result is what is written: for one pair of prompts the two must agree to the last bit, for a batch
of them to 1e-4.
"""

import codecs
import functools
import itertools
import json
import math

import numpy as np
import torch
from transformer_lens import HookedTransformer, HookedTransformerConfig, patching, utils
from transformer_lens.pretrained.weight_conversions.gpt2 import convert_gpt2_weights
from transformers import GPT2LMHeadModel

import detect
from fixtures import BOS, load_tokenizer, switches

ALL_ON = switches(1, 1, 1, 1, 0)
ALL_OFF = switches(0, 0, 0, 0, 0)

# The order of a site's own axes in its tensor, without the batch axis and the feature axis.
RESIDUAL, PER_HEAD, SQUARE = ("pos",), ("pos", "head"), ("head", "dest", "src")
SITES = dict.fromkeys(["resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "pre", "post"], RESIDUAL)
SITES |= dict.fromkeys(["q", "k", "v", "z", "result"], PER_HEAD)
SITES |= dict.fromkeys(["attn_scores", "pattern"], SQUARE)
# Beyond the contract's list: the other hooks can be edited too. The first four stand outside the blocks.
OUTSIDE = ["embed", "pos_embed", "ln_final.scale", "ln_final.normalized"]
SITES |= dict.fromkeys([*OUTSIDE, "mlp_in", *(f"{n}.{h}" for n in ("ln1", "ln2") for h in ("scale", "normalized"))],
                       RESIDUAL)
SITES |= dict.fromkeys(["attn_in", "q_input", "k_input", "v_input"], PER_HEAD)


def hook_name(site, layer):
    module, _, name = site.rpartition(".")
    inside = {"attn": ["q", "k", "v", "z", "result", "attn_scores", "pattern"], "mlp": ["pre", "post"]}
    module = module or next((m for m, names in inside.items() if name in names), "")
    path = [] if site in OUTSIDE else ["blocks", str(layer)]
    return ".".join([*path, *([module] if module else []), f"hook_{name}"])


TL_PATCHING = {
    ("resid_pre", ("layer", "pos")): patching.get_act_patch_resid_pre,
    ("resid_mid", ("layer", "pos")): patching.get_act_patch_resid_mid,
    ("attn_out", ("layer", "pos")): patching.get_act_patch_attn_out,
    ("mlp_out", ("layer", "pos")): patching.get_act_patch_mlp_out,
    ("z", ("layer", "pos", "head")): patching.get_act_patch_attn_head_out_by_pos,
    ("q", ("layer", "pos", "head")): patching.get_act_patch_attn_head_q_by_pos,
    ("k", ("layer", "pos", "head")): patching.get_act_patch_attn_head_k_by_pos,
    ("v", ("layer", "pos", "head")): patching.get_act_patch_attn_head_v_by_pos,
    ("pattern", ("layer", "head", "dest")): patching.get_act_patch_attn_head_pattern_by_pos,
    ("pattern", ("layer", "head", "dest", "src")): patching.get_act_patch_attn_head_pattern_dest_src_pos,
    ("z", ("layer", "head")): patching.get_act_patch_attn_head_out_all_pos,
    ("q", ("layer", "head")): patching.get_act_patch_attn_head_q_all_pos,
    ("k", ("layer", "head")): patching.get_act_patch_attn_head_k_all_pos,
    ("v", ("layer", "head")): patching.get_act_patch_attn_head_v_all_pos,
    ("pattern", ("layer", "head")): patching.get_act_patch_attn_head_pattern_all_pos,
}

# Several sites in one call, stacked as a first axis.
HEADS = ("z", "q", "k", "v", "pattern")
TL_EVERY = {
    (HEADS, ("layer", "head")): patching.get_act_patch_attn_head_all_pos_every,
    (HEADS, ("layer", "pos", "head")): patching.get_act_patch_attn_head_by_pos_every,
    (("resid_pre", "attn_out", "mlp_out"), ("layer", "pos")): patching.get_act_patch_block_every,
}

ATTENTION_INPUTS = ["hook_attn_in", "hook_q_input", "hook_k_input", "hook_v_input"]


def hook_names(n_layers, attention_inputs=True, basis=True):
    """Every hook of GPT-2, in the order of the forward pass: a test that stops at the first one that disagrees has
    found the culprit. `basis`: also those whose values depend on the basis inside a head (see README)."""
    block = ["hook_resid_pre", *(ATTENTION_INPUTS if attention_inputs else [])]
    block += ["ln1.hook_scale", "ln1.hook_normalized", *(f"attn.hook_{n}" for n in "qkv" if basis)]
    block += ["attn.hook_attn_scores", "attn.hook_pattern", *(["attn.hook_z"] if basis else []), "attn.hook_result"]
    block += ["hook_attn_out", "hook_resid_mid", "hook_mlp_in", "ln2.hook_scale", "ln2.hook_normalized"]
    block += ["mlp.hook_pre", "mlp.hook_post", "hook_mlp_out", "hook_resid_post"]
    inner = [f"blocks.{layer}.{name}" for layer in range(n_layers) for name in block]
    return ["hook_embed", "hook_pos_embed", *inner, "ln_final.hook_scale", "ln_final.hook_normalized"]


def load_hf(folder):
    """Hugging Face's own loader on the same files, in float32. Eager: sdpa ignores the inverse-layer scaling."""
    hf, info = GPT2LMHeadModel.from_pretrained(
        folder, attn_implementation="eager", dtype=torch.float32, output_loading_info=True
    )
    missing = set(info["missing_keys"]) - {"lm_head.weight"}
    assert not missing and not info["mismatched_keys"], info
    assert "lm_head.weight" not in info["missing_keys"] or hf.config.tie_word_embeddings, info
    return hf.eval()


class Oracle:
    def __init__(self, folder, processing, dtype=torch.float32):
        self.hf = load_hf(folder).to(dtype)
        named = {"transformer_lens": ALL_ON, "none": ALL_OFF}
        self.processing = named[processing] if isinstance(processing, str) else processing
        self.processed = any(self.processing.values())
        self.dtype = dtype
        self.config = json.loads((folder / "config.json").read_text())
        self.tokenizer = load_tokenizer(folder)
        # TransformerLens makes these hooks only on request, and they change the shapes of ln1's: one instance each.
        self.plain = self.hooked()
        self.attn_in = self.hooked(use_attn_in=True, use_attn_result=True, use_hook_mlp_in=True)
        self.split = self.hooked(use_split_qkv_input=True)
        self.result = self.hooked(use_attn_result=True)
        self.n_layers, self.n_heads = self.plain.cfg.n_layers, self.plain.cfg.n_heads

    def hooked(self, **flags):
        c = self.config
        cfg = HookedTransformerConfig(
            n_layers=c["n_layer"], n_heads=c["n_head"], d_model=c["n_embd"], d_head=c["n_embd"] // c["n_head"],
            d_mlp=c.get("n_inner") or 4 * c["n_embd"], d_vocab=c["vocab_size"], n_ctx=c["n_positions"],
            act_fn=c["activation_function"], eps=c["layer_norm_epsilon"],
            scale_attn_by_inverse_layer_idx=c.get("scale_attn_by_inverse_layer_idx", False),
            normalization_type="LNPre" if self.processing["fold_ln"] else "LN",
            device="cpu", dtype=self.dtype, init_weights=False, **flags,
        )
        model = HookedTransformer(cfg)
        state = {k: v.detach().clone() for k, v in convert_gpt2_weights(self.hf, cfg).items()}
        model.load_and_process_state_dict(state, **self.processing)
        return model.eval()

    # Tokens ---------------------------------------------------------------------------------------------------

    def bos(self):
        return self.tokenizer.token_to_id(BOS)

    def ids(self, prompt, prepend_bos=True):
        if isinstance(prompt, list):
            return prompt
        return ([self.bos()] if prepend_bos else []) + self.tokenizer.encode(prompt, add_special_tokens=False).ids

    def token(self, token):
        if isinstance(token, int):
            return token
        (single,) = self.ids(token, prepend_bos=False)
        return single

    def described(self, token_id):
        """`{id, text}`; no text where no tokenizer says one. Bytes that are no UTF-8 are written as \\xE2."""
        piece = self.tokenizer and self.tokenizer.id_to_token(token_id)
        if not piece:
            return {"id": token_id}
        if piece == BOS:
            return {"id": token_id, "text": BOS}
        raw = bytes(BYTES[ch] for ch in piece)
        return {"id": token_id, "text": raw.decode("utf-8", errors="escaped")}

    # Runs -----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def logits(self, prompt, prepend_bos=True, model=None, hooks=()):
        tokens = torch.tensor([self.ids(prompt, prepend_bos)])
        return (model or self.plain).run_with_hooks(tokens, fwd_hooks=list(hooks))

    @torch.no_grad()
    def trace(self, prompt, names, prepend_bos=True):
        tokens = torch.tensor([self.ids(prompt, prepend_bos)])
        logits, cache = self.plain.run_with_cache(tokens)
        found = {**self.attn_in.run_with_cache(tokens)[1], **self.split.run_with_cache(tokens)[1], **cache}
        return {name: found[name][0] for name in names}, logits[0]

    def metric(self, metric, logits, ids):
        if metric["kind"] == "loss":
            return utils.lm_cross_entropy_loss(logits, torch.tensor([ids])).item() if len(ids) > 1 else math.nan
        last = logits[0, -1]
        return (last[self.token(metric["correct"])] - last[self.token(metric["incorrect"])]).item()

    # Kinds ----------------------------------------------------------------------------------------------------

    def run(self, experiment):
        """The fields of the contract's result that an oracle can know."""
        bos = experiment.get("prepend_bos", True)
        return getattr(self, experiment["kind"])(experiment, bos)

    def predict(self, e, bos):
        ids = self.ids(e["prompt"], bos)
        logits = self.logits(e["prompt"], bos)
        last, prob = logits[0, -1], logits[0, -1].softmax(-1)

        def entry(i):
            return {**self.described(i), "logit": last[i].item(), "prob": prob[i].item()}

        top = last.topk(min(e.get("top_k", 10), len(last))).indices.tolist()
        out = {"tokens": [self.described(i) for i in ids], "top": [entry(i) for i in top]}
        if "answer" in e:
            i = self.token(e["answer"])
            out["answer"] = {**entry(i), "rank": int((last > last[i]).sum())}
        return {**out, "loss": self.metric({"kind": "loss"}, logits, ids)}

    def logit_diff(self, e, bos):
        values = [
            self.metric({"kind": "logit_diff", "correct": p["correct"], "incorrect": p["incorrect"]},
                        self.logits(p["prompt"], bos), None)
            for p in e["prompts"]
        ]
        return {"values": values, "mean": sum(values) / len(values)}

    @torch.no_grad()
    def detect(self, e, bos):
        return detect.detect(self, e, bos)

    def unembed_bias(self, e, _bos):
        values = [self.plain.b_U[self.token(t)].item() for t in e["tokens"]]
        return {"values": values, "prob_ratio": math.exp(values[0] - values[1])}

    def ablate(self, e, bos):
        entries = e.get("prompts") or [{"prompt": e["prompt"]}]
        model, edit = self.model_for(e), e["edit"]
        references = [self.cache(model, prompt, bos)[1] for prompt in edit.get("prompts", [])]
        writers = {
            "zero": lambda: [lambda _name, _place: 0.0],
            "mean": lambda: [self.mean(references, edit.get("over", "tokens"))],
            "resample": lambda: [lambda name, place, cache=cache: cache[name][0][place] for cache in references],
        }[edit["kind"]]()
        cases = [(self.ids(x["prompt"], bos), {**e["metric"], **x}, writers) for x in entries]
        shape, values = self.sweep(e, model, cases)
        baseline = mean(self.metric(metric, self.logits(ids), ids) for ids, metric, _ in cases)
        return {"axes": axis_names(e), "shape": shape, "values": values, "baseline": baseline}

    def patch(self, e, bos):
        entries = e.get("pairs") or [{"clean": e["clean"], "corrupted": e["corrupted"]}]
        model, cases, runs = self.model_for(e), [], []
        for pair in entries:
            clean_ids, ids = self.ids(pair["clean"], bos), self.ids(pair["corrupted"], bos)
            assert len(clean_ids) == len(ids), pair
            logits, cache = self.cache(model, clean_ids)
            metric = {**e["metric"], **pair}
            cases.append((ids, metric, [lambda name, place, cache=cache: cache[name][0][place]]))
            runs.append((self.metric(metric, logits, clean_ids), self.metric(metric, self.logits(ids, model=model), ids)))
        clean, corrupted = (mean(side) for side in zip(*runs))
        shape, values = self.sweep(e, model, cases)
        theirs = self.patching(e, model, cases, [self.ids(pair["clean"], bos) for pair in entries])
        if theirs is not None:
            assert list(theirs.shape) == shape, (e["axes"], theirs.shape)
            theirs = theirs.flatten().tolist()
            # A batch goes through matrix products of another size, whose sums are in another order.
            allowed = 1e-4 if len(cases) > 1 else 0
            worst = max(abs(a - b) for a, b in zip(theirs, values))
            assert worst <= allowed, f"{e.get('site') or e['sites']} {e['axes']}: patching.py disagrees by {worst}"
            values = theirs
        if e["metric"].get("normalize"):
            assert abs(clean - corrupted) > 0.3, f"clean {clean}, corrupted {corrupted} too close: {e}"
            values = [(v - corrupted) / (clean - corrupted) for v in values]
        return {"axes": axis_names(e), "shape": shape, "values": values, "clean": clean, "corrupted": corrupted}

    @torch.no_grad()
    def patching(self, e, model, cases, clean):
        """What transformer_lens.patching's own function gives for all pairs at once, where it has one."""
        known = TL_PATCHING.get((e.get("site"), tuple(e["axes"])))
        known = known or TL_EVERY.get((tuple(e.get("sites", ())), tuple(e["axes"])))
        if known is None or len({len(ids) for ids in clean}) > 1:
            return None
        corrupted = torch.tensor([ids for ids, _, _ in cases])
        _, cache = model.run_with_cache(torch.tensor(clean))

        def metric(logits):
            return torch.tensor(mean(self.metric(m, logits[i : i + 1], ids) for i, (ids, m, _) in enumerate(cases)))

        return known(model, corrupted, cache, metric)

    @torch.no_grad()
    def cache(self, model, prompt, bos=True):
        return model.run_with_cache(torch.tensor([self.ids(prompt, bos)]))

    def mean(self, caches, over):
        """Writes the mean of an activation, over every position of every run or over the runs alone."""
        if over == "prompts":
            return lambda name, place: torch.stack([c[name][0] for c in caches]).mean(0)[place]
        # A mean over positions has no such axis, which is the first.
        return lambda name, place: torch.cat([c[name][0] for c in caches]).mean(0)[place[1:]]

    def model_for(self, e):
        """An instance that has the hooks of the experiment's sites, with as few other flags as can be."""
        special = {"result": self.result, "attn_in": self.attn_in, "mlp_in": self.attn_in}
        special |= dict.fromkeys(["q_input", "k_input", "v_input"], self.split)
        sites = e.get("sites") or [e["site"]] if "sets" not in e else [t["site"] for s in e["sets"] for t in s]
        (model,) = {special.get(site, self.plain) for site in sites}
        return model

    def sweep(self, e, model, cases):
        """The metric for every cell, as the mean over `cases` of the mean over what their writers write."""
        shape, cells = self.cells(e, len(cases[0][0]))
        return shape, [mean(mean(self.edited(model, cell, *case)) for case in cases) for cell in cells]

    def edited(self, model, cell, ids, metric, writers):
        for write in writers:
            def edit(x, hook, place, write=write):
                x = x.clone()
                x[0][place] = write(hook.name, place)
                return x

            hooks = [(name, functools.partial(edit, place=place)) for name, place in cell]
            yield self.metric(metric, self.logits(ids, model=model, hooks=hooks), ids)

    def cells(self, e, length):
        """The shape, and for every cell its (hook, place): all of each axis that is absent."""
        if "sets" in e:
            return [len(e["sets"])], [[spot for t in s for spot in self.spots(t["site"], t)] for s in e["sets"]]
        size = {"layer": self.n_layers, "head": self.n_heads} | dict.fromkeys(["pos", "dest", "src"], length)
        shape, cells = [size[axis] for axis in e["axes"]], []
        for site in e.get("sites") or [e["site"]]:
            for index in itertools.product(*map(range, shape)):
                at = dict(zip(e["axes"], index))
                if "sites" in e and SITES[site] == SQUARE and "pos" in at:
                    at["dest"] = at.pop("pos")
                cells.append(self.spots(site, at))
        return ([len(e["sites"])] if "sites" in e else []) + shape, cells

    def spots(self, site, at):
        place = tuple(at.get(axis, slice(None)) for axis in SITES[site])
        layers = [at["layer"]] if "layer" in at else range(1 if site in OUTSIDE else self.n_layers)
        return [(hook_name(site, layer), place) for layer in layers]


def axis_names(e):
    return ["set"] if "sets" in e else (["site"] if "sites" in e else []) + e["axes"]


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def byte_alphabet():
    """GPT-2's printable stand-ins for the 256 bytes (bytes_to_unicode), from character to byte."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    shifted = [b for b in range(256) if b not in keep]
    return {chr(b): b for b in keep} | {chr(256 + i): b for i, b in enumerate(shifted)}


def escape_bytes(error):
    raw = error.object[error.start : error.end]
    return "".join(f"\\x{b:02X}" for b in raw), error.end


BYTES = byte_alphabet()
codecs.register_error("escaped", escape_bytes)


def as_float32(x):
    """The shortest decimal that reads back as the same float32; null for what JSON cannot say."""
    x = np.float32(x)
    return float(str(x)) if np.isfinite(x) else None
