//! A sweep under way: from its plan to the metric of every cell.

use super::{Job, Lab};
use crate::backend::Backend;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::hook::{HookName, Site};
use crate::model::Readout;
use crate::plan::{self, Answer, Item, Means, Plan};
use crate::sweep::{Over, Sweep, Write};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The metric of every cell and of the unedited runs, as the mean over the cases.
pub(super) struct Swept {
    pub(super) values: Vec<f64>,
    pub(super) base: f64,
    /// Of the runs that are copied from.
    pub(super) clean: Option<f64>,
}

/// What has come of a sweep so far.
struct Collected<'a> {
    sweep: &'a Sweep,
    /// Sums over cases and sources of what each cell has, and how many there are still to come.
    values: Vec<f64>,
    missing: Vec<usize>,
    base: Vec<Option<f64>>,
    clean: BTreeMap<(usize, usize), f64>,
}

impl<'a> Collected<'a> {
    fn new(sweep: &'a Sweep, cells: usize) -> Self {
        let runs = sweep.cases.iter().map(|case| case.sources.len().max(1)).sum();
        Self {
            sweep,
            values: vec![0.0; cells],
            missing: vec![runs; cells],
            base: vec![None; sweep.cases.len()],
            clean: BTreeMap::new(),
        }
    }

    fn add(&mut self, item: Item, value: f64) {
        let sources = self.sweep.cases[item.case].sources.len().max(1);
        self.values[item.cell] += value / (sources * self.sweep.cases.len()) as f64;
        self.missing[item.cell] -= 1;
    }

    /// The mean over the cases of an unedited run's metric.
    fn base(&self) -> Result<f64> {
        let values = self.base.iter().copied().collect::<Option<Vec<f64>>>();
        let values = values.ok_or_else(|| Error::internal("a base run is missing"))?;
        Ok(values.iter().sum::<f64>() / values.len() as f64)
    }

    fn clean(&self) -> Option<f64> {
        let cases = &self.sweep.cases;
        let of = |((case, _), value): (&(usize, usize), &f64)| value / (cases[*case].sources.len() * cases.len()) as f64;
        (!self.clean.is_empty()).then(|| self.clean.iter().map(of).sum())
    }

    /// The cells that are done; NaN where one is not.
    fn so_far(&self) -> Vec<f64> {
        let done = |(value, missing): (&f64, &usize)| if *missing == 0 { *value } else { f64::NAN };
        self.values.iter().zip(&self.missing).map(done).collect()
    }
}

impl<B: Backend> Lab<B> {
    /// The metric of every cell of a sweep. What is done is reported batch by batch.
    ///
    /// # Errors
    /// As [`Sweep::shape`]; what the engine says.
    pub(super) async fn sweep(&mut self, sweep: &Sweep, job: &mut Job<'_>) -> Result<Swept> {
        let cfg = self.model.weights.cfg.clone();
        let means = self.means(&cfg, sweep, job).await?;
        let plan = Plan::new(&cfg, &self.backend.limits(), sweep, means)?;
        let mut collected = Collected::new(sweep, sweep.cells(&cfg)?);
        for index in 0..plan.len() {
            job.part = (index, plan.len());
            self.execute(&[plan.batch(index)], job, |answer, data, output| {
                match answer {
                    Answer::Cell(item) => {
                        collected.add(item, sweep.cases[item.case].metric.value(data, output)?);
                    }
                    // Every batch holds the bases that it needs; the first one's are reported.
                    Answer::Base { case } => {
                        collected.base[case].get_or_insert(sweep.cases[case].metric.value(data, output)?);
                    }
                    Answer::Source { case, source } => {
                        let value = sweep.cases[case].metric.value(data, output)?;
                        collected.clean.entry((case, source)).or_insert(value);
                    }
                    Answer::Prompt(_) => {}
                }
                Ok(())
            })
            .await?;
            if index == 0 {
                for item in &plan.same {
                    let base = collected.base[item.case];
                    collected.add(*item, base.ok_or_else(|| Error::internal("a base run is missing"))?);
                }
            }
            if index + 1 < plan.len() {
                job.control.partial(&collected.so_far());
            }
        }
        Ok(Swept { base: collected.base()?, clean: collected.clean(), values: collected.values })
    }

    /// The means that a mean ablation writes: of the reference prompts' activations at every hook that the sweep edits.
    async fn means(&mut self, cfg: &Config, sweep: &Sweep, job: &mut Job<'_>) -> Result<Means> {
        let Write::Mean { prompts, over } = &sweep.write else { return Ok(Means::default()) };
        let shape = sweep.shape(cfg)?;
        let cells: usize = shape.iter().product();
        let mut hooks: Vec<HookName> =
            (0..cells).flat_map(|cell| sweep.targets(cfg, &shape, cell)).map(|(hook, _)| hook).collect();
        hooks.sort_unstable();
        hooks.dedup();

        let readout = Readout { hooks: hooks.clone(), ..Readout::default() };
        let runs = prompts.iter().map(|tokens| (tokens.clone(), readout.clone())).collect();
        let batches = plan::prompts(cfg, &self.backend.limits(), runs);
        let (mut sums, mut at) = (Vec::new(), BTreeMap::new());
        let longest = prompts.iter().map(Vec::len).max().unwrap_or(0);
        let len_of = |site: Site, len: usize| site.shape(cfg, len).iter().product::<usize>();
        for hook in &hooks {
            at.insert(*hook, sums.len());
            let len = if *over == Over::Tokens { 1 } else { longest };
            sums.resize(sums.len() + len_of(hook.site, len), 0.0f64);
        }
        self.execute(&batches, job, |answer, data, output| {
            let Answer::Prompt(prompt) = answer else { return Ok(()) };
            for (hook, start) in hooks.iter().zip(&output.hooks) {
                let values = &data[*start..][..len_of(hook.site, prompts[prompt].len())];
                let width = if *over == Over::Tokens { len_of(hook.site, 1) } else { values.len() };
                for row in values.chunks_exact(width) {
                    let sums = &mut sums[at[hook]..][..width];
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
        let values: Vec<f32> = sums.iter().map(|sum| (sum / count as f64) as f32).collect();
        Ok(Means { values: Arc::new(values), at })
    }
}
