//! Ops that are matrix products: their operands, what follows on each piece of the result, and pieces small enough that a
//! cancel is heard in time.

use super::{Pass, matmul, ops};
use crate::error::{Error, Result};
use crate::program::{Buf, Op, Pick, Rows, Then};
use crate::weights::Weight;
use std::ops::Range;

impl Pass<'_> {
    /// Ops that are matrix products, in pieces small enough that a cancel is heard in time.
    pub(super) async fn multiply(&mut self, op: &Op) -> Result<()> {
        match op {
            Op::Linear { x, w, b, out, then, rows, k, n } => {
                let mut x = x.clone();
                if let Pick::Rows(index) = &x.pick {
                    let mut picked = vec![0.0; rows * k];
                    ops::gather_rows(self.cpu.get(x.buf)?, index, *k, &mut picked)?;
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
            Op::Unembed { x, w, out, rows, k, first, n } => {
                let (b, size) = (Some(Weight::UnembedBias), [*rows, *k, *n]);
                self.product(&Rows::all(*x), *w, b, *out, &Then::Store, size, *first..first + n).await
            }
            Op::HeadLinear { x, w, b, out, rows, heads, k, n } => {
                let mut y = vec![0.0; rows * n];
                for head in 0..*heads {
                    let x = columns(self.cpu.get(*x)?, *rows, heads * k, head * k..(head + 1) * k);
                    let bias = &self.cpu.plain(*b)?[head * n..(head + 1) * n];
                    let cols = head * n..(head + 1) * n;
                    let finish = |_: usize, col: usize, y: &mut [f32]| {
                        microtome_loops::add(y, &bias[col..]);
                    };
                    matmul::product(&x, *rows, self.cpu.matrix(*w)?, 0..*k, cols.clone(), &mut y, &finish)?;
                    self.write_columns(*out, heads * n, cols, &y)?;
                    self.pacer.advance(2 * (rows * k) as u64 * *n as u64).await?;
                }
                Ok(())
            }
            Op::HeadTransposed { x, w, out, rows, heads, k, n } => {
                let mut y = vec![0.0; rows * k];
                for head in 0..*heads {
                    let cols = head * n..(head + 1) * n;
                    let x = columns(self.cpu.get(*x)?, *rows, heads * n, cols.clone());
                    matmul::product_transposed(&x, *rows, self.cpu.matrix(*w)?, cols, &mut y)?;
                    self.write_columns(*out, heads * k, head * k..(head + 1) * k, &y)?;
                    self.pacer.advance(2 * (rows * k) as u64 * *n as u64).await?;
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
                    self.pacer.advance(2 * (rows * k) as u64 * *n as u64).await?;
                }
                Ok(())
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
                        microtome_loops::add(y, &bias[col..]);
                    }
                    match (then, residual) {
                        (Then::Activate(act), _) => ops::activation(y, *act),
                        (_, Some((residual, pick))) => {
                            let residual = &residual[pick.row(first + row) * n + col..];
                            microtome_loops::add(y, residual);
                        }
                        _ => {}
                    }
                };
                matmul::product(x, here, cpu.matrix(w)?, 0..k, cols.clone(), out, &finish)
            })?;
            self.pacer.advance(2 * (here * k) as u64 * n as u64).await?;
        }
        Ok(())
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
