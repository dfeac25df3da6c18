"""The oracle: TransformerLens and Hugging Face on one model directory, asked in the words of the contract.

Every number is computed one run at a time by `run_with_hooks`; where `transformer_lens.patching` has a function for
the same sweep, the two must agree to the last bit.
"""

import codecs
import itertools
import json
import math

import numpy as np
import torch
from transformer_lens import HookedTransformer, HookedTransformerConfig, patching, utils
from transformer_lens.pretrained.weight_conversions.gpt2 import convert_gpt2_weights
from transformers import GPT2LMHeadModel

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

    def unembed_bias(self, e, _bos):
        values = [self.plain.b_U[self.token(t)].item() for t in e["tokens"]]
        return {"values": values, "prob_ratio": math.exp(values[0] - values[1])}

    def ablate(self, e, bos):
        shape, values = self.sweep(e, e["prompt"], bos, lambda _name, x, place: 0.0)
        baseline = self.metric(e["metric"], self.logits(e["prompt"], bos), self.ids(e["prompt"], bos))
        return {"axes": e["axes"], "shape": shape, "values": values, "baseline": baseline}

    def patch(self, e, bos):
        clean_ids, corrupted_ids = self.ids(e["clean"], bos), self.ids(e["corrupted"], bos)
        assert len(clean_ids) == len(corrupted_ids), (e["clean"], e["corrupted"])
        metric = {k: v for k, v in e["metric"].items() if k != "normalize"}
        model = self.model_for(e["site"])
        with torch.no_grad():
            clean_logits, cache = model.run_with_cache(torch.tensor([clean_ids]))
        clean = self.metric(metric, clean_logits, clean_ids)
        corrupted = self.metric(metric, self.logits(e["corrupted"], bos, model), corrupted_ids)
        shape, values = self.sweep(e, e["corrupted"], bos, lambda name, x, place: cache[name][0][place])
        known = TL_PATCHING.get((e["site"], tuple(e["axes"])))
        if known:
            with torch.no_grad():
                theirs = known(model, torch.tensor([corrupted_ids]), cache,
                               lambda logits: torch.tensor(self.metric(metric, logits, corrupted_ids)))
            assert theirs.flatten().tolist() == values, f"{e['site']} {e['axes']}: patching.py disagrees"
        if e["metric"].get("normalize"):
            assert abs(clean - corrupted) > 0.3, f"{e['site']}: clean {clean}, corrupted {corrupted} too close"
            values = [(v - corrupted) / (clean - corrupted) for v in values]
        return {"axes": e["axes"], "shape": shape, "values": values, "clean": clean, "corrupted": corrupted}

    def model_for(self, site):
        """An instance that has the site's hook, with as few other flags as can be."""
        if site in ("q_input", "k_input", "v_input"):
            return self.split
        return {"result": self.result, "attn_in": self.attn_in, "mlp_in": self.attn_in}.get(site, self.plain)

    def sweep(self, e, prompt, bos, value):
        """The metric for every cell. A cell edits the named places of the site, all of each axis that is absent."""
        ids, model = self.ids(prompt, bos), self.model_for(e["site"])
        size = {"layer": self.n_layers, "head": self.n_heads} | dict.fromkeys(["pos", "dest", "src"], len(ids))
        metric = {k: v for k, v in e["metric"].items() if k != "normalize"}
        shape = [size[axis] for axis in e["axes"]]
        values = []
        for index in itertools.product(*map(range, shape)):
            at = dict(zip(e["axes"], index))
            place = tuple(at.get(axis, slice(None)) for axis in SITES[e["site"]])
            layers = [at["layer"]] if "layer" in at else range(1 if e["site"] in OUTSIDE else self.n_layers)

            def edit(x, hook, place=place):
                x = x.clone()
                x[0][place] = value(hook.name, x[0], place)
                return x

            hooks = [(hook_name(e["site"], layer), edit) for layer in layers]
            values.append(self.metric(metric, self.logits(prompt, bos, model, hooks), ids))
        return shape, values


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
