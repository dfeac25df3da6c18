"""The five small random models under models/, in GPT-2's own file layout.

Each is a `Fixture`: a config, how its tensors are stored, and which tokenizer files lie beside it. Together they
differ in every switch of a GPT-2 config and in every way such a file is found in the wild: dtype, `transformer.`
prefix, mask buffers, tied, stored or separate `lm_head`, shards, a data section that is not 4-byte aligned.
"""

import hashlib
import json
import struct
from dataclasses import dataclass, field

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

BOS = "<|endoftext|>"

# Few words, often repeated: the pronouns and the words of the prompts become single tokens within a small vocabulary.
CORPUS = [
    "Mary is a friend, isn't she",
    "John is a friend, isn't he",
    "Amy is kind, isn't she",
    "Tom is kind, isn't he",
    "she is a friend, he is kind",
    "it is a great movie and a wonderful person",
] * 8


@dataclass
class Fixture:
    name: str
    seed: int
    n_layer: int
    n_head: int
    d_head: int
    vocab_size: int
    n_positions: int
    activation: str
    n_inner: int | None = None
    eps: float = 1e-5
    inverse_layer: bool = False
    dtype: torch.dtype = torch.float32
    prefix: str = "transformer."
    masks: torch.dtype | None = None
    masked_bias: bool = False
    lm_head: str = "tied"  # tied: not stored; stored: a copy of wte; separate: its own weights
    shards: int = 1
    aligned: bool = True
    tokenizer: str | None = None  # "tokenizer.json", "vocab.json", or None
    # The processing object that only this model's goldens use, see make_golden.py.
    mixed: dict = field(default_factory=dict)

    @property
    def d_model(self):
        return self.n_head * self.d_head


def switches(fold_ln, center_writing_weights, center_unembed, fold_value_biases, refactor):
    return {
        "fold_ln": bool(fold_ln),
        "center_writing_weights": bool(center_writing_weights),
        "center_unembed": bool(center_unembed),
        "fold_value_biases": bool(fold_value_biases),
        "refactor_factored_attn_matrices": bool(refactor),
    }


FIXTURES = [
    # As openai-community/gpt2 is stored (no prefix, F32 masks, unaligned data), with Stanford's score scaling.
    Fixture("gelu-new", 11, n_layer=3, n_head=4, d_head=5, vocab_size=300, n_positions=24, activation="gelu_new",
            inverse_layer=True, prefix="", masks=torch.float32, aligned=False, tokenizer="tokenizer.json",
            mixed=switches(0, 1, 0, 1, 0)),
    # vocab_size is larger than the tokenizer's vocabulary, as in models that pad it.
    Fixture("gelu-bf16", 12, n_layer=2, n_head=3, d_head=12, vocab_size=307, n_positions=33, activation="gelu",
            n_inner=37, eps=1e-3, dtype=torch.bfloat16, lm_head="separate", tokenizer="vocab.json",
            mixed=switches(1, 0, 1, 0, 0)),
    # As microsoft/DialoGPT-small is stored: F16, prefix, masks, masked_bias and lm_head; here in two shards too.
    Fixture("gelu-fast-f16", 13, n_layer=4, n_head=2, d_head=7, vocab_size=61, n_positions=7,
            activation="gelu_fast", inverse_layer=True, dtype=torch.float16, masks=torch.uint8, masked_bias=True,
            lm_head="stored", shards=2, mixed=switches(0, 0, 0, 1, 0)),
    Fixture("gelu-tanh", 14, n_layer=2, n_head=1, d_head=9, vocab_size=101, n_positions=19,
            activation="gelu_pytorch_tanh", n_inner=23, eps=1e-6, prefix="", masks=torch.bool,
            mixed=switches(0, 1, 1, 0, 1)),
    Fixture("relu", 15, n_layer=3, n_head=2, d_head=8, vocab_size=67, n_positions=32, activation="relu",
            n_inner=65, eps=1e-2, lm_head="separate", mixed=switches(0, 0, 1, 0, 0)),
]


def config(f):
    return {
        "activation_function": f.activation,
        "architectures": ["GPT2LMHeadModel"],
        "attn_pdrop": 0.0,
        "bos_token_id": bos_id(f),
        "embd_pdrop": 0.0,
        "eos_token_id": bos_id(f),
        "initializer_range": 0.02,
        "layer_norm_epsilon": f.eps,
        "model_type": "gpt2",
        "n_ctx": f.n_positions,
        "n_embd": f.d_model,
        "n_head": f.n_head,
        "n_inner": f.n_inner,
        "n_layer": f.n_layer,
        "n_positions": f.n_positions,
        "reorder_and_upcast_attn": False,
        "resid_pdrop": 0.0,
        "scale_attn_by_inverse_layer_idx": f.inverse_layer,
        "scale_attn_weights": True,
        "tie_word_embeddings": f.lm_head != "separate",
        "torch_dtype": str(f.dtype).removeprefix("torch."),
        "vocab_size": f.vocab_size,
    }


def bos_id(f):
    # First in tokenizer.json, last in vocab.json (as in GPT-2): a reader that assumes either is caught.
    return {"tokenizer.json": 0, "vocab.json": 299, None: f.vocab_size - 1}[f.tokenizer]


