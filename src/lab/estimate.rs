//! What an experiment would cost: its plan and programs are built and counted, and nothing is run.

use super::detect::planned;
use super::resolve::traced;
use super::swept::means_wanted;
use super::{Lab, Question};
use crate::backend::Backend;
use crate::error::Result;
use crate::experiment::Experiment;
use crate::model;
use crate::plan::{self, Batch, Means, Plan};
use crate::sweep::{Sweep, Write};
use serde::Serialize;

/// The cost of an experiment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// Values of the result: cells of a sweep, scores of a detection, prompts otherwise.
    pub cells: usize,
    /// Forward passes, whole or in part.
    pub runs: usize,
    pub flops: u64,
    pub weight_bytes_read: u64,
    /// Of the largest batch's activations and results, beyond the weights.
    pub memory_bytes: usize,
    /// From the speed of what this lab has run; `null` before it has run anything.
    pub seconds: Option<f64>,
}

impl<B: Backend> Lab<B> {
    /// Counts an experiment. Runs nothing.
    ///
    /// # Errors
    /// `input.*`, as [`Lab::run`].
    pub fn estimate(&self, experiment: &Experiment) -> Result<Estimate> {
        let cfg = self.model.cfg();
        let limits = self.backend.limits();
        let ln_folded = experiment.processing.fold_ln;
        let mut estimate = Estimate::default();
        let mut count = |batch: &Batch| -> Result<()> {
            let (program, _) = model::program(cfg, ln_folded, &batch.runs, &batch.given, &limits)?;
            let work = program.work();
            estimate.runs += batch.runs.len();
            estimate.flops += work.flops;
            estimate.weight_bytes_read += work.weight_bytes_read;
            estimate.memory_bytes = estimate.memory_bytes.max(program.bytes());
            Ok(())
        };
        let means = |sweep: &Sweep, count: &mut dyn FnMut(&Batch) -> Result<()>| -> Result<Means> {
            let (hooks, means) = means_wanted(cfg, sweep)?;
            if let Write::Mean { prompts, .. } = &sweep.write {
                plan::prompts(cfg, &limits, traced(prompts, &hooks)).iter().try_for_each(&mut *count)?;
            }
            Ok(means)
        };
        let sweep = |sweep: &Sweep, count: &mut dyn FnMut(&Batch) -> Result<()>| -> Result<usize> {
            let means = means(sweep, count)?;
            let plan = Plan::new(cfg, &limits, sweep, means)?;
            (0..plan.len()).try_for_each(|index| count(&plan.batch(index)?))?;
            sweep.cells(cfg)
        };
        let question = self.model.resolve(experiment)?;
        let cells = match &question {
            Question::Ablate(asked) | Question::Patch { sweep: asked, .. } => sweep(asked, &mut count)?,
            Question::UnembedBias(tokens) => tokens.len(),
            Question::Detect(asked) => {
                planned(cfg, &limits, asked).1.iter().try_for_each(count)?;
                asked.shape(cfg).iter().product()
            }
            Question::Predict { .. } | Question::LogitDiff(_) | Question::Trace { .. } => {
                let prompts = question.prompts();
                let cells = prompts.len();
                let batches = match question.edited() {
                    None => plan::prompts(cfg, &limits, prompts),
                    Some(sweep) => {
                        let means = means(sweep, &mut count)?;
                        plan::edited(cfg, sweep, &means, prompts.into_iter().map(|(_, readout)| readout))?
                    }
                };
                batches.iter().try_for_each(count)?;
                cells
            }
        };
        let seconds = self.flops_per_ms.map(|rate| estimate.flops as f64 / rate / 1e3);
        Ok(Estimate { cells, seconds, ..estimate })
    }
}
