//! Text to tokens and back: GPT-2's byte-level byte-pair encoding.
//!
//! The text is cut into words by GPT-2's own pattern, each word's bytes become characters by GPT-2's table
//! (`bytes_to_unicode`), and pairs are merged in the order of the merge list. The `tokenizers` crate merges; what it
//! does before, for every kind of tokenizer, would be a third of the browser module, so the little of it that GPT-2
//! needs is written here. The files are read here too, because they come from strangers: a pattern in a file is never
//! run, and what this program does not do the same way as Hugging Face is refused instead of ignored.

mod added;
mod file;
mod words;

use crate::error::{Error, Result};
use added::{Added, Piece};
use std::collections::HashMap;
use tokenizers::Model;
use tokenizers::models::bpe::{BPE, Vocab};
use words::words;

pub use file::{CAP_FILE, TokenizerFiles};

/// The longest text that is encoded, in characters. GPT-2 reads at most 1,024 tokens.
pub const CAP_TEXT: usize = 20_000;

/// GPT-2's only special token: it ends documents, and TransformerLens puts it before a prompt.
const END_OF_TEXT: &str = "<|endoftext|>";

/// A GPT-2 tokenizer.
pub struct Tokenizer {
    bpe: BPE,
    added: Added,
    /// GPT-2's character for each byte.
    chars: [char; 256],
    /// Each piece of text begins with a space, its own or one that is put there.
    add_prefix_space: bool,
    /// Whether the merges stay within words.
    cut_words: bool,
    /// The bytes that each token stands for.
    bytes: HashMap<u32, Vec<u8>>,
    /// Whether every byte has a token: if not, encoding can drop text, and must be checked.
    complete: bool,
    vocab_size: usize,
    /// The same without added tokens.
    n_rows: usize,
}

impl Tokenizer {
    /// Builds the tokenizer of a model; `None` when the model has no tokenizer files.
    ///
    /// # Errors
    /// `tokenizer.file` when a file is too large, not what its name says, or `vocab.json` and `merges.txt`
    /// are not both there; `tokenizer.unsupported` when it is another kind of tokenizer.
    pub fn new(files: &TokenizerFiles) -> Result<Option<Self>> {
        let Some(parts) = files.parse()? else { return Ok(None) };
        let place = parts.place;
        let failed =
            |e: tokenizers::Error| Error::input("tokenizer.file", format!("{place}: cannot be used: {e}"));
        let byte_of = byte_of_char();
        let mut bytes: HashMap<u32, Vec<u8>> =
            parts.vocab.iter().map(|(token, id)| (*id, token_bytes(token, &byte_of))).collect();
        let complete = byte_of.keys().all(|c| parts.vocab.contains_key(c.encode_utf8(&mut [0; 4])));
        let n_rows = bytes.keys().max().map_or(0, |id| *id as usize + 1);
        // No cache: it is per thread and never given back, and a lab's prompts are short.
        let mut bpe = BPE::builder()
            .vocab_and_merges(parts.vocab.into_iter().collect::<Vocab>(), parts.merges)
            .cache_capacity(0)
            .ignore_merges(parts.ignore_merges);
        if let Some(unk) = parts.unk_token {
            bpe = bpe.unk_token(unk);
        }
        let bpe = bpe.build().map_err(failed)?;
        let tokens = parts.added.iter().map(|(_, token)| token.clone());
        let added = Added::new(tokens, bpe.get_vocab_size(), |token| bpe.token_to_id(token))
            .map_err(|e| failed(e.into()))?;
        for (id, token) in parts.added {
            let found = added.id(&token.content).or_else(|| bpe.token_to_id(&token.content));
            if found != Some(id) {
                let found = found.map_or("none".to_owned(), |id| id.to_string());
                return Err(Error::input(
                    "tokenizer.file",
                    format!("{place}: added token '{}' says id {id}, expected {found}", token.content),
                ));
            }
            bytes.insert(id, token.content.into_bytes());
        }
        let vocab_size = bytes.keys().max().map_or(0, |id| *id as usize + 1);
        let mut chars = ['\0'; 256];
        for (c, byte) in byte_of {
            chars[usize::from(byte)] = c;
        }
        let (add_prefix_space, cut_words) = (parts.add_prefix_space, parts.use_regex);
        Ok(Some(Self { bpe, added, chars, add_prefix_space, cut_words, bytes, complete, vocab_size, n_rows }))
    }

