//! Turns a program into dispatches and copies: a pure function, so that all of it can be looked at before the GPU sees
//! any of it. Checks every range, since a write outside a buffer would land silently on another element.

mod attention;
mod check;
mod cut;
mod edit;
mod elements;
mod product;
#[cfg(test)]
mod tests;

use super::kernels::Kernel;
use super::params::Params;
use super::variants::Variants;
use crate::error::Result;
use crate::program::{Attn, Buf, Op, Program};
use crate::weights::Weight;
use std::collections::HashMap;
use std::sync::Arc;

/// A buffer that a dispatch binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    Act(Buf),
    /// A shard of a weight; all but W_E and W_U have one.
    Weight(Weight, usize),
    /// q, k and v of all rows as planes.
    Qkv,
    /// W_Q, W_K and W_V of a layer as planes.
    QkvWeights(usize),
    QkvBiases(usize),
    /// All lists of all ops.
    Index,
    Canary,
    /// For a binding that the kernel does not read this time.
    Nothing,
}

/// q, k and v in the order of their planes, as activations and as weights.
pub const QKV: [Buf; 3] = [Buf::Q, Buf::K, Buf::V];

/// Elements from one plane to the next: WebGPU wants the offset of a binding to be a multiple of 256 bytes, which are 128
/// halves.
pub fn plane(elements: usize) -> usize {
    elements.next_multiple_of(128)
}

#[derive(Debug)]
pub enum Step {
    Dispatch {
        kernel: &'static Kernel,
        params: Params,
        slots: Vec<Slot>,
        groups: [u32; 3],
        /// Estimated work, in floating-point operations.
        cost: u64,
    },
    /// Elements `start..start + len` of a buffer go to the output at `at`.
    Copy { buf: Buf, start: usize, len: usize, at: usize },
}

/// The steps of a program, and what must lie on the GPU before the first.
#[derive(Debug)]
pub struct Steps {
    pub steps: Vec<Step>,
    pub index: Vec<u32>,
    pub given: Vec<(Buf, Arc<Vec<f32>>)>,
}

impl Steps {
    pub fn dispatches(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step, Step::Dispatch { .. })).count()
    }

    pub fn cost(&self) -> u64 {
        self.steps.iter().map(Step::cost).sum()
    }
}

impl Step {
    pub fn kernel(&self) -> Option<&'static Kernel> {
        match self {
            Step::Dispatch { kernel, .. } => Some(kernel),
            Step::Copy { .. } => None,
        }
    }

    pub fn cost(&self) -> u64 {
        match self {
            Step::Dispatch { cost, .. } => *cost,
            Step::Copy { .. } => cut::DISPATCH_COST,
        }
    }
}

/// What the steps are made for.
pub struct Machine<'a> {
    /// Elements of a weight that was uploaded.
    pub weights: &'a dyn Fn(Weight) -> Result<usize>,
    /// Rows of W_E and W_U in one shard.
    pub shard_rows: usize,
    /// Elements between the planes of [`Slot::Qkv`].
    pub plane: usize,
    pub variants: Variants,
    /// Short attention takes the kernel without barriers.
    pub short_attention: bool,
    /// Largest estimated work of a dispatch, so that a cancel is heard between two.
    pub dispatch_cost: u64,
}

/// # Errors
/// `internal` when an op reaches outside a buffer, or reads what it writes.
pub fn steps(program: &Program, machine: &Machine) -> Result<Steps> {
    let mut encoder = Encoder {
        program,
        machine,
        sizes: program.buffers.iter().copied().collect(),
        steps: Vec::new(),
        index: Vec::new(),
        lists: HashMap::new(),
        attns: HashMap::new(),
        given: Vec::new(),
    };
    for op in &program.ops {
        encoder.op(op).map_err(|e| e.at(name(op)))?;
    }
    Ok(Steps { steps: encoder.steps, index: encoder.index, given: encoder.given })
}

/// A kernel with what it works on: rows `0..params.end_row`, unless it is cut into pieces.
struct Call {
    kernel: &'static Kernel,
    params: Params,
    slots: Vec<Slot>,
}

