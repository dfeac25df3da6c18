//! The benchmark: a random model of GPT-2 small's shape, made here, and the experiments that are timed on it. The same
//! module serves `microtome bench` and, in a browser, `www/bench.html`.
//!
//! Times are the engine's own (`engine.milliseconds` of a result): from the experiment to its answer, without loading,
//! processing or uploading weights, which a first experiment does and which is reported apart.

mod measure;
mod report;

pub use measure::{Event, MatmulRate, Order, Product, matmul_rate, measure, prepare, run};
pub use report::{EngineReport, Report, Row};

use crate::config::{ActFn, Config};
use crate::error::{Error, Result};
use crate::experiment::{Experiment, Kind};
use crate::lab::Model;
use crate::weights::{Part, Raw, Rows, Weight, as_rows};
use serde::Serialize;
use serde_json::json;
use std::ops::Range;

/// The sizes of the random model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// 12 layers, 12 heads, d_model 768, 50,257 tokens: 124 million parameters.
    Gpt2Small,
    /// For tests of the benchmark itself: its times mean nothing.
    Tiny,
}

impl Shape {
    pub const NAMES: [&str; 2] = ["gpt2-small", "tiny"];

    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    pub fn config(self) -> Config {
        let (n_layers, n_heads, d_head, d_vocab, n_ctx) = match self {
            Shape::Gpt2Small => (12, 12, 64, 50_257, 1024),
            Shape::Tiny => (2, 2, 8, 61, 32),
        };
        let d_model = n_heads * d_head;
        Config {
            n_layers,
            n_heads,
            d_model,
            d_head,
            d_mlp: 4 * d_model,
            d_vocab,
            n_ctx,
            act_fn: ActFn::GeluNew,
            eps: 1e-5,
            scale_attn_by_inverse_layer_idx: false,
            scale_attn_weights: true,
            tie_word_embeddings: true,
            bos_token_id: None,
        }
    }
}

impl std::str::FromStr for Shape {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "gpt2-small" => Ok(Shape::Gpt2Small),
            "tiny" => Ok(Shape::Tiny),
            other => Err(Error::input(
                "input.shape",
                format!("shape is '{other}', expected one of {}", Self::NAMES.join(", ")),
            )),
        }
    }
}

/// A model with random weights, the same on every machine for the same seed.
pub fn model(shape: Shape, seed: u64) -> Model {
    let weights = RandomWeights { cfg: shape.config(), seed };
    Model::new(format!("random {}, seed {seed}", shape.name()), Box::new(weights))
}

/// About normal with deviation 0.02, as GPT-2 is initialised; LayerNorm's gains lie around 1 and the unembedding is the
/// embedding. They are drawn where they are read and kept nowhere, so that memory holds them once, on the engine.
struct RandomWeights {
    cfg: Config,
    seed: u64,
}

impl RandomWeights {
    fn draw(&self, parts: &[Weight], rows: Range<usize>) -> Result<Vec<f32>> {
        let streams = parts.iter().map(|weight| {
            let number = Weight::stored(&self.cfg).position(|stored| stored == *weight);
            let number = number.ok_or_else(|| Error::internal(format!("{weight} is not stored")))?;
            let gain = matches!(weight, Weight::LnFinalW | Weight::Block(_, Part::Ln1W | Part::Ln2W));
            let [_, n] = as_rows(*weight, &self.cfg);
            let mut stream = Stream::new(mix(self.seed).wrapping_add(number as u64));
            stream.skip(rows.start * n);
            Ok((stream, n, if gain { 1.0 } else { 0.0 }))
        });
        let mut streams = streams.collect::<Result<Vec<_>>>()?;
        let mut values = Vec::new();
        for _ in rows {
            for (stream, n, middle) in &mut streams {
                values.extend((0..*n).map(|_| *middle + 0.02 * stream.normal()));
            }
        }
        Ok(values)
    }
}

impl Raw for RandomWeights {
    fn cfg(&self) -> &Config {
        &self.cfg
    }

