//! Attention: scores, pattern and mix, at once or one by one.

use super::ROWS;
use crate::program::{Attn, AttnRow};
use microtome_loops::{add_scaled, dot, softmax};
use rayon::prelude::*;

/// The sizes that every attention op needs. A row of q, k, v has `d_head` elements for each of `all_heads`; the op works on
/// `heads` of them.
#[derive(Clone, Copy)]
pub struct Heads {
    pub heads: usize,
    pub d_head: usize,
    pub all_heads: usize,
}

impl Heads {
    /// The part of row `row` that belongs to a head.
    fn of<'a>(&self, x: &'a [f32], row: u32, head: usize) -> &'a [f32] {
        &x[(row as usize * self.all_heads + head) * self.d_head..][..self.d_head]
    }

    /// The same of what a head looks at, which may be one row for all of them.
    fn seen<'a>(&self, (x, shared): (&'a [f32], bool), row: u32, head: usize) -> &'a [f32] {
        if shared { &x[row as usize * self.d_head..][..self.d_head] } else { self.of(x, row, head) }
    }
}

fn keys<'a>(attn: &'a Attn, row: &AttnRow) -> &'a [u32] {
    &attn.src_rows[row.keys as usize..]
}

fn values<'a>(attn: &'a Attn, row: &AttnRow) -> &'a [u32] {
    &attn.src_rows[row.values as usize..]
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
        add_scaled(out, *weight, value);
    }
}

/// Where the `[src]` of head `h` of the op's heads starts for a row.
fn score_start(row: &AttnRow, h: usize) -> usize {
    row.score as usize + h * row.score_stride as usize
}

/// `k` with whether all heads look at the same row of it.
pub fn attn_scores(q: &[f32], k: (&[f32], bool), attn: &Attn, sizes: Heads, scale: f32, out: &mut [f32]) {
    for row in &attn.rows {
        for h in 0..sizes.heads {
            let head = row.head as usize + h;
            let q = sizes.of(q, row.q, head);
            let out = &mut out[score_start(row, h)..][..row.len as usize];
            out.fill(f32::NEG_INFINITY);
            for (out, key) in out.iter_mut().zip(keys(attn, row)).take(row.dest as usize + 1) {
                *out = dot(q, sizes.seen(k, *key, head)) * scale;
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

/// `v` with whether all heads look at the same row of it.
pub fn z(pattern: &[f32], v: (&[f32], bool), attn: &Attn, sizes: Heads, causal: bool, out: &mut [f32]) {
    let width = sizes.heads * sizes.d_head;
    let rows = out.par_chunks_mut(ROWS * width).zip(attn.rows.par_chunks(ROWS));
    rows.for_each(|(out, rows)| {
        for (out, row) in out.chunks_exact_mut(width).zip(rows) {
            let seen = if causal { row.dest + 1 } else { row.len } as usize;
            for (h, out) in out.chunks_exact_mut(sizes.d_head).enumerate() {
                let weights = &pattern[score_start(row, h)..][..seen];
                let head = row.head as usize + h;
                mix(weights, values(attn, row).iter().map(|value| sizes.seen(v, *value, head)), out);
            }
        }
    });
}
