//! A figure as a value: numbers, labels and a scale, no colours. The page draws it.

use crate::detect::{Measure, Pattern};
use crate::experiment::{Detect, Edit, Experiment, Kind, Metric, Places, Prompt, SetPlace};
use crate::lab::Model;
use serde::{Deserialize, Serialize};

/// A heatmap, or several that share their axes and their scale.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    pub title: String,
    /// What the panels run over, outermost first; none for a single heatmap.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub panel_axes: Vec<Labels>,
    pub row_axis: Labels,
    pub col_axis: Labels,
    /// Of one panel.
    pub rows: usize,
    pub cols: usize,
    /// `[panel, …, row, col]`; `None` where there is no finite number.
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

/// The part of a result that is drawn: of an ablation, a patch or a detection.
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
    /// The heatmap of an ablation, a patch or a detection, or of what is done of one; with more than two axes a panel for
    /// every index of the others. `None` for other experiments, and for a result without axes.
    pub fn heatmap(model: &Model, experiment: &Experiment, result: &SweepResult) -> Option<Self> {
        let SweepResult { axes, shape, values, .. } = result;
        let cells = shape.iter().try_fold(1usize, |n, size| n.checked_mul(*size));
        if axes.len() != shape.len() || cells != Some(values.len()) {
            return None;
        }
        let order = Order::of(axes)?;
        let (prompts, parts, title, caption, mid): (Vec<&Prompt>, _, _, _, _) = match &experiment.kind {
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
                let prompts = k.prompts.iter().map(|entry| &entry.prompt).collect();
                (prompts, parts(&k.places), title, caption, baseline)
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
                (k.pairs.iter().map(|pair| &pair.clean).collect(), parts(&k.places), title, caption, mid)
            }
            Kind::Detect(k) => {
                let patterns =
                    Labels { title: "Pattern", labels: k.patterns.iter().map(pattern_name).collect() };
                let (title, caption) = scores(k);
                (k.prompts.iter().collect(), Some(("pattern", patterns)), title, caption, 0.0)
            }
            _ => return None,
        };
        let reach = values.iter().flatten().map(|v| (v - mid).abs()).fold(0.0, f64::max);
        let reach = if reach > 0.0 { reach } else { 1.0 };
        let prompts: Vec<Vec<u32>> = prompts
            .into_iter()
            .map(|prompt| model.tokens(prompt, experiment.prepend_bos).unwrap_or_default())
            .collect();
        let labels = |axis: &usize| labels(model, &prompts, parts.as_ref(), &axes[*axis], shape[*axis]);
        let col_axis = match &order.col {
            Some(axis) => labels(axis)?,
            None => Labels { title: "", labels: vec![String::new()] },
        };
        Some(Self {
            title: capitalised(&title),
            panel_axes: order.panels.iter().map(labels).collect::<Option<_>>()?,
            row_axis: labels(&order.row)?,
            rows: shape[order.row],
            cols: col_axis.labels.len(),
            col_axis,
            values: order.arranged(shape, values),
            scale: Scale { min: mid - reach, mid, max: mid + reach },
            caption,
        })
    }
}

/// Which axes of a result are a heatmap's rows and columns, by index. The others, in their order, make panels.
struct Order {
    panels: Vec<usize>,
    row: usize,
    col: Option<usize>,
}

impl Order {
    /// Axes that belong together in one heatmap, as (rows, columns); the first pair that is there is taken.
    const TOGETHER: [(&str, &str); 8] = [
        ("dest", "src"),
        ("layer", "pos"),
        ("layer", "dest"),
        ("layer", "src"),
        ("layer", "head"),
        ("head", "pos"),
        ("head", "dest"),
        ("head", "src"),
    ];

    /// `None` without axes.
    fn of(axes: &[String]) -> Option<Self> {
        let last = axes.len().checked_sub(1)?;
        let at = |name: &str| axes.iter().position(|axis| axis == name);
        let (row, col) = match (last, Self::TOGETHER.iter().find_map(|(row, col)| at(row).zip(at(col)))) {
            (0, _) => (0, None),
            // As asked for.
            (1, _) | (_, None) => (last - 1, Some(last)),
            (_, Some((row, col))) => (row, Some(col)),
        };
        let panels = (0..=last).filter(|axis| *axis != row && Some(*axis) != col).collect();
        Some(Self { panels, row, col })
    }

