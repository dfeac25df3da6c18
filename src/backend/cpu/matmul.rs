//! Matrix products of the CPU engine: `out = x W`, with what follows done on each piece of `out` while it is in the cache.
//!
//! In a browser a product runs in [`panels`], which reads weights that were laid out once, at upload; candle packs them
//! anew in each call, which costs more than the product itself when there are few rows. Natively it runs in candle
//! ([`dense`]), whose kernels use whatever vectors the processor has.

#[cfg(not(target_arch = "wasm32"))]
mod dense;
#[cfg(any(target_arch = "wasm32", test))]
mod panels;

use crate::error::{Error, Result};
use std::ops::Range;

#[cfg(not(target_arch = "wasm32"))]
pub use dense::Matrix;
#[cfg(target_arch = "wasm32")]
pub use panels::Matrix;

/// `out = x W[ks, cols]`, then `finish`: `x` is `[rows, ks.len()]`, `W` is `[k, n]`, `out` is `[rows, cols.len()]`.
///
/// `finish(row, col, piece)` is called once for each piece of a row of `out`, in no fixed order; `piece` starts at column
/// `col` of `out`.
///
/// The bits of `out` do not depend on the number of threads. In a browser each element is a sum in the order of `k`,
/// so nor do they depend on how rows and columns are shared out among calls.
///
/// # Errors
/// `internal` when a range is outside `W` or a slice is not of the size given above.
pub fn product(
    x: &[f32],
    rows: usize,
    w: &Matrix,
    ks: Range<usize>,
    cols: Range<usize>,
    out: &mut [f32],
    finish: &(impl Fn(usize, usize, &mut [f32]) + Sync),
) -> Result<()> {
    let [k, n] = w.shape();
    check(x, rows, [k, n], &ks, &cols, out)?;
    if out.is_empty() {
        return Ok(());
    }
    w.multiply(x, rows, ks, cols, out, finish)
}

/// `out = x W[:, cols]ᵀ`: `x` is `[rows, cols.len()]`, `W` is `[k, n]`, `out` is `[rows, k]`.
///
/// # Errors
/// As [`product`].
pub fn product_transposed(
    x: &[f32],
    rows: usize,
    w: &Matrix,
    cols: Range<usize>,
    out: &mut [f32],
) -> Result<()> {
    let [k, n] = w.shape();
    check(x, rows, [n, k], &cols, &(0..k), out)?;
    if out.is_empty() {
        return Ok(());
    }
    w.multiply_transposed(x, rows, cols, out)
}

fn check(
    x: &[f32],
    rows: usize,
    [k, n]: [usize; 2],
    ks: &Range<usize>,
    cols: &Range<usize>,
    out: &[f32],
) -> Result<()> {
    let ordered = |range: &Range<usize>, end: usize| range.start <= range.end && range.end <= end;
    if !ordered(ks, k) || !ordered(cols, n) {
        return Err(Error::internal(format!("matrix product: [{ks:?}, {cols:?}] of a matrix [{k}, {n}]")));
    }
    let (read, written) = (rows * ks.len(), rows * cols.len());
    if x.len() != read || out.len() != written {
        let found = format!("found {} and {}", x.len(), out.len());
        return Err(Error::internal(format!(
            "matrix product: expected {read} elements in and {written} out, {found}"
        )));
    }
    Ok(())
}

fn no_room(shape: [usize; 2]) -> Error {
    Error::internal(format!("matrix {shape:?}: elements that do not fit"))
}

fn no_row(row: usize) -> Error {
    Error::internal(format!("a matrix without a row {row}"))
}

#[cfg(test)]
mod tests;
