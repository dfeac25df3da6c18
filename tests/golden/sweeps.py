"""Experiments of batches, means, resamples, sets and several sites; every function of transformer_lens.patching on a
batch of pairs."""

import numpy as np

LAYER, LH, LP, LPH = ["layer"], ["layer", "head"], ["layer", "pos"], ["layer", "pos", "head"]
LHD, LHDS = ["layer", "head", "dest"], ["layer", "head", "dest", "src"]
LOSS = {"kind": "loss"}
ZERO = {"kind": "zero"}

# transformer_lens.patching, function by function, then its two `every` families and block_every.
FUNCTIONS = [(site, LP) for site in ("resid_pre", "resid_mid", "attn_out", "mlp_out")]
FUNCTIONS += [(site, LPH) for site in ("z", "q", "k", "v")] + [("pattern", LHD), ("pattern", LHDS)]
FUNCTIONS += [(site, LH) for site in ("z", "q", "k", "v", "pattern")]
EVERY = [(["z", "q", "k", "v", "pattern"], LH), (["z", "q", "k", "v", "pattern"], LPH),
         (["resid_pre", "attn_out", "mlp_out"], LP)]

# An ablation's site, axes and whether it is measured by the loss.
OVER_TOKENS = [("z", LH, False), ("v", LH, True), ("q", LPH, False), ("mlp_out", LP, False), ("resid_pre", LP, True),
               ("attn_out", LAYER, False), ("result", LH, True), ("post", LP, False), ("ln2.scale", LP, False),
               ("pos_embed", ["pos"], True)]
OVER_PROMPTS = [("z", LH, True), ("k", LPH, False), ("pattern", LH, False), ("pattern", LHD, True),
                ("attn_scores", LH, False), ("attn_scores", LHDS, True), ("mlp_out", LP, True), ("resid_mid", LP, False),
                ("z", ["head"], False)]
RESAMPLED = [("z", LH, False), ("v", LPH, True), ("pattern", LHD, False), ("attn_scores", LH, True),
             ("resid_pre", LP, False), ("mlp_out", LP, True), ("attn_out", LP, False)]


class Batch:
    """Token-id prompts of five tokens, two of which most of them share at the front, and longer and shorter ones."""

    def __init__(self, oracle, seed):
        self.rng, self.vocab = np.random.default_rng(seed), oracle.config["vocab_size"]
        for _ in range(1000):
            prefix, repeated, rest = self.ids(2), self.ids(1), self.ids(2)
            # Shared front and last token; one token three times, and only the last differs; nothing shared.
            rows = [(prefix + self.ids(1) + rest, prefix + self.ids(1) + rest),
                    (prefix + repeated * 2 + self.ids(1), prefix + repeated * 2 + self.ids(1)),
                    (repeated + self.ids(3) + repeated, self.ids(5))]
            self.pairs = [{"clean": a, "corrupted": b, **self.answers()} for a, b in rows]
            gaps = [self.gap(oracle, metric, pairs) for metric in ({"kind": "logit_diff"}, LOSS)
                    for pairs in (self.pairs, self.pairs[:1])]
            if min(gaps) > 0.5:
                break
        else:
            raise SystemExit("no batch with metrics far enough apart: choose another seed")
        self.prompt = self.pairs[0]["clean"]
        self.metric = {"kind": "logit_diff", "correct": self.pairs[0]["correct"],
                       "incorrect": self.pairs[0]["incorrect"]}
        # Of the prompt's length: its front, other tokens, itself but for the last token.
        self.references = [prefix + self.ids(3), self.ids(5), self.prompt[:4] + self.ids(1)]
        self.uneven_references = [prefix + self.ids(3), self.ids(1), self.ids(3)]
        self.even = [{"prompt": q, **self.answers()} for q in (self.prompt, self.prompt, self.references[0], self.ids(5))]
        lengths = [self.prompt, prefix + self.ids(5), repeated * 3, prefix]
        self.uneven = [{"prompt": q, **self.answers()} for q in lengths]

    def ids(self, n):
        return [int(i) for i in self.rng.integers(0, self.vocab, n)]

    def answers(self):
        correct, incorrect = self.ids(2)
        return {"correct": correct, "incorrect": incorrect}

    def gap(self, oracle, metric, pairs):
        """How far apart clean and corrupted are, as the mean over the pairs."""
        def mean(side):
            logits = [oracle.logits(pair[side]) for pair in pairs]
            return sum(oracle.metric({**pair, **metric}, x, pair[side]) for pair, x in zip(pairs, logits)) / len(pairs)
        return abs(mean("clean") - mean("corrupted"))


