//! Comparing an outcome with the oracle's: what is close enough, where it was worst, and what disagrees.

use super::file::{Case, Golden};
use microtome::experiment::Experiment;
use microtome::outcome::{Answer, Candidate, Outcome, Tensor};
use serde_json::Value;
use std::collections::BTreeMap;

pub struct Report {
    tolerance: f64,
    /// The largest difference of each quantity, and where.
    worst: BTreeMap<String, (f64, String)>,
    pub failures: Vec<String>,
}

impl Report {
    pub fn new(tolerance: f64) -> Self {
        Self { tolerance, worst: BTreeMap::new(), failures: Vec::new() }
    }

    /// The largest difference of a quantity.
    pub fn worst(&self, quantity: &str) -> f64 {
        self.worst.get(quantity).map_or(f64::NAN, |(worst, _)| *worst)
    }

    /// One line per quantity, the worst first.
    pub fn table(&self) -> String {
        let mut lines: Vec<_> = self.worst.iter().collect();
        lines.sort_by(|(_, a), (_, b)| b.0.total_cmp(&a.0));
        let line = |(quantity, (worst, place)): (&String, &(f64, String))| {
            format!("  {worst:8.1e}  {quantity:34}  {place}\n")
        };
        lines.into_iter().map(line).collect()
    }

    /// Compares all that the golden case holds; the first disagreement of a case is its failure.
    pub fn outcome(&mut self, golden: &Golden, case: &Case, outcome: &Outcome) {
        let place = format!("{}: {}", golden.name, case.name);
        let understood = Experiment::from_value(outcome.experiment.clone()).ok();
        if understood != Experiment::from_value(case.experiment.clone()).ok() {
            self.failures
                .push(format!("{place}: the result tells of another experiment: {}", outcome.experiment));
        }
        if let Answer::Trace { tensors } = &outcome.answer {
            return self.trace(golden, case, tensors);
        }
        let json = serde_json::to_value(outcome).unwrap_or_else(|e| panic!("{place}: {e}"));
        let quantity = quantity(&case.experiment);
        self.value(&place, &quantity, "", &json, &case.expected);
    }

    /// Compares every field that `want` has; true while all agree.
    fn value(&mut self, place: &str, quantity: &str, path: &str, got: &Value, want: &Value) -> bool {
        match want {
            Value::Object(fields) => fields.iter().all(|(field, want)| {
                let quantity = if quantity == "predict" { field } else { quantity };
                self.value(place, quantity, &format!("{path}.{field}"), &got[field], want)
            }),
            Value::Array(wants) => {
                let len = got.as_array().map_or(0, Vec::len);
                if len != wants.len() {
                    return self.fail(format!("{place}: {path}: {len} items, expected {}", wants.len()));
                }
                let mut items = wants.iter().enumerate();
                items.all(|(i, want)| self.value(place, quantity, &format!("{path}[{i}]"), &got[i], want))
            }
            Value::Number(number) if number.is_f64() => {
                let (got, want) = (got.as_f64().unwrap_or(f64::NAN), number.as_f64().unwrap_or(f64::NAN));
                let place = format!("{place}: {path}");
                match path.rsplit_once('.').map(|(_, field)| field) {
                    Some("prob") => self.number(&place, "log_prob", got.ln(), want.ln(), 1.0),
                    Some("prob_ratio") => self.number(&place, "prob_ratio", got.ln(), want.ln(), 1.0),
                    _ => self.number(&place, quantity, got, want, 1.0),
                }
            }
            // Token ids, ranks, shapes, texts, and null for what is no number.
            _ => self.equal(place, path, got, want),
        }
    }

