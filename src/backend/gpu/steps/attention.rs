//! Attention: at once, or in steps where scores or patterns are looked at.

use super::check::outside;
use super::cut::{ELEMENT_COST, fold};
use super::{Call, Encoder, Slot, row_params};
use crate::backend::gpu::kernels;
use crate::backend::gpu::params::{Params, mode};
use crate::error::{Error, Result};
use crate::program::{Attn, AttnRow, Buf};
use std::sync::Arc;

/// `dest` that [`kernels::ATTENTION_SHORT`] keeps in registers.
const SHORT: u32 = 32;

impl Encoder<'_> {
    /// Parameters of an attention op, whose rows are checked against the buffers that it reads: `seen` says of how many
    /// `src` it asks for keys and values.
    fn attn(
        &mut self,
        attn: &Arc<Attn>,
        [heads, d_head]: [usize; 2],
        read: &[Buf],
        seen: impl Fn(&AttnRow) -> u32,
    ) -> Result<Params> {
        let width = self.program.n_heads * d_head;
        let src_end = attn.src_rows.iter().max().map_or(0, |row| *row as usize + 1);
        for buf in read {
            let rows = match buf {
                Buf::Q => attn.rows.iter().map(|row| row.q as usize + 1).max().unwrap_or(0),
                _ => src_end,
            };
            self.act(*buf, rows * width)?;
        }
        for row in &attn.rows {
            if row.dest >= row.len || row.head as usize + heads > self.program.n_heads {
                return Err(Error::internal(format!("a row of attention is not in its run: {row:?}")));
            }
            for (buf, list) in [(Buf::K, row.keys), (Buf::V, row.values)] {
                let end = list as usize + seen(row) as usize;
                if read.contains(&buf) && end > attn.src_rows.len() {
                    return Err(outside("src rows", end, attn.src_rows.len()));
                }
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
        let params = self.attn(attn, [heads, d_head], &[Buf::Q, Buf::K, Buf::V], |row| row.dest + 1)?;
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
        out: Buf,
        [heads, d_head]: [usize; 2],
        scale: f32,
    ) -> Result<()> {
        let params = self.attn(attn, [heads, d_head], &[Buf::Q, Buf::K], |row| row.dest + 1)?;
        let slots =
            vec![Slot::Index, Slot::Act(Buf::Q), Slot::Act(Buf::K), self.scores(out, attn, heads)?];
        let call = Call { kernel: &kernels::ATTN_SCORES, params: Params { scale, ..params }, slots };
        let [across, tall] = call.kernel.tile.map(|n| n as usize);
        let longest = longest(attn);
        self.attention_rows(call, 2 * heads * d_head * longest, |rows| {
            [longest.div_ceil(across), rows.div_ceil(tall), heads]
        })
    }

    pub(super) fn pattern(&mut self, attn: &Arc<Attn>, [scores, out]: [Buf; 2], heads: usize) -> Result<()> {
        let params = self.attn(attn, [heads, 0], &[], |_| 0)?;
        let slots = vec![Slot::Index, self.scores(scores, attn, heads)?, self.scores(out, attn, heads)?];
        let call = Call { kernel: &kernels::PATTERN, params, slots };
        let cost = ELEMENT_COST * heads * longest(attn);
        self.attention_rows(call, cost, |rows| fold((rows * heads).div_ceil(64)))
    }

    pub(super) fn z(
        &mut self,
        attn: &Arc<Attn>,
        [pattern, out]: [Buf; 2],
        first: usize,
        [heads, d_head]: [usize; 2],
        causal: bool,
    ) -> Result<()> {
        let seen = |row: &AttnRow| if causal { row.dest + 1 } else { row.len };
        let params = self.attn(attn, [heads, d_head], &[Buf::V], seen)?;
        let width = heads * d_head;
        let slots = vec![
            Slot::Index,
            self.scores(pattern, attn, heads)?,
            Slot::Act(Buf::V),
            self.act(out, first + attn.rows.len() * width)?,
        ];
        let mode = if causal { mode::CAUSAL } else { 0 };
        let params = Params { mode, out_first: first as u32, ..params };
        let call = Call { kernel: &kernels::Z, params, slots };
        self.attention_rows(call, 2 * width * longest(attn), |rows| [width.div_ceil(64), rows, 1])
    }
}

fn longest(attn: &Attn) -> usize {
    attn.rows.iter().map(|row| row.len as usize).max().unwrap_or(0)
}
