//! What an op may touch: every range is checked against the buffers' sizes before anything runs.

use super::{Encoder, Slot};
use crate::error::{Error, Result};
use crate::program::{Buf, Row};
use crate::weights::Weight;
use std::ops::Range;

impl Encoder<'_> {
    /// A buffer of which an op touches the first `len` elements.
    pub(super) fn act(&self, buf: Buf, len: usize) -> Result<Slot> {
        match self.sizes.get(&buf) {
            Some(size) if *size >= len => Ok(Slot::Act(buf)),
            Some(size) => Err(outside(format!("{buf:?}"), len, *size)),
            None => Err(Error::internal(format!("{buf:?} is not among the program's buffers"))),
        }
    }

    /// A weight of which an op reads `len` elements.
    pub(super) fn weight(&self, weight: Weight, len: usize) -> Result<Slot> {
        match (self.machine.weights)(weight)? {
            found if found >= len => Ok(Slot::Weight(weight, 0)),
            found => Err(outside(weight, len, found)),
        }
    }

    /// A shard of W_U, and b_U.
    pub(super) fn unembedding(&self, shard: usize) -> Result<(Slot, Slot)> {
        (self.machine.weights)(Weight::Unembed)?;
        Ok((Slot::Weight(Weight::Unembed, shard), self.weight(Weight::UnembedBias, self.program.d_vocab)?))
    }

    pub(super) fn rows(&self, rows: usize) -> Result<&[Row]> {
        self.program
            .rows
            .get(..rows)
            .ok_or_else(|| outside("the program's table of rows", rows, self.program.rows.len()))
    }

    /// A buffer of scores or patterns, of which an op touches the blocks of the first `rows` rows: whole runs.
    pub(super) fn scores(&self, buf: Buf, rows: usize, heads: usize) -> Result<Slot> {
        let Some(last) = self.rows(rows)?.last() else { return self.act(buf, 0) };
        if last.pos + 1 != last.len {
            return Err(Error::internal(format!("{rows} rows end inside a run of {} tokens", last.len)));
        }
        self.act(buf, last.first_score as usize + heads * (last.len as usize).pow(2))
    }

    /// Tokens of each shard of W_E and W_U.
    pub(super) fn shards(&self) -> Vec<Range<usize>> {
        let starts = (0..self.program.d_vocab).step_by(self.machine.shard_rows);
        starts.map(|start| start..(start + self.machine.shard_rows).min(self.program.d_vocab)).collect()
    }

    /// Puts a list into `index` and returns where it starts; tiles of one op share theirs.
    pub(super) fn list(&mut self, words: &[u32]) -> u32 {
        if !self.index.ends_with(words) {
            self.index.extend_from_slice(words);
        }
        (self.index.len() - words.len()) as u32
    }

    pub(super) fn check_rows(&self) -> Result<()> {
        let (tokens, rows) = (&self.program.tokens, &self.program.rows);
        if let Some(token) = tokens.iter().find(|token| **token as usize >= self.program.d_vocab) {
            return Err(outside("the vocabulary", *token as usize, self.program.d_vocab));
        }
        let bad = |(i, row): (usize, &Row)| {
            let first = row.first_row as usize;
            row.pos >= row.len || first + row.pos as usize != i || first + row.len as usize > rows.len()
        };
        match rows.iter().enumerate().position(bad) {
            Some(i) => Err(Error::internal(format!("row {i} is not in its run: {:?}", rows[i]))),
            None => Ok(()),
        }
    }
}

pub(super) fn outside(what: impl std::fmt::Display, needed: usize, found: usize) -> Error {
    Error::internal(format!("{what} has {found} elements, {needed} are asked for"))
}
