//! Ablations and patches as they are written. Fields that exclude each other (`prompt` and `prompts`; `site`, `sites`
//! and `sets`) are read as optional ones and then checked, so that an error names both.

use super::sweeps::{Ablate, Edit, MeasuredPrompt, Metric, Pair, Patch, PatchMetric, Places, SetPlace};
use super::{Prompt, Token};
use crate::hook::{Axis, Site};
use serde::{Deserialize, Serialize};

/// An ablation as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AblateFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prompt: Option<Prompt>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prompts: Option<Vec<MeasuredPrompt>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    site: Option<Site>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sites: Option<Vec<Site>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sets: Option<Vec<Vec<SetPlace>>>,
    edit: Edit,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    axes: Option<Vec<Axis>>,
    metric: Metric,
}

/// A patch as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PatchFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clean: Option<Prompt>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    corrupted: Option<Prompt>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pairs: Option<Vec<Pair>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    site: Option<Site>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sites: Option<Vec<Site>>,
    axes: Vec<Axis>,
    metric: PatchMetric,
}

impl TryFrom<AblateFields> for Ablate {
    type Error = String;

    fn try_from(fields: AblateFields) -> Result<Self, String> {
        let AblateFields { prompt, prompts, site, sites, sets, edit, axes, metric } = fields;
        let listed = prompts.is_some();
        let prompts = match (prompt, prompts) {
            (Some(prompt), None) => vec![MeasuredPrompt { prompt, correct: None, incorrect: None }],
            (None, Some(prompts)) => prompts,
            (a, b) => return Err(not_one(&[("prompt", a.is_some()), ("prompts", b.is_some())])),
        };
        let places = match (site, sites, sets, axes) {
            (Some(site), None, None, Some(axes)) => Places::Site { site, axes },
            (None, Some(sites), None, Some(axes)) => Places::Sites { sites, axes },
            (None, None, Some(sets), None) => Places::Sets(sets),
            (None, None, Some(_), Some(_)) => {
                return Err("'axes' stands beside 'sets', expected no axes: every set is one value".into());
            }
            (Some(_), None, None, None) | (None, Some(_), None, None) => {
                return Err("missing field 'axes'".into());
            }
            (a, b, c, _) => {
                return Err(not_one(&[("site", a.is_some()), ("sites", b.is_some()), ("sets", c.is_some())]));
            }
        };
        check_answers(&metric, listed.then_some("prompts"), prompts.iter().map(MeasuredPrompt::own))?;
        Ok(Self { prompts, listed, places, edit, metric })
    }
}

impl From<Ablate> for AblateFields {
    fn from(ablate: Ablate) -> Self {
        let Ablate { prompts, listed, places, edit, metric } = ablate;
        let (site, sites, sets, axes) = written(places);
        let (prompt, prompts) = if listed {
            (None, Some(prompts))
        } else {
            (prompts.into_iter().next().map(|entry| entry.prompt), None)
        };
        Self { prompt, prompts, site, sites, sets, edit, axes, metric }
    }
}

impl TryFrom<PatchFields> for Patch {
    type Error = String;

    fn try_from(fields: PatchFields) -> Result<Self, String> {
        let PatchFields { clean, corrupted, pairs, site, sites, axes, metric } = fields;
        let listed = pairs.is_some();
        let pairs = match (clean, corrupted, pairs) {
            (None, None, Some(pairs)) => pairs,
            (Some(clean), Some(corrupted), None) => {
                vec![Pair { clean, corrupted, correct: None, incorrect: None }]
            }
            (Some(_), None, None) => return Err("missing field 'corrupted'".into()),
            (None, Some(_), None) => return Err("missing field 'clean'".into()),
            (a, b, c) => {
                let one = a.is_some() || b.is_some();
                return Err(not_one(&[("clean' and 'corrupted", one), ("pairs", c.is_some())]));
            }
        };
        let places = match (site, sites) {
            (Some(site), None) => Places::Site { site, axes },
            (None, Some(sites)) => Places::Sites { sites, axes },
            (a, b) => return Err(not_one(&[("site", a.is_some()), ("sites", b.is_some())])),
        };
        check_answers(&metric.metric(), listed.then_some("pairs"), pairs.iter().map(Pair::own))?;
        Ok(Self { pairs, listed, places, metric })
    }
}

impl From<Patch> for PatchFields {
    fn from(patch: Patch) -> Self {
        let Patch { mut pairs, listed, places, metric } = patch;
        let (site, sites, _, axes) = written(places);
        let one = if listed { None } else { pairs.pop() };
        let (clean, corrupted) = one.map(|pair| (pair.clean, pair.corrupted)).unzip();
        let pairs = listed.then_some(pairs);
        Self { clean, corrupted, pairs, site, sites, axes: axes.unwrap_or_default(), metric }
    }
}

/// `site`, `sites`, `sets` and `axes` of places.
type Written = (Option<Site>, Option<Vec<Site>>, Option<Vec<Vec<SetPlace>>>, Option<Vec<Axis>>);

fn written(places: Places) -> Written {
    match places {
        Places::Site { site, axes } => (Some(site), None, None, Some(axes)),
        Places::Sites { sites, axes } => (None, Some(sites), None, Some(axes)),
        Places::Sets(sets) => (None, None, Some(sets), None),
    }
}

/// What is wrong when not exactly one of these fields is there.
pub(super) fn not_one(fields: &[(&str, bool)]) -> String {
    let names = |found: bool, between: &str| {
        let named = fields.iter().filter(|(_, there)| *there || !found);
        named.map(|(name, _)| format!("'{name}'")).collect::<Vec<_>>().join(between)
    };
    match fields.iter().any(|(_, there)| *there) {
        true => format!("{} exclude each other, expected only one", names(true, " and ")),
        false => format!("missing field {}", names(false, " or ")),
    }
}

/// Checks that the metric knows its tokens for every prompt of the list `field`.
fn check_answers<'a>(
    metric: &Metric,
    field: Option<&str>,
    own: impl Iterator<Item = [Option<&'a Token>; 2]>,
) -> Result<(), String> {
    for (i, own) in own.enumerate() {
        metric.answers(own).map_err(|error| match field {
            // The first words decide the error's code.
            Some(field) if error.starts_with("missing") => format!("{error}, and of {field}[{i}]"),
            Some(field) => format!("{field}[{i}]: {error}"),
            None => error,
        })?;
    }
    Ok(())
}
