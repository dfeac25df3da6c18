//! The CPU engine: interprets a program, native and in wasm (SIMD, threads where the page may have them). It is the
//! reference that the GPU engine is compared with.
//!
//! Activations lie in one vector per buffer, made once and used again by the next run. Matrix products are in [`matmul`];
//! everything else is in [`ops`], one function per WGSL kernel.

pub mod matmul;
pub mod ops;
mod products;

use super::{Backend, Control, Output, Pacer};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::model::Limits;
use crate::program::{Buf, Op, Program};
use crate::weights::storage::room;
use crate::weights::{Room, Sink, Storage, Weight};
use matmul::Matrix;
use ops::Heads;
use std::collections::HashMap;
use std::ops::Range;

/// A weight in the form that its op reads.
enum Table {
    /// Vectors, and rows that are looked up.
    Plain(Vec<f32>),
    /// Laid out for products; of the embedding and the unembedding single rows are read too.
    Matrix(Matrix),
}

/// The CPU engine with the weights that it holds.
#[derive(Default)]
pub struct Cpu {
    weights: HashMap<Weight, Table>,
    buffers: HashMap<Buf, Vec<f32>>,
}

impl Cpu {
    pub fn new() -> Self {
        Self::default()
    }

    fn plain(&self, weight: Weight) -> Result<&[f32]> {
        match self.weights.get(&weight) {
            Some(Table::Plain(data)) => Ok(data),
            _ => Err(Error::internal(format!("cpu engine: weight {weight} was not uploaded"))),
        }
    }

    fn matrix(&self, weight: Weight) -> Result<&Matrix> {
        match self.weights.get(&weight) {
            Some(Table::Matrix(matrix)) => Ok(matrix),
            _ => Err(Error::internal(format!("cpu engine: matrix {weight} was not uploaded"))),
        }
    }

    fn get(&self, buf: Buf) -> Result<&[f32]> {
        self.buffers.get(&buf).map(Vec::as_slice).ok_or_else(|| missing(buf))
    }

    fn affine(&self, affine: &Option<(Weight, Weight)>) -> Result<Option<(&[f32], &[f32])>> {
        affine.map(|(w, b)| Ok((self.plain(w)?, self.plain(b)?))).transpose()
    }
}

impl Sink for Cpu {
    async fn begin(&mut self, cfg: &Config, weights: &[Weight], storage: Storage) -> Result<()> {
        self.weights.clear();
        for weight in weights {
            let storage = storage.of(*weight);
            let table = match (weight, &weight.shape(cfg)[..]) {
                (Weight::Embed | Weight::PosEmbed | Weight::Unembed, [n, k]) => {
                    Table::Matrix(Matrix::empty_rows(*n, *k, storage)?)
                }
                (Weight::Block(..), [k, n]) => Table::Matrix(Matrix::empty(*k, *n, storage)?),
                (_, shape) => Table::Plain(room(shape.iter().product())?),
            };
            self.weights.insert(*weight, table);
        }
        Ok(())
    }

    async fn write(&mut self, weight: Weight, at: usize, values: &[f32]) -> Result<()> {
        match self.weights.get_mut(&weight) {
            Some(Table::Matrix(matrix)) => matrix.write(weight, at, values),
            Some(Table::Plain(data)) if at == data.len() && values.len() <= data.capacity() - at => {
                data.extend_from_slice(values);
                Ok(())
            }
            _ => Err(Error::internal(format!("cpu engine: no room for element {at} of {weight}"))),
        }
    }
}

impl Backend for Cpu {
    fn limits(&self) -> Limits {
        // Small enough a tile of logits that its exponentials are not added up from far away.
        Limits { buffer_elements: 64 << 20, tile_elements: 8 << 20, unembed_rows: usize::MAX }
    }

    fn adapter(&self) -> Option<String> {
        None
    }

    fn held_bytes(&self) -> u64 {
        let weights = self.weights.values().map(|table| match table {
            Table::Plain(data) => 4 * data.len() as u64,
            Table::Matrix(matrix) => matrix.bytes(),
        });
        let buffers = self.buffers.values().map(|buffer| 4 * buffer.len() as u64);
        weights.sum::<u64>() + buffers.sum::<u64>()
    }

    fn room(&self) -> Option<Room> {
        room_here()
    }

