//! From a question to batches of runs. A sweep is planned, not looped: its cells share their base runs, start at the
//! first layer that they edit, and go through the model together in as few batches as memory allows.

use crate::config::Config;
use crate::error::{Error, Result};
use crate::hook::{Axis, Family, HookName, Site};
use crate::intervene::{Edit, Intervention, Place};
use crate::metric::Metric;
use crate::model::{Limits, Readout, Run};

/// Runs that advance together, sorted by the layer at which they start.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    pub runs: Vec<Run>,
    /// For each run the index of what it answers, in the question's own order.
    pub answers: Vec<Answer>,
}

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The unedited run of an ablation; the corrupted run of a patch.
    Base,
    Clean,
    /// A cell of the sweep, or a prompt, by its index.
    Cell(usize),
}

/// A sweep over the indices of a site.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// Tokens of the run that is edited.
    pub tokens: Vec<u32>,
    /// Tokens of the run that is patched from; zeroes are written without one.
    pub clean: Option<Vec<u32>>,
    pub site: Site,
    pub axes: Vec<Axis>,
    pub metric: Metric,
}

/// More cells than this are refused: a mistake, or days of work.
const MAX_CELLS: usize = 1 << 20;

/// Elements of all activation buffers of a batch, 256 MB.
const ACTIVATION_BUDGET: usize = 64 << 20;

impl Sweep {
    /// One size per axis, in the order asked for.
    ///
    /// # Errors
    /// `input.axes` when the site has no such axis or one is named twice.
    pub fn shape(&self, cfg: &Config) -> Result<Vec<usize>> {
        let mut shape = Vec::new();
        for (i, axis) in self.axes.iter().enumerate() {
            let names = |axes: &[Axis]| axes.iter().map(|a| a.name()).collect::<Vec<_>>().join(", ");
            if !self.site.axes().contains(axis) {
                return Err(Error::input(
                    "input.axes",
                    format!(
                        "axes: site '{}' has no axis '{}', expected some of {}",
                        self.site,
                        axis.name(),
                        names(self.site.axes())
                    ),
                ));
            }
            if self.axes[..i].contains(axis) {
                return Err(Error::input(
                    "input.axes",
                    format!("axes: '{}' stands twice in {}", axis.name(), names(&self.axes)),
                ));
            }
            shape.push(match axis {
                Axis::Layer => cfg.n_layers,
                Axis::Head => cfg.n_heads,
                Axis::Pos | Axis::Dest | Axis::Src => self.tokens.len(),
            });
        }
        let cells = shape.iter().try_fold(1usize, |n, size| n.checked_mul(*size)).filter(|n| *n <= MAX_CELLS);
        cells.map(|_| shape.clone()).ok_or_else(|| {
            Error::input(
                "input.too_big",
                format!("the sweep has {shape:?} cells, expected at most {MAX_CELLS}"),
            )
        })
    }

    /// The edits of one cell.
    fn interventions(&self, cfg: &Config, shape: &[usize], cell: usize) -> Vec<Intervention> {
        let (mut place, mut layer, mut rest) = (Place::default(), None, cell);
        for (axis, size) in self.axes.iter().zip(shape).rev() {
            place = place.with(*axis, rest % size);
            if *axis == Axis::Layer {
                layer = Some(rest % size);
            }
            rest /= size;
        }
        let layers = match layer {
            Some(layer) => layer..layer + 1,
            None if self.site.has_layer() => 0..cfg.n_layers,
            None => 0..1,
        };
        let edit = if self.clean.is_some() { Edit::Patch { from: 1 } } else { Edit::Zero };
        layers.map(|layer| Intervention { hook: HookName { site: self.site, layer }, place, edit }).collect()
    }

    /// The batches of the sweep. Each holds the base run first, then the clean run if there is one.
    ///
    /// # Errors
    /// As [`Sweep::shape`].
    pub fn batches(&self, cfg: &Config, limits: &Limits) -> Result<Vec<Batch>> {
        let shape = self.shape(cfg)?;
        let base = |tokens: &[u32]| Run {
            tokens: tokens.to_vec(),
            readout: self.metric.readout(),
            ..Run::default()
        };
        let mut bases = vec![(Answer::Base, base(&self.tokens))];
        bases.extend(self.clean.iter().map(|clean| (Answer::Clean, base(clean))));

        let mut cells: Vec<(Answer, Run)> = (0..shape.iter().product())
            .map(|cell| {
                let interventions = self.interventions(cfg, &shape, cell);
                (Answer::Cell(cell), Run { interventions, base: Some(0), ..base(&self.tokens) })
            })
            .collect();
        // Stable: cells of one layer keep their order.
        cells.sort_by_key(|(_, run)| run.start_layer(cfg.n_layers));
        let room =
            runs_per_batch(cfg, limits, self.tokens.len(), &[self.site]).saturating_sub(bases.len()).max(1);
        let batch = |cells: &[(Answer, Run)]| bases.iter().chain(cells).cloned().unzip();
        let batches = cells.chunks(room).map(batch);
        Ok(batches.map(|(answers, runs)| Batch { runs, answers }).collect())
    }
}

