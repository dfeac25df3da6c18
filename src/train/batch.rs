//! Batches: rows of packed documents, and rows of random tokens that repeat.

use super::bpe::encode;
use super::corpus::{Document, document};
use super::rng::Rng;
use crate::error::Result;
use tokenizers::Tokenizer;

/// Equally long rows of tokens.
pub struct Batch {
    pub rows: Vec<Vec<u32>>,
    /// What each loss counts, `[rows · (len − 1)]`: entry `row · (len − 1) + pos` belongs to predicting token
    /// `pos + 1`. 1 for ordinary text, [`ANSWER_WEIGHT`] for the answer of a task, 0 for a random token that nothing
    /// could predict.
    pub weights: Vec<f32>,
}

/// How much more an answer counts than another token. An answer is one token of fifteen, and most of
/// the others are drawn at random; weights leave the best prediction at each position what it was.
const ANSWER_WEIGHT: f32 = 6.0;

/// An endless stream of batches.
pub struct Batches {
    tokenizer: Tokenizer,
    rng: Rng,
    d_vocab: usize,
    /// Id of the token that begins each document.
    bos: u32,
    /// Share of rows that are random tokens, repeated.
    repeats: f64,
}

impl Batches {
    pub fn new(tokenizer: Tokenizer, rng: &Rng, d_vocab: usize, bos: u32, repeats: f64) -> Self {
        Self { tokenizer, rng: rng.fork("batches"), d_vocab, bos, repeats }
    }

    /// The next batch: `rows` rows of `len` tokens.
    pub fn next(&mut self, rows: usize, len: usize) -> Result<Batch> {
        let mut batch = Batch { rows: Vec::with_capacity(rows), weights: Vec::with_capacity(rows * len) };
        let repeated = (self.repeats * rows as f64).round() as usize;
        for row in 0..rows {
            let (tokens, weights) = if row < repeated { self.repeated_row(len) } else { self.text_row(len)? };
            batch.rows.push(tokens);
            // The first token of a row is given, not predicted.
            batch.weights.extend(&weights[1..]);
        }
        Ok(batch)
    }

    /// Documents one after another, each begun by BOS; the last is cut off. With the weight of each token.
    fn text_row(&mut self, len: usize) -> Result<(Vec<u32>, Vec<f32>)> {
        let (mut row, mut weights) = (Vec::with_capacity(len + 64), Vec::with_capacity(len + 64));
        while row.len() < len {
            let Document { prompt, rest } = document(&mut self.rng);
            row.push(self.bos);
            row.extend(encode(&self.tokenizer, &prompt)?);
            let answer = row.len();
            row.extend(encode(&self.tokenizer, &rest)?);
            weights.resize(row.len(), 1.0);
            if !prompt.is_empty() {
                weights[answer] = ANSWER_WEIGHT;
            }
        }
        row.truncate(len);
        weights.truncate(len);
        Ok((row, weights))
    }

    /// BOS, then random tokens that repeat with a random period until the row is full. With the weight of each
    /// token: those up to the first of the second copy cannot be predicted.
    fn repeated_row(&mut self, len: usize) -> (Vec<u32>, Vec<f32>) {
        let longest = (len - 1) / 2;
        let period = self.rng.between(longest.min(4), longest);
        let random: Vec<u32> = (0..period).map(|_| 1 + self.rng.below(self.d_vocab - 1) as u32).collect();
        let mut row = vec![self.bos];
        row.extend(random.iter().cycle().take(len - 1));
        let weights = (0..len).map(|pos| if pos < period + 2 { 0.0 } else { 1.0 }).collect();
        (row, weights)
    }
}
