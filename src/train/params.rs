//! The weights while they are trained.

use super::rng::Rng;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::weights::{Part, Weight, Weights};
use candle_core::{Device, Tensor, Var};
use std::collections::BTreeMap;

/// Every trained weight of a model, by TransformerLens' name, in the layout of [`Weight::shape`].
///
/// The unembedding is the embedding (tied, as in GPT-2) and has no bias, so neither is stored.
pub struct Params {
    pub cfg: Config,
    vars: BTreeMap<Weight, Var>,
}

impl Params {
    /// GPT-2's first weights: normal, smaller by `sqrt(2 n_layers)` where a matrix adds to the residual stream; biases
    /// 0; LayerNorm 1 and 0. The deviation is GPT-2's 0.02 at its width of 768, and grows as a narrower model needs to
    /// have the same gain: attention scores that begin near 0 take long to leave it.
    pub fn new(cfg: &Config, rng: &Rng) -> Result<Self> {
        let mut vars = BTreeMap::new();
        for weight in Weight::all(cfg).filter(|w| !matches!(w, Weight::Unembed | Weight::UnembedBias)) {
            let mut rng = rng.fork(&weight.to_string());
            let shape = weight.shape(cfg);
            let n: usize = shape.iter().product();
            let values = match start(weight, cfg) {
                Start::Normal(deviation) => (0..n).map(|_| deviation * rng.normal()).collect(),
                Start::Constant(value) => vec![value; n],
            };
            vars.insert(weight, Var::from_vec(values, shape, &Device::Cpu)?);
        }
        Ok(Self { cfg: cfg.clone(), vars })
    }

    /// A weight as a tensor that records gradients.
    pub fn get(&self, weight: Weight) -> Result<&Tensor> {
        let weight = if weight == Weight::Unembed { Weight::Embed } else { weight };
        let var = self.vars.get(&weight);
        var.map(Var::as_tensor).ok_or_else(|| Error::internal(format!("weight {weight} is not trained")))
    }

    /// The trained weights: matrices, which weight decay pulls towards 0, and vectors, which it leaves alone.
    pub fn matrices_and_vectors(&self) -> (Vec<Var>, Vec<Var>) {
        self.vars.values().cloned().partition(|var| var.rank() > 1)
    }

    /// The weights as the engines take them.
    pub fn weights(&self) -> Result<Weights> {
        let mut weights = Weights::new(self.cfg.clone());
        for (weight, var) in &self.vars {
            weights.set(*weight, var.flatten_all()?.to_vec1::<f32>()?)?;
        }
        weights.set(Weight::Unembed, weights.get(Weight::Embed)?.clone())?;
        weights.set(Weight::UnembedBias, vec![0.0; self.cfg.d_vocab])?;
        Ok(weights)
    }
}

enum Start {
    Normal(f32),
    Constant(f32),
}

fn start(weight: Weight, cfg: &Config) -> Start {
    let deviation = 0.02 * (768.0 / cfg.d_model as f32).sqrt();
    match weight {
        Weight::LnFinalW | Weight::Block(_, Part::Ln1W | Part::Ln2W) => Start::Constant(1.0),
        Weight::Block(_, Part::WO | Part::WOut) => {
            Start::Normal(deviation / (2.0 * cfg.n_layers as f32).sqrt())
        }
        Weight::Embed | Weight::PosEmbed | Weight::Block(_, Part::WQ | Part::WK | Part::WV | Part::WIn) => {
            Start::Normal(deviation)
        }
        _ => Start::Constant(0.0),
    }
}
