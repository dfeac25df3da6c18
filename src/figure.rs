//! A figure as a value: numbers, labels and a scale, no colours. The page draws it.

use crate::experiment::{Experiment, Kind, Metric, PatchMetric, Prompt};
use crate::hook::Axis;
use crate::lab::Model;
use serde::{Deserialize, Serialize};

/// A heatmap.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    pub title: String,
    pub row_axis: Labels,
    pub col_axis: Labels,
    pub rows: usize,
    pub cols: usize,
    /// Row-major; `None` where there is no finite number.
    pub values: Vec<Option<f64>>,
    pub scale: Scale,
    pub caption: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Labels {
    pub title: &'static str,
    pub labels: Vec<String>,
}

/// Colours run from `min` over a neutral `mid` to `max`, which lie at equal distances from it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Scale {
    pub min: f64,
    pub mid: f64,
    pub max: f64,
}

/// The part of an ablation's or patch's result that is drawn.
#[derive(Deserialize)]
pub struct SweepResult {
    pub axes: Vec<Axis>,
    pub shape: Vec<usize>,
    pub values: Vec<Option<f64>>,
    pub baseline: Option<f64>,
    pub clean: Option<f64>,
    pub corrupted: Option<f64>,
}

impl Figure {
    /// The heatmap of an ablation or patch over two axes; `None` for other experiments and other numbers of axes.
    pub fn heatmap(model: &Model, experiment: &Experiment, result: &SweepResult) -> Option<Self> {
        let ([row_axis, col_axis], [rows, cols]) = (result.axes.as_slice(), result.shape.as_slice()) else {
            return None;
        };
        if rows.checked_mul(*cols) != Some(result.values.len()) {
            return None;
        }
        let (prompt, title, caption, mid) = match &experiment.kind {
            Kind::Ablate(k) => {
                let metric = match k.metric {
                    Metric::LogitDiff { .. } => "logit difference",
                    Metric::Loss {} => "loss",
                };
                let baseline = result.baseline?;
                let title = capitalised(&format!("{metric} with {} set to zero", k.site));
                (
                    &k.prompt,
                    title,
                    format!("White is the {metric} without any edit, {baseline:.4}."),
                    baseline,
                )
            }
            Kind::Patch(k) => {
                let metric = match k.metric {
                    PatchMetric::LogitDiff { .. } => "logit difference",
                    PatchMetric::Loss { .. } => "loss",
                };
                let (clean, corrupted) = (result.clean?, result.corrupted?);
                let normalised = if k.metric.normalize() { "normalised " } else { "" };
                let title = capitalised(&format!("{normalised}{metric} after patching {}", k.site));
                let caption = if k.metric.normalize() {
                    format!("0 is the corrupted run ({corrupted:.4}), 1 the clean run ({clean:.4}).")
                } else {
                    format!("White is the corrupted run, {corrupted:.4}; the clean run has {clean:.4}.")
                };
                (&k.clean, title, caption, if k.metric.normalize() { 0.0 } else { corrupted })
            }
            _ => return None,
        };
        let reach = result.values.iter().flatten().map(|v| (v - mid).abs()).fold(0.0, f64::max);
        let reach = if reach > 0.0 { reach } else { 1.0 };
        let labels = |axis: Axis, n: usize| labels(model, experiment, prompt, axis, n);
        Some(Self {
            title,
            row_axis: labels(*row_axis, *rows),
            col_axis: labels(*col_axis, *cols),
            rows: *rows,
            cols: *cols,
            values: result.values.clone(),
            scale: Scale { min: mid - reach, mid, max: mid + reach },
            caption,
        })
    }
}

fn labels(model: &Model, experiment: &Experiment, prompt: &Prompt, axis: Axis, n: usize) -> Labels {
    let (title, labels) = match axis {
        Axis::Layer => ("Layer", (0..n).map(|i| i.to_string()).collect()),
        Axis::Head => ("Head", (0..n).map(|i| i.to_string()).collect()),
        Axis::Pos => ("Position", positions(model, experiment, prompt, n)),
        Axis::Dest => ("Destination", positions(model, experiment, prompt, n)),
        Axis::Src => ("Source", positions(model, experiment, prompt, n)),
    };
    Labels { title, labels }
}

/// `Mary_1`: the token and its index, since tokens repeat.
fn positions(model: &Model, experiment: &Experiment, prompt: &Prompt, n: usize) -> Vec<String> {
    let tokens = model.tokens(prompt, experiment.prepend_bos).unwrap_or_default();
    let text = |i: usize| tokens.get(i).and_then(|id| model.text(*id).text).unwrap_or_default();
    (0..n).map(|i| format!("{}_{i}", text(i))).collect()
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
