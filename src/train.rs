//! Trains the default model: a small GPT-2 on generated text.
//!
//! ```text
//! corpus (story, words) → bpe → batch → forward (fused) → optimiser → evaluate → save
//! ```
//!
//! Everything random comes from one seed through streams of its own ([`rng::Rng::fork`]).

pub mod batch;
pub mod bpe;
pub mod corpus;
pub mod evaluate;
pub mod forward;
pub mod fused;
pub mod params;
pub mod rng;
pub mod save;
mod story;
#[rustfmt::skip]
pub mod words;

use crate::config::{ActFn, Config};
use crate::error::{Error, Result};
use crate::lab::Model;
use crate::weights::{ModelFiles, Weights};
use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use std::path::{Path, PathBuf};
use tokenizers::Tokenizer;

/// What to train, on how much, how fast.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub seed: u64,
    /// Optimiser steps.
    pub steps: usize,
    /// Rows of a batch.
    pub batch: usize,
    /// Tokens of a row. Every fourth batch has rows of `n_ctx` tokens instead, and fewer of them.
    pub len: usize,
    /// The highest learning rate, reached after `warm_up` steps; then it falls along a cosine to a twentieth.
    pub learning_rate: f64,
    pub warm_up: usize,
    /// Of matrices; vectors are not decayed.
    pub weight_decay: f64,
    /// Gradients whose norm is greater are scaled down to it.
    pub clip: f64,
    /// Share of rows that are random tokens, repeated.
    pub repeats: f64,
    pub n_layers: usize,
    pub n_heads: usize,
    pub d_model: usize,
    pub d_mlp: usize,
    pub d_vocab: usize,
    pub n_ctx: usize,
    /// Steps after which the weights are kept as checkpoints, beside the last; 0 is before the first step. Rising.
    pub checkpoints: Vec<usize>,
}

/// The default model's checkpoints: about as many in each doubling, and more where its circuits form (pronouns from step 250
/// to 450, indirect objects from 1,250 to 1,550, induction from 1,700 to 2,600).
const CHECKPOINTS: [usize; 12] = [0, 50, 200, 300, 400, 700, 1250, 1500, 1800, 2100, 2400, 3000];

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 0,
            steps: 4000,
            batch: 24,
            len: 64,
            learning_rate: 2e-3,
            warm_up: 100,
            weight_decay: 0.1,
            clip: 1.0,
            repeats: 0.33,
            n_layers: 4,
            n_heads: 8,
            d_model: 128,
            d_mlp: 512,
            d_vocab: 2048,
            n_ctx: 128,
            checkpoints: CHECKPOINTS.to_vec(),
        }
    }
}

impl Settings {
    /// The sizes of the model, with the vocabulary that training the tokeniser gave.
    fn config(&self, d_vocab: usize, bos: u32) -> Result<Config> {
        let json = serde_json::json!({
            "model_type": "gpt2",
            "n_layer": self.n_layers,
            "n_head": self.n_heads,
            "n_embd": self.d_model,
            "n_inner": self.d_mlp,
            "n_positions": self.n_ctx,
            "vocab_size": d_vocab,
            "bos_token_id": bos,
        });
        let cfg = Config::from_json(json.to_string().as_bytes())?;
        debug_assert_eq!(cfg.act_fn, ActFn::GeluNew);
        Ok(cfg)
    }

    fn check(&self) -> Result<()> {
        let at_least = |name: &str, value: usize, least: usize| {
            if value >= least {
                return Ok(());
            }
            Err(Error::input("train.settings", format!("{name} is {value}, expected at least {least}")))
        };
        at_least("steps", self.steps, 1)?;
        at_least("batch", self.batch, 1)?;
        at_least("len", self.len, 8)?;
        at_least("n_ctx", self.n_ctx, self.len)?;
        at_least("d_vocab", self.d_vocab, 512)?;
        if !self.checkpoints.is_sorted_by(|a, b| a < b) {
            let message = format!("checkpoints are {:?}, expected steps that rise", self.checkpoints);
            return Err(Error::input("train.settings", message));
        }
        if !(0.0..=1.0).contains(&self.repeats) {
            return Err(Error::input(
                "train.settings",
                format!("repeats is {}, expected 0 to 1", self.repeats),
            ));
        }
        Ok(())
    }

    /// The learning rate of a step, counted from 0.
    fn rate(&self, step: usize) -> f64 {
        if step < self.warm_up {
            return self.learning_rate * (step + 1) as f64 / self.warm_up as f64;
        }
        let done = (step - self.warm_up) as f64 / (self.steps - self.warm_up).max(1) as f64;
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos());
        self.learning_rate * (0.05 + 0.95 * cosine)
    }
}

/// A model in training. [`Trainer::step`] until [`Trainer::finished`]; between steps it can be evaluated and saved.
pub struct Trainer {
    pub settings: Settings,
    pub params: params::Params,
    pub tokenizer: Tokenizer,
    batches: batch::Batches,
    exam: evaluate::Exam,
    matrices: AdamW,
    vectors: AdamW,
    vars: Vec<Var>,
    step: usize,
    /// The weights after the steps that were asked for.
    checkpoints: Vec<(u64, Weights)>,
}

