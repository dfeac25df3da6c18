//! Weight processing with TransformerLens' maths (`HookedTransformer.load_and_process_state_dict`, 2.18), in its order.
//! None of it changes what the model predicts: log-probabilities, patterns and logit differences stay; single logits
//! shift by a constant per position. What single activations mean does change, so every result names its processing.

mod svd;

use crate::error::Result;
use crate::weights::{Part, Weight, Weights};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Which steps are applied. On the wire `"transformer_lens"`, `"none"` or an object of the five switches, where an
/// absent one has TransformerLens' default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub struct Processing {
    /// LayerNorm's weights and biases move into the matrices that follow.
    pub fold_ln: bool,
    /// What writes to the residual stream loses its mean over `d_model`, which LayerNorm removes anyway.
    pub center_writing_weights: bool,
    /// `W_U` and `b_U` lose their mean over the vocabulary, which softmax ignores.
    pub center_unembed: bool,
    /// `b_V` moves into `b_O`: patterns sum to 1, so it is a constant.
    pub fold_value_biases: bool,
    /// `W_Q W_Kᵀ` and `W_V W_O` are factored evenly by SVD.
    pub refactor_factored_attn_matrices: bool,
}

impl Processing {
    /// The defaults of TransformerLens 2.x.
    pub const TRANSFORMER_LENS: Self = Self {
        fold_ln: true,
        center_writing_weights: true,
        center_unembed: true,
        fold_value_biases: true,
        refactor_factored_attn_matrices: false,
    };

    /// Raw weights.
    pub const NONE: Self = Self {
        fold_ln: false,
        center_writing_weights: false,
        center_unembed: false,
        fold_value_biases: false,
        refactor_factored_attn_matrices: false,
    };

    /// The processed weights; tensors that no step touches are shared with the raw ones.
    ///
    /// # Errors
    /// Only when a weight is missing, which a loaded model's never is.
    pub fn apply(self, raw: &Weights) -> Result<Weights> {
        let mut weights = raw.clone();
        if self.fold_ln {
            fold_ln(&mut weights)?;
        }
        if self.center_writing_weights {
            center_writing_weights(&mut weights)?;
        }
        if self.center_unembed {
            center_unembed(&mut weights)?;
        }
        if self.fold_value_biases {
            for layer in 0..weights.cfg.n_layers {
                fold_value_biases(&mut weights, layer)?;
            }
        }
        if self.refactor_factored_attn_matrices {
            for layer in 0..weights.cfg.n_layers {
                refactor_layer(&mut weights, layer)?;
            }
        }
        Ok(weights)
    }
}

impl Default for Processing {
    fn default() -> Self {
        Self::TRANSFORMER_LENS
    }
}

