//! Both engines, whichever this build uses, against three plain loops.

use super::{check, dense, panels};
use crate::weights::{Storage, Weight};
use std::ops::Range;

/// A product as a test asks for it.
#[derive(Clone, Debug)]
struct Case {
    rows: usize,
    k: usize,
    n: usize,
    ks: Range<usize>,
    cols: Range<usize>,
    transposed: bool,
    storage: Storage,
}

impl Case {
    fn whole(rows: usize, k: usize, n: usize) -> Self {
        Self { rows, k, n, ks: 0..k, cols: 0..n, transposed: false, storage: Storage::F32 }
    }

    fn x(&self) -> Vec<f32> {
        noise(self.rows * self.ks.len(), 1)
    }

    /// Element `[i, col]` of `W`, rounded where it is kept in halves.
    fn w(&self) -> Vec<f32> {
        let mut w = noise(self.k * self.n, 2);
        if self.storage == Storage::F16 {
            w.iter_mut().for_each(|w| *w = half::f16::from_f32(*w).to_f32());
        }
        w
    }

    fn w_transposed(&self) -> Vec<f32> {
        let w = self.w();
        (0..self.n)
            .flat_map(|col| (0..self.k).map(move |i| (i, col)))
            .map(|(i, col)| w[i * self.n + col])
            .collect()
    }

    fn expected(&self) -> Vec<f32> {
        let (x, w, depth) = (self.x(), self.w(), self.ks.len());
        let mut out = Vec::new();
        for row in 0..self.rows {
            for col in self.cols.clone() {
                let terms = self.ks.clone().enumerate();
                let sum: f64 =
                    terms.map(|(i, k)| f64::from(x[row * depth + i]) * f64::from(w[k * self.n + col])).sum();
                out.push(sum as f32);
            }
        }
        out
    }
}

fn noise(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..len).map(|_| next()).collect()
}

/// The weight of a case.
macro_rules! matrix {
    ($matrix:ty, $case:expr) => {{
        let case = &$case;
        let (mut w, values) = match case.transposed {
            false => (<$matrix>::empty(case.k, case.n, case.storage).unwrap(), case.w()),
            true => (<$matrix>::empty_rows(case.n, case.k, case.storage).unwrap(), case.w_transposed()),
        };
        w.write(Weight::Embed, 0, &values).unwrap();
        w
    }};
}

/// Runs a case with rows of `x` from `first` on.
macro_rules! engine {
    ($name:ident, $matrix:ty) => {
        fn $name(case: &Case, x: &[f32], finish: &(impl Fn(usize, usize, &mut [f32]) + Sync)) -> Vec<f32> {
            let w = matrix!($matrix, case);
            assert_eq!(w.shape(), [case.k, case.n]);
            // Nothing that was there before may be left or added to.
            let mut out = vec![f32::NAN; case.rows * case.cols.len()];
            check(x, case.rows, w.shape(), &case.ks, &case.cols, &out).unwrap();
            if !out.is_empty() {
                w.multiply(x, case.rows, case.ks.clone(), case.cols.clone(), &mut out, finish).unwrap();
            }
            out
        }
    };
}
engine!(by_dense, dense::Matrix);
engine!(by_panels, panels::Matrix);

/// No size is a multiple of a tile's; some are smaller than one, some larger than a cache block.
fn awkward() -> Vec<Case> {
    let mut cases = vec![
        Case::whole(0, 5, 7),
        Case::whole(1, 1, 1),
        Case::whole(1, 131, 37),
        Case::whole(2, 12, 12),
        Case::whole(3, 7, 13),
        Case::whole(4, 385, 11),
        Case::whole(5, 130, 97),
        Case::whole(7, 800, 25),
        Case::whole(11, 67, 205),
        Case::whole(97, 50, 101),
        Case::whole(200, 33, 14),
        Case { ks: 3..3, ..Case::whole(5, 6, 7) },
        Case { cols: 4..4, ..Case::whole(5, 6, 7) },
        Case { ks: 64..128, cols: 1..2, ..Case::whole(11, 130, 30) },
        Case { ks: 5..130, cols: 11..110, ..Case::whole(8, 131, 113) },
        Case { ks: 1..780, cols: 25..230, ..Case::whole(10, 781, 230) },
        Case { cols: 96..200, ..Case::whole(100, 9, 300) },
    ];
    let transposed: Vec<Case> = cases.iter().map(|case| Case { transposed: true, ..case.clone() }).collect();
    cases.extend(transposed);
    let halves: Vec<Case> = cases.iter().map(|case| Case { storage: Storage::F16, ..case.clone() }).collect();
    cases.extend(halves);
    cases
}

