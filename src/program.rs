//! A forward pass as a value: a list of [`Op`]s over named buffers, built by [`crate::model`] and
//! executed by a backend.
//!
//! A program advances a *batch* of runs together, one layer at a time, so each weight is read once.
//! Runs may differ in length: their tokens are stacked as *rows* without padding. Buffers are
//! row-major: `[rows, width]`, `[rows, head, width]`, or, for attention scores and patterns, one
//! `[head, dest, src]` block per run. A run has rows only for what differs from its base run: it joins where it first
//! differs, behind the rows that are there already, and reads everything else from its base. Ops therefore carry lists
//! of rows: which rows of the residual stream are added to, where a query finds its keys.

use crate::config::ActFn;
use crate::weights::Weight;
use std::fmt;
use std::sync::Arc;

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
    /// `normalized` of a per-head input, `[rows, head, d_model]`; or what each head looks for in normalised rows, then
    /// what it found there ([`Src::shared`]).
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
    /// Where LayerNorm is folded: `w ∘ (x − mean x)` of `FinalNormalized`, for `W_U` as it is stored.
    Unfolded,
    /// Ones: the scale that is no scale.
    NoScale,
    /// Rows gathered for the unembedding: those with a next token, then last positions.
    UnembedIn,
    LogitDiff,
    /// Values that an edit writes.
    Given,
    /// Rows that an engine has picked out for a product.
    Picked,
    /// One tile of the vocabulary at a time, `[rows, tile]`.
    LogitTile,
    /// Running `(max, sum of exp, logit of the target)` per row.
    LogSumExp,
}

/// The rows of a list of tokens or of another buffer.
pub type Index = Arc<[u32]>;

/// One dest row of attention. WGSL twin: `shaders/shared/rows.wgsl`.
///
/// An attention op works on `heads` heads of each row. For the whole of attention `head` is 0 and `heads` is all of
/// them; where one head is computed again, each row names its own head and `heads` is 1.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct AttnRow {
    /// Row of the query in `Buf::Q`.
    pub q: u32,
    /// Position of the query: it may look at `src` 0 to `dest`.
    pub dest: u32,
    /// Number of `src` in its row of scores.
    pub len: u32,
    /// Where the rows of the keys of `src` 0, 1, … stand in [`Attn::src_rows`]: at least `dest + 1` of them.
    pub keys: u32,
    /// The same for the values.
    pub values: u32,
    /// Element of scores and patterns at which the first head's `[src]` begins.
    pub score: u32,
    /// Elements from one head's `[src]` to the next head's.
    pub score_stride: u32,
    /// The first head that is computed.
    pub head: u32,
}

/// What the attention ops of one layer work on: dest rows, and where each finds its keys and values. A run that shares
/// a prefix with another reads that one's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attn {
    pub rows: Vec<AttnRow>,
    /// Rows of `Buf::K` and `Buf::V`.
    pub src_rows: Vec<u32>,
}

/// What the heads look at: keys or values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Src {
    pub buf: Buf,
    /// Whether all heads look at the same row, of `d_head` elements, instead of each at its part of a row.
    pub shared: bool,
}

impl Src {
    /// A part of each row for each head.
    pub fn by_head(buf: Buf) -> Self {
        Self { buf, shared: false }
    }

    /// The same rows for all heads.
    pub fn shared(buf: Buf) -> Self {
        Self { buf, shared: true }
    }
}

/// Where the rows of an operand stand in its buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pick {
    /// One after the other from this row.
    From(usize),
    /// One row for each row of the result.
    Rows(Index),
}

impl Pick {
    /// The row of the buffer for row `i` of the result.
    pub fn row(&self, i: usize) -> usize {
        match self {
            Pick::From(first) => first + i,
            Pick::Rows(rows) => rows[i] as usize,
        }
    }
}

/// Rows of a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    pub buf: Buf,
    pub pick: Pick,
}

impl Rows {
    /// The rows of a buffer from its first.
    pub fn all(buf: Buf) -> Self {
        Self { buf, pick: Pick::From(0) }
    }
}

