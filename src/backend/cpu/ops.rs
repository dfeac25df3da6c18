//! The CPU twins of the WGSL kernels: one function per kernel, under its name, written to be read. Matrix products are
//! in [`super::matmul`], inner loops in [`microtome_loops`]. Shapes are those of [`crate::program::Op`]; rows are shared
//! out among threads where there are any.

mod attention;

pub use attention::{Heads, attention, attn_scores, pattern, z};

use crate::config::ActFn;
use crate::error::{Error, Result};
use crate::program::{Pick, Segment};
use microtome_loops as loops;
use rayon::prelude::*;

/// Rows that a thread takes at a time.
const ROWS: usize = 16;

/// `W_E[token] − mean[token]`; `table` copies a row of W_E.
pub fn embed(
    table: impl Fn(usize, &mut [f32]) -> Result<()>,
    means: &[f32],
    tokens: &[u32],
    width: usize,
    out: &mut [f32],
) -> Result<()> {
    for (out, token) in out.chunks_exact_mut(width).zip(tokens) {
        table(*token as usize, out)?;
        loops::subtract_from_each(out, means[*token as usize]);
    }
    Ok(())
}

/// Rows of W_pos; `table` copies one.
pub fn pos_embed(
    table: impl Fn(usize, &mut [f32]) -> Result<()>,
    pos: &[u32],
    width: usize,
    out: &mut [f32],
) -> Result<()> {
    out.chunks_exact_mut(width).zip(pos).try_for_each(|(out, pos)| table(*pos as usize, out))
}

/// Rows of a buffer by index.
pub fn gather_rows(table: &[f32], index: &[u32], width: usize, out: &mut [f32]) -> Result<()> {
    for (out, &i) in out.chunks_exact_mut(width).zip(index) {
        let start = i as usize * width;
        let row = table.get(start..start + width).ok_or_else(|| {
            Error::internal(format!("row {i} is outside a table of {} rows", table.len() / width.max(1)))
        })?;
        out.copy_from_slice(row);
    }
    Ok(())
}

/// `out[i] = a[row i of a] + b[row i of b]`
pub fn add((a, pick_a): (&[f32], &Pick), (b, pick_b): (&[f32], &Pick), width: usize, out: &mut [f32]) {
    for (i, out) in out.chunks_exact_mut(width).enumerate() {
        let (a, b) = (&a[pick_a.row(i) * width..], &b[pick_b.row(i) * width..]);
        loops::sum(a, b, out);
    }
}

/// LayerNorm of rows of `x`, then `· w + b` where it is not folded.
pub fn layer_norm(
    (x, pick): (&[f32], &Pick),
    affine: Option<(&[f32], &[f32])>,
    eps: f32,
    width: usize,
    out: &mut [f32],
) {
    out.par_chunks_mut(ROWS * width).enumerate().for_each(|(block, out)| {
        for (i, out) in out.chunks_exact_mut(width).enumerate() {
            let row = &x[pick.row(block * ROWS + i) * width..][..width];
            let (mean, scale) = loops::mean_and_scale(row, eps);
            loops::normalize(row, mean, scale, affine, out);
        }
    });
}

/// `sqrt(mean((x - mean x)²) + eps)` of every row.
pub fn ln_scale(x: &[f32], width: usize, eps: f32, out: &mut [f32]) {
    x.chunks_exact(width).zip(out).for_each(|(row, out)| *out = loops::mean_and_scale(row, eps).1);
}

pub fn ln_normalize(
    x: &[f32],
    scale: &[f32],
    affine: Option<(&[f32], &[f32])>,
    width: usize,
    out: &mut [f32],
) {
    for ((row, scale), out) in x.chunks_exact(width).zip(scale).zip(out.chunks_exact_mut(width)) {
        loops::normalize(row, loops::mean_and_scale(row, 0.0).0, *scale, affine, out);
    }
}

pub fn repeat_heads(x: &[f32], heads: usize, width: usize, out: &mut [f32]) {
    for (row, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(heads * width)) {
        out.chunks_exact_mut(width).for_each(|out| out.copy_from_slice(row));
    }
}

