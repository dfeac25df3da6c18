//! The CPU twins of the WGSL kernels: one function per kernel, under its name, written to be read. Matrix products are
//! in [`super::matmul`]. Shapes are those of [`crate::program::Op`]; rows are shared out among threads where there are any.

use super::exp::exp;
use crate::config::ActFn;
use crate::error::{Error, Result};
use crate::program::{Attn, AttnRow, DeltaRow, HeadChange, Pick, Segment};
use rayon::prelude::*;

/// Rows that a thread takes at a time.
const ROWS: usize = 16;

/// `embed`, `pos_embed` and `gather_rows`: rows of a table by index.
pub fn embed(table: &[f32], index: &[u32], width: usize, out: &mut [f32]) -> Result<()> {
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
        out.iter_mut().zip(a.iter().zip(b)).for_each(|(out, (a, b))| *out = a + b);
    }
}

/// Mean, and `sqrt(mean((x − mean)²) + eps)`, of a row.
fn mean_and_scale(row: &[f32], eps: f32) -> (f32, f32) {
    let n = row.len() as f32;
    let mean = lanes(row, |x| x) / n;
    let variance = lanes(row, |x| (x - mean) * (x - mean)) / n;
    (mean, (variance + eps).sqrt())
}

/// Sum of `f` over a row, in sixteen running sums that the compiler may keep in SIMD registers: the order of additions is
/// the same on every machine.
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
            let (mean, scale) = mean_and_scale(row, eps);
            normalize(row, mean, scale, affine, out);
        }
    });
}

fn normalize(row: &[f32], mean: f32, scale: f32, affine: Option<(&[f32], &[f32])>, out: &mut [f32]) {
    match affine {
        None => out.iter_mut().zip(row).for_each(|(out, x)| *out = (x - mean) / scale),
        Some((w, b)) => {
            for ((out, x), (w, b)) in out.iter_mut().zip(row).zip(w.iter().zip(b)) {
                *out = (x - mean) / scale * w + b;
            }
        }
    }
}

/// `sqrt(mean((x - mean x)²) + eps)` of every row.
pub fn ln_scale(x: &[f32], width: usize, eps: f32, out: &mut [f32]) {
    x.chunks_exact(width).zip(out).for_each(|(row, out)| *out = mean_and_scale(row, eps).1);
}

pub fn ln_normalize(
    x: &[f32],
    scale: &[f32],
    affine: Option<(&[f32], &[f32])>,
    width: usize,
    out: &mut [f32],
) {
    for ((row, scale), out) in x.chunks_exact(width).zip(scale).zip(out.chunks_exact_mut(width)) {
        normalize(row, mean_and_scale(row, 0.0).0, *scale, affine, out);
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
            out.iter_mut().zip(head).for_each(|(out, x)| *out += x);
        }
    }
}

/// Eight running sums: see [`lanes`].
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a8, a_rest), (b8, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0f32; 8];
    for (a, b) in a8.iter().zip(b8) {
        for i in 0..8 {
            sums[i] += a[i] * b[i];
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

/// The sizes that every attention op needs. A row of q, k, v has `width` elements, of all heads; the op works on `heads`
/// of them.
#[derive(Clone, Copy)]
pub struct Heads {
    pub heads: usize,
    pub d_head: usize,
    pub width: usize,
}

impl Heads {
    /// The part of row `row` that belongs to a head.
    fn of<'a>(&self, x: &'a [f32], row: u32, head: usize) -> &'a [f32] {
        &x[row as usize * self.width + head * self.d_head..][..self.d_head]
    }
}

fn keys<'a>(attn: &'a Attn, row: &AttnRow) -> &'a [u32] {
    &attn.src_rows[row.keys as usize..]
}

fn values<'a>(attn: &'a Attn, row: &AttnRow) -> &'a [u32] {
    &attn.src_rows[row.values as usize..]
}

/// Softmax in place; a row without a finite maximum gives NaN, which becomes 0 as in TransformerLens.
fn softmax(scores: &mut [f32]) {
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores.iter_mut().for_each(|x| *x = exp(*x - max));
    let total = lanes(scores, |x| x);
    scores.iter_mut().for_each(|x| *x = if (*x / total).is_nan() { 0.0 } else { *x / total });
}

/// Scores, softmax and mix at once. `[rows, heads, d_head]`
pub fn attention([q, k, v]: [&[f32]; 3], attn: &Attn, sizes: Heads, scale: f32, out: &mut [f32]) {
    let Heads { heads, d_head, .. } = sizes;
    let width = heads * d_head;
    let rows = out.par_chunks_mut(ROWS * width).zip(attn.rows.par_chunks(ROWS));
    rows.for_each(|(out, rows)| {
        let mut pattern = Vec::new();
        for (out, row) in out.chunks_exact_mut(width).zip(rows) {
            let seen = row.dest as usize + 1;
            let (keys, values) = (&keys(attn, row)[..seen], &values(attn, row)[..seen]);
            for (h, out) in out.chunks_exact_mut(d_head).enumerate() {
                let head = row.head as usize + h;
                let q = sizes.of(q, row.q, head);
                pattern.clear();
                pattern.extend(keys.iter().map(|key| dot(q, sizes.of(k, *key, head)) * scale));
                softmax(&mut pattern);
                mix(&pattern, values.iter().map(|value| sizes.of(v, *value, head)), out);
            }
        }
    });
}

/// `out = sum of weight · value`
fn mix<'a>(weights: &[f32], values: impl Iterator<Item = &'a [f32]>, out: &mut [f32]) {
    out.fill(0.0);
    for (weight, value) in weights.iter().zip(values) {
        out.iter_mut().zip(value).for_each(|(out, v)| *out += weight * v);
    }
}