/// What a matrix product does with its result before it stores it.
#[derive(Clone, Debug, PartialEq)]
pub enum Then {
    Store,
    /// The MLP's activation.
    Activate(ActFn),
    /// Adds these rows, the residual stream: `out = rows + (x W + b)`.
    Add(Rows),
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
/// `rows` counts rows of the result; every op writes `out` from its first element unless it says where.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// `out[row] = W_E[token[row]] − its mean`, as [`Weight::EmbedMean`] has it, `+ W_pos[pos[row]]` where `pos` is given.
    /// `[rows, d_model]`
    Embed { tokens: Index, pos: Option<Index>, out: Buf },
    /// `out[row] = W_pos[pos[row]]`. `[rows, d_model]`
    PosEmbed { pos: Index, out: Buf },
    /// `out[first + row] = a[row] + b[row]`. `out` may be the buffer of an operand if no row read is written.
    Add { a: Rows, b: Rows, out: Buf, first: usize, rows: usize, width: usize },
    /// LayerNorm: `out[row] = (x − mean x) / sqrt(mean((x − mean x)²) + eps)`, then `· w + b` where it is not folded.
    /// `[rows, d_model]`
    LayerNorm { x: Rows, affine: Option<(Weight, Weight)>, out: Buf, rows: usize },
    /// `out[row] = sqrt(mean((x - mean x)²) + eps)`, where the scale is looked at. `[rows, d_model] → [rows]`
    LnScale { x: Buf, out: Buf, rows: usize },
    /// `out = (x - mean x) / scale`, then `· w + b` where LayerNorm is not folded. `[rows, d_model]`
    LnNormalize { x: Buf, scale: Buf, affine: Option<(Weight, Weight)>, out: Buf, rows: usize },
    /// `out = x W + b`, then what `then` says. `[rows, k] · [k, n] → [rows, n]`
    Linear { x: Rows, w: Weight, b: Weight, out: Buf, then: Then, rows: usize, k: usize, n: usize },
    /// Several matrices of one shape on the same rows: `out = x W + b` for each part.
    Projections { x: Buf, parts: Vec<Projection>, rows: usize, k: usize, n: usize },
    /// Each head's own input through its own columns of `w`: `[rows, head, k] · [k, head, n] → [rows, head, n]`.
    HeadLinear { x: Buf, w: Weight, b: Weight, out: Buf, rows: usize, heads: usize, k: usize, n: usize },
    /// Each head's rows through its own columns of `w`, turned: `[rows, head, n] · w[head]ᵀ → [rows, head, k]`, `w` being
    /// `[k, head, n]`. With `W_K`: what a query looks for in a row before that row is made a key.
    HeadTransposed { x: Buf, w: Weight, out: Buf, rows: usize, heads: usize, k: usize, n: usize },
    /// What each head adds to the residual stream: `[rows, head, d_head] · W_O[head] → [rows, head, d_model]`.
    HeadResult { z: Buf, w: Weight, out: Buf, rows: usize, heads: usize, k: usize, n: usize },
    /// `out = sum over heads of x, + b`. `[rows, head, d_model] → [rows, d_model]`
    SumHeads { x: Buf, b: Weight, out: Buf, rows: usize, heads: usize, width: usize },
    /// `out[row, head] = x[row]` for every head; with one head, a copy.
    RepeatHeads { x: Buf, out: Buf, rows: usize, heads: usize, width: usize },
    /// Scores, softmax and mix at once, where nobody looks at scores or pattern: element `first` of `out` on is
    /// `softmax over src ≤ dest of (scale · q·k) · v`. `[rows, heads, d_head]`
    Attention { attn: Arc<Attn>, out: Buf, first: usize, heads: usize, d_head: usize, scale: f32 },
    /// `scale · q·k`, and −inf where `src > dest`, at the places that the rows name. `q` is `[any, head, d_head]`.
    AttnScores { attn: Arc<Attn>, q: Buf, keys: Src, out: Buf, heads: usize, d_head: usize, scale: f32 },
    /// Softmax over `src` (all of it: an edited score may reach the future). NaN becomes 0.
    Pattern { attn: Arc<Attn>, scores: Buf, out: Buf, heads: usize },
    /// `sum over src of pattern · v[src, head]`, to element `first` of `out` on. `[rows, heads, d_head]`. Where nobody
    /// edited scores or pattern, `causal` says that `src > dest` holds zeros and need not be read.
    Z {
        attn: Arc<Attn>,
        pattern: Buf,
        values: Src,
        out: Buf,
        first: usize,
        heads: usize,
        d_head: usize,
        causal: bool,
    },
    /// The MLP's activation, elementwise.
    Activation { x: Buf, out: Buf, act: ActFn, len: usize },
    /// Writes segments of `buf` from segments of `from`, which may be the same buffer: sources are read before anything
    /// is written.
    Edit { buf: Buf, from: Buf, segments: Vec<Segment> },
    /// `out` holds these values.
    Given { out: Buf, values: Arc<Vec<f32>> },
    /// `out[i] = x[index[i]]`, whole rows.
    GatherRows { x: Buf, index: Index, out: Buf, width: usize },
    /// `out = x W_U[first..first + n]ᵀ + b_U[first..first + n]`, `W_U` being `w`. `[rows, k] → [rows, n]`
    Unembed { x: Buf, w: Weight, out: Buf, rows: usize, k: usize, first: usize, n: usize },
    /// `out[i] = logit(correct[i]) − logit(incorrect[i])` of row `index[i]`. `[rows, k] → [pairs]`
    LogitDiff { x: Buf, w: Weight, index: Index, out: Buf, pairs: Vec<[u32; 2]>, k: usize },
    /// Folds a tile of logits for tokens `first..first + n` into the running log-sum-exp of each row and picks the
    /// target's logit. `reset` starts afresh. `out` is `[rows, 3]`: max, sum of exp(logit − max), target logit.
    LogSumExp { tile: Buf, out: Buf, targets: Index, first: usize, n: usize, reset: bool },
    /// Copies elements `start..start + len` of a buffer to the output at `at`.
    Keep { buf: Buf, start: usize, len: usize, at: usize },
}

