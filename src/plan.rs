//! From a question to batches of runs. A sweep is planned, not looped: its cells share their base runs, start where they
//! first differ, and go through the model together in as few batches as the budget allows.

mod same;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::hook::{Family, HookName, Site};
use crate::intervene::{Edit, Intervention};
use crate::model::{Limits, Readout, Run};
use crate::sweep::{Over, Sweep, Write};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Runs that advance together.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    pub runs: Vec<Run>,
    /// What each run is for.
    pub answers: Vec<Answer>,
    /// Values that edits write.
    pub given: Arc<Vec<f32>>,
}

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// A prompt by itself.
    Prompt(usize),
    /// The unedited run of a case of a sweep.
    Base {
        case: usize,
    },
    /// A run that is copied from.
    Source {
        case: usize,
        source: usize,
    },
    Cell(Item),
}

/// One edited run of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    pub cell: usize,
    pub case: usize,
    /// Which of the case's sources is copied from.
    pub source: usize,
}

/// Rows of a batch: enough that its products run at full speed and its weights cost little, few enough that results come
/// batch by batch.
const ROWS: usize = 2048;

/// Elements of all activation buffers of a batch: 256 MB.
const ACTIVATION_BUDGET: usize = 64 << 20;

/// Means that an ablation writes: where each hook's begin among the values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Means {
    pub values: Arc<Vec<f32>>,
    pub at: BTreeMap<HookName, usize>,
}

/// How a sweep is run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan<'a> {
    cfg: &'a Config,
    sweep: &'a Sweep,
    shape: Vec<usize>,
    means: Means,
    /// Items in the order of their runs, cut into batches.
    items: Vec<Item>,
    batches: Vec<std::ops::Range<usize>>,
    /// Items that cannot differ from their base run, and are not run.
    pub same: Vec<Item>,
    /// Cases without any other item: only their unedited runs are run, in the first batch.
    unedited: Vec<usize>,
}

impl<'a> Plan<'a> {
    /// # Errors
    /// As [`Sweep::shape`].
    pub fn new(cfg: &'a Config, limits: &Limits, sweep: &'a Sweep, means: Means) -> Result<Self> {
        let shape = sweep.shape(cfg)?;
        let cells: usize = shape.iter().product();
        let (items, batches, same, unedited) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut plan = Self { cfg, sweep, shape, means, items, batches, same, unedited };
        let room = rows_per_batch(cfg, limits, plan.longest(), &sweep.sites());
        // Rows of the batch under way, and what it holds beside cells.
        let (mut first, mut rows, mut held) = (0, 0, Vec::new());
        for case in 0..sweep.cases.len() {
            let mut items = Vec::new();
            for source in 0..sweep.cases[case].sources.len().max(1) {
                for cell in 0..cells {
                    let item = Item { cell, case, source };
                    match plan.start(item) {
                        Some(start) => items.push((start, item)),
                        None => plan.same.push(item),
                    }
                }
            }
            items.sort();
            if items.is_empty() {
                plan.unedited.push(case);
            }
            let len = sweep.cases[case].tokens.len();
            for ((_, _, pos), item) in items {
                let needs = [Answer::Base { case }, Answer::Source { case, source: item.source }];
                let new = |held: &Vec<Answer>| len * needs.iter().filter(|need| !held.contains(need)).count();
                if rows > 0 && rows + new(&held) + len - pos > room {
                    plan.batches.push(first..plan.items.len());
                    (first, rows, held) = (plan.items.len(), 0, Vec::new());
                }
                rows += new(&held) + len - pos;
                held.extend(needs);
                plan.items.push(item);
            }
        }
        plan.batches.push(first..plan.items.len());
        Ok(plan)
    }

    fn longest(&self) -> usize {
        self.sweep.cases.iter().map(|case| case.tokens.len()).max().unwrap_or(1)
    }

