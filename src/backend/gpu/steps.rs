//! Turns a program into dispatches and copies: a pure function, so that all of it can be looked at before the GPU sees
//! any of it. Checks every range, since a write outside a buffer would land silently on another element.
//!
//! Longer than most files, as it has one arm for every op.

mod check;
mod cut;

use super::kernels::{self, Kernel};
use super::params::{Params, mode};
use crate::config::ActFn;
use crate::error::{Error, Result};
use crate::program::{Buf, Op, Program};
use crate::weights::Weight;
use check::outside;
use std::collections::HashMap;
use std::ops::Range;

/// A buffer that a dispatch binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    Act(Buf),
    /// A shard of a weight; all but W_E and W_U have one.
    Weight(Weight, usize),
    /// The program's table of rows.
    Rows,
    /// Tokens and all lists of all ops.
    Index,
    Canary,
    /// For a binding that the kernel does not read this time.
    Nothing,
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

/// The steps of a program, and what the `index` buffer must hold for them.
#[derive(Debug)]
pub struct Steps {
    pub steps: Vec<Step>,
    pub index: Vec<u32>,
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
    /// Most rows for which a matrix product takes the kernel for few.
    pub few_rows: usize,
    /// Largest estimated work of a dispatch, so that a cancel is heard between two.
    pub dispatch_cost: u64,
}

/// # Errors
/// `internal` when an op reaches outside a buffer, or one segment of an edit reads what another writes.
pub fn steps(program: &Program, machine: &Machine) -> Result<Steps> {
    let mut encoder = Encoder {
        program,
        machine,
        sizes: program.buffers.iter().copied().collect(),
        steps: Vec::new(),
        index: program.tokens.clone(),
    };
    encoder.check_rows()?;
    for op in &program.ops {
        encoder.op(op).map_err(|e| e.at(name(op)))?;
    }
    Ok(Steps { steps: encoder.steps, index: encoder.index })
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
}