/// Where the `[src]` of head `h` of the op's heads starts for a row.
fn score_start(row: &AttnRow, h: usize) -> usize {
    row.score as usize + h * row.score_stride as usize
}

pub fn attn_scores([q, k]: [&[f32]; 2], attn: &Attn, sizes: Heads, scale: f32, out: &mut [f32]) {
    for row in &attn.rows {
        for h in 0..sizes.heads {
            let head = row.head as usize + h;
            let q = sizes.of(q, row.q, head);
            let out = &mut out[score_start(row, h)..][..row.len as usize];
            out.fill(f32::NEG_INFINITY);
            for (out, key) in out.iter_mut().zip(keys(attn, row)).take(row.dest as usize + 1) {
                *out = dot(q, sizes.of(k, *key, head)) * scale;
            }
        }
    }
}

/// Softmax over the whole of `src`.
pub fn pattern(scores: &[f32], attn: &Attn, heads: usize, out: &mut [f32]) {
    for row in &attn.rows {
        for h in 0..heads {
            let src = score_start(row, h)..score_start(row, h) + row.len as usize;
            out[src.clone()].copy_from_slice(&scores[src.clone()]);
            softmax(&mut out[src]);
        }
    }
}

pub fn z([pattern, v]: [&[f32]; 2], attn: &Attn, sizes: Heads, causal: bool, out: &mut [f32]) {
    for (row, out) in attn.rows.iter().zip(out.chunks_exact_mut(sizes.heads * sizes.d_head)) {
        let seen = if causal { row.dest + 1 } else { row.len } as usize;
        for (h, out) in out.chunks_exact_mut(sizes.d_head).enumerate() {
            let weights = &pattern[score_start(row, h)..][..seen];
            let head = row.head as usize + h;
            mix(weights, values(attn, row).iter().map(|value| sizes.of(v, *value, head)), out);
        }
    }
}

/// What each change adds to `z`: `z_new − z_old`. `[changes, d_head]`
pub fn z_changes(z: &[f32], changes: &[HeadChange], d_head: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(changes.len() * d_head);
    for change in changes {
        let old = &z[change.z_old as usize..][..d_head];
        if change.z_new == HeadChange::ZERO {
            out.extend(old.iter().map(|old| -old));
        } else {
            let new = &z[change.z_new as usize..][..d_head];
            out.extend(new.iter().zip(old).map(|(new, old)| new - old));
        }
    }
    out
}

/// Rows from `first` on become their base row plus the sum of what their changes add, `added[change]`, `[changes, width]`.
pub fn z_delta(added: &[f32], rows: &[DeltaRow], width: usize, first: usize, out: &mut [f32]) {
    let (before, after) = out.split_at_mut(first * width);
    for (row, out) in rows.iter().zip(after.chunks_exact_mut(width)) {
        out.copy_from_slice(&before[row.base as usize * width..][..width]);
        for change in row.first..row.end {
            let added = &added[change as usize * width..][..width];
            out.iter_mut().zip(added).for_each(|(out, added)| *out += added);
        }
    }
}

/// The MLP's activation, in place.
#[inline]
pub fn activation(x: &mut [f32], act: ActFn) {
    const SQRT_2_OVER_PI: f32 = 0.797_884_6;
    match act {
        ActFn::Relu => x.iter_mut().for_each(|x| *x = x.max(0.0)),
        // 0.5 x (1 + tanh u) = x / (1 + exp(−2u))
        ActFn::GeluNew => x.iter_mut().for_each(|x| {
            *x /= 1.0 + exp(-2.0 * SQRT_2_OVER_PI * (*x + 0.044_715 * *x * *x * *x));
        }),
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
        x.iter_mut().for_each(|x| *x *= by);
    }
}

/// `[pairs]`; `index` names the row of `x` of each.
pub fn logit_diff(
    x: &[f32],
    index: &[u32],
    [w_u, b_u]: [&[f32]; 2],
    pairs: &[[u32; 2]],
    k: usize,
    out: &mut [f32],
) {
    let logit = |row: u32, token: u32| {
        dot(&x[row as usize * k..][..k], &w_u[token as usize * k..][..k]) + b_u[token as usize]
    };
    for ((out, row), [correct, incorrect]) in out.iter_mut().zip(index).zip(pairs) {
        *out = logit(*row, *correct) - logit(*row, *incorrect);
    }
}

/// Folds a tile of logits into each row's `(max, sum of exp(logit − max), target logit)`.
pub fn log_sum_exp(tile: &[f32], targets: &[u32], first: usize, n: usize, running: &mut [f32]) {
    let rows = running.par_chunks_mut(3 * ROWS).zip(tile.par_chunks(n * ROWS)).zip(targets.par_chunks(ROWS));
    rows.for_each(|((running, tile), targets)| {
        for ((state, logits), target) in running.chunks_exact_mut(3).zip(tile.chunks_exact(n)).zip(targets) {
            let max = largest(logits).max(state[0]);
            // Pieces keep each running sum short, as f32 has 24 bits.
            let pieces = logits.chunks(1024).map(|piece| f64::from(lanes(piece, |logit| exp(logit - max))));
            let sum: f64 = pieces.sum();
            state[1] = (f64::from(state[1] * (state[0] - max).exp()) + sum) as f32;
            state[0] = max;
            if let Some(logit) = (*target as usize).checked_sub(first).and_then(|i| logits.get(i)) {
                state[2] = *logit;
            }
        }
    });
}

fn largest(x: &[f32]) -> f32 {
    let (whole, rest) = x.as_chunks::<16>();
    let mut most = [f32::NEG_INFINITY; 16];
    for chunk in whole {
        for i in 0..16 {
            most[i] = if chunk[i] > most[i] { chunk[i] } else { most[i] };
        }
    }
    most.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}
