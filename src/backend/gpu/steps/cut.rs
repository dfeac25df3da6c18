//! Calls of kernels become dispatches, cut into pieces where they are too much for one, so that a cancel is heard. The
//! cuts change no bit of the result: each element is computed by the same threads in the same order.

use super::{Call, Encoder, QKV, Slot, Step};
use crate::backend::gpu::params::Params;
use crate::error::{Error, Result};

/// What a dispatch costs by itself, in operations of a slow adapter (about 20 µs at 5 GFLOP/s).
pub(super) const DISPATCH_COST: u64 = 100_000;
/// Operations of a matrix product that take as long as one element of an elementwise kernel: memory is slow everywhere.
pub(super) const ELEMENT_COST: usize = 64;
/// WebGPU's limit on workgroups in one dimension.
pub(super) const MAX_GROUPS: usize = 65_535;

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

    /// An attention op. `cost` is per row; `groups` is asked with a number of rows.
    pub(super) fn attention_rows(
        &mut self,
        call: Call,
        cost: usize,
        groups: impl Fn(usize) -> [usize; 3],
    ) -> Result<()> {
        // Short dot products keep a kernel from the speed of a large matrix product.
        self.by_rows(call, 4 * cost, MAX_GROUPS, groups)
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
        // In 64 bits, as a fast adapter's dispatch holds more than a browser's usize.
        let row_cost = row_cost.max(1) as u64;
        let fitting = usize::try_from(self.machine.dispatch_cost / row_cost).unwrap_or(usize::MAX);
        let rows_once = fitting.clamp(1, most);
        for row in (0..rows).step_by(rows_once) {
            let end_row = row.saturating_add(rows_once).min(rows);
            let params = Params { first_row: row as u32, end_row: end_row as u32, ..call.params };
            let cost = DISPATCH_COST + (end_row - row) as u64 * row_cost;
            self.dispatch(Call { params, slots: call.slots.clone(), ..call }, groups(end_row - row), cost)?;
        }
        Ok(())
    }

    /// A matrix product with `cols` columns, of each of `planes`, cut into pieces of rows and columns.
    pub(super) fn product(&mut self, call: Call, cols: usize, planes: usize) -> Result<()> {
        let [tile_cols, tile_rows] = call.kernel.tile.map(|n| n as usize);
        let (rows, k) = (call.params.end_row as usize, u64::from(call.params.k) * planes as u64);
        let cells = usize::try_from(self.machine.dispatch_cost / (2 * k).max(1)).unwrap_or(usize::MAX);
        let in_tiles = |n: usize, tile: usize| (n / tile * tile).max(tile);
        let rows_once = in_tiles(cells / tile_cols, tile_rows).min(MAX_GROUPS * tile_rows).min(rows.max(1));
        let cols_once = in_tiles(cells / rows_once, tile_cols);
        for row in (0..rows).step_by(rows_once) {
            let end_row = (row + rows_once).min(rows);
            for col in (0..cols).step_by(cols_once) {
                let end_col = col.saturating_add(cols_once).min(cols);
                let groups =
                    [(end_col - col).div_ceil(tile_cols), (end_row - row).div_ceil(tile_rows), planes];
                let cost = DISPATCH_COST + 2 * (end_row - row) as u64 * (end_col - col) as u64 * k;
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

    pub(super) fn dispatch(&mut self, call: Call, groups: [usize; 3], cost: u64) -> Result<()> {
        let Call { kernel, params, slots } = call;
        let (out, inputs) = slots.split_last().ok_or_else(|| Error::internal("a kernel without buffers"))?;
        if inputs.iter().any(|input| buffer_of(*input) == buffer_of(*out)) {
            return Err(Error::internal(format!("{}: {out:?} is both read and written", kernel.name)));
        }
        if !groups.contains(&0) {
            let groups = groups.map(|n| n as u32);
            self.steps.push(Step::Dispatch { kernel, params, slots, groups, cost });
        }
        Ok(())
    }
}

/// q, k and v are planes of one buffer, which may not be read and written at once.
fn buffer_of(slot: Slot) -> Slot {
    match slot {
        Slot::Act(buf) if QKV.contains(&buf) => Slot::Qkv,
        slot => slot,
    }
}

/// A count of workgroups as rows of at most 65535. WGSL twin: `shaders/shared/grid.wgsl`.
pub(super) fn fold(groups: usize) -> [usize; 3] {
    let across = groups.min(MAX_GROUPS);
    [across, groups.div_ceil(across.max(1)), 1]
}
