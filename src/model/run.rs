//! What goes into a batch and what comes out: runs, what is wanted of them, and where it lies.

use crate::config::Config;
use crate::error::{Error, Result};
use crate::hook::HookName;
use crate::intervene::{Edit, Intervention};
use std::ops::Range;

/// One forward pass with its edits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    pub tokens: Vec<u32>,
    pub interventions: Vec<Intervention>,
    /// An earlier, unedited run of the same batch, from which this run takes everything up to where it first differs:
    /// its own tokens if it edits nothing, the place of its first edit if it does (then the tokens are the same).
    pub base: Option<usize>,
    pub readout: Readout,
}

/// What is wanted of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Readout {
    /// Logits of the last position, `[d_vocab]`.
    pub last_logits: bool,
    /// `logit(correct) − logit(incorrect)` at the last position.
    pub logit_diff: Option<[u32; 2]>,
    /// Cross-entropy of token t+1 at position t, `[pos − 1]`.
    pub loss: bool,
    /// Activations; a run that is looked at shares nothing with its base.
    pub hooks: Vec<HookName>,
}

impl Readout {
    /// The positions of a run of `len` tokens whose logits are wanted.
    pub fn positions(&self, len: usize) -> Range<usize> {
        match (self.loss, self.last_logits || self.logit_diff.is_some()) {
            (true, true) => 0..len,
            (true, false) => 0..len - 1,
            (false, true) => len - 1..len,
            (false, false) => 0..0,
        }
    }
}

/// Where a run's results lie in the program's output, as element offsets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunOutput {
    pub last_logits: Option<usize>,
    pub logit_diff: Option<usize>,
    /// `(max, sum of exp, target logit)` of every position but the last.
    pub loss: Option<Vec<usize>>,
    /// In the order of [`Readout::hooks`].
    pub hooks: Vec<usize>,
}

/// What an engine can take at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Elements of the largest activation buffer.
    pub buffer_elements: usize,
    /// Elements of a tile of logits.
    pub tile_elements: usize,
    /// Rows of `W_U` that can be bound together (a binding's limit on the GPU).
    pub unembed_rows: usize,
}

impl Run {
    /// The runs that this one reads: its base, and those that its edits copy from.
    pub(super) fn reads(&self) -> impl Iterator<Item = usize> + '_ {
        let from = self.interventions.iter().filter_map(|i| match i.edit {
            Edit::Patch { from } => Some(from),
            _ => None,
        });
        self.base.into_iter().chain(from)
    }

    /// Tokens at the beginning that are the same.
    pub(super) fn shared_prefix(&self, other: &Run) -> usize {
        self.tokens.iter().zip(&other.tokens).take_while(|(a, b)| a == b).count()
    }

    /// Checks one run of a batch against the model and against the runs that it refers to.
    pub(super) fn check(&self, cfg: &Config, runs: &[Run], i: usize, given: usize) -> Result<()> {
        if self.tokens.is_empty() || self.tokens.len() > cfg.n_ctx {
            return Err(Error::input(
                "input.length",
                format!("a prompt has {} tokens, expected 1 to {} (n_ctx)", self.tokens.len(), cfg.n_ctx),
            ));
        }
        if let Some(token) = self.tokens.iter().find(|token| **token as usize >= cfg.d_vocab) {
            return Err(Error::input(
                "input.token",
                format!(
                    "token id {token} is outside the vocabulary of {} (0 to {})",
                    cfg.d_vocab,
                    cfg.d_vocab - 1
                ),
            ));
        }
        for Intervention { hook, place, edit } in &self.interventions {
            place.check(hook.site, cfg, self.tokens.len())?;
            if let Edit::Patch { from } = edit
                && runs.get(*from).is_none_or(|other| other.tokens.len() != self.tokens.len())
            {
                return Err(Error::internal(format!("run {i}: run {from} cannot be patched from")));
            }
            if let Edit::Given { at, per_pos } = edit {
                let end = at + hook.site.len(cfg, if *per_pos { self.tokens.len() } else { 1 });
                if end > given {
                    let message = format!("run {i}: {hook} is given up to value {end} of {given}");
                    return Err(Error::internal(message));
                }
            }
        }
        for other in self.reads() {
            if other >= i || !runs[other].interventions.is_empty() {
                return Err(Error::internal(format!(
                    "run {i} reads run {other}, not an unedited one before it"
                )));
            }
        }
        if let Some(base) = self.base
            && !self.interventions.is_empty()
            && runs[base].tokens != self.tokens
        {
            return Err(Error::internal(format!("run {i} is edited and its base {base} has other tokens")));
        }
        Ok(())
    }
}
