//! One layer's weights on their way, in the order that each step needs what the one before made.

use super::{Stream, svd};
use crate::error::Result;
use crate::weights::{Part, Sink, Weight, as_rows, pieces};
use microtome_loops as loops;

/// LayerNorm's weight and bias before a matrix, where they are folded into it.
type Fold<'a> = Option<[&'a [f32]; 2]>;

/// Attention's matrices of one layer, kept whole where they are factored anew.
#[derive(Default)]
struct Attention {
    w_q: Vec<f32>,
    w_k: Vec<f32>,
    w_v: Vec<f32>,
    w_o: Vec<f32>,
}

impl<S: Sink> Stream<'_, S> {
    /// Sends the weights of a layer.
    pub(super) async fn layer(&mut self, layer: usize) -> Result<()> {
        let w = |part| Weight::Block(layer, part);
        let norms = [Part::Ln1W, Part::Ln1B, Part::Ln2W, Part::Ln2B];
        let mut ln = Vec::new();
        for part in norms {
            ln.push(self.vector(w(part)).await?);
        }
        let fold =
            |first: usize| self.steps.fold_ln.then_some([ln[first].as_slice(), ln[first + 1].as_slice()]);
        let folds = [fold(0), fold(2)];
        if !self.steps.fold_ln {
            for (part, values) in norms.into_iter().zip(&ln) {
                self.sink.write(w(part), 0, values).await?;
            }
        }

        let refactor = self.steps.refactor_factored_attn_matrices;
        let mut kept = refactor.then(Attention::default);
        let matrices = [Part::WQ, Part::WK, Part::WV].map(w);
        let mut biases = self.raw.rows(&[Part::BQ, Part::BK, Part::BV].map(w), 0..1).await?;
        self.folded(&matrices, &mut biases, folds[0], kept.as_mut()).await?;
        let d = self.cfg.d_model;
        let mut b_o = self.vector(w(Part::BO)).await?;
        if self.steps.center_writing_weights {
            loops::center(&mut b_o);
        }
        let fold_b_v = (self.steps.fold_value_biases || refactor).then(|| biases[2 * d..].to_vec());
        self.written(w(Part::WO), fold_b_v.as_deref().map(|b_v| (b_v, &mut b_o)), kept.as_mut()).await?;
        if fold_b_v.is_some() {
            biases[2 * d..].fill(0.0);
        }
        if let Some(mut kept) = kept {
            kept.refactor(&mut biases[..2 * d], [self.cfg.n_heads, d, self.cfg.d_head]);
            let Attention { w_q, w_k, w_v, w_o } = kept;
            for (part, values) in
                [Part::WQ, Part::WK, Part::WV, Part::WO].into_iter().zip([w_q, w_k, w_v, w_o])
            {
                self.sink.write(w(part), 0, &values).await?;
            }
        }
        for (part, values) in [Part::BQ, Part::BK, Part::BV].into_iter().zip(biases.chunks_exact(d)) {
            self.sink.write(w(part), 0, values).await?;
        }
        self.sink.write(w(Part::BO), 0, &b_o).await?;

        let mut b_in = self.vector(w(Part::BIn)).await?;
        self.folded(&[w(Part::WIn)], &mut b_in, folds[1], None).await?;
        self.sink.write(w(Part::BIn), 0, &b_in).await?;
        let mut b_out = self.vector(w(Part::BOut)).await?;
        if self.steps.center_writing_weights {
            loops::center(&mut b_out);
        }
        self.written(w(Part::WOut), None, None).await?;
        self.sink.write(w(Part::BOut), 0, &b_out).await
    }

    /// Matrices that stand side by side behind a LayerNorm. Folded: `b += ln.b · W`, then `W = ln.w · W` row by row, then
    /// each column loses its mean over `d_model`.
    async fn folded(
        &mut self,
        matrices: &[Weight],
        biases: &mut [f32],
        fold: Fold<'_>,
        mut keep: Option<&mut Attention>,
    ) -> Result<()> {
        let width = biases.len();
        let mut means = Vec::new();
        if let Some([ln_w, ln_b]) = fold {
            means = vec![0.0f64; width];
            let mut sums: Vec<f64> = biases.iter().map(|b| f64::from(*b)).collect();
            for rows in pieces(matrices, self.cfg) {
                let values = self.raw.rows(matrices, rows.clone()).await?;
                for (row, i) in values.chunks_exact(width).zip(rows) {
                    let (w, b) = (ln_w[i], f64::from(ln_b[i]));
                    loops::add_scaled_to_wide(&mut sums, b, row);
                    loops::add_rounded_to_wide(&mut means, w, row);
                }
            }
            biases.iter_mut().zip(sums).for_each(|(b, sum)| *b = sum as f32);
            means.iter_mut().for_each(|mean| *mean /= ln_w.len() as f64);
        }
        let n = width / matrices.len();
        for rows in pieces(matrices, self.cfg) {
            let mut values = self.raw.rows(matrices, rows.clone()).await?;
            if let Some([ln_w, _]) = fold {
                for (row, i) in values.chunks_exact_mut(width).zip(rows.clone()) {
                    loops::scale_and_center(row, ln_w[i], &means);
                }
            }
            for (part, matrix) in matrices.iter().enumerate() {
                let mut piece = Vec::with_capacity(rows.len() * n);
                for row in values.chunks_exact(width) {
                    piece.extend_from_slice(&row[part * n..(part + 1) * n]);
                }
                match &mut keep {
                    Some(kept) => kept.qkv(part).extend(piece),
                    None => self.sink.write(*matrix, rows.start * n, &piece).await?,
                }
            }
        }
        Ok(())
    }

    /// A matrix that writes to the residual stream: centred, its rows lose their means. `bias` is `(v, b)` of
    /// `b += v · W`.
    async fn written(
        &mut self,
        matrix: Weight,
        bias: Option<(&[f32], &mut Vec<f32>)>,
        mut keep: Option<&mut Attention>,
    ) -> Result<()> {
        let [_, width] = as_rows(matrix, self.cfg);
        let mut sums: Vec<f64> = bias.iter().flat_map(|(_, b)| b.iter()).map(|b| f64::from(*b)).collect();
        for rows in pieces(&[matrix], self.cfg) {
            let mut values = self.raw.rows(&[matrix], rows.clone()).await?;
            if self.steps.center_writing_weights {
                values.chunks_exact_mut(width).for_each(loops::center);
            }
            if let Some((v, _)) = &bias {
                for (row, i) in values.chunks_exact(width).zip(rows.clone()) {
                    loops::add_scaled_to_wide(&mut sums, f64::from(v[i]), row);
                }
            }
            match &mut keep {
                Some(kept) => kept.w_o.extend(values),
                None => self.sink.write(matrix, rows.start * width, &values).await?,
            }
        }
        if let Some((_, b)) = bias {
            b.iter_mut().zip(sums).for_each(|(b, sum)| *b = sum as f32);
        }
        Ok(())
    }
}

