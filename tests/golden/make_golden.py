#!/usr/bin/env python3
"""Makes the golden files: small random models, experiments, and what TransformerLens says they give.

    make_golden.py                              the five models under models/ and their goldens
    make_golden.py --only relu                  one of them
    make_golden.py --model www/models/pronoun   the goldens of a trained model, as pronoun.*
    make_golden.py --detect [...]               of any of these only the head detectors, MODEL.detect.json

See README.md for the formats, and requirements.txt for the versions that this is pinned to.
"""

import argparse
import json
import os
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", TQDM_DISABLE="1", TOKENIZERS_PARALLELISM="false")
warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
import torch  # noqa: E402

import detect  # noqa: E402
from fixtures import FIXTURES, switches, weights_sha256, write_model, write_safetensors  # noqa: E402
from oracle import Oracle, as_float32, hook_names  # noqa: E402
from sweeps import sweeps, trained_sweeps  # noqa: E402

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PINS = ["torch", "transformers", "transformer_lens", "numpy"]
REFACTORED = switches(1, 1, 1, 1, 1)  # what the notebook loads its model with

# The 25 prompts of the notebook: (name, pronoun, the other) in each format.
NAMES = [("Mary", " she", " he"), ("John", " he", " she"), ("Tom", " he", " she"), ("Dan", " he", " she"),
         ("Amy", " she", " he")]
FORMATS = ["is a great friend", "is an amazing person", "is a fantastic colleague", "is a wonderful partner",
           "is an excellent student"]
GRID = [{"prompt": f"{name} {form}, isn’t", "correct": yes, "incorrect": no}
        for form in FORMATS for name, yes, no in NAMES]

# Words that are single tokens for both small tokenizers, as subjects of the random models' prompts.
WORDS = ["Mary", "John", "Amy", "Tom", " she", " he", " friend", " kind"]