#[test]
fn both_engines_agree_with_three_loops() {
    for case in awkward() {
        let expected = case.expected();
        for (engine, out) in [
            ("dense", by_dense(&case, &case.x(), &|_, _, _| {})),
            ("panels", by_panels(&case, &case.x(), &|_, _, _| {})),
        ] {
            assert_eq!(out.len(), expected.len());
            for (i, (out, expected)) in out.iter().zip(&expected).enumerate() {
                assert!(
                    (out - expected).abs() < 1e-5,
                    "{engine} {case:?}, element {i}: {out}, not {expected}"
                );
            }
        }
    }
}

#[test]
fn transposed_products_agree_with_three_loops() {
    for case in awkward() {
        // x is [rows, cols.len()] here.
        let x = noise(case.rows * case.cols.len(), 3);
        let w = case.w();
        let mut expected = Vec::new();
        for row in 0..case.rows {
            for i in 0..case.k {
                let terms = case.cols.clone().enumerate();
                let sum: f64 = terms
                    .map(|(j, col)| f64::from(x[row * case.cols.len() + j]) * f64::from(w[i * case.n + col]))
                    .sum();
                expected.push(sum as f32);
            }
        }
        macro_rules! by {
            ($matrix:ty) => {{
                let w = matrix!($matrix, case);
                let mut out = vec![f32::NAN; case.rows * case.k];
                if !out.is_empty() {
                    w.multiply_transposed(&x, case.rows, case.cols.clone(), &mut out).unwrap();
                }
                out
            }};
        }
        for (engine, out) in [("dense", by!(dense::Matrix)), ("panels", by!(panels::Matrix))] {
            for (i, (out, expected)) in out.iter().zip(&expected).enumerate() {
                assert!(
                    (out - expected).abs() < 1e-5,
                    "{engine} {case:?}, element {i}: {out}, not {expected}"
                );
            }
        }
    }
}

#[test]
fn every_element_is_finished_once_under_its_own_row_and_column() {
    for case in awkward() {
        let width = case.cols.len();
        let finish = |row: usize, col: usize, piece: &mut [f32]| {
            assert!(col + piece.len() <= width);
            for (i, out) in piece.iter_mut().enumerate() {
                *out += (row * width + col + i) as f32;
            }
        };
        let zeros = vec![0.0; case.rows * case.ks.len()];
        let expected: Vec<f32> = (0..case.rows * width).map(|i| i as f32).collect();
        assert_eq!(by_dense(&case, &zeros, &finish), expected, "dense {case:?}");
        assert_eq!(by_panels(&case, &zeros, &finish), expected, "panels {case:?}");
    }
}