impl Serialize for Processing {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match *self {
            Self::TRANSFORMER_LENS => serializer.serialize_str("transformer_lens"),
            Self::NONE => serializer.serialize_str("none"),
            // The derived form of `remote = "Self"`.
            _ => Self::serialize(self, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Processing {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        use serde::de::Error;
        const EXPECTED: &str = r#"expected "transformer_lens", "none" or an object of booleans"#;
        // By hand: an untagged enum would not name an unknown field.
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(name) if name == "transformer_lens" => Ok(Self::TRANSFORMER_LENS),
            serde_json::Value::String(name) if name == "none" => Ok(Self::NONE),
            serde_json::Value::String(name) => {
                Err(D::Error::custom(format!("unknown processing '{name}', {EXPECTED}")))
            }
            object @ serde_json::Value::Object(_) => Self::deserialize(object).map_err(D::Error::custom),
            other => Err(D::Error::custom(format!("processing is {other}, {EXPECTED}"))),
        }
    }
}

/// Takes a weight out to change it; sums and means are taken in f64 and rounded once.
fn change(weights: &mut Weights, name: Weight, f: impl FnOnce(&mut Vec<f32>)) -> Result<()> {
    let mut data = Vec::clone(weights.get(name)?);
    f(&mut data);
    weights.set(name, data)
}

fn fold_ln(weights: &mut Weights) -> Result<()> {
    for layer in 0..weights.cfg.n_layers {
        let w = |part| Weight::Block(layer, part);
        for (matrix, bias) in [(Part::WQ, Part::BQ), (Part::WK, Part::BK), (Part::WV, Part::BV)] {
            fold_into(weights, (w(Part::Ln1W), w(Part::Ln1B)), w(matrix), w(bias))?;
        }
        fold_into(weights, (w(Part::Ln2W), w(Part::Ln2B)), w(Part::WIn), w(Part::BIn))?;
        for part in [Part::Ln1W, Part::Ln1B, Part::Ln2W, Part::Ln2B] {
            weights.remove(w(part));
        }
    }
    fold_into_unembed(weights)?;
    weights.remove(Weight::LnFinalW);
    weights.remove(Weight::LnFinalB);
    Ok(())
}

/// `b += ln.b · W`, then `W = ln.w · W` row by row, then each column loses its mean over `d_model`.
fn fold_into(weights: &mut Weights, ln: (Weight, Weight), matrix: Weight, bias: Weight) -> Result<()> {
    let (ln_w, ln_b) = (Arc::clone(weights.get(ln.0)?), Arc::clone(weights.get(ln.1)?));
    let before = Arc::clone(weights.get(matrix)?);
    let n = before.len() / ln_w.len();
    change(weights, bias, |b| add_vector_times_matrix(b, &ln_b, &before))?;
    change(weights, matrix, |w| {
        w.chunks_exact_mut(n)
            .zip(ln_w.iter())
            .for_each(|(row, scale)| row.iter_mut().for_each(|x| *x *= scale));
        center_columns(w, n);
    })
}

/// The same for `W_U`, whose rows are tokens: `b_U` takes the unscaled `W_U · ln_final.b`.
fn fold_into_unembed(weights: &mut Weights) -> Result<()> {
    let (ln_w, ln_b) =
        (Arc::clone(weights.get(Weight::LnFinalW)?), Arc::clone(weights.get(Weight::LnFinalB)?));
    let (before, d) = (Arc::clone(weights.get(Weight::Unembed)?), weights.cfg.d_model);
    change(weights, Weight::UnembedBias, |b| {
        for (b, row) in b.iter_mut().zip(before.chunks_exact(d)) {
            let shift: f64 = row.iter().zip(ln_b.iter()).map(|(w, b)| f64::from(*w) * f64::from(*b)).sum();
            *b = (f64::from(*b) + shift) as f32;
        }
    })?;
    change(weights, Weight::Unembed, |w| {
        for row in w.chunks_exact_mut(d) {
            row.iter_mut().zip(ln_w.iter()).for_each(|(x, scale)| *x *= scale);
        }
        center_rows(w, d);
    })
}

fn center_writing_weights(weights: &mut Weights) -> Result<()> {
    let d = weights.cfg.d_model;
    let blocks = (0..weights.cfg.n_layers)
        .flat_map(|l| [Part::WO, Part::BO, Part::WOut, Part::BOut].map(|part| Weight::Block(l, part)));
    for name in [Weight::Embed, Weight::PosEmbed].into_iter().chain(blocks) {
        change(weights, name, |w| center_rows(w, d))?;
    }
    Ok(())
}

fn center_unembed(weights: &mut Weights) -> Result<()> {
    let d = weights.cfg.d_model;
    change(weights, Weight::Unembed, |w| center_columns(w, d))?;
    change(weights, Weight::UnembedBias, |b| center_columns(b, 1))
}

/// `b_O += b_V · W_O`, `b_V = 0`.
fn fold_value_biases(weights: &mut Weights, layer: usize) -> Result<()> {
    let w = |part| Weight::Block(layer, part);
    let (b_v, w_o) = (Arc::clone(weights.get(w(Part::BV))?), Arc::clone(weights.get(w(Part::WO))?));
    change(weights, w(Part::BO), |b| add_vector_times_matrix(b, &b_v, &w_o))?;
    change(weights, w(Part::BV), |b| b.fill(0.0))
}

/// `W_Q, W_K = U√S, V√S` of `[W_Q; b_Q] [W_K; b_K]ᵀ`, and `W_V, W_O = US, Vᵀ` of `W_V W_O`, per head.
fn refactor_layer(weights: &mut Weights, layer: usize) -> Result<()> {
    fold_value_biases(weights, layer)?;
    let w = |part| Weight::Block(layer, part);
    let (d_model, d_head) = (weights.cfg.d_model, weights.cfg.d_head);
    let mut parts = [Part::WQ, Part::BQ, Part::WK, Part::BK, Part::WV, Part::WO]
        .map(|part| weights.get(w(part)).map(|data| Vec::clone(data)));
    let [Ok(w_q), Ok(b_q), Ok(w_k), Ok(b_k), Ok(w_v), Ok(w_o)] = &mut parts else {
        return Err(crate::Error::internal(format!("layer {layer} has no attention weights")));
    };
    for head in 0..weights.cfg.n_heads {
        let columns = head * d_head..(head + 1) * d_head;
        let q = svd::Matrix::from_columns(w_q, d_model, columns.clone()).with_row(&b_q[columns.clone()]);
        let k = svd::Matrix::from_columns(w_k, d_model, columns.clone()).with_row(&b_k[columns.clone()]);
        let (mut u, s, mut v) = svd::of_product(&q, &k);
        for (i, s) in s.iter().enumerate() {
            u.scale_column(i, s.sqrt());
            v.scale_column(i, s.sqrt());
        }
        u.write_columns(w_q, d_model, columns.clone());
        v.write_columns(w_k, d_model, columns.clone());
        b_q[columns.clone()].copy_from_slice(&u.row(d_model));
        b_k[columns.clone()].copy_from_slice(&v.row(d_model));

        let values = svd::Matrix::from_columns(w_v, d_model, columns.clone());
        let output = svd::Matrix::from_rows(w_o, d_model, columns.clone());
        let (mut u, s, v) = svd::of_product(&values, &output);
        s.iter().enumerate().for_each(|(i, s)| u.scale_column(i, *s));
        u.write_columns(w_v, d_model, columns.clone());
        v.write_rows(w_o, d_model, columns);
    }
    let names = [Part::WQ, Part::BQ, Part::WK, Part::BK, Part::WV, Part::WO];
    for (part, data) in names.into_iter().zip(parts) {
        weights.set(w(part), data?)?;
    }
    Ok(())
}

/// `b[j] += Σ_i v[i] · m[i, j]`
fn add_vector_times_matrix(b: &mut [f32], v: &[f32], m: &[f32]) {
    let mut sums: Vec<f64> = b.iter().map(|b| f64::from(*b)).collect();
    for (v, row) in v.iter().zip(m.chunks_exact(b.len())) {
        sums.iter_mut().zip(row).for_each(|(sum, m)| *sum += f64::from(*v) * f64::from(*m));
    }
    b.iter_mut().zip(sums).for_each(|(b, sum)| *b = sum as f32);
}

/// Each row of `[_, width]` loses its own mean.
fn center_rows(m: &mut [f32], width: usize) {
    for row in m.chunks_exact_mut(width) {
        let mean = row.iter().map(|x| f64::from(*x)).sum::<f64>() / width as f64;
        row.iter_mut().for_each(|x| *x = (f64::from(*x) - mean) as f32);
    }
}

/// The mean over the rows of `[_, width]` is taken away from every row.
fn center_columns(m: &mut [f32], width: usize) {
    let mut means = vec![0.0f64; width];
    for row in m.chunks_exact(width) {
        means.iter_mut().zip(row).for_each(|(mean, x)| *mean += f64::from(*x));
    }
    let rows = (m.len() / width) as f64;
    for row in m.chunks_exact_mut(width) {
        row.iter_mut().zip(&means).for_each(|(x, mean)| *x = (f64::from(*x) - mean / rows) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_reads_back() {
        let refactor = Processing { refactor_factored_attn_matrices: true, ..Processing::TRANSFORMER_LENS };
        for processing in [Processing::TRANSFORMER_LENS, Processing::NONE, refactor] {
            let text = serde_json::to_string(&processing).unwrap();
            assert_eq!(serde_json::from_str::<Processing>(&text).unwrap(), processing, "{text}");
        }
        let read: Processing = serde_json::from_str(r#"{"refactor_factored_attn_matrices":true}"#).unwrap();
        assert_eq!(read, refactor);
    }

    #[test]
    fn unknown_names_and_fields_are_named() {
        for (text, word) in [(r#""raw""#, "'raw'"), (r#"{"fold":true}"#, "fold"), ("3", "3")] {
            let error = serde_json::from_str::<Processing>(text).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
