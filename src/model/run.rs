//! What goes into a batch and what comes out: runs, what is wanted of them, and where it lies.

use crate::config::Config;
use crate::error::{Error, Result};
use crate::hook::{HookName, Site};
use crate::intervene::{Edit, Intervention};

/// One forward pass with its edits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    pub tokens: Vec<u32>,
    pub interventions: Vec<Intervention>,
    /// A run of the same batch with the same tokens and no edits; this run takes its residual stream from there up
    /// to the first layer that it edits.
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
    pub hooks: Vec<HookName>,
}

/// Where a run's results lie in the program's output, as element offsets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunOutput {
    pub last_logits: Option<usize>,
    pub logit_diff: Option<usize>,
    /// First row of `(max, sum of exp, target logit)` and the number of rows.
    pub loss: Option<(usize, usize)>,
    /// In the order of [`Readout::hooks`].
    pub hooks: Vec<usize>,
}

/// What an engine can take at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Elements of the largest activation buffer.
    pub buffer_elements: usize,
    /// Rows of `W_U` that can be bound together (a binding's limit on the GPU).
    pub unembed_rows: usize,
}

impl Run {
    /// The layer from which this run differs from its base (0 without one).
    pub fn start_layer(&self, n_layers: usize) -> usize {
        if self.base.is_none() {
            return 0;
        }
        let layer = |hook: &HookName| if is_final(hook.site) { n_layers } else { hook.layer };
        let edited = self.interventions.iter().map(|i| layer(&i.hook));
        edited.chain(self.readout.hooks.iter().map(layer)).min().unwrap_or(n_layers)
    }
}

/// Checks one run of a batch against the model and against the runs that it refers to.
pub(super) fn check_run(cfg: &Config, runs: &[Run], starts: &[usize], i: usize) -> Result<()> {
    let run = &runs[i];
    if run.tokens.is_empty() || run.tokens.len() > cfg.n_ctx {
        return Err(Error::input(
            "input.length",
            format!("a prompt has {} tokens, expected 1 to {} (n_ctx)", run.tokens.len(), cfg.n_ctx),
        ));
    }
    if let Some(token) = run.tokens.iter().find(|token| **token as usize >= cfg.d_vocab) {
        return Err(Error::input(
            "input.token",
            format!(
                "token id {token} is outside the vocabulary of {} (0 to {})",
                cfg.d_vocab,
                cfg.d_vocab - 1
            ),
        ));
    }
    if let Some(base) = run.base
        && runs
            .get(base)
            .is_none_or(|b| starts[base] != 0 || b.tokens != run.tokens || !b.interventions.is_empty())
    {
        return Err(Error::internal(format!(
            "run {i}: base {base} is not an unedited run of the same tokens"
        )));
    }
    for intervention in &run.interventions {
        let Edit::Patch { from } = intervention.edit else { continue };
        let same =
            runs.get(from).is_some_and(|f| f.tokens.len() == run.tokens.len() && starts[from] <= starts[i]);
        if !same {
            return Err(Error::internal(format!("run {i}: run {from} cannot be patched from")));
        }
    }
    Ok(())
}

/// Whether a site lies behind the last layer.
pub(super) fn is_final(site: Site) -> bool {
    matches!(site, Site::LnFinalScale | Site::LnFinalNormalized)
}

/// The positions whose final LayerNorm a run needs: all where it is read or anybody in the batch edits it.
pub(super) fn final_positions(run: &Run, final_edits: bool) -> std::ops::Range<usize> {
    let (len, readout) = (run.tokens.len(), &run.readout);
    let last = readout.last_logits || readout.logit_diff.is_some();
    let all = final_edits || readout.hooks.iter().any(|hook| is_final(hook.site));
    match (all, readout.loss, last) {
        (true, _, _) | (_, true, true) => 0..len,
        (_, true, _) => 0..len - 1,
        (_, _, true) => len - 1..len,
        _ => 0..0,
    }
}
