//! The inner loops: a few rows of `x` times a few columns of `W`, with the sums in registers.
//!
//! V8 on x86 keeps 15 of 16 vectors: 9 sums leave room for what they are made of, 12 spill to memory and take twice as
//! long. Measured in Chromium on one Zen 4 core, in GFLOP/s out of about 54: 3 × 12 columns 48, 4 × 8 43, 6 × 8 and
//! 4 × 12 28; three rows against three rows of a transposed matrix 45, 4 × 3 28. With relaxed SIMD the first is 53.

/// Columns in a panel of `W`.
pub const WIDE: usize = 12;

const VECTORS: usize = WIDE / 4;

/// `sums[r] += Σ_i x[r][i] · panel[i]`, term by term in the order of `i`.
#[inline(never)]
pub fn add_products<const R: usize>(x: [&[f32]; R], panel: &[[f32; WIDE]], sums: &mut [[f32; WIDE]; R]) {
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
pub fn dot_products<const R: usize, const C: usize>(x: [&[f32]; R], w: [&[f32]; C]) -> [[f32; C]; R] {
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

use vector::Vector;
