//! Sums, exponentials and the like on rows of `f32`, in a form that the compiler turns into vector code.
//!
//! The order of every sum is fixed, so the same input gives the same bits.

/// tanh by one exponential, which the compiler turns into vector code where `f32::tanh` is a call per element.
/// Within 3e-7: near 0 that is a large part of tanh itself, but GELU uses `1 + tanh`.
#[inline]
pub(super) fn tanh(x: f32) -> f32 {
    let e = exp(2.0 * x.clamp(-9.0, 9.0));
    (e - 1.0) / (e + 1.0)
}

/// exp to about 2e-7 relative, for arguments from -87 to 88: a power of two and a polynomial on ±ln 2 / 2.
#[inline]
pub(super) fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    // Adding and taking away 1.5 · 2^23 rounds to the nearest integer.
    let magic = 12_582_912.0_f32;
    let n = (x * std::f32::consts::LOG2_E + magic) - magic;
    // ln 2 in two parts, so that x - n ln 2 keeps its low bits.
    let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let p = 1.0
        + r * (1.0
            + r * (0.5 + r * (0.166_666_66 + r * (0.041_666_41 + r * (0.008_333_68 + r * 0.001_394_5)))));
    p * f32::from_bits(((n as i32 + 127) << 23) as u32)
}

/// Number of partial sums: a fixed order that still fills a vector register.
const LANES: usize = 16;

pub(super) fn sum(x: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().sum();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += x;
        }
    }
    lanes.iter().sum::<f32>() + rest
}

pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    lanes.iter().sum::<f32>() + rest
}

pub(super) fn max(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder().iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a });
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = if x > *lane { x } else { *lane };
        }
    }
    lanes.iter().fold(rest, |a, &b| if b > a { b } else { a })
}

pub(super) fn mean_and_scale(x: &[f32], eps: f32) -> (f32, f32) {
    let width = x.len() as f32;
    let mean = sum(x) / width;
    let variance = {
        let mut lanes = [0.0_f32; LANES];
        let chunks = x.chunks_exact(LANES);
        let rest: f32 = chunks.remainder().iter().map(|x| (x - mean) * (x - mean)).sum();
        for chunk in chunks {
            for (lane, x) in lanes.iter_mut().zip(chunk) {
                *lane += (x - mean) * (x - mean);
            }
        }
        (lanes.iter().sum::<f32>() + rest) / width
    };
    (mean, (variance + eps).sqrt())
}

pub(super) fn log_sum_exp(row: &[f32]) -> f32 {
    let max = max(row);
    let mut lanes = [0.0_f32; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().map(|x| exp(x - max)).sum();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += exp(x - max);
        }
    }
    max + (lanes.iter().sum::<f32>() + rest).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_and_tanh_are_accurate() {
        for i in -8600..8700 {
            let x = i as f32 / 100.0;
            let expected = f64::from(x).exp();
            assert!((f64::from(exp(x)) / expected - 1.0).abs() < 5e-7, "exp {x}");
            let t = x / 10.0;
            assert!((f64::from(tanh(t)) - f64::from(t).tanh()).abs() < 3e-7, "tanh {t}");
        }
    }

    #[test]
    fn reductions_agree_with_plain_loops_at_every_length() {
        for n in 1..70_usize {
            let x: Vec<f32> = (0..n).map(|i| ((i * 37 % 11) as f32) - 5.0).collect();
            assert_eq!(sum(&x), x.iter().sum::<f32>());
            assert_eq!(dot(&x, &x), x.iter().map(|x| x * x).sum::<f32>());
            assert_eq!(max(&x), x.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            let expected = x.iter().map(|x| f64::from(*x).exp()).sum::<f64>().ln();
            assert!((f64::from(log_sum_exp(&x)) - expected).abs() < 1e-5, "{n}");
        }
    }
}
