//! Products from weights in the order in which they are read: panels of twelve columns, `[n / 12, k, 12]`.
//!
//! A matrix that is given transposed (`W_U`, which other ops read too) stays as it is: its rows are multiplied with
//! rows of `x`. Either way the work is cut into pieces of `out` small enough for the cache, which threads share.
//!
//! Longer than most files: both layouts, each also turned, share their pieces and inner loops.

use crate::error::Result;
use crate::weights::storage::Numbers;
use crate::weights::{Storage, Weight};
use microtome_loops::{WIDE, add_panel, dot_columns, put_rows};
use std::ops::Range;

/// Columns in a piece: a multiple of [`WIDE`], enough that finishing a row of it is worth a call.
const COLS: usize = 8 * WIDE;

/// Rows in a piece, at most. 96 rows of 768 numbers are 300 KB, as are 96 columns: both stay in a second-level cache.
const ROWS: usize = 96;

/// So much of a panel at a time, 18 KB, stays in a first-level cache while all the rows of a piece pass by.
const DEPTH: usize = 384;

/// Rows of a transposed matrix that stay in a first-level cache while all the rows of a piece pass by.
const NEAR: usize = 6;

/// A weight, `[k, n]`.
pub struct Matrix {
    k: usize,
    n: usize,
    data: Data,
}

/// Halves are made wide a part of a panel or a few rows at a time.
enum Data {
    /// `[n / 12, k]` of twelve columns each, the last filled up with zeros.
    Panels(Numbers),
    /// `[n, k]`.
    Rows(Numbers),
}

impl Matrix {
    /// Room for a matrix that is written row by row of `[k, n]`.
    ///
    /// # Errors
    /// `run.memory`
    pub fn empty(k: usize, n: usize, storage: Storage) -> Result<Self> {
        Ok(Self { k, n, data: Data::Panels(Numbers::zeros(n.div_ceil(WIDE) * k * WIDE, storage)?) })
    }

    /// Room for a matrix that is written row by row of its transposed, `[n, k]`.
    ///
    /// # Errors
    /// `run.memory`
    pub fn empty_rows(n: usize, k: usize, storage: Storage) -> Result<Self> {
        Ok(Self { k, n, data: Data::Rows(Numbers::zeros(n * k, storage)?) })
    }

    /// Takes whole rows of `weight` from element `at` on.
    ///
    /// # Errors
    /// `internal` when they do not fit; `model.f16_range`
    pub fn write(&mut self, weight: Weight, at: usize, values: &[f32]) -> Result<()> {
        let (k, n) = (self.k, self.n);
        let panels = match &mut self.data {
            Data::Rows(rows) if at + values.len() <= k * n => return rows.put(weight, at, values),
            Data::Panels(panels)
                if at.is_multiple_of(n) && values.len().is_multiple_of(n) && at + values.len() <= k * n =>
            {
                panels
            }
            _ => return Err(super::no_room([k, n])),
        };
        if let Numbers::F32(panels) = panels {
            put_rows(panels, k, at / n.max(1), values, n);
            return Ok(());
        }
        for (i, row) in (at / n.max(1)..).zip(values.chunks_exact(n.max(1))) {
            for (panel, columns) in row.chunks(WIDE).enumerate() {
                panels.put(weight, (panel * k + i) * WIDE, columns)?;
            }
        }
        Ok(())
    }

    /// Copies a row of a matrix that was written as `[n, k]`.
    ///
    /// # Errors
    /// `internal` for a row that is not there.
    pub fn row(&self, row: usize, out: &mut [f32]) -> Result<()> {
        let copied = match &self.data {
            Data::Rows(rows) => rows.copy(row * self.k..(row + 1) * self.k, out),
            Data::Panels(_) => None,
        };
        copied.ok_or_else(|| super::no_row(row))
    }

    /// Bytes of its elements, the zeros that fill up the last panel included.
    pub fn bytes(&self) -> u64 {
        let (Data::Panels(data) | Data::Rows(data)) = &self.data;
        data.bytes()
    }

    /// `[k, n]`.
    pub fn shape(&self) -> [usize; 2] {
        [self.k, self.n]
    }

    /// The work of [`super::product`], which has checked the sizes.
    pub fn multiply(
        &self,
        x: &[f32],
        rows: usize,
        ks: Range<usize>,
        cols: Range<usize>,
        out: &mut [f32],
        finish: &(impl Fn(usize, usize, &mut [f32]) + Sync),
    ) -> Result<()> {
        let depth = ks.len();
        let run = |mut piece: Piece| {
            let x: Vec<&[f32]> =
                (piece.row..piece.row + piece.out.len()).map(|row| &x[row * depth..][..depth]).collect();
            match &self.data {
                Data::Panels(panels) => self.multiply_panels(panels, &x, &ks, &mut piece),
                Data::Rows(data) => self.multiply_rows(data, &x, &ks, &mut piece),
            }
            for (row, out) in piece.out.iter_mut().enumerate() {
                finish(piece.row + row, piece.col - cols.start, out);
            }
        };
        each(cut(out, rows, &cols), 2 * rows * depth * cols.len(), run);
        Ok(())
    }

