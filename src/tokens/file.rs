//! The tokenizer's files, read into the parts that a byte-level BPE is built from.

use super::added::AddedToken;
use crate::error::{Error, Result};
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};

/// The largest tokenizer file read, in bytes. GPT-2's `tokenizer.json` has 1,355,256.
pub const CAP_FILE: u64 = 10_000_000;
/// Ids are below this: far above every GPT-2 vocabulary.
const CAP_ID: u32 = 1_000_000;

/// A model's tokenizer files, unread. `tokenizer.json` is used where it exists, else `vocab.json` with
/// `merges.txt`; without any, prompts are token ids.
#[derive(Clone, Debug, Default)]
pub struct TokenizerFiles {
    pub tokenizer_json: Option<Vec<u8>>,
    pub vocab: Option<Vec<u8>>,
    pub merges: Option<Vec<u8>>,
}

/// What a byte-level BPE is built from.
pub(super) struct Parts {
    /// The file to name in a message.
    pub place: &'static str,
    pub vocab: BTreeMap<String, u32>,
    pub merges: Vec<(String, String)>,
    pub added: Vec<(u32, AddedToken)>,
    pub unk_token: Option<String>,
    pub ignore_merges: bool,
    pub add_prefix_space: bool,
    pub use_regex: bool,
}

const JSON: &str = "tokenizer.json";
const VOCAB: &str = "vocab.json";
const MERGES: &str = "merges.txt";

impl TokenizerFiles {
    pub(super) fn parse(&self) -> Result<Option<Parts>> {
        let parts = match (&self.tokenizer_json, &self.vocab, &self.merges) {
            (Some(json), _, _) => from_json(json)?,
            (None, Some(vocab), Some(merges)) => from_pair(vocab, merges)?,
            (None, None, None) => return Ok(None),
            (None, Some(_), None) => return Err(bad(MERGES, "absent, expected beside vocab.json")),
            (None, None, Some(_)) => return Err(bad(VOCAB, "absent, expected beside merges.txt")),
        };
        parts.check()?;
        Ok(Some(parts))
    }
}

impl Parts {
    /// What the `tokenizers` crate takes for granted: it panics on a merge longer than any token.
    fn check(&self) -> Result<()> {
        let mut ids = HashSet::new();
        for (token, id) in &self.vocab {
            if *id >= CAP_ID {
                return Err(bad(self.place, format!("token '{token}' has id {id}, expected below {CAP_ID}")));
            }
            if !ids.insert(id) {
                return Err(bad(self.place, format!("id {id} belongs to two tokens, '{token}' is one")));
            }
        }
        for (rank, (left, right)) in self.merges.iter().enumerate() {
            let both = format!("{left}{right}");
            for token in [left, right, &both] {
                if !self.vocab.contains_key(token) {
                    return Err(bad(
                        self.place,
                        format!("merge {rank} ('{left}' '{right}'): '{token}' is not in the vocabulary"),
                    ));
                }
            }
        }
        if let Some(unk) = self.unk_token.as_ref().filter(|unk| !self.vocab.contains_key(*unk)) {
            return Err(bad(self.place, format!("unk_token '{unk}' is not in the vocabulary")));
        }
        Ok(())
    }
}

/// `vocab.json` + `merges.txt`, with `<|endoftext|>` special: what Hugging Face's `GPT2Tokenizer` makes of
/// them.
fn from_pair(vocab: &[u8], merges: &[u8]) -> Result<Parts> {
    let vocab: BTreeMap<String, u32> =
        serde_json::from_str(text(VOCAB, vocab)?).map_err(|e| bad(VOCAB, e.to_string()))?;
    let lines = text(MERGES, merges)?.lines();
    let merges = lines.enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with("#version"));
    let merges = merges.map(|(i, line)| pair(line).ok_or_else(|| bad(MERGES, not_a_pair(i + 1, line))));
    let special = super::END_OF_TEXT;
    let added = vocab.get(special).map(|id| (*id, AddedToken::special(special))).into_iter().collect();
    Ok(Parts {
        place: VOCAB,
        merges: merges.collect::<Result<_>>()?,
        vocab,
        added,
        unk_token: None,
        ignore_merges: false,
        add_prefix_space: false,
        use_regex: true,
    })
}

#[derive(Deserialize)]
struct Kind {
    model: KindOfModel,
}

#[derive(Deserialize)]
struct KindOfModel {
    r#type: Option<String>,
}

/// `tokenizer.json`. Left out: the decoder and the post-processor, which do not act on a text's own
/// tokens, and truncation and padding, which belong to one use of a tokenizer.
#[derive(Deserialize)]
struct JsonFile {
    #[serde(default)]
    added_tokens: Vec<JsonAdded>,
    normalizer: Option<serde_json::Value>,
    pre_tokenizer: Option<PreTokenizer>,
    model: JsonModel,
}

#[derive(Deserialize)]
struct JsonAdded {
    id: u32,
    content: String,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    normalized: bool,
}

