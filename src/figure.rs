//! A figure as a value: numbers, labels and a scale, no colours. The page draws it.

use crate::experiment::{Edit, Experiment, Kind, Metric, Places, Prompt};
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
    pub axes: Vec<String>,
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
        let (prompts, places, title, caption, mid): (Vec<&Prompt>, _, _, _, _) = match &experiment.kind {
            Kind::Ablate(k) => {
                let metric = averaged(&k.metric, k.prompts.len());
                let baseline = result.baseline?;
                let edit = match k.edit {
                    Edit::Zero {} => "set to zero",
                    Edit::Mean { .. } => "set to its mean",
                    Edit::Resample { .. } => "resampled",
                };
                let title = format!("{metric} with {} {edit}", names(&k.places));
                let caption = format!("White is the {metric} without any edit, {baseline:.4}.");
                (k.prompts.iter().map(|entry| &entry.prompt).collect(), &k.places, title, caption, baseline)
            }
            Kind::Patch(k) => {
                let metric = averaged(&k.metric.metric(), k.pairs.len());
                let (clean, corrupted) = (result.clean?, result.corrupted?);
                let normalised = if k.metric.normalize() { "normalised " } else { "" };
                let title = format!("{normalised}{metric} after patching {}", names(&k.places));
                let (caption, mid) = if k.metric.normalize() {
                    (format!("0 is the corrupted run ({corrupted:.4}), 1 the clean run ({clean:.4})."), 0.0)
                } else {
                    let runs = format!("the corrupted run, {corrupted:.4}; the clean run has {clean:.4}");
                    (format!("White is {runs}."), corrupted)
                };
                (k.pairs.iter().map(|pair| &pair.clean).collect(), &k.places, title, caption, mid)
            }
            _ => return None,
        };
        let reach = result.values.iter().flatten().map(|v| (v - mid).abs()).fold(0.0, f64::max);
        let reach = if reach > 0.0 { reach } else { 1.0 };
        let prompts: Vec<Vec<u32>> = prompts
            .into_iter()
            .map(|prompt| model.tokens(prompt, experiment.prepend_bos).unwrap_or_default())
            .collect();
        let labels = |axis: &str, n: usize| labels(model, &prompts, places, axis, n);
        Some(Self {
            title: capitalised(&title),
            row_axis: labels(row_axis, *rows)?,
            col_axis: labels(col_axis, *cols)?,
            rows: *rows,
            cols: *cols,
            values: result.values.clone(),
            scale: Scale { min: mid - reach, mid, max: mid + reach },
            caption,
        })
    }
}

/// `mean logit difference over 25 prompts`
fn averaged(metric: &Metric, prompts: usize) -> String {
    let name = match metric {
        Metric::LogitDiff { .. } => "logit difference",
        Metric::Loss {} => "loss",
    };
    if prompts > 1 { format!("mean {name} over {prompts} prompts") } else { name.into() }
}

/// The sites of the places.
fn names(places: &Places) -> String {
    match places {
        Places::Site { site, .. } => site.to_string(),
        Places::Sites { sites, .. } => sites.iter().map(|site| site.name()).collect::<Vec<_>>().join(", "),
        Places::Sets(_) => "sets".into(),
    }
}

/// The labels of an axis; `None` for one that a heatmap does not have.
fn labels(model: &Model, prompts: &[Vec<u32>], places: &Places, axis: &str, n: usize) -> Option<Labels> {
    let (title, labels) = match axis {
        "layer" => ("Layer", (0..n).map(|i| i.to_string()).collect()),
        "head" => ("Head", (0..n).map(|i| i.to_string()).collect()),
        "pos" => ("Position", positions(model, prompts, n)),
        "dest" => ("Destination", positions(model, prompts, n)),
        "src" => ("Source", positions(model, prompts, n)),
        "site" => match places {
            Places::Sites { sites, .. } if sites.len() == n => {
                ("Site", sites.iter().map(|site| site.to_string()).collect())
            }
            _ => return None,
        },
        _ => return None,
    };
    Some(Labels { title, labels })
}

