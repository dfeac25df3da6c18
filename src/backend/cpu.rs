//! The CPU engine: interprets a program on candle-core, native and in wasm (SIMD). It is the reference that the GPU
//! engine is compared with.
//!
//! Matrix products are candle's; the ops that candle has no form for (ragged attention, edits, LayerNorm with its
//! scale visible) are the twins in [`ops`], one function per WGSL kernel.

pub mod ops;

use super::{Backend, Control, Output, Pacer};
use crate::error::{Error, Result};
use crate::model::Limits;
use crate::program::{Buf, Op, Program};
use crate::weights::{Weight, Weights};
use candle_core::{CpuStorage, Device, InplaceOp1, Layout, Storage, Tensor};
use std::collections::HashMap;

/// The CPU engine with the weights that it holds.
#[derive(Default)]
pub struct Cpu {
    weights: HashMap<Weight, Tensor>,
}

impl Cpu {
    pub fn new() -> Self {
        Self::default()
    }

    fn weight(&self, weight: Weight) -> Result<&Tensor> {
        self.weights
            .get(&weight)
            .ok_or_else(|| Error::internal(format!("cpu engine: weight {weight} was not uploaded")))
    }
}

impl Backend for Cpu {
    fn limits(&self) -> Limits {
        // 64 MB for the widest buffer keeps a batch's activations in the hundreds of megabytes.
        Limits { buffer_elements: 16 << 20, unembed_rows: usize::MAX }
    }

    fn adapter(&self) -> Option<String> {
        None
    }

    async fn upload(&mut self, weights: &Weights) -> Result<()> {
        self.weights.clear();
        let mut shared: HashMap<*const Vec<f32>, Tensor> = HashMap::new();
        for (name, data) in weights.iter() {
            let shape = name.shape(&weights.cfg);
            let tensor = match shared.get(&std::sync::Arc::as_ptr(data)) {
                Some(tensor) => tensor.clone(),
                None => Tensor::from_slice(data.as_slice(), shape.as_slice(), &Device::Cpu)?,
            };
            shared.insert(std::sync::Arc::as_ptr(data), tensor.clone());
            self.weights.insert(name, tensor);
        }
        Ok(())
    }

    async fn run(&mut self, program: &Program, control: &dyn Control) -> Result<Output> {
        let mut pass = Pass {
            cpu: self,
            program,
            buffers: HashMap::new(),
            output: vec![0.0; program.output_len],
            pacer: Pacer::new(control, program.work().flops),
        };
        for op in &program.ops {
            pass.execute(op).await?;
        }
        Ok(Output { data: pass.output, dispatches: program.ops.len() as u64, readbacks: 0 })
    }
}

/// One program under way.
struct Pass<'a> {
    cpu: &'a Cpu,
    program: &'a Program,
    buffers: HashMap<Buf, Tensor>,
    output: Vec<f32>,
    pacer: Pacer<'a>,
}

