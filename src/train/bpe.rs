//! A byte-level BPE vocabulary of GPT-2's kind, trained on the corpus.

use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer};

use super::corpus::document;
use super::rng::Rng;
use super::words::{THINGS, people};
use crate::error::{Error, Result};

/// The token that begins every document; the only special one.
pub const BOS: &str = "<|endoftext|>";

/// Documents the vocabulary is trained on: enough for every word of the corpus to occur often.
const DOCUMENTS: usize = 30_000;

/// Trains a vocabulary of `d_vocab` tokens: the 256 bytes, [`BOS`] (id 0) and merges learnt from the corpus.
///
/// Every name is shown both at the start of a text and after a space, often enough to become one token in both
/// places: so prompts that differ only in a name are equally long.
pub fn train_tokenizer(rng: &Rng, d_vocab: usize) -> Result<Tokenizer> {
    let mut rng = rng.fork("tokenizer");
    let mut text: Vec<String> = (0..DOCUMENTS).map(|_| document(&mut rng).text()).collect();
    let things = THINGS.iter().flat_map(|things| things.names.iter().copied());
    for name in people().chain(things) {
        text.extend(std::iter::repeat_n(format!("{name} {name}"), 400));
    }

    let mut trainer: TrainerWrapper = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(d_vocab)
        .min_frequency(2)
        .special_tokens(vec![AddedToken::from(BOS, true)])
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build()
        .into();
    let mut tokenizer = Tokenizer::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(byte_level())).with_decoder(Some(byte_level()));
    tokenizer.train(&mut trainer, text.into_iter()).map_err(|source| {
        Error::run("train.tokenizer", format!("the vocabulary could not be trained: {source}"))
    })?;
    Ok(tokenizer)
}

/// GPT-2's splitting into words: no space is put before the first word, and its regular expression is used.
fn byte_level() -> ByteLevel {
    ByteLevel::new(false, true, true)
}

/// Token ids of `text` alone, without [`BOS`].
pub fn encode(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>> {
    let encoding = tokenizer
        .encode_fast(text, false)
        .map_err(|source| Error::run("train.tokenizer", format!("cannot tokenise {text:?}: {source}")))?;
    Ok(encoding.get_ids().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_answers_are_single_tokens() {
        let tokenizer = train_tokenizer(&Rng::new(0), 2048).unwrap();
        assert_eq!(tokenizer.get_vocab_size(true), 2048);
        assert_eq!(tokenizer.token_to_id(BOS), Some(0));
        let things = THINGS.iter().flat_map(|things| things.names.iter().copied());
        for name in people().chain(things) {
            for text in [name.to_string(), format!(" {name}")] {
                assert_eq!(encode(&tokenizer, &text).unwrap().len(), 1, "{text:?}");
            }
        }
        for answer in [" she", " he", " it", " they", " there", " that"] {
            assert_eq!(encode(&tokenizer, answer).unwrap().len(), 1, "{answer:?}");
        }
    }

    #[test]
    fn training_is_repeatable() {
        let json = |seed| train_tokenizer(&Rng::new(seed), 600).unwrap().to_string(false).unwrap();
        assert_eq!(json(5), json(5));
    }
}