def without_answers(entries):
    return [{k: v for k, v in entry.items() if k not in ("correct", "incorrect")} for entry in entries]


def patches(b):
    for i, (site, axes) in enumerate(FUNCTIONS):
        by_loss = i % 3 == 2
        pairs = without_answers(b.pairs) if by_loss else b.pairs
        metric = {**(LOSS if by_loss else {"kind": "logit_diff"}), "normalize": i % 5 != 4}
        yield f"patch {site} {','.join(axes)} of pairs", {"kind": "patch", "pairs": pairs, "site": site, "axes": axes,
                                                          "metric": metric}
    one = {"clean": b.pairs[0]["clean"], "corrupted": b.pairs[0]["corrupted"]}
    for i, (sites, axes) in enumerate(EVERY):
        label = f"patch every {','.join(axes)}"
        metric = {**(LOSS if i == 1 else b.metric), "normalize": True}
        yield label, {"kind": "patch", **one, "sites": sites, "axes": axes, "metric": metric}
        yield f"{label} of pairs", {"kind": "patch", "pairs": b.pairs, "sites": sites, "axes": axes,
                                    "metric": {"kind": "logit_diff", "normalize": i != 1}}
    uneven = [{**b.pairs[0]}, {"clean": b.uneven[1]["prompt"], "corrupted": b.uneven[1]["prompt"][:6] + b.prompt[:1],
                               "correct": b.pairs[1]["correct"]}]
    yield "patch z head,layer of uneven pairs", {"kind": "patch", "pairs": uneven, "site": "z", "axes": ["head", "layer"],
                                                 "metric": {**b.metric, "normalize": False}}
    yield "patch mlp_out without axes", {"kind": "patch", **one, "site": "mlp_out", "axes": [], "metric": {
        **b.metric, "normalize": True}}


def ablations(b):
    edits = [("mean over tokens", {"kind": "mean", "prompts": b.uneven_references}, OVER_TOKENS),
             ("mean over prompts", {"kind": "mean", "prompts": b.references, "over": "prompts"}, OVER_PROMPTS),
             ("resample one", {"kind": "resample", "prompts": b.references[1:2]}, RESAMPLED[:3]),
             ("resample", {"kind": "resample", "prompts": b.references}, RESAMPLED)]
    for name, edit, sweeps in edits:
        for site, axes, by_loss in sweeps:
            yield f"ablate {site} {','.join(axes)}, {name}", {
                "kind": "ablate", "prompt": b.prompt, "site": site, "edit": edit, "axes": axes,
                "metric": LOSS if by_loss else b.metric}
    tokens, prompts, resample = edits[0][1], edits[1][1], edits[3][1]

    # The metric of a batch.
    by_answers = {"kind": "logit_diff"}
    for site, axes, entries, metric, edit, name in [
        ("z", LH, b.uneven, by_answers, ZERO, "zero"), ("z", LH, without_answers(b.uneven), LOSS, ZERO, "zero"),
        ("v", LH, without_answers(b.uneven), b.metric, ZERO, "zero"), ("resid_mid", LP, b.even, by_answers, ZERO, "zero"),
        ("pattern", LHD, without_answers(b.even), LOSS, ZERO, "zero"),
        ("z", LH, b.uneven, by_answers, tokens, "mean over tokens"),
        ("k", LPH, b.even, by_answers, tokens, "mean over tokens"),
        ("z", LH, b.even, by_answers, prompts, "mean over prompts"),
        ("z", LH, b.even, by_answers, resample, "resample"),
        ("mlp_out", LP, without_answers(b.even), LOSS, resample, "resample"),
    ]:
        measured = "loss" if metric == LOSS else "logit_diff"
        yield f"ablate {site} {','.join(axes)} of {len(entries)} prompts by {measured}, {name}", {
            "kind": "ablate", "prompts": entries, "site": site, "edit": edit, "axes": axes, "metric": metric}

    # Several sites: `pos` is the destination of patterns and scores.
    for sites, axes, edit, name, by_loss in [
        (["z", "v", "pattern"], LH, ZERO, "zero", False), (["pattern", "q", "attn_scores"], LPH, resample, "resample", True),
        (["resid_pre", "mlp_out", "pattern"], LP, prompts, "mean over prompts", False),
        (["embed", "resid_mid"], ["pos"], tokens, "mean over tokens", True),
    ]:
        yield f"ablate {'+'.join(sites)} {','.join(axes)}, {name}", {
            "kind": "ablate", "prompt": b.prompt, "sites": sites, "edit": edit, "axes": axes,
            "metric": LOSS if by_loss else b.metric}