    /// The work of [`super::product_transposed`], which has checked the sizes.
    pub fn multiply_transposed(
        &self,
        x: &[f32],
        rows: usize,
        cols: Range<usize>,
        out: &mut [f32],
    ) -> Result<()> {
        let depth = cols.len();
        let run = |mut piece: Piece| {
            let x: Vec<&[f32]> =
                (piece.row..piece.row + piece.out.len()).map(|row| &x[row * depth..][..depth]).collect();
            let mut lines: [Vec<f32>; NEAR] = std::array::from_fn(|_| vec![0.0; depth]);
            for near in (0..piece.width()).step_by(NEAR) {
                let end = piece.width().min(near + NEAR);
                for (line, i) in lines.iter_mut().zip(piece.col + near..piece.col + end) {
                    self.line(i, cols.clone(), line);
                }
                let lines = lines.each_ref().map(Vec::as_slice);
                dot_columns(&x, &lines[..end - near], near, &mut piece.out);
            }
        };
        each(cut(out, rows, &(0..self.k)), 2 * rows * depth * self.k, run);
        Ok(())
    }

    /// Copies `W[i, cols]`.
    fn line(&self, i: usize, cols: Range<usize>, mut out: &mut [f32]) {
        let mut col = cols.start;
        while col < cols.end {
            let (data, at, len) = match &self.data {
                Data::Panels(panels) => {
                    let within = col % WIDE;
                    let len = (WIDE - within).min(cols.end - col);
                    (panels, (col / WIDE * self.k + i) * WIDE + within, len)
                }
                Data::Rows(rows) => (rows, col * self.k + i, 1),
            };
            let (here, rest) = std::mem::take(&mut out).split_at_mut(len);
            // Within the matrix, as the caller has checked.
            _ = data.copy(at..at + len, here);
            (out, col) = (rest, col + len);
        }
    }

    fn multiply_panels(&self, panels: &Numbers, x: &[&[f32]], ks: &Range<usize>, piece: &mut Piece) {
        let first = piece.col / WIDE;
        let skipped = piece.col - first * WIDE;
        let count = (skipped + piece.width()).div_ceil(WIDE);
        // [panel, row] of twelve columns each
        let mut sums = vec![[0.0; WIDE]; count * x.len()];
        let mut wide = Vec::new();
        for start in (0..ks.len()).step_by(DEPTH) {
            let end = ks.len().min(start + DEPTH);
            for (panel, sums) in (first..).zip(sums.chunks_exact_mut(x.len())) {
                let first = panel * self.k + ks.start;
                let w = panels.lend((first + start) * WIDE..(first + end) * WIDE, &mut wide);
                add_panel(x, &(start..end), w.as_chunks().0, sums);
            }
        }
        for (row, out) in piece.out.iter_mut().enumerate() {
            let (mut at, mut skipped) = (0, skipped);
            for sums in sums.chunks_exact(x.len()) {
                let len = (WIDE - skipped).min(out.len() - at);
                out[at..at + len].copy_from_slice(&sums[row][skipped..skipped + len]);
                (at, skipped) = (at + len, 0);
            }
        }
    }

    fn multiply_rows(&self, rows: &Numbers, x: &[&[f32]], ks: &Range<usize>, piece: &mut Piece) {
        let width = piece.width();
        let mut wide: [Vec<f32>; NEAR] = Default::default();
        for near in (0..width).step_by(NEAR) {
            let end = width.min(near + NEAR);
            let mut columns: [&[f32]; NEAR] = [&[]; NEAR];
            for (col, (column, wide)) in
                (piece.col + near..piece.col + end).zip(columns.iter_mut().zip(&mut wide))
            {
                *column = rows.lend(col * self.k + ks.start..col * self.k + ks.end, wide);
            }
            dot_columns(x, &columns[..end - near], near, &mut piece.out);
        }
    }
}

/// A part of `out` that one thread writes.
struct Piece<'a> {
    row: usize,
    /// The column of `W`, not of `out`.
    col: usize,
    /// Its part of each of its rows, at least one, all of the same length.
    out: Vec<&'a mut [f32]>,
}

impl Piece<'_> {
    fn width(&self) -> usize {
        self.out[0].len()
    }
}

/// Pieces of at most [`ROWS`] rows and [`COLS`] columns; pieces next to each other share their columns of `W`.
fn cut<'a>(out: &'a mut [f32], rows: usize, cols: &Range<usize>) -> Vec<Piece<'a>> {
    let blocks = rows.div_ceil(ROWS);
    let height = rows.div_ceil(blocks).next_multiple_of(3);
    let blocks = rows.div_ceil(height);
    // Cuts at whole panels: the first piece is narrower when `cols` does not start at one.
    let origin = cols.start - cols.start % WIDE;
    let mut pieces: Vec<Piece> = (origin..cols.end)
        .step_by(COLS)
        .flat_map(|col| (0..blocks).map(move |block| (block * height, col.max(cols.start))))
        .map(|(row, col)| Piece { row, col, out: Vec::with_capacity(height) })
        .collect();
    for (row, mut out) in out.chunks_exact_mut(cols.len()).enumerate() {
        for piece in pieces.iter_mut().skip(row / height).step_by(blocks) {
            let end = (piece.col - origin) / COLS * COLS + COLS + origin;
            let (mine, rest) = std::mem::take(&mut out).split_at_mut(end.min(cols.end) - piece.col);
            piece.out.push(mine);
            out = rest;
        }
    }
    pieces
}

#[cfg(any(not(target_arch = "wasm32"), target_feature = "atomics"))]
fn each(pieces: Vec<Piece>, flops: usize, run: impl Fn(Piece) + Sync) {
    use rayon::prelude::*;
    /// Less than this takes less time than to wake a thread.
    const WORTH_THREADS: usize = 1 << 20;
    if flops < WORTH_THREADS {
        pieces.into_iter().for_each(run);
    } else {
        pieces.into_par_iter().for_each(&run);
    }
}

#[cfg(not(any(not(target_arch = "wasm32"), target_feature = "atomics")))]
fn each(pieces: Vec<Piece>, _flops: usize, run: impl Fn(Piece)) {
    pieces.into_iter().for_each(run);
}
