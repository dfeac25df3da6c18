//! Words and added tokens against the whole tokenizer of Hugging Face's crate, of which the program itself uses only the
//! merges.

use microtome::tokens::{Tokenizer, TokenizerFiles};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::json;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use tokenizers::AddedToken;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

/// An added token with its five switches: single_word, lstrip, rstrip, normalized, special.
type Added = (String, [bool; 5]);

/// One vocabulary for all: the 256 characters that stand for bytes, and some merges that reach over white space and
/// apostrophes, so that a word cut elsewhere has other tokens.
fn vocab() -> (Vec<String>, Vec<(String, String)>) {
    let mut alphabet: Vec<char> = ByteLevel::alphabet().into_iter().collect();
    alphabet.sort_unstable();
    let mut vocab: Vec<String> = alphabet.into_iter().map(String::from).collect();
    let merges = [
        ("Ġ", "a"),
        ("a", "a"),
        ("Ġ", "Ġ"),
        ("ĠĠ", "a"),
        ("Ċ", "Ċ"),
        ("'", "s"),
        ("Ġ", "1"),
        ("1", "a"),
        ("a", "Ġ"),
    ];
    let merges: Vec<_> = merges.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    vocab.extend(merges.iter().map(|(a, b)| format!("{a}{b}")));
    (vocab, merges)
}

/// Hugging Face's tokenizer and ours, of the same parts.
fn both(added: &[Added], add_prefix_space: bool, use_regex: bool) -> (tokenizers::Tokenizer, Tokenizer) {
    let (vocab, merges) = vocab();
    let ids: Vocab = vocab.iter().cloned().zip(0..).collect();
    let bpe = BPE::builder().vocab_and_merges(ids.clone(), merges.clone()).build().unwrap();
    let mut theirs = tokenizers::Tokenizer::new(bpe);
    theirs.with_pre_tokenizer(Some(ByteLevel::new(add_prefix_space, false, use_regex)));
    let tokens = added.iter().map(|(content, [single_word, lstrip, rstrip, normalized, special])| {
        AddedToken::from(content.as_str(), *special)
            .single_word(*single_word)
            .lstrip(*lstrip)
            .rstrip(*rstrip)
            .normalized(*normalized)
    });
    theirs.add_tokens(tokens).unwrap();
    let listed: Vec<_> = added
        .iter()
        .map(|(content, [single_word, lstrip, rstrip, normalized, special])| {
            json!({"id": theirs.token_to_id(content).unwrap(), "content": content, "single_word": single_word,
                   "lstrip": lstrip, "rstrip": rstrip, "normalized": normalized, "special": special})
        })
        .collect();
    let file = json!({
        "added_tokens": listed,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": add_prefix_space, "use_regex": use_regex},
        "model": {"type": "BPE", "vocab": ids.into_iter().collect::<std::collections::BTreeMap<_, _>>(), "merges": merges},
    });
    let files =
        TokenizerFiles { tokenizer_json: Some(serde_json::to_vec(&file).unwrap()), ..Default::default() };
    (theirs, Tokenizer::new(&files).unwrap().expect("a tokenizer"))
}

/// Whether theirs has an answer, which ours must then equal. Theirs panics where a token begins in white space that the
/// token before it took along and takes white space along itself; ours only has to return.
fn compare((theirs, ours): &(tokenizers::Tokenizer, Tokenizer), text: &str) -> bool {
    let found = ours.encode(text).unwrap();
    let expected = std::panic::catch_unwind(AssertUnwindSafe(|| theirs.encode_fast(text, false).unwrap()));
    if let Ok(expected) = &expected {
        assert_eq!(found, expected.get_ids(), "{text:?}");
    }
    expected.is_ok()
}

/// Every character between letters, digits, marks and white space, where what it is decides where the text is cut.
#[test]
fn every_character_is_cut_where_the_pattern_cuts_it() {
    let pair = both(&[], false, true);
    let all: Vec<char> = (0..=u32::from(char::MAX)).filter_map(char::from_u32).collect();
    for chunk in all.chunks(300) {
        let text: String = chunk.iter().map(|c| format!("a{c}a1{c}1 {c}!{c}  {c}\n")).collect();
        assert!(compare(&pair, &text), "{text:?}");
    }
}

/// Every character before and behind a token that is only found as a single word.
#[test]
fn every_character_is_of_a_word_or_not_as_in_regular_expressions() {
    let pair = both(&[("<x>".into(), [true, false, false, false, true])], false, true);
    let all: Vec<char> = (0..=u32::from(char::MAX)).filter_map(char::from_u32).collect();
    for chunk in all.chunks(60) {
        let text: String = chunk.iter().map(|c| format!("{c}<x>\n<x>{c}\n")).collect();
        assert!(compare(&pair, &text), "{text:?}");
    }
}

/// Texts of what the pattern and the added tokens look at.
fn text() -> impl Strategy<Value = String> {
    let parts = [
        "a", "aa", " ", "  ", "\n", "\u{a0}", "\u{3000}", "'s", "'re", "'", "’", "1", "½", "é", "_", "!",
        "<x>", "<x", "x>", "\t", "\u{200d}", "Ⓐ", "字",
    ];
    proptest::collection::vec(proptest::sample::select(parts.to_vec()), 0..24)
        .prop_map(|parts| parts.concat())
}

fn added() -> impl Strategy<Value = Vec<Added>> {
    let contents = ["<x>", "<x", " a", "aa", "a", " ", "1 ", "'s", "\n", "!<x>", "  ", "é"];
    let token = (proptest::sample::select(contents.to_vec()), proptest::array::uniform5(any::<bool>()));
    proptest::collection::vec(token, 0..5).prop_map(|tokens| {
        // A file says each token once.
        let mut seen = BTreeSet::new();
        tokens
            .into_iter()
            .filter(|(content, _)| seen.insert(*content))
            .map(|(c, s)| (c.to_owned(), s))
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4000,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(6),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_text_with_any_added_tokens_is_cut_the_same(
        added in added(), prefix in any::<bool>(), regex in any::<bool>(), texts in proptest::collection::vec(text(), 4),
    ) {
        let pair = both(&added, prefix, regex);
        for text in texts {
            if !compare(&pair, &text) {
                let takes = |at: usize| added.iter().any(|(_, switches)| switches[at]);
                prop_assert!(takes(1) && takes(2), "theirs has no answer to {text:?}");
            }
        }
    }
}
