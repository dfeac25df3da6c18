//! Attention of a batch: projections, and which query looks at which keys.

use super::builder::Builder;
use super::extent::{Fork, overlap};
use super::layout::Layout;
use crate::error::Result;
use crate::hook::Site;
use crate::program::{Attn, AttnRow, Buf, Op, Projection, Rows, Then};
use crate::weights::{Part, Weight};
use std::sync::Arc;

impl Builder<'_> {
    pub(super) fn linear(
        &mut self,
        x: Rows,
        (w, b): (Weight, Weight),
        out: Buf,
        then: Then,
        [rows, k, n]: [usize; 3],
    ) {
        self.emit(Op::Linear { x, w, b, out, then, rows, k, n }, out, rows * n);
    }

    pub(super) fn add(&mut self, a: Rows, b: Rows, out: Buf, rows: usize) {
        let width = self.cfg.d_model;
        self.emit(Op::Add { a, b, out, first: 0, rows, width }, out, rows * width);
    }

    /// q, k and v of all rows with their hooks. In the last layer only the queries that are looked at are computed;
    /// returns the layout of the queries.
    pub(super) fn project(&mut self, layer: usize, pre: &Layout) -> Result<Layout> {
        let (heads, d_model, d_head) = (self.cfg.n_heads, self.cfg.d_model, self.cfg.d_head);
        let w = |part| Weight::Block(layer, part);
        let ln = (w(Part::Ln1W), w(Part::Ln1B));
        let q = (Site::QInput, Buf::QInput, Part::WQ, Part::BQ, Buf::Q);
        let k = (Site::KInput, Buf::KInput, Part::WK, Part::BK, Buf::K);
        let v = (Site::VInput, Buf::VInput, Part::WV, Part::BV, Buf::V);
        let mut queries = pre.clone();
        let mut together = Vec::new();
        for (site, input, weight, bias, out) in [q, k, v] {
            self.grow(out, pre.rows() * d_model);
            if self.head_input(site, input, layer, pre)? {
                let (x, rows) = (Buf::HeadNormalized, pre.rows()); // [pos, head, d_model]
                self.plain_layer_norm(Rows::all(input), ln, x, rows * heads);
                let (w, b) = (w(weight), w(bias));
                self.emit(
                    Op::HeadLinear { x, w, b, out, rows, heads, k: d_model, n: d_head },
                    out,
                    rows * d_model,
                );
            } else if out == Buf::Q && layer + 1 == self.cfg.n_layers {
                queries = Layout::new(self.runs.len());
                for run in pre.runs() {
                    queries.push(*run, overlap(&pre.positions(*run), &self.extents[*run].last));
                }
                let x = self.rows(Buf::Normalized, pre, &queries)?;
                let size = [queries.rows(), d_model, d_model];
                self.linear(x, (w(weight), w(bias)), out, Then::Store, size);
            } else {
                together.push(Projection { w: w(weight), b: w(bias), out });
            }
        }
        if !together.is_empty() {
            let (x, rows) = (Buf::Normalized, pre.rows());
            self.program.ops.push(Op::Projections { x, parts: together, rows, k: d_model, n: d_model });
        }
        self.hook(Site::Q, layer, Buf::Q, &queries)?;
        self.hook(Site::K, layer, Buf::K, pre)?;
        self.hook(Site::V, layer, Buf::V, pre)?;
        Ok(queries)
    }

    /// The rows behind the attention of a layer: of every run that has left its base, all positions from the first that
    /// differs; in the last layer only those that are looked at.
    pub(super) fn attended(&self, layer: usize, pre: &Layout) -> Layout {
        let mut layout = Layout::new(self.runs.len());
        let aliased = self.forks(layer, Fork::ResidPre);
        let aliased = aliased.into_iter().filter(|run| pre.positions(*run).is_empty());
        // A run whose stream is another's from this layer on has no rows yet.
        for run in pre.runs().iter().copied().chain(aliased) {
            let looked_at = self.looked_at(run, layer);
            layout.push(run, self.extents[run].first.max(looked_at.start)..looked_at.end);
        }
        layout
    }

    /// Elements of the scores of these rows: one `[head, dest, src]` block per run.
    pub(super) fn score_len(&self, attended: &Layout) -> usize {
        let len = |run: &usize| attended.positions(*run).len() * self.runs[*run].tokens.len();
        attended.runs().iter().map(len).sum::<usize>() * self.cfg.n_heads
    }

    /// For every row behind the attention its query, keys and values.
    pub(super) fn attn(
        &self,
        layer: usize,
        pre: &Layout,
        queries: &Layout,
        attended: &Layout,
    ) -> Result<Arc<Attn>> {
        let mut attn = Attn::default();
        let mut block = 0;
        for run in attended.runs() {
            let dests = attended.positions(*run);
            let len = self.runs[*run].tokens.len();
            let list = attn.src_rows.len() as u32;
            let seen = if layer + 1 == self.cfg.n_layers { dests.end } else { self.extents[*run].end };
            for src in 0..seen {
                attn.src_rows.push(self.row(pre, *run, src)? as u32);
            }
            for dest in dests.clone() {
                attn.rows.push(AttnRow {
                    q: self.row(queries, *run, dest)? as u32,
                    dest: dest as u32,
                    len: len as u32,
                    keys: list,
                    values: list,
                    score: (block + (dest - dests.start) * len) as u32,
                    score_stride: (dests.len() * len) as u32,
                    head: 0,
                });
            }
            block += self.cfg.n_heads * dests.len() * len;
        }
        Ok(Arc::new(attn))
    }
}