    /// Where an item's run first differs from its base, as layer, site and position; `None` if nowhere that matters.
    fn start(&self, item: Item) -> Option<(usize, Site, usize)> {
        let case = &self.sweep.cases[item.case];
        let source = case.sources.get(item.source);
        let targets = self.sweep.targets(self.cfg, &self.shape, item.cell);
        let matters =
            targets.iter().filter(|(hook, place)| !same::cannot_matter(self.cfg, case, source, *hook, place));
        let start =
            matters.map(|(hook, place)| (hook.layer, hook.site, place.positions(case.tokens.len()).start));
        start.min_by_key(|(layer, site, pos)| (*layer, *site, *pos))
    }

    /// The number of batches, at least one.
    pub fn len(&self) -> usize {
        self.batches.len()
    }

    /// Always false: the base runs are run where no cell is.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// The runs of one batch: bases and sources, then cells. The unedited runs of a case are in each batch that
    /// holds a cell of it.
    ///
    /// # Errors
    /// When a mean that an edit writes is missing.
    pub fn batch(&self, index: usize) -> Result<Batch> {
        let items = &self.items[self.batches[index].clone()];
        let mut wanted: Vec<(usize, usize)> = items.iter().map(|item| (item.case, item.source)).collect();
        for case in self.unedited.iter().filter(|_| index == 0) {
            wanted.extend((0..self.sweep.cases[*case].sources.len().max(1)).map(|source| (*case, source)));
        }
        wanted.sort_unstable();
        wanted.dedup();
        let mut batch =
            Batch { runs: Vec::new(), answers: Vec::new(), given: Arc::clone(&self.means.values) };
        let mut at = BTreeMap::new();
        for (case, source) in wanted {
            let of = &self.sweep.cases[case];
            let base = (Answer::Base { case }, &of.tokens);
            let source = of.sources.get(source).map(|tokens| (Answer::Source { case, source }, tokens));
            for (answer, tokens) in [base].into_iter().chain(source) {
                at.entry(answer).or_insert_with(|| {
                    batch.answers.push(answer);
                    let readout = of.metric.readout();
                    let base = sharing(&batch.runs, tokens);
                    batch.runs.push(Run { tokens: tokens.clone(), readout, base, ..Run::default() });
                    batch.runs.len() - 1
                });
            }
        }
        for item in items {
            let case = &self.sweep.cases[item.case];
            let source = at.get(&Answer::Source { case: item.case, source: item.source });
            let edit = |hook: &HookName| match (&self.sweep.write, source) {
                (Write::Zero, _) => Ok(Edit::Zero),
                (Write::Copy, Some(from)) => Ok(Edit::Patch { from: *from }),
                (Write::Mean { over, .. }, _) if self.means.at.contains_key(hook) => {
                    Ok(Edit::Given { at: self.means.at[hook], per_pos: *over == Over::Prompts })
                }
                _ => Err(Error::internal(format!("there is nothing to write to {hook}"))),
            };
            let targets = self.sweep.targets(self.cfg, &self.shape, item.cell);
            let intervention = |(hook, place)| Ok(Intervention { hook, place, edit: edit(&hook)? });
            let interventions = targets.into_iter().map(intervention).collect::<Result<_>>()?;
            batch.answers.push(Answer::Cell(*item));
            batch.runs.push(Run {
                tokens: case.tokens.clone(),
                interventions,
                base: at.get(&Answer::Base { case: item.case }).copied(),
                readout: case.metric.readout(),
            });
        }
        Ok(batch)
    }
}

