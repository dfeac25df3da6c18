//! What an experiment would cost: its plan and programs are built and counted, and nothing is run.

use super::swept::{means_wanted, traced};
use super::{Lab, Question};
use crate::backend::Backend;
use crate::error::Result;
use crate::experiment::Experiment;
use crate::model::{self, Readout};
use crate::plan::{self, Batch, Plan};
use crate::sweep::{Sweep, Write};
use serde::Serialize;

/// The cost of an experiment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// Values of the result: cells of a sweep, prompts otherwise.
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
        let cfg = &self.model.weights.cfg;
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
        let sweep = |sweep: &Sweep, count: &mut dyn FnMut(&Batch) -> Result<()>| -> Result<usize> {
            let (hooks, means) = means_wanted(cfg, sweep)?;
            if let Write::Mean { prompts, .. } = &sweep.write {
                plan::prompts(cfg, &limits, traced(prompts, &hooks)).iter().try_for_each(&mut *count)?;
            }
            let plan = Plan::new(cfg, &limits, sweep, means)?;
            (0..plan.len()).try_for_each(|index| count(&plan.batch(index)?))?;
            sweep.cells(cfg)
        };
        let cells = match self.model.resolve(experiment)? {
            Question::Ablate(asked) | Question::Patch { sweep: asked, .. } => sweep(&asked, &mut count)?,
            Question::UnembedBias(tokens) => tokens.len(),
            Question::Predict { tokens, .. } => {
                let readout = Readout { last_logits: true, loss: tokens.len() > 1, ..Readout::default() };
                plan::prompts(cfg, &limits, vec![(tokens, readout)]).iter().try_for_each(count)?;
                1
            }
            Question::LogitDiff(prompts) => {
                let read = |pair| Readout { logit_diff: Some(pair), ..Readout::default() };
                let prompts: Vec<_> =
                    prompts.into_iter().map(|(tokens, pair)| (tokens, read(pair))).collect();
                let cells = prompts.len();
                plan::prompts(cfg, &limits, prompts).iter().try_for_each(count)?;
                cells
            }
            Question::Trace { prompts, hooks } => {
                plan::prompts(cfg, &limits, traced(&prompts, &hooks)).iter().try_for_each(count)?;
                prompts.len()
            }
        };
        let seconds = self.flops_per_ms.map(|rate| estimate.flops as f64 / rate / 1e3);
        Ok(Estimate { cells, seconds, ..estimate })
    }
}
