//! Ops on rows that are not matrix products: embeddings, sums, LayerNorm, activations, gathers, log-sum-exp.

use super::check::outside;
use super::{Call, Encoder, Slot, Step, row_params};
use crate::backend::gpu::kernels;
use crate::backend::gpu::params::{Params, mode};
use crate::config::ActFn;
use crate::error::{Error, Result};
use crate::program::{Buf, Index, Rows};
use crate::weights::Weight;
use std::sync::Arc;

impl Encoder<'_> {
    pub(super) fn embed(&mut self, tokens: &Index, pos: Option<&Index>, out: Buf) -> Result<()> {
        let (rows, d_model) = (tokens.len(), self.program.d_model);
        self.tokens(tokens)?;
        (self.machine.weights)(Weight::Embed)?;
        let means = self.weight(Weight::EmbedMean, self.program.d_vocab)?;
        let out = self.act(out, rows * d_model)?;
        let mut params = Params { list: self.shared_list(tokens), ..row_params(rows, d_model) };
        let mut w_pos = Slot::Nothing;
        if let Some(pos) = pos {
            w_pos = self.table(Weight::PosEmbed, pos, d_model)?;
            if pos.len() != rows {
                return Err(outside("positions", rows, pos.len()));
            }
            params = Params { list_2: self.shared_list(pos), mode: mode::WITH_POS, ..params };
        }
        for (shard, tokens) in self.shards().into_iter().enumerate() {
            let params = Params { shard: tokens.start as u32, n: tokens.len() as u32, ..params };
            let slots = vec![Slot::Index, Slot::Weight(Weight::Embed, shard), means, w_pos, out];
            self.elements(Call { kernel: &kernels::EMBED, params, slots }, d_model)?;
        }
        Ok(())
    }

    pub(super) fn pos_embed(&mut self, pos: &Index, out: Buf) -> Result<()> {
        let d_model = self.program.d_model;
        let table = self.table(Weight::PosEmbed, pos, d_model)?;
        let slots = vec![Slot::Index, table, self.act(out, pos.len() * d_model)?];
        let params = Params { list: self.shared_list(pos), ..row_params(pos.len(), d_model) };
        self.elements(Call { kernel: &kernels::GATHER_ROWS, params, slots }, d_model)
    }

    /// A weight of which rows of `width` are read.
    fn table(&self, weight: Weight, index: &[u32], width: usize) -> Result<Slot> {
        self.weight(weight, index.iter().max().map_or(0, |i| *i as usize + 1) * width)
    }

    pub(super) fn gather_rows(&mut self, x: Buf, index: &Index, out: Buf, width: usize) -> Result<()> {
        let highest = index.iter().max().map_or(0, |i| *i as usize + 1);
        let (x, out) = (self.act(x, highest * width)?, self.act(out, index.len() * width)?);
        let params = Params { list: self.shared_list(index), ..row_params(index.len(), width) };
        let slots = vec![Slot::Index, x, out];
        self.elements(Call { kernel: &kernels::GATHER_ROWS, params, slots }, width)
    }

    pub(super) fn add(
        &mut self,
        operands: [&Rows; 2],
        out: Buf,
        first: usize,
        rows: usize,
        width: usize,
    ) -> Result<()> {
        let mut mode = 0;
        let [mut a, mut b] = [Slot::Nothing; 2];
        for (operand, slot, is_out) in
            [(operands[0], &mut a, mode::A_IS_OUT), (operands[1], &mut b, mode::B_IS_OUT)]
        {
            match self.in_place(operand, out, first, rows)? {
                true => mode |= is_out,
                false => *slot = self.operand(operand, rows, width)?,
            }
        }
        let [x_list, x_first] = self.pick(operands[0]);
        let [add_list, add_first] = self.pick(operands[1]);
        let out_first = first as u32;
        let params =
            Params { mode, x_list, x_first, add_list, add_first, out_first, ..row_params(rows, width) };
        let slots = vec![Slot::Index, a, b, self.act(out, (first + rows) * width)?];
        self.elements(Call { kernel: &kernels::ADD, params, slots }, width)
    }

    /// LayerNorm's own weights, and the mode that says that there are any.
    fn affine(&self, affine: Option<(Weight, Weight)>) -> Result<(u32, Slot, Slot)> {
        let d_model = self.program.d_model;
        Ok(match affine {
            Some((w, b)) => (mode::AFFINE, self.weight(w, d_model)?, self.weight(b, d_model)?),
            None => (0, Slot::Nothing, Slot::Nothing),
        })
    }

    pub(super) fn layer_norm(
        &mut self,
        x: &Rows,
        affine: Option<(Weight, Weight)>,
        out: Buf,
        rows: usize,
    ) -> Result<()> {
        let d_model = self.program.d_model;
        let (mode, w, b) = self.affine(affine)?;
        let [x_list, x_first] = self.pick(x);
        let slots = vec![Slot::Index, self.operand(x, rows, d_model)?, w, b, self.act(out, rows * d_model)?];
        let params = Params { mode, x_list, x_first, eps: self.program.eps, ..row_params(rows, d_model) };
        self.reductions(Call { kernel: &kernels::LAYER_NORM, params, slots }, d_model)
    }

    pub(super) fn ln_scale(&mut self, x: Buf, out: Buf, rows: usize) -> Result<()> {
        let d_model = self.program.d_model;
        let slots = vec![self.act(x, rows * d_model)?, self.act(out, rows)?];
        let params = Params { eps: self.program.eps, ..row_params(rows, d_model) };
        self.reductions(Call { kernel: &kernels::LN_SCALE, params, slots }, d_model)
    }

    pub(super) fn ln_normalize(
        &mut self,
        [x, scale]: [Buf; 2],
        affine: Option<(Weight, Weight)>,
        out: Buf,
        rows: usize,
    ) -> Result<()> {
        let d_model = self.program.d_model;
        let (mode, w, b) = self.affine(affine)?;
        let (x, scale) = (self.act(x, rows * d_model)?, self.act(scale, rows)?);
        let slots = vec![x, scale, w, b, self.act(out, rows * d_model)?];
        let params = Params { mode, ..row_params(rows, d_model) };
        self.reductions(Call { kernel: &kernels::LN_NORMALIZE, params, slots }, d_model)
    }

    pub(super) fn sum_heads(
        &mut self,
        [x, out]: [Buf; 2],
        b: Weight,
        [rows, heads, width]: [usize; 3],
    ) -> Result<()> {
        let (x, b) = (self.act(x, rows * heads * width)?, self.weight(b, width)?);
        let slots = vec![x, b, self.act(out, rows * width)?];
        let params = Params { heads: heads as u32, ..row_params(rows, width) };
        self.elements(Call { kernel: &kernels::SUM_HEADS, params, slots }, width)
    }

    pub(super) fn repeat_heads(
        &mut self,
        [x, out]: [Buf; 2],
        [rows, heads, width]: [usize; 3],
    ) -> Result<()> {
        let slots = vec![self.act(x, rows * width)?, self.act(out, rows * heads * width)?];
        let params = Params { heads: heads as u32, ..row_params(rows, width) };
        self.elements(Call { kernel: &kernels::REPEAT_HEADS, params, slots }, heads * width)
    }

    pub(super) fn activation(&mut self, [x, out]: [Buf; 2], act: ActFn, len: usize) -> Result<()> {
        let slots = vec![self.act(x, len)?, self.act(out, len)?];
        let params = Params { mode: activation_mode(act), ..row_params(len, 1) };
        self.elements(Call { kernel: &kernels::ACTIVATION, params, slots }, 1)
    }

    pub(super) fn log_sum_exp(
        &mut self,
        [tile, out]: [Buf; 2],
        targets: &Index,
        [first, n]: [usize; 2],
        reset: bool,
    ) -> Result<()> {
        let rows = targets.len();
        let slots = vec![Slot::Index, self.act(tile, rows * n)?, self.act(out, rows * 3)?];
        let mode = if reset { mode::RESET } else { 0 };
        let list = self.shared_list(targets);
        let params = Params { list, mode, first: first as u32, n: n as u32, ..row_params(rows, n) };
        self.reductions(Call { kernel: &kernels::LOG_SUM_EXP, params, slots }, n)
    }

    /// Values are written before the first step, so nothing may stand in the buffer before.
    pub(super) fn given(&mut self, out: Buf, values: &Arc<Vec<f32>>) -> Result<()> {
        self.act(out, values.len())?;
        let used = |step: &Step| match step {
            Step::Dispatch { slots, .. } => slots.contains(&Slot::Act(out)),
            Step::Copy { buf, .. } => *buf == out,
        };
        if self.given.iter().any(|(buf, _)| *buf == out) || self.steps.iter().any(used) {
            return Err(Error::internal(format!("{out:?} is given after it was used")));
        }
        self.given.push((out, values.clone()));
        Ok(())
    }

    pub(super) fn keep(&mut self, buf: Buf, start: usize, len: usize, at: usize) -> Result<()> {
        self.act(buf, start + len)?;
        if at + len > self.program.output_len {
            return Err(outside("output", at + len, self.program.output_len));
        }
        self.steps.push(Step::Copy { buf, start, len, at });
        Ok(())
    }
}

pub(super) fn activation_mode(act: ActFn) -> u32 {
    match act {
        ActFn::GeluNew => mode::GELU_NEW,
        ActFn::Gelu => mode::GELU,
        ActFn::Relu => mode::RELU,
    }
}
