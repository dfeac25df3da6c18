//! Assembles a [`Program`]: rows, buffers, edits and copies at hook points.

use super::run::{Limits, Run, RunOutput, check_run, final_positions, is_final};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::hook::{Family, HookName, Site};
use crate::intervene::{Edit, Intervention};
use crate::program::{Buf, Op, Program, Row, Segment};
use crate::weights::Weight;
use std::collections::BTreeMap;

/// The buffers and weights of one LayerNorm.
pub(super) struct LayerNorm {
    pub(super) x: Buf,
    pub(super) scale: Buf,
    pub(super) out: Buf,
    pub(super) ln: (Weight, Weight),
}

pub(super) struct Builder<'a> {
    pub(super) cfg: &'a Config,
    ln_folded: bool,
    pub(super) runs: &'a [Run],
    pub(super) limits: &'a Limits,
    /// Layer at which each run starts, ascending.
    starts: Vec<usize>,
    /// First row, and first element of scores, of each run; and the ends of all.
    pub(super) row_starts: Vec<usize>,
    score_starts: Vec<usize>,
    active_runs: usize,
    /// Rows of the residual stream that go through the final LayerNorm, per run.
    pub(super) final_rows: Vec<std::ops::Range<usize>>,
    /// Where each run's begin among them.
    pub(super) final_starts: Vec<usize>,
    pub(super) program: Program,
    sizes: BTreeMap<Buf, usize>,
    pub(super) outputs: Vec<RunOutput>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(cfg: &'a Config, ln_folded: bool, runs: &'a [Run], limits: &'a Limits) -> Result<Self> {
        let starts: Vec<usize> = runs.iter().map(|run| run.start_layer(cfg.n_layers)).collect();
        if !starts.is_sorted() {
            return Err(Error::internal("runs of a batch must be sorted by the layer at which they start"));
        }
        let (mut tokens, mut rows) = (Vec::new(), Vec::new());
        let (mut row_starts, mut score_starts, mut first_score) = (vec![0], vec![0], 0);
        for (i, run) in runs.iter().enumerate() {
            check_run(cfg, runs, &starts, i)?;
            let (len, first_row) = (run.tokens.len(), tokens.len());
            rows.extend((0..len).map(|pos| Row {
                pos: pos as u32,
                len: len as u32,
                first_row: first_row as u32,
                first_score: first_score as u32,
            }));
            tokens.extend_from_slice(&run.tokens);
            first_score += cfg.n_heads * len * len;
            row_starts.push(tokens.len());
            score_starts.push(first_score);
        }
        let final_edits = runs.iter().flat_map(|run| &run.interventions).any(|i| is_final(i.hook.site));
        let final_rows: Vec<_> = runs.iter().map(|run| final_positions(run, final_edits)).collect();
        let outputs = runs
            .iter()
            .map(|run| RunOutput { hooks: vec![usize::MAX; run.readout.hooks.len()], ..RunOutput::default() })
            .collect();
        Ok(Self {
            cfg,
            ln_folded,
            runs,
            limits,
            active_runs: starts.partition_point(|start| *start == 0),
            starts,
            row_starts,
            score_starts,
            final_starts: final_rows
                .iter()
                .scan(0, |next, rows| Some(std::mem::replace(next, *next + rows.len())))
                .collect(),
            final_rows,
            program: Program {
                tokens,
                rows,
                ops: Vec::new(),
                output_len: 0,
                buffers: Vec::new(),
                d_model: cfg.d_model,
                d_vocab: cfg.d_vocab,
                eps: cfg.eps,
            },
            sizes: BTreeMap::new(),
            outputs,
        })
    }

    /// Adds an op that leaves `len` elements in `buf`.
    pub(super) fn emit(&mut self, op: Op, buf: Buf, len: usize) {
        let size = self.sizes.entry(buf).or_default();
        *size = (*size).max(len);
        self.program.ops.push(op);
    }

    pub(super) fn start_rows(&self) -> usize {
        self.row_starts[self.starts.partition_point(|start| *start == 0)]
    }

    pub(super) fn active_rows(&self) -> usize {
        self.row_starts[self.active_runs]
    }

    pub(super) fn active_scores(&self) -> usize {
        self.score_starts[self.active_runs]
    }

    /// Lets the runs that start at this layer join, with their base runs' residual streams.
    pub(super) fn start_runs(&mut self, layer: usize) {
        let until = self.starts.partition_point(|start| *start <= layer);
        if until == self.active_runs {
            return;
        }
        let d = self.cfg.d_model;
        let segments = (self.active_runs..until).map(|run| {
            let base = self.runs[run].base.unwrap_or(run);
            let at = |run: usize| (self.row_starts[run] * d) as u32;
            Segment::copy(at(run), at(base), (self.runs[run].tokens.len() * d) as u32)
        });
        let op = Op::Edit { buf: Buf::Resid, segments: segments.collect() };
        self.active_runs = until;
        self.emit(op, Buf::Resid, self.active_rows() * d);
    }

    fn edits_of(
        &self,
        site: Site,
        layer: usize,
    ) -> impl Iterator<Item = (usize, &'a Intervention)> + use<'a> {
        let hook = HookName { site, layer };
        let runs: &'a [Run] = &self.runs[..self.active_runs];
        runs.iter().enumerate().flat_map(move |(run, r)| {
            r.interventions.iter().filter(move |i| i.hook == hook).map(move |i| (run, i))
        })
    }

    /// Whether any run edits this activation.
    pub(super) fn edits(&self, site: Site, layer: usize) -> bool {
        self.edits_of(site, layer).next().is_some()
    }

    /// Whether any run edits or reads this activation.
    pub(super) fn wants(&self, site: Site, layer: usize) -> bool {
        let hook = HookName { site, layer };
        self.edits(site, layer) || self.runs.iter().any(|run| run.readout.hooks.contains(&hook))
    }

    /// A hook point: edits the buffer, then keeps what is asked for.
    pub(super) fn hook(&mut self, site: Site, layer: usize, buf: Buf) -> Result<()> {
        let mut segments = Vec::new();
        for (run, intervention) in self.edits_of(site, layer) {
            for (start, len) in intervention.place.ranges(site, self.cfg, self.runs[run].tokens.len())? {
                let Some((dst, len)) = self.locate(site, run, start, len) else { continue };
                let (at, n) = (dst as u32, len as u32);
                segments.push(match intervention.edit {
                    Edit::Zero => Segment::zero(at, n),
                    Edit::Scale { by } => Segment { scale: by, ..Segment::copy(at, at, n) },
                    Edit::Patch { from } => {
                        let (src, _) = self.locate(site, from, start, len).ok_or_else(|| {
                            Error::internal(format!("{site}: run {from} has no such rows to patch from"))
                        })?;
                        Segment::copy(at, src as u32, n)
                    }
                });
            }
        }
        if !segments.is_empty() {
            self.program.ops.push(Op::Edit { buf, segments });
        }
        let hook = HookName { site, layer };
        for run in 0..self.active_runs {
            for (slot, _) in self.runs[run].readout.hooks.iter().enumerate().filter(|(_, h)| **h == hook) {
                let len = site.shape(self.cfg, self.runs[run].tokens.len()).iter().product();
                let (start, len) = self
                    .locate(site, run, 0, len)
                    .ok_or_else(|| Error::internal(format!("{hook} of run {run} is not computed")))?;
                self.outputs[run].hooks[slot] = self.keep(buf, start, len);
            }
        }
        Ok(())
    }

    /// Where a run's range lies in the buffer; in the final rows only what is there.
    fn locate(&self, site: Site, run: usize, start: usize, len: usize) -> Option<(usize, usize)> {
        let width = match site.family(self.cfg) {
            Family::HeadDestSrc => return Some((self.score_starts[run] + start, len)),
            Family::Pos { width } => width,
            Family::PosHead { width } => width * self.cfg.n_heads,
        };
        if !is_final(site) {
            return Some((self.row_starts[run] * width + start, len));
        }
        let rows = &self.final_rows[run];
        let (first, last) = (start.max(rows.start * width), (start + len).min(rows.end * width));
        (first < last).then(|| ((self.final_starts[run] * width) + first - rows.start * width, last - first))
    }

    pub(super) fn keep(&mut self, buf: Buf, start: usize, len: usize) -> usize {
        let at = self.program.output_len;
        self.program.ops.push(Op::Keep { buf, start, len, at });
        self.program.output_len += len;
        at
    }

    pub(super) fn linear(&mut self, x: Buf, w: Weight, b: Weight, out: Buf, k: usize, n: usize) {
        let rows = self.active_rows();
        self.emit(Op::Linear { x, w, b, out, rows, k, n }, out, rows * n);
    }

    pub(super) fn add(&mut self, a: Buf, b: Buf, out: Buf) {
        let len = self.active_rows() * self.cfg.d_model;
        self.emit(Op::Add { a, b, out, len }, out, len);
    }

    pub(super) fn repeat_heads(&mut self, x: Buf, out: Buf, rows: usize, heads: usize, width: usize) {
        self.emit(Op::RepeatHeads { x, out, rows, heads, width }, out, rows * heads * width);
    }

    /// LayerNorm of `rows` rows with its two hook points, into `out`; `ln` are its weights, left out where they are
    /// folded into what follows.
    pub(super) fn layer_norm(
        &mut self,
        norm: LayerNorm,
        rows: usize,
        hooks: Option<[HookName; 2]>,
    ) -> Result<()> {
        let LayerNorm { x, scale, out, ln: (w, b) } = norm;
        self.emit(Op::LnScale { x, out: scale, rows }, scale, rows);
        if let Some([HookName { site, layer }, _]) = hooks {
            self.hook(site, layer, scale)?;
        }
        let affine = (!self.ln_folded).then_some((w, b));
        self.emit(Op::LnNormalize { x, scale, affine, out, rows }, out, rows * self.cfg.d_model);
        match hooks {
            Some([_, HookName { site, layer }]) => self.hook(site, layer, out),
            None => Ok(()),
        }
    }

    /// Makes `buf` the input of one of q, k, v with a head axis, where it is read or edited. True when it was edited,
    /// so that the projection must be taken from it.
    pub(super) fn head_input(&mut self, site: Site, buf: Buf, layer: usize) -> Result<bool> {
        let split = self.edits(site, layer) || self.edits(Site::AttnIn, layer);
        if !split && !self.wants(site, layer) {
            return Ok(false);
        }
        if split && (self.edits(Site::Ln1Scale, layer) || self.edits(Site::Ln1Normalized, layer)) {
            return Err(Error::input(
                "input.place",
                format!(
                    "layer {layer}: ln1 cannot be edited in the same batch as {site} or attn_in, which bypass it"
                ),
            ));
        }
        let (rows, heads, d) = (self.active_rows(), self.cfg.n_heads, self.cfg.d_model);
        if split {
            self.repeat_heads(Buf::AttnIn, buf, rows, 1, heads * d);
        } else {
            self.repeat_heads(Buf::Resid, buf, rows, heads, d);
        }
        self.hook(site, layer, buf)?;
        Ok(split)
    }

    pub(super) fn finish(mut self) -> (Program, Vec<RunOutput>) {
        self.program.buffers = self.sizes.into_iter().collect();
        (self.program, self.outputs)
    }
}
