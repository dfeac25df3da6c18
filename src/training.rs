//! Experiments over the checkpoints of a training: the same questions of one model after another, and only the numbers kept.
//!
//! ```json
//! { "version": 1, "kind": "training",
//!   "experiments": [ { "kind": "logit_diff", "prompts": [ … ] }, { "kind": "ablate", … } ],
//!   "steps": "all" }
//! ```
//!
//! | field | meaning | default |
//! |---|---|---|
//! | `experiment`, or `experiments` | what is asked of every checkpoint: any kind with a number or a heatmap | required |
//! | `steps` | `"all"`, or the steps wanted | `"all"` |
//! | `checkpoints` | a model address with `{step}` in it, or a list of addresses, whose steps are then their places in it | the family of the open model |
//! | `processing`, `prepend_bos` | for experiments that do not say | as everywhere |
//!
//! Checkpoints come one after another: whoever has the files of one hands it to [`Training::run_on`], and may bring those of
//! the next meanwhile.

mod family;
mod outcome;

pub use family::{Checkpoint, Family};
pub use outcome::{Asked, CheckpointAnswers, CheckpointModel, Found, Skipped, TrainingOutcome};

use crate::backend::{Backend, Control};
use crate::error::{Error, Result};
use crate::experiment::{Experiment, Kind, VERSION};
use crate::lab::{Lab, Model, Part};
use crate::outcome::EngineInfo;
use outcome::Numbers;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::rc::Rc;

/// The name of this kind of experiment.
pub const KIND: &str = "training";
/// The most checkpoints of one experiment: stanford-crfm's families have 609.
pub const CAP_CHECKPOINTS: usize = 1000;

/// What is asked, and of which checkpoints.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    pub experiments: Vec<Experiment>,
    /// Whether they stand in `experiments`, else the one in `experiment`.
    listed: bool,
    pub steps: Steps,
    pub checkpoints: Checkpoints,
}

/// Which steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Steps {
    All,
    Some(Vec<u64>),
}

/// Where the checkpoints lie.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Checkpoints {
    /// In the family of the open model.
    #[default]
    Own,
    /// An address with `{step}` in it.
    Template(String),
    List(Vec<String>),
}

impl Training {
    /// Whether a value asks for this kind, to be read by [`Training::from_value`].
    pub fn is(value: &Value) -> bool {
        value.get("kind").is_some_and(|kind| kind == KIND)
    }

    /// Reads an experiment of this kind.
    ///
    /// # Errors
    /// `input.*` with the place, as [`Experiment::from_value`].
    pub fn from_value(value: Value) -> Result<Self> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Fields {
            version: u64,
            #[allow(dead_code, reason = "known to be this kind")]
            kind: String,
            experiment: Option<Value>,
            experiments: Option<Vec<Value>>,
            #[serde(default = "all")]
            steps: Value,
            checkpoints: Option<Value>,
            processing: Option<Value>,
            prepend_bos: Option<Value>,
        }
        fn all() -> Value {
            "all".into()
        }
        let fields: Fields = crate::experiment::read("", value)?;
        if fields.version != VERSION {
            let message = format!("version is {}, expected {VERSION}", fields.version);
            return Err(Error::input("input.version", message));
        }
        let listed = fields.experiments.is_some();
        let wrong = |message: String| Error::input("input.invalid", message);
        let inner = match (fields.experiment, fields.experiments) {
            (Some(one), None) => vec![("experiment".to_owned(), one)],
            (None, Some(many)) if many.is_empty() => {
                return Err(wrong("experiments: is empty, expected at least one".into()));
            }
            (None, Some(many)) => {
                many.into_iter().enumerate().map(|(i, one)| (format!("experiments[{i}]"), one)).collect()
            }
            (Some(_), Some(_)) => {
                return Err(wrong("'experiment' and 'experiments' exclude each other, expected one".into()));
            }
            (None, None) => {
                let message = "missing field 'experiment' or 'experiments'";
                return Err(Error::input("input.missing_field", message));
            }
        };
        let defaults = [("processing", fields.processing), ("prepend_bos", fields.prepend_bos)];
        let experiments = inner.into_iter().map(|(place, value)| {
            let read = inner_experiment(value, &defaults);
            read.map_err(|error| error.at(place))
        });
        Ok(Self {
            experiments: experiments.collect::<Result<_>>()?,
            listed,
            steps: steps(fields.steps)?,
            checkpoints: fields.checkpoints.map_or(Ok(Checkpoints::Own), checkpoints)?,
        })
    }

    /// The experiment as understood, with defaults filled in.
    ///
    /// # Errors
    /// Those of [`Experiment::to_value`].
    pub fn to_value(&self) -> Result<Value> {
        let mut fields = Map::new();
        fields.insert("version".into(), VERSION.into());
        fields.insert("kind".into(), KIND.into());
        let mut inner = self.experiments.iter().map(Experiment::to_value).collect::<Result<Vec<_>>>()?;
        match (self.listed, inner.pop()) {
            (false, Some(one)) => _ = fields.insert("experiment".into(), one),
            (_, last) => {
                inner.extend(last);
                fields.insert("experiments".into(), inner.into());
            }
        }
        let steps = match &self.steps {
            Steps::All => "all".into(),
            Steps::Some(steps) => steps.clone().into(),
        };
        fields.insert("steps".into(), steps);
        match &self.checkpoints {
            Checkpoints::Own => {}
            Checkpoints::Template(template) => {
                _ = fields.insert("checkpoints".into(), template.clone().into())
            }
            Checkpoints::List(list) => _ = fields.insert("checkpoints".into(), list.clone().into()),
        }
        Ok(fields.into())
    }

    /// The checkpoints that are asked for, in order; `own` is the family of the open model.
    ///
    /// # Errors
    /// `checkpoint.none` when the open model has no family; `checkpoint.unknown` for a step that it does not have;
    /// `input.invalid` for `"all"` of a template whose steps nobody states, and for too many.
    pub fn wanted(&self, own: &Family) -> Result<Vec<Checkpoint>> {
        let family = match &self.checkpoints {
            Checkpoints::Own => own.clone(),
            Checkpoints::Template(template) => Family::of_template(template),
            Checkpoints::List(list) => Family::of_list(list),
        };
        let wanted = family.wanted(&self.steps)?;
        if wanted.len() > CAP_CHECKPOINTS {
            let message = format!("{} checkpoints, expected at most {CAP_CHECKPOINTS}", wanted.len());
            return Err(Error::input("input.invalid", message));
        }
        Ok(wanted)
    }

    /// Checks the questions against the open model, before any checkpoint is asked for.
    ///
    /// # Errors
    /// `input.*` with the place.
    pub fn check(&self, model: &Model) -> Result<()> {
        for (i, experiment) in self.experiments.iter().enumerate() {
            let place = if self.listed { format!("experiments[{i}]") } else { "experiment".into() };
            model.resolve(experiment).map_err(|error| error.at(place))?;
        }
        Ok(())
    }

    /// Asks everything of one checkpoint. The lab holds it afterwards; its work is added to `info`.
    ///
    /// # Errors
    /// What is wrong with the checkpoint, and what stops everything: [`Skipped::of`] tells them apart.
    pub async fn run_on<B: Backend>(
        &self,
        lab: &mut Lab<B>,
        model: Rc<Model>,
        control: &dyn Control,
        info: &mut EngineInfo,
    ) -> Result<CheckpointAnswers> {
        lab.replace(model)?;
        let of = self.experiments.len() as u64;
        let mut answers = Vec::new();
        for (index, experiment) in self.experiments.iter().enumerate() {
            let part = Part { control, index: index as u64, of };
            let outcome = lab.run(experiment, &part).await?;
            info.add(&outcome.engine);
            answers.push(Numbers { kind: outcome.kind, answer: outcome.answer });
        }
        let model = CheckpointModel { name: lab.model.name.clone(), sha256: lab.model.sha256.clone() };
        Ok(CheckpointAnswers { model, answers })
    }
}