/// Batches of independent prompts, each with its own readout.
pub fn prompts(cfg: &Config, limits: &Limits, prompts: Vec<(Vec<u32>, Readout)>) -> Vec<Batch> {
    let sites: Vec<Site> =
        prompts.iter().flat_map(|(_, readout)| readout.hooks.iter().map(|h| h.site)).collect();
    let longest = prompts.iter().map(|(tokens, _)| tokens.len()).max().unwrap_or(1);
    let room = runs_per_batch(cfg, limits, longest, &sites);
    let runs: Vec<(Answer, Run)> = (prompts.into_iter().enumerate())
        .map(|(i, (tokens, readout))| (Answer::Cell(i), Run { tokens, readout, ..Run::default() }))
        .collect();
    let batch = |chunk: &[(Answer, Run)]| {
        let (answers, runs) = chunk.iter().cloned().unzip();
        Batch { runs, answers }
    };
    runs.chunks(room).map(batch).collect()
}

/// How many runs of `len` tokens fit the activation budget and the widest buffer.
fn runs_per_batch(cfg: &Config, limits: &Limits, len: usize, sites: &[Site]) -> usize {
    let scores = cfg.n_heads * len * len;
    let per_head =
        |site: &Site| matches!(site.family(cfg), Family::PosHead { width } if width == cfg.d_model);
    let head_width = if sites.iter().any(per_head) { cfg.n_heads * cfg.d_model } else { 0 };
    let widest = (len * cfg.d_mlp.max(cfg.d_model).max(head_width)).max(scores);
    let all = len * (12 * cfg.d_model + 2 * cfg.d_mlp + 6 * head_width) + 2 * scores;
    (limits.buffer_elements / widest).min(ACTIVATION_BUDGET / all).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cfg() -> Config {
        Config::from_json(br#"{"n_layer":3,"n_head":2,"n_embd":8,"n_positions":8,"vocab_size":9}"#).unwrap()
    }

    fn sweep(site: Site, axes: &[Axis]) -> Sweep {
        Sweep { tokens: vec![1, 2, 3], clean: None, site, axes: axes.to_vec(), metric: Metric::Loss }
    }

    const WIDE: Limits = Limits { buffer_elements: 1 << 24, unembed_rows: usize::MAX };

    #[test]
    fn every_cell_is_planned_once_and_batches_are_sorted() {
        let narrow = Limits { buffer_elements: 4 * 3 * 32, ..WIDE };
        for limits in [WIDE, narrow] {
            let batches =
                sweep(Site::Z, &[Axis::Pos, Axis::Layer, Axis::Head]).batches(&cfg(), &limits).unwrap();
            let mut cells = Vec::new();
            for batch in &batches {
                let starts: Vec<_> = batch.runs.iter().map(|run| run.start_layer(3)).collect();
                assert!(starts.is_sorted());
                cells.extend(
                    batch
                        .answers
                        .iter()
                        .filter_map(|a| if let Answer::Cell(i) = a { Some(*i) } else { None }),
                );
            }
            cells.sort_unstable();
            assert_eq!(cells, (0..18).collect::<Vec<_>>());
            assert_eq!(batches.len() > 1, limits == narrow);
        }
    }

    #[test]
    fn an_absent_layer_is_all_layers() {
        let batches = sweep(Site::V, &[Axis::Head]).batches(&cfg(), &WIDE).unwrap();
        assert_eq!(batches[0].runs.len(), 3);
        assert_eq!(batches[0].runs[1].interventions.len(), 3);
    }

    #[test]
    fn cells_count_in_row_major_order() {
        let s = sweep(Site::Z, &[Axis::Layer, Axis::Head]);
        let edit = s.interventions(&cfg(), &[3, 2], 3)[0];
        assert_eq!((edit.hook.layer, edit.place.head), (1, Some(1)));
    }

    #[test]
    fn wrong_axes_are_errors() {
        for (site, axes) in [
            (Site::ResidPre, vec![Axis::Layer, Axis::Head]),
            (Site::Pattern, vec![Axis::Pos]),
            (Site::Z, vec![Axis::Head, Axis::Head]),
            (Site::Embed, vec![Axis::Layer]),
        ] {
            assert_eq!(sweep(site, &axes).shape(&cfg()).unwrap_err().code, "input.axes");
        }
    }
}
