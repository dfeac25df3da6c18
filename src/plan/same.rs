//! Cells that cannot differ from their base run, so that nothing is run for them.

use crate::config::Config;
use crate::hook::{HookName, Site};
use crate::intervene::Place;
use crate::sweep::Case;

/// Whether an edit of this place can change nothing that the metric sees: it writes what is there already, or nothing
/// behind it is looked at.
pub(super) fn cannot_matter(
    cfg: &Config,
    case: &Case,
    source: Option<&Vec<u32>>,
    hook: HookName,
    place: &Place,
) -> bool {
    let len = case.tokens.len();
    // Scores may be edited so that a query sees the future; then everything may matter.
    let causal = hook.site != Site::AttnScores || source.is_some();
    if !causal {
        return false;
    }
    let masked = matches!((place.dest, place.src), (Some(dest), Some(src)) if src > dest);
    masked
        || !is_seen(cfg, case, hook.site, hook.layer, place)
        || source.is_some_and(|source| (place.positions(len)).all(|pos| same(case, source, hook, place, pos)))
}

/// Whether the metric sees anything of the place: positions behind the last one that it reads it does not, and behind the
/// last attention only those.
fn is_seen(cfg: &Config, case: &Case, site: Site, layer: usize, place: &Place) -> bool {
    let len = case.tokens.len();
    let last = case.metric.readout().positions(len);
    let behind_attention = match site {
        // Queries: each is read by its own position alone.
        Site::QInput | Site::Q | Site::AttnScores | Site::Pattern => true,
        site => site > Site::Pattern,
    };
    let first =
        if site.is_final() || (behind_attention && layer + 1 == cfg.n_layers) { last.start } else { 0 };
    let positions = place.positions(len);
    positions.start.max(first) < positions.end.min(last.end)
}

/// Whether the activation at a position (dest) is the same in the case and in the run that is copied from.
fn same(case: &Case, source: &[u32], hook: HookName, place: &Place, pos: usize) -> bool {
    let equal = |pos: usize| case.tokens[pos] == source[pos];
    let prefix_equal = |pos: usize| (0..=pos).all(equal);
    match hook.site {
        Site::PosEmbed => true,
        Site::Embed => equal(pos),
        // In the first layer, before attention, a position knows of itself alone.
        site if hook.layer == 0 && site <= Site::V => equal(pos),
        Site::AttnScores if hook.layer == 0 => match place.src {
            Some(src) => equal(pos) && equal(src),
            None => prefix_equal(pos),
        },
        _ => prefix_equal(pos),
    }
}
