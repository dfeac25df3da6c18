//! Attention: at once, or in steps where scores or patterns are looked at.

use super::check::outside;
use super::cut::{ELEMENT_COST, fold};
use super::{Call, Encoder, QKV, Slot, row_params};
use crate::backend::gpu::kernels;
use crate::backend::gpu::params::{Params, mode};
use crate::error::{Error, Result};
use crate::program::{Attn, AttnRow, Buf, Src};
use std::sync::Arc;

/// `dest` that [`kernels::ATTENTION_SHORT`] keeps in registers.
const SHORT: u32 = 32;

impl Encoder<'_> {
    /// Parameters of an attention op, whose rows are checked against the queries, keys and values that it reads: `seen`
    /// says of how many `src` it asks for keys and values.
    fn attn(
        &mut self,
        attn: &Arc<Attn>,
        [heads, d_head]: [usize; 2],
        [q, keys, values]: [Option<Src>; 3],
        seen: impl Fn(&AttnRow) -> u32,
    ) -> Result<Params> {
        // Rows that are read of each buffer.
        let mut ends = [0; 3];
        for row in &attn.rows {
            if row.dest >= row.len || row.head as usize + heads > self.program.n_heads {
                return Err(Error::internal(format!("a row of attention is not in its run: {row:?}")));
            }
            ends[0] = ends[0].max(row.q as usize + 1);
            for (end, list, of) in [(1, row.keys, keys), (2, row.values, values)] {
                let (first, last) = (list as usize, list as usize + seen(row) as usize);
                if of.is_none() {
                    continue;
                }
                let Some(rows) = attn.src_rows.get(first..last) else {
                    return Err(outside("src rows", last, attn.src_rows.len()));
                };
                ends[end] = rows.iter().fold(ends[end], |most, row| most.max(*row as usize + 1));
            }
        }
        for (of, rows) in [q, keys, values].into_iter().zip(ends) {
            if let Some(Src { buf, shared }) = of {
                self.act(buf, rows * d_head * if shared { 1 } else { self.program.n_heads })?;
            }
        }
        let key = Arc::as_ptr(attn);
        let [list, list_2] = match self.attns.get(&key) {
            Some(lists) => *lists,
            None => [self.list(bytemuck::cast_slice(&attn.rows)), self.list(&attn.src_rows)],
        };
        self.attns.insert(key, [list, list_2]);
        let (heads, all_heads) = (heads as u32, self.program.n_heads as u32);
        Ok(Params { heads, all_heads, list, list_2, ..row_params(attn.rows.len(), d_head) })
    }

    /// A buffer of scores or patterns that the rows name.
    fn scores(&self, buf: Buf, attn: &Attn, heads: usize) -> Result<Slot> {
        let end = |row: &AttnRow| {
            row.score as usize + heads.saturating_sub(1) * row.score_stride as usize + row.len as usize
        };
        self.act(buf, attn.rows.iter().map(end).max().unwrap_or(0))
    }

    pub(super) fn attention(
        &mut self,
        attn: &Arc<Attn>,
        out: Buf,
        first: usize,
        [heads, d_head]: [usize; 2],
        scale: f32,
    ) -> Result<()> {
        let qkv = QKV.map(|buf| Some(Src::by_head(buf)));
        let params = self.attn(attn, [heads, d_head], qkv, |row| row.dest + 1)?;
        let params = Params { scale, out_first: first as u32, ..params };
        let rows = attn.rows.len();
        let out = self.act(out, first + rows * heads * d_head)?;
        let slots = vec![Slot::Index, Slot::Act(Buf::Q), Slot::Act(Buf::K), Slot::Act(Buf::V), out];
        let longest = attn.rows.iter().map(|row| row.dest + 1).max().unwrap_or(0);
        let cost = 4 * heads * d_head * longest as usize;
        let in_fours = d_head.is_multiple_of(4) && first.is_multiple_of(4);
        if self.machine.short_attention && in_fours && longest <= SHORT {
            let call = Call { kernel: &kernels::ATTENTION_SHORT, params, slots };
            return self.attention_rows(call, cost, |rows| fold((rows * heads).div_ceil(64)));
        }
        let call = Call { kernel: &kernels::ATTENTION, params, slots };
        self.attention_rows(call, cost, |rows| fold(rows * heads * d_head.div_ceil(64)))
    }

    pub(super) fn attn_scores(
        &mut self,
        attn: &Arc<Attn>,
        (q, keys): (Buf, Src),
        out: Buf,
        [heads, d_head]: [usize; 2],
        scale: f32,
    ) -> Result<()> {
        let read = [Some(Src::by_head(q)), Some(keys), None];
        let params = self.attn(attn, [heads, d_head], read, |row| row.dest + 1)?;
        let slots = vec![Slot::Index, Slot::Act(q), Slot::Act(keys.buf), self.scores(out, attn, heads)?];
        let mode = if keys.shared { mode::SHARED } else { 0 };
        let call = Call { kernel: &kernels::ATTN_SCORES, params: Params { scale, mode, ..params }, slots };
        let [across, tall] = call.kernel.tile.map(|n| n as usize);
        let longest = longest(attn);
        self.attention_rows(call, 2 * heads * d_head * longest, |rows| {
            [longest.div_ceil(across), rows.div_ceil(tall), heads]
        })
    }

    pub(super) fn pattern(&mut self, attn: &Arc<Attn>, [scores, out]: [Buf; 2], heads: usize) -> Result<()> {
        let params = self.attn(attn, [heads, 0], [None; 3], |_| 0)?;
        let slots = vec![Slot::Index, self.scores(scores, attn, heads)?, self.scores(out, attn, heads)?];
        let call = Call { kernel: &kernels::PATTERN, params, slots };
        let cost = ELEMENT_COST * heads * longest(attn);
        self.attention_rows(call, cost, |rows| fold((rows * heads).div_ceil(64)))
    }

    pub(super) fn z(
        &mut self,
        attn: &Arc<Attn>,
        (pattern, values): (Buf, Src),
        (out, first): (Buf, usize),
        [heads, d_head]: [usize; 2],
        causal: bool,
    ) -> Result<()> {
        let seen = |row: &AttnRow| if causal { row.dest + 1 } else { row.len };
        let params = self.attn(attn, [heads, d_head], [None, None, Some(values)], seen)?;
        let width = heads * d_head;
        let slots = vec![
            Slot::Index,
            self.scores(pattern, attn, heads)?,
            Slot::Act(values.buf),
            self.act(out, first + attn.rows.len() * width)?,
        ];
        let mode = if causal { mode::CAUSAL } else { 0 } | if values.shared { mode::SHARED } else { 0 };
        let params = Params { mode, out_first: first as u32, ..params };
        let call = Call { kernel: &kernels::Z, params, slots };
        self.attention_rows(call, 2 * width * longest(attn), |rows| [width.div_ceil(64), rows, 1])
    }
}

fn longest(attn: &Attn) -> usize {
    attn.rows.iter().map(|row| row.len as usize).max().unwrap_or(0)
}
