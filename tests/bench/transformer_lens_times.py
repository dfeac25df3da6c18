"""Times TransformerLens on a GPT-2-small-shaped model with random weights, and prints JSON.

    python transformer_lens_times.py [--tokens 11,30] [--threads 2] [--repeat 5] [--sweep-repeat 3] [--only CASE,…]

The loops are those that its users write: `run_with_hooks` for each head, as in its main demonstration notebook, and
`transformer_lens.patching`'s own function for the residual stream. Gradients are off and nothing is drawn. The cases
have the names that `microtome bench` gives to the same questions.
"""

import argparse
import json
import os
import sys
import time
from functools import partial

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# The progress bar of `patching` would be drawn a thousand times.
os.environ.setdefault("TQDM_DISABLE", "1")

import torch
import transformer_lens.patching as patching
from transformer_lens import HookedTransformer, HookedTransformerConfig, utils


def gpt2_small():
    """What `HookedTransformer.from_pretrained("gpt2")` gives, but for the weights: LayerNorm is folded (`LNPre`)."""
    return HookedTransformer(
        HookedTransformerConfig(
            n_layers=12, n_heads=12, d_model=768, d_head=64, d_mlp=3072, d_vocab=50257, n_ctx=1024, eps=1e-5,
            act_fn="gelu_new", normalization_type="LNPre", seed=0, device="cpu", tokenizer_prepends_bos=False,
        )
    ).eval()


def zero_head(z, hook, head):
    z[:, :, head, :] = 0.0
    return z


def ablate(model, tokens, return_type, metric):
    """`[layer, head]`: the metric with one head's z zeroed, one forward pass for each."""
    values = torch.zeros(model.cfg.n_layers, model.cfg.n_heads)
    for layer in range(model.cfg.n_layers):
        for head in range(model.cfg.n_heads):
            hook = (utils.get_act_name("z", layer), partial(zero_head, head=head))
            values[layer, head] = metric(model.run_with_hooks(tokens, return_type=return_type, fwd_hooks=[hook]))
    return values


def patch(model, clean, corrupted, logit_diff):
    """`[layer, pos]`: both base runs, then one forward pass for each place."""
    clean_logits, cache = model.run_with_cache(clean)
    first, last = logit_diff(model(corrupted)), logit_diff(clean_logits)
    return patching.get_act_patch_resid_pre(
        model, corrupted, cache, lambda logits: (logit_diff(logits) - first) / (last - first)
    )


def cases(model, length):
    ids = torch.Generator().manual_seed(length)
    draw = lambda: torch.randint(model.cfg.d_vocab, (1, length), generator=ids)
    clean, corrupted = draw(), draw()
    shared = corrupted.clone()
    shared[:, :5] = clean[:, :5]
    logit_diff = lambda logits: logits[0, -1, 1] - logits[0, -1, 2]
    yield "forward", False, lambda: model(clean)
    yield "ablate_logit_diff", True, lambda: ablate(model, clean, "logits", logit_diff)
    yield "ablate_loss", True, lambda: ablate(model, clean, "loss", lambda loss: loss)
    yield "patch", True, lambda: patch(model, clean, corrupted, logit_diff)
    yield "patch_shared", True, lambda: patch(model, clean, shared, logit_diff)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", default="11,30")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--sweep-repeat", type=int, default=3)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_grad_enabled(False)
    only = [name for name in args.only.split(",") if name]
    model = gpt2_small()
    rows = []
    for length in map(int, args.tokens.split(",")):
        for _ in range(3):
            model(torch.arange(length)[None])
        for name, sweep, run in cases(model, length):
            if only and name not in only:
                continue
            times = []
            for _ in range(args.sweep_repeat if sweep else args.repeat):
                start = time.perf_counter()
                run()
                times.append(1e3 * (time.perf_counter() - start))
            rows.append({"case": name, "tokens": length, "milliseconds": times})
            print(f"  {name} T={length}: {min(times):.0f} to {max(times):.0f} ms", file=sys.stderr, flush=True)
    versions = {"torch": torch.__version__, "threads": torch.get_num_threads()}
    json.dump({"engine": "transformer_lens", "versions": versions, "rows": rows}, sys.stdout)


if __name__ == "__main__":
    main()