    fn rows(&self, parts: &[Weight], rows: Range<usize>) -> Rows<'_> {
        Box::pin(std::future::ready(self.draw(parts, rows)))
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Stream(u64);

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Stream {
    fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// As if so many numbers had been drawn.
    fn skip(&mut self, numbers: usize) {
        self.0 = self.0.wrapping_add((numbers as u64).wrapping_mul(STEP));
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// Near enough to normal with deviation 1, and quick: 124 million are drawn. The sum of four numbers of 16 bits,
    /// less its mean, over its deviation 65536 / √3.
    fn normal(&mut self) -> f32 {
        let bits = self.next();
        let sum: u64 = (0..4).map(|i| bits >> (16 * i) & 0xffff).sum();
        (sum as f32 - 131_070.0) / 37_837.2
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One experiment that is timed.
#[derive(Clone, Debug, Serialize)]
pub struct Case {
    /// One of [`Case::NAMES`].
    pub case: &'static str,
    /// For people.
    pub title: &'static str,
    /// Length of the prompt.
    pub tokens: usize,
    /// Whether it is a sweep: fewer repeats are enough.
    pub sweep: bool,
    #[serde(serialize_with = "as_value")]
    pub experiment: Experiment,
}

fn as_value<S: serde::Serializer>(experiment: &Experiment, to: S) -> Result<S::Ok, S::Error> {
    experiment.to_value().map_err(serde::ser::Error::custom)?.serialize(to)
}

/// How many tokens the two prompts of `patch_shared` have in common.
const SHARED: usize = 5;

impl Case {
    /// Name and title, in the order in which they run.
    pub const NAMES: [(&str, &str); 6] = [
        ("forward", "forward: all logits, loss"),
        ("forward_logit_diff", "forward: one logit difference"),
        ("ablate_logit_diff", "ablate every head: logit difference"),
        ("ablate_loss", "ablate every head: loss"),
        ("patch", "patch resid_pre, layer × pos"),
        ("patch_shared", "patch resid_pre, first 5 tokens shared"),
    ];

    /// The prompt lengths that are timed unless others are asked for.
    pub const LENGTHS: [usize; 2] = [11, 30];

    /// Every case for a model and each length of prompt.
    ///
    /// # Errors
    /// `input.tokens` where a length leaves nothing to patch or is longer than the model's context.
    pub fn all(cfg: &Config, lengths: &[usize]) -> Result<Vec<Case>> {
        let mut cases = Vec::new();
        for &tokens in lengths {
            if tokens <= SHARED || tokens > cfg.n_ctx {
                let message = format!("{tokens} tokens, expected {} to {}", SHARED + 1, cfg.n_ctx);
                return Err(Error::input("input.tokens", message));
            }
            for (case, title) in Self::NAMES {
                let experiment = Self::experiment(case, cfg, tokens)?;
                let sweep = matches!(experiment.kind, Kind::Ablate(_) | Kind::Patch(_));
                cases.push(Case { case, title, tokens, sweep, experiment });
            }
        }
        Ok(cases)
    }

    /// The cases with these names, or all where there are none.
    ///
    /// # Errors
    /// As [`Case::all`]; `input.case` where there is no such case.
    pub fn some(cfg: &Config, lengths: &[usize], only: &[String]) -> Result<Vec<Case>> {
        if let Some(unknown) = only.iter().find(|name| !Self::NAMES.iter().any(|(known, _)| known == name)) {
            let known = Self::NAMES.map(|(name, _)| name).join(", ");
            return Err(Error::input("input.case", format!("case is '{unknown}', expected some of {known}")));
        }
        let mut cases = Self::all(cfg, lengths)?;
        cases.retain(|case| only.is_empty() || only.iter().any(|name| name == case.case));
        Ok(cases)
    }

    fn experiment(case: &str, cfg: &Config, tokens: usize) -> Result<Experiment> {
        let mut stream = Stream::new(tokens as u64);
        let clean: Vec<usize> = (0..tokens).map(|_| stream.below(cfg.d_vocab)).collect();
        // Another token at every position; then the same ones at the first few.
        let other: Vec<usize> =
            clean.iter().map(|id| (id + 1 + stream.below(cfg.d_vocab - 1)) % cfg.d_vocab).collect();
        let shared = [&clean[..SHARED], &other[SHARED..]].concat();
        let logit_diff = json!({"kind": "logit_diff", "correct": 1, "incorrect": 2});
        let ablate = |metric| {
            json!({"version": 1, "kind": "ablate", "prompt": &clean, "site": "z", "edit": {"kind": "zero"},
                "axes": ["layer", "head"], "metric": metric})
        };
        let patch = |corrupted| {
            json!({"version": 1, "kind": "patch", "clean": &clean, "corrupted": corrupted, "site": "resid_pre",
                "axes": ["layer", "pos"],
                "metric": {"kind": "logit_diff", "correct": 1, "incorrect": 2, "normalize": true}})
        };
        let mut value = match case {
            "forward" => json!({"version": 1, "kind": "predict", "prompt": clean}),
            "forward_logit_diff" => json!({"version": 1, "kind": "logit_diff",
                "prompts": [{"prompt": clean, "correct": 1, "incorrect": 2}]}),
            "ablate_logit_diff" => ablate(logit_diff),
            "ablate_loss" => ablate(json!({"kind": "loss"})),
            "patch" => patch(other),
            "patch_shared" => patch(shared),
            other => return Err(Error::internal(format!("there is no case '{other}'"))),
        };
        // Raw weights for all of them: they are prepared once, and held once.
        value["processing"] = "none".into();
        Experiment::from_value(value)
    }
}