    /// Row-major values of `shape`, panel by panel.
    fn arranged(&self, shape: &[usize], values: &[Option<f64>]) -> Vec<Option<f64>> {
        let mut strides = vec![1; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis] * shape[axis];
        }
        let mut from = vec![0];
        for axis in self.panels.iter().copied().chain([self.row]).chain(self.col) {
            let (stride, size) = (strides[axis], shape[axis]);
            from = from.iter().flat_map(|start| (0..size).map(move |i| start + i * stride)).collect();
        }
        from.into_iter().map(|i| values[i]).collect()
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
        Places::Sets(_) => "parts".into(),
    }
}

/// The axis that counts what the experiment lists: its name in the result, and what the entries are called.
fn parts(places: &Places) -> Option<(&'static str, Labels)> {
    let (name, title, labels) = match places {
        Places::Site { .. } => return None,
        Places::Sites { sites, .. } => ("site", "Site", sites.iter().map(|site| site.to_string()).collect()),
        Places::Sets(sets) => ("set", "Set", sets.iter().map(|set| set_name(set)).collect()),
    };
    Some((name, Labels { title, labels }))
}

/// The title and the caption of a detection.
fn scores(k: &Detect) -> (String, String) {
    let over =
        if k.prompts.len() > 1 { format!(", mean over {} prompts", k.prompts.len()) } else { "".into() };
    let title = match k.patterns.as_slice() {
        [pattern] => format!("{} score{over}", pattern_name(pattern)),
        _ => format!("scores by pattern{over}"),
    };
    let caption = match k.scoring.measure {
        Measure::Mul => "The share of a head's attention that lies where the pattern is 1; white is none.",
        Measure::Abs => "1 is a perfect match; the farther from the pattern, the lower. White is 0.",
    };
    let left_out = match (k.scoring.exclude_bos, k.scoring.exclude_current_token) {
        (false, false) => "",
        (true, false) => " Attention to the first token is left out.",
        (false, true) => " Attention to the current token is left out.",
        (true, true) => " Attention to the first and to the current token is left out.",
    };
    (title, format!("{caption}{left_out}"))
}

fn pattern_name(pattern: &Pattern) -> String {
    match pattern {
        Pattern::PreviousToken => "previous token",
        Pattern::DuplicateToken => "duplicate token",
        Pattern::Induction => "induction",
        Pattern::Own(_) => "own pattern",
    }
    .into()
}

/// The labels of an axis; `None` for one that a heatmap does not have.
fn labels(
    model: &Model,
    prompts: &[Vec<u32>],
    parts: Option<&(&str, Labels)>,
    axis: &str,
    n: usize,
) -> Option<Labels> {
    let (title, labels) = match axis {
        "layer" => ("Layer", (0..n).map(|i| i.to_string()).collect()),
        "head" => ("Head", (0..n).map(|i| i.to_string()).collect()),
        "pos" => ("Position", positions(model, prompts, n)),
        "dest" => ("Destination", positions(model, prompts, n)),
        "src" => ("Source", positions(model, prompts, n)),
        _ => {
            let (_, labels) = parts.filter(|(name, parts)| *name == axis && parts.labels.len() == n)?;
            return Some(labels.clone());
        }
    };
    Some(Labels { title, labels })
}