#[test]
fn panels_give_the_same_bits_however_rows_and_columns_are_shared_out() {
    for transposed in [false, true] {
        let case = Case { transposed, ..Case::whole(103, 401, 211) };
        let x = case.x();
        let whole = by_panels(&case, &x, &|_, _, _| {});
        for (rows, cols) in
            [(0..1, 0..211), (1..5, 3..40), (50..103, 12..13), (99..103, 100..211), (2..13, 95..193)]
        {
            let part = Case { rows: rows.len(), cols: cols.clone(), ..case.clone() };
            let out = by_panels(&part, &x[rows.start * case.k..rows.end * case.k], &|_, _, _| {});
            let expected: Vec<f32> =
                rows.clone().flat_map(|row| &whole[row * case.n..][cols.clone()]).copied().collect();
            assert_eq!(out, expected, "rows {rows:?}, columns {cols:?}, transposed {transposed}");
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let on = |threads: usize, run: &(dyn Fn() -> Vec<f32> + Sync)| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
    };
    for transposed in [false, true] {
        let case = Case { transposed, ..Case::whole(130, 96, 310) };
        let panels = || by_panels(&case, &case.x(), &|_, _, _| {});
        assert_eq!(on(1, &panels), on(5, &panels));
        let dense = || by_dense(&case, &case.x(), &|_, _, _| {});
        assert_eq!(on(1, &dense), on(5, &dense));
    }
}

#[test]
fn rows_of_a_transposed_matrix_are_copied_as_they_were_written() {
    // Halves too, as these are small whole numbers.
    let data: Vec<f32> = (0..12).map(|i| i as f32).collect();
    for storage in [Storage::F32, Storage::F16] {
        let mut panels = panels::Matrix::empty_rows(3, 4, storage).unwrap();
        let mut dense = dense::Matrix::empty_rows(3, 4, storage).unwrap();
        let mut row = [0.0; 4];
        assert!(dense.row(0, &mut row).is_err(), "not before all of it is there");
        for at in [0, 8] {
            panels.write(Weight::Embed, at, &data[at..(at + 8).min(12)]).unwrap();
            dense.write(Weight::Embed, at, &data[at..(at + 8).min(12)]).unwrap();
        }
        assert_eq!(
            (panels.bytes(), dense.bytes()),
            (12 * storage.bytes() as u64, 12 * storage.bytes() as u64)
        );
        for (i, expected) in data.chunks(4).enumerate() {
            panels.row(i, &mut row).unwrap();
            assert_eq!(row, expected);
            dense.row(i, &mut row).unwrap();
            assert_eq!(row, expected);
        }
        assert!(panels.row(3, &mut row).is_err() && dense.row(3, &mut row).is_err());
        assert!(panels::Matrix::empty(3, 4, storage).unwrap().row(0, &mut row).is_err());
    }
}

#[test]
fn wrong_sizes_are_refused() {
    let mut w = super::Matrix::empty(3, 4, Storage::F32).unwrap();
    w.write(Weight::Embed, 0, &[0.0; 12]).unwrap();
    let ask = |x: usize, ks, cols, out: usize| {
        super::product(&vec![0.0; x], 2, &w, ks, cols, &mut vec![0.0; out], &|_, _, _| {}).is_ok()
    };
    assert!(ask(6, 0..3, 0..4, 8));
    assert!(!ask(7, 0..3, 0..4, 8));
    assert!(!ask(6, 0..3, 0..4, 7));
    assert!(!ask(6, 1..4, 0..4, 8));
    assert!(!ask(6, 0..3, 1..5, 8));
    let ask = |x: usize, cols, out: usize| {
        super::product_transposed(&vec![0.0; x], 2, &w, cols, &mut vec![0.0; out]).is_ok()
    };
    assert!(ask(8, 0..4, 6) && ask(4, 1..3, 6));
    assert!(!ask(7, 0..4, 6) && !ask(8, 0..4, 8) && !ask(8, 1..5, 6));
    assert!(panels::Matrix::empty(3, 4, Storage::F32).unwrap().write(Weight::Embed, 0, &[0.0; 11]).is_err());
    assert!(
        panels::Matrix::empty_rows(3, 4, Storage::F32).unwrap().write(Weight::Embed, 0, &[0.0; 13]).is_err()
    );
    assert!(dense::Matrix::empty(3, 4, Storage::F32).unwrap().write(Weight::Embed, 1, &[0.0; 11]).is_err());
    assert!(
        dense::Matrix::empty_rows(3, 4, Storage::F32).unwrap().write(Weight::Embed, 0, &[0.0; 13]).is_err()
    );
}