impl From<JsonAdded> for (u32, AddedToken) {
    fn from(JsonAdded { id, content, single_word, lstrip, rstrip, normalized }: JsonAdded) -> Self {
        (id, AddedToken { content, single_word, lstrip, rstrip, normalized })
    }
}

#[derive(Deserialize)]
struct JsonModel {
    dropout: Option<f64>,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    byte_fallback: Option<bool>,
    ignore_merges: Option<bool>,
    vocab: BTreeMap<String, u32>,
    merges: Vec<Merge>,
}

/// A merge as `"a b"`, or as `["a", "b"]` since tokenizers 0.20.
#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Text(String),
    Pair(String, String),
}

#[derive(Deserialize)]
struct PreTokenizer {
    r#type: String,
    #[serde(default)]
    pretokenizers: Vec<PreTokenizer>,
    add_prefix_space: Option<bool>,
    use_regex: Option<bool>,
}

impl PreTokenizer {
    /// The one `ByteLevel` that this must be, alone or in a `Sequence`.
    fn byte_level(&self) -> Result<&Self> {
        match (self.r#type.as_str(), &self.pretokenizers[..]) {
            ("ByteLevel", _) => Ok(self),
            ("Sequence", [only]) => only.byte_level(),
            ("Sequence", many) => {
                let kinds = many.iter().map(|p| p.r#type.as_str()).collect::<Vec<_>>().join(", ");
                Err(unsupported(format!(
                    "pre_tokenizer is a sequence of '{kinds}', expected 'ByteLevel' alone"
                )))
            }
            (other, _) => Err(unsupported(format!("pre_tokenizer is '{other}', expected 'ByteLevel'"))),
        }
    }
}

fn from_json(bytes: &[u8]) -> Result<Parts> {
    let json = text(JSON, bytes)?;
    let failed = |e: serde_json::Error| bad(JSON, e.to_string());
    let kind = serde_json::from_str::<Kind>(json).map_err(failed)?.model.r#type;
    if let Some(other) = kind.filter(|kind| kind != "BPE") {
        return Err(unsupported(format!("model.type is '{other}', expected 'BPE'")));
    }
    let file: JsonFile = serde_json::from_str(json).map_err(failed)?;
    let model = file.model;
    let affixes = [model.continuing_subword_prefix, model.end_of_word_suffix];
    let refused = [
        (file.normalizer.is_some(), "a normalizer"),
        (model.dropout.is_some_and(|p| p > 0.0), "dropout"),
        (model.byte_fallback == Some(true), "byte_fallback"),
        (affixes.iter().flatten().any(|affix| !affix.is_empty()), "a subword prefix or suffix"),
    ];
    if let Some((_, what)) = refused.iter().find(|(present, _)| *present) {
        return Err(unsupported(format!("it has {what}, which GPT-2's has not")));
    }
    let merges = model.merges.into_iter().enumerate().map(|(i, merge)| match merge {
        Merge::Pair(left, right) => Ok((left, right)),
        Merge::Text(line) => pair(&line).ok_or_else(|| bad(JSON, not_a_pair(i + 1, &line))),
    });
    let byte_level = file.pre_tokenizer.as_ref().map(PreTokenizer::byte_level).transpose()?;
    Ok(Parts {
        place: JSON,
        vocab: model.vocab,
        merges: merges.collect::<Result<_>>()?,
        added: file.added_tokens.into_iter().map(Into::into).collect(),
        unk_token: model.unk_token,
        ignore_merges: model.ignore_merges.unwrap_or(false),
        add_prefix_space: byte_level.and_then(|p| p.add_prefix_space).unwrap_or(false),
        use_regex: byte_level.and_then(|p| p.use_regex).unwrap_or(true),
    })
}

fn text<'a>(place: &'static str, bytes: &'a [u8]) -> Result<&'a str> {
    if bytes.len() as u64 > CAP_FILE {
        return Err(bad(place, format!("{} bytes, expected at most {CAP_FILE}", bytes.len())));
    }
    std::str::from_utf8(bytes).map_err(|e| bad(place, format!("not UTF-8: {e}")))
}

fn pair(line: &str) -> Option<(String, String)> {
    let (left, right) = line.split_once(' ')?;
    let whole = !left.is_empty() && !right.is_empty() && !right.contains(' ');
    whole.then(|| (left.to_owned(), right.to_owned()))
}

fn not_a_pair(number: usize, line: &str) -> String {
    let start: String = line.chars().take(40).collect();
    format!("line or merge {number} is '{start}', expected two tokens with one space between")
}

fn bad(place: &str, message: impl std::fmt::Display) -> Error {
    Error::input("tokenizer.file", format!("{place}: {message}"))
}

fn unsupported(message: String) -> Error {
    Error::input("tokenizer.unsupported", format!("{JSON}: this is not GPT-2's kind of tokenizer: {message}"))
}
