//! The lab: a model on an engine, answering experiments. Both doors, the command line and the browser module, end here.

mod answers;
mod estimate;
mod resolve;
mod sweeps;
mod swept;

pub use estimate::Estimate;
pub use resolve::{Question, Tokens};

use crate::backend::engine::{Engine, Opened};
use crate::backend::{Backend, Choice, Control, Output};
use crate::error::{Error, Result};
use crate::experiment::Experiment;
use crate::model::{self, RunOutput};
use crate::outcome::{EngineInfo, ModelInfo, Outcome, build};
use crate::plan::{Answer, Batch};
use crate::processing::Processing;
use crate::tokens::Tokenizer;
use crate::weights::{ModelFiles, Weight, Weights};
use std::pin::Pin;
use std::sync::Arc;

/// A loaded model: raw weights, and a tokenizer where the files hold one.
pub struct Model {
    pub name: String,
    pub weights: Weights,
    pub sha256: Option<String>,
    pub tokenizer: Option<Tokenizer>,
}

impl Model {
    /// Reads a model from its files.
    ///
    /// # Errors
    /// `model.*` and `file.*`: what is not GPT-2, damaged or missing, and where.
    pub fn load(files: &ModelFiles) -> Result<Self> {
        let (weights, sha256) = crate::weights::weights(files)?;
        let tokenizer = Tokenizer::new(&files.tokenizer)?;
        Ok(Self { name: files.name.clone(), weights, sha256: Some(sha256), tokenizer })
    }

    pub fn info(&self) -> ModelInfo {
        ModelInfo {
            name: self.name.clone(),
            n_params: self.weights.cfg.n_params(),
            cfg: self.weights.cfg.clone(),
            sha256: self.sha256.clone(),
            has_tokenizer: self.tokenizer.is_some(),
        }
    }
}

/// What the engine holds at the moment.
struct Prepared {
    processing: Processing,
    ln_folded: bool,
    b_u: Arc<Vec<f32>>,
}

/// A model on an engine.
pub struct Lab<B> {
    pub model: Arc<Model>,
    backend: B,
    /// Name of the engine (`cpu`, `gpu`) and why it was taken.
    engine: (&'static str, String),
    prepared: Option<Prepared>,
    /// Speed of the last run that was long enough to tell.
    flops_per_ms: Option<f64>,
}

impl Lab<Engine> {
    /// Opens the engine asked for and puts the model on it.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub async fn open(model: Arc<Model>, choice: Choice) -> Result<Self> {
        let Opened { engine, reason } = Engine::open(choice).await?;
        let name = engine.name();
        Ok(Self::new(model, engine, name, reason))
    }
}

impl<B: Backend> Lab<B> {
    pub fn new(model: Arc<Model>, backend: B, name: &'static str, reason: impl Into<String>) -> Self {
        Self { model, backend, engine: (name, reason.into()), prepared: None, flops_per_ms: None }
    }

    /// The engine, with no work counted yet.
    pub fn engine_info(&self) -> EngineInfo {
        EngineInfo {
            backend: self.engine.0,
            adapter: self.backend.adapter(),
            kernels: self.backend.kernels(),
            reason: self.engine.1.clone(),
            build: build(),
            ..EngineInfo::default()
        }
    }

    /// Runs an experiment.
    ///
    /// # Errors
    /// `input.*` before anything runs; `run.cancelled`, `gpu.*` while it runs.
    pub async fn run(&mut self, experiment: &Experiment, control: &dyn Control) -> Result<Outcome> {
        let start_ms = control.now_ms();
        let question = self.model.resolve(experiment)?;
        self.prepare(experiment.processing).await?;
        let mut job = Job { info: self.engine_info(), control, part: (0, 1) };
        let prepared_ms = control.now_ms();
        let answer = self.answer(question, &mut job).await?;
        if job.info.flops > 10_000_000 {
            self.flops_per_ms = Some(job.info.flops as f64 / (control.now_ms() - prepared_ms).max(0.1));
        }
        job.info.milliseconds = control.now_ms() - start_ms;
        job.info.kernels = self.backend.kernels();
        Ok(Outcome {
            version: crate::experiment::VERSION,
            kind: experiment.kind.name(),
            answer,
            experiment: experiment.to_value()?,
            model: self.model.info(),
            engine: job.info,
        })
    }

    /// Puts the weights on the engine, processed as asked.
    async fn prepare(&mut self, processing: Processing) -> Result<()> {
        if self.prepared.as_ref().is_none_or(|p| p.processing != processing) {
            // Nothing half-uploaded may be taken for the weights of either processing.
            self.prepared = None;
            let weights = processing.apply(&self.model.weights)?;
            self.backend.upload(&weights).await?;
            let b_u = Arc::clone(weights.get(Weight::UnembedBias)?);
            self.prepared = Some(Prepared { processing, ln_folded: weights.ln_folded(), b_u });
        }
        Ok(())
    }

    /// Executes batches and hands each run's results to `collect`.
    async fn execute(
        &mut self,
        batches: &[Batch],
        job: &mut Job<'_>,
        mut collect: impl FnMut(Answer, &[f32], &RunOutput) -> Result<()>,
    ) -> Result<()> {
        let ln_folded = self.prepared.as_ref().is_some_and(|p| p.ln_folded);
        for (i, batch) in batches.iter().enumerate() {
            let limits = self.backend.limits();
            let cfg = &self.model.weights.cfg;
            let (program, outputs) = model::program(cfg, ln_folded, &batch.runs, &batch.given, &limits)?;
            let (index, of) = (job.part.0 * batches.len() + i, job.part.1 * batches.len());
            let part = Part { control: job.control, index: index as u64, of: of as u64 };
            let Output { data, dispatches, readbacks } = self.backend.run(&program, &part).await?;
            if data.len() != program.output_len {
                return Err(Error::internal(format!(
                    "the engine returned {} values, expected {}",
                    data.len(),
                    program.output_len
                )));
            }
            let work = program.work();
            job.info.flops += work.flops;
            job.info.weight_bytes_read += work.weight_bytes_read;
            job.info.dispatches += dispatches;
            job.info.readbacks += readbacks;
            for (answer, output) in batch.answers.iter().zip(&outputs) {
                collect(*answer, &data, output)?;
            }
        }
        Ok(())
    }
}

/// One experiment under way: what it has cost so far.
struct Job<'a> {
    info: EngineInfo,
    control: &'a dyn Control,
    /// Which of how many parts is under way.
    part: (usize, usize),
}

/// Progress of one batch as a part of the whole.
struct Part<'a> {
    control: &'a dyn Control,
    index: u64,
    of: u64,
}

impl Control for Part<'_> {
    fn now_ms(&self) -> f64 {
        self.control.now_ms()
    }

    fn progress(&self, done: u64, total: u64) {
        self.control.progress(self.index * total + done, self.of * total);
    }

    fn cancelled(&self) -> bool {
        self.control.cancelled()
    }

    fn pause(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        self.control.pause()
    }
}