LH, LP, LPH = ["layer", "head"], ["layer", "pos"], ["layer", "pos", "head"]
LHD, LHDS = ["layer", "head", "dest"], ["layer", "head", "dest", "src"]
RESIDUAL = ["resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "pre", "post"]
PER_HEAD = ["q", "k", "v", "z", "result"]
SQUARE = ["attn_scores", "pattern"]

# Every site with every index table that fits it, then absent axes in unusual places: an absent layer is all layers.
ALL_SWEEPS = [(site, LP) for site in RESIDUAL]
ALL_SWEEPS += [(site, axes) for site in PER_HEAD for axes in (LH, LPH)]
ALL_SWEEPS += [(site, axes) for site in SQUARE for axes in (LH, LHD, LHDS)]
ALL_SWEEPS += [("z", ["head"]), ("mlp_out", ["layer"]), ("attn_out", ["pos"]), ("q", ["pos", "head"]),
               ("pattern", ["layer", "head", "src"]), ("attn_scores", ["layer", "dest"]), ("z", ["head", "layer"])]
# The hooks that the contract's list of sites leaves out. A scale of zero is a division by zero: patched only.
ALL_SWEEPS += [("embed", ["pos"]), ("pos_embed", ["pos"]), ("ln_final.normalized", ["pos"]), ("ln_final.scale", ["pos"])]
ALL_SWEEPS += [(site, LP) for site in ("mlp_in", "ln1.normalized", "ln2.normalized", "ln1.scale", "ln2.scale")]
ALL_SWEEPS += [("attn_in", LPH), ("q_input", LH), ("k_input", LPH), ("v_input", LH)]
SOME_SWEEPS = [("z", LH), ("v", LH), ("q", LPH), ("result", LH), ("pattern", LHD), ("attn_scores", LH),
               ("resid_pre", LP), ("resid_mid", LP), ("mlp_out", LP), ("post", LP)]


class Prompts:
    """What a model is asked about. `short` and `short_corrupted` are few enough tokens for sweeps over dest × src."""

    def __init__(self, oracle, seed):
        c = oracle.config
        self.rng, self.vocab = np.random.default_rng(seed), c["vocab_size"]
        self.one = self.ids(1)
        self.full = self.ids(min(c["n_positions"], 7))  # for one model this is its whole context
        self.tokens = self.ids(4)
        self.text = oracle.tokenizer is not None
        if self.text:
            self.curly, self.correct, self.incorrect = "Mary isn’t", " she", " he"
        else:
            self.correct, self.incorrect = self.ids(2)
        self.clean, self.corrupted = self.pair(oracle, " is a friend", 5)
        self.short, self.short_corrupted = self.pair(oracle, " is kind", 4)

    def ids(self, n):
        return [int(i) for i in self.rng.integers(0, self.vocab, n)]

    def pair(self, oracle, rest, n):
        """Two prompts of equal length whose metrics lie far enough apart to divide by their difference."""
        names = [(a + rest, b + rest) for a in WORDS for b in WORDS if a != b]
        for a, b in names if self.text else ((self.ids(n), self.ids(n)) for _ in range(1000)):
            ids = oracle.ids(a), oracle.ids(b)
            logits = oracle.logits(a), oracle.logits(b)
            gaps = [abs(oracle.metric(m, logits[0], ids[0]) - oracle.metric(m, logits[1], ids[1]))
                    for m in (difference(self), {"kind": "loss"})]
            if len(ids[0]) == len(ids[1]) and min(gaps) > 0.5:
                return a, b
        raise SystemExit("no pair of prompts with metrics far enough apart: choose another seed")


def difference(p):
    return {"kind": "logit_diff", "correct": p.correct, "incorrect": p.incorrect}


def predictions(p):
    yield "predict ids", {"prompt": p.full, "answer": p.one[0]}
    yield "predict one token", {"prompt": p.one, "top_k": 3}
    if p.text:
        yield "predict text", {"prompt": p.curly, "answer": p.correct}
        yield "predict text without BOS", {"prompt": p.curly, "answer": p.incorrect, "prepend_bos": False}
        yield "predict BOS alone", {"prompt": "", "top_k": 5}
        yield "predict text, answer by id", {"prompt": p.clean, "answer": p.tokens[0], "prepend_bos": True}


def cases(p, everything):
    """(name, experiment) without version and processing."""
    metric, loss = difference(p), {"kind": "loss"}
    for name, body in predictions(p):
        yield name, {"kind": "predict", **body}
    pair = {"correct": p.correct, "incorrect": p.incorrect}
    asked = [p.clean, p.short, p.full, p.one] + ([p.curly] if p.text else [])
    yield "logit_diff", {"kind": "logit_diff", "prompts": [{"prompt": q, **pair} for q in asked]}
    yield "unembed_bias", {"kind": "unembed_bias", "tokens": [p.correct, p.incorrect]}
    yield "unembed_bias of three", {"kind": "unembed_bias", "tokens": [p.one[0], p.correct, p.tokens[0]]}
    for i, (site, axes) in enumerate(ALL_SWEEPS if everything else SOME_SWEEPS):
        square = site in SQUARE
        clean, corrupted = (p.short, p.short_corrupted) if square else (p.clean, p.corrupted)
        # Both metrics and both scales for every kind of axis, alternating from case to case to keep the files small.
        by_loss, normalize = i % 3 == 2, i % 4 != 3
        measured = loss if by_loss else metric
        label = f"{site} {','.join(axes)}"
        if not site.endswith(".scale"):
            yield f"ablate {label}", {"kind": "ablate", "prompt": clean, "site": site, "edit": {"kind": "zero"},
                                      "axes": axes, "metric": measured}
        yield f"patch {label}", {"kind": "patch", "clean": clean, "corrupted": corrupted, "site": site,
                                 "axes": axes, "metric": {**measured, "normalize": normalize}}
    for site in ("v", "z"):
        for name, measured in (("loss", loss), ("logit_diff", metric)):
            yield f"ablate {site} layer,head by {name}", {"kind": "ablate", "prompt": p.full, "site": site,
                                                          "edit": {"kind": "zero"}, "axes": LH, "metric": measured}
    if p.text:
        yield "patch z layer,head without BOS", {"kind": "patch", "clean": p.clean, "corrupted": p.corrupted,
                                                 "site": "z", "axes": LH, "prepend_bos": False,
                                                 "metric": {**metric, "normalize": False}}


def random_model_traces(p, oracle, everything, basis):
    prompts = [p.curly if p.text else p.full, p.one] + ([p.tokens] if everything else [])
    # The inputs of q, k and v are copies of resid_pre, head by head: once for each model is enough.
    return prompts, hook_names(oracle.n_layers, attention_inputs=everything and oracle.processed, basis=basis)


def trained_model_cases(oracle):
    metric = {"kind": "logit_diff", "correct": " she", "incorrect": " he"}
    clean, corrupted = GRID[0]["prompt"], GRID[1]["prompt"]
    for prompt, answer in [(clean, " she"), (corrupted, " he"), ("Matrix is a great movie, isn’t", " it")]:
        yield f"predict {prompt}", {"kind": "predict", "prompt": prompt, "answer": answer}
    yield "predict without BOS", {"kind": "predict", "prompt": clean, "answer": " she", "prepend_bos": False}
    yield "logit_diff grid", {"kind": "logit_diff", "prompts": GRID}
    yield "unembed_bias", {"kind": "unembed_bias", "tokens": [" he", " she"]}
    for site in ("z", "v"):
        for name, measured in (("loss", {"kind": "loss"}), ("logit_diff", metric)):
            yield f"ablate {site} layer,head by {name}", {"kind": "ablate", "prompt": clean, "site": site,
                                                          "edit": {"kind": "zero"}, "axes": LH, "metric": measured}
    sweeps = [(site, LP) for site in ("resid_pre", "attn_out", "mlp_out")] + [("pattern", LH), ("z", LH), ("v", LH)]
    for site, axes in sweeps:
        yield f"patch {site} {','.join(axes)}", {"kind": "patch", "clean": clean, "corrupted": corrupted,
                                                 "site": site, "axes": axes, "metric": {**metric, "normalize": True}}
    yield from trained_sweeps(GRID)


def trained_model_traces(oracle, everything, basis):
    """The first and the last block and every pattern: all hooks of all blocks would be some megabytes."""
    names = hook_names(oracle.n_layers, attention_inputs=False, basis=basis)
    ends = ("blocks.0.", f"blocks.{oracle.n_layers - 1}.")
    kept = [n for n in names if not n.startswith("blocks.") or n.startswith(ends) or n.endswith("hook_pattern")]
    if not everything:
        kept = [n for n in kept if "pattern" in n or n.startswith("ln_final")]
    return [GRID[0]["prompt"]], kept


def rounded(value):
    if isinstance(value, float):
        return as_float32(value)
    if isinstance(value, list):
        return [rounded(v) for v in value]
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return value


def worst(ours, theirs):
    """Largest difference over the RMS of the reference, -inf aside."""
    kept = torch.isfinite(theirs)
    rms = theirs[kept].double().pow(2).mean().sqrt().clamp_min(1e-12)
    return ((ours[kept].double() - theirs[kept].double()).abs().max() / rms).item()


def make(folder, stem, label, processing, body, traces):
    oracle = Oracle(folder, processing)
    exact = Oracle(folder, processing, torch.float64)
    wants = []
    for name, experiment in body(oracle):
        experiment = {"version": 1, **experiment, **({} if label == "transformer_lens" else {"processing": processing})}
        wants.append({"name": name, "experiment": experiment, "expected": rounded(oracle.run(experiment))})

    prompts, names = traces(oracle)
    file, stored, noise = f"{stem}.{label}.safetensors", {}, {}
    for i, prompt in enumerate(prompts):
        tensors, logits = oracle.trace(prompt, names)
        reference, _ = exact.trace(prompt, names)
        for name in names:
            stored[f"{i}/{name}"] = tensors[name]
            noise[name] = max(noise.get(name, 0.0), worst(tensors[name], reference[name]))
        stored[f"{i}/logits"] = logits
    experiment = {"version": 1, "kind": "trace", "prompts": prompts, "hooks": names, "processing": processing}
    wants.append({"name": "trace", "experiment": experiment, "expected": {"tensors": file}})
    write_safetensors(HERE / file, stored)
    write_cases(folder, f"{stem}.{label}.json", {"processing": processing}, wants)
    name = max(noise, key=noise.get)
    print(f"{stem}.{label}: {len(wants)} cases, {len(stored)} tensors; float32 is at most {noise[name]:.1e} of the RMS "
          f"from float64 ({name})")
    return oracle


def make_detect(folder, stem, seed, texts):
    """The head detectors of a model, each case with its own processing."""
    wants, noise = detect.cases(folder, seed, texts, Oracle)
    write_cases(folder, f"{stem}.detect.json", {}, [{**w, "expected": rounded(w["expected"])} for w in wants])
    print(f"{stem}.detect: {len(wants)} cases; float32 is at most {noise:.1e} from float64")


def write_cases(folder, file, more, wants):
    head = {
        "oracle": {p: version(p) for p in PINS},
        "model": os.path.relpath(folder, ROOT),
        "weights_sha256": weights_sha256(folder),
        **more,
    }
    lines = [f'"{k}": {json.dumps(v)}' for k, v in head.items()]
    body = ",\n".join(json.dumps(w, ensure_ascii=False, separators=(",", ":")) for w in wants)
    (HERE / file).write_text("{\n" + ",\n".join(lines) + ',\n"cases": [\n' + body + "\n]\n}\n")


def parity(oracle, prompts):
    """TransformerLens without processing against Hugging Face's own forward pass."""
    worst_logit = 0.0
    for prompt in prompts:
        with torch.no_grad():
            theirs = oracle.hf(torch.tensor([oracle.ids(prompt)])).logits
        worst_logit = max(worst_logit, (oracle.logits(prompt) - theirs).abs().max().item())
    print(f"  Hugging Face eager, largest logit difference: {worst_logit:.1e}")
    assert worst_logit < 1e-4, "TransformerLens and Hugging Face disagree: the oracle is not one"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a model directory with a tokenizer; writes NAME.* for its last part")
    parser.add_argument("--only", help="one of the random models")
    parser.add_argument("--detect", action="store_true", help="only the head detectors")
    args = parser.parse_args()
    torch.set_num_threads(1)  # the order of sums, and so the last bit, must not depend on the machine's cores
    torch.manual_seed(0)

    if args.model:
        folder = args.model.resolve()
        make_detect(folder, folder.name, 200, [row["prompt"] for row in GRID[:5]])
        if args.detect:
            return
        for label, processing in [("transformer_lens", "transformer_lens"), ("none", "none"), ("refactored", REFACTORED)]:
            basis = label != "refactored"
            oracle = make(folder, folder.name, label, processing, trained_model_cases,
                          lambda o: trained_model_traces(o, label != "refactored", basis))
            if label == "none":
                parity(oracle, [row["prompt"] for row in GRID[:5]])
        return

    chosen = [f for f in FIXTURES if args.only in (None, f.name)]
    if not chosen:
        sys.exit(f"no model {args.only!r}; there are {', '.join(f.name for f in FIXTURES)}")
    for f in chosen:
        folder = HERE / "models" / f.name
        if not args.detect:
            write_model(f, folder)
        texts = [" kind".join(WORDS[:4]), "Mary isn’t", " she is kind, she is kind"] if f.tokenizer else []
        make_detect(folder, f.name, 200 + f.seed, texts)
        if args.detect:
            continue
        variants = [("transformer_lens", "transformer_lens"), ("none", "none"), ("mixed", f.mixed),
                    ("refactored", REFACTORED)]
        for label, processing in variants:
            everything = isinstance(processing, str)
            basis = not (isinstance(processing, dict) and processing["refactor_factored_attn_matrices"])
            oracle = make(folder, f.name, label, processing,
                          lambda o: [*cases(Prompts(o, f.seed), everything), *sweeps(o, 100 + f.seed, everything)],
                          lambda o: random_model_traces(Prompts(o, f.seed), o, everything, basis))
            if label == "none":
                p = Prompts(oracle, f.seed)
                parity(oracle, [p.clean, p.corrupted, p.full, p.one])


if __name__ == "__main__":
    main()
