//! Calls of kernels become dispatches, cut into pieces where they are too much for one, so that a cancel is heard. The
//! cuts change no bit of the result: each element is computed by the same threads in the same order.

use super::{Call, Encoder, Slot, Step};
use crate::backend::gpu::kernels;
use crate::backend::gpu::params::Params;
use crate::error::{Error, Result};
use crate::program::{Buf, Segment};
use std::ops::Range;

/// What a dispatch costs by itself, in operations of a slow adapter (about 20 µs at 5 GFLOP/s).
pub(super) const DISPATCH_COST: u64 = 100_000;
/// Operations of a matrix product that take as long as one element of an elementwise kernel: memory is slow everywhere.
pub(super) const ELEMENT_COST: usize = 64;
/// WebGPU's limit on workgroups in one dimension.
const MAX_GROUPS: usize = 65_535;

impl Encoder<'_> {
    /// An elementwise op: one thread per element of rows of `width`.
    pub(super) fn elements(&mut self, call: Call, width: usize) -> Result<()> {
        let across = call.kernel.tile[0] as usize;
        self.by_rows(call, ELEMENT_COST * width, usize::MAX, |rows| fold((rows * width).div_ceil(across)))
    }

    /// An op that reduces rows of `width` elements, which its threads walk twice.
    pub(super) fn reductions(&mut self, call: Call, width: usize) -> Result<()> {
        let tall = call.kernel.tile[1] as usize;
        self.by_rows(call, 2 * ELEMENT_COST * width, usize::MAX, |rows| fold(rows.div_ceil(tall)))
    }

    /// An op over `[head, dest, src]` blocks. `cost` is per dest and src; `groups` is asked with the kernel's tile, the
    /// longest run and a number of dest rows.
    pub(super) fn attention(
        &mut self,
        call: Call,
        cost: usize,
        groups: impl Fn([usize; 2], usize, usize) -> [usize; 3],
    ) -> Result<()> {
        let tile = call.kernel.tile.map(|n| n as usize);
        let rows = self.rows(call.params.end_row as usize)?;
        let longest = rows.iter().map(|row| row.len as usize).max().unwrap_or(0);
        // Short dot products keep a kernel from the speed of a large matrix product.
        self.by_rows(call, 4 * cost * longest, MAX_GROUPS, |rows| groups(tile, longest, rows))
    }

    /// Cuts a call into pieces of at most `most` rows.
    fn by_rows(
        &mut self,
        call: Call,
        row_cost: usize,
        most: usize,
        groups: impl Fn(usize) -> [usize; 3],
    ) -> Result<()> {
        let rows = call.params.end_row as usize;
        let rows_once = (self.machine.dispatch_cost as usize / row_cost.max(1)).clamp(1, most);
        for row in (0..rows).step_by(rows_once) {
            let end_row = (row + rows_once).min(rows);
            let params = Params { first_row: row as u32, end_row: end_row as u32, ..call.params };
            let cost = DISPATCH_COST + ((end_row - row) * row_cost) as u64;
            self.dispatch(Call { params, slots: call.slots.clone(), ..call }, groups(end_row - row), cost)?;
        }
        Ok(())
    }

    /// A matrix product with `cols` columns, cut into pieces of rows and columns.
    pub(super) fn product(&mut self, call: Call, cols: usize) -> Result<()> {
        let [tile_cols, tile_rows] = call.kernel.tile.map(|n| n as usize);
        let (rows, k) = (call.params.end_row as usize, u64::from(call.params.k));
        let cells = (self.machine.dispatch_cost / (2 * k).max(1)) as usize;
        let in_tiles = |n: usize, tile: usize| (n / tile * tile).max(tile);
        let rows_once = in_tiles(cells / tile_cols, tile_rows).min(MAX_GROUPS * tile_rows).min(rows.max(1));
        let cols_once = in_tiles(cells / rows_once, tile_cols);
        for row in (0..rows).step_by(rows_once) {
            let end_row = (row + rows_once).min(rows);
            for col in (0..cols).step_by(cols_once) {
                let end_col = (col + cols_once).min(cols);
                let groups = [(end_col - col).div_ceil(tile_cols), (end_row - row).div_ceil(tile_rows), 1];
                let cost = DISPATCH_COST + 2 * ((end_row - row) * (end_col - col)) as u64 * k;
                let params = Params {
                    first_row: row as u32,
                    end_row: end_row as u32,
                    first_col: col as u32,
                    end_col: end_col as u32,
                    ..call.params
                };
                self.dispatch(Call { params, slots: call.slots.clone(), ..call }, groups, cost)?;
            }
        }
        Ok(())
    }

    /// Segments run at once in one dispatch. Where two write the same element the later must win, so they then run one
    /// after the other; a segment that reads what another writes has no meaning and is refused.
    pub(super) fn edit(&mut self, buf: Buf, segments: &[Segment]) -> Result<()> {
        let segments: Vec<Segment> =
            segments.iter().copied().filter(|s| s.len > 0 && (s.src != s.dst || s.scale != 1.0)).collect();
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
        for segment in segments.iter().filter(|s| s.src != Segment::ZERO && s.src != s.dst) {
            let (start, end) = (segment.src, segment.src + segment.len);
            self.act(buf, end as usize)?;
            let after = ends.partition_point(|e| *e <= start);
            if written.get(after).is_some_and(|range| range.start < end) {
                return Err(Error::internal(format!(
                    "a segment reads {start}..{end}, which another one writes"
                )));
            }
        }
        let words: &[u32] = bytemuck::cast_slice(&segments);
        let list = self.list(words);
        let at_once = if overlap { 1 } else { MAX_GROUPS };
        for first in (0..segments.len()).step_by(at_once) {
            let end = (first + at_once).min(segments.len());
            let longest = segments[first..end].iter().map(|s| s.len as usize).max().unwrap_or(0);
            // Threads walk along longer segments.
            let groups = [longest.div_ceil(64).min(1024), end - first, 1];
            let params = Params { first_row: first as u32, end_row: end as u32, list, ..Params::default() };
            let cost = DISPATCH_COST + (longest * (end - first) * ELEMENT_COST) as u64;
            let call = Call { kernel: &kernels::EDIT, params, slots: vec![Slot::Index, slot] };
            self.dispatch(call, groups, cost)?;
        }
        Ok(())
    }

    fn dispatch(&mut self, call: Call, groups: [usize; 3], cost: u64) -> Result<()> {
        let Call { kernel, params, slots } = call;
        let (out, inputs) = slots.split_last().ok_or_else(|| Error::internal("a kernel without buffers"))?;
        if inputs.contains(out) {
            return Err(Error::internal(format!("{}: {out:?} is both read and written", kernel.name)));
        }
        if !groups.contains(&0) {
            let groups = groups.map(|n| n as u32);
            self.steps.push(Step::Dispatch { kernel, params, slots, groups, cost });
        }
        Ok(())
    }
}

/// A count of workgroups as rows of at most 65535. WGSL twin: `shaders/shared/grid.wgsl`.
pub(super) fn fold(groups: usize) -> [usize; 3] {
    let across = groups.min(MAX_GROUPS);
    [across, groups.div_ceil(across.max(1)), 1]
}