    async fn run(&mut self, program: &Program, control: &dyn Control) -> Result<Output> {
        // What an op reads it has written before in this run, so old contents do no harm.
        self.buffers.retain(|buf, _| program.buffers.iter().any(|(other, _)| other == buf));
        for (buf, len) in &program.buffers {
            microtome_loops::resize(self.buffers.entry(*buf).or_default(), *len);
        }
        let mut pass = Pass {
            cpu: self,
            program,
            output: vec![0.0; program.output_len],
            pacer: Pacer::new(control, program.work().flops),
        };
        for op in &program.ops {
            pass.execute(op).await?;
        }
        Ok(Output { data: pass.output, dispatches: program.ops.len() as u64, readbacks: 0 })
    }
}

/// All that 32 bits reach, but for what the module itself takes.
#[cfg(target_arch = "wasm32")]
fn room_here() -> Option<Room> {
    Some(Room { bytes: (4 << 30) - (64 << 20), of: "a browser tab's module" })
}

/// What Linux says is available; elsewhere nobody is asked.
#[cfg(not(target_arch = "wasm32"))]
fn room_here() -> Option<Room> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(Room { bytes: kilobytes << 10, of: "this machine" })
}

/// One program under way.
struct Pass<'a> {
    cpu: &'a mut Cpu,
    program: &'a Program,
    output: Vec<f32>,
    pacer: Pacer<'a>,
}