/// One matrix of [`Op::Projections`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Projection {
    pub w: Weight,
    pub b: Weight,
    pub out: Buf,
}

/// A forward pass of a batch of runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    pub ops: Vec<Op>,
    /// Number of elements that [`Op::Keep`] writes.
    pub output_len: usize,
    /// Most elements each buffer ever holds, sorted by buffer.
    pub buffers: Vec<(Buf, usize)>,
    pub d_model: usize,
    pub d_vocab: usize,
    pub n_heads: usize,
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

impl std::ops::AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        self.flops += other.flops;
        self.weight_bytes_read += other.weight_bytes_read;
    }
}

impl Op {
    /// The operations and the bytes of weights that the op asks for.
    pub fn work(&self, d_model: usize) -> Work {
        // In 64 bits: a browser's usize has 32, which one product of a sweep exceeds.
        let product = |factors: &[usize]| factors.iter().map(|factor| *factor as u64).product::<u64>();
        let work = |flops: u64, weights: usize| Work { flops, weight_bytes_read: 4 * weights as u64 };
        let causal = |attn: &Attn| attn.rows.iter().map(|row| row.dest as usize + 1).sum::<usize>();
        let all = |attn: &Attn| attn.rows.iter().map(|row| row.len as usize).sum::<usize>();
        let affine = |affine: &Option<_>| if affine.is_some() { 2 * d_model } else { 0 };
        match self {
            Op::Embed { tokens, pos, .. } => {
                work(0, (tokens.len() + pos.as_ref().map_or(0, |pos| pos.len())) * d_model + tokens.len())
            }
            Op::PosEmbed { pos, .. } => work(0, pos.len() * d_model),
            Op::Linear { rows, k, n, .. } | Op::Unembed { rows, k, n, .. } => {
                work(product(&[2, *rows, *k, *n]), k * n + n)
            }
            Op::Projections { parts, rows, k, n, .. } => {
                work(product(&[2, parts.len(), *rows, *k, *n]), parts.len() * (k * n + n))
            }
            Op::HeadLinear { rows, heads, k, n, .. } => {
                work(product(&[2, *rows, *heads, *k, *n]), heads * (k * n + n))
            }
            Op::HeadResult { rows, heads, k, n, .. } | Op::HeadTransposed { rows, heads, k, n, .. } => {
                work(product(&[2, *rows, *heads, *k, *n]), heads * k * n)
            }
            Op::SumHeads { width, .. } => work(0, *width),
            Op::LayerNorm { affine: a, .. } | Op::LnNormalize { affine: a, .. } => work(0, affine(a)),
            Op::Attention { attn, heads, d_head, .. } => {
                work(product(&[4, causal(attn), *heads, *d_head]), 0)
            }
            Op::AttnScores { attn, heads, d_head, .. } => {
                work(product(&[2, causal(attn), *heads, *d_head]), 0)
            }
            Op::Z { attn, heads, d_head, causal: is_causal, .. } => {
                let pairs = if *is_causal { causal(attn) } else { all(attn) };
                work(product(&[2, pairs, *heads, *d_head]), 0)
            }
            Op::LogitDiff { pairs, k, .. } => work(product(&[4, pairs.len(), *k]), pairs.len() * 2 * (k + 1)),
            _ => Work::default(),
        }
    }
}

impl Program {
    /// Counts the operations and the bytes of weights that the program asks for.
    pub fn work(&self) -> Work {
        let mut work = Work::default();
        self.ops.iter().for_each(|op| work += op.work(self.d_model));
        work
    }

    /// Bytes of all activation buffers and of the output.
    pub fn bytes(&self) -> usize {
        4 * (self.buffers.iter().map(|(_, len)| len).sum::<usize>() + self.output_len)
    }
}

/// One op a line without its lists, so that two programs can be compared with `diff`.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "output {}", self.output_len)?;
        for op in &self.ops {
            match op {
                Op::Edit { buf, from, segments } => {
                    writeln!(f, "Edit {{ buf: {buf:?}, from: {from:?}, segments: {} }}", segments.len())?
                }
                Op::GatherRows { x, index, out, .. } => {
                    writeln!(f, "GatherRows {{ x: {x:?}, out: {out:?}, rows: {} }}", index.len())?;
                }
                Op::Attention { attn, out, .. } => {
                    writeln!(f, "Attention {{ out: {out:?}, rows: {} }}", attn.rows.len())?;
                }
                op => writeln!(f, "{op:?}")?,
            }
        }
        Ok(())
    }
}
