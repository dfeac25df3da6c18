//! What a sweep asks, as values: prompts, places, what is written there. Which runs answer it, and in which order, is
//! the plan's business.

#[cfg(test)]
mod tests;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::hook::{Axis, HookName, Site};
use crate::intervene::Place;
use crate::metric::Metric;
use serde::{Deserialize, Serialize};

/// A value for every cell of a grid: the metric with the cell's places edited, as the mean over the cases.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    pub cases: Vec<Case>,
    pub grid: Grid,
    pub write: Write,
}

/// One prompt whose runs are edited.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    pub tokens: Vec<u32>,
    /// Copied from, each as long as `tokens`: the clean prompt of a patch, the references of a resample. With several
    /// the metric is the mean over them. Empty unless the sweep copies.
    pub sources: Vec<Vec<u32>>,
    pub metric: Metric,
}

/// Which places the cells edit. Cells count in row-major order of [`Sweep::shape`].
#[derive(Clone, Debug, PartialEq)]
pub enum Grid {
    /// Every index of one or several sites. With `stacked`, `site` is the first axis of the result, and `pos` names
    /// the destination of `attn_scores` and `pattern`, as in the `every` functions of `transformer_lens.patching`.
    Sites { sites: Vec<Site>, stacked: bool, axes: Vec<Axis> },
    /// Sets of places that are edited together, one cell for each set.
    Sets(Vec<Vec<Target>>),
}

/// A place in one layer of a site, or in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    pub site: Site,
    pub layer: Option<usize>,
    pub place: Place,
}

/// What an edit writes.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    Zero,
    /// The same place of a run of the case's sources.
    Copy,
    /// The mean of the same place over runs of these prompts.
    Mean {
        prompts: Vec<Vec<u32>>,
        over: Over,
    },
}

/// What a mean is taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// Every position of every prompt: one value for each layer, head and feature. Attention scores and patterns have
    /// no such mean.
    #[default]
    Tokens,
    /// The prompts, position by position: they are as long as the case's tokens.
    Prompts,
}

/// A sweep of more runs than this is refused: a mistake, or days of work.
const MAX_RUNS: usize = 1 << 20;

