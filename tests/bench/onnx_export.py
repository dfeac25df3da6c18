"""Writes a GPT-2-small-shaped model with random weights as ONNX, for onnxruntime-web: input `input_ids` [1, T] (int64),
output `logits` [1, T, 50257]. The embedding is stored once and tied, about 500 MB.

    python onnx_export.py FILE.onnx [--tiny]
"""

import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from transformers import GPT2Config, GPT2LMHeadModel


class Logits(torch.nn.Module):
    """The forward pass alone, with a causal mask of its own: transformers' mask code does not trace."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids):
        t = input_ids.shape[1]
        mask = torch.full((t, t), -1e9).triu(1)[None, None]
        pos = torch.arange(t)[None]
        body = self.model.transformer
        x = body.wte(input_ids) + body.wpe(pos)
        for block in body.h:
            attn, h = block.attn, block.ln_1(x)
            q, k, v = (part.view(1, t, attn.num_heads, attn.head_dim).transpose(1, 2) for part in attn.c_attn(h).split(attn.embed_dim, 2))
            pattern = (q @ k.transpose(2, 3) / attn.head_dim**0.5 + mask).softmax(-1)
            x = x + attn.c_proj((pattern @ v).transpose(1, 2).reshape(1, t, attn.embed_dim))
            x = x + block.mlp(block.ln_2(x))
        return body.ln_f(x) @ body.wte.weight.T


def main():
    torch.manual_seed(0)
    torch.set_grad_enabled(False)
    sizes = {"n_layer": 2, "n_head": 2, "n_embd": 16, "vocab_size": 61} if "--tiny" in sys.argv else {}
    hf = GPT2LMHeadModel(GPT2Config(attn_implementation="eager", **sizes)).eval()
    model, ids = Logits(hf), torch.arange(11)[None]
    worst = (model(ids) - hf(ids).logits).abs().max().item()
    if worst > 1e-4:
        sys.exit(f"onnx_export: the written-out forward pass differs from transformers' by {worst}")
    torch.onnx.export(
        model, (ids,), sys.argv[1], dynamo=False, input_names=["input_ids"], output_names=["logits"],
        dynamic_axes={"input_ids": {1: "T"}, "logits": {1: "T"}}, do_constant_folding=False,
    )


if __name__ == "__main__":
    main()
