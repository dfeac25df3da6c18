//! The CPU twins of the WGSL kernels: one function per kernel, under its name, written to be read.
//! Shapes are those of [`crate::program::Op`].

use crate::config::ActFn;
use crate::error::{Error, Result};
use crate::program::{Row, Segment};

/// `embed`, `pos_embed` and `gather_rows`: rows of a table by index.
pub fn embed(table: &[f32], index: &[u32], width: usize) -> Result<Vec<f32>> {
    let mut out = Vec::with_capacity(index.len() * width);
    for &i in index {
        let start = i as usize * width;
        let row = table.get(start..start + width).ok_or_else(|| {
            Error::internal(format!("row {i} is outside a table of {} rows", table.len() / width.max(1)))
        })?;
        out.extend_from_slice(row);
    }
    Ok(out)
}

pub fn add(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// `sqrt(mean((x - mean x)²) + eps)` of every row; sums in f64, which costs nothing here.
pub fn ln_scale(x: &[f32], width: usize, eps: f32) -> Vec<f32> {
    let scale = |row: &[f32]| {
        let mean = mean(row);
        let variance = row.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / width as f64;
        (variance + f64::from(eps)).sqrt() as f32
    };
    x.chunks_exact(width).map(scale).collect()
}

fn mean(row: &[f32]) -> f64 {
    row.iter().map(|x| f64::from(*x)).sum::<f64>() / row.len() as f64
}

pub fn ln_normalize(x: &[f32], scale: &[f32], affine: Option<(&[f32], &[f32])>, width: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(x.len());
    for (row, scale) in x.chunks_exact(width).zip(scale) {
        let mean = mean(row) as f32;
        match affine {
            None => out.extend(row.iter().map(|x| (x - mean) / scale)),
            Some((w, b)) => {
                out.extend(row.iter().zip(w.iter().zip(b)).map(|(x, (w, b))| (x - mean) / scale * w + b));
            }
        }
    }
    out
}

pub fn repeat_heads(x: &[f32], heads: usize, width: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(x.len() * heads);
    for row in x.chunks_exact(width) {
        (0..heads).for_each(|_| out.extend_from_slice(row));
    }
    out
}

/// Eight running sums, so that the compiler may use SIMD without changing the order of additions.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f32 = a8.remainder().iter().zip(b8.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a8.zip(b8) {
        for i in 0..8 {
            sums[i] += a[i] * b[i];
        }
    }
    sums.iter().sum::<f32>() + tail
}

/// Where row `row`'s scores of `head` start in `[head, dest, src]` of its run.
fn score_start(row: &Row, head: usize) -> usize {
    row.first_score as usize + (head * row.len as usize + row.pos as usize) * row.len as usize
}

fn score_len(rows: &[Row], heads: usize) -> usize {
    rows.last().map_or(0, |row| row.first_score as usize + heads * (row.len as usize).pow(2))
}

pub fn attn_scores(q: &[f32], k: &[f32], rows: &[Row], heads: usize, d_head: usize, scale: f32) -> Vec<f32> {
    let mut out = vec![f32::NEG_INFINITY; score_len(rows, heads)];
    for (i, row) in rows.iter().enumerate() {
        for head in 0..heads {
            let at = |row: usize| (row * heads + head) * d_head;
            let start = score_start(row, head);
            let q = &q[at(i)..][..d_head];
            for src in 0..=row.pos as usize {
                let k = &k[at(row.first_row as usize + src)..][..d_head];
                out[start + src] = dot(q, k) * scale;
            }
        }
    }
    out
}

/// Softmax over the whole of `src`; a row without a finite maximum gives NaN, which becomes 0 as in TransformerLens.
pub fn pattern(scores: &[f32], rows: &[Row], heads: usize) -> Vec<f32> {
    let mut out = scores[..score_len(rows, heads)].to_vec();
    for row in rows {
        for head in 0..heads {
            let row = &mut out[score_start(row, head)..][..row.len as usize];
            let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            row.iter_mut().for_each(|x| *x = (*x - max).exp());
            let sum: f32 = row.iter().sum();
            row.iter_mut().for_each(|x| *x = if (*x / sum).is_nan() { 0.0 } else { *x / sum });
        }
    }
    out
}

pub fn z(pattern: &[f32], v: &[f32], rows: &[Row], heads: usize, d_head: usize, causal: bool) -> Vec<f32> {
    let mut out = vec![0.0; rows.len() * heads * d_head];
    for (i, row) in rows.iter().enumerate() {
        let seen = if causal { row.pos + 1 } else { row.len } as usize;
        for head in 0..heads {
            let z = &mut out[(i * heads + head) * d_head..][..d_head];
            let pattern = &pattern[score_start(row, head)..][..seen];
            for (src, weight) in pattern.iter().enumerate() {
                let v = &v[((row.first_row as usize + src) * heads + head) * d_head..][..d_head];
                z.iter_mut().zip(v).for_each(|(z, v)| *z += weight * v);
            }
        }
    }
    out
}

pub fn activation(x: &[f32], act: ActFn) -> Vec<f32> {
    const SQRT_2_OVER_PI: f32 = 0.797_884_6;
    match act {
        ActFn::Relu => x.iter().map(|x| x.max(0.0)).collect(),
        ActFn::GeluNew => {
            let gelu = |x: f32| 0.5 * x * (1.0 + (SQRT_2_OVER_PI * (x + 0.044_715 * x * x * x)).tanh());
            x.iter().map(|x| gelu(*x)).collect()
        }
        ActFn::Gelu => {
            let gelu = |x: f32| {
                0.5 * x * (1.0 + candle_core::cpu::erf::erf_f32(x * std::f32::consts::FRAC_1_SQRT_2))
            };
            x.iter().map(|x| gelu(*x)).collect()
        }
    }
}

/// Sources are other runs' unedited rows or the segment itself, so no segment reads what another writes.
pub fn edit(x: &mut [f32], segments: &[Segment]) {
    for segment in segments {
        let (dst, src, len) = (segment.dst as usize, segment.src as usize, segment.len as usize);
        if segment.src == Segment::ZERO {
            x[dst..dst + len].fill(0.0);
        } else {
            x.copy_within(src..src + len, dst);
            x[dst..dst + len].iter_mut().for_each(|x| *x *= segment.scale);
        }
    }
}

pub fn logit_diff(x: &[f32], w_u: &[f32], biases: &[f32], pairs: &[[u32; 2]], k: usize) -> Vec<f32> {
    let column = |token: u32| &w_u[token as usize * k..][..k];
    let rows = x.chunks_exact(k).zip(pairs).zip(biases);
    rows.map(|((x, [correct, incorrect]), bias)| dot(x, column(*correct)) - dot(x, column(*incorrect)) + bias)
        .collect()
}

/// Folds a tile of logits into each row's `(max, sum of exp(logit − max), target logit)`.
pub fn log_sum_exp(running: &mut [f32], tile: &[f32], targets: &[u32], first: usize, n: usize) {
    for ((state, logits), target) in running.chunks_exact_mut(3).zip(tile.chunks_exact(n)).zip(targets) {
        let max = logits.iter().copied().fold(state[0], f32::max);
        let sum: f64 = logits.iter().map(|logit| f64::from((logit - max).exp())).sum();
        state[1] = state[1] * (state[0] - max).exp() + sum as f32;
        state[0] = max;
        if let Some(logit) = (*target as usize).checked_sub(first).and_then(|i| logits.get(i)) {
            state[2] = *logit;
        }
    }
}