impl Sweep {
    /// The names of the result's axes: `site` for stacked sites, `set` for sets.
    pub fn axes(&self) -> Vec<&'static str> {
        match &self.grid {
            Grid::Sites { stacked, axes, .. } => {
                stacked.then_some("site").into_iter().chain(axes.iter().map(|axis| axis.name())).collect()
            }
            Grid::Sets(_) => vec!["set"],
        }
    }

    /// One size per axis, in the order asked for.
    ///
    /// # Errors
    /// `input.axes` when a site has no such axis or one is named twice; `input.place` when a set names a place that
    /// the model or the prompts do not have; `input.lengths_differ` when positions are named and the cases differ in
    /// length; `input.invalid` for a grid or a set without places; `input.too_big`.
    pub fn shape(&self, cfg: &Config) -> Result<Vec<usize>> {
        let shape = match &self.grid {
            Grid::Sites { sites, stacked, axes } => self.sites_shape(cfg, sites, *stacked, axes)?,
            Grid::Sets(sets) => {
                some("sets", sets)?;
                for (i, set) in sets.iter().enumerate() {
                    some(&format!("sets[{i}]"), set)?;
                    for (j, target) in set.iter().enumerate() {
                        self.check(cfg, target).map_err(|error| error.at(format!("sets[{i}][{j}]")))?;
                    }
                }
                vec![sets.len()]
            }
        };
        let cells = shape.iter().try_fold(1usize, |n, size| n.checked_mul(*size));
        let cases: usize = self.cases.iter().map(|case| case.sources.len().max(1)).sum();
        match cells.and_then(|cells| cells.checked_mul(cases)) {
            Some(runs) if runs <= MAX_RUNS => Ok(shape),
            _ => Err(Error::input(
                "input.too_big",
                format!(
                    "the sweep has {shape:?} cells of {cases} runs each, expected at most {MAX_RUNS} runs"
                ),
            )),
        }
    }

    /// The number of cells.
    ///
    /// # Errors
    /// As [`Sweep::shape`].
    pub fn cells(&self, cfg: &Config) -> Result<usize> {
        Ok(self.shape(cfg)?.iter().product())
    }

    /// The places that one cell edits, by layer; `shape` is [`Sweep::shape`], and `cell` is smaller than its product.
    pub fn targets(&self, cfg: &Config, shape: &[usize], cell: usize) -> Vec<(HookName, Place)> {
        let expand = |target: &Target| {
            let Target { site, layer, place } = *target;
            let layers = match layer {
                Some(layer) => layer..layer + 1,
                None if site.has_layer() => 0..cfg.n_layers,
                None => 0..1,
            };
            layers.map(move |layer| (HookName { site, layer }, place))
        };
        match &self.grid {
            Grid::Sites { sites, stacked, axes } => {
                let (mut place, mut layer, mut rest) = (Place::default(), None, cell);
                let mut picks = Vec::new();
                for (axis, size) in axes.iter().zip(&shape[usize::from(*stacked)..]).rev() {
                    picks.push((*axis, rest % size));
                    rest /= size;
                }
                // What is left counts the sites.
                let site = sites[rest];
                for (axis, index) in picks {
                    match axis_of(site, axis, *stacked) {
                        Axis::Layer => layer = Some(index),
                        axis => place = place.with(axis, index),
                    }
                }
                expand(&Target { site, layer, place }).collect()
            }
            Grid::Sets(sets) => sets[cell].iter().flat_map(expand).collect(),
        }
    }

    /// The sites that the sweep edits.
    pub fn sites(&self) -> Vec<Site> {
        let mut sites: Vec<Site> = match &self.grid {
            Grid::Sites { sites, .. } => sites.clone(),
            Grid::Sets(sets) => sets.iter().flatten().map(|target| target.site).collect(),
        };
        sites.sort_unstable();
        sites.dedup();
        sites
    }

    fn sites_shape(&self, cfg: &Config, sites: &[Site], stacked: bool, axes: &[Axis]) -> Result<Vec<usize>> {
        some("sites", sites)?;
        if let Some(i) = (1..sites.len()).find(|i| sites[..*i].contains(&sites[*i])) {
            return Err(Error::input("input.invalid", format!("sites: '{}' stands twice", sites[i])));
        }
        let names = |axes: &[Axis]| axes.iter().map(|a| a.name()).collect::<Vec<_>>().join(", ");
        for site in sites {
            let own: Vec<Axis> = axes.iter().map(|axis| axis_of(*site, *axis, stacked)).collect();
            for (i, axis) in own.iter().enumerate() {
                if !site.axes().contains(axis) {
                    return Err(Error::input(
                        "input.axes",
                        format!(
                            "axes: site '{site}' has no axis '{}', expected some of {}",
                            axis.name(),
                            names(site.axes())
                        ),
                    ));
                }
                if own[..i].contains(axis) {
                    return Err(Error::input(
                        "input.axes",
                        format!("axes: '{}' stands twice in {}", axis.name(), names(axes)),
                    ));
                }
            }
        }
        let mut shape: Vec<usize> = stacked.then_some(sites.len()).into_iter().collect();
        for axis in axes {
            shape.push(match axis {
                Axis::Layer => cfg.n_layers,
                Axis::Head => cfg.n_heads,
                Axis::Pos | Axis::Dest | Axis::Src => self.len(&format!("the axis '{}'", axis.name()))?,
            });
        }
        Ok(shape)
    }

    /// Checks a place of a set.
    ///
    /// # Errors
    /// `input.place`, `input.lengths_differ`: see [`Sweep::shape`].
    pub(crate) fn check(&self, cfg: &Config, target: &Target) -> Result<()> {
        let Target { site, layer, place } = target;
        match layer {
            Some(_) if !site.has_layer() => {
                return Err(Error::input("input.place", format!("{site} has no axis 'layer'")));
            }
            Some(layer) if *layer >= cfg.n_layers => {
                let message = format!(
                    "layer {layer} of a model with {} layers (0 to {})",
                    cfg.n_layers,
                    cfg.n_layers - 1
                );
                return Err(Error::input("input.place", message));
            }
            _ => {}
        }
        let positions = [("pos", place.pos), ("dest", place.dest), ("src", place.src)];
        let len = match positions.iter().find(|(_, index)| index.is_some()) {
            Some((name, _)) => self.len(&format!("the index '{name}'"))?,
            None => 1,
        };
        place.check(*site, cfg, len)
    }

    /// The number of tokens that all cases have; `for_what` needs it.
    fn len(&self, for_what: &str) -> Result<usize> {
        let len = self.cases.first().map_or(0, |case| case.tokens.len());
        match self.cases.iter().position(|case| case.tokens.len() != len) {
            None => Ok(len),
            Some(i) => Err(Error::input(
                "input.lengths_differ",
                format!(
                    "prompt 0 has {len} tokens and prompt {i} {}, expected the same number for {for_what}",
                    self.cases[i].tokens.len()
                ),
            )),
        }
    }
}

/// The axis of `site` that `axis` means.
fn axis_of(site: Site, axis: Axis, stacked: bool) -> Axis {
    if stacked && axis == Axis::Pos && site.axes().contains(&Axis::Dest) { Axis::Dest } else { axis }
}

fn some<T>(field: &str, list: &[T]) -> Result<()> {
    match list {
        [] => Err(Error::input("input.invalid", format!("{field}: is empty, expected at least one"))),
        _ => Ok(()),
    }
}
