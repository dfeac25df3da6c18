//! Ablations and patches as data: which prompts, which places, what is written there, what is measured.

use super::fields::{AblateFields, PatchFields};
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

/// One run's edit: places that are edited together, and what is written there. The run behind one cell of a sweep: a
/// patch writes a `resample` of the clean prompt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edited {
    pub places: Vec<SetPlace>,
    pub edit: Edit,
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
