//! Edits: which segments may run at once.

use super::cut::{DISPATCH_COST, ELEMENT_COST, MAX_GROUPS};
use super::{Call, Encoder, Slot};
use crate::backend::gpu::kernels;
use crate::backend::gpu::params::{Params, mode};
use crate::error::{Error, Result};
use crate::program::{Buf, Segment};
use std::ops::Range;

impl Encoder<'_> {
    /// Segments run at once in one dispatch. Where two write the same element the later must win, so they then run one
    /// after the other; a segment that reads what another writes has no meaning and is refused.
    pub(super) fn edit(&mut self, buf: Buf, from: Buf, segments: &[Segment]) -> Result<()> {
        let segments: Vec<Segment> = segments
            .iter()
            .copied()
            .filter(|s| s.len > 0 && (from != buf || s.src != s.dst || s.scale != 1.0))
            .collect();
        let Some(end) = segments.iter().map(|s| (s.dst + s.len) as usize).max() else { return Ok(()) };
        let slot = self.act(buf, end)?;
        let mut written: Vec<Range<u32>> = segments.iter().map(|s| s.dst..s.dst + s.len).collect();
        written.sort_unstable_by_key(|range| (range.start, range.end));
        let overlap = written.windows(2).any(|pair| pair[1].start < pair[0].end);
        // Ends of sorted ranges, made ascending even where ranges overlap.
        let mut furthest = 0;
        let ends: Vec<u32> = written
            .iter()
            .map(|range| {
                furthest = furthest.max(range.end);
                furthest
            })
            .collect();
        for segment in segments.iter().filter(|s| s.src != Segment::ZERO) {
            let (start, end) = (segment.src, segment.src + segment.len);
            self.act(from, end as usize)?;
            if from != buf || segment.src == segment.dst {
                continue;
            }
            let after = ends.partition_point(|e| *e <= start);
            if written.get(after).is_some_and(|range| range.start < end) {
                return Err(Error::internal(format!(
                    "a segment reads {start}..{end}, which another one writes"
                )));
            }
        }
        let (mode, other) =
            if from == buf { (0, Slot::Nothing) } else { (mode::FROM_OTHER, Slot::Act(from)) };
        let words: &[u32] = bytemuck::cast_slice(&segments);
        let list = self.list(words);
        let at_once = if overlap { 1 } else { MAX_GROUPS };
        for first in (0..segments.len()).step_by(at_once) {
            let end = (first + at_once).min(segments.len());
            let longest = segments[first..end].iter().map(|s| s.len as usize).max().unwrap_or(0);
            // Threads walk along longer segments.
            let groups = [longest.div_ceil(64).min(1024), end - first, 1];
            let params =
                Params { first_row: first as u32, end_row: end as u32, list, mode, ..Params::default() };
            let cost = DISPATCH_COST + (longest * (end - first)) as u64 * ELEMENT_COST as u64;
            let call = Call { kernel: &kernels::EDIT, params, slots: vec![Slot::Index, other, slot] };
            self.dispatch(call, groups, cost)?;
        }
        Ok(())
    }
}
