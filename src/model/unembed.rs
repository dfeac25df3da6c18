//! The end of the forward pass: final LayerNorm and the logits that a batch asks for, on the rows that need them.

use super::builder::{Builder, LayerNorm};
use super::extent::overlap;
use super::layout::Layout;
use crate::error::Result;
use crate::hook::{HookName, Site};
use crate::program::{Buf, Index, Op};
use crate::weights::Weight;
use std::collections::HashMap;
use std::sync::Arc;

impl Builder<'_> {
    /// Final LayerNorm and the logits that are wanted, on the rows that they need.
    pub(super) fn unembed(&mut self, resid: &Layout) -> Result<()> {
        let d = self.cfg.d_model;
        let mut finals = Layout::new(self.runs.len());
        for (run, extent) in self.extents.iter().enumerate() {
            let starts_here = extent.layer == self.cfg.n_layers;
            let own = if starts_here { extent.differs.clone() } else { resid.positions(run) };
            finals.push(run, overlap(&own, &extent.last));
        }
        if finals.rows() == 0 {
            return Ok(());
        }
        let (mut x, scale, out) =
            (self.rows(Buf::Resid, resid, &finals)?, Buf::FinalScale, Buf::FinalNormalized);
        let ln = (Weight::LnFinalW, Weight::LnFinalB);
        let hooks = [Site::LnFinalScale, Site::LnFinalNormalized].map(|site| HookName { site, layer: 0 });
        if self.shows(Site::LnFinalScale, 0) {
            let index: Index = (0..finals.rows()).map(|row| x.pick.row(row) as u32).collect();
            x.buf = Buf::FinalResid;
            self.emit(
                Op::GatherRows { x: Buf::Resid, index, out: x.buf, width: d },
                x.buf,
                finals.rows() * d,
            );
            self.layer_norm(LayerNorm { x: x.buf, scale, out, ln }, hooks, &finals)?;
        } else if self.ln_folded && !self.shows(Site::LnFinalNormalized, 0) {
            // W_U is as it is stored, so that its w is still to be multiplied: here at once.
            let op = Op::LayerNorm { x, affine: Some(ln), out, rows: finals.rows() };
            self.emit(op, out, finals.rows() * d);
            return self.wanted_logits(&finals, out);
        } else {
            self.plain_layer_norm(x, ln, out, finals.rows());
            self.hook(Site::LnFinalNormalized, 0, out, &finals)?;
        }
        if !self.ln_folded {
            return self.wanted_logits(&finals, out);
        }
        // Behind a hook that sees LNPre's output.
        let (x, scale, out, rows) = (out, Buf::NoScale, Buf::Unfolded, finals.rows());
        self.emit(Op::Given { out: scale, values: Arc::new(vec![1.0; rows]) }, scale, rows);
        self.emit(Op::LnNormalize { x, scale, affine: Some(ln), out, rows }, out, rows * d);
        self.wanted_logits(&finals, out)
    }

    fn wanted_logits(&mut self, finals: &Layout, x: Buf) -> Result<()> {
        self.logit_diffs(finals, x)?;
        self.logits(finals, x)
    }

    fn logit_diffs(&mut self, finals: &Layout, x: Buf) -> Result<()> {
        let (mut index, mut pairs) = (Vec::new(), Vec::new());
        for (run, r) in self.runs.iter().enumerate() {
            if let Some(pair) = r.readout.logit_diff {
                self.outputs[run].logit_diff = Some(self.program.output_len + pairs.len());
                index.push(self.row(finals, run, r.tokens.len() - 1)? as u32);
                pairs.push(pair);
            }
        }
        if !pairs.is_empty() {
            let (w, out, len) = (Weight::unembed(self.cfg), Buf::LogitDiff, pairs.len());
            self.emit(Op::LogitDiff { x, w, index: index.into(), out, pairs, k: self.cfg.d_model }, out, len);
            self.keep(out, 0, len);
        }
        Ok(())
    }

    /// Whole-vocabulary logits, a tile of the vocabulary at a time: rows with a next token feed a running log-sum-exp,
    /// so that `[rows, d_vocab]` never exists; last positions are kept. Runs that share a row and its next token share
    /// its place.
    fn logits(&mut self, finals: &Layout, mut x: Buf) -> Result<()> {
        let (d, d_vocab) = (self.cfg.d_model, self.cfg.d_vocab);
        let (mut index, mut targets) = (Vec::new(), Vec::new());
        let mut places: HashMap<(usize, u32), usize> = HashMap::new();
        for (run, r) in self.runs.iter().enumerate().filter(|(_, r)| r.readout.loss) {
            let mut losses = Vec::new();
            for pos in 0..r.tokens.len() - 1 {
                let (row, target) = (self.row(finals, run, pos)?, r.tokens[pos + 1]);
                losses.push(*places.entry((row, target)).or_insert_with(|| {
                    index.push(row as u32);
                    targets.push(target);
                    targets.len() - 1
                }));
            }
            self.outputs[run].loss = Some(losses);
        }
        let mut last = Vec::new();
        for (run, r) in self.runs.iter().enumerate().filter(|(_, r)| r.readout.last_logits) {
            last.push((index.len(), self.program.output_len));
            self.outputs[run].last_logits = Some(self.program.output_len);
            self.program.output_len += d_vocab;
            index.push(self.row(finals, run, r.tokens.len() - 1)? as u32);
        }
        let rows = index.len();
        if rows == 0 {
            return Ok(());
        }
        if index.iter().enumerate().any(|(i, row)| *row as usize != i) {
            let gather = Op::GatherRows { x, index: index.into(), out: Buf::UnembedIn, width: d };
            x = Buf::UnembedIn;
            self.emit(gather, x, rows * d);
        }
        let (tile, targets): (Buf, Index) = (Buf::LogitTile, targets.into());
        let widest = (self.limits.tile_elements / rows).clamp(1, d_vocab);
        let mut first = 0;
        while first < d_vocab {
            let shard_end = (first / self.limits.unembed_rows + 1).saturating_mul(self.limits.unembed_rows);
            let n = widest.min(shard_end - first).min(d_vocab - first);
            let w = Weight::unembed(self.cfg);
            self.emit(Op::Unembed { x, w, out: tile, rows, k: d, first, n }, tile, rows * n);
            if !targets.is_empty() {
                let (out, targets, reset) = (Buf::LogSumExp, targets.clone(), first == 0);
                let len = targets.len() * 3;
                self.emit(Op::LogSumExp { tile, out, targets, first, n, reset }, out, len);
            }
            for (row, at) in &last {
                self.program.ops.push(Op::Keep { buf: tile, start: row * n, len: n, at: at + first });
            }
            first += n;
        }
        if !targets.is_empty() {
            let at = self.keep(Buf::LogSumExp, 0, targets.len() * 3);
            for losses in self.outputs.iter_mut().filter_map(|output| output.loss.as_mut()) {
                losses.iter_mut().for_each(|place| *place = at + 3 * *place);
            }
        }
        Ok(())
    }
}