struct Encoder<'a> {
    program: &'a Program,
    machine: &'a Machine<'a>,
    sizes: HashMap<Buf, usize>,
    steps: Vec<Step>,
    index: Vec<u32>,
    /// Where a shared list stands in `index`, by its address: the program outlives the encoder.
    lists: HashMap<(*const u32, usize), u32>,
    attns: HashMap<*const Attn, [u32; 2]>,
    given: Vec<(Buf, Arc<Vec<f32>>)>,
}

impl Encoder<'_> {
    fn op(&mut self, op: &Op) -> Result<()> {
        match op {
            Op::Embed { tokens, pos, out } => self.embed(tokens, pos.as_ref(), *out),
            Op::PosEmbed { pos, out } => self.pos_embed(pos, *out),
            Op::Add { a, b, out, first, rows, width } => self.add([a, b], *out, *first, *rows, *width),
            Op::LayerNorm { x, affine, out, rows } => self.layer_norm(x, *affine, *out, *rows),
            Op::LnScale { x, out, rows } => self.ln_scale(*x, *out, *rows),
            Op::LnNormalize { x, scale, affine, out, rows } => {
                self.ln_normalize([*x, *scale], *affine, *out, *rows)
            }
            Op::Linear { x, w, b, out, then, rows, k, n } => {
                self.linear(x, (*w, *b), *out, then, [*rows, *k, *n])
            }
            Op::Projections { x, parts, rows, k, n } => self.projections(*x, parts, [*rows, *k, *n]),
            Op::HeadLinear { x, w, b, out, rows, heads, k, n } => {
                self.head_linear([*x, *out], (*w, *b), [*rows, *heads, *k, *n])
            }
            Op::HeadTransposed { x, w, out, rows, heads, k, n } => {
                self.head_transposed([*x, *out], *w, [*rows, *heads, *k, *n])
            }
            Op::HeadResult { z, w, out, rows, heads, k, n } => {
                self.head_result([*z, *out], *w, [*rows, *heads, *k, *n])
            }
            Op::SumHeads { x, b, out, rows, heads, width } => {
                self.sum_heads([*x, *out], *b, [*rows, *heads, *width])
            }
            Op::RepeatHeads { x, out, rows, heads, width } => {
                self.repeat_heads([*x, *out], [*rows, *heads, *width])
            }
            Op::Attention { attn, out, first, heads, d_head, scale } => {
                self.attention(attn, *out, *first, [*heads, *d_head], *scale)
            }
            Op::AttnScores { attn, q, keys, out, heads, d_head, scale } => {
                self.attn_scores(attn, (*q, *keys), *out, [*heads, *d_head], *scale)
            }
            Op::Pattern { attn, scores, out, heads } => self.pattern(attn, [*scores, *out], *heads),
            Op::Z { attn, pattern, values, out, first, heads, d_head, causal } => {
                self.z(attn, (*pattern, *values), (*out, *first), [*heads, *d_head], *causal)
            }
            Op::Activation { x, out, act, len } => self.activation([*x, *out], *act, *len),
            Op::Edit { buf, from, segments } => self.edit(*buf, *from, segments),
            Op::Given { out, values } => self.given(*out, values),
            Op::GatherRows { x, index, out, width } => self.gather_rows(*x, index, *out, *width),
            Op::Unembed { x, w, out, rows, k, first, n } => {
                self.unembed([*x, *out], *w, [*rows, *k], *first..first + n)
            }
            Op::LogitDiff { x, w, index, out, pairs, k } => self.logit_diff([*x, *out], *w, index, pairs, *k),
            Op::LogSumExp { tile, out, targets, first, n, reset } => {
                self.log_sum_exp([*tile, *out], targets, [*first, *n], *reset)
            }
            Op::Keep { buf, start, len, at } => self.keep(*buf, *start, *len, *at),
        }
    }
}

/// Parameters of rows of `k`, without lists.
fn row_params(rows: usize, k: usize) -> Params {
    Params {
        end_row: rows as u32,
        k: k as u32,
        x_list: Params::NONE,
        add_list: Params::NONE,
        ..Params::default()
    }
}

/// The op's name, without its lists.
fn name(op: &Op) -> String {
    let text = format!("{op:?}");
    text.split([' ', '{']).next().unwrap_or_default().to_owned()
}