def tensors(f):
    """Weights far larger than GPT-2's initial 0.02, so that patterns are not flat and every head matters.

    LayerNorm weights and all biases are random too: a loader that drops or swaps one of them is seen.
    """
    rng = np.random.default_rng(f.seed)
    d, m = f.d_model, f.n_inner or 4 * f.d_model

    def normal(*shape, std=0.3, mean=0.0):
        return torch.from_numpy(rng.normal(mean, std, shape).astype(np.float32))

    out = {"wte.weight": normal(f.vocab_size, d), "wpe.weight": normal(f.n_positions, d)}
    for layer in range(f.n_layer):
        h = f"h.{layer}."
        out[h + "ln_1.weight"] = normal(d, mean=1.0)
        out[h + "ln_1.bias"] = normal(d)
        out[h + "attn.c_attn.weight"] = normal(d, 3 * d, std=0.35)
        out[h + "attn.c_attn.bias"] = normal(3 * d)
        out[h + "attn.c_proj.weight"] = normal(d, d)
        out[h + "attn.c_proj.bias"] = normal(d)
        out[h + "ln_2.weight"] = normal(d, mean=1.0)
        out[h + "ln_2.bias"] = normal(d)
        out[h + "mlp.c_fc.weight"] = normal(d, m)
        out[h + "mlp.c_fc.bias"] = normal(m)
        out[h + "mlp.c_proj.weight"] = normal(m, d)
        out[h + "mlp.c_proj.bias"] = normal(d)
        # Two neurons sit where a tanh written with exp overflows; their outputs are scaled down to stay in proportion.
        out[h + "mlp.c_fc.bias"][0] = 12.0
        out[h + "mlp.c_fc.bias"][1] = -12.0
        out[h + "mlp.c_proj.weight"][:2] *= 0.1
    out["ln_f.weight"] = normal(d, mean=1.0)
    out["ln_f.bias"] = normal(d)
    if f.lm_head == "separate":
        out["lm_head.weight"] = normal(f.vocab_size, d)
    out = {name: t.to(f.dtype) for name, t in out.items()}
    if f.lm_head == "stored":
        out["lm_head.weight"] = out["wte.weight"].clone()
    for layer in range(f.n_layer):
        if f.masks is not None:
            n = f.n_positions
            out[f"h.{layer}.attn.bias"] = torch.tril(torch.ones(n, n)).view(1, 1, n, n).to(f.masks)
        if f.masked_bias:
            out[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4, dtype=f.dtype)
    return {(name if name.startswith("lm_head") else f.prefix + name): t for name, t in out.items()}


DTYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.uint8: "U8", torch.bool: "BOOL"}


def write_safetensors(path, named, aligned=True):
    """Written here and not by the library: byte-stable, tensors in the given order, and unaligned on request."""
    header, offset, blobs = {"__metadata__": {"format": "pt"}}, 0, []
    for name, t in named.items():
        blob = t.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if t.numel() else b""
        header[name] = {"dtype": DTYPES[t.dtype], "shape": list(t.shape), "data_offsets": [offset, offset + len(blob)]}
        offset += len(blob)
        blobs.append(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    want = 0 if aligned else 3
    text += b" " * ((want - (8 + len(text))) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def write_tokenizer(f, folder):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=300 if f.tokenizer == "tokenizer.json" else 299,
        special_tokens=[BOS] if f.tokenizer == "tokenizer.json" else [],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    data = json.loads(tokenizer.to_str())
    if f.tokenizer == "tokenizer.json":
        assert tokenizer.get_vocab_size() == 300, tokenizer.get_vocab_size()
        (folder / "tokenizer.json").write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n")
        return
    vocab = dict(sorted(data["model"]["vocab"].items(), key=lambda item: item[1]))
    assert len(vocab) == 299, len(vocab)
    vocab[BOS] = 299
    merges = [" ".join(m) for m in data["model"]["merges"]]
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False) + "\n")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n")


def write_model(f, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    (folder / "config.json").write_text(json.dumps(config(f), indent=2) + "\n")
    named = tensors(f)
    if f.shards == 1:
        write_safetensors(folder / "model.safetensors", named, f.aligned)
    else:
        names, index = list(named), {}
        for i in range(f.shards):
            part = names[i * len(names) // f.shards : (i + 1) * len(names) // f.shards]
            file = f"model-{i + 1:05}-of-{f.shards:05}.safetensors"
            write_safetensors(folder / file, {n: named[n] for n in part}, f.aligned)
            index |= dict.fromkeys(part, file)
        size = sum(t.numel() * t.element_size() for t in named.values())
        data = {"metadata": {"total_size": size}, "weight_map": dict(sorted(index.items()))}
        (folder / "model.safetensors.index.json").write_text(json.dumps(data, indent=2) + "\n")
    if f.tokenizer:
        write_tokenizer(f, folder)


def load_tokenizer(folder):
    """The tokenizer of a model directory, or None. Built from whichever files are there, as the loader must."""
    if (folder / "tokenizer.json").exists():
        return Tokenizer.from_file(str(folder / "tokenizer.json"))
    if (folder / "vocab.json").exists():
        tokenizer = Tokenizer(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.add_special_tokens([AddedToken(BOS, special=True)])
        return tokenizer
    return None


def weights_sha256(folder):
    """Of the weight file's bytes, of shards one after the other by name: a golden made from other weights says so."""
    files = sorted(folder.glob("model*.safetensors"))
    return hashlib.sha256(b"".join(p.read_bytes() for p in files)).hexdigest()
