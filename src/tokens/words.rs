//! A text cut into the words that merges stay within, by GPT-2's pattern.
//!
//! The pattern is `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`. It is written out here,
//! because an engine of regular expressions with Unicode's tables is a quarter of the browser module;
//! `tests/it/hugging_face.rs` holds it against that engine, every character included.

use unicode_general_category::{GeneralCategory, get_general_category};

/// The words of a text, in order: put together they are the text, and none is empty.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (word, after) = rest.split_at(length_of_first(rest));
        rest = after;
        Some(word)
    })
}

/// What GPT-2 strips of a word before it: `is` and `n't` apart from `she's`.
const ENDINGS: [&str; 7] = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];

/// The bytes of the first word of a text that is not empty: the first alternative of the pattern that fits.
fn length_of_first(text: &str) -> usize {
    if let Some(ending) = ENDINGS.iter().find(|ending| text.starts_with(**ending)) {
        return ending.len();
    }
    let after_space = text.strip_prefix(' ').unwrap_or(text);
    let kind = after_space.chars().next().map(Kind::of);
    if let Some(kind) = kind.filter(|kind| *kind != Kind::Space) {
        let run = after_space.find(|c| Kind::of(c) != kind).unwrap_or(after_space.len());
        return text.len() - after_space.len() + run;
    }
    // A run of white space leaves its last character to the word after it.
    let Some(run) = text.find(|c| Kind::of(c) != Kind::Space) else { return text.len() };
    let last = text[..run].chars().next_back().map_or(0, char::len_utf8);
    if run > last { run - last } else { run }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Space,
    Letter,
    Number,
    Other,
}

impl Kind {
    fn of(c: char) -> Self {
        use GeneralCategory as G;
        if c.is_whitespace() {
            return Self::Space;
        }
        match get_general_category(c) {
            G::UppercaseLetter
            | G::LowercaseLetter
            | G::TitlecaseLetter
            | G::ModifierLetter
            | G::OtherLetter => Self::Letter,
            G::DecimalNumber | G::LetterNumber | G::OtherNumber => Self::Number,
            _ => Self::Other,
        }
    }
}

/// Whether a character is part of a word in the sense of regular expressions (`\w`).
pub(super) fn is_word(c: char) -> bool {
    use GeneralCategory as G;
    match get_general_category(c) {
        G::NonspacingMark | G::SpacingMark | G::EnclosingMark => true,
        G::DecimalNumber | G::LetterNumber | G::ConnectorPunctuation => true,
        // Letters in circles and squares are alphabetic without being letters.
        G::OtherSymbol => c.is_alphabetic(),
        G::Format => matches!(c, '\u{200C}' | '\u{200D}'),
        _ => Kind::of(c) == Kind::Letter,
    }
}
