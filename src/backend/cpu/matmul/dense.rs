//! Products by candle, natively: its kernels are chosen for the processor at run time.

use crate::error::{Error, Result};
use candle_core::{CpuStorage, Device, Storage, Tensor};
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
    Growing(Vec<f32>),
    Whole(Tensor),
}

impl Matrix {
    /// Room for a matrix that is written row by row of `[k, n]`.
    ///
    /// # Errors
    /// `run.memory`
    pub fn empty(k: usize, n: usize) -> Result<Self> {
        Ok(Self { k, n, transposed: false, data: Data::Growing(super::room(k * n)?) })
    }

    /// Room for a matrix that is written row by row of its transposed, `[n, k]`.
    ///
    /// # Errors
    /// `run.memory`
    pub fn empty_rows(n: usize, k: usize) -> Result<Self> {
        Ok(Self { k, n, transposed: true, data: Data::Growing(super::room(k * n)?) })
    }

    /// Takes the elements from `at` on, which come in order.
    ///
    /// # Errors
    /// `internal` when they do not fit.
    pub fn write(&mut self, at: usize, values: &[f32]) -> Result<()> {
        let Data::Growing(data) = &mut self.data else { return Err(super::no_room([self.k, self.n])) };
        if at != data.len() || at + values.len() > self.k * self.n {
            return Err(super::no_room([self.k, self.n]));
        }
        data.extend_from_slice(values);
        if data.len() == self.k * self.n {
            let data = std::mem::take(data);
            let tensor = match self.transposed {
                true => Tensor::from_vec(data, (self.n, self.k), &Device::Cpu)?.t()?,
                false => Tensor::from_vec(data, (self.k, self.n), &Device::Cpu)?,
            };
            self.data = Data::Whole(tensor);
        }
        Ok(())
    }

    /// Lends the data, `[n, k]` where it was written so.
    ///
    /// # Errors
    /// `internal` before all of it is there.
    pub fn lend<R>(&self, f: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
        let (storage, _) = self.tensor()?.storage_and_layout();
        match &*storage {
            Storage::Cpu(CpuStorage::F32(data)) => f(data),
            _ => Err(Error::internal("a matrix that is not f32")),
        }
    }

    /// `[k, n]`.
    pub fn shape(&self) -> [usize; 2] {
        [self.k, self.n]
    }

    fn tensor(&self) -> Result<&Tensor> {
        match &self.data {
            Data::Whole(tensor) => Ok(tensor),
            Data::Growing(_) => Err(Error::internal("a matrix that is not whole")),
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
        let w = self.tensor()?.narrow(0, ks.start, ks.len())?.narrow(1, cols.start, cols.len())?;
        let y = Tensor::from_slice(x, (rows, ks.len()), &Device::Cpu)?.matmul(&w)?;
        let (storage, layout) = y.storage_and_layout();
        let y = match (&*storage, layout.contiguous_offsets()) {
            (Storage::Cpu(CpuStorage::F32(y)), Some((start, end))) => &y[start..end],
            _ => return Err(Error::internal("matrix product: the result is not contiguous f32")),
        };
        let lines = out.par_chunks_exact_mut(cols.len()).zip(y.par_chunks_exact(cols.len()));
        lines.enumerate().for_each(|(row, (out, y))| {
            out.copy_from_slice(y);
            finish(row, 0, out);
        });
        Ok(())
    }
}