def sets(oracle, b):
    layers, heads = oracle.n_layers, oracle.n_heads
    last = {"layer": layers - 1}
    unplaced = [
        [{"site": "z", "layer": 0, "head": 0}, {"site": "z", **last, "head": heads - 1}, {"site": "z", "layer": 1, "head": 0}],
        [{"site": "mlp_out", "layer": 0}],
        [{"site": "attn_out", "layer": 1}, {"site": "mlp_out", "layer": 1}],
        [{"site": "z", "head": heads - 1}],
        [{"site": "k", "layer": 0, "head": 0}, {"site": "v", "layer": 0, "head": heads - 1}, {"site": "mlp_out"}],
        [{"site": "z", **last}],
    ]
    placed = [
        [{"site": "resid_pre", "layer": 1, "pos": 1}, {"site": "resid_pre", "layer": 1, "pos": 3}],
        [{"site": "q", "layer": 0, "head": 0, "pos": 4}, {"site": "k", **last, "pos": 0}, {"site": "post", "pos": 2}],
    ]
    square = [
        [{"site": "pattern", "layer": 0, "head": 0, "dest": 3, "src": 1}, {"site": "pattern", **last, "dest": 4}],
        [{"site": "attn_scores", "layer": 1, "src": 2}, {"site": "z", "layer": 0, "head": 0, "pos": 4}],
    ]
    base, one = {"kind": "ablate", "metric": b.metric}, {"prompt": b.prompt}
    mean = {"kind": "mean", "prompts": b.uneven_references}
    yield "ablate sets, zero", {**base, **one, "sets": unplaced + placed + square, "edit": ZERO}
    yield "ablate sets by loss, zero", {**base, **one, "sets": unplaced + square, "edit": ZERO, "metric": LOSS}
    yield "ablate sets, mean over tokens", {**base, **one, "sets": unplaced + placed, "edit": mean}
    yield "ablate sets, mean over prompts", {**base, **one, "sets": unplaced + placed + square, "metric": LOSS,
                                             "edit": {**mean, "over": "prompts", "prompts": b.references}}
    yield "ablate sets, resample", {**base, **one, "sets": unplaced + placed + square,
                                    "edit": {"kind": "resample", "prompts": b.references}}
    yield "ablate sets of uneven prompts, zero", {**base, "prompts": b.uneven, "sets": unplaced, "edit": ZERO,
                                                  "metric": {"kind": "logit_diff"}}
    yield "ablate sets of even prompts, resample", {
        **base, "prompts": without_answers(b.even), "sets": placed + square, "metric": LOSS,
        "edit": {"kind": "resample", "prompts": b.references[:2]}}


def sweeps(oracle, seed, everything):
    """(name, experiment) without version and processing; a quarter of them unless `everything`."""
    b = Batch(oracle, seed)
    for i, case in enumerate([*patches(b), *ablations(b), *sets(oracle, b)]):
        if everything or i % 4 == 1:
            yield case


def trained_sweeps(grid):
    """The notebook's 25 prompts as the metric."""
    base = {"kind": "ablate", "site": "z", "axes": LH, "metric": {"kind": "logit_diff"}}
    yield "ablate z layer,head of 25 prompts", {**base, "prompts": grid, "edit": ZERO}
    yield "ablate z layer,head of 5 prompts, mean", {
        **base, "prompts": grid[:5], "edit": {"kind": "mean", "prompts": [row["prompt"] for row in grid[5:10]]}}
    pairs = [{"clean": a["prompt"], "corrupted": b["prompt"], "correct": a["correct"], "incorrect": a["incorrect"]}
             for a, b in [(grid[0], grid[1]), (grid[2], grid[4]), (grid[6], grid[5])]]
    yield "patch z layer,head of pairs", {"kind": "patch", "pairs": pairs, "site": "z", "axes": LH,
                                          "metric": {"kind": "logit_diff", "normalize": True}}
    yield "patch every layer,pos of pairs", {"kind": "patch", "pairs": pairs, "sites": EVERY[2][0], "axes": LP,
                                             "metric": {"kind": "logit_diff", "normalize": True}}
