//! Attention of a batch: projections, and which query looks at which keys.

use super::builder::Builder;
use super::extent::{Fork, overlap};
use super::layout::Layout;
use crate::error::Result;
use crate::hook::Site;
use crate::program::{Attn, AttnRow, Buf, Op, Projection, Rows, Src, Then};
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

    /// Whether the keys and values of a layer are left out, and its heads look at the normalised rows themselves:
    ///
    /// `q·k = q · (x W_K + b_K) = (q W_Kᵀ) · x + q · b_K`, whose last term the softmax does not see, and
    /// `Σ pattern · v = (Σ pattern · x) W_V + b_V`, as a pattern adds up to 1.
    ///
    /// So W_K and W_V are multiplied with the rows that look, not with those that are looked at, which the last layer of
    /// a sweep has more of; each head then looks at `d_model` numbers instead of `d_head`. It is done where it takes fewer
    /// operations and nobody looks at what is left out. A single run would save a hundredth of its work for three ops
    /// more.
    pub(super) fn attends_by_rows(&self, layer: usize, pre: &Layout, attended: &Layout) -> bool {
        use Site::{AttnIn, AttnScores, K, KInput, Pattern, Q, QInput, V, VInput};
        let sites = [AttnIn, QInput, KInput, VInput, Q, K, V, AttnScores, Pattern];
        if self.runs.len() == 1 || sites.iter().any(|site| self.shows(*site, layer)) {
            return false;
        }
        let (d, heads) = (self.cfg.d_model, self.cfg.n_heads);
        let (queries, rows) = (self.queries(layer, pre).rows(), attended.rows());
        let fits = queries.max(rows) * heads * d <= self.limits.buffer_elements;
        let pairs = attended.iter().map(|(_, dest)| dest + 1).sum::<usize>();
        // Of multiply-adds, divided by d_model.
        fits && (queries + rows) * d + 2 * pairs * heads < 2 * pre.rows() * d + 2 * pairs
    }

    /// z of the attended rows from the normalised rows that they look at.
    pub(super) fn attend_to_rows(
        &mut self,
        layer: usize,
        attn: &Arc<Attn>,
        queries: &Layout,
        attended: &Layout,
    ) {
        let (heads, d_model, d_head) = (self.cfg.n_heads, self.cfg.d_model, self.cfg.d_head);
        let scale = self.cfg.attn_scale(layer);
        let w = |part| Weight::Block(layer, part);
        // [pos, head, d_model]: what is looked for, then what is found.
        let (wide, seen) = (Buf::HeadNormalized, Src::shared(Buf::Normalized));
        let (x, rows) = (Buf::Q, queries.rows());
        let op = Op::HeadTransposed { x, w: w(Part::WK), out: wide, rows, heads, k: d_model, n: d_head };
        self.emit(op, wide, rows * heads * d_model);
        let (scores, pattern, len) = (Buf::AttnScores, Buf::Pattern, self.score_len(attended));
        let (q, keys, out, d) = (wide, seen, scores, d_model);
        let op = Op::AttnScores { attn: attn.clone(), q, keys, out, heads, d_head: d, scale };
        self.emit(op, scores, len);
        self.emit(Op::Pattern { attn: attn.clone(), scores, out: pattern, heads }, pattern, len);
        let (values, out, causal) = (seen, wide, true);
        let op = Op::Z { attn: attn.clone(), pattern, values, out, first: 0, heads, d_head: d, causal };
        let rows = attended.rows();
        self.emit(op, wide, rows * heads * d_model);
        let (x, w, b, out) = (wide, w(Part::WV), w(Part::BV), Buf::Z);
        self.emit(Op::HeadLinear { x, w, b, out, rows, heads, k: d_model, n: d_head }, out, rows * d_model);
    }

    /// The rows whose queries are computed: in the last layer those that are looked at.
    fn queries(&self, layer: usize, pre: &Layout) -> Layout {
        if layer + 1 < self.cfg.n_layers {
            return pre.clone();
        }
        let mut queries = Layout::new(self.runs.len());
        for run in pre.runs() {
            queries.push(*run, overlap(&pre.positions(*run), &self.extents[*run].last));
        }
        queries
    }

    /// q, k and v of all rows with their hooks, but for keys and values where the heads look at the rows themselves. In
    /// the last layer only the queries that are looked at are computed; returns the layout of the queries.
    pub(super) fn project(&mut self, layer: usize, pre: &Layout, by_rows: bool) -> Result<Layout> {
        let (heads, d_model, d_head) = (self.cfg.n_heads, self.cfg.d_model, self.cfg.d_head);
        let w = |part| Weight::Block(layer, part);
        let ln = (w(Part::Ln1W), w(Part::Ln1B));
        let q = (Site::QInput, Buf::QInput, Part::WQ, Part::BQ, Buf::Q);
        let k = (Site::KInput, Buf::KInput, Part::WK, Part::BK, Buf::K);
        let v = (Site::VInput, Buf::VInput, Part::WV, Part::BV, Buf::V);
        let mut queries = pre.clone();
        let mut together = Vec::new();
        for (site, input, weight, bias, out) in [q, k, v] {
            if by_rows && out != Buf::Q {
                continue;
            }
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
                queries = self.queries(layer, pre);
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
        if by_rows {
            return Ok(queries);
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
