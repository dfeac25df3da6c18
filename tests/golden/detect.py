"""Experiments of kind `detect`, and what `transformer_lens.head_detector.detect_head` itself gives for them.

Its own code is called, with the model's own `to_tokens` where there is a tokenizer. Scores by `abs` are stored as they
are before it rounds them to three decimals; that rounding them gives its answer is checked here, case by case.
"""

import json
import logging

import numpy as np
import torch
from transformer_lens import head_detector
from transformers import PreTrainedTokenizerFast

from fixtures import BOS

# It says at every call that a pattern of other numbers than 0 and 1 goes with `mul` less well.
logging.getLogger().setLevel(logging.ERROR)

NAMES = ["previous_token", "duplicate_token", "induction"]
# Both spellings, alternating from case to case.
WRITTEN = {name: [name, f"{name}_head"] for name in NAMES}
REFACTORED = {"fold_ln": True, "center_writing_weights": True, "center_unembed": True, "fold_value_biases": True,
              "refactor_factored_attn_matrices": True}


# The oracle --------------------------------------------------------------------------------------------------------


def detect(oracle, e, bos):
    """The fields of the contract's result: values of `detect_head`, null for heads that are not asked for."""
    prompts = e["prompts"] if "prompts" in e else [e["prompt"]]
    patterns = e["patterns"] if "patterns" in e else [e["pattern"]]
    options = {"error_measure": e.get("measure", "mul")}
    options |= {k: e[k] for k in ("exclude_bos", "exclude_current_token") if e.get(k)}
    heads = None if e.get("heads") is None else [tuple(head) for head in e["heads"]]
    with taking(oracle, bos) as model:
        scores = torch.stack([over(model, [sequence(p) for p in prompts], pattern, heads, options) for pattern in patterns])
    if "pattern" in e:
        scores = scores[0]
    asked = torch.full(scores.shape[-2:], heads is None)
    for layer, head in heads or []:
        asked[layer, head] = True
    asked = asked.expand(scores.shape)
    assert (scores[~asked] == -1).all(), "a head that was not asked for has a score"
    values = [value if known else None for value, known in zip(scores.flatten().tolist(), asked.flatten().tolist())]
    return {"axes": (["pattern"] if "patterns" in e else []) + ["layer", "head"], "shape": list(scores.shape),
            "values": values}


def over(model, sequences, pattern, heads, options):
    """The mean over the prompts. `detect_head` forgets its options for a list of them, and takes no own pattern then."""
    own = isinstance(pattern, list)
    wanted = torch.tensor(pattern, dtype=torch.float32) if own else WRITTEN[pattern.removesuffix("_head")][1]
    mean = torch.stack([one(model, sequence, wanted, heads, options) for sequence in sequences]).mean(0)
    if len(sequences) > 1 and not own and heads is None and options == {"error_measure": "mul"}:
        theirs = head_detector.detect_head(model, sequences, wanted)
        assert torch.equal(theirs, mean), "a list of prompts is not the mean over them"
    return mean


def one(model, sequence, pattern, heads, options):
    as_given = head_detector.detect_head(model, sequence, pattern, heads, **options)
    head_detector.round = lambda x, _digits: x
    try:
        exact = head_detector.detect_head(model, sequence, pattern, heads, **options)
    finally:
        del head_detector.round
    allowed = 5.1e-4 if options["error_measure"] == "abs" else 0
    assert torch.allclose(as_given, exact, rtol=0, atol=allowed, equal_nan=True), (as_given, exact)
    return exact


def sequence(prompt):
    """`detect_head` takes strings and lists of them: a list of ids travels as its JSON."""
    return prompt if isinstance(prompt, str) else json.dumps(prompt)


class taking:
    """The oracle's model with a `to_tokens` that takes both kinds of prompt; texts go to TransformerLens' own."""

    def __init__(self, oracle, bos):
        self.oracle, self.model, self.bos = oracle, oracle.plain, bos

    def __enter__(self):
        model, oracle = self.model, self.oracle
        if oracle.tokenizer is not None and model.tokenizer is None:
            special = dict.fromkeys(["bos_token", "eos_token", "pad_token"], BOS)
            model.set_tokenizer(PreTrainedTokenizerFast(tokenizer_object=oracle.tokenizer, add_bos_token=True,
                                                        name_or_path="", **special))
        model.cfg.default_prepend_bos = self.bos
        own = type(model).to_tokens

        def to_tokens(sequence):
            if isinstance(sequence, list):
                # Only its length is looked at, before the prompts are taken one by one.
                return torch.stack([torch.zeros(1, 2)])
            if sequence.startswith("["):
                return torch.tensor([json.loads(sequence)])
            tokens = own(model, sequence)
            assert tokens.tolist() == [oracle.ids(sequence, self.bos)], sequence
            return tokens

        model.to_tokens = to_tokens
        return model

    def __exit__(self, *_):
        del self.model.to_tokens
        self.model.cfg.default_prepend_bos = True


# The experiments ---------------------------------------------------------------------------------------------------


