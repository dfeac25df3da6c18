//! Assembles a [`Program`]: rows, buffers, edits and copies at hook points, the unembedding that a batch asks for.

use crate::config::Config;
use crate::error::{Error, Result};
use crate::hook::{Family, HookName, Site};
use crate::intervene::{Edit, Intervention};
use crate::program::{Buf, Op, Program, Row, Segment};
use crate::weights::{Part, Weight};
use std::collections::BTreeMap;

/// One forward pass with its edits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    pub tokens: Vec<u32>,
    pub interventions: Vec<Intervention>,
    /// A run of the same batch with the same tokens and no edits; this run takes its residual stream from there up
    /// to the first layer that it edits.
    pub base: Option<usize>,
    pub readout: Readout,
}

/// What is wanted of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Readout {
    /// Logits of the last position, `[d_vocab]`.
    pub last_logits: bool,
    /// `logit(correct) − logit(incorrect)` at the last position.
    pub logit_diff: Option<[u32; 2]>,
    /// Cross-entropy of token t+1 at position t, `[pos − 1]`.
    pub loss: bool,
    pub hooks: Vec<HookName>,
}

/// Where a run's results lie in the program's output, as element offsets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunOutput {
    pub last_logits: Option<usize>,
    pub logit_diff: Option<usize>,
    /// First row of `(max, sum of exp, target logit)` and the number of rows.
    pub loss: Option<(usize, usize)>,
    /// In the order of [`Readout::hooks`].
    pub hooks: Vec<usize>,
}

/// What an engine can take at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Elements of the largest activation buffer.
    pub buffer_elements: usize,
    /// Rows of `W_U` that can be bound together (a binding's limit on the GPU).
    pub unembed_rows: usize,
}

impl Run {
    /// The layer from which this run differs from its base (0 without one).
    pub fn start_layer(&self, n_layers: usize) -> usize {
        if self.base.is_none() {
            return 0;
        }
        let layer = |hook: &HookName| if is_final(hook.site) { n_layers } else { hook.layer };
        let edited = self.interventions.iter().map(|i| layer(&i.hook));
        edited.chain(self.readout.hooks.iter().map(layer)).min().unwrap_or(n_layers)
    }
}