/// Batches of independent prompts, each with its own readout. Prompts share the work of their common beginnings.
pub fn prompts(cfg: &Config, limits: &Limits, prompts: Vec<(Vec<u32>, Readout)>) -> Vec<Batch> {
    let sites: Vec<Site> =
        prompts.iter().flat_map(|(_, readout)| readout.hooks.iter().map(|h| h.site)).collect();
    let longest = prompts.iter().map(|(tokens, _)| tokens.len()).max().unwrap_or(1);
    let room = rows_per_batch(cfg, limits, longest, &sites);
    let mut batches: Vec<Batch> = Vec::new();
    let (mut rows, mut kept) = (0, 0);
    for (i, (tokens, readout)) in prompts.into_iter().enumerate() {
        let own: usize = readout.hooks.iter().map(|hook| hook.site.len(cfg, tokens.len())).sum();
        if batches.is_empty() || rows + tokens.len() > room || kept + own > kept_per_batch(limits) {
            batches.push(Batch { runs: Vec::new(), answers: Vec::new(), given: Arc::default() });
            (rows, kept) = (0, 0);
        }
        rows += tokens.len();
        kept += own;
        if let Some(batch) = batches.last_mut() {
            let base = sharing(&batch.runs, &tokens);
            batch.runs.push(Run { tokens, readout, base, ..Run::default() });
            batch.answers.push(Answer::Prompt(i));
        }
    }
    batches
}

/// The same for prompts whose runs are edited, by a sweep of one cell with a case for each of them. A batch a prompt.
///
/// # Errors
/// As [`Sweep::shape`] and [`Plan::batch`].
pub fn edited(
    cfg: &Config,
    sweep: &Sweep,
    means: &Means,
    readouts: impl IntoIterator<Item = Readout>,
) -> Result<Vec<Batch>> {
    let batch = |(prompt, readout): (usize, Readout)| {
        let alone = Sweep { cases: vec![sweep.cases[prompt].clone()], ..sweep.clone() };
        // Run whether it matters or not: what does not matter for a metric may be looked at.
        let mut batch = Plan {
            cfg,
            shape: alone.shape(cfg)?,
            sweep: &alone,
            means: means.clone(),
            items: vec![Item { cell: 0, case: 0, source: 0 }],
            batches: std::iter::once(0..1).collect(),
            same: Vec::new(),
            unedited: Vec::new(),
        }
        .batch(0)?;
        for (run, answer) in batch.runs.iter_mut().zip(&mut batch.answers) {
            let wanted = matches!(answer, Answer::Cell(_));
            run.readout = if wanted { readout.clone() } else { Readout::default() };
            if wanted {
                *answer = Answer::Prompt(prompt);
            }
        }
        Ok(batch)
    };
    readouts.into_iter().enumerate().map(batch).collect()
}

/// Elements of activations that one batch brings back, unless one of its runs alone has more.
pub fn kept_per_batch(limits: &Limits) -> usize {
    limits.buffer_elements.min(ACTIVATION_BUDGET)
}

/// The run with the longest common beginning, if there is one.
fn sharing(runs: &[Run], tokens: &[u32]) -> Option<usize> {
    let shared = |run: &Run| run.tokens.iter().zip(tokens).take_while(|(a, b)| a == b).count();
    let best = runs.iter().enumerate().map(|(i, run)| (shared(run), std::cmp::Reverse(i))).max()?;
    (best.0 > 0).then_some(best.1.0)
}

/// How many rows fit a batch, where runs have at most `len` tokens and these sites are edited or looked at.
fn rows_per_batch(cfg: &Config, limits: &Limits, len: usize, sites: &[Site]) -> usize {
    let any = |f: &dyn Fn(Family) -> bool| sites.iter().any(|site| f(site.family(cfg)));
    let scores = if any(&|family| family == Family::HeadDestSrc) { cfg.n_heads * len } else { 0 };
    let wide = any(&|family| matches!(family, Family::PosHead { width } if width == cfg.d_model));
    let by_head = if wide { cfg.n_heads * cfg.d_model } else { 0 };
    let widest = cfg.d_mlp.max(cfg.d_model).max(by_head).max(scores);
    let all = 10 * cfg.d_model + 2 * cfg.d_mlp + 6 * by_head + 2 * scores;
    ROWS.min(limits.buffer_elements / widest).min(ACTIVATION_BUDGET / all)
}
