//! A forward pass as a value: a list of [`Op`]s over named buffers, built by [`crate::model`] and
//! executed by a backend.
//!
//! A program advances a *batch* of runs together, one layer at a time, so each weight is read once.
//! Runs may differ in length: their tokens are stacked as *rows* without padding. Buffers are
//! row-major: `[rows, width]`, `[rows, head, width]`, or, for attention scores and patterns, one
//! `[head, dest, src]` block per run. Runs are sorted by the layer at which they start; a run that starts
//! at a later layer joins there with a copy of its base run's residual stream, so the active rows are
//! always a prefix of the buffer.

use crate::config::ActFn;
use crate::weights::Weight;
use std::fmt;

/// An activation buffer, used again in every layer. The names are the hooks' (without the layer).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Buf {
    Embed,
    PosEmbed,
    /// `resid_pre`; the layer's end writes `resid_post` here, which is the next layer's `resid_pre`.
    Resid,
    ResidMid,
    AttnIn,
    QInput,
    KInput,
    VInput,
    MlpIn,
    Scale,
    Normalized,
    /// `scale` and `normalized` of a per-head input, `[rows, head]` and `[rows, head, d_model]`.
    HeadScale,
    HeadNormalized,
    Q,
    K,
    V,
    AttnScores,
    Pattern,
    Z,
    Result,
    AttnOut,
    Pre,
    Post,
    MlpOut,
    /// The rows of the residual stream whose logits are wanted.
    FinalResid,
    FinalScale,
    FinalNormalized,
    /// Rows gathered for the unembedding: those with a next token, then last positions.
    UnembedIn,
    LogitDiffIn,
    LogitDiff,
    /// One tile of the vocabulary at a time, `[rows, tile]`.
    LogitTile,
    /// Running `(max, sum of exp, logit of the target)` per row.
    LogSumExp,
}

/// One token of one run. WGSL twin: `shaders/shared/rows.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Row {
    /// Position in its run (`dest`).
    pub pos: u32,
    /// Number of tokens of its run.
    pub len: u32,
    /// Row of its run's first token.
    pub first_row: u32,
    /// Element at which its run's `[head, dest, src]` block starts in scores and patterns.
    pub first_score: u32,
}

/// Elements `dst..dst+len` of a buffer become zero or `scale` times `src..src+len` of the same buffer.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Segment {
    pub dst: u32,
    /// [`Segment::ZERO`] writes zeros, whatever was there: 0 · ∞ would not be 0.
    pub src: u32,
    pub len: u32,
    /// 1 copies bit for bit.
    pub scale: f32,
}

impl Segment {
    pub const ZERO: u32 = u32::MAX;

    pub fn zero(dst: u32, len: u32) -> Self {
        Self { dst, src: Self::ZERO, len, scale: 1.0 }
    }

    pub fn copy(dst: u32, src: u32, len: u32) -> Self {
        Self { dst, src, len, scale: 1.0 }
    }
}

/// One step. Each op has one WGSL kernel (`shaders/`), one CPU twin and one test, under its name.
/// `rows` counts active rows; every op writes `out` from its first element.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// `out[row] = table[token[row]]`, the token embedding. `[rows, d_model]`
    Embed { out: Buf, rows: usize },
    /// `out[row] = W_pos[pos[row]]`. `[rows, d_model]`
    PosEmbed { out: Buf, rows: usize },
    /// `out = a + b`, elementwise. `out` is neither `a` nor `b`.
    Add { a: Buf, b: Buf, out: Buf, len: usize },
    /// `out[row] = sqrt(mean((x - mean x)²) + eps)`. `[rows, width] → [rows]`
    LnScale { x: Buf, out: Buf, rows: usize },
    /// `out = (x - mean x) / scale`, then `· w + b` where LayerNorm is not folded. `[rows, d_model]`
    LnNormalize { x: Buf, scale: Buf, affine: Option<(Weight, Weight)>, out: Buf, rows: usize },
    /// `out = x W + b`. `[rows, k] · [k, n] → [rows, n]`
    Linear { x: Buf, w: Weight, b: Weight, out: Buf, rows: usize, k: usize, n: usize },
    /// Each head's own input through its own columns of `w`: `[rows, head, k] · [k, head, n] → [rows, head, n]`.
    HeadLinear { x: Buf, w: Weight, b: Weight, out: Buf, rows: usize, heads: usize, k: usize, n: usize },
    /// What each head adds to the residual stream: `[rows, head, d_head] · W_O[head] → [rows, head, d_model]`.
    HeadResult { z: Buf, w: Weight, out: Buf, rows: usize, heads: usize, k: usize, n: usize },
    /// `out = sum over heads of x, + b`. `[rows, head, d_model] → [rows, d_model]`
    SumHeads { x: Buf, b: Weight, out: Buf, rows: usize, heads: usize, width: usize },
    /// `out[row, head] = x[row]` for every head; with one head, a copy.
    RepeatHeads { x: Buf, out: Buf, rows: usize, heads: usize, width: usize },
    /// `scale · q·k`, and −inf where `src > dest`. `[rows, head, d_head] → [head, dest, src]` per run
    AttnScores { q: Buf, k: Buf, out: Buf, rows: usize, heads: usize, d_head: usize, scale: f32 },
    /// Softmax over `src` (all of it: an edited score may reach the future). NaN becomes 0.
    Pattern { scores: Buf, out: Buf, rows: usize, heads: usize },
    /// `out[dest, head] = sum over src of pattern · v[src, head]`. `[rows, head, d_head]`. Where nobody edited scores
    /// or pattern, `causal` says that `src > dest` holds zeros and need not be read.
    Z { pattern: Buf, v: Buf, out: Buf, rows: usize, heads: usize, d_head: usize, causal: bool },
    /// The MLP's activation, elementwise.
    Activation { x: Buf, out: Buf, act: ActFn, len: usize },
    /// Zeroes, copies or scales segments inside one buffer; sources are read before anything is written.
    Edit { buf: Buf, segments: Vec<Segment> },
    /// `out[i] = x[index[i]]`, whole rows.
    GatherRows { x: Buf, index: Vec<u32>, out: Buf, width: usize },
    /// `out = x W_U[first..first + n]ᵀ + b_U[first..first + n]`. `[rows, k] → [rows, n]`
    Unembed { x: Buf, out: Buf, rows: usize, k: usize, first: usize, n: usize },
    /// `out[row] = logit(correct[row]) − logit(incorrect[row])`. `[rows, k] → [rows]`
    LogitDiff { x: Buf, out: Buf, pairs: Vec<[u32; 2]>, k: usize },
    /// Folds a tile of logits for tokens `first..first + n` into the running log-sum-exp of each row and picks the
    /// target's logit. `reset` starts afresh. `out` is `[rows, 3]`: max, sum of exp(logit − max), target logit.
    LogSumExp { tile: Buf, out: Buf, targets: Vec<u32>, first: usize, n: usize, reset: bool },
    /// Copies elements `start..start + len` of a buffer to the output at `at`.
    Keep { buf: Buf, start: usize, len: usize, at: usize },
}

