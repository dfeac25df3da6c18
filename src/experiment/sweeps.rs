//! Ablations and patches as data: which prompts, which places, what is written there, what is measured.
//!
//! Fields that exclude each other (`prompt` and `prompts`; `site`, `sites` and `sets`) are read as optional ones and
//! then checked, so that an error names both.

use super::{Prompt, Token};
use crate::hook::{Axis, Site};
use crate::sweep::Over;
use serde::{Deserialize, Serialize};

/// The metric with one place after another edited.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "AblateFields", into = "AblateFields")]
pub struct Ablate {
    /// The metric is the mean over them.
    pub prompts: Vec<MeasuredPrompt>,
    /// Whether they stand in `prompts`, else the one in `prompt`.
    pub listed: bool,
    pub places: Places,
    pub edit: Edit,
    pub metric: Metric,
}

/// A prompt of a batch; a token that it does not name is the metric's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredPrompt {
    pub prompt: Prompt,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correct: Option<Token>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incorrect: Option<Token>,
}

/// The corrupted run with one place after another copied from the clean run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PatchFields", into = "PatchFields")]
pub struct Patch {
    /// The metric is the mean over them, normalised afterwards.
    pub pairs: Vec<Pair>,
    /// Whether they stand in `pairs`, else the one in `clean` and `corrupted`.
    pub listed: bool,
    /// Never sets.
    pub places: Places,
    pub metric: PatchMetric,
}

/// A clean and a corrupted prompt; a token that they do not name is the metric's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    pub clean: Prompt,
    pub corrupted: Prompt,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correct: Option<Token>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incorrect: Option<Token>,
}

/// Where the edits of a sweep are.
#[derive(Clone, Debug, PartialEq)]
pub enum Places {
    /// One value for every index of a site.
    Site { site: Site, axes: Vec<Axis> },
    /// The same for several sites, stacked as a first axis `site`.
    Sites { sites: Vec<Site>, axes: Vec<Axis> },
    /// One value for every set; the places of a set are edited together.
    Sets(Vec<Vec<SetPlace>>),
}

/// A place of a set; an index that is absent means all of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetPlace {
    pub site: Site,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pos: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dest: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src: Option<usize>,
}

/// What an ablation writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Edit {
    Zero {},
    /// The mean of the activation on reference prompts.
    Mean {
        prompts: Vec<Prompt>,
        #[serde(default)]
        over: Over,
    },
    /// The activation on a reference prompt; with several, the metric is the mean over them.
    Resample {
        prompts: Vec<Prompt>,
    },
}

/// One number per run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Metric {
    /// `logit(correct) − logit(incorrect)` at the last position; a token that is absent is named by every prompt.
    LogitDiff {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        correct: Option<Token>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        incorrect: Option<Token>,
    },
    /// Mean cross-entropy of token t+1 at position t, in nats.
    Loss {},
}

/// A metric that may be normalised: `(patched − corrupted) / (clean − corrupted)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum PatchMetric {
    LogitDiff {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        correct: Option<Token>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        incorrect: Option<Token>,
        #[serde(default)]
        normalize: bool,
    },
    Loss {
        #[serde(default)]
        normalize: bool,
    },
}

impl Metric {
    /// The tokens that are compared on a prompt that names `own` `[correct, incorrect]`; `None` for the loss.
    ///
    /// # Errors
    /// When nothing names one of them, or the prompt names one that the loss does not read.
    pub fn answers<'a>(
        &'a self,
        own: [Option<&'a Token>; 2],
    ) -> std::result::Result<Option<[&'a Token; 2]>, String> {
        match self {
            Metric::LogitDiff { correct, incorrect } => {
                let [own_correct, own_incorrect] = own;
                let missing = |name: &str| format!("missing field '{name}' of metric");
                let correct = own_correct.or(correct.as_ref()).ok_or_else(|| missing("correct"))?;
                let incorrect = own_incorrect.or(incorrect.as_ref()).ok_or_else(|| missing("incorrect"))?;
                Ok(Some([correct, incorrect]))
            }
            Metric::Loss {} if own != [None, None] => {
                Err("'correct' and 'incorrect' belong to the metric 'logit_diff', found 'loss'".into())
            }
            Metric::Loss {} => Ok(None),
        }
    }
}

impl PatchMetric {
    pub fn normalize(&self) -> bool {
        match self {
            PatchMetric::LogitDiff { normalize, .. } | PatchMetric::Loss { normalize } => *normalize,
        }
    }

    pub fn metric(&self) -> Metric {
        match self.clone() {
            PatchMetric::LogitDiff { correct, incorrect, .. } => Metric::LogitDiff { correct, incorrect },
            PatchMetric::Loss { .. } => Metric::Loss {},
        }
    }
}

impl MeasuredPrompt {
    /// `[correct, incorrect]` as far as the prompt names them.
    pub fn own(&self) -> [Option<&Token>; 2] {
        [self.correct.as_ref(), self.incorrect.as_ref()]
    }
}

impl Pair {
    /// `[correct, incorrect]` as far as the pair names them.
    pub fn own(&self) -> [Option<&Token>; 2] {
        [self.correct.as_ref(), self.incorrect.as_ref()]
    }
}

/// An ablation as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AblateFields {
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
struct PatchFields {
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
fn not_one(fields: &[(&str, bool)]) -> String {
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