/// `L9H6 z + L10 mlp_out`
fn set_name(set: &[SetPlace]) -> String {
    let place = |at: &SetPlace| {
        let index = |name: &str, i: Option<usize>| i.map(|i| format!("{name}{i}"));
        let place: String = index("L", at.layer).into_iter().chain(index("H", at.head)).collect();
        let indices = [index("pos ", at.pos), index("dest ", at.dest), index("src ", at.src)];
        let words = [(!place.is_empty()).then_some(place), Some(at.site.to_string())];
        words.into_iter().chain(indices).flatten().collect::<Vec<_>>().join(" ")
    };
    set.iter().map(place).collect::<Vec<_>>().join(" + ")
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
        let model = Model::new("small", Box::new(weights));
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
    fn sets_are_one_column_and_named_by_their_places() {
        let sets = json!([[{"site": "z", "layer": 1, "head": 0}, {"site": "mlp_out", "layer": 2}], [{"site": "q", "pos": 1}]]);
        let figure = figure(ablation(json!({ "sets": sets })), &["set"], &[2]).unwrap();
        assert_eq!(figure.row_axis.labels, ["L1H0 z + L2 mlp_out", "q pos 1"]);
        assert_eq!((figure.rows, figure.cols, figure.panel_axes.len()), (2, 1, 0));
        assert_eq!(figure.values, [Some(0.0), Some(1.0)]);
    }

    #[test]
    fn axes_beyond_two_are_panels() {
        let sites = ablation(json!({"sites": ["z", "q"], "axes": ["layer", "pos", "head"]}));
        let figure = figure(sites, &["site", "layer", "pos", "head"], &[2, 3, 2, 2]).unwrap();
        let panels: Vec<_> = figure.panel_axes.iter().map(|axis| (axis.title, axis.labels.len())).collect();
        assert_eq!(panels, [("Site", 2), ("Head", 2)]);
        assert_eq!((figure.row_axis.title, figure.rows), ("Layer", 3));
        assert_eq!((figure.col_axis.title, figure.cols), ("Position", 2));
        // Site 1, head 0: layer and position stride by 4 and 2.
        let expected = [12.0, 14.0, 16.0, 18.0, 20.0, 22.0].map(Some);
        assert_eq!(figure.values[12..18], expected);
        assert_eq!(figure.scale.max, 23.0);
    }

    #[test]
    fn a_head_s_pattern_is_one_panel_dest_by_src() {
        let axes = ["layer", "head", "dest", "src"];
        let sites = ablation(json!({"site": "pattern", "axes": axes, "edit": {"kind": "zero"}}));
        let figure = figure(sites, &axes, &[3, 2, 2, 2]).unwrap();
        assert_eq!((figure.row_axis.title, figure.col_axis.title), ("Destination", "Source"));
        assert_eq!(figure.values[4..8], [4.0, 5.0, 6.0, 7.0].map(Some));
    }

    #[test]
    fn a_detection_has_a_panel_for_each_of_several_patterns() {
        let mut detect = json!({"version": 1, "kind": "detect", "prompts": [[1, 2], [1, 3]], "exclude_bos": true,
            "patterns": ["induction", [[1, 0], [0, 1]]]});
        let stacked = figure(detect.clone(), &["pattern", "layer", "head"], &[2, 3, 2]).unwrap();
        let panels: Vec<_> = stacked.panel_axes.iter().map(|axis| axis.labels.clone()).collect();
        assert_eq!(panels, [["induction", "own pattern"]]);
        assert_eq!((stacked.row_axis.title, stacked.col_axis.title), ("Layer", "Head"));
        assert_eq!(stacked.title, "Scores by pattern, mean over 2 prompts");
        assert!(stacked.caption.contains("first token is left out"), "{}", stacked.caption);
        assert_eq!((stacked.scale.min, stacked.scale.mid, stacked.scale.max), (-11.0, 0.0, 11.0));
        assert_eq!(figure(detect.clone(), &["pattern", "layer", "head"], &[3, 2, 2]), None);

        let fields = detect.as_object_mut().unwrap();
        fields.remove("patterns");
        fields.insert("pattern".into(), "induction_head".into());
        let one = figure(detect, &["layer", "head"], &[3, 2]).unwrap();
        assert_eq!((one.title.as_str(), one.panel_axes.len()), ("Induction score, mean over 2 prompts", 0));
    }

    #[test]
    fn what_is_no_sweep_s_result_gives_no_figure() {
        let sets = ablation(json!({"sets": [[{"site": "z"}], [{"site": "q"}]]}));
        assert_eq!(figure(sets.clone(), &["set", "pos"], &[3, 2]), None);
        assert_eq!(figure(sets.clone(), &["site", "pos"], &[2, 2]), None);
        assert_eq!(figure(sets.clone(), &[], &[]), None);
        assert_eq!(figure(sets, &["set"], &[2, 2]), None);
    }
}
