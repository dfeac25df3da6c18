//! A sweep under way: from its plan to the metric of every cell.

use super::resolve::traced;
use super::{Job, Lab};
use crate::backend::Backend;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::hook::HookName;
use crate::outcome::Answer as SweepAnswer;
use crate::plan::{self, Answer, Item, Means, Plan};
use crate::sweep::{Over, Sweep, Write};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is reported of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    Ablate,
    /// `normalize`: as `(patched − corrupted) / (clean − corrupted)`.
    Patch {
        normalize: bool,
    },
}

/// What has come of a sweep so far: means over the runs that are done.
struct Collected<'a> {
    sweep: &'a Sweep,
    shape: Vec<usize>,
    report: Report,
    /// Of each cell, weighted sum and weight over cases and sources.
    cells: Vec<(f64, f64)>,
    base: Vec<Option<f64>>,
    clean: BTreeMap<(usize, usize), f64>,
}

impl<'a> Collected<'a> {
    fn new(sweep: &'a Sweep, shape: Vec<usize>, report: Report) -> Self {
        let (cells, base) = (vec![(0.0, 0.0); shape.iter().product()], vec![None; sweep.cases.len()]);
        Self { sweep, shape, report, cells, base, clean: BTreeMap::new() }
    }

    /// The weight of one source's run of a case in the mean over all.
    fn weight(&self, case: usize) -> f64 {
        1.0 / self.sweep.cases[case].sources.len().max(1) as f64
    }

    fn add(&mut self, item: Item, value: f64) {
        let weight = self.weight(item.case);
        let (sum, total) = &mut self.cells[item.cell];
        *sum += weight * value;
        *total += weight;
    }

    /// The mean of an unedited run's metric over the cases.
    fn base(&self) -> f64 {
        let done: Vec<f64> = self.base.iter().flatten().copied().collect();
        done.iter().sum::<f64>() / done.len() as f64
    }

    /// The same of the runs that are copied from.
    fn clean(&self) -> f64 {
        let weighted =
            |((case, _), value): (&(usize, usize), &f64)| (self.weight(*case) * value, self.weight(*case));
        let (sum, total) = self.clean.iter().map(weighted).fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
        sum / total
    }

    /// The answer as far as it is known: NaN where nothing of a cell is done.
    fn answer(&self) -> Result<SweepAnswer> {
        let mut values: Vec<f64> = self.cells.iter().map(|(sum, total)| sum / total).collect();
        let (axes, shape, base) = (self.sweep.axes(), self.shape.clone(), self.base());
        let Report::Patch { normalize } = self.report else {
            return Ok(SweepAnswer::Ablate { axes, shape, values, baseline: base });
        };
        let (clean, corrupted) = (self.clean(), base);
        if normalize {
            if clean == corrupted {
                let message = format!(
                    "the metric is {clean} on both the clean and the corrupted prompt, so it cannot be normalised"
                );
                return Err(Error::input("input.normalize", message).with_action(
                    "Choose prompts or answers on which the runs differ, or set normalize to false.",
                ));
            }
            values.iter_mut().for_each(|value| *value = (*value - corrupted) / (clean - corrupted));
        }
        Ok(SweepAnswer::Patch { axes, shape, values, clean, corrupted })
    }
}

impl<B: Backend> Lab<B> {
    /// Runs a sweep; what is done is reported batch by batch.
    ///
    /// # Errors
    /// As [`Sweep::shape`]; `input.normalize`; what the engine says.
    pub(super) async fn sweep(
        &mut self,
        sweep: &Sweep,
        report: Report,
        job: &mut Job<'_>,
    ) -> Result<SweepAnswer> {
        let cfg = self.model.cfg().clone();
        let means = self.means(&cfg, sweep, job).await?;
        let plan = Plan::new(&cfg, &self.backend.limits(), sweep, means)?;
        let mut collected = Collected::new(sweep, sweep.shape(&cfg)?, report);
        let mut same = plan.same.clone();
        for index in 0..plan.len() {
            job.part = (index, plan.len());
            self.execute(&[plan.batch(index)?], job, |answer, data, output| {
                let value = |case: usize| sweep.cases[case].metric.value(data, output);
                match answer {
                    Answer::Cell(item) => collected.add(item, value(item.case)?),
                    // Every batch holds the bases that it needs; the first one's are reported.
                    Answer::Base { case } => _ = collected.base[case].get_or_insert(value(case)?),
                    Answer::Source { case, source } => {
                        collected.clean.entry((case, source)).or_insert(value(case)?);
                    }
                    Answer::Prompt(_) => {}
                }
                Ok(())
            })
            .await?;
            same.retain(|item| match collected.base[item.case] {
                Some(base) => {
                    collected.add(*item, base);
                    false
                }
                None => true,
            });
            if index + 1 < plan.len() {
                job.control.partial(&collected.answer()?);
            }
        }
        if collected.base.contains(&None) {
            return Err(Error::internal("a base run is missing"));
        }
        collected.answer()
    }

    /// The means that a mean ablation writes: of the reference prompts' activations at every hook that the sweep edits.
    pub(super) async fn means(&mut self, cfg: &Config, sweep: &Sweep, job: &mut Job<'_>) -> Result<Means> {
        let Write::Mean { prompts, over } = &sweep.write else { return Ok(Means::default()) };
        let (hooks, mut means) = means_wanted(cfg, sweep)?;
        let batches = plan::prompts(cfg, &self.backend.limits(), traced(prompts, &hooks));
        let mut sums = vec![0.0f64; means.values.len()];
        self.execute(&batches, job, |answer, data, output| {
            let Answer::Prompt(prompt) = answer else { return Ok(()) };
            for (hook, start) in hooks.iter().zip(&output.hooks) {
                let values = &data[*start..][..hook.site.len(cfg, prompts[prompt].len())];
                let width = if *over == Over::Tokens { hook.site.len(cfg, 1) } else { values.len() };
                for row in values.chunks_exact(width) {
                    let sums = &mut sums[means.at[hook]..][..width];
                    sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
                }
            }
            Ok(())
        })
        .await?;
        let count = match over {
            Over::Tokens => prompts.iter().map(Vec::len).sum(),
            Over::Prompts => prompts.len(),
        };
        means.values = Arc::new(sums.iter().map(|sum| (sum / count as f64) as f32).collect());
        Ok(means)
    }
}

/// The hooks whose means a mean ablation writes, and room for them.
pub(super) fn means_wanted(cfg: &Config, sweep: &Sweep) -> Result<(Vec<HookName>, Means)> {
    let Write::Mean { prompts, over } = &sweep.write else { return Ok(Default::default()) };
    let shape = sweep.shape(cfg)?;
    let cells: usize = shape.iter().product();
    let hooks = (0..cells).flat_map(|cell| sweep.targets(cfg, &shape, cell)).map(|(hook, _)| hook);
    let hooks: std::collections::BTreeSet<HookName> = hooks.collect();
    let longest = prompts.iter().map(Vec::len).max().unwrap_or(0);
    let (mut at, mut len) = (BTreeMap::new(), 0);
    for hook in &hooks {
        at.insert(*hook, len);
        len += hook.site.len(cfg, if *over == Over::Tokens { 1 } else { longest });
    }
    Ok((hooks.into_iter().collect(), Means { values: Arc::new(vec![0.0; len]), at }))
}