impl Trainer {
    /// Trains the vocabulary and draws the first weights.
    ///
    /// # Errors
    /// `train.settings` where a setting is out of range; `train.tokenizer` where the vocabulary is too small for the
    /// names of the corpus.
    pub fn new(settings: Settings) -> Result<Self> {
        settings.check()?;
        let rng = rng::Rng::new(settings.seed);
        let tokenizer = bpe::train_tokenizer(&rng, settings.d_vocab)?;
        let bos = tokenizer
            .token_to_id(bpe::BOS)
            .ok_or_else(|| Error::internal("the trained vocabulary lacks its BOS token"))?;
        let cfg = settings.config(tokenizer.get_vocab_size(true), bos)?;
        let params = params::Params::new(&cfg, &rng.fork("weights"))?;
        let (matrices, vectors) = params.matrices_and_vectors();
        let vars = matrices.iter().chain(&vectors).cloned().collect();
        let adam = |vars, weight_decay| {
            AdamW::new(vars, ParamsAdamW { lr: 0.0, beta1: 0.9, beta2: 0.99, eps: 1e-8, weight_decay })
        };
        let mut trainer = Self {
            exam: evaluate::Exam::new(&tokenizer, bos, cfg.d_vocab, cfg.n_ctx)?,
            batches: batch::Batches::new(tokenizer.clone(), &rng, cfg.d_vocab, bos, settings.repeats),
            matrices: adam(matrices, settings.weight_decay)?,
            vectors: adam(vectors, 0.0)?,
            settings,
            params,
            tokenizer,
            vars,
            step: 0,
            checkpoints: Vec::new(),
        };
        trainer.keep()?;
        Ok(trainer)
    }

    /// Keeps the weights where a checkpoint is wanted.
    fn keep(&mut self) -> Result<()> {
        if !self.finished() && self.settings.checkpoints.contains(&self.step) {
            self.checkpoints.push((self.step as u64, self.params.weights()?));
        }
        Ok(())
    }

    /// Steps taken.
    pub fn steps_taken(&self) -> usize {
        self.step
    }

    pub fn finished(&self) -> bool {
        self.step >= self.settings.steps
    }

    /// One optimiser step on a new batch. Returns the loss before it, in nats per token, weighted as in
    /// [`batch::Batch::weights`].
    pub fn step(&mut self) -> Result<f32> {
        let Settings { batch, len, n_ctx, .. } = self.settings;
        let long = self.step % 4 == 3;
        let (rows, len) = if long { ((batch * len / n_ctx).max(1), n_ctx) } else { (batch, len) };
        let batch = self.batches.next(rows, len)?;
        let losses = forward::losses(&self.params, &batch.rows)?;
        let total: f32 = batch.weights.iter().sum();
        let weights = Tensor::from_vec(batch.weights, losses.shape(), losses.device())?;
        let loss = ((losses * weights)?.sum_all()? / f64::from(total))?;
        let mut grads = loss.backward()?;
        clip(&mut grads, &self.vars, self.settings.clip)?;
        for optimiser in [&mut self.matrices, &mut self.vectors] {
            optimiser.set_learning_rate(self.settings.rate(self.step));
            optimiser.step(&grads)?;
        }
        self.step += 1;
        self.keep()?;
        let loss = loss.to_scalar::<f32>()?;
        if loss.is_finite() {
            Ok(loss)
        } else {
            Err(Error::run("train.diverged", format!("the loss of step {} is {loss}", self.step))
                .with_action("Train with a lower --learning-rate."))
        }
    }

    /// What the model can do now.
    pub fn evaluate(&self) -> Result<evaluate::Scores> {
        self.exam.evaluate(&self.params.weights()?)
    }

    /// What the model can do as the files in `dir` hold it, and before it its checkpoints, each after its step.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn evaluate_as_written(&self, dir: &Path) -> Result<Vec<(u64, evaluate::Scores)>> {
        let steps = self.checkpoints.iter().map(|(step, _)| (*step, dir.join(format!("@{step}"))));
        let evaluate = |(step, dir): (u64, PathBuf)| {
            let files = ModelFiles::from_dir_at(&dir)?;
            let open =
                async { Weights::read(&*Model::open(&files, false, &mut |_, _| Ok(())).await?.raw).await };
            Ok((step, self.exam.evaluate(&pollster::block_on(open)?)?))
        };
        steps.chain([(self.step as u64, dir.to_owned())]).map(evaluate).collect()
    }

    /// Writes the model into `dir`, its weights rounded to f16, and its checkpoints.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let step = self.step as u64;
        // What is saved in the middle of a training may be a checkpoint itself.
        let before = self.checkpoints.partition_point(|(kept, _)| *kept < step);
        save::save(&self.params.weights()?, step, &self.checkpoints[..before], &self.tokenizer, dir)
    }
}

/// Scales all gradients together so that their norm is at most `limit`.
fn clip(grads: &mut GradStore, vars: &[Var], limit: f64) -> Result<()> {
    let mut squares = 0.0_f64;
    for var in vars {
        if let Some(grad) = grads.get(var) {
            squares += f64::from(grad.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
    }
    let norm = squares.sqrt();
    if norm > limit {
        for var in vars {
            if let Some(grad) = grads.remove(var) {
                grads.insert(var, (grad * (limit / norm))?);
            }
        }
    }
    Ok(())
}
