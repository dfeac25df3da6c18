#!/usr/bin/env python3
"""Writes the PyTorch files beside this one, which `tests/it/torch.rs` reads: some that must be read, some that must not.

    make_torch.py          with the packages of ../requirements.txt

The model is that of `tests/it/files.rs`: two layers, two heads, d_model 4, d_mlp 6, 3 positions, 5 tokens, and its
values are that file's `value(salt, i)`, so that both know what must be found.
"""

import io
import os
import struct
import tempfile
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel

HERE = Path(__file__).resolve().parent
D = 4
BLOCK = {
    "ln_1.weight": [D], "ln_1.bias": [D], "attn.c_attn.weight": [D, 3 * D], "attn.c_attn.bias": [3 * D],
    "attn.c_proj.weight": [D, D], "attn.c_proj.bias": [D], "ln_2.weight": [D], "ln_2.bias": [D],
    "mlp.c_fc.weight": [D, 6], "mlp.c_fc.bias": [6], "mlp.c_proj.weight": [6, D], "mlp.c_proj.bias": [D],
}
SHAPES = {"wte.weight": [5, D], "wpe.weight": [3, D]}
SHAPES |= {f"h.{layer}.{name}": shape for layer in range(2) for name, shape in BLOCK.items()}
SHAPES |= {"ln_f.weight": [D], "ln_f.bias": [D]}
FIVE_GIB = 5 << 30


def value(salt, i):
    return ((37 * salt + 11 * i) % 255 - 127) / 4


def weights(dtype):
    def tensor(salt, shape):
        n = torch.Size(shape).numel()
        return torch.tensor([value(salt, i) for i in range(n)]).reshape(shape).to(dtype)

    return OrderedDict((name, tensor(salt, shape)) for salt, (name, shape) in enumerate(SHAPES.items()))


def model():
    config = GPT2Config(n_layer=2, n_head=2, n_embd=D, n_inner=6, n_positions=3, vocab_size=5,
                        bos_token_id=4, eos_token_id=4)
    model = GPT2LMHeadModel(config)
    missing = model.load_state_dict({"transformer." + name: t for name, t in weights(torch.float32).items()},
                                    strict=False)
    assert missing.missing_keys == ["lm_head.weight"] and not missing.unexpected_keys, missing
    model.tie_weights()
    return model


def tied():
    """What Hugging Face's own model saves: prefixed, and `lm_head` is the storage of `wte`."""
    return model().state_dict()


def sharded():
    """The same model as Hugging Face saves one that is too large for a file: shards of at most 700 bytes, and an index."""
    with tempfile.TemporaryDirectory() as folder:
        model().save_pretrained(folder, safe_serialization=False, max_shard_size=700)
        return {path.name: path.read_bytes() for path in sorted(Path(folder).glob("pytorch_model*"))}


def with_masks():
    """As stanford-crfm's checkpoints are stored: F16, prefix, U8 masks, masked_bias, lm_head."""
    named = weights(torch.float16)
    for layer in range(2):
        named[f"h.{layer}.attn.bias"] = torch.tril(torch.ones(3, 3, dtype=torch.uint8)).view(1, 1, 3, 3)
        named[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4, dtype=torch.float16)
    named = OrderedDict(("transformer." + name, t) for name, t in named.items())
    named["lm_head.weight"] = named["transformer.wte.weight"]
    return named


def views():
    """BF16 tensors that are parts of one storage, some of them Parameters, with buffers of other types."""
    flat = torch.cat([torch.zeros(3, dtype=torch.bfloat16), *(t.reshape(-1) for t in weights(torch.bfloat16).values())])
    named, at = OrderedDict(), 3
    for i, (name, shape) in enumerate(SHAPES.items()):
        n = torch.Size(shape).numel()
        named[name] = flat[at : at + n].view(shape)
        at += n
        if i % 3 == 0:
            named[name] = torch.nn.Parameter(named[name])
    named["h.0.attn.bias"] = torch.tril(torch.ones(3, 3, dtype=torch.bool)).view(1, 1, 3, 3)
    named["h.1.attn.bias"] = torch.arange(9).view(1, 1, 3, 3)
    named["h.0.attn.masked_bias"] = torch.tensor(-1e4)
    return named


class System:
    """Unpickling this runs a command: what must never happen to a visitor."""

    def __reduce__(self):
        return os.system, ("touch /tmp/a-pickle-was-run",)


def save(named, **options):
    file = io.BytesIO()
    torch.save(named, file, **options)
    return file.getvalue()


def entries(archive):
    with zipfile.ZipFile(io.BytesIO(archive)) as old:
        return [(name, old.read(name)) for name in old.namelist()]


def deflated(archive):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in entries(archive):
            new.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def above_4_gib(archive):
    """The archive behind five gigabytes of nothing, so that its directory needs zip64; only what is behind them."""
    with tempfile.TemporaryFile() as file:
        file.truncate(FIVE_GIB)
        with zipfile.ZipFile(file, "a") as new:
            for name, data in entries(archive):
                new.writestr(zipfile.ZipInfo(name), data)
        file.seek(FIVE_GIB)
        return file.read()


def main():
    torch.manual_seed(0)
    one = OrderedDict(weight=torch.arange(6.0).view(2, 3))
    files = {
        "tied.bin": save(tied()),
        "masks-f16.bin": save(with_masks()),
        "views-bf16.bin": save(views(), pickle_protocol=4),
        "above-4gib.tail": above_4_gib(save(weights(torch.float32))),
        "transposed.bin": save({"weight": one["weight"].t()}),
        "nested.bin": save({"model": weights(torch.float32), "step": 3, "name": "tiny", "best": None}),
        "nested-twice.bin": save({"model": one, "state_dict": one}),
        "double.bin": save({"weight": one["weight"].double()}),
        "system.bin": save({"weight": one["weight"], "callback": System()}),
        "legacy.bin": save(one, _use_new_zipfile_serialization=False),
        "deflated.bin": deflated(save(one)),
    }
    files |= {f"sharded/{name}": data for name, data in sharded().items()}
    (HERE / "sharded").mkdir(exist_ok=True)
    for name, data in files.items():
        (HERE / name).write_bytes(data)
        print(f"{name}: {len(data)} bytes")
    assert struct.unpack("<4s", files["tied.bin"][:4]) == (b"PK\x03\x04",)


if __name__ == "__main__":
    main()
