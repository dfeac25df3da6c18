//! The inner loops: a few rows of `x` times a few columns of `W`, with the sums in registers.
//!
//! V8 on x86 keeps 15 of 16 vectors: 9 sums leave room for what they are made of, 12 spill to memory and take twice as
//! long. Measured in Chromium on one Zen 4 core, in GFLOP/s out of about 54: 3 × 12 columns 48, 4 × 8 43, 6 × 8 and
//! 4 × 12 28; three rows against three rows of a transposed matrix 45, 4 × 3 28. With relaxed SIMD the first is 53.

use std::ops::Range;
use vector::Vector;

/// Columns in a panel of `W`.
pub const WIDE: usize = 12;

const VECTORS: usize = WIDE / 4;

/// Lays whole rows of a matrix `[k, n]`, from row `first` on, out in its panels `[n / 12, k, 12]`.
pub fn put_rows(panels: &mut [f32], k: usize, first: usize, rows: &[f32], n: usize) {
    for (i, row) in (first..).zip(rows.chunks_exact(n.max(1))) {
        let (whole, rest) = row.as_chunks::<WIDE>();
        let mut at = i * WIDE;
        for columns in whole {
            panels[at..at + WIDE].copy_from_slice(columns);
            at += k * WIDE;
        }
        if !rest.is_empty() {
            panels[at..at + rest.len()].copy_from_slice(rest);
        }
    }
}

/// `sums[r] += Σ_i x[r][ks][i] · panel[i]`, term by term in the order of `i`: `sums` has a row for each of `x`.
pub fn add_panel(x: &[&[f32]], ks: &Range<usize>, panel: &[[f32; WIDE]], sums: &mut [[f32; WIDE]]) {
    let mut row = 0;
    while row < x.len() {
        let (x, sums) = (&x[row..], &mut sums[row..]);
        row += match x.len() {
            1 => add::<1>(x, ks, panel, sums),
            // Four are two and two: three and one take longer.
            2 | 4 => add::<2>(x, ks, panel, sums),
            _ => add::<3>(x, ks, panel, sums),
        };
    }
}

/// The first `R` rows of `x` times a part of a panel; says how many rows.
fn add<const R: usize>(
    x: &[&[f32]],
    ks: &Range<usize>,
    panel: &[[f32; WIDE]],
    sums: &mut [[f32; WIDE]],
) -> usize {
    if let (Some(x), Some(sums)) = (x.first_chunk::<R>(), sums.first_chunk_mut::<R>()) {
        add_products(x.map(|x| &x[ks.clone()]), panel, sums);
    }
    R
}

/// Every row of `x` times each of a few columns of `W`, all slices of the same length: `out[row][first + column]`.
pub fn dot_columns(x: &[&[f32]], columns: &[&[f32]], first: usize, out: &mut [&mut [f32]]) {
    for (x, out) in x.chunks(3).zip(out.chunks_mut(3)) {
        let mut col = 0;
        while col < columns.len() {
            let (columns, at) = (&columns[col..], first + col);
            col += match (x.len(), columns.len()) {
                (3, 3..) => put::<3, 3>(x, columns, at, out),
                (2, 3..) => put::<2, 3>(x, columns, at, out),
                (1, 6..) => put::<1, 6>(x, columns, at, out),
                (1, 3..) => put::<1, 3>(x, columns, at, out),
                (3, _) => put::<3, 1>(x, columns, at, out),
                (2, _) => put::<2, 1>(x, columns, at, out),
                _ => put::<1, 1>(x, columns, at, out),
            };
        }
    }
}

/// The first `R` rows of `x` times the first `C` columns; says how many columns.
fn put<const R: usize, const C: usize>(
    x: &[&[f32]],
    columns: &[&[f32]],
    at: usize,
    out: &mut [&mut [f32]],
) -> usize {
    if let (Some(x), Some(columns)) = (x.first_chunk::<R>(), columns.first_chunk::<C>()) {
        let sums = dot_products(*x, *columns);
        for (out, sums) in out.iter_mut().zip(sums) {
            out[at..at + C].copy_from_slice(&sums);
        }
    }
    C
}

