//! The end of the forward pass: final LayerNorm and the logits that a batch asks for, on the rows that need them.

use super::builder::{Builder, LayerNorm};
use crate::error::Result;
use crate::hook::{HookName, Site};
use crate::program::{Buf, Op};
use crate::weights::Weight;

impl Builder<'_> {
    /// Final LayerNorm and the logits that are wanted, on the rows that they need.
    pub(super) fn unembed(&mut self) -> Result<()> {
        let d = self.cfg.d_model;
        let row_starts = &self.row_starts;
        let index: Vec<u32> = (self.final_rows.iter().enumerate())
            .flat_map(|(run, rows)| rows.clone().map(move |pos| (row_starts[run] + pos) as u32))
            .collect();
        let rows = index.len();
        if rows == 0 {
            return Ok(());
        }
        let (x, scale, out) = (Buf::FinalResid, Buf::FinalScale, Buf::FinalNormalized);
        self.emit(Op::GatherRows { x: Buf::Resid, index, out: x, width: d }, x, rows * d);
        let norm = LayerNorm { x, scale, out, ln: (Weight::LnFinalW, Weight::LnFinalB) };
        let hooks = [Site::LnFinalScale, Site::LnFinalNormalized].map(|site| HookName { site, layer: 0 });
        self.layer_norm(norm, rows, Some(hooks))?;
        self.logit_diffs();
        self.logits();
        Ok(())
    }

    /// Row of the final buffers that holds position `pos` of `run`.
    fn final_row(&self, run: usize, pos: usize) -> u32 {
        (self.final_starts[run] + pos - self.final_rows[run].start) as u32
    }

    fn logit_diffs(&mut self) {
        let d = self.cfg.d_model;
        let wanted: Vec<(usize, [u32; 2])> = (self.runs.iter().enumerate())
            .filter_map(|(run, r)| r.readout.logit_diff.map(|pair| (run, pair)))
            .collect();
        if wanted.is_empty() {
            return;
        }
        let index =
            wanted.iter().map(|(run, _)| self.final_row(*run, self.runs[*run].tokens.len() - 1)).collect();
        let (x, out) = (Buf::LogitDiffIn, Buf::LogitDiff);
        self.emit(Op::GatherRows { x: Buf::FinalNormalized, index, out: x, width: d }, x, wanted.len() * d);
        let pairs = wanted.iter().map(|(_, pair)| *pair).collect();
        self.emit(Op::LogitDiff { x, out, pairs, k: d }, out, wanted.len());
        let at = self.keep(out, 0, wanted.len());
        for (i, (run, _)) in wanted.iter().enumerate() {
            self.outputs[*run].logit_diff = Some(at + i);
        }
    }

    /// Whole-vocabulary logits, a tile of the vocabulary at a time: rows with a next token feed a running log-sum-exp,
    /// so that `[rows, d_vocab]` never exists; last positions are kept.
    fn logits(&mut self) {
        let (d, d_vocab) = (self.cfg.d_model, self.cfg.d_vocab);
        let (mut index, mut targets) = (Vec::new(), Vec::new());
        for (run, r) in self.runs.iter().enumerate().filter(|(_, r)| r.readout.loss) {
            self.outputs[run].loss = Some((targets.len(), r.tokens.len() - 1));
            for pos in 0..r.tokens.len() - 1 {
                index.push(self.final_row(run, pos));
                targets.push(r.tokens[pos + 1]);
            }
        }
        let mut last = Vec::new();
        for (run, r) in self.runs.iter().enumerate().filter(|(_, r)| r.readout.last_logits) {
            last.push((run, index.len(), self.program.output_len));
            self.outputs[run].last_logits = Some(self.program.output_len);
            self.program.output_len += d_vocab;
            index.push(self.final_row(run, r.tokens.len() - 1));
        }
        let rows = index.len();
        if rows == 0 {
            return;
        }
        let (x, tile) = (Buf::UnembedIn, Buf::LogitTile);
        self.emit(Op::GatherRows { x: Buf::FinalNormalized, index, out: x, width: d }, x, rows * d);
        let widest = (self.limits.buffer_elements / rows).clamp(1, d_vocab);
        let mut first = 0;
        while first < d_vocab {
            let shard_end = (first / self.limits.unembed_rows + 1) * self.limits.unembed_rows;
            let n = widest.min(shard_end - first).min(d_vocab - first);
            self.emit(Op::Unembed { x, out: tile, rows, k: d, first, n }, tile, rows * n);
            if !targets.is_empty() {
                let op = Op::LogSumExp {
                    tile,
                    out: Buf::LogSumExp,
                    targets: targets.clone(),
                    first,
                    n,
                    reset: first == 0,
                };
                self.emit(op, Buf::LogSumExp, targets.len() * 3);
            }
            for (_, row, at) in &last {
                self.program.ops.push(Op::Keep { buf: tile, start: row * n, len: n, at: at + first });
            }
            first += n;
        }
        if !targets.is_empty() {
            let at = self.keep(Buf::LogSumExp, 0, targets.len() * 3);
            for output in &mut self.outputs {
                output.loss = output.loss.map(|(row, rows)| (at + 3 * row, rows));
            }
        }
    }
}
