//! Weight processing with TransformerLens' maths (`HookedTransformer.load_and_process_state_dict`, 2.18), in its order.
//! None of it changes what the model predicts: log-probabilities, patterns and logit differences stay; single logits
//! shift by a constant per position. What single activations mean does change, so every result names its processing.
//!
//! Weights go from their files through here to an engine in pieces, a matrix whose columns lose their means twice: once to
//! find the means, once to take them away. Sums and means are taken in f64 and rounded once.
//!
//! The embedding and the unembedding, one table of the size of all else together, are left as they are stored; what
//! processing does to them is done to what goes in and comes out:
//! - centred, `W_E[v]` loses its own mean, which stands beside it as [`Weight::EmbedMean`];
//! - folded, `W_U[v] = w ∘ W_U[v] − its mean`, and `W_U[v] · x` is the stored row times `w ∘ (x − mean x)`, which is what
//!   the final LayerNorm gives when it keeps its `w` ([`Weight::LnFinalW`], and zeros for [`Weight::LnFinalB`], as `b` is
//!   in `b_U`);
//! - centred over the vocabulary, every logit of a position loses the mean of them, for [`Processed::center_logits`].

mod layer;
mod svd;

use crate::config::Config;
use crate::error::Result;
use crate::weights::{Raw, Sink, Storage, Weight, pieces};
use serde::{Deserialize, Serialize};

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

    /// Sends the processed weights to an engine, which keeps them as `storage` says.
    ///
    /// # Errors
    /// Those of [`Raw::rows`], of [`Sink::begin`] and of [`Sink::write`].
    pub async fn apply(self, raw: &dyn Raw, storage: Storage, sink: &mut impl Sink) -> Result<Processed> {
        let cfg = raw.cfg().clone();
        let used: Vec<Weight> = Weight::used(&cfg, self.fold_ln).collect();
        sink.begin(&cfg, &used, storage).await?;
        let mut stream = Stream { raw, sink, cfg: &cfg, steps: self };
        let b_u = stream.ends().await?;
        for layer in 0..cfg.n_layers {
            stream.layer(layer).await?;
        }
        Ok(Processed { ln_folded: self.fold_ln, logits_centered: self.center_unembed, b_u })
    }
}

/// What reading an engine's answers takes, beside the weights that it has.
#[derive(Clone, Debug)]
pub struct Processed {
    /// Whether LayerNorm's weights are folded.
    pub ln_folded: bool,
    logits_centered: bool,
    /// `[d_vocab]`
    pub b_u: Vec<f32>,
}

impl Processed {
    /// Turns one position's logits into those of the processed weights: `W_U` and `b_U` without their means over the
    /// vocabulary give logits without theirs.
    pub fn center_logits(&self, logits: &mut [f32]) {
        if self.logits_centered {
            microtome_loops::center(logits);
        }
    }
}

/// Weights on their way.
struct Stream<'a, S> {
    raw: &'a dyn Raw,
    sink: &'a mut S,
    cfg: &'a Config,
    steps: Processing,
}

impl<S: Sink> Stream<'_, S> {
    /// What stands before the layers and behind them; gives `b_U`.
    async fn ends(&mut self) -> Result<Vec<f32>> {
        let d = self.cfg.d_model;
        let [ln_w, mut ln_b] = [self.vector(Weight::LnFinalW).await?, self.vector(Weight::LnFinalB).await?];
        let unembed = Weight::unembed(self.cfg);
        let mut means = vec![0.0; self.cfg.d_vocab];
        let mut b_u = vec![0.0; self.cfg.d_vocab];
        for table in [Weight::Embed, Weight::Unembed] {
            if table == Weight::Unembed && unembed == Weight::Embed {
                continue;
            }
            for rows in pieces(&[table], self.cfg) {
                let values = self.raw.rows(&[table], rows.clone()).await?;
                for (token, row) in rows.clone().zip(values.chunks_exact(d)) {
                    if table == Weight::Embed && self.steps.center_writing_weights {
                        means[token] = microtome_loops::mean(row) as f32;
                    }
                    if table == unembed && self.steps.fold_ln {
                        b_u[token] =
                            row.iter().zip(&ln_b).map(|(w, b)| f64::from(*w) * f64::from(*b)).sum::<f64>()
                                as f32;
                    }
                }
                self.sink.write(table, rows.start * d, &values).await?;
            }
        }
        if self.steps.center_unembed {
            microtome_loops::center(&mut b_u);
        }
        if self.steps.fold_ln {
            ln_b.fill(0.0);
        }
        for rows in pieces(&[Weight::PosEmbed], self.cfg) {
            let mut values = self.raw.rows(&[Weight::PosEmbed], rows.clone()).await?;
            if self.steps.center_writing_weights {
                values.chunks_exact_mut(d).for_each(microtome_loops::center);
            }
            self.sink.write(Weight::PosEmbed, rows.start * d, &values).await?;
        }
        self.sink.write(Weight::EmbedMean, 0, &means).await?;
        self.sink.write(Weight::UnembedBias, 0, &b_u).await?;
        self.sink.write(Weight::LnFinalW, 0, &ln_w).await?;
        self.sink.write(Weight::LnFinalB, 0, &ln_b).await?;
        Ok(b_u)
    }

    async fn vector(&self, weight: Weight) -> Result<Vec<f32>> {
        self.raw.rows(&[weight], 0..1).await
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