/// `sums[r] += Σ_i x[r][i] · panel[i]`.
#[inline(never)]
fn add_products<const R: usize>(x: [&[f32]; R], panel: &[[f32; WIDE]], sums: &mut [[f32; WIDE]; R]) {
    // The same length for all of them, so that no index below needs a check.
    let x = x.map(|row| &row[..panel.len()]);
    let mut acc = [[Vector::ZERO; VECTORS]; R];
    for (acc, sums) in acc.iter_mut().zip(sums.iter()) {
        *acc = vectors(sums);
    }
    for (i, w) in panel.iter().enumerate() {
        let w = vectors(w);
        for r in 0..R {
            let x = Vector::splat(x[r][i]);
            for c in 0..VECTORS {
                acc[r][c] = x.times_plus(w[c], acc[r][c]);
            }
        }
    }
    for (acc, sums) in acc.iter().zip(sums.iter_mut()) {
        for (four, acc) in sums.as_chunks_mut::<4>().0.iter_mut().zip(acc) {
            *four = acc.lanes();
        }
    }
}

/// `x[r] · w[c]`, every slice of the same length: four sums in the order of `i`, of each fourth term, then their sum,
/// then the terms left over.
#[inline(never)]
fn dot_products<const R: usize, const C: usize>(x: [&[f32]; R], w: [&[f32]; C]) -> [[f32; C]; R] {
    let fours = x[0].len() / 4;
    let (x4, w4) = (x.map(|x| &x.as_chunks().0[..fours]), w.map(|w| &w.as_chunks().0[..fours]));
    let mut acc = [[Vector::ZERO; C]; R];
    for i in 0..fours {
        let w = w4.map(|w| Vector::load(&w[i]));
        for r in 0..R {
            let x = Vector::load(&x4[r][i]);
            for c in 0..C {
                acc[r][c] = x.times_plus(w[c], acc[r][c]);
            }
        }
    }
    let mut sums = [[0.0; C]; R];
    for r in 0..R {
        for c in 0..C {
            let [a, b, d, e] = acc[r][c].lanes();
            let left = x[r][4 * fours..].iter().zip(&w[c][4 * fours..]);
            sums[r][c] = left.fold((a + b) + (d + e), |sum, (x, w)| sum + x * w);
        }
    }
    sums
}

#[inline(always)]
fn vectors(values: &[f32; WIDE]) -> [Vector; VECTORS] {
    let mut fours = values.as_chunks().0.iter();
    std::array::from_fn(|_| fours.next().map_or(Vector::ZERO, Vector::load))
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod vector {
    use core::arch::wasm32::*;

    /// Four numbers in a register.
    #[derive(Clone, Copy)]
    pub struct Vector(v128);

    impl Vector {
        pub const ZERO: Self = Self(f32x4(0.0, 0.0, 0.0, 0.0));

        #[inline(always)]
        pub fn splat(value: f32) -> Self {
            Self(f32x4_splat(value))
        }

        #[inline(always)]
        pub fn load(values: &[f32; 4]) -> Self {
            Self(f32x4(values[0], values[1], values[2], values[3]))
        }

        /// `self · factor + sum`, rounded once where a module with relaxed SIMD runs on a processor that can.
        #[inline(always)]
        pub fn times_plus(self, factor: Self, sum: Self) -> Self {
            #[cfg(target_feature = "relaxed-simd")]
            let sum = f32x4_relaxed_madd(self.0, factor.0, sum.0);
            #[cfg(not(target_feature = "relaxed-simd"))]
            let sum = f32x4_add(sum.0, f32x4_mul(self.0, factor.0));
            Self(sum)
        }

        #[inline(always)]
        pub fn lanes(self) -> [f32; 4] {
            [
                f32x4_extract_lane::<0>(self.0),
                f32x4_extract_lane::<1>(self.0),
                f32x4_extract_lane::<2>(self.0),
                f32x4_extract_lane::<3>(self.0),
            ]
        }
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod vector {
    /// Four numbers.
    #[derive(Clone, Copy)]
    pub struct Vector([f32; 4]);

    impl Vector {
        pub const ZERO: Self = Self([0.0; 4]);

        pub fn splat(value: f32) -> Self {
            Self([value; 4])
        }

        pub fn load(values: &[f32; 4]) -> Self {
            Self(*values)
        }

        /// `self · factor + sum`.
        pub fn times_plus(self, factor: Self, sum: Self) -> Self {
            Self(std::array::from_fn(|lane| sum.0[lane] + self.0[lane] * factor.0[lane]))
        }

        pub fn lanes(self) -> [f32; 4] {
            self.0
        }
    }
}
