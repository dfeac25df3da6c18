//! The singular value decomposition of a product `A Bᵀ` of two tall matrices, as refactoring attention needs it.
//!
//! `A = Q_A R_A` and `B = Q_B R_B` by Householder reflections; the small `R_A R_Bᵀ = U S Vᵀ` by one-sided Jacobi
//! rotations (Golub & Van Loan, Matrix Computations, 8.6.3); then `A Bᵀ = (Q_A U) S (Q_B V)ᵀ`. All in f64.

use microtome_loops::{add_scaled_wide as add_scaled, dot_wide as dot, rotate};
use std::ops::Range;

/// Column-major, `[rows, columns]`.
#[derive(Clone, Debug)]
pub(super) struct Matrix {
    rows: usize,
    columns: Vec<Vec<f64>>,
}

impl Matrix {
    /// Some columns of a row-major `[rows, _]`.
    pub(super) fn from_columns(data: &[f32], rows: usize, columns: Range<usize>) -> Self {
        let width = data.len() / rows;
        let column = |j| (0..rows).map(|i| f64::from(data[i * width + j])).collect();
        Self { rows, columns: columns.map(column).collect() }
    }

    /// Some rows of a row-major `[_, width]`, as columns.
    pub(super) fn from_rows(data: &[f32], width: usize, rows: Range<usize>) -> Self {
        let row = |i| data[i * width..][..width].iter().map(|x| f64::from(*x)).collect();
        Self { rows: width, columns: rows.map(row).collect() }
    }

    /// One more row at the end.
    pub(super) fn with_row(mut self, row: &[f32]) -> Self {
        self.columns.iter_mut().zip(row).for_each(|(column, x)| column.push(f64::from(*x)));
        self.rows += 1;
        self
    }

    pub(super) fn row(&self, i: usize) -> Vec<f32> {
        self.columns.iter().map(|column| column[i] as f32).collect()
    }

    /// Writes the first `rows` rows into columns of a row-major `[rows, _]`.
    pub(super) fn write_columns(&self, data: &mut [f32], rows: usize, columns: Range<usize>) {
        let width = data.len() / rows;
        for (j, column) in columns.zip(&self.columns) {
            (0..rows).for_each(|i| data[i * width + j] = column[i] as f32);
        }
    }

    /// Writes the columns as rows of a row-major `[_, width]`.
    pub(super) fn write_rows(&self, data: &mut [f32], width: usize, rows: Range<usize>) {
        for (i, column) in rows.zip(&self.columns) {
            data[i * width..][..width].iter_mut().zip(column).for_each(|(out, x)| *out = *x as f32);
        }
    }

    pub(super) fn scale_column(&mut self, i: usize, by: f64) {
        self.columns[i].iter_mut().for_each(|x| *x *= by);
    }
}

/// `x -= 2 v (v·x)` for a unit `v`.
fn reflect(v: &[f64], x: &mut [f64]) {
    add_scaled(x, -2.0 * dot(v, x), v);
}

/// `A = Q R`: `Q` `[m, k]` with orthonormal columns even where `A` has dependent ones, `R` `[k, k]`.
fn qr(a: &Matrix) -> (Matrix, Matrix) {
    let (m, k) = (a.rows, a.columns.len());
    let mut r = a.clone();
    let mut reflections: Vec<Vec<f64>> = Vec::with_capacity(k);
    for j in 0..k {
        let mut v = r.columns[j][j..].to_vec();
        let norm = dot(&v, &v).sqrt();
        v[0] += if v[0] < 0.0 { -norm } else { norm };
        let length = dot(&v, &v).sqrt();
        if length > 0.0 {
            v.iter_mut().for_each(|x| *x /= length);
        }
        r.columns[j..].iter_mut().for_each(|column| reflect(&v, &mut column[j..]));
        reflections.push(v);
    }
    let unit = |j| (0..m).map(|i| if i == j { 1.0 } else { 0.0 }).collect();
    let mut q = Matrix { rows: m, columns: (0..k).map(unit).collect() };
    for column in &mut q.columns {
        for (j, v) in reflections.iter().enumerate().rev() {
            reflect(v, &mut column[j..]);
        }
    }
    let keep = |mut column: Vec<f64>| {
        column.truncate(k);
        column
    };
    (q, Matrix { rows: k, columns: r.columns.into_iter().map(keep).collect() })
}

fn multiply(a: &Matrix, b: &Matrix) -> Matrix {
    let combine = |weights: &Vec<f64>| {
        let mut out = vec![0.0; a.rows];
        for (column, w) in a.columns.iter().zip(weights) {
            add_scaled(&mut out, *w, column);
        }
        out
    };
    Matrix { rows: a.rows, columns: b.columns.iter().map(combine).collect() }
}