/// A forward pass of a batch of runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// Token of every row.
    pub tokens: Vec<u32>,
    pub rows: Vec<Row>,
    pub ops: Vec<Op>,
    /// Number of elements that [`Op::Keep`] writes.
    pub output_len: usize,
    /// Most elements each buffer ever holds, sorted by buffer.
    pub buffers: Vec<(Buf, usize)>,
    pub d_model: usize,
    pub d_vocab: usize,
    pub eps: f32,
}

/// The counted work of a program: exact, not measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Two per multiply-add of every matrix product, attention included.
    pub flops: u64,
    /// Bytes of weights read, each op reading its matrix once.
    pub weight_bytes_read: u64,
}

impl Program {
    /// Counts the operations and the bytes of weights that the program asks for.
    pub fn work(&self) -> Work {
        let mut work = Work::default();
        let causal_pairs =
            |rows: usize| -> u64 { self.rows[..rows].iter().map(|row| u64::from(row.pos) + 1).sum() };
        let all_pairs = |rows: usize| -> u64 { self.rows[..rows].iter().map(|row| u64::from(row.len)).sum() };
        let mut add = |flops: u64, weights: usize| {
            work.flops += flops;
            work.weight_bytes_read += 4 * weights as u64;
        };
        for op in &self.ops {
            match op {
                Op::Embed { rows, .. } | Op::PosEmbed { rows, .. } => add(0, rows * self.d_model),
                Op::Linear { rows, k, n, .. } => add(2 * (rows * k * n) as u64, k * n + n),
                Op::Unembed { rows, k, n, .. } => add(2 * (rows * k * n) as u64, k * n + n),
                Op::HeadLinear { rows, heads, k, n, .. } => {
                    add(2 * (rows * heads * k * n) as u64, heads * (k * n + n));
                }
                Op::HeadResult { rows, heads, k, n, .. } => {
                    add(2 * (rows * heads * k * n) as u64, heads * k * n)
                }
                Op::SumHeads { width, .. } => add(0, *width),
                Op::LnNormalize { affine: Some(_), .. } => add(0, 2 * self.d_model),
                Op::AttnScores { rows, heads, d_head, .. } => {
                    add(2 * causal_pairs(*rows) * (heads * d_head) as u64, 0)
                }
                Op::Z { rows, heads, d_head, causal, .. } => {
                    let pairs = if *causal { causal_pairs(*rows) } else { all_pairs(*rows) };
                    add(2 * pairs * (heads * d_head) as u64, 0);
                }
                Op::LogitDiff { pairs, k, .. } => {
                    add(4 * (pairs.len() * k) as u64, pairs.len() * 2 * (k + 1))
                }
                _ => {}
            }
        }
        work
    }
}

/// One op a line, so that two programs can be compared with `diff`.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "rows {}, output {}", self.rows.len(), self.output_len)?;
        for op in &self.ops {
            match op {
                Op::Edit { buf, segments } => {
                    writeln!(f, "Edit {{ buf: {buf:?}, segments: {} }}", segments.len())?
                }
                Op::GatherRows { x, index, out, .. } => {
                    writeln!(f, "GatherRows {{ x: {x:?}, out: {out:?}, rows: {} }}", index.len())?;
                }
                op => writeln!(f, "{op:?}")?,
            }
        }
        Ok(())
    }
}
