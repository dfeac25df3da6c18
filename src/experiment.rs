//! An experiment as data: the JSON value that the page, the JavaScript API and the command line all take.
//! Every object refuses unknown fields, with an error that names the field and where it stands.

mod detect;
mod fields;
mod sweeps;
#[cfg(test)]
mod tests;

pub use detect::Detect;
pub use sweeps::{Ablate, Edit, Edited, MeasuredPrompt, Metric, Pair, Patch, PatchMetric, Places, SetPlace};

use crate::error::{Error, Result};
use crate::processing::Processing;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The version of the experiment format.
pub const VERSION: u64 = 1;

/// What is asked, and of which weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    pub processing: Processing,
    /// Put the BOS token before a text prompt.
    pub prepend_bos: bool,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Predict(Predict),
    LogitDiff(LogitDiff),
    Trace(Trace),
    Ablate(Ablate),
    Patch(Patch),
    UnembedBias(UnembedBias),
    Detect(Detect),
}

/// A text, or token ids that are used exactly as they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a prompt: a string or an array of token ids")]
pub enum Prompt {
    Text(String),
    Ids(Vec<u32>),
}

/// A text that is exactly one token, or a token id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a token: a string or a token id")]
pub enum Token {
    Text(String),
    Id(u32),
}

/// The next-token table of a prompt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predict {
    pub prompt: Prompt,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Token>,
    /// Further tokens that are looked up in the table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Token>,
    #[serde(default = "ten")]
    pub top_k: usize,
    /// What is changed in the run; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<Edited>,
}

fn ten() -> usize {
    10
}

/// `logit(correct) − logit(incorrect)` at the last position of every prompt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogitDiff {
    pub prompts: Vec<AnsweredPrompt>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnsweredPrompt {
    pub prompt: Prompt,
    pub correct: Token,
    pub incorrect: Token,
}

/// Activations by hook name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    pub prompts: Vec<Prompt>,
    pub hooks: Vec<String>,
    /// What is changed in every prompt's run; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<Edited>,
}

/// `b_U` of tokens: what LayerNorm's folding adds to every logit of a token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnembedBias {
    pub tokens: Vec<Token>,
}

impl Kind {
    pub const NAMES: [&str; 7] =
        ["predict", "logit_diff", "trace", "ablate", "patch", "unembed_bias", "detect"];

    pub fn name(&self) -> &'static str {
        match self {
            Kind::Predict(_) => "predict",
            Kind::LogitDiff(_) => "logit_diff",
            Kind::Trace(_) => "trace",
            Kind::Ablate(_) => "ablate",
            Kind::Patch(_) => "patch",
            Kind::UnembedBias(_) => "unembed_bias",
            Kind::Detect(_) => "detect",
        }
    }
}

impl Experiment {
    /// Reads an experiment.
    ///
    /// # Errors
    /// `input.json`, `input.version`, `input.kind`, `input.unknown_field`, `input.missing_field`, `input.invalid`: each
    /// names the place and what was expected there.
    pub fn from_json(text: &str) -> Result<Self> {
        Self::from_value(parse(text)?)
    }

    /// As [`Experiment::from_json`], from a value that is already parsed.
    ///
    /// # Errors
    /// The same.
    pub fn from_value(value: Value) -> Result<Self> {
        let Value::Object(mut fields) = value else {
            return Err(Error::input("input.json", "the experiment is not a JSON object"));
        };
        match fields.remove("version") {
            Some(Value::Number(n)) if n.as_u64() == Some(VERSION) => {}
            Some(found) => {
                return Err(Error::input("input.version", format!("version is {found}, expected {VERSION}")));
            }
            None => {
                return Err(Error::input(
                    "input.version",
                    format!("field 'version' is missing, expected {VERSION}"),
                ));
            }
        }
        let kind = match fields.remove("kind") {
            Some(Value::String(kind)) => kind,
            found => {
                let found = found.map_or("missing".into(), |v| v.to_string());
                return Err(Error::input(
                    "input.kind",
                    format!("kind is {found}, expected one of {}, training", Kind::NAMES.join(", ")),
                ));
            }
        };
        let processing =
            fields.remove("processing").map(|v| read("processing", v)).transpose()?.unwrap_or_default();
        let prepend_bos =
            fields.remove("prepend_bos").map(|v| read("prepend_bos", v)).transpose()?.unwrap_or(true);
        let fields = Value::Object(fields);
        let kind = match kind.as_str() {
            "predict" => Kind::Predict(read("", fields)?),
            "logit_diff" => Kind::LogitDiff(read("", fields)?),
            "trace" => Kind::Trace(read("", fields)?),
            "ablate" => Kind::Ablate(read("", fields)?),
            "patch" => Kind::Patch(read("", fields)?),
            "unembed_bias" => Kind::UnembedBias(read("", fields)?),
            "detect" => Kind::Detect(read("", fields)?),
            other => {
                return Err(Error::input(
                    "input.kind",
                    format!("unknown kind '{other}', expected one of {}, training", Kind::NAMES.join(", ")),
                ));
            }
        };
        Ok(Self { processing, prepend_bos, kind })
    }

    /// The experiment as understood, with defaults filled in.
    ///
    /// # Errors
    /// Never for an experiment that was read; serde's signature demands it.
    pub fn to_value(&self) -> Result<Value> {
        let kind = match &self.kind {
            Kind::Predict(k) => serde_json::to_value(k),
            Kind::LogitDiff(k) => serde_json::to_value(k),
            Kind::Trace(k) => serde_json::to_value(k),
            Kind::Ablate(k) => serde_json::to_value(k),
            Kind::Patch(k) => serde_json::to_value(k),
            Kind::UnembedBias(k) => serde_json::to_value(k),
            Kind::Detect(k) => serde_json::to_value(k),
        };
        let internal = |e| Error::internal(format!("experiment: {e}"));
        let mut fields = Map::new();
        fields.insert("version".into(), VERSION.into());
        fields.insert("kind".into(), self.kind.name().into());
        fields.insert("processing".into(), serde_json::to_value(self.processing).map_err(internal)?);
        fields.insert("prepend_bos".into(), self.prepend_bos.into());
        if let Value::Object(rest) = kind.map_err(internal)? {
            fields.extend(rest);
        }
        Ok(Value::Object(fields))
    }
}

/// Reads JSON.
///
/// # Errors
/// `input.json`
pub fn parse(text: &str) -> Result<Value> {
    serde_json::from_str(text)
        .map_err(|e| Error::input("input.json", format!("the experiment is not JSON: {e}")))
}

/// Reads one part; the error names the path to what is wrong.
pub(crate) fn read<T: serde::de::DeserializeOwned>(place: &str, value: Value) -> Result<T> {
    serde_path_to_error::deserialize(value).map_err(|e| {
        let path = match (place, e.path().to_string().as_str()) {
            ("", ".") => String::new(),
            ("", path) => format!("{path}: "),
            (place, ".") => format!("{place}: "),
            (place, path) => format!("{place}.{path}: "),
        };
        let message = e.inner().to_string().replace('`', "'");
        let code = match message.as_str() {
            m if m.starts_with("unknown field") => "input.unknown_field",
            m if m.starts_with("missing field") => "input.missing_field",
            _ => "input.invalid",
        };
        Error::input(code, format!("{path}{message}"))
    })
}