impl Encoder<'_> {
    fn op(&mut self, op: &Op) -> Result<()> {
        let d_model = self.program.d_model;
        match op {
            Op::Embed { out, rows } => {
                if *rows > self.program.tokens.len() {
                    return Err(outside("tokens", *rows, self.program.tokens.len()));
                }
                (self.machine.weights)(Weight::Embed)?;
                let out = self.act(*out, rows * d_model)?;
                let shards = self.shards();
                for (shard, tokens) in shards.into_iter().enumerate() {
                    let params = Params {
                        shard: tokens.start as u32,
                        n: tokens.len() as u32,
                        ..row_params(*rows, d_model)
                    };
                    let slots = vec![Slot::Index, Slot::Weight(Weight::Embed, shard), out];
                    self.elements(Call { kernel: &kernels::EMBED, params, slots }, d_model)?;
                }
                Ok(())
            }
            Op::PosEmbed { out, rows } => {
                let longest = self.rows(*rows)?.iter().map(|row| row.len as usize).max().unwrap_or(0);
                let table = self.weight(Weight::PosEmbed, longest * d_model)?;
                let slots = vec![Slot::Rows, table, self.act(*out, rows * d_model)?];
                let params = row_params(*rows, d_model);
                self.elements(Call { kernel: &kernels::POS_EMBED, params, slots }, d_model)
            }
            Op::Add { a, b, out, len } => {
                let slots = vec![self.act(*a, *len)?, self.act(*b, *len)?, self.act(*out, *len)?];
                self.elements(Call { kernel: &kernels::ADD, params: row_params(*len, 1), slots }, 1)
            }
            Op::LnScale { x, out, rows } => {
                let slots = vec![self.act(*x, rows * d_model)?, self.act(*out, *rows)?];
                let params = Params { eps: self.program.eps, ..row_params(*rows, d_model) };
                self.reductions(Call { kernel: &kernels::LN_SCALE, params, slots }, d_model)
            }
            Op::LnNormalize { x, scale, affine, out, rows } => {
                let (mode, w, b) = match affine {
                    Some((w, b)) => (mode::AFFINE, self.weight(*w, d_model)?, self.weight(*b, d_model)?),
                    None => (0, Slot::Nothing, Slot::Nothing),
                };
                let (x, scale) = (self.act(*x, rows * d_model)?, self.act(*scale, *rows)?);
                let slots = vec![x, scale, w, b, self.act(*out, rows * d_model)?];
                let params = Params { mode, ..row_params(*rows, d_model) };
                self.reductions(Call { kernel: &kernels::LN_NORMALIZE, params, slots }, d_model)
            }
            Op::Linear { x, w, b, out, rows, k, n } => {
                let in_fours = k.is_multiple_of(4) && n.is_multiple_of(4);
                let kernel = match in_fours {
                    true if *rows <= self.machine.few_rows => &kernels::LINEAR_FEW,
                    true => &kernels::LINEAR,
                    false => &kernels::LINEAR_ANY,
                };
                let (w, b) = (self.weight(*w, k * n)?, self.weight(*b, *n)?);
                let slots = vec![self.act(*x, rows * k)?, w, b, self.act(*out, rows * n)?];
                let params = Params { n: *n as u32, ..row_params(*rows, *k) };
                self.product(Call { kernel, params, slots }, *n)
            }
            Op::HeadLinear { x, w, b, out, rows, heads, k, n } => {
                let (x, out) = (self.act(*x, rows * heads * k)?, self.act(*out, rows * heads * n)?);
                let (w, b) = (self.weight(*w, heads * k * n)?, self.weight(*b, heads * n)?);
                let params = Params { heads: *heads as u32, n: *n as u32, ..row_params(*rows, *k) };
                let slots = vec![x, w, b, out];
                self.product(Call { kernel: &kernels::HEAD_LINEAR, params, slots }, heads * n)
            }
            Op::HeadResult { z, w, out, rows, heads, k, n } => {
                let (z, out) = (self.act(*z, rows * heads * k)?, self.act(*out, rows * heads * n)?);
                let slots = vec![z, self.weight(*w, heads * k * n)?, out];
                let params = Params { heads: *heads as u32, n: *n as u32, ..row_params(*rows, *k) };
                self.product(Call { kernel: &kernels::HEAD_RESULT, params, slots }, heads * n)
            }
            Op::SumHeads { x, b, out, rows, heads, width } => {
                let (x, b) = (self.act(*x, rows * heads * width)?, self.weight(*b, *width)?);
                let slots = vec![x, b, self.act(*out, rows * width)?];
                let params = Params { heads: *heads as u32, ..row_params(*rows, *width) };
                self.elements(Call { kernel: &kernels::SUM_HEADS, params, slots }, *width)
            }
            Op::RepeatHeads { x, out, rows, heads, width } => {
                let slots = vec![self.act(*x, rows * width)?, self.act(*out, rows * heads * width)?];
                let params = Params { heads: *heads as u32, ..row_params(*rows, *width) };
                self.elements(Call { kernel: &kernels::REPEAT_HEADS, params, slots }, heads * width)
            }
            Op::AttnScores { q, k, out, rows, heads, d_head, scale } => {
                let len = rows * heads * d_head;
                let slots = vec![
                    Slot::Rows,
                    self.act(*q, len)?,
                    self.act(*k, len)?,
                    self.scores(*out, *rows, *heads)?,
                ];
                let params = Params { heads: *heads as u32, scale: *scale, ..row_params(*rows, *d_head) };
                let kernel =
                    if d_head.is_multiple_of(4) { &kernels::ATTN_SCORES } else { &kernels::ATTN_SCORES_ANY };
                let cost = 2 * heads * d_head;
                self.attention(Call { kernel, params, slots }, cost, |[across, tall], longest, rows| {
                    [longest.div_ceil(across), rows.div_ceil(tall), *heads]
                })
            }
            Op::Pattern { scores, out, rows, heads } => {
                let slots =
                    vec![Slot::Rows, self.scores(*scores, *rows, *heads)?, self.scores(*out, *rows, *heads)?];
                let params = Params { heads: *heads as u32, ..row_params(*rows, 0) };
                let cost = cut::ELEMENT_COST * heads;
                self.attention(
                    Call { kernel: &kernels::PATTERN, params, slots },
                    cost,
                    |[across, _], _, rows| cut::fold((rows * heads).div_ceil(across)),
                )
            }
            Op::Z { pattern, v, out, rows, heads, d_head, causal } => {
                let len = rows * heads * d_head;
                let pattern = self.scores(*pattern, *rows, *heads)?;
                let slots = vec![Slot::Rows, pattern, self.act(*v, len)?, self.act(*out, len)?];
                let mode = if *causal { mode::CAUSAL } else { 0 };
                let params = Params { heads: *heads as u32, mode, ..row_params(*rows, *d_head) };
                let kernel = if d_head.is_multiple_of(4) { &kernels::Z } else { &kernels::Z_ANY };
                let width = heads * d_head;
                self.attention(Call { kernel, params, slots }, 2 * width, |[across, tall], _, rows| {
                    [width.div_ceil(across), rows.div_ceil(tall), 1]
                })
            }
            Op::Activation { x, out, act, len } => {
                let slots = vec![self.act(*x, *len)?, self.act(*out, *len)?];
                let mode = match act {
                    ActFn::GeluNew => mode::GELU_NEW,
                    ActFn::Gelu => mode::GELU,
                    ActFn::Relu => mode::RELU,
                };
                let params = Params { mode, ..row_params(*len, 1) };
                self.elements(Call { kernel: &kernels::ACTIVATION, params, slots }, 1)
            }
            Op::Edit { buf, segments } => self.edit(*buf, segments),
            Op::GatherRows { x, index, out, width } => {
                let highest = index.iter().max().map_or(0, |i| *i as usize + 1);
                let (x, out) = (self.act(*x, highest * width)?, self.act(*out, index.len() * width)?);
                let params = Params { list: self.list(index), ..row_params(index.len(), *width) };
                let slots = vec![Slot::Index, x, out];
                self.elements(Call { kernel: &kernels::GATHER_ROWS, params, slots }, *width)
            }
            Op::Unembed { x, out, rows, k, first, n } => self.unembed(*x, *out, *rows, *k, *first..first + n),
            Op::LogitDiff { x, out, pairs, k } => self.logit_diff(*x, *out, pairs, *k),
            Op::LogSumExp { tile, out, targets, first, n, reset } => {
                let rows = targets.len();
                let slots = vec![Slot::Index, self.act(*tile, rows * n)?, self.act(*out, rows * 3)?];
                let mode = if *reset { mode::RESET } else { 0 };
                let (list, first) = (self.list(targets), *first as u32);
                let params = Params { list, mode, first, n: *n as u32, ..row_params(rows, *n) };
                self.reductions(Call { kernel: &kernels::LOG_SUM_EXP, params, slots }, *n)
            }
            Op::Keep { buf, start, len, at } => {
                self.act(*buf, start + len)?;
                if at + len > self.program.output_len {
                    return Err(outside("output", at + len, self.program.output_len));
                }
                self.steps.push(Step::Copy { buf: *buf, start: *start, len: *len, at: *at });
                Ok(())
            }
        }
    }

    fn unembed(&mut self, x: Buf, out: Buf, rows: usize, k: usize, tokens: Range<usize>) -> Result<()> {
        if tokens.is_empty() {
            return Ok(());
        }
        let shard = tokens.start / self.machine.shard_rows;
        if tokens.end > self.program.d_vocab || (tokens.end - 1) / self.machine.shard_rows != shard {
            return Err(Error::internal(format!(
                "tokens {tokens:?} are not in one shard of {} of the vocabulary's {}",
                self.machine.shard_rows, self.program.d_vocab
            )));
        }
        let kernel = if k.is_multiple_of(4) { &kernels::UNEMBED } else { &kernels::UNEMBED_ANY };
        let (w, b) = self.unembedding(shard)?;
        let slots = vec![self.act(x, rows * k)?, w, b, self.act(out, rows * tokens.len())?];
        let params = Params {
            n: tokens.len() as u32,
            first: tokens.start as u32,
            shard: (shard * self.machine.shard_rows) as u32,
            ..row_params(rows, k)
        };
        self.product(Call { kernel, params, slots }, tokens.len())
    }

    fn logit_diff(&mut self, x: Buf, out: Buf, pairs: &[[u32; 2]], k: usize) -> Result<()> {
        let rows = pairs.len();
        if let Some(token) =
            pairs.as_flattened().iter().find(|token| **token as usize >= self.program.d_vocab)
        {
            return Err(outside("the vocabulary", *token as usize, self.program.d_vocab));
        }
        let (x, out) = (self.act(x, rows * k)?, self.act(out, rows)?);
        let list = self.list(pairs.as_flattened());
        let shards = self.shards();
        let last = shards.len() - 1;
        for (shard, tokens) in shards.into_iter().enumerate() {
            let first = if shard == 0 { mode::FIRST_SHARD } else { 0 };
            let mode = first | if shard == last { mode::LAST_SHARD } else { 0 };
            let (shard_row, n) = (tokens.start as u32, tokens.len() as u32);
            let (w, b) = self.unembedding(shard)?;
            let params = Params { list, mode, shard: shard_row, n, ..row_params(rows, k) };
            let slots = vec![Slot::Index, x, w, b, out];
            self.reductions(Call { kernel: &kernels::LOGIT_DIFF, params, slots }, 2 * k)?;
        }
        Ok(())
    }
}

fn row_params(rows: usize, k: usize) -> Params {
    Params { end_row: rows as u32, k: k as u32, ..Params::default() }
}

/// The op's name, without its lists.
fn name(op: &Op) -> String {
    let text = format!("{op:?}");
    text.split([' ', '{']).next().unwrap_or_default().to_owned()
}
