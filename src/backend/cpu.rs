//! The CPU engine: interprets a program, native and in wasm (SIMD, threads where the page may have them). It is the
//! reference that the GPU engine is compared with.
//!
//! Activations lie in one vector per buffer, made once and used again by the next run. Matrix products are in [`matmul`];
//! everything else is in [`ops`], one function per WGSL kernel.

mod exp;
pub mod matmul;
pub mod ops;

use super::{Backend, Control, Output, Pacer};
use crate::error::{Error, Result};
use crate::model::Limits;
use crate::program::{Buf, Op, Pick, Program, Rows, Then};
use crate::weights::{Part, Weight, Weights};
use matmul::Matrix;
use ops::Heads;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// A weight in the form that its op reads.
enum Table {
    /// As it came.
    Plain(Arc<Vec<f32>>),
    /// Laid out for products.
    Matrix(Matrix),
}

/// The CPU engine with the weights that it holds.
#[derive(Default)]
pub struct Cpu {
    weights: HashMap<Weight, Table>,
    /// `W_U` as a matrix; its rows are read one by one too.
    unembed: Option<Matrix>,
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
        match (weight, &self.unembed, self.weights.get(&weight)) {
            (Weight::Unembed, Some(matrix), _) | (_, _, Some(Table::Matrix(matrix))) => Ok(matrix),
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

impl Backend for Cpu {
    fn limits(&self) -> Limits {
        // A tile of logits of 16 MB is still in the cache when its exponentials are added up.
        Limits { buffer_elements: 64 << 20, tile_elements: 4 << 20, unembed_rows: usize::MAX }
    }

    fn adapter(&self) -> Option<String> {
        None
    }

    async fn upload(&mut self, weights: &Weights) -> Result<()> {
        self.weights.clear();
        self.unembed = None;
        for (name, data) in weights.iter() {
            let table = match name {
                Weight::Block(_, Part::WQ | Part::WK | Part::WV | Part::WO | Part::WIn | Part::WOut) => {
                    let shape = name.shape(&weights.cfg);
                    Table::Matrix(Matrix::new(data, shape[0], shape[1])?)
                }
                _ => Table::Plain(Arc::clone(data)),
            };
            self.weights.insert(name, table);
        }
        let cfg = &weights.cfg;
        let w_u = Arc::clone(weights.get(Weight::Unembed)?);
        self.unembed = Some(Matrix::of_rows(w_u, cfg.d_vocab, cfg.d_model)?);
        Ok(())
    }

    async fn run(&mut self, program: &Program, control: &dyn Control) -> Result<Output> {
        // What an op reads it has written before in this run, so old contents do no harm.
        self.buffers.retain(|buf, _| program.buffers.iter().any(|(other, _)| other == buf));
        for (buf, len) in &program.buffers {
            self.buffers.entry(*buf).or_default().resize(*len, 0.0);
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
        | Op::HeadResult { .. }
        | Op::ZDelta { .. } = op
        {
            return self.multiply(op).await;
        }
        let width = self.program.d_model;
        let work = op.work(width).flops;
        let eps = self.program.eps;
        let heads = |heads: &usize, d_head: &usize| Heads { heads: *heads, d_head: *d_head, width };
        match op {
            Op::Embed { tokens, pos, out } => self.write(*out, 0..tokens.len() * width, |cpu, out| {
                ops::embed(cpu.plain(Weight::Embed)?, tokens, width, out)?;
                let Some(pos) = pos else { return Ok(()) };
                let mut added = vec![0.0; out.len()];
                ops::embed(cpu.plain(Weight::PosEmbed)?, pos, width, &mut added)?;
                out.iter_mut().zip(&added).for_each(|(out, added)| *out += added);
                Ok(())
            })?,
            Op::PosEmbed { pos, out } => self.write(*out, 0..pos.len() * width, |cpu, out| {
                ops::embed(cpu.plain(Weight::PosEmbed)?, pos, width, out)
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
            Op::AttnScores { attn, out, heads: n, d_head, scale } => self.write_all(*out, |cpu, out| {
                ops::attn_scores([cpu.get(Buf::Q)?, cpu.get(Buf::K)?], attn, heads(n, d_head), *scale, out);
                Ok(())
            })?,
            Op::Pattern { attn, scores, out, heads } => self.write_all(*out, |cpu, out| {
                ops::pattern(cpu.get(*scores)?, attn, *heads, out);
                Ok(())
            })?,
            Op::Z { attn, pattern, out, first, heads: n, d_head, causal } => {
                let len = attn.rows.len() * n * d_head;
                self.write(*out, *first..first + len, |cpu, out| {
                    ops::z([cpu.get(*pattern)?, cpu.get(Buf::V)?], attn, heads(n, d_head), *causal, out);
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
                    ops::embed(cpu.get(*x)?, index, *width, out)
                })?
            }
            Op::LogitDiff { x, index, out, pairs, k } => self.write(*out, 0..pairs.len(), |cpu, out| {
                let unembed = [cpu.plain(Weight::Unembed)?, cpu.plain(Weight::UnembedBias)?];
                ops::logit_diff(cpu.get(*x)?, index, unembed, pairs, *k, out);
                Ok(())
            })?,
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

    /// Ops that are matrix products, in pieces small enough that a cancel is heard in time.
    async fn multiply(&mut self, op: &Op) -> Result<()> {
        let d_model = self.program.d_model;
        match op {
            Op::Linear { x, w, b, out, then, rows, k, n } => {
                let mut x = x.clone();
                if let Pick::Rows(index) = &x.pick {
                    let mut picked = vec![0.0; rows * k];
                    ops::embed(self.cpu.get(x.buf)?, index, *k, &mut picked)?;
                    self.cpu.buffers.insert(Buf::Picked, picked);
                    x = Rows::all(Buf::Picked);
                }
                self.product(&x, *w, Some(*b), *out, then, [*rows, *k, *n], 0..*n).await
            }
            Op::Projections { x, parts, rows, k, n } => {
                for part in parts {
                    let size = [*rows, *k, *n];
                    self.product(&Rows::all(*x), part.w, Some(part.b), part.out, &Then::Store, size, 0..*n)
                        .await?;
                }
                Ok(())
            }
            Op::Unembed { x, out, rows, k, first, n } => {
                let (b, size) = (Some(Weight::UnembedBias), [*rows, *k, *n]);
                self.product(&Rows::all(*x), Weight::Unembed, b, *out, &Then::Store, size, *first..first + n)
                    .await
            }
            Op::HeadLinear { x, w, b, out, rows, heads, k, n } => {
                let mut y = vec![0.0; rows * n];
                for head in 0..*heads {
                    let x = columns(self.cpu.get(*x)?, *rows, heads * k, head * k..(head + 1) * k);
                    let bias = &self.cpu.plain(*b)?[head * n..(head + 1) * n];
                    let cols = head * n..(head + 1) * n;
                    let finish = |_: usize, col: usize, y: &mut [f32]| {
                        y.iter_mut().zip(&bias[col..]).for_each(|(y, b)| *y += b);
                    };
                    matmul::product(&x, *rows, self.cpu.matrix(*w)?, 0..*k, cols.clone(), &mut y, &finish)?;
                    self.write_columns(*out, heads * n, cols, &y)?;
                    self.pacer.advance(2 * (rows * k * n) as u64).await?;
                }
                Ok(())
            }
            Op::HeadResult { z, w, out, rows, heads, k, n } => {
                let mut y = vec![0.0; rows * n];
                for head in 0..*heads {
                    let ks = head * k..(head + 1) * k;
                    let x = columns(self.cpu.get(*z)?, *rows, heads * k, ks.clone());
                    matmul::product(&x, *rows, self.cpu.matrix(*w)?, ks, 0..*n, &mut y, &|_, _, _| {})?;
                    self.write_columns(*out, heads * n, head * n..(head + 1) * n, &y)?;
                    self.pacer.advance(2 * (rows * k * n) as u64).await?;
                }
                Ok(())
            }
            Op::ZDelta { w, rows, changes, out, first, d_head } => {
                let z = ops::z_changes(self.cpu.get(Buf::Z)?, changes, *d_head);
                let mut added = vec![0.0; changes.len() * d_model];
                for head in 0..self.program.n_heads {
                    let of_head = |i: &usize| changes[*i].head as usize == head;
                    let mine: Vec<usize> = (0..changes.len()).filter(of_head).collect();
                    let x: Vec<f32> =
                        mine.iter().flat_map(|i| &z[i * d_head..(i + 1) * d_head]).copied().collect();
                    let mut y = vec![0.0; mine.len() * d_model];
                    let ks = head * d_head..(head + 1) * d_head;
                    matmul::product(
                        &x,
                        mine.len(),
                        self.cpu.matrix(*w)?,
                        ks,
                        0..d_model,
                        &mut y,
                        &|_, _, _| {},
                    )?;
                    for (i, y) in mine.iter().zip(y.chunks_exact(d_model)) {
                        added[i * d_model..(i + 1) * d_model].copy_from_slice(y);
                    }
                    self.pacer.advance(2 * (mine.len() * d_head * d_model) as u64).await?;
                }
                self.write_all(*out, |_, out| {
                    ops::z_delta(&added, rows, d_model, *first, out);
                    Ok(())
                })
            }
            other => Err(Error::internal(format!("cpu engine: {other:?} is no matrix product"))),
        }
    }

    /// `out = x W[:, cols] + b[cols]`, then what `then` says.
    #[allow(clippy::too_many_arguments, reason = "a matrix product with its epilogue")]
    async fn product(
        &mut self,
        x: &Rows,
        w: Weight,
        b: Option<Weight>,
        out: Buf,
        then: &Then,
        [rows, k, n]: [usize; 3],
        cols: Range<usize>,
    ) -> Result<()> {
        const FLOPS_PER_PIECE: usize = 1_000_000_000;
        let piece = (FLOPS_PER_PIECE / (2 * k * n)).clamp(64, rows.max(64));
        let x_first = x.pick.row(0);
        for first in (0..rows).step_by(piece) {
            let here = piece.min(rows - first);
            self.write(out, first * n..(first + here) * n, |cpu, out| {
                let x = &cpu.get(x.buf)?[(x_first + first) * k..][..here * k];
                let bias = b.map(|b| Ok::<_, Error>(&cpu.plain(b)?[cols.clone()])).transpose()?;
                let residual = match then {
                    Then::Add(rows) => Some((cpu.get(rows.buf)?, &rows.pick)),
                    _ => None,
                };
                let finish = |row: usize, col: usize, y: &mut [f32]| {
                    if let Some(bias) = bias {
                        y.iter_mut().zip(&bias[col..]).for_each(|(y, b)| *y += b);
                    }
                    match (then, residual) {
                        (Then::Activate(act), _) => ops::activation(y, *act),
                        (_, Some((residual, pick))) => {
                            let residual = &residual[pick.row(first + row) * n + col..];
                            y.iter_mut().zip(residual).for_each(|(y, r)| *y += r);
                        }
                        _ => {}
                    }
                };
                matmul::product(x, here, cpu.matrix(w)?, 0..k, cols.clone(), out, &finish)
            })?;
            self.pacer.advance(2 * (here * k * n) as u64).await?;
        }
        Ok(())
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

    /// Writes columns `cols` of every row of a buffer that is `width` wide.
    fn write_columns(&mut self, buf: Buf, width: usize, cols: Range<usize>, y: &[f32]) -> Result<()> {
        self.write_all(buf, |_, out| {
            for (out, y) in out.chunks_exact_mut(width).zip(y.chunks_exact(cols.len())) {
                out[cols.clone()].copy_from_slice(y);
            }
            Ok(())
        })
    }
}

/// Columns of a matrix by themselves.
fn columns(x: &[f32], rows: usize, width: usize, cols: Range<usize>) -> Vec<f32> {
    x.chunks_exact(width).take(rows).flat_map(|row| &row[cols.clone()]).copied().collect()
}

fn missing(buf: Buf) -> Error {
    Error::internal(format!("cpu engine: buffer {buf:?} is read before it is written"))
}