impl Pass<'_> {
    async fn execute(&mut self, op: &Op) -> Result<()> {
        if let Op::Linear { .. }
        | Op::Projections { .. }
        | Op::Unembed { .. }
        | Op::HeadLinear { .. }
        | Op::HeadTransposed { .. }
        | Op::HeadResult { .. } = op
        {
            return self.multiply(op).await;
        }
        let width = self.program.d_model;
        let work = op.work(width).flops;
        let eps = self.program.eps;
        let all_heads = self.program.n_heads;
        let heads = |heads: &usize, d_head: &usize| Heads { heads: *heads, d_head: *d_head, all_heads };
        match op {
            Op::Embed { tokens, pos, out } => self.write(*out, 0..tokens.len() * width, |cpu, out| {
                let means = cpu.plain(Weight::EmbedMean)?;
                let table = cpu.matrix(Weight::Embed)?;
                ops::embed(|token, row| table.row(token, row), means, tokens, width, out)?;
                let Some(pos) = pos else { return Ok(()) };
                let mut added = vec![0.0; out.len()];
                let table = cpu.matrix(Weight::PosEmbed)?;
                ops::pos_embed(|pos, row| table.row(pos, row), pos, width, &mut added)?;
                out.iter_mut().zip(&added).for_each(|(out, added)| *out += added);
                Ok(())
            })?,
            Op::PosEmbed { pos, out } => self.write(*out, 0..pos.len() * width, |cpu, out| {
                let table = cpu.matrix(Weight::PosEmbed)?;
                ops::pos_embed(|pos, row| table.row(pos, row), pos, width, out)
            })?,
            Op::Add { a, b, out, first, rows, width } => {
                let mut sum = vec![0.0; rows * width];
                ops::add((self.cpu.get(a.buf)?, &a.pick), (self.cpu.get(b.buf)?, &b.pick), *width, &mut sum);
                self.write(*out, first * width..(first + rows) * width, |_, out| {
                    out.copy_from_slice(&sum);
                    Ok(())
                })?;
            }
            Op::LayerNorm { x, affine, out, rows } => self.write(*out, 0..rows * width, |cpu, out| {
                ops::layer_norm((cpu.get(x.buf)?, &x.pick), cpu.affine(affine)?, eps, width, out);
                Ok(())
            })?,
            Op::LnScale { x, out, rows } => self.write(*out, 0..*rows, |cpu, out| {
                ops::ln_scale(&cpu.get(*x)?[..rows * width], width, eps, out);
                Ok(())
            })?,
            Op::LnNormalize { x, scale, affine, out, rows } => {
                self.write(*out, 0..rows * width, |cpu, out| {
                    ops::ln_normalize(cpu.get(*x)?, cpu.get(*scale)?, cpu.affine(affine)?, width, out);
                    Ok(())
                })?
            }
            Op::SumHeads { x, b, out, rows, heads, width } => {
                self.write(*out, 0..rows * width, |cpu, out| {
                    ops::sum_heads(cpu.get(*x)?, cpu.plain(*b)?, *heads, out);
                    Ok(())
                })?
            }
            Op::RepeatHeads { x, out, rows, heads, width } => {
                self.write(*out, 0..rows * heads * width, |cpu, out| {
                    ops::repeat_heads(cpu.get(*x)?, *heads, *width, out);
                    Ok(())
                })?;
            }
            Op::Attention { attn, out, first, heads: n, d_head, scale } => {
                let len = attn.rows.len() * n * d_head;
                self.write(*out, *first..first + len, |cpu, out| {
                    let qkv = [cpu.get(Buf::Q)?, cpu.get(Buf::K)?, cpu.get(Buf::V)?];
                    ops::attention(qkv, attn, heads(n, d_head), *scale, out);
                    Ok(())
                })?;
            }
            Op::AttnScores { attn, q, keys, out, heads: n, d_head, scale } => {
                self.write_all(*out, |cpu, out| {
                    let (q, keys) = (cpu.get(*q)?, (cpu.get(keys.buf)?, keys.shared));
                    ops::attn_scores(q, keys, attn, heads(n, d_head), *scale, out);
                    Ok(())
                })?
            }
            Op::Pattern { attn, scores, out, heads } => self.write_all(*out, |cpu, out| {
                ops::pattern(cpu.get(*scores)?, attn, *heads, out);
                Ok(())
            })?,
            Op::Z { attn, pattern, values, out, first, heads: n, d_head, causal } => {
                let len = attn.rows.len() * n * d_head;
                self.write(*out, *first..first + len, |cpu, out| {
                    let (pattern, values) = (cpu.get(*pattern)?, (cpu.get(values.buf)?, values.shared));
                    ops::z(pattern, values, attn, heads(n, d_head), *causal, out);
                    Ok(())
                })?;
            }
            Op::Activation { x, out, act, len } => self.write(*out, 0..*len, |cpu, out| {
                out.copy_from_slice(&cpu.get(*x)?[..*len]);
                ops::activation(out, *act);
                Ok(())
            })?,
            Op::Edit { buf, from, segments } => self.write_all(*buf, |cpu, out| {
                if from == buf {
                    ops::edit(out, segments);
                } else {
                    ops::edit_from(out, cpu.get(*from)?, segments);
                }
                Ok(())
            })?,
            Op::Given { out, values } => self.write(*out, 0..values.len(), |_, out| {
                out.copy_from_slice(values);
                Ok(())
            })?,
            Op::GatherRows { x, index, out, width } => {
                self.write(*out, 0..index.len() * width, |cpu, out| {
                    ops::gather_rows(cpu.get(*x)?, index, *width, out)
                })?
            }
            Op::LogitDiff { x, w, index, out, pairs, k } => {
                self.write(*out, 0..pairs.len(), |cpu, out| {
                    let (x, b_u) = (cpu.get(*x)?, cpu.plain(Weight::UnembedBias)?);
                    let w_u = cpu.matrix(*w)?;
                    let row = |token, row: &mut [f32]| w_u.row(token, row);
                    ops::logit_diff(x, index, (row, b_u), pairs, *k, out)
                })?
            }
            Op::LogSumExp { tile, out, targets, first, n, reset } => {
                self.write(*out, 0..3 * targets.len(), |cpu, out| {
                    if *reset {
                        out.as_chunks_mut().0.fill([f32::NEG_INFINITY, 0.0, 0.0]);
                    }
                    ops::log_sum_exp(cpu.get(*tile)?, targets, *first, *n, out);
                    Ok(())
                })?;
            }
            Op::Keep { buf, start, len, at } => {
                self.output[*at..at + len].copy_from_slice(&self.cpu.get(*buf)?[*start..start + len]);
            }
            // The products, above.
            _ => {}
        }
        self.pacer.advance(work).await
    }

    /// Lets `f` write a part of a buffer while it reads others.
    fn write(
        &mut self,
        buf: Buf,
        range: Range<usize>,
        f: impl FnOnce(&Cpu, &mut [f32]) -> Result<()>,
    ) -> Result<()> {
        let mut out = self.cpu.buffers.remove(&buf).ok_or_else(|| missing(buf))?;
        let len = out.len();
        let written = match out.get_mut(range.clone()) {
            Some(part) => f(self.cpu, part),
            None => Err(Error::internal(format!("cpu engine: {range:?} is outside {buf:?} of {len}"))),
        };
        self.cpu.buffers.insert(buf, out);
        written
    }

    fn write_all(&mut self, buf: Buf, f: impl FnOnce(&Cpu, &mut [f32]) -> Result<()>) -> Result<()> {
        let len = self.cpu.get(buf)?.len();
        self.write(buf, 0..len, f)
    }
}

fn missing(buf: Buf) -> Error {
    Error::internal(format!("cpu engine: buffer {buf:?} is read before it is written"))
}
