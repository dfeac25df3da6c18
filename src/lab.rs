//! The lab: a model on an engine, answering experiments. Both doors, the command line and the browser module, end here.

mod answers;
mod detect;
mod estimate;
mod opened;
mod resolve;
mod sweeps;
mod swept;

pub use estimate::Estimate;
pub use opened::{Model, Notice};
pub use resolve::{Question, Tokens};

use crate::backend::engine::{Engine, Opened};
use crate::backend::{Backend, Choice, Control, Output, Pacer};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::experiment::Experiment;
use crate::model::{self, RunOutput};
use crate::outcome::{EngineInfo, Outcome, PrecisionEffect, build};
use crate::plan::{Answer, Batch};
use crate::processing::{Processed, Processing};
use crate::weights::{MemoryPlan, Sink, Storage, Weight};
use std::pin::Pin;
use std::rc::Rc;

/// What the engine holds at the moment.
struct Prepared {
    processing: Processing,
    processed: Processed,
}

/// A model on an engine.
pub struct Lab<B> {
    pub model: Rc<Model>,
    backend: B,
    /// Name of the engine (`cpu`, `gpu`) and why it was taken.
    engine: (&'static str, String),
    storage: Storage,
    prepared: Option<Prepared>,
    /// Speed of the last run that was long enough to tell.
    flops_per_ms: Option<f64>,
}

impl Lab<Engine> {
    /// Opens the engine asked for and puts the model on it.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub async fn open(model: Rc<Model>, choice: Choice) -> Result<Self> {
        let Opened { engine, reason } = Engine::open(choice).await?;
        let name = engine.name();
        Ok(Self::new(model, engine, name, reason))
    }
}

impl<B: Backend> Lab<B> {
    pub fn new(model: Rc<Model>, backend: B, name: &'static str, reason: impl Into<String>) -> Self {
        Self {
            model,
            backend,
            engine: (name, reason.into()),
            storage: Storage::F32,
            prepared: None,
            flops_per_ms: None,
        }
    }

    /// The same lab with its weights kept otherwise, from the next experiment on.
    #[must_use]
    pub fn with_storage(mut self, storage: Storage) -> Self {
        (self.storage, self.prepared) = (storage, None);
        self
    }

    /// The engine, with no work counted yet.
    pub fn engine_info(&self) -> EngineInfo {
        EngineInfo {
            backend: self.engine.0,
            precision: self.storage,
            precision_effect: PrecisionEffect::of(self.storage),
            adapter: self.backend.adapter(),
            kernels: self.backend.kernels(),
            tables: self.backend.tables(),
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
        self.prepare(experiment.processing, control).await?;
        let mut job = Job { info: self.engine_info(), control, part: (0, 1), pacer: Pacer::new(control, 0) };
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

    /// Puts the weights on the engine, processed as asked, where they are not there already. A run does it too; done
    /// before, it shows its own progress, in bytes of weights.
    ///
    /// # Errors
    /// `model.too_large` before anything is read, when the engine has no room; `model.not_finite`, `file.*` when the
    /// weights cannot be read; `run.memory`, `gpu.*` when there is less room than it seemed;
    /// `run.cancelled`.
    pub async fn prepare(&mut self, processing: Processing, control: &dyn Control) -> Result<()> {
        if self.prepared.as_ref().is_none_or(|p| p.processing != processing) {
            // Nothing half-uploaded may be taken for the weights of either processing.
            self.prepared = None;
            self.memory_plan().check()?;
            let mut sink = Paced { sink: &mut self.backend, pacer: None, control };
            let processed = processing.apply(&*self.model.raw, self.storage, &mut sink).await?;
            self.prepared = Some(Prepared { processing, processed });
        }
        Ok(())
    }

    /// Puts another model in the place of this one, of the same shape; its weights follow with the next experiment. The
    /// engine and its kernels stay.
    ///
    /// # Errors
    /// `checkpoint.shape` names what differs.
    pub fn replace(&mut self, model: Rc<Model>) -> Result<()> {
        let (found, expected) = (model.cfg().shape(), self.model.cfg().shape());
        if found != expected {
            let message = format!("{}: {found}, expected {expected}", model.name);
            return Err(Error::input("checkpoint.shape", message));
        }
        (self.model, self.prepared) = (model, None);
        Ok(())
    }

    /// See [`Backend::held_bytes`].
    pub fn held_bytes(&self) -> u64 {
        self.backend.held_bytes()
    }

    /// What the model needs of memory on this engine.
    pub fn memory_plan(&self) -> MemoryPlan {
        MemoryPlan::new(self.model.cfg(), self.storage, self.backend.room())
    }

    fn processed(&self) -> Result<&Processed> {
        let prepared = self.prepared.as_ref().ok_or_else(|| Error::internal("no weights are prepared"))?;
        Ok(&prepared.processed)
    }

    /// Executes batches and hands each run's results to `collect`.
    async fn execute(
        &mut self,
        batches: &[Batch],
        job: &mut Job<'_>,
        mut collect: impl FnMut(Answer, &[f32], &RunOutput) -> Result<()>,
    ) -> Result<()> {
        let ln_folded = self.processed()?.ln_folded;
        for (i, batch) in batches.iter().enumerate() {
            let limits = self.backend.limits();
            let cfg = self.model.cfg();
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
            job.pacer.reached((index as u64 + 1) * work.flops, of as u64 * work.flops).await?;
        }
        Ok(())
    }
}

/// An engine that takes weights, with progress and cancel between the pieces.
struct Paced<'a, B> {
    sink: &'a mut B,
    pacer: Option<Pacer<'a>>,
    control: &'a dyn Control,
}

impl<B: Sink> Sink for Paced<'_, B> {
    async fn begin(&mut self, cfg: &Config, weights: &[Weight], storage: Storage) -> Result<()> {
        let elements = |weight: &Weight| weight.shape(cfg).iter().map(|n| *n as u64).product::<u64>();
        self.pacer = Some(Pacer::new(self.control, 4 * weights.iter().map(elements).sum::<u64>()));
        self.sink.begin(cfg, weights, storage).await
    }

    async fn write(&mut self, weight: Weight, at: usize, values: &[f32]) -> Result<()> {
        self.sink.write(weight, at, values).await?;
        match &mut self.pacer {
            Some(pacer) => pacer.advance(4 * values.len() as u64).await,
            None => Ok(()),
        }
    }
}

/// One experiment under way: what it has cost so far.
struct Job<'a> {
    info: EngineInfo,
    control: &'a dyn Control,
    /// Which of how many parts is under way.
    part: (usize, usize),
    /// A batch paces itself; where each is over before it would, nothing would be told and no cancel heard.
    pacer: Pacer<'a>,
}

/// Progress of one of several pieces of work as a part of the whole.
pub(crate) struct Part<'a> {
    pub control: &'a dyn Control,
    pub index: u64,
    pub of: u64,
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