class Prompts:
    """Prompts in which tokens repeat; none fills the context, which `detect_head` refuses."""

    def __init__(self, oracle, seed):
        self.rng, self.vocab = np.random.default_rng(seed), oracle.config["vocab_size"]
        room = oracle.config["n_positions"] - 1
        half = self.ids(min(20, (room - 1) // 2))
        self.repeated = self.ids(1) + half * 2
        few = self.ids(3)
        self.few = [few[i] for i in self.rng.integers(0, 3, min(8, room))]
        self.again = [few[0], few[0], few[1], few[0], few[1]]
        self.two = self.ids(2)
        # Drawn with zeros above the diagonal; ones and zeros, and anything.
        n = len(self.again)
        self.binary = np.tril(self.rng.integers(0, 2, (n, n))).tolist()
        self.any = np.tril(self.rng.normal(0, 0.6, (n, n)).round(3)).tolist()
        self.other = self.ids(n)

    def ids(self, n):
        return [int(i) for i in self.rng.integers(0, self.vocab, n)]


def excluding(bos, current):
    return {**({"exclude_bos": True} if bos else {}), **({"exclude_current_token": True} if current else {})}


def experiments(oracle, seed, texts):
    """(name, experiment) without version; `texts` are prompts as text, none where there is no tokenizer."""
    p = Prompts(oracle, seed)
    layers, heads = oracle.n_layers, oracle.n_heads
    exclusions = [excluding(bos, current) for bos in (0, 1) for current in (0, 1)]
    count = 0
    for name in NAMES:
        for measure in ("mul", "abs"):
            for left_out in exclusions:
                count += 1
                prompt = p.few if count % 3 == 0 else p.repeated
                label = " ".join([name, measure, *left_out])
                yield label, {"prompt": prompt, "pattern": WRITTEN[name][count % 2],
                              **({"measure": measure} if measure == "abs" else {}), **left_out}
    for pattern, name in ((p.binary, "zeros and ones"), (p.any, "anything")):
        for measure, left_out in (("mul", {}), ("abs", {}), ("mul", exclusions[2]), ("abs", exclusions[3])):
            label = " ".join(["own pattern of", name, measure, *left_out])
            yield label, {"prompt": p.again, "pattern": pattern, "measure": measure, **left_out}

    several = [p.repeated, p.few, p.again, p.two]
    for name in NAMES:
        yield f"{name} of several prompts", {"prompts": several, "pattern": name}
    yield "induction of several prompts, abs exclude_bos", {"prompts": several, "pattern": "induction", "measure": "abs",
                                                            **exclusions[2]}
    yield "own pattern of several prompts, mul exclude_current_token", {"prompts": [p.again, p.other], "pattern": p.binary,
                                                                       **exclusions[1]}
    # At two tokens nothing is left of the attention without both: 0 / 0.
    yield "previous_token of two tokens", {"prompt": p.two, "pattern": "previous_token"}
    yield "previous_token of two tokens, nothing left", {"prompt": p.two, "pattern": "previous_token", **exclusions[3]}
    yield "previous_token of two tokens, nothing left, abs", {"prompts": [p.two], "pattern": "previous_token",
                                                              "measure": "abs", **exclusions[3]}

    some = [[layers - 1, heads - 1], [0, 0], [0, 0]]
    yield "induction of some heads", {"prompt": p.repeated, "pattern": "induction", "heads": some}
    yield "duplicate_token of one head of several prompts", {"prompts": several, "pattern": "duplicate_token",
                                                             "heads": some[1:2], **exclusions[1]}
    every = [*NAMES, p.any, "induction_head"]
    yield "several patterns", {"prompt": p.again, "patterns": every}
    yield "several patterns of several prompts, abs", {"prompts": [p.again, p.other], "patterns": every, "measure": "abs",
                                                       **exclusions[1]}
    yield "several patterns of some heads", {"prompts": several, "patterns": NAMES, "heads": some[:2]}
    for label, processing in (("none", "none"), ("refactored", REFACTORED)):
        yield f"several patterns, {label}", {"prompts": several, "patterns": NAMES, "processing": processing}
    if texts:
        yield "several patterns of a text", {"prompt": texts[0], "patterns": NAMES}
        yield "several patterns of a text without BOS", {"prompt": texts[0], "patterns": NAMES, "prepend_bos": False,
                                                         **exclusions[2]}
        yield "several patterns of texts", {"prompts": texts, "patterns": NAMES, "processing": "none"}
        yield "several patterns of texts, abs", {"prompts": texts, "patterns": NAMES, "measure": "abs", **exclusions[3]}


def cases(folder, seed, texts, oracle_for):
    """`{name, experiment, expected}` of a model; `oracle_for` gives the oracle for a processing. Also the largest
    difference from the same in float64."""
    oracles, wants, noise = {}, [], 0.0
    for name, body in experiments(oracle_for(folder, "transformer_lens", torch.float32), seed, texts):
        experiment = {"version": 1, "kind": "detect", **body}
        processing = experiment.get("processing", "transformer_lens")
        key = json.dumps(processing)
        if key not in oracles:
            oracles[key] = [oracle_for(folder, processing, dtype) for dtype in (torch.float32, torch.float64)]
        expected, exact = (oracle.run(experiment) for oracle in oracles[key])
        wants.append({"name": name, "experiment": experiment, "expected": expected})
        for a, b in zip(expected["values"], exact["values"]):
            noise = max(noise, 0.0 if a is None or a != a else abs(a - b))
    return wants, noise
