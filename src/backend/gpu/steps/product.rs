//! Matrix products: which kernel takes them, and what it binds.

use super::check::outside;
use super::elements::activation_mode;
use super::{Call, Encoder, QKV, Slot, plane, row_params};
use crate::backend::gpu::kernels::{self, Kernel};
use crate::backend::gpu::params::{Params, mode};
use crate::error::{Error, Result};
use crate::program::{Buf, Index, Projection, Rows, Then};
use crate::weights::{Part, Weight};
use std::ops::Range;

/// The layer of W_Q, W_K or W_V with its plane, if the bias belongs to it.
fn plane_of(w: Weight, b: Weight) -> Option<(usize, usize)> {
    match (w, b) {
        (Weight::Block(l, Part::WQ), Weight::Block(m, Part::BQ)) if l == m => Some((l, 0)),
        (Weight::Block(l, Part::WK), Weight::Block(m, Part::BK)) if l == m => Some((l, 1)),
        (Weight::Block(l, Part::WV), Weight::Block(m, Part::BV)) if l == m => Some((l, 2)),
        _ => None,
    }
}

impl Encoder<'_> {
    fn linear_kernel(&self, rows: usize, k: usize, n: usize) -> &'static Kernel {
        match k.is_multiple_of(4) && n.is_multiple_of(4) {
            true => self.machine.variants.linear(rows),
            false => &kernels::LINEAR_ANY,
        }
    }

    pub(super) fn linear(
        &mut self,
        x: &Rows,
        (w, b): (Weight, Weight),
        out: Buf,
        then: &Then,
        [rows, k, n]: [usize; 3],
    ) -> Result<()> {
        let (mut mode, mut residual, mut added) = (0, Slot::Nothing, [Params::NONE, 0]);
        match then {
            Then::Store => {}
            Then::Activate(act) => mode = mode::ACTIVATE | activation_mode(*act),
            Then::Add(to) => {
                (mode, residual) = (mode::ADD, self.operand(to, rows, n)?);
                added = self.pick(to);
            }
        }
        let ([x_list, x_first], [add_list, add_first]) = (self.pick(x), added);
        let params =
            Params { mode, x_list, x_first, add_list, add_first, n: n as u32, ..row_params(rows, k) };
        let (w, b) = (self.weight(w, k * n)?, self.weight(b, n)?);
        let slots = vec![Slot::Index, self.operand(x, rows, k)?, w, b, residual, self.act(out, rows * n)?];
        self.product(Call { kernel: self.linear_kernel(rows, k, n), params, slots }, n, 1)
    }

    /// Parts whose weights and outputs are neighbouring planes go together.
    pub(super) fn projections(
        &mut self,
        x: Buf,
        parts: &[Projection],
        [rows, k, n]: [usize; 3],
    ) -> Result<()> {
        let mut left = parts;
        while let [first, ..] = left {
            let planes = |(i, part): (usize, &Projection)| {
                let (layer, plane) = plane_of(part.w, part.b)?;
                let (first_layer, first_plane) = plane_of(first.w, first.b)?;
                let next = layer == first_layer && plane == first_plane + i && part.out == QKV[plane];
                next.then_some((layer, first_plane))
            };
            let together = left.iter().enumerate().map_while(planes).count();
            match planes((0, first)) {
                Some((layer, first_plane)) => {
                    for part in &left[..together] {
                        self.weight(part.w, k * n)?;
                        self.weight(part.b, n)?;
                        self.act(part.out, rows * n)?;
                    }
                    let params = Params {
                        n: n as u32,
                        plane: first_plane as u32,
                        w_plane: plane(k * n) as u32,
                        b_plane: plane(n) as u32,
                        out_plane: self.machine.plane as u32,
                        ..row_params(rows, k)
                    };
                    let (w, b) = (Slot::QkvWeights(layer), Slot::QkvBiases(layer));
                    let slots = vec![Slot::Index, self.act(x, rows * k)?, w, b, Slot::Nothing, Slot::Qkv];
                    let kernel = self.linear_kernel(rows, k, n);
                    self.product(Call { kernel, params, slots }, n, together)?;
                }
                None => {
                    self.linear(&Rows::all(x), (first.w, first.b), first.out, &Then::Store, [rows, k, n])?
                }
            }
            left = &left[together.max(1)..];
        }
        Ok(())
    }

    pub(super) fn head_linear(
        &mut self,
        [x, out]: [Buf; 2],
        (w, b): (Weight, Weight),
        [rows, heads, k, n]: [usize; 4],
    ) -> Result<()> {
        let (x, out) = (self.act(x, rows * heads * k)?, self.act(out, rows * heads * n)?);
        let (w, b) = (self.weight(w, heads * k * n)?, self.weight(b, heads * n)?);
        let params = Params { heads: heads as u32, n: n as u32, ..row_params(rows, k) };
        let slots = vec![x, w, b, out];
        self.product(Call { kernel: &kernels::HEAD_LINEAR, params, slots }, heads * n, 1)
    }

    pub(super) fn head_transposed(
        &mut self,
        [x, out]: [Buf; 2],
        w: Weight,
        [rows, heads, k, n]: [usize; 4],
    ) -> Result<()> {
        let (x, out) = (self.act(x, rows * heads * n)?, self.act(out, rows * heads * k)?);
        let slots = vec![x, self.weight(w, heads * k * n)?, out];
        let params = Params { heads: heads as u32, n: n as u32, ..row_params(rows, k) };
        self.product(Call { kernel: &kernels::HEAD_TRANSPOSED, params, slots }, heads * k, 1)
    }

    pub(super) fn head_result(
        &mut self,
        [z, out]: [Buf; 2],
        w: Weight,
        [rows, heads, k, n]: [usize; 4],
    ) -> Result<()> {
        let (z, out) = (self.act(z, rows * heads * k)?, self.act(out, rows * heads * n)?);
        let slots = vec![z, self.weight(w, heads * k * n)?, out];
        let params = Params { heads: heads as u32, n: n as u32, ..row_params(rows, k) };
        self.product(Call { kernel: &kernels::HEAD_RESULT, params, slots }, heads * n, 1)
    }

    pub(super) fn unembed(
        &mut self,
        [x, out]: [Buf; 2],
        w: Weight,
        [rows, k]: [usize; 2],
        tokens: Range<usize>,
    ) -> Result<()> {
        if tokens.is_empty() {
            return Ok(());
        }
        let shard = tokens.start / self.machine.shard_rows;
        if tokens.end > self.program.d_vocab || (tokens.end - 1) / self.machine.shard_rows != shard {
            return Err(Error::internal(format!(
                "tokens {tokens:?} are not in one shard of {} of the vocabulary's {}",
                self.machine.shard_rows, self.program.d_vocab
            )));
        }
        let kernel = match k.is_multiple_of(4) {
            true => self.machine.variants.unembed(rows),
            false => &kernels::UNEMBED_ANY,
        };
        let (w, b) = self.unembedding(w, shard)?;
        let slots = vec![self.act(x, rows * k)?, w, b, self.act(out, rows * tokens.len())?];
        let params = Params {
            n: tokens.len() as u32,
            first: tokens.start as u32,
            shard: (shard * self.machine.shard_rows) as u32,
            ..row_params(rows, k)
        };
        self.product(Call { kernel, params, slots }, tokens.len(), 1)
    }

    pub(super) fn logit_diff(
        &mut self,
        [x, out]: [Buf; 2],
        w: Weight,
        index: &Index,
        pairs: &[[u32; 2]],
        k: usize,
    ) -> Result<()> {
        let rows = pairs.len();
        if index.len() != rows {
            return Err(outside("rows", rows, index.len()));
        }
        self.tokens(pairs.as_flattened())?;
        let highest = index.iter().max().map_or(0, |i| *i as usize + 1);
        let (x, out) = (self.act(x, highest * k)?, self.act(out, rows)?);
        let (x_list, list) = (self.shared_list(index), self.list(pairs.as_flattened()));
        let shards = self.shards();
        let last = shards.len() - 1;
        for (shard, tokens) in shards.into_iter().enumerate() {
            let first = if shard == 0 { mode::FIRST_SHARD } else { 0 };
            let mode = first | if shard == last { mode::LAST_SHARD } else { 0 };
            let (shard_row, n) = (tokens.start as u32, tokens.len() as u32);
            let (w, b) = self.unembedding(w, shard)?;
            let params = Params { x_list, list, mode, shard: shard_row, n, ..row_params(rows, k) };
            let slots = vec![Slot::Index, x, w, b, out];
            self.reductions(Call { kernel: &kernels::LOGIT_DIFF, params, slots }, 2 * k)?;
        }
        Ok(())
    }
}
