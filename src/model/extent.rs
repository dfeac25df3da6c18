//! How much of a run is computed: where it leaves its base, for which positions, and what of its end is needed.

use super::run::Run;
use crate::config::Config;
use crate::hook::{HookName, Site};
use crate::intervene::{Edit, Intervention};
use std::ops::Range;

/// Where in a layer a run may leave its base, in the order of the forward pass. What comes between two of these leaves
/// at the earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Fork {
    /// Layer 0: a root, or a run with other tokens than its base.
    Embed,
    ResidPre,
    /// Some heads of the layer are computed again, and what they add to the residual stream changes.
    Heads,
    AttnOut,
    ResidMid,
    Pre,
    Post,
    MlpOut,
    ResidPost,
    /// Behind the last layer.
    Final,
}

/// What is computed of a run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Extent {
    pub(super) layer: usize,
    pub(super) fork: Fork,
    /// The positions that differ from the base where the run leaves it.
    pub(super) differs: Range<usize>,
    /// The first position that differs behind the next attention; all later ones do too.
    pub(super) first: usize,
    /// Positions whose residual stream is that of another run, so that nothing is computed for them.
    pub(super) alias: Option<(Range<usize>, usize)>,
    /// Positions whose logits are wanted.
    pub(super) last: Range<usize>,
    /// Positions from here on are never looked at.
    pub(super) end: usize,
}

/// The extent of every run of a batch; unless it is `causal`, nothing of a run is left out at its end.
pub(super) fn extents(cfg: &Config, runs: &[Run], causal: bool) -> Vec<Extent> {
    let mut extents: Vec<Extent> =
        (0..runs.len()).map(|i| leave(cfg, runs, i, wanted(&runs[i], !causal))).collect();
    // What a run needs, those that it reads must have; they stand before it.
    for (i, run) in runs.iter().enumerate().rev() {
        let Extent { last, end, .. } = extents[i].clone();
        for other in run.reads() {
            let shared = run.tokens.len().min(if Some(other) == run.base && run.interventions.is_empty() {
                run.shared_prefix(&runs[other])
            } else {
                usize::MAX
            });
            let other = &mut extents[other];
            other.last = hull(other.last.clone(), last.start.min(shared)..last.end.min(shared));
            other.end = other.end.max(end.min(shared));
        }
    }
    for extent in &mut extents {
        extent.differs = extent.differs.start.min(extent.end)..extent.differs.end.min(extent.end);
    }
    extents
}

/// Whether an edited score may let a query look at later positions; then nothing can be left out.
pub(super) fn reach_the_future(runs: &[Run]) -> bool {
    let masked = |edit| matches!(edit, Edit::Patch { .. } | Edit::Given { .. });
    runs.iter().flat_map(|run| &run.interventions).any(|i| i.hook.site == Site::AttnScores && !masked(i.edit))
}

/// The positions whose logits a run wants. Where activations are looked at, all are computed.
fn wanted(run: &Run, everything: bool) -> Range<usize> {
    let len = run.tokens.len();
    if everything || !run.readout.hooks.is_empty() { 0..len } else { run.readout.positions(len) }
}

/// What two ranges have in common.
pub(super) fn overlap(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    a.start.max(b.start)..a.end.min(b.end)
}

fn hull(a: Range<usize>, b: Range<usize>) -> Range<usize> {
    match (a.is_empty(), b.is_empty()) {
        (_, true) => a,
        (true, _) => b,
        _ => a.start.min(b.start)..a.end.max(b.end),
    }
}

/// Where a run leaves its base.
fn leave(cfg: &Config, runs: &[Run], i: usize, last: Range<usize>) -> Extent {
    let run = &runs[i];
    let len = run.tokens.len();
    let end = last.end;
    let root = Extent { layer: 0, fork: Fork::Embed, differs: 0..len, first: 0, alias: None, last, end };
    let base = match run.base {
        Some(base) if run.readout.hooks.is_empty() => &runs[base],
        _ => return root,
    };
    let Some(earliest) = run.interventions.iter().map(|i| i.hook).min_by_key(order) else {
        let first = run.shared_prefix(base);
        return Extent { differs: first..len, first, ..root };
    };
    let (layer, mut fork) = (earliest.layer, fork_of(earliest.site));
    // Heads can be computed again only if nothing else between them and the residual stream is edited.
    let between = |hook: &HookName| hook.layer == layer && matches!(hook.site, Site::Result | Site::AttnOut);
    if fork == Fork::Heads && run.interventions.iter().any(|i| between(&i.hook)) {
        fork = Fork::ResidPre;
    }
    let first = run.interventions.iter().map(|i| i.place.positions(len).start).min().unwrap_or(0);
    let differs = match run.interventions.as_slice() {
        // A changed key or value is seen by every later query.
        [only] if !matches!(only.hook.site, Site::K | Site::V) => only.place.positions(len),
        _ => first..len,
    };
    let extent = Extent { layer, fork, differs, first, ..root };
    match run.interventions.as_slice() {
        [Intervention { hook, place, edit: Edit::Patch { from } }] if hook.site == Site::ResidPre => {
            let alias = place.positions(len);
            // Where everything before was the same in both, these positions stay what they are in the other run.
            let first = if alias.start <= run.shared_prefix(&runs[*from]) { alias.end } else { first };
            Extent { first, alias: Some((alias, *from)), ..extent }
        }
        _ if fork == Fork::Final => Extent { layer: cfg.n_layers, ..extent },
        _ => extent,
    }
}

fn order(hook: &HookName) -> (usize, usize) {
    (if hook.site.is_final() { usize::MAX } else { hook.layer }, hook.site as usize)
}

fn fork_of(site: Site) -> Fork {
    use Site::*;
    match site {
        Embed | PosEmbed => Fork::Embed,
        ResidPre | AttnIn | QInput | KInput | VInput | Ln1Scale | Ln1Normalized | Result => Fork::ResidPre,
        Q | K | V | AttnScores | Pattern | Z => Fork::Heads,
        AttnOut => Fork::AttnOut,
        ResidMid | MlpIn | Ln2Scale | Ln2Normalized => Fork::ResidMid,
        Pre => Fork::Pre,
        Post => Fork::Post,
        MlpOut => Fork::MlpOut,
        ResidPost => Fork::ResidPost,
        LnFinalScale | LnFinalNormalized => Fork::Final,
    }
}
