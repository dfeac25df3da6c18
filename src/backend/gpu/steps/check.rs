//! What an op may touch: every range is checked against the buffers' sizes before anything runs.

use super::{Encoder, Slot};
use crate::backend::gpu::params::Params;
use crate::error::{Error, Result};
use crate::program::{Buf, Index, Pick, Rows};
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

    /// An operand of which an op reads `count` rows.
    pub(super) fn operand(&self, rows: &Rows, count: usize, width: usize) -> Result<Slot> {
        let end = match &rows.pick {
            Pick::From(first) => first + count,
            Pick::Rows(list) if list.len() < count => return Err(outside("rows", count, list.len())),
            Pick::Rows(list) => list[..count].iter().max().map_or(0, |row| *row as usize + 1),
        };
        self.act(rows.buf, end * width)
    }

    /// The two parameters that tell a kernel where an operand's rows stand.
    pub(super) fn pick(&mut self, rows: &Rows) -> [u32; 2] {
        match &rows.pick {
            Pick::From(first) => [Params::NONE, *first as u32],
            Pick::Rows(list) => [self.shared_list(list), 0],
        }
    }

    /// Whether an operand is the buffer that rows `first..first + count` of are written. Then a kernel reads it through
    /// the binding that it writes.
    ///
    /// # Errors
    /// When another row of the operand is written than the one that is computed from it: they run at once.
    pub(super) fn in_place(&self, operand: &Rows, out: Buf, first: usize, count: usize) -> Result<bool> {
        if operand.buf != out {
            return Ok(false);
        }
        if let Pick::Rows(list) = &operand.pick
            && list.len() < count
        {
            return Err(outside("rows", count, list.len()));
        }
        let clash = (0..count).find(|i| {
            let row = operand.pick.row(*i);
            row != first + i && (first..first + count).contains(&row)
        });
        match clash {
            Some(i) => Err(Error::internal(format!(
                "row {} of {out:?} is both read and written",
                operand.pick.row(i)
            ))),
            None => {
                let end = (0..count).map(|i| operand.pick.row(i) + 1).max().unwrap_or(0);
                self.act(out, end)?;
                Ok(true)
            }
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
    pub(super) fn unembedding(&self, w: Weight, shard: usize) -> Result<(Slot, Slot)> {
        (self.machine.weights)(w)?;
        Ok((Slot::Weight(w, shard), self.weight(Weight::UnembedBias, self.program.d_vocab)?))
    }

    pub(super) fn tokens(&self, tokens: &[u32]) -> Result<()> {
        match tokens.iter().find(|token| **token as usize >= self.program.d_vocab) {
            Some(token) => Err(outside("the vocabulary", *token as usize, self.program.d_vocab)),
            None => Ok(()),
        }
    }

    /// Tokens of each shard of W_E and W_U.
    pub(super) fn shards(&self) -> Vec<Range<usize>> {
        let starts = (0..self.program.d_vocab).step_by(self.machine.shard_rows);
        starts.map(|start| start..(start + self.machine.shard_rows).min(self.program.d_vocab)).collect()
    }

    /// Puts a list into `index` and returns where it starts.
    pub(super) fn list(&mut self, words: &[u32]) -> u32 {
        self.index.extend_from_slice(words);
        (self.index.len() - words.len()) as u32
    }

    /// The same for a list that several ops may share.
    pub(super) fn shared_list(&mut self, list: &Index) -> u32 {
        let key = (list.as_ptr(), list.len());
        let at = self.lists.get(&key).copied().unwrap_or_else(|| self.list(list));
        self.lists.insert(key, at);
        at
    }
}

pub(super) fn outside(what: impl std::fmt::Display, needed: usize, found: usize) -> Error {
    Error::internal(format!("{what} has {found} elements, {needed} are asked for"))
}