fn transpose(a: &Matrix) -> Matrix {
    let row = |i: usize| a.columns.iter().map(|column| column[i]).collect();
    Matrix { rows: a.columns.len(), columns: (0..a.rows).map(row).collect() }
}

/// `A = U S Vᵀ` of a square matrix, singular values descending. Columns of `U` for zero singular values are zero.
fn jacobi(mut a: Matrix) -> (Matrix, Vec<f64>, Matrix) {
    const SWEEPS: usize = 60;
    let k = a.columns.len();
    let unit = |j| (0..k).map(|i| if i == j { 1.0 } else { 0.0 }).collect();
    let mut v = Matrix { rows: k, columns: (0..k).map(unit).collect() };
    for _ in 0..SWEEPS {
        let mut rotated = false;
        for p in 0..k {
            for q in p + 1..k {
                let (x, y) = (&a.columns[p], &a.columns[q]);
                let (xx, yy, xy) = (dot(x, x), dot(y, y), dot(x, y));
                if xy.abs() <= 1e-15 * (xx * yy).sqrt() {
                    continue;
                }
                rotated = true;
                let zeta = (yy - xx) / (2.0 * xy);
                let t = zeta.signum() / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
                let cos = 1.0 / (1.0 + t * t).sqrt();
                for m in [&mut a, &mut v] {
                    let (left, right) = m.columns.split_at_mut(q);
                    rotate(&mut left[p], &mut right[0], cos, cos * t);
                }
            }
        }
        if !rotated {
            break;
        }
    }
    let norms: Vec<f64> = a.columns.iter().map(|column| dot(column, column).sqrt()).collect();
    let mut order: Vec<usize> = (0..k).collect();
    order.sort_by(|i, j| norms[*j].total_cmp(&norms[*i]));
    let mut u = Matrix { rows: k, columns: order.iter().map(|i| a.columns[*i].clone()).collect() };
    let s: Vec<f64> = order.iter().map(|i| norms[*i]).collect();
    for (i, s) in s.iter().enumerate().filter(|(_, s)| **s > 0.0) {
        u.scale_column(i, 1.0 / s);
    }
    (u, s, Matrix { rows: k, columns: order.iter().map(|i| v.columns[*i].clone()).collect() })
}

/// `A Bᵀ = U S Vᵀ` with `A` `[m, k]`, `B` `[n, k]`, `m, n ≥ k`: returns `U` `[m, k]`, the `k` values, `V` `[n, k]`.
pub(super) fn of_product(a: &Matrix, b: &Matrix) -> (Matrix, Vec<f64>, Matrix) {
    let ((q_a, r_a), (q_b, r_b)) = (qr(a), qr(b));
    let (u, s, v) = jacobi(multiply(&r_a, &transpose(&r_b)));
    (multiply(&q_a, &u), s, multiply(&q_b, &v))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: usize, columns: usize, seed: u32) -> Matrix {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 8) / f64::from(1 << 24) - 0.5
        };
        Matrix { rows, columns: (0..columns).map(|_| (0..rows).map(|_| next()).collect()).collect() }
    }

    fn check(a: &Matrix, b: &Matrix) {
        let (mut u, s, v) = of_product(a, b);
        assert!(s.is_sorted_by(|x, y| x >= y));
        for (i, x) in v.columns.iter().enumerate() {
            for (j, y) in v.columns.iter().enumerate() {
                assert!((dot(x, y) - f64::from(u8::from(i == j))).abs() < 1e-12);
            }
        }
        s.iter().enumerate().for_each(|(i, s)| u.scale_column(i, *s));
        let (product, rebuilt) = (multiply(a, &transpose(b)), multiply(&u, &transpose(&v)));
        for (x, y) in product.columns.iter().flatten().zip(rebuilt.columns.iter().flatten()) {
            assert!((x - y).abs() < 1e-12, "{x} {y}");
        }
    }

    #[test]
    fn the_product_is_rebuilt() {
        check(&matrix(9, 4, 1), &matrix(7, 4, 2));
        check(&matrix(1, 1, 3), &matrix(1, 1, 4));
    }

    #[test]
    fn dependent_and_zero_columns_are_no_trouble() {
        let mut a = matrix(9, 4, 5);
        a.columns[2] = a.columns[0].clone();
        a.columns[3] = vec![0.0; 9];
        check(&a, &matrix(9, 4, 6));
        check(&Matrix { rows: 3, columns: vec![vec![0.0; 3]; 2] }, &matrix(3, 2, 7));
    }
}
