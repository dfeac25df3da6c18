//! Head detection as data: which prompts, which patterns, how heads are scored.

use super::Prompt;
use super::fields::not_one;
use crate::detect::{Measure, Pattern, Scoring};
use serde::{Deserialize, Serialize};

/// How closely every head's attention follows a pattern, or each of several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct Detect {
    /// A head's score is the mean over them.
    pub prompts: Vec<Prompt>,
    /// Whether they stand in `prompts`, else the one in `prompt`.
    pub listed: bool,
    pub patterns: Vec<Pattern>,
    /// Whether they stand in `patterns`, else the one in `pattern`.
    pub stacked: bool,
    pub scoring: Scoring,
    /// `[layer, head]` of those that are scored; all where `None`.
    pub heads: Option<Vec<[usize; 2]>>,
}

/// A detection as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prompt: Option<Prompt>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prompts: Option<Vec<Prompt>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pattern: Option<Pattern>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    patterns: Option<Vec<Pattern>>,
    #[serde(default)]
    measure: Measure,
    #[serde(default)]
    exclude_bos: bool,
    #[serde(default)]
    exclude_current_token: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heads: Option<Vec<[usize; 2]>>,
}

impl TryFrom<Fields> for Detect {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let Fields { prompt, prompts, pattern, patterns, measure, exclude_bos, exclude_current_token, heads } =
            fields;
        let (listed, prompts) = one_or_list(["prompt", "prompts"], prompt, prompts)?;
        let (stacked, patterns) = one_or_list(["pattern", "patterns"], pattern, patterns)?;
        let scoring = Scoring { measure, exclude_bos, exclude_current_token };
        Ok(Self { prompts, listed, patterns, stacked, scoring, heads })
    }
}

impl From<Detect> for Fields {
    fn from(detect: Detect) -> Self {
        let Detect { prompts, listed, patterns, stacked, scoring, heads } = detect;
        let Scoring { measure, exclude_bos, exclude_current_token } = scoring;
        let (prompt, prompts) = written(listed, prompts);
        let (pattern, patterns) = written(stacked, patterns);
        Self { prompt, prompts, pattern, patterns, measure, exclude_bos, exclude_current_token, heads }
    }
}

/// Whether it was a list, and the list.
fn one_or_list<T>(
    [name, names]: [&str; 2],
    one: Option<T>,
    list: Option<Vec<T>>,
) -> Result<(bool, Vec<T>), String> {
    match (one, list) {
        (Some(one), None) => Ok((false, vec![one])),
        (None, Some(list)) => Ok((true, list)),
        (one, list) => Err(not_one(&[(name, one.is_some()), (names, list.is_some())])),
    }
}

fn written<T>(listed: bool, list: Vec<T>) -> (Option<T>, Option<Vec<T>>) {
    if listed { (None, Some(list)) } else { (list.into_iter().next(), None) }
}