fn inner_experiment(value: Value, defaults: &[(&str, Option<Value>)]) -> Result<Experiment> {
    let Value::Object(mut fields) = value else {
        return Err(Error::input("input.json", "expected a JSON object"));
    };
    fields.entry("version").or_insert_with(|| VERSION.into());
    for (name, default) in defaults {
        if let Some(default) = default {
            fields.entry(*name).or_insert_with(|| default.clone());
        }
    }
    let value = Value::Object(fields);
    if Training::is(&value) {
        return Err(Error::input("input.kind", "a training of trainings, expected another kind"));
    }
    let experiment = Experiment::from_value(value)?;
    if matches!(experiment.kind, Kind::Trace(_)) {
        return Err(Error::input(
            "input.kind",
            "kind is 'trace', which gives tensors, expected a kind with a number or a heatmap",
        ));
    }
    Ok(experiment)
}

fn steps(value: Value) -> Result<Steps> {
    let wrong = |found: &Value| {
        Error::input("input.invalid", format!("steps: found {found}, expected \"all\" or a list of steps"))
    };
    match &value {
        Value::String(text) if text == "all" => Ok(Steps::All),
        Value::Array(list) if !list.is_empty() => {
            let steps = list.iter().map(|step| step.as_u64().ok_or_else(|| wrong(step)));
            let steps: Vec<u64> = steps.collect::<Result<_>>()?;
            if !steps.is_sorted_by(|a, b| a < b) {
                return Err(Error::input("input.invalid", "steps: expected them to rise"));
            }
            Ok(Steps::Some(steps))
        }
        other => Err(wrong(other)),
    }
}

fn checkpoints(value: Value) -> Result<Checkpoints> {
    let wrong = |message: &str| Error::input("input.invalid", format!("checkpoints: {message}"));
    match value {
        Value::String(template) if template.matches("{step}").count() == 1 => {
            Ok(Checkpoints::Template(template))
        }
        Value::String(_) => Err(wrong("expected one {step} in the address")),
        Value::Array(list) if !list.is_empty() => {
            let address = |one: Value| match one {
                Value::String(address) => Ok(address),
                other => Err(wrong(&format!("found {other}, expected a model address"))),
            };
            list.into_iter().map(address).collect::<Result<_>>().map(Checkpoints::List)
        }
        _ => Err(wrong("expected a model address with {step} in it, or a list of addresses")),
    }
}

#[cfg(test)]
mod tests;
