//! Added tokens: texts that are one token each wherever they stand, whatever the merges would make of them.
//!
//! What Hugging Face's `AddedVocabulary` does where there is no normalizer, its order and its corner cases included
//! (`tests/it/hugging_face.rs` compares the two).

use super::words::is_word;
use daachorse::{DoubleArrayAhoCorasick, DoubleArrayAhoCorasickBuilder, MatchKind};
use std::collections::HashMap;

/// An added token and what `tokenizer.json` says of it.
#[derive(Clone, Debug)]
pub(super) struct AddedToken {
    pub content: String,
    /// Only where no letter, digit, mark or underscore stands beside it.
    pub single_word: bool,
    /// Takes the white space before it along.
    pub lstrip: bool,
    /// Takes the white space behind it along.
    pub rstrip: bool,
    /// Looked for only in what the other kind leaves.
    pub normalized: bool,
}

impl AddedToken {
    /// One that is looked for first, exactly as it is written.
    pub fn special(content: &str) -> Self {
        let content = content.to_owned();
        Self { content, single_word: false, lstrip: false, rstrip: false, normalized: false }
    }
}

/// The search for added tokens.
#[derive(Default)]
pub(super) struct Added {
    tokens: HashMap<u32, AddedToken>,
    ids: HashMap<String, u32>,
    first: Option<Search>,
    second: Option<Search>,
}

type Search = DoubleArrayAhoCorasick<u32>;

/// A piece of a text.
pub(super) enum Piece<'t> {
    /// That of an added token, by its id.
    Token(u32),
    /// One without.
    Text(&'t str),
}

impl Added {
    /// Tokens get the id that the vocabulary has for them, or the next one behind its `n_vocab` entries; one that comes
    /// twice is what it is the last time, and the empty one is left out.
    ///
    /// # Errors
    /// What the search says against the tokens (they are too many or too long).
    pub fn new(
        tokens: impl Iterator<Item = AddedToken>,
        n_vocab: usize,
        in_vocab: impl Fn(&str) -> Option<u32>,
    ) -> Result<Self, String> {
        let mut added = Self::default();
        let mut next = n_vocab as u32;
        for token in tokens.filter(|token| !token.content.is_empty()) {
            let known = added.ids.get(&token.content).copied().or_else(|| in_vocab(&token.content));
            let id = known.unwrap_or_else(|| {
                next += 1;
                next - 1
            });
            added.ids.insert(token.content.clone(), id);
            added.tokens.insert(id, token);
        }
        added.first = search(added.tokens.iter().filter(|(_, token)| !token.normalized))?;
        added.second = search(added.tokens.iter().filter(|(_, token)| token.normalized))?;
        Ok(added)
    }

    /// The id of an added token.
    pub fn id(&self, content: &str) -> Option<u32> {
        self.ids.get(content).copied()
    }

    /// The text in its pieces, in order, none of them empty.
    pub fn cut<'t>(&self, text: &'t str) -> Vec<Piece<'t>> {
        let mut pieces = Vec::new();
        for piece in self.found(text, self.first.as_ref()) {
            match piece {
                Piece::Token(id) => pieces.push(Piece::Token(id)),
                Piece::Text(between) => pieces.extend(self.found(between, self.second.as_ref())),
            }
        }
        pieces
    }

    /// What one search finds. A token that takes white space along can reach into the next one's match, which still counts.
    fn found<'t>(&self, text: &'t str, search: Option<&Search>) -> Vec<Piece<'t>> {
        let mut pieces = Vec::new();
        let mut done = 0;
        let found = search.map(|search| search.leftmost_find_iter(text));
        for found in found.into_iter().flatten() {
            let (id, mut start, mut end) = (found.value(), found.start(), found.end());
            let Some(token) = self.tokens.get(&id) else { continue };
            let (before, behind) = (&text[..start], &text[end..]);
            let beside = [before.chars().next_back(), behind.chars().next()];
            if token.single_word && beside.into_iter().flatten().any(is_word) {
                continue;
            }
            if token.lstrip {
                start = before.trim_end().len().max(done);
            }
            if token.rstrip {
                end += behind.len() - behind.trim_start().len();
            }
            if done < start {
                pieces.push(Piece::Text(&text[done..start]));
            }
            // One that the white space of the last has swallowed whole is gone.
            if start < end {
                pieces.push(Piece::Token(id));
            }
            done = end;
        }
        if done != text.len() {
            pieces.push(Piece::Text(&text[done..]));
        }
        pieces
    }
}

/// A search for the longest of the tokens at the first place that has one; `None` without tokens.
fn search<'a>(tokens: impl Iterator<Item = (&'a u32, &'a AddedToken)>) -> Result<Option<Search>, String> {
    let patterns: Vec<_> = tokens.map(|(id, token)| (token.content.as_str(), *id)).collect();
    if patterns.is_empty() {
        return Ok(None);
    }
    let builder = DoubleArrayAhoCorasickBuilder::new().match_kind(MatchKind::LeftmostLongest);
    builder.build_with_values(patterns).map(Some).map_err(|error| error.to_string())
}
