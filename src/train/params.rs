//! The weights while they are trained.

use super::rng::Rng;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::weights::{Part, Weight, Weights};
use candle_core::{Device, Tensor, Var};
use std::collections::BTreeMap;

/// Every trained weight of a model, by TransformerLens' name, in the layout of [`Weight::shape`].
///
/// The unembedding is the embedding (tied, as in GPT-2) and has no bias, so there is neither.
pub struct Params {
    pub cfg: Config,
    vars: BTreeMap<Weight, Var>,
}

impl Params {
    /// GPT-2's first weights: normal with deviation 0.02, less by `sqrt(2 n_layers)` where a matrix adds to the
    /// residual stream; biases 0; LayerNorm 1 and 0. Larger ones (0.05, GPT-2's gain at a width of 128) did worse in
    /// two trials: the loss fell faster, held-out questions were answered later.
    ///
    /// Positions are the exception: they begin as sinusoids (Vaswani et al., "Attention Is All You Need", 2017) of the
    /// same deviation, with wavelengths from 2π to 2π · n_ctx, and are trained from there. "The token before" is then
    /// one rotation for all positions rather than something to learn at each of them.
    pub fn new(cfg: &Config, rng: &Rng) -> Result<Self> {
        let mut vars = BTreeMap::new();
        for weight in Weight::stored(cfg) {
            let mut rng = rng.fork(&weight.to_string());
            let shape = weight.shape(cfg);
            let n: usize = shape.iter().product();
            let values = match start(weight, cfg) {
                Start::Normal(deviation) => (0..n).map(|_| deviation * rng.normal()).collect(),
                Start::Constant(value) => vec![value; n],
                Start::Sinusoids(deviation) => sinusoids(deviation, cfg),
            };
            vars.insert(weight, Var::from_vec(values, shape, &Device::Cpu)?);
        }
        Ok(Self { cfg: cfg.clone(), vars })
    }

    /// A weight as a tensor that records gradients.
    pub fn get(&self, weight: Weight) -> Result<&Tensor> {
        let var = self.vars.get(&weight);
        var.map(Var::as_tensor).ok_or_else(|| Error::internal(format!("weight {weight} is not trained")))
    }

    /// The trained weights: matrices, which weight decay pulls towards 0, and vectors, which it leaves alone.
    pub fn matrices_and_vectors(&self) -> (Vec<Var>, Vec<Var>) {
        self.vars.values().cloned().partition(|var| var.rank() > 1)
    }

    /// The weights as a file would hold them.
    pub fn weights(&self) -> Result<Weights> {
        let mut weights = Weights::new(self.cfg.clone());
        for (weight, var) in &self.vars {
            weights.set(*weight, var.flatten_all()?.to_vec1::<f32>()?)?;
        }
        Ok(weights)
    }
}

enum Start {
    Normal(f32),
    Constant(f32),
    Sinusoids(f32),
}

fn start(weight: Weight, cfg: &Config) -> Start {
    let deviation = 0.02;
    match weight {
        Weight::PosEmbed => Start::Sinusoids(deviation),
        Weight::LnFinalW | Weight::Block(_, Part::Ln1W | Part::Ln2W) => Start::Constant(1.0),
        Weight::Block(_, Part::WO | Part::WOut) => {
            Start::Normal(deviation / (2.0 * cfg.n_layers as f32).sqrt())
        }
        Weight::Embed | Weight::Block(_, Part::WQ | Part::WK | Part::WV | Part::WIn) => {
            Start::Normal(deviation)
        }
        _ => Start::Constant(0.0),
    }
}

/// `[n_ctx, d_model]`: pairs of a sine and a cosine, whose wavelengths grow from one pair to the next.
fn sinusoids(deviation: f32, cfg: &Config) -> Vec<f32> {
    let amplitude = deviation * std::f32::consts::SQRT_2;
    let value = |pos: usize, i: usize| {
        let frequency = (cfg.n_ctx as f32).powf(-((i / 2 * 2) as f32) / cfg.d_model as f32);
        let angle = pos as f32 * frequency;
        amplitude * if i.is_multiple_of(2) { angle.sin() } else { angle.cos() }
    };
    (0..cfg.n_ctx).flat_map(|pos| (0..cfg.d_model).map(move |i| value(pos, i))).collect()
}
