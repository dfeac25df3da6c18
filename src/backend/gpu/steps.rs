//! Turns a program into dispatches and copies: a pure function, so that all of it can be looked at before the GPU sees
//! any of it. Checks every range, since a write outside a buffer would land silently on another element.

use super::kernels::{self, Kernel};
use super::params::{Params, mode};
use crate::config::ActFn;
use crate::error::{Error, Result};
use crate::program::{Buf, Op, Program, Row, Segment};
use crate::weights::Weight;
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
            Step::Copy { .. } => DISPATCH_COST,
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

/// What a dispatch costs by itself, in operations of a slow adapter (about 20 µs at 5 GFLOP/s).
const DISPATCH_COST: u64 = 100_000;
/// Operations that moving one element through an elementwise kernel is worth.
const ELEMENT_COST: usize = 8;
/// WebGPU's limit on workgroups in one dimension.
const MAX_GROUPS: usize = 65_535;

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
                    self.elements(&kernels::EMBED, params, slots, rows * d_model)?;
                }
                Ok(())
            }
            Op::PosEmbed { out, rows } => {
                let longest = self.rows(*rows)?.iter().map(|row| row.len as usize).max().unwrap_or(0);
                let table = self.weight(Weight::PosEmbed, longest * d_model)?;
                let slots = vec![Slot::Rows, table, self.act(*out, rows * d_model)?];
                self.elements(&kernels::POS_EMBED, row_params(*rows, d_model), slots, rows * d_model)
            }
            Op::Add { a, b, out, len } => {
                let slots = vec![self.act(*a, *len)?, self.act(*b, *len)?, self.act(*out, *len)?];
                self.elements(&kernels::ADD, row_params(*len, 1), slots, *len)
            }
            Op::LnScale { x, out, rows } => {
                let slots = vec![self.act(*x, rows * d_model)?, self.act(*out, *rows)?];
                let params = Params { eps: self.program.eps, ..row_params(*rows, d_model) };
                self.group_per_row(&kernels::LN_SCALE, params, slots, *rows, d_model)
            }
            Op::LnNormalize { x, scale, affine, out, rows } => {
                let (mode, w, b) = match affine {
                    Some((w, b)) => (mode::AFFINE, self.weight(*w, d_model)?, self.weight(*b, d_model)?),
                    None => (0, Slot::Nothing, Slot::Nothing),
                };
                let (x, scale) = (self.act(*x, rows * d_model)?, self.act(*scale, *rows)?);
                let slots = vec![x, scale, w, b, self.act(*out, rows * d_model)?];
                let params = Params { mode, ..row_params(*rows, d_model) };
                self.group_per_row(&kernels::LN_NORMALIZE, params, slots, *rows, d_model)
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
                self.product(kernel, params, slots, *rows, *n)
            }
            Op::HeadLinear { x, w, b, out, rows, heads, k, n } => {
                let (x, out) = (self.act(*x, rows * heads * k)?, self.act(*out, rows * heads * n)?);
                let (w, b) = (self.weight(*w, heads * k * n)?, self.weight(*b, heads * n)?);
                let params = Params { heads: *heads as u32, n: *n as u32, ..row_params(*rows, *k) };
                self.product(&kernels::HEAD_LINEAR, params, vec![x, w, b, out], *rows, heads * n)
            }
            Op::HeadResult { z, w, out, rows, heads, k, n } => {
                let (z, out) = (self.act(*z, rows * heads * k)?, self.act(*out, rows * heads * n)?);
                let slots = vec![z, self.weight(*w, heads * k * n)?, out];
                let params = Params { heads: *heads as u32, n: *n as u32, ..row_params(*rows, *k) };
                self.product(&kernels::HEAD_RESULT, params, slots, *rows, heads * n)
            }
            Op::SumHeads { x, b, out, rows, heads, width } => {
                let (x, b) = (self.act(*x, rows * heads * width)?, self.weight(*b, *width)?);
                let slots = vec![x, b, self.act(*out, rows * width)?];
                let params = Params { heads: *heads as u32, ..row_params(*rows, *width) };
                self.elements(&kernels::SUM_HEADS, params, slots, rows * width)
            }
            Op::RepeatHeads { x, out, rows, heads, width } => {
                let slots = vec![self.act(*x, rows * width)?, self.act(*out, rows * heads * width)?];
                let params = Params { heads: *heads as u32, ..row_params(*rows, *width) };
                self.elements(&kernels::REPEAT_HEADS, params, slots, rows * heads * width)
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
                self.attention(
                    &kernels::ATTN_SCORES,
                    params,
                    slots,
                    *rows,
                    2 * heads * d_head,
                    |longest, rows| [longest.div_ceil(16), rows.div_ceil(4), *heads],
                )
            }
            Op::Pattern { scores, out, rows, heads } => {
                let slots =
                    vec![Slot::Rows, self.scores(*scores, *rows, *heads)?, self.scores(*out, *rows, *heads)?];
                let params = Params { heads: *heads as u32, ..row_params(*rows, 0) };
                self.attention(
                    &kernels::PATTERN,
                    params,
                    slots,
                    *rows,
                    4 * ELEMENT_COST * heads,
                    |_, rows| fold((rows * heads).div_ceil(64)),
                )
            }
            Op::Z { pattern, v, out, rows, heads, d_head, causal } => {
                let len = rows * heads * d_head;
                let pattern = self.scores(*pattern, *rows, *heads)?;
                let slots = vec![Slot::Rows, pattern, self.act(*v, len)?, self.act(*out, len)?];
                let mode = if *causal { mode::CAUSAL } else { 0 };
                let params = Params { heads: *heads as u32, mode, ..row_params(*rows, *d_head) };
                self.attention(&kernels::Z, params, slots, *rows, 2 * heads * d_head, |_, rows| {
                    [(heads * d_head).div_ceil(64), rows, 1]
                })
            }
            Op::Activation { x, out, act, len } => {
                let slots = vec![self.act(*x, *len)?, self.act(*out, *len)?];
                let mode = match act {
                    ActFn::GeluNew => mode::GELU_NEW,
                    ActFn::Gelu => mode::GELU,
                    ActFn::Relu => mode::RELU,
                };
                self.elements(&kernels::ACTIVATION, Params { mode, ..row_params(*len, 1) }, slots, *len)
            }
            Op::Edit { buf, segments } => self.edit(*buf, segments),
            Op::GatherRows { x, index, out, width } => {
                let highest = index.iter().max().map_or(0, |i| *i as usize + 1);
                let (x, out) = (self.act(*x, highest * width)?, self.act(*out, index.len() * width)?);
                let params = Params { list: self.list(index), ..row_params(index.len(), *width) };
                self.elements(&kernels::GATHER_ROWS, params, vec![Slot::Index, x, out], index.len() * width)
            }
            Op::Unembed { x, out, rows, k, first, n } => self.unembed(*x, *out, *rows, *k, *first..first + n),
            Op::LogitDiff { x, out, pairs, k } => self.logit_diff(*x, *out, pairs, *k),
            Op::LogSumExp { tile, out, targets, first, n, reset } => {
                let rows = targets.len();
                let slots = vec![Slot::Index, self.act(*tile, rows * n)?, self.act(*out, rows * 3)?];
                let mode = if *reset { mode::RESET } else { 0 };
                let (list, first) = (self.list(targets), *first as u32);
                let params = Params { list, mode, first, n: *n as u32, ..row_params(rows, *n) };
                self.group_per_row(&kernels::LOG_SUM_EXP, params, slots, rows, *n)
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
        self.product(kernel, params, slots, rows, tokens.len())
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
            self.group_per_row(&kernels::LOGIT_DIFF, params, vec![Slot::Index, x, w, b, out], rows, 2 * k)?;
        }
        Ok(())
    }

    /// Segments run at once in one dispatch. Where two write the same element the later must win, so they then run one
    /// after the other; a segment that reads what another writes has no meaning and is refused.
    fn edit(&mut self, buf: Buf, segments: &[Segment]) -> Result<()> {
        let segments: Vec<Segment> =
            segments.iter().copied().filter(|s| s.len > 0 && (s.src != s.dst || s.scale != 1.0)).collect();
        let Some(end) = segments.iter().map(|s| (s.dst + s.len) as usize).max() else { return Ok(()) };
        let slot = self.act(buf, end)?;
        let mut written: Vec<Range<u32>> = segments.iter().map(|s| s.dst..s.dst + s.len).collect();
        written.sort_unstable_by_key(|range| (range.start, range.end));
        let overlap = written.windows(2).any(|pair| pair[1].start < pair[0].end);
        // Ends of sorted ranges, made ascending even where ranges overlap.
        let mut furthest = 0;
        let ends: Vec<u32> = written
            .iter()
            .map(|range| {
                furthest = furthest.max(range.end);
                furthest
            })
            .collect();
        for segment in segments.iter().filter(|s| s.src != Segment::ZERO && s.src != s.dst) {
            let (start, end) = (segment.src, segment.src + segment.len);
            self.act(buf, end as usize)?;
            let after = ends.partition_point(|e| *e <= start);
            if written.get(after).is_some_and(|range| range.start < end) {
                return Err(Error::internal(format!(
                    "a segment reads {start}..{end}, which another one writes"
                )));
            }
        }
        let words: &[u32] = bytemuck::cast_slice(&segments);
        let list = self.list(words);
        let at_once = if overlap { 1 } else { MAX_GROUPS };
        for first in (0..segments.len()).step_by(at_once) {
            let end = (first + at_once).min(segments.len());
            let longest = segments[first..end].iter().map(|s| s.len as usize).max().unwrap_or(0);
            // Threads walk along longer segments.
            let groups = [longest.div_ceil(64).min(1024), end - first, 1];
            let params = Params { first_row: first as u32, end_row: end as u32, list, ..Params::default() };
            let cost = DISPATCH_COST + (longest * (end - first) * ELEMENT_COST) as u64;
            self.dispatch(&kernels::EDIT, params, vec![Slot::Index, slot], groups, cost)?;
        }
        Ok(())
    }

    /// One thread per element.
    fn elements(
        &mut self,
        kernel: &'static Kernel,
        params: Params,
        slots: Vec<Slot>,
        len: usize,
    ) -> Result<()> {
        let cost = DISPATCH_COST + (len * ELEMENT_COST) as u64;
        self.dispatch(kernel, params, slots, fold(len.div_ceil(kernel.tile[0] as usize)), cost)
    }

    /// One workgroup per row of `width` elements.
    fn group_per_row(
        &mut self,
        kernel: &'static Kernel,
        params: Params,
        slots: Vec<Slot>,
        rows: usize,
        width: usize,
    ) -> Result<()> {
        let cost = DISPATCH_COST + (rows * width * ELEMENT_COST) as u64;
        self.dispatch(kernel, params, slots, fold(rows), cost)
    }

    /// A matrix product, cut into pieces of rows and columns where it is too much for one dispatch. The cuts change no
    /// bit of the result: each element is computed by one thread, in the same order.
    fn product(
        &mut self,
        kernel: &'static Kernel,
        params: Params,
        slots: Vec<Slot>,
        rows: usize,
        cols: usize,
    ) -> Result<()> {
        let [tile_cols, tile_rows] = kernel.tile.map(|n| n as usize);
        let cells = (self.machine.dispatch_cost / (2 * u64::from(params.k)).max(1)) as usize;
        let in_tiles = |n: usize, tile: usize| (n / tile * tile).max(tile);
        let rows_once = in_tiles(cells / tile_cols, tile_rows).min(MAX_GROUPS * tile_rows).min(rows.max(1));
        let cols_once = in_tiles(cells / rows_once, tile_cols);
        for row in (0..rows).step_by(rows_once) {
            let end_row = (row + rows_once).min(rows);
            for col in (0..cols).step_by(cols_once) {
                let end_col = (col + cols_once).min(cols);
                let groups = [(end_col - col).div_ceil(tile_cols), (end_row - row).div_ceil(tile_rows), 1];
                let cost =
                    DISPATCH_COST + 2 * ((end_row - row) * (end_col - col)) as u64 * u64::from(params.k);
                let params = Params {
                    first_row: row as u32,
                    end_row: end_row as u32,
                    first_col: col as u32,
                    end_col: end_col as u32,
                    ..params
                };
                self.dispatch(kernel, params, slots.clone(), groups, cost)?;
            }
        }
        Ok(())
    }

    /// An op over `[head, dest, src]` blocks, cut into pieces of dest rows. `cost` is per row and src.
    fn attention(
        &mut self,
        kernel: &'static Kernel,
        params: Params,
        slots: Vec<Slot>,
        rows: usize,
        cost: usize,
        groups: impl Fn(usize, usize) -> [usize; 3],
    ) -> Result<()> {
        let longest = self.rows(rows)?.iter().map(|row| row.len as usize).max().unwrap_or(0);
        let row_cost = (longest * cost).max(1);
        let rows_once = (self.machine.dispatch_cost as usize / row_cost).clamp(1, MAX_GROUPS);
        for row in (0..rows).step_by(rows_once) {
            let end_row = (row + rows_once).min(rows);
            let params = Params { first_row: row as u32, end_row: end_row as u32, ..params };
            let cost = DISPATCH_COST + ((end_row - row) * row_cost) as u64;
            self.dispatch(kernel, params, slots.clone(), groups(longest, end_row - row), cost)?;
        }
        Ok(())
    }

    fn dispatch(
        &mut self,
        kernel: &'static Kernel,
        params: Params,
        slots: Vec<Slot>,
        groups: [usize; 3],
        cost: u64,
    ) -> Result<()> {
        let (out, inputs) = slots.split_last().ok_or_else(|| Error::internal("a kernel without buffers"))?;
        if inputs.contains(out) {
            return Err(Error::internal(format!("{}: {out:?} is both read and written", kernel.name)));
        }
        if groups.contains(&0) {
            return Ok(());
        }
        let groups = groups.map(|n| n as u32);
        self.steps.push(Step::Dispatch { kernel, params, slots, groups, cost });
        Ok(())
    }

    /// A buffer of which an op touches the first `len` elements.
    fn act(&self, buf: Buf, len: usize) -> Result<Slot> {
        match self.sizes.get(&buf) {
            Some(size) if *size >= len => Ok(Slot::Act(buf)),
            Some(size) => Err(outside(format!("{buf:?}"), len, *size)),
            None => Err(Error::internal(format!("{buf:?} is not among the program's buffers"))),
        }
    }

    /// A weight of which an op reads `len` elements.
    fn weight(&self, weight: Weight, len: usize) -> Result<Slot> {
        match (self.machine.weights)(weight)? {
            found if found >= len => Ok(Slot::Weight(weight, 0)),
            found => Err(outside(weight, len, found)),
        }
    }

    /// A shard of W_U, and b_U.
    fn unembedding(&self, shard: usize) -> Result<(Slot, Slot)> {
        (self.machine.weights)(Weight::Unembed)?;
        Ok((Slot::Weight(Weight::Unembed, shard), self.weight(Weight::UnembedBias, self.program.d_vocab)?))
    }

    fn rows(&self, rows: usize) -> Result<&[Row]> {
        self.program
            .rows
            .get(..rows)
            .ok_or_else(|| outside("the program's table of rows", rows, self.program.rows.len()))
    }

    /// A buffer of scores or patterns, of which an op touches the blocks of the first `rows` rows: whole runs.
    fn scores(&self, buf: Buf, rows: usize, heads: usize) -> Result<Slot> {
        let Some(last) = self.rows(rows)?.last() else { return self.act(buf, 0) };
        if last.pos + 1 != last.len {
            return Err(Error::internal(format!("{rows} rows end inside a run of {} tokens", last.len)));
        }
        self.act(buf, last.first_score as usize + heads * (last.len as usize).pow(2))
    }

    /// Tokens of each shard of W_E and W_U.
    fn shards(&self) -> Vec<Range<usize>> {
        let starts = (0..self.program.d_vocab).step_by(self.machine.shard_rows);
        starts.map(|start| start..(start + self.machine.shard_rows).min(self.program.d_vocab)).collect()
    }

    /// Puts a list into `index` and returns where it starts; tiles of one op share theirs.
    fn list(&mut self, words: &[u32]) -> u32 {
        if !self.index.ends_with(words) {
            self.index.extend_from_slice(words);
        }
        (self.index.len() - words.len()) as u32
    }

    fn check_rows(&self) -> Result<()> {
        let (tokens, rows) = (&self.program.tokens, &self.program.rows);
        if let Some(token) = tokens.iter().find(|token| **token as usize >= self.program.d_vocab) {
            return Err(outside("the vocabulary", *token as usize, self.program.d_vocab));
        }
        let bad = |(i, row): (usize, &Row)| {
            let first = row.first_row as usize;
            row.pos >= row.len || first + row.pos as usize != i || first + row.len as usize > rows.len()
        };
        match rows.iter().enumerate().position(bad) {
            Some(i) => Err(Error::internal(format!("row {i} is not in its run: {:?}", rows[i]))),
            None => Ok(()),
        }
    }
}

fn row_params(rows: usize, k: usize) -> Params {
    Params { end_row: rows as u32, k: k as u32, ..Params::default() }
}

/// A count of workgroups as rows of at most 65535. WGSL twin: `shaders/shared/grid.wgsl`.
fn fold(groups: usize) -> [usize; 3] {
    let across = groups.min(MAX_GROUPS);
    [across, groups.div_ceil(across.max(1)), 1]
}

fn outside(what: impl std::fmt::Display, needed: usize, found: usize) -> Error {
    Error::internal(format!("{what} has {found} elements, {needed} are asked for"))
}

/// The op's name, without its lists.
fn name(op: &Op) -> String {
    let text = format!("{op:?}");
    text.split([' ', '{']).next().unwrap_or_default().to_owned()
}