    /// The tokens of a text, without any BOS. `<|endoftext|>` inside the text is the special token, as in
    /// Hugging Face's tokenizers. The empty text has no tokens.
    ///
    /// # Errors
    /// `input.too_long` above [`CAP_TEXT`] characters; `input.not_encodable` when the tokenizer lacks a
    /// byte of the text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let n = text.chars().count();
        if n > CAP_TEXT {
            return Err(Error::input(
                "input.too_long",
                format!("the text has {n} characters, expected at most {CAP_TEXT}"),
            ));
        }
        let mut ids = Vec::new();
        for piece in self.added.cut(text) {
            match piece {
                Piece::Token(id) => ids.push(id),
                Piece::Text(text) => self.merge(text, &mut ids).map_err(|e| {
                    Error::input("input.not_encodable", format!("the text cannot be encoded: {e}"))
                })?,
            }
        }
        if !self.complete {
            let back = ids.iter().filter_map(|id| self.bytes.get(id)).flatten();
            if !back.eq(text.as_bytes()) {
                return Err(Error::input(
                    "input.not_encodable",
                    "the model's vocabulary lacks a byte of the text, so part of it would be lost",
                ));
            }
        }
        Ok(ids)
    }

    /// Adds the tokens of a text without added tokens.
    fn merge(&self, text: &str, ids: &mut Vec<u32>) -> tokenizers::Result<()> {
        let spaced = (self.add_prefix_space && !text.starts_with(' ')).then(|| format!(" {text}"));
        let text = spaced.as_deref().unwrap_or(text);
        let mut add = |word: &str| {
            let chars: String = word.bytes().map(|byte| self.chars[usize::from(byte)]).collect();
            ids.extend(self.bpe.tokenize(&chars)?.iter().map(|token| token.id));
            Ok(())
        };
        if self.cut_words { words(text).try_for_each(add) } else { add(text) }
    }

    /// A token as text to show: its bytes as UTF-8, each byte that is not part of a whole character
    /// written `\xE2`. Control characters, and a backslash that the token itself holds, are left as they
    /// are: this is data for display, not for parsing. An id without a token is `<unused 50300>`.
    pub fn text(&self, id: u32) -> String {
        let Some(bytes) = self.bytes.get(&id) else { return format!("<unused {id}>") };
        let mut text = String::new();
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02X}")));
        }
        text
    }

    /// The id of a text that is exactly one token.
    ///
    /// # Errors
    /// `input.not_single_token`, with the pieces; those of [`Tokenizer::encode`].
    pub fn single(&self, text: &str) -> Result<u32> {
        let ids = self.encode(text)?;
        if let [id] = ids[..] {
            return Ok(id);
        }
        const SHOWN: usize = 8;
        let pieces = ids.iter().take(SHOWN).map(|id| quoted(&self.text(*id))).collect::<Vec<_>>().join(" | ");
        let more = if ids.len() > SHOWN { " | …" } else { "" };
        let start: String = text.chars().take(40).collect();
        let start = if start.len() < text.len() { format!("{start}…") } else { start };
        let message = if ids.is_empty() {
            "an empty text is no token, expected exactly one".to_owned()
        } else {
            let n = ids.len();
            format!("{} is {n} tokens, expected exactly one: {pieces}{more}", quoted(&start))
        };
        Err(Error::input("input.not_single_token", message)
            .with_action("Most words are one token only with the space before them: try ' word'."))
    }

    /// The id of `<|endoftext|>`, which stands before a prompt.
    pub fn bos(&self) -> Option<u32> {
        self.added.id(END_OF_TEXT).or_else(|| self.bpe.token_to_id(END_OF_TEXT))
    }

    /// One more than the largest id. A model may have more rows than this.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Checks that a model of `d_vocab` rows has one for every token of the vocabulary. Added tokens are let pass:
    /// tuned models often name a padding token without a row, and a prompt that holds it is refused by itself.
    ///
    /// # Errors
    /// `model.unsupported` when the tokenizer belongs to another model.
    pub fn check_rows(&self, d_vocab: usize) -> Result<()> {
        if self.n_rows <= d_vocab {
            return Ok(());
        }
        let message = format!(
            "the tokenizer's vocabulary has ids up to {}, expected below the model's {d_vocab} (vocab_size)",
            self.n_rows - 1
        );
        Err(Error::input("model.unsupported", message).with_action(
            "Use the tokenizer's files of this very model, or open it without them, for prompts of ids.",
        ))
    }
}

/// A text between quotes, on one line.
fn quoted(text: &str) -> String {
    let one_line = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    format!("'{}'", text.chars().map(one_line).collect::<String>())
}

/// GPT-2's table of bytes as printable characters (`bytes_to_unicode` in its `encoder.py`), turned round:
/// printable Latin-1 stands for itself, the other 68 bytes are the characters from U+0100 on, in order.
fn byte_of_char() -> HashMap<char, u8> {
    let stands_for_itself = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let others = (0..=u8::MAX).filter(|byte| !stands_for_itself(*byte));
    let shifted = ('\u{100}'..).zip(others);
    (0..=u8::MAX).filter(|byte| stands_for_itself(*byte)).map(|b| (char::from(b), b)).chain(shifted).collect()
}

/// The bytes of a vocabulary entry; one that is not written in GPT-2's table is taken as it is, as
/// Hugging Face's decoder does.
fn token_bytes(token: &str, byte_of: &HashMap<char, u8>) -> Vec<u8> {
    let mapped: Option<Vec<u8>> = token.chars().map(|c| byte_of.get(&c).copied()).collect();
    mapped.unwrap_or_else(|| token.as_bytes().to_vec())
}
