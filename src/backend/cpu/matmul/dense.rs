//! Products by candle, natively: its kernels are chosen for the processor at run time.

use crate::error::{Error, Result};
use crate::weights::storage::Numbers;
use crate::weights::{Storage, Weight};
use candle_core::{CpuStorage, Device, Tensor};
use rayon::prelude::*;
use std::ops::Range;

/// A weight, `[k, n]`.
pub struct Matrix {
    k: usize,
    n: usize,
    /// Whether it is stored as `[n, k]`.
    transposed: bool,
    data: Data,
}

enum Data {
    Growing(Numbers),
    Whole(Tensor),
    /// Made wide for each product.
    Halves(Numbers),
}

impl Matrix {
    /// Room for a matrix that is written row by row of `[k, n]`.
    ///
    /// # Errors
    /// `run.memory`
    pub fn empty(k: usize, n: usize, storage: Storage) -> Result<Self> {
        Ok(Self { k, n, transposed: false, data: Data::Growing(Numbers::room(k * n, storage)?) })
    }

    /// Room for a matrix that is written row by row of its transposed, `[n, k]`.
    ///
    /// # Errors
    /// `run.memory`
    pub fn empty_rows(n: usize, k: usize, storage: Storage) -> Result<Self> {
        Ok(Self { transposed: true, ..Self::empty(k, n, storage)? })
    }

    /// Takes the elements of `weight` from `at` on, which come in order.
    ///
    /// # Errors
    /// `internal` when they do not fit; `model.f16_range`
    pub fn write(&mut self, weight: Weight, at: usize, values: &[f32]) -> Result<()> {
        let no_room = || super::no_room([self.k, self.n]);
        let Data::Growing(data) = &mut self.data else { return Err(no_room()) };
        if at != data.len() || at + values.len() > self.k * self.n {
            return Err(no_room());
        }
        data.push(weight, values)?;
        if data.len() < self.k * self.n {
            return Ok(());
        }
        self.data = match std::mem::take(data) {
            Numbers::F32(data) if self.transposed => {
                Data::Whole(Tensor::from_vec(data, (self.n, self.k), &Device::Cpu)?.t()?)
            }
            Numbers::F32(data) => Data::Whole(Tensor::from_vec(data, (self.k, self.n), &Device::Cpu)?),
            halves @ Numbers::F16(_) => Data::Halves(halves),
        };
        Ok(())
    }

    /// Copies a row of a matrix that was written as `[n, k]`.
    ///
    /// # Errors
    /// `internal` for a row that is not there, or before all of them are.
    pub fn row(&self, row: usize, out: &mut [f32]) -> Result<()> {
        let range = row * self.k..(row + 1) * self.k;
        let copied = match &self.data {
            Data::Halves(data) => data.copy(range, out),
            Data::Whole(tensor) => match &*tensor.storage_and_layout().0 {
                candle_core::Storage::Cpu(CpuStorage::F32(data)) => {
                    data.get(range).map(|row| out.copy_from_slice(row))
                }
                _ => None,
            },
            Data::Growing(_) => None,
        };
        copied.filter(|()| self.transposed).ok_or_else(|| super::no_row(row))
    }

    /// Bytes of its elements.
    pub fn bytes(&self) -> u64 {
        match &self.data {
            Data::Growing(data) | Data::Halves(data) => data.bytes(),
            Data::Whole(_) => 4 * (self.k * self.n) as u64,
        }
    }

    /// `[k, n]`.
    pub fn shape(&self) -> [usize; 2] {
        [self.k, self.n]
    }

    /// `W[ks, cols]`.
    fn part(&self, ks: Range<usize>, cols: Range<usize>) -> Result<Tensor> {
        match &self.data {
            Data::Whole(tensor) => {
                Ok(tensor.narrow(0, ks.start, ks.len())?.narrow(1, cols.start, cols.len())?)
            }
            Data::Growing(_) => Err(Error::internal("a matrix that is not whole")),
            Data::Halves(data) => {
                let (width, rows, columns) =
                    if self.transposed { (self.k, cols, ks) } else { (self.n, ks, cols) };
                let mut wide = vec![0.0; rows.len() * columns.len()];
                wide.par_chunks_exact_mut(columns.len().max(1)).zip(rows.clone()).for_each(|(wide, row)| {
                    // Within the matrix, as the caller has checked.
                    _ = data.copy(row * width + columns.start..row * width + columns.end, wide);
                });
                let tensor = Tensor::from_vec(wide, (rows.len(), columns.len()), &Device::Cpu)?;
                Ok(if self.transposed { tensor.t()? } else { tensor })
            }
        }
    }

    /// The work of [`super::product`], which has checked the sizes.
    pub fn multiply(
        &self,
        x: &[f32],
        rows: usize,
        ks: Range<usize>,
        cols: Range<usize>,
        out: &mut [f32],
        finish: &(impl Fn(usize, usize, &mut [f32]) + Sync),
    ) -> Result<()> {
        matmul(x, rows, &self.part(ks, cols.clone())?, |y| {
            let lines = out.par_chunks_exact_mut(cols.len()).zip(y.par_chunks_exact(cols.len()));
            lines.enumerate().for_each(|(row, (out, y))| {
                out.copy_from_slice(y);
                finish(row, 0, out);
            });
        })
    }

    /// The work of [`super::product_transposed`], which has checked the sizes.
    pub fn multiply_transposed(
        &self,
        x: &[f32],
        rows: usize,
        cols: Range<usize>,
        out: &mut [f32],
    ) -> Result<()> {
        matmul(x, rows, &self.part(0..self.k, cols)?.t()?, |y| out.copy_from_slice(y))
    }
}

/// `x W`, handed on where it lies.
fn matmul(x: &[f32], rows: usize, w: &Tensor, then: impl FnOnce(&[f32])) -> Result<()> {
    let y = Tensor::from_slice(x, (rows, w.dim(0)?), &Device::Cpu)?.matmul(w)?;
    let (storage, layout) = y.storage_and_layout();
    let y = match (&*storage, layout.contiguous_offsets()) {
        (candle_core::Storage::Cpu(CpuStorage::F32(y)), Some((start, end))) => &y[start..end],
        _ => return Err(Error::internal("matrix product: the result is not contiguous f32")),
    };
    then(y);
    Ok(())
}