impl Attention {
    fn qkv(&mut self, part: usize) -> &mut Vec<f32> {
        match part {
            0 => &mut self.w_q,
            1 => &mut self.w_k,
            _ => &mut self.w_v,
        }
    }

    /// `W_Q, W_K = U√S, V√S` of `[W_Q; b_Q] [W_K; b_K]ᵀ`, and `W_V, W_O = US, Vᵀ` of `W_V W_O`, per head. `biases` are
    /// b_Q and b_K.
    fn refactor(&mut self, biases: &mut [f32], [n_heads, d_model, d_head]: [usize; 3]) {
        let (b_q, b_k) = biases.split_at_mut(d_model);
        for head in 0..n_heads {
            let columns = head * d_head..(head + 1) * d_head;
            let q = svd::Matrix::from_columns(&self.w_q, d_model, columns.clone())
                .with_row(&b_q[columns.clone()]);
            let k = svd::Matrix::from_columns(&self.w_k, d_model, columns.clone())
                .with_row(&b_k[columns.clone()]);
            let (mut u, s, mut v) = svd::of_product(&q, &k);
            for (i, s) in s.iter().enumerate() {
                u.scale_column(i, s.sqrt());
                v.scale_column(i, s.sqrt());
            }
            u.write_columns(&mut self.w_q, d_model, columns.clone());
            v.write_columns(&mut self.w_k, d_model, columns.clone());
            b_q[columns.clone()].copy_from_slice(&u.row(d_model));
            b_k[columns.clone()].copy_from_slice(&v.row(d_model));

            let values = svd::Matrix::from_columns(&self.w_v, d_model, columns.clone());
            let output = svd::Matrix::from_rows(&self.w_o, d_model, columns.clone());
            let (mut u, s, v) = svd::of_product(&values, &output);
            s.iter().enumerate().for_each(|(i, s)| u.scale_column(i, *s));
            u.write_columns(&mut self.w_v, d_model, columns.clone());
            v.write_rows(&mut self.w_o, d_model, columns);
        }
    }
}