    /// Hook by hook in the order of the forward pass; a prompt's first disagreement ends it.
    fn trace(&mut self, golden: &Golden, case: &Case, tensors: &[BTreeMap<String, Tensor>]) {
        let hooks: Vec<&str> =
            case.experiment["hooks"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let prompts = case.experiment["prompts"].as_array().map_or(0, Vec::len);
        if tensors.len() != prompts {
            self.fail(format!("{}: trace: {} prompts, expected {prompts}", golden.name, tensors.len()));
        }
        for (i, found) in tensors.iter().enumerate() {
            for hook in &hooks {
                let place = format!("{}: trace: prompt {i}: {hook}", golden.name);
                let (shape, want) = &golden.tensors[&format!("{i}/{hook}")];
                let agrees = match found.get(*hook) {
                    Some(got) if got.shape == *shape && got.data.len() == want.len() => {
                        self.tensor(&place, hook, shape, &got.data, want)
                    }
                    got => {
                        self.fail(format!("{place}: shape {:?}, expected {shape:?}", got.map(|t| &t.shape)))
                    }
                };
                if !agrees {
                    break;
                }
            }
        }
    }

    fn tensor(&mut self, place: &str, hook: &str, shape: &[usize], got: &[f32], want: &[f32]) -> bool {
        // `blocks.3.attn.hook_z` and its like of other layers share a line of the table.
        let quantity =
            hook.strip_prefix("blocks.").and_then(|rest| rest.split_once('.')).map_or(hook, |(_, name)| name);
        let scale = if hook.ends_with("hook_pattern") { 1.0 } else { rms(want) };
        let differences = got.iter().zip(want).map(|(got, want)| difference((*got).into(), (*want).into()));
        let worst = differences
            .enumerate()
            .fold((0, -1.0), |worst, (i, d)| if d > worst.1 { (i, d) } else { worst })
            .0;
        let place = format!("{place}{:?} of {shape:?}", unravel(worst, shape));
        self.number(&place, quantity, got[worst].into(), want[worst].into(), scale)
    }

    /// Candidates in any order against a row of logits.
    pub fn logits(&mut self, place: &str, got: &[Candidate], want: &[f32]) {
        let max = want.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total = f64::from(max) + want.iter().map(|x| f64::from(x - max).exp()).sum::<f64>().ln();
        let mut seen = vec![false; want.len()];
        for candidate in got {
            let id = candidate.token.id as usize;
            seen[id] = true;
            let logit = f64::from(want[id]);
            let place = format!("{place}: token {id}");
            if !self.number(&place, "logit", candidate.logit, logit, 1.0)
                || !self.number(&place, "log_prob", candidate.prob.ln(), logit - total, 1.0)
            {
                return;
            }
        }
        if seen.contains(&false) {
            self.fail(format!("{place}: {} tokens of {}", got.len(), want.len()));
        }
    }

    /// One number, its difference divided by `scale`; true if it is within the tolerance.
    fn number(&mut self, place: &str, quantity: &str, got: f64, want: f64, scale: f64) -> bool {
        let difference = difference(got, want) / scale;
        let worst = self.worst.entry(quantity.to_owned()).or_insert((-1.0, String::new()));
        if difference > worst.0 {
            *worst = (difference, place.to_owned());
        }
        let allowed = self.tolerance;
        difference <= allowed
            || self.fail(format!(
                "{place}: {got}, expected {want} (differs by {difference:.1e}, allowed {allowed:.0e})"
            ))
    }

    /// What must be the same to the letter.
    pub fn equal(&mut self, place: &str, path: &str, got: &Value, want: &Value) -> bool {
        got == want || self.fail(format!("{place}: {path}: {got}, expected {want}"))
    }

    fn fail(&mut self, message: String) -> bool {
        self.failures.push(message);
        false
    }
}

/// The kind of an experiment; of a sweep also where it edits, what it writes, and whether it is of a batch.
fn quantity(experiment: &Value) -> String {
    let kind = experiment["kind"].as_str().unwrap_or_default();
    let places = match &experiment["site"] {
        Value::String(site) => site,
        _ if experiment["sites"].is_array() => "sites",
        _ if experiment["sets"].is_array() => "sets",
        _ => return kind.to_owned(),
    };
    let edit = match experiment["edit"]["kind"].as_str() {
        Some(edit) if edit != "zero" => format!(", {edit}"),
        _ => String::new(),
    };
    let batch = experiment["prompts"].is_array() || experiment["pairs"].is_array();
    format!("{kind} {places}{edit}{}", if batch { ", batch" } else { "" })
}

/// −∞ agrees only with −∞, and NaN with nothing.
fn difference(got: f64, want: f64) -> f64 {
    let difference = if got == want { 0.0 } else { (got - want).abs() };
    if difference.is_nan() { f64::INFINITY } else { difference }
}

/// Root mean square of the finite values, kept above zero.
pub fn rms(data: &[f32]) -> f64 {
    let finite: Vec<f64> = data.iter().filter(|x| x.is_finite()).map(|x| f64::from(*x)).collect();
    (finite.iter().map(|x| x * x).sum::<f64>() / finite.len().max(1) as f64).sqrt().max(1e-6)
}

/// The index of an element of a row-major array.
fn unravel(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|size| {
            let i = at % size;
            at /= size;
            i
        })
        .collect();
    index.reverse();
    index
}
