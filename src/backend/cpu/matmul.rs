//! Stand-in until the kernels come.
use crate::error::Result;
use candle_core::{Device, Tensor};
use std::ops::Range;
use std::sync::Arc;

pub struct Matrix { w: Tensor, }

impl Matrix {
    pub fn new(data: &[f32], k: usize, n: usize) -> Result<Self> { Ok(Self { w: Tensor::from_slice(data, (k, n), &Device::Cpu)? }) }
    pub fn of_rows(data: Arc<Vec<f32>>, n: usize, k: usize) -> Result<Self> {
        Ok(Self { w: Tensor::from_slice(&data, (n, k), &Device::Cpu)?.t()? })
    }
}

pub fn product(x: &[f32], rows: usize, w: &Matrix, ks: Range<usize>, cols: Range<usize>, out: &mut [f32], finish: &(impl Fn(usize, usize, &mut [f32]) + Sync)) -> Result<()> {
    let w = w.w.narrow(0, ks.start, ks.len())?.narrow(1, cols.start, cols.len())?;
    let y = Tensor::from_slice(&x[..rows * ks.len()], (rows, ks.len()), &Device::Cpu)?.matmul(&w)?;
    let y = y.flatten_all()?.to_vec1::<f32>()?;
    out.copy_from_slice(&y);
    for (i, row) in out.chunks_exact_mut(cols.len()).enumerate() { finish(i, 0, row); }
    Ok(())
}
