//! Products by candle, natively: its kernels are chosen for the processor at run time.

use crate::error::{Error, Result};
use candle_core::{CpuStorage, Device, Storage, Tensor};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// A weight, `[k, n]`.
pub struct Matrix(Tensor);

impl Matrix {
    /// From row-major data `[k, n]`.
    ///
    /// # Errors
    /// `internal` when the data are not of that size.
    pub fn new(data: &[f32], k: usize, n: usize) -> Result<Self> {
        super::check_size(data, [k, n])?;
        Ok(Self(Tensor::from_slice(data, (k, n), &Device::Cpu)?))
    }

    /// From the rows of the transposed matrix, `[n, k]`, which are copied: a tensor owns its data.
    ///
    /// # Errors
    /// `internal` when the data are not of that size.
    pub fn of_rows(data: Arc<Vec<f32>>, n: usize, k: usize) -> Result<Self> {
        super::check_size(&data, [n, k])?;
        Ok(Self(Tensor::from_slice(&data, (n, k), &Device::Cpu)?.t()?))
    }

    /// `[k, n]`.
    pub fn shape(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.0.dims().get(axis).copied().unwrap_or_default())
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
        let w = self.0.narrow(0, ks.start, ks.len())?.narrow(1, cols.start, cols.len())?;
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
