"""Writes the tokenizer fixtures beside this file, from Hugging Face's `tokenizers` (0.22.2).

A byte-level BPE of 512 tokens (all pairs that occur twice) is trained on the text below; `cases.json` holds texts with the ids that
`tokenizers` gives them, and long runs with the SHA-256 of their ids. Seeded: the same files every time.

    python tests/golden/tokens/make_tokens.py
"""

import hashlib
import json
import random
import unicodedata
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = Path(__file__).parent
CORPUS = """Katherine is a great friend, isn't she? Matrix is a great movie, isn’t it? I'm sure that they've
seen it, and we'll see it too; he'd say it's 1999's best. When Mary and John went to the store, John gave a
drink to Mary. “Quoted text”, naïve café, Ελληνικά, русский текст, 日本語の文字, 한국어, العربية, עברית.
    def forward(self, x):\n\treturn x + 12345 * 67.89\r\n\r\nThe end.   Three spaces.  👍🏽 👩‍👩‍👧 🎉
"""
SEPARATOR = "<sep>"  # an added token that is not special and not in the vocabulary
END = "<|endoftext|>"
PIECES = (
    "Katherine| is| a| great|'s|'t|'re|’t| ’s|'LL|'Ve| isn|isn't|  |   |\n|\n\n|\r\n|\t| \t |\u00a0|\u3000|"
    "\u2028|\u0085|\u200b|\u200d|\ufeff|\x00|\x1f|\x7f|1|23| 456|²|½|Ⅷ|٣|é|e\u0301|ñ|ß|ﬁ|Ω|я|日本|語|한국|ع|ש|"
    "👍|👍🏽|👩‍👩‍👧|🇩🇪|.|,|!?|...|“|”|—|_|\\|\\xE2|<|>|<|endoftext|\u0120|Ġthe|" + "�|\U0001f9ec|𝔘𝔫𝔦|\U0010ffff"
).split("|") + ["|", END, "<|endoftext", "endoftext|>", SEPARATOR, " " + END + " "]


def train():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1000, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([CORPUS] * 3, trainer)
    tokenizer.add_tokens([AddedToken(SEPARATOR, normalized=True)])
    return tokenizer


def texts(rng):
    yield from ["", " ", *PIECES]
    for _ in range(1000):
        yield "".join(rng.choices(PIECES, k=rng.randint(1, 8)))
    words = CORPUS.split(" ")
    for _ in range(400):
        yield " ".join(rng.choices(words, k=rng.randint(1, 6)))
    # Any character of the first two planes that Unicode 3.2 already had in use, so that no library's age matters.
    old = unicodedata.ucd_3_2_0
    pool = [chr(c) for c in range(0x20000) if old.category(chr(c)) not in ("Cn", "Cs", "Co")]
    for _ in range(1200):
        yield "".join(rng.choices(pool, k=rng.randint(1, 8)))


def main():
    rng = random.Random(2)
    tokenizer = train()
    tokenizer.save(str(HERE / "tokenizer.json"), pretty=False)
    model = json.loads((HERE / "tokenizer.json").read_text())["model"]
    (HERE / "vocab.json").write_text(json.dumps(model["vocab"], ensure_ascii=False))
    merges = "".join(f"{left} {right}\n" for left, right in model["merges"])
    (HERE / "merges.txt").write_text("#version: 0.2\n" + merges)

    def encode(text):
        return tokenizer.encode(text, add_special_tokens=False).ids

    cases = [[text, encode(text)] for text in dict.fromkeys(texts(rng))]
    runs = []
    for unit, times in [(" ", 20000), ("a", 20000), ("isn’t ", 3333), ("\n", 20000), ("👍🏽", 10000), (" \t", 9999)]:
        for end in ["", "x"][: 1 if len(unit) * times == 20000 else 2]:
            ids = encode(unit * times + end)
            digest = hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest()
            runs.append({"unit": unit, "times": times, "end": end, "n": len(ids), "sha256": digest})
    head = {"cases": cases, "runs": runs}
    (HERE / "cases.json").write_text(json.dumps(head, ensure_ascii=False, separators=(",", ":")))
    print(len(cases), "texts,", len(runs), "runs")


main()
