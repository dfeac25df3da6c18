//! The checkpoints of one training: their steps, and the address of each.

use super::Steps;
use crate::address::Address;
use crate::error::{Error, Result};
use crate::weights::manifest::unknown_step;
use serde::Serialize;

/// What stands for the step in a template.
const STEP: &str = "{step}";

/// One checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checkpoint {
    pub step: u64,
    pub address: String,
}

/// Checkpoints that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Family {
    /// None are known.
    Unknown,
    /// The same address at each step.
    Template {
        template: String,
        /// `None` where nobody states them.
        steps: Option<Vec<u64>>,
    },
    /// Addresses; the step of each is its place.
    List(Vec<String>),
}

impl Family {
    /// The family of the model at `address`. `steps` are those that its folder names; of a repository on the Hub they are
    /// known for stanford-crfm's.
    pub fn of_model(address: &Address, steps: Vec<u64>) -> Self {
        match address {
            Address::Hub(repo) if is_stanford(&repo.owner, &repo.name) => {
                Self::of_template(&format!("hf:{repo}@checkpoint-{STEP}"))
            }
            Address::Folder(_) | Address::Web(_) if !steps.is_empty() => {
                Self::Template { template: format!("{}@{STEP}", address.source()), steps: Some(steps) }
            }
            _ => Self::Unknown,
        }
    }

    /// The checkpoints of a template.
    pub fn of_template(template: &str) -> Self {
        let known = template.strip_prefix("hf:").and_then(|rest| rest.strip_suffix("@checkpoint-{step}"));
        let stanford =
            known.and_then(|repo| repo.split_once('/')).is_some_and(|(owner, name)| is_stanford(owner, name));
        Self::Template { template: template.to_owned(), steps: stanford.then(stanford_steps) }
    }

    pub fn of_list(list: &[String]) -> Self {
        Self::List(list.to_vec())
    }

    /// Every step that is known.
    pub fn steps(&self) -> Vec<u64> {
        match self {
            Family::Unknown => Vec::new(),
            Family::Template { steps, .. } => steps.clone().unwrap_or_default(),
            Family::List(list) => (0..list.len() as u64).collect(),
        }
    }

    /// The checkpoint of a step, whether or not it is known to be there.
    pub fn at(&self, step: u64) -> Option<Checkpoint> {
        let address = match self {
            Family::Unknown => None,
            Family::Template { template, .. } => Some(template.replace(STEP, &step.to_string())),
            Family::List(list) => list.get(usize::try_from(step).ok()?).cloned(),
        };
        address.map(|address| Checkpoint { step, address })
    }

    /// The step of the checkpoint at an address.
    pub fn step_of(&self, address: &str) -> Option<u64> {
        match self {
            Family::Unknown => None,
            Family::Template { template, .. } => {
                let (start, end) = template.split_once(STEP)?;
                address.strip_prefix(start)?.strip_suffix(end)?.parse().ok()
            }
            Family::List(list) => list.iter().position(|one| one == address).map(|place| place as u64),
        }
    }

    /// The checkpoints of these steps.
    ///
    /// # Errors
    /// `checkpoint.none`, `checkpoint.unknown`, and `input.invalid` for `"all"` where nobody states which.
    pub fn wanted(&self, steps: &Steps) -> Result<Vec<Checkpoint>> {
        let known = match self {
            Family::Unknown => {
                return Err(Error::input(
                    "checkpoint.none",
                    "the open model comes without checkpoints of its training",
                )
                .with_action(
                    "Name some in 'checkpoints': an address with {step} in it, or a list of addresses.",
                ));
            }
            Family::Template { steps, .. } => steps.clone(),
            Family::List(_) => Some(self.steps()),
        };
        let steps = match (steps, known) {
            (Steps::All, Some(known)) => known,
            (Steps::All, None) => {
                let message = "steps: \"all\" of these checkpoints are not known, expected a list of steps";
                return Err(Error::input("input.invalid", message));
            }
            (Steps::Some(steps), Some(known)) => match steps.iter().find(|step| !known.contains(step)) {
                Some(step) => return Err(unknown_step(*step, known.into_iter())),
                None => steps.clone(),
            },
            (Steps::Some(steps), None) => steps.clone(),
        };
        Ok(steps.into_iter().filter_map(|step| self.at(step)).collect())
    }
}

/// Mistral's GPT-2 small models: five seeds of one training each, `alias-gpt2-small-x21` and so on.
fn is_stanford(owner: &str, name: &str) -> bool {
    let seed = name.split_once("-gpt2-small-x").map(|(_, seed)| seed);
    owner == "stanford-crfm" && seed.is_some_and(|seed| seed.parse::<u32>().is_ok())
}

/// Steps with a tag `checkpoint-{step}`: TransformerLens' `STANFORD_CRFM_CHECKPOINTS`.
fn stanford_steps() -> Vec<u64> {
    let ranges = [(0, 100, 10), (100, 2000, 50), (2000, 20_000, 100), (20_000, 400_001, 1000)];
    ranges.iter().flat_map(|(from, to, by)| (*from..*to).step_by(*by)).collect()
}