pub(super) struct Builder<'a> {
    pub(super) cfg: &'a Config,
    ln_folded: bool,
    runs: &'a [Run],
    limits: &'a Limits,
    /// Layer at which each run starts, ascending.
    starts: Vec<usize>,
    /// First row, and first element of scores, of each run; and the ends of all.
    row_starts: Vec<usize>,
    score_starts: Vec<usize>,
    active_runs: usize,
    /// Rows of the residual stream that go through the final LayerNorm, per run.
    final_rows: Vec<std::ops::Range<usize>>,
    program: Program,
    sizes: BTreeMap<Buf, usize>,
    outputs: Vec<RunOutput>,
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
            final_rows: runs.iter().map(|run| final_positions(run, final_edits)).collect(),
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
        let segments = (self.active_runs..until).map(|run| Segment {
            dst: (self.row_starts[run] * d) as u32,
            src: (self.row_starts[self.runs[run].base.unwrap_or(run)] * d) as u32,
            len: (self.runs[run].tokens.len() * d) as u32,
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
            let source = match intervention.edit {
                Edit::Zero => None,
                Edit::Patch { from } => Some(from),
            };
            for (start, len) in intervention.place.ranges(site, self.cfg, self.runs[run].tokens.len())? {
                let Some((dst, len)) = self.locate(site, run, start, len) else { continue };
                let src = match source {
                    None => Segment::ZERO,
                    Some(from) => match self.locate(site, from, start, len) {
                        Some((src, _)) => src as u32,
                        None => {
                            return Err(Error::internal(format!(
                                "{site}: run {from} has no such rows to patch from"
                            )));
                        }
                    },
                };
                segments.push(Segment { dst: dst as u32, src, len: len as u32 });
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
        let before: usize = self.final_rows[..run].iter().map(ExactSizeIterator::len).sum();
        (first < last).then(|| ((before * width) + first - rows.start * width, last - first))
    }

    fn keep(&mut self, buf: Buf, start: usize, len: usize) -> usize {
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

    /// The LayerNorm of a layer, with its two hook points, into [`Buf::Normalized`].
    pub(super) fn layer_norm(
        &mut self,
        x: Buf,
        layer: usize,
        sites: (Site, Site),
        parts: (Part, Part),
    ) -> Result<()> {
        let (rows, (scale, out)) = (self.active_rows(), (Buf::Scale, Buf::Normalized));
        self.emit(Op::LnScale { x, out: scale, rows }, scale, rows);
        self.hook(sites.0, layer, scale)?;
        let affine = self.affine(Weight::Block(layer, parts.0), Weight::Block(layer, parts.1));
        self.emit(Op::LnNormalize { x, scale, affine, out, rows }, out, rows * self.cfg.d_model);
        self.hook(sites.1, layer, out)
    }

    fn affine(&self, w: Weight, b: Weight) -> Option<(Weight, Weight)> {
        (!self.ln_folded).then_some((w, b))
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

    /// LayerNorm of `[rows, head, d_model]` into [`Buf::HeadNormalized`].
    pub(super) fn head_layer_norm(&mut self, x: Buf, layer: usize, ln: (Weight, Weight)) -> Result<()> {
        debug_assert!(matches!(ln.0, Weight::Block(l, _) if l == layer));
        let (rows, scale, out) = (self.active_rows() * self.cfg.n_heads, Buf::HeadScale, Buf::HeadNormalized);
        self.emit(Op::LnScale { x, out: scale, rows }, scale, rows);
        let affine = self.affine(ln.0, ln.1);
        self.emit(Op::LnNormalize { x, scale, affine, out, rows }, out, rows * self.cfg.d_model);
        Ok(())
    }

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
        self.emit(Op::LnScale { x, out: scale, rows }, scale, rows);
        self.hook(Site::LnFinalScale, 0, scale)?;
        let affine = self.affine(Weight::LnFinalW, Weight::LnFinalB);
        self.emit(Op::LnNormalize { x, scale, affine, out, rows }, out, rows * d);
        self.hook(Site::LnFinalNormalized, 0, out)?;
        self.logit_diffs();
        self.logits();
        Ok(())
    }

    /// Row of the final buffers that holds position `pos` of `run`.
    fn final_row(&self, run: usize, pos: usize) -> u32 {
        let before: usize = self.final_rows[..run].iter().map(ExactSizeIterator::len).sum();
        (before + pos - self.final_rows[run].start) as u32
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

    pub(super) fn finish(mut self) -> (Program, Vec<RunOutput>) {
        self.program.buffers = self.sizes.into_iter().collect();
        (self.program, self.outputs)
    }
}

fn check_run(cfg: &Config, runs: &[Run], starts: &[usize], i: usize) -> Result<()> {
    let run = &runs[i];
    if run.tokens.is_empty() || run.tokens.len() > cfg.n_ctx {
        return Err(Error::input(
            "input.length",
            format!("a prompt has {} tokens, expected 1 to {} (n_ctx)", run.tokens.len(), cfg.n_ctx),
        ));
    }
    if let Some(token) = run.tokens.iter().find(|token| **token as usize >= cfg.d_vocab) {
        return Err(Error::input(
            "input.token",
            format!(
                "token id {token} is outside the vocabulary of {} (0 to {})",
                cfg.d_vocab,
                cfg.d_vocab - 1
            ),
        ));
    }
    if let Some(base) = run.base
        && runs
            .get(base)
            .is_none_or(|b| starts[base] != 0 || b.tokens != run.tokens || !b.interventions.is_empty())
    {
        return Err(Error::internal(format!(
            "run {i}: base {base} is not an unedited run of the same tokens"
        )));
    }
    for intervention in &run.interventions {
        let Edit::Patch { from } = intervention.edit else { continue };
        let same =
            runs.get(from).is_some_and(|f| f.tokens.len() == run.tokens.len() && starts[from] <= starts[i]);
        if !same {
            return Err(Error::internal(format!("run {i}: run {from} cannot be patched from")));
        }
    }
    Ok(())
}

fn is_final(site: Site) -> bool {
    matches!(site, Site::LnFinalScale | Site::LnFinalNormalized)
}

/// The positions whose final LayerNorm a run needs: all where it is read or anybody in the batch edits it.
fn final_positions(run: &Run, final_edits: bool) -> std::ops::Range<usize> {
    let (len, readout) = (run.tokens.len(), &run.readout);
    let last = readout.last_logits || readout.logit_diff.is_some();
    let all = final_edits || readout.hooks.iter().any(|hook| is_final(hook.site));
    match (all, readout.loss, last) {
        (true, _, _) | (_, true, true) => 0..len,
        (_, true, _) => 0..len - 1,
        (_, _, true) => len - 1..len,
        _ => 0..0,
    }
}