impl Pass<'_> {
    async fn execute(&mut self, op: &Op) -> Result<()> {
        let program = self.program;
        let d_model = program.d_model;
        match op {
            Op::Embed { out, rows } => {
                let table = self.cpu.weight(Weight::Embed)?;
                let values = with(table, |t| ops::embed(t, &program.tokens[..*rows], d_model))??;
                self.put(*out, values)
            }
            Op::PosEmbed { out, rows } => {
                let pos: Vec<u32> = program.rows[..*rows].iter().map(|row| row.pos).collect();
                let values = with(self.cpu.weight(Weight::PosEmbed)?, |t| ops::embed(t, &pos, d_model))??;
                self.put(*out, values)
            }
            Op::Add { a, b, out, len } => {
                let values = with2(self.get(*a)?, self.get(*b)?, |a, b| ops::add(&a[..*len], &b[..*len]))?;
                self.put(*out, values)
            }
            Op::LnScale { x, out, rows } => {
                let values =
                    with(self.get(*x)?, |x| ops::ln_scale(&x[..rows * d_model], d_model, program.eps))?;
                self.put(*out, values)
            }
            Op::LnNormalize { x, scale, affine, out, rows } => {
                let affine = match affine {
                    Some((w, b)) => {
                        Some((self.cpu.weight(*w)?.to_vec1::<f32>()?, self.cpu.weight(*b)?.to_vec1::<f32>()?))
                    }
                    None => None,
                };
                let affine = affine.as_ref().map(|(w, b)| (w.as_slice(), b.as_slice()));
                let values = with2(self.get(*x)?, self.get(*scale)?, |x, scale| {
                    ops::ln_normalize(&x[..rows * d_model], scale, affine, d_model)
                })?;
                self.put(*out, values)
            }
            Op::Linear { x, w, b, out, rows, k, n } => {
                let (w, b) = (self.cpu.weight(*w)?.clone(), self.cpu.weight(*b)?.clone());
                let y = self.matmul(*x, *rows, *k, &w, *n).await?;
                add_bias(&y, &b)?;
                self.buffers.insert(*out, y);
                Ok(())
            }
            Op::Unembed { x, out, rows, k, first, n } => {
                let w = self.cpu.weight(Weight::Unembed)?.narrow(0, *first, *n)?.t()?;
                let b = self.cpu.weight(Weight::UnembedBias)?.narrow(0, *first, *n)?;
                let y = self.matmul(*x, *rows, *k, &w, *n).await?;
                add_bias(&y, &b)?;
                self.buffers.insert(*out, y);
                Ok(())
            }
            Op::HeadLinear { x, w, b, out, rows, heads, k, n } => {
                // [head, rows, k] · [head, k, n] → [rows, head, n]
                let x = self.get(*x)?.reshape((*rows, *heads, *k))?.transpose(0, 1)?.contiguous()?;
                let w = self.cpu.weight(*w)?.reshape((*k, *heads, *n))?.transpose(0, 1)?.contiguous()?;
                let y = x.matmul(&w)?.transpose(0, 1)?.contiguous()?;
                add_bias(&y, self.cpu.weight(*b)?)?;
                self.buffers.insert(*out, y);
                self.pacer.advance(2 * (rows * heads * k * n) as u64).await
            }
            Op::HeadResult { z, w, out, rows, heads, k, n } => {
                let z = self.get(*z)?.reshape((*rows, *heads, *k))?.transpose(0, 1)?.contiguous()?;
                let w = self.cpu.weight(*w)?.reshape((*heads, *k, *n))?;
                let y = z.matmul(&w)?.transpose(0, 1)?.contiguous()?;
                self.buffers.insert(*out, y);
                self.pacer.advance(2 * (rows * heads * k * n) as u64).await
            }
            Op::SumHeads { x, b, out, rows, heads, width } => {
                let y = self.get(*x)?.reshape((*rows, *heads, *width))?.sum(1)?;
                add_bias(&y, self.cpu.weight(*b)?)?;
                self.buffers.insert(*out, y);
                Ok(())
            }
            Op::RepeatHeads { x, out, rows, heads, width } => {
                let values = with(self.get(*x)?, |x| ops::repeat_heads(&x[..rows * width], *heads, *width))?;
                self.put(*out, values)
            }
            Op::AttnScores { q, k, out, rows, heads, d_head, scale } => {
                let rows = &program.rows[..*rows];
                let values = with2(self.get(*q)?, self.get(*k)?, |q, k| {
                    ops::attn_scores(q, k, rows, *heads, *d_head, *scale)
                })?;
                self.put(*out, values)
            }
            Op::Pattern { scores, out, rows, heads } => {
                let rows = &program.rows[..*rows];
                let values = with(self.get(*scores)?, |scores| ops::pattern(scores, rows, *heads))?;
                self.put(*out, values)
            }
            Op::Z { pattern, v, out, rows, heads, d_head, causal } => {
                let rows = &program.rows[..*rows];
                let values = with2(self.get(*pattern)?, self.get(*v)?, |pattern, v| {
                    ops::z(pattern, v, rows, *heads, *d_head, *causal)
                })?;
                self.put(*out, values)
            }
            Op::Activation { x, out, act, len } => {
                let values = with(self.get(*x)?, |x| ops::activation(&x[..*len], *act))?;
                self.put(*out, values)
            }
            Op::Edit { buf, segments } => {
                let end = segments.iter().map(|s| (s.dst + s.len) as usize).max().unwrap_or(0);
                let tensor = self.get(*buf)?;
                let len = tensor.elem_count();
                if end > len {
                    // A fork: runs that start here are appended to the buffer.
                    let grown = with(tensor, |x| [x, &vec![0.0; end - len][..]].concat())?;
                    self.put(*buf, grown)?;
                }
                in_place(self.get(*buf)?, |x| ops::edit(x, segments))
            }
            Op::GatherRows { x, index, out, width } => {
                let values = with(self.get(*x)?, |x| ops::embed(x, index, *width))??;
                self.put(*out, values)
            }
            Op::LogitDiff { x, out, pairs, k } => {
                let (w, b) = (self.cpu.weight(Weight::Unembed)?, self.cpu.weight(Weight::UnembedBias)?);
                let bias =
                    |token: u32| -> Result<f32> { Ok(b.narrow(0, token as usize, 1)?.to_vec1::<f32>()?[0]) };
                let biases =
                    pairs.iter().map(|[c, i]| Ok(bias(*c)? - bias(*i)?)).collect::<Result<Vec<f32>>>()?;
                let values = with2(self.get(*x)?, w, |x, w| ops::logit_diff(x, w, &biases, pairs, *k))?;
                self.put(*out, values)
            }
            Op::LogSumExp { tile, out, targets, first, n, reset } => {
                let mut running = match (reset, self.buffers.remove(out)) {
                    (false, Some(tensor)) => tensor.flatten_all()?.to_vec1::<f32>()?,
                    _ => [f32::NEG_INFINITY, 0.0, 0.0].repeat(targets.len()),
                };
                with(self.get(*tile)?, |tile| ops::log_sum_exp(&mut running, tile, targets, *first, *n))?;
                self.put(*out, running)
            }
            Op::Keep { buf, start, len, at } => {
                let tensor = self.buffers.get(buf).ok_or_else(|| missing(*buf))?;
                let output = &mut self.output[*at..at + len];
                with(tensor, |x| output.copy_from_slice(&x[*start..start + len]))
            }
        }
    }

    fn get(&self, buf: Buf) -> Result<&Tensor> {
        self.buffers.get(&buf).ok_or_else(|| missing(buf))
    }

    fn put(&mut self, buf: Buf, values: Vec<f32>) -> Result<()> {
        let len = values.len();
        self.buffers.insert(buf, Tensor::from_vec(values, len, &Device::Cpu)?);
        Ok(())
    }

    /// `x W` in pieces of rows small enough that a cancel is heard in time.
    async fn matmul(&mut self, x: Buf, rows: usize, k: usize, w: &Tensor, n: usize) -> Result<Tensor> {
        const FLOPS_PER_PIECE: usize = 1_000_000_000;
        let x = self.get(x)?.flatten_all()?.narrow(0, 0, rows * k)?.reshape((rows, k))?;
        let piece = (FLOPS_PER_PIECE / (2 * k * n)).clamp(16, rows.max(16));
        let mut pieces = Vec::new();
        for first in (0..rows).step_by(piece) {
            let rows = piece.min(rows - first);
            pieces.push(x.narrow(0, first, rows)?.matmul(w)?);
            self.pacer.advance(2 * (rows * k * n) as u64).await?;
        }
        match pieces.as_slice() {
            [whole] => Ok(whole.clone()),
            _ => Ok(Tensor::cat(&pieces, 0)?),
        }
    }
}

