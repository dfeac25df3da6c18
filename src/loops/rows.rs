//! Loops over rows of numbers. Sums are kept in several running sums that the compiler may hold in SIMD registers: the
//! order of additions is the same on every machine.

use crate::exp;

/// Mean, and `sqrt(mean((x − mean)²) + eps)`, of a row.
pub fn mean_and_scale(row: &[f32], eps: f32) -> (f32, f32) {
    let n = row.len() as f32;
    let mean = lanes(row, |x| x) / n;
    let variance = lanes(row, |x| (x - mean) * (x - mean)) / n;
    (mean, (variance + eps).sqrt())
}

/// `(x − mean) / scale`, then `· w + b` where there are such.
pub fn normalize(row: &[f32], mean: f32, scale: f32, affine: Option<(&[f32], &[f32])>, out: &mut [f32]) {
    match affine {
        None => out.iter_mut().zip(row).for_each(|(out, x)| *out = (x - mean) / scale),
        Some((w, b)) => {
            for ((out, x), (w, b)) in out.iter_mut().zip(row).zip(w.iter().zip(b)) {
                *out = (x - mean) / scale * w + b;
            }
        }
    }
}

/// Sum of `f` over a row, in sixteen running sums.
#[inline(always)]
fn lanes(row: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let (whole, rest) = row.as_chunks::<16>();
    let mut sums = [0.0f32; 16];
    for chunk in whole {
        for i in 0..16 {
            sums[i] += f(chunk[i]);
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|x| f(*x)).sum::<f32>()
}

/// `Σ a[i] b[i]`, in eight running sums.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a8, a_rest), (b8, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0f32; 8];
    for (a, b) in a8.iter().zip(b8) {
        for i in 0..8 {
            sums[i] += a[i] * b[i];
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

/// Zeros are added at the end, or numbers taken away, until there are `len`.
pub fn resize(x: &mut Vec<f32>, len: usize) {
    x.resize(len, 0.0);
}

/// `out[i] = a[i] + b[i]`
pub fn sum(a: &[f32], b: &[f32], out: &mut [f32]) {
    out.iter_mut().zip(a.iter().zip(b)).for_each(|(out, (a, b))| *out = a + b);
}

/// `out[i] += x[i]`
pub fn add(out: &mut [f32], x: &[f32]) {
    out.iter_mut().zip(x).for_each(|(out, x)| *out += x);
}

/// `out[i] −= x[i]`
pub fn subtract(out: &mut [f32], x: &[f32]) {
    out.iter_mut().zip(x).for_each(|(out, x)| *out -= x);
}

/// `out[i] −= by`
pub fn subtract_from_each(out: &mut [f32], by: f32) {
    out.iter_mut().for_each(|x| *x -= by);
}

/// `out[i] += by · x[i]`
pub fn add_scaled(out: &mut [f32], by: f32, x: &[f32]) {
    out.iter_mut().zip(x).for_each(|(out, x)| *out += by * x);
}

/// `x[i] *= by`
pub fn scale(x: &mut [f32], by: f32) {
    x.iter_mut().for_each(|x| *x *= by);
}

pub fn relu(x: &mut [f32]) {
    x.iter_mut().for_each(|x| *x = x.max(0.0));
}

/// `0.5 x (1 + tanh u) = x / (1 + exp(−2u))`, with `u = √(2/π) (x + 0.044715 x³)`
pub fn gelu_new(x: &mut [f32]) {
    const SQRT_2_OVER_PI: f32 = 0.797_884_6;
    for x in x {
        *x /= 1.0 + exp(-2.0 * SQRT_2_OVER_PI * (*x + 0.044_715 * *x * *x * *x));
    }
}

/// Softmax in place; a row without a finite maximum gives NaN, which becomes 0 as in TransformerLens.
pub fn softmax(scores: &mut [f32]) {
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores.iter_mut().for_each(|x| *x = exp(*x - max));
    let total = lanes(scores, |x| x);
    scores.iter_mut().for_each(|x| *x = if (*x / total).is_nan() { 0.0 } else { *x / total });
}

/// `Σ exp(x − max)`. Pieces keep each running sum short, as f32 has 24 bits.
pub fn sum_of_exp(x: &[f32], max: f32) -> f64 {
    x.chunks(1024).map(|piece| f64::from(lanes(piece, |x| exp(x - max)))).sum()
}

/// The largest; −∞ of none. NaN is passed over.
pub fn largest(x: &[f32]) -> f32 {
    let (whole, rest) = x.as_chunks::<16>();
    let mut most = [f32::NEG_INFINITY; 16];
    for chunk in whole {
        for i in 0..16 {
            most[i] = if chunk[i] > most[i] { chunk[i] } else { most[i] };
        }
    }
    most.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}