/// `Mary_1`: the token and its index, since tokens repeat; the index alone where prompts of a batch differ.
fn positions(model: &Model, prompts: &[Vec<u32>], n: usize) -> Vec<String> {
    let token = |i: usize| {
        let first = prompts.first()?.get(i)?;
        prompts.iter().all(|tokens| tokens.get(i) == Some(first)).then_some(*first)
    };
    let text = |i: usize| match token(i) {
        Some(id) => format!("{}_{i}", model.text(id).text.unwrap_or_default()),
        None => i.to_string(),
    };
    (0..n).map(text).collect()
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::weights::Weights;
    use serde_json::json;

    /// The figure of a result over `axes` with the values 0, 1, 2…
    fn figure(experiment: serde_json::Value, axes: &[&str], shape: &[usize]) -> Option<Figure> {
        let cfg = br#"{"n_layer":3,"n_head":2,"n_embd":8,"n_positions":8,"vocab_size":9}"#;
        let weights = Weights::new(Config::from_json(cfg).unwrap());
        let model = Model { name: "small".into(), weights, sha256: None, tokenizer: None };
        let values: Vec<f64> = (0..shape.iter().product::<usize>()).map(|i| i as f64).collect();
        let result = json!({"axes": axes, "shape": shape, "values": values, "baseline": 2.0,
            "clean": 4.0, "corrupted": 1.0});
        let result = serde_json::from_value(result).unwrap();
        Figure::heatmap(&model, &Experiment::from_value(experiment).unwrap(), &result)
    }

    fn ablation(places: serde_json::Value) -> serde_json::Value {
        let mut experiment = json!({"version": 1, "kind": "ablate", "prompts": [{"prompt": [1, 2]},
            {"prompt": [1, 3]}], "edit": {"kind": "mean", "prompts": [[1]]}, "metric": {"kind": "loss"}});
        experiment.as_object_mut().unwrap().extend(places.as_object().unwrap().clone());
        experiment
    }

    #[test]
    fn sites_are_labelled_by_name_and_positions_of_differing_prompts_by_index() {
        let sites = ablation(json!({"sites": ["resid_pre", "mlp_out"], "axes": ["pos"]}));
        let figure = figure(sites, &["site", "pos"], &[2, 2]).unwrap();
        assert_eq!(figure.row_axis.labels, ["resid_pre", "mlp_out"]);
        assert_eq!(figure.col_axis.labels, ["_0", "1"]);
        assert_eq!(figure.title, "Mean loss over 2 prompts with resid_pre, mlp_out set to its mean");
        assert_eq!((figure.scale.min, figure.scale.mid, figure.scale.max), (0.0, 2.0, 4.0));
    }

    #[test]
    fn a_pair_list_is_a_patch_like_any_other() {
        let patch = json!({"version": 1, "kind": "patch", "pairs": [{"clean": [1, 2], "corrupted": [3, 2]}],
            "site": "z", "axes": ["layer", "head"], "metric": {"kind": "loss"}});
        let figure = figure(patch, &["layer", "head"], &[3, 2]).unwrap();
        assert_eq!(figure.title, "Loss after patching z");
        assert_eq!((figure.scale.mid, figure.scale.max), (1.0, 5.0));
    }

    #[test]
    fn what_is_no_heatmap_gives_no_figure() {
        let sets = ablation(json!({"sets": [[{"site": "z"}], [{"site": "q"}]]}));
        assert_eq!(figure(sets.clone(), &["set"], &[2]), None);
        assert_eq!(figure(sets.clone(), &["set", "pos"], &[2, 2]), None);
        assert_eq!(figure(sets, &["site", "pos"], &[2, 2]), None);
        let sites = ablation(json!({"sites": ["z", "q"], "axes": ["layer", "head"]}));
        assert_eq!(figure(sites, &["site", "layer", "head"], &[2, 3, 2]), None);
    }
}