/// `out[row] = b + sum over heads of x[row, head]`
pub fn sum_heads(x: &[f32], b: &[f32], heads: usize, out: &mut [f32]) {
    let width = b.len();
    for (x, out) in x.chunks_exact(heads * width).zip(out.chunks_exact_mut(width)) {
        out.copy_from_slice(b);
        for head in x.chunks_exact(width) {
            loops::add(out, head);
        }
    }
}

/// The MLP's activation, in place.
#[inline]
pub fn activation(x: &mut [f32], act: ActFn) {
    match act {
        ActFn::Relu => loops::relu(x),
        ActFn::GeluNew => loops::gelu_new(x),
        ActFn::Gelu => x.iter_mut().for_each(|x| {
            *x = 0.5 * *x * (1.0 + candle_core::cpu::erf::erf_f32(*x * std::f32::consts::FRAC_1_SQRT_2));
        }),
    }
}

/// Segments of one buffer. Sources are rows that no segment writes, or the segment itself.
pub fn edit(x: &mut [f32], segments: &[Segment]) {
    for segment in segments {
        let (dst, src, len) = (segment.dst as usize, segment.src as usize, segment.len as usize);
        if segment.src == Segment::ZERO {
            x[dst..dst + len].fill(0.0);
        } else {
            x.copy_within(src..src + len, dst);
            scale(&mut x[dst..dst + len], segment.scale);
        }
    }
}

/// Segments from another buffer.
pub fn edit_from(x: &mut [f32], from: &[f32], segments: &[Segment]) {
    for segment in segments {
        let (dst, src, len) = (segment.dst as usize, segment.src as usize, segment.len as usize);
        let x = &mut x[dst..dst + len];
        match segment.src {
            Segment::ZERO => x.fill(0.0),
            _ => x.copy_from_slice(&from[src..src + len]),
        }
        scale(x, segment.scale);
    }
}

fn scale(x: &mut [f32], by: f32) {
    if by != 1.0 {
        loops::scale(x, by);
    }
}

/// `[pairs]`; `index` names the row of `x` of each.
pub fn logit_diff(
    x: &[f32],
    index: &[u32],
    (w_u, b_u): (impl Fn(usize, &mut [f32]) -> Result<()>, &[f32]),
    pairs: &[[u32; 2]],
    k: usize,
    out: &mut [f32],
) -> Result<()> {
    let (mut direction, mut minus) = (vec![0.0; k], vec![0.0; k]);
    for ((out, row), [correct, incorrect]) in out.iter_mut().zip(index).zip(pairs) {
        // The difference first: what the two rows have in common is large, and would only be rounded.
        w_u(*correct as usize, &mut direction)?;
        w_u(*incorrect as usize, &mut minus)?;
        loops::subtract(&mut direction, &minus);
        let bias = b_u[*correct as usize] - b_u[*incorrect as usize];
        *out = loops::dot(&x[*row as usize * k..][..k], &direction) + bias;
    }
    Ok(())
}

/// Folds a tile of logits into each row's `(max, sum of exp(logit − max), target logit)`.
pub fn log_sum_exp(tile: &[f32], targets: &[u32], first: usize, n: usize, running: &mut [f32]) {
    let rows = running.par_chunks_mut(3 * ROWS).zip(tile.par_chunks(n * ROWS)).zip(targets.par_chunks(ROWS));
    rows.for_each(|((running, tile), targets)| {
        for ((state, logits), target) in running.chunks_exact_mut(3).zip(tile.chunks_exact(n)).zip(targets) {
            let max = loops::largest(logits).max(state[0]);
            let sum = loops::sum_of_exp(logits, max);
            state[1] = (f64::from(state[1] * (state[0] - max).exp()) + sum) as f32;
            state[0] = max;
            if let Some(logit) = (*target as usize).checked_sub(first).and_then(|i| logits.get(i)) {
                state[2] = *logit;
            }
        }
    });
}
