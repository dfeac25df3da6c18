//! Assembles a [`Program`]: who has rows where, and the ops that every stage uses.

use super::extent::{Extent, Fork, extents, overlap, reach_the_future};
use super::hooks::push;
use super::layout::Layout;
use super::run::{Limits, Run, RunOutput};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::hook::{Family, HookName, Site};
use crate::intervene::{Edit, Intervention};
use crate::program::{Buf, Op, Pick, Program, Rows, Segment};
use crate::weights::Weight;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// The buffers and weights of one LayerNorm.
pub(super) struct LayerNorm {
    pub(super) x: Buf,
    pub(super) scale: Buf,
    pub(super) out: Buf,
    pub(super) ln: (Weight, Weight),
}

pub(super) struct Builder<'a> {
    pub(super) cfg: &'a Config,
    pub(super) ln_folded: bool,
    pub(super) runs: &'a [Run],
    pub(super) limits: &'a Limits,
    pub(super) extents: Vec<Extent>,
    /// Whether no query looks at a later position.
    pub(super) causal: bool,
    /// Runs by where they leave their base.
    forks: BTreeMap<(usize, Fork), Vec<usize>>,
    /// Runs and their interventions by hook; runs and their slots by hook.
    edits: BTreeMap<HookName, Vec<(usize, Intervention)>>,
    pub(super) wants: BTreeMap<HookName, Vec<(usize, usize)>>,
    pub(super) program: Program,
    sizes: BTreeMap<Buf, usize>,
    pub(super) outputs: Vec<RunOutput>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        cfg: &'a Config,
        ln_folded: bool,
        runs: &'a [Run],
        given: &Arc<Vec<f32>>,
        limits: &'a Limits,
    ) -> Result<Self> {
        runs.iter().enumerate().try_for_each(|(i, run)| run.check(cfg, runs, i, given.len()))?;
        let causal = !reach_the_future(runs);
        let extents = extents(cfg, runs, causal);
        let mut forks: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        let mut edits: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut wants: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (i, (run, extent)) in runs.iter().zip(&extents).enumerate() {
            forks.entry((extent.layer, extent.fork)).or_default().push(i);
            for intervention in &run.interventions {
                edits.entry(intervention.hook).or_default().push((i, *intervention));
            }
            for (slot, hook) in run.readout.hooks.iter().enumerate() {
                wants.entry(*hook).or_default().push((i, slot));
            }
        }
        let slots = |run: &Run| RunOutput {
            hooks: vec![usize::MAX; run.readout.hooks.len()],
            ..RunOutput::default()
        };
        let mut builder = Self {
            cfg,
            ln_folded,
            runs,
            limits,
            extents,
            causal,
            forks,
            edits,
            wants,
            program: Program {
                ops: Vec::new(),
                output_len: 0,
                buffers: Vec::new(),
                d_model: cfg.d_model,
                d_vocab: cfg.d_vocab,
                n_heads: cfg.n_heads,
                eps: cfg.eps,
            },
            sizes: BTreeMap::new(),
            outputs: runs.iter().map(slots).collect(),
        };
        if !given.is_empty() {
            builder.emit(Op::Given { out: Buf::Given, values: Arc::clone(given) }, Buf::Given, given.len());
        }
        Ok(builder)
    }

    /// Adds an op that leaves `len` elements in `buf`.
    pub(super) fn emit(&mut self, op: Op, buf: Buf, len: usize) {
        self.grow(buf, len);
        self.program.ops.push(op);
    }

    pub(super) fn grow(&mut self, buf: Buf, len: usize) {
        let size = self.sizes.entry(buf).or_default();
        *size = (*size).max(len);
    }

    /// Whether anybody's edit at this hook is applied to rows that are there, or to rows that start there.
    pub(super) fn edits(&self, site: Site, layer: usize) -> bool {
        self.edits.contains_key(&HookName { site, layer })
    }

    pub(super) fn wants(&self, site: Site, layer: usize) -> bool {
        self.wants.contains_key(&HookName { site, layer })
    }

    /// Whether the activation must exist by itself, so that no op may run through it.
    pub(super) fn shows(&self, site: Site, layer: usize) -> bool {
        self.edits(site, layer) || self.wants(site, layer)
    }

    pub(super) fn interventions(&self, site: Site, layer: usize) -> &[(usize, Intervention)] {
        self.edits.get(&HookName { site, layer }).map_or(&[], Vec::as_slice)
    }

    pub(super) fn forks(&self, layer: usize, fork: Fork) -> Vec<usize> {
        self.forks.get(&(layer, fork)).cloned().unwrap_or_default()
    }

    /// The positions behind the attention of `layer` that are looked at later.
    pub(super) fn looked_at(&self, run: usize, layer: usize) -> Range<usize> {
        let extent = &self.extents[run];
        if layer + 1 == self.cfg.n_layers { extent.last.clone() } else { 0..extent.end }
    }

    /// The row of a run's position: its own, or that of the run that it has not left there.
    ///
    /// # Errors
    /// When nobody computes it, which the extents rule out.
    pub(super) fn row(&self, layout: &Layout, run: usize, pos: usize) -> Result<usize> {
        let mut at = run;
        loop {
            if let Some(row) = layout.own_row(at, pos) {
                return Ok(row);
            }
            let behind = match &self.extents[at].alias {
                Some((positions, from)) if positions.contains(&pos) => Some(*from),
                _ => self.runs[at].base,
            };
            at = behind
                .ok_or_else(|| Error::internal(format!("position {pos} of run {run} is not computed")))?;
        }
    }

    /// The rows of `buf` (in `layout`) that the rows of `to` correspond to.
    pub(super) fn rows(&self, buf: Buf, layout: &Layout, to: &Layout) -> Result<Rows> {
        let rows = to.iter().map(|(run, pos)| Ok(self.row(layout, run, pos)? as u32));
        let rows = rows.collect::<Result<Vec<u32>>>()?;
        let in_order = rows.iter().enumerate().all(|(i, row)| *row as usize == i);
        Ok(Rows { buf, pick: if in_order { Pick::From(0) } else { Pick::Rows(rows.into()) } })
    }

    /// Gives the runs that leave their base at `fork` rows of `buf`, behind those of `layout`: copies of the base's,
    /// unless their edit writes all of each.
    pub(super) fn fork(
        &mut self,
        layer: usize,
        fork: Fork,
        site: Site,
        buf: Buf,
        layout: &mut Layout,
    ) -> Result<()> {
        let width = self.row_width(site);
        let mut copies = Vec::new();
        for run in self.forks(layer, fork) {
            if self.extents[run].alias.is_some() {
                continue;
            }
            let mut positions = self.extents[run].differs.clone();
            if fork > Fork::ResidPre {
                positions = overlap(&positions, &self.looked_at(run, layer));
            }
            let written = matches!(self.runs[run].interventions.as_slice(),
                [only] if only.hook.site == site && !matches!(only.edit, Edit::Scale { .. }));
            if !written {
                for (i, pos) in positions.clone().enumerate() {
                    let (dst, src) = (layout.rows() + i, self.row(layout, run, pos)?);
                    push(
                        &mut copies,
                        Segment::copy((dst * width) as u32, (src * width) as u32, width as u32),
                    );
                }
            }
            layout.push(run, positions);
        }
        self.grow(buf, layout.rows() * width);
        self.edit(buf, buf, copies);
        Ok(())
    }

    /// Elements of one row of a site's buffer.
    pub(super) fn row_width(&self, site: Site) -> usize {
        match site.family(self.cfg) {
            Family::Pos { width } => width,
            Family::PosHead { width } => width * self.cfg.n_heads,
            Family::HeadDestSrc => 0,
        }
    }

    pub(super) fn repeat_heads(&mut self, x: Buf, out: Buf, rows: usize, heads: usize, width: usize) {
        self.emit(Op::RepeatHeads { x, out, rows, heads, width }, out, rows * heads * width);
    }

    fn affine(&self, ln: (Weight, Weight)) -> Option<(Weight, Weight)> {
        (!self.ln_folded).then_some(ln)
    }

    /// LayerNorm of rows into `out`, in one step where nobody looks at its scale.
    pub(super) fn layer_norm(
        &mut self,
        norm: LayerNorm,
        hooks: [HookName; 2],
        layout: &Layout,
    ) -> Result<()> {
        let LayerNorm { x, scale, out, ln } = norm;
        let (rows, affine) = (layout.rows(), self.affine(ln));
        let [scale_hook, hook] = hooks;
        if self.shows(scale_hook.site, scale_hook.layer) {
            self.emit(Op::LnScale { x, out: scale, rows }, scale, rows);
            self.hook(scale_hook.site, scale_hook.layer, scale, layout)?;
            self.emit(Op::LnNormalize { x, scale, affine, out, rows }, out, rows * self.cfg.d_model);
        } else {
            self.plain_layer_norm(Rows::all(x), ln, out, rows);
        }
        self.hook(hook.site, hook.layer, out, layout)
    }

    pub(super) fn plain_layer_norm(&mut self, x: Rows, ln: (Weight, Weight), out: Buf, rows: usize) {
        let op = Op::LayerNorm { x, affine: self.affine(ln), out, rows };
        self.emit(op, out, rows * self.cfg.d_model);
    }

    /// Makes `buf` the input of one of q, k, v with a head axis, where it is read or edited. True when it was edited,
    /// so that the projection must be taken from it.
    pub(super) fn head_input(&mut self, site: Site, buf: Buf, layer: usize, layout: &Layout) -> Result<bool> {
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
        let (rows, heads, d) = (layout.rows(), self.cfg.n_heads, self.cfg.d_model);
        if split {
            self.repeat_heads(Buf::AttnIn, buf, rows, 1, heads * d);
        } else {
            self.repeat_heads(Buf::Resid, buf, rows, heads, d);
        }
        self.hook(site, layer, buf, layout)?;
        Ok(split)
    }

    pub(super) fn finish(mut self) -> (Program, Vec<RunOutput>) {
        // What comes after the last copy to the output is for nobody: a pattern of the last layer needs no MLP behind it.
        if let Some(last) = self.program.ops.iter().rposition(|op| matches!(op, Op::Keep { .. })) {
            self.program.ops.truncate(last + 1);
        }
        self.program.buffers = self.sizes.into_iter().collect();
        (self.program, self.outputs)
    }
}
