//! Batches: rows of packed documents, and rows of random tokens that repeat.

use super::bpe::encode;
use super::corpus::document;
use super::rng::Rng;
use crate::error::Result;
use tokenizers::Tokenizer;

/// Equally long rows of tokens.
pub struct Batch {
    pub rows: Vec<Vec<u32>>,
    /// The losses that count, as indices into `[rows · (len − 1)]`: entry `row · (len − 1) + pos` is the loss of
    /// predicting token `pos + 1`. Those of random tokens seen for the first time are left out.
    pub counted: Vec<u32>,
}

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
        let mut batch = Batch { rows: Vec::with_capacity(rows), counted: Vec::new() };
        let repeated = (self.repeats * rows as f64).round() as usize;
        for row in 0..rows {
            let (tokens, first) =
                if row < repeated { self.repeated_row(len) } else { (self.text_row(len)?, 0) };
            batch.rows.push(tokens);
            batch.counted.extend((first..len - 1).map(|pos| (row * (len - 1) + pos) as u32));
        }
        Ok(batch)
    }

    /// Documents one after another, each begun by BOS; the last is cut off.
    fn text_row(&mut self, len: usize) -> Result<Vec<u32>> {
        let mut row = Vec::with_capacity(len + 64);
        while row.len() < len {
            row.push(self.bos);
            row.extend(encode(&self.tokenizer, &document(&mut self.rng))?);
        }
        row.truncate(len);
        Ok(row)
    }

    /// BOS, then random tokens that repeat with a random period until the row is full. With it, the first position
    /// whose next token can be predicted.
    fn repeated_row(&mut self, len: usize) -> (Vec<u32>, usize) {
        let longest = (len - 1) / 2;
        // Half of the rows have a short period: copying from nearby is learnt first and leads to the rest.
        let highest = if self.rng.chance(0.5) { longest.min(8) } else { longest };
        let period = self.rng.between(longest.min(3), highest);
        let random: Vec<u32> = (0..period).map(|_| 1 + self.rng.below(self.d_vocab - 1) as u32).collect();
        let mut row = vec![self.bos];
        row.extend(random.iter().cycle().take(len - 1));
        (row, period + 1)
    }
}