fn missing(buf: Buf) -> Error {
    Error::internal(format!("cpu engine: buffer {buf:?} is read before it is written"))
}

/// Reads a contiguous tensor as a slice.
fn with<R>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(data)), Some((start, end))) => Ok(f(&data[start..end])),
        _ => Err(Error::internal("cpu engine: a buffer is not contiguous f32")),
    }
}

fn with2<R>(a: &Tensor, b: &Tensor, f: impl FnOnce(&[f32], &[f32]) -> R) -> Result<R> {
    with(a, |a| with(b, |b| f(a, b)))?
}

struct InPlace<F>(F);

impl<F: Fn(&mut [f32])> InplaceOp1 for InPlace<F> {
    fn name(&self) -> &'static str {
        "in_place"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        match (storage, layout.contiguous_offsets()) {
            (CpuStorage::F32(data), Some((start, end))) => {
                (self.0)(&mut data[start..end]);
                Ok(())
            }
            _ => candle_core::bail!("a buffer is not contiguous f32"),
        }
    }
}

fn in_place(tensor: &Tensor, f: impl Fn(&mut [f32])) -> Result<()> {
    Ok(tensor.inplace_op1(&InPlace(f))?)
}

/// Adds `b` to every row of `y`, which this engine has just made and nobody shares.
fn add_bias(y: &Tensor, b: &Tensor) -> Result<()> {
    with(b, |b| {
        in_place(y, |y| {
            for row in y.chunks_exact_mut(b.len()) {
                row.iter_mut().zip(b).for_each(|(y, b)| *y += b);
            }
        })
    })?
}
