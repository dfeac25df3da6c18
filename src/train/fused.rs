//! Steps of the forward pass with a gradient of their own.
//!
//! candle can differentiate each of them out of smaller steps, but then writes and reads up to ten arrays of the
//! size of the activations; fused they read their input once. All but GELU work on rows.
//!
//! Longer than most files: six steps, each with its way forward and back, and one test of all gradients.

mod vector;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Storage, Tensor, bail};
use vector::{dot, exp, log_sum_exp, max, mean_and_scale, sum, tanh};

/// `0.5 x (1 + tanh(sqrt(2/π) (x + 0.044715 x³)))`, elementwise.
pub fn gelu_new(x: &Tensor) -> Result<Tensor> {
    x.apply_op1(GeluNew)
}

/// Softmax over the last axis; a score of −∞ gets probability 0.
pub fn softmax(scores: &Tensor) -> Result<Tensor> {
    scores.apply_op1(Softmax)
}

/// `(x − mean x) / sqrt(mean((x − mean x)²) + eps)` over the last axis.
pub fn layer_norm(x: &Tensor, eps: f32) -> Result<Tensor> {
    x.apply_op1(LayerNorm { eps })
}

/// `x + b`, the vector `b` (`[width]`) added to every row of `x` (`[rows, width]`).
pub fn add_bias(x: &Tensor, b: &Tensor) -> Result<Tensor> {
    x.apply_op2(b, AddBias)
}

/// `x · w`, every row of `x` (`[rows, width]`) multiplied by the vector `w` (`[width]`), elementwise.
pub fn scale_columns(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    x.apply_op2(w, ScaleColumns)
}

/// Cross-entropy of every row of `logits` (`[rows, d_vocab]`) with its right token, in nats: `[rows]`.
pub fn cross_entropy(logits: &Tensor, targets: Vec<u32>) -> Result<Tensor> {
    logits.apply_op1(CrossEntropy { targets })
}

struct GeluNew;
struct Softmax;
struct LayerNorm {
    eps: f32,
}
struct CrossEntropy {
    targets: Vec<u32>,
}
struct AddBias;
struct ScaleColumns;

const SQRT_2_OVER_PI: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;

impl CustomOp1 for GeluNew {
    fn name(&self) -> &'static str {
        "gelu_new"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = contiguous(storage, layout)?;
        let y = x.iter().map(|&x| 0.5 * x * (1.0 + tanh(SQRT_2_OVER_PI * (x + CUBIC * x * x * x)))).collect();
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let of_x = map2(x, grad, |x, grad, out| {
            for ((&x, &grad), out) in x.iter().zip(grad).zip(out) {
                let t = tanh(SQRT_2_OVER_PI * (x + CUBIC * x * x * x));
                let inner = SQRT_2_OVER_PI * (1.0 + 3.0 * CUBIC * x * x);
                *out = grad * (0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner);
            }
        })?;
        Ok(Some(of_x))
    }
}

impl CustomOp1 for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let scores = contiguous(storage, layout)?;
        let width = last(layout.shape())?;
        let mut out = vec![0.0_f32; scores.len()];
        for (row, out) in scores.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            let max = max(row);
            for (x, out) in row.iter().zip(&mut *out) {
                // -inf becomes exp(-87), which is not yet 0.
                *out = if *x == f32::NEG_INFINITY { 0.0 } else { exp(x - max) };
            }
            let scale = 1.0 / sum(out);
            out.iter_mut().for_each(|p| *p *= scale);
        }
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, _x: &Tensor, pattern: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let width = last(pattern.shape())?;
        let of_scores = map2(pattern, grad, |pattern, grad, out| {
            let rows = pattern.chunks_exact(width).zip(grad.chunks_exact(width));
            for ((p, g), out) in rows.zip(out.chunks_exact_mut(width)) {
                let mean = dot(p, g);
                for ((p, g), out) in p.iter().zip(g).zip(out) {
                    *out = p * (g - mean);
                }
            }
        })?;
        Ok(Some(of_scores))
    }
}

impl CustomOp1 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = contiguous(storage, layout)?;
        let width = last(layout.shape())?;
        let mut out = vec![0.0_f32; x.len()];
        for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            let (mean, scale) = mean_and_scale(x, self.eps);
            for (x, out) in x.iter().zip(out) {
                *out = (x - mean) / scale;
            }
        }
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let width = last(x.shape())?;
        let x = x.contiguous()?;
        let of_x = values(&x, |x| {
            map2(y, grad, |y, grad, out| {
                let rows = y.chunks_exact(width).zip(grad.chunks_exact(width)).zip(x.chunks_exact(width));
                for (((y, g), x), out) in rows.zip(out.chunks_exact_mut(width)) {
                    let (_, scale) = mean_and_scale(x, self.eps);
                    let mean = sum(g) / width as f32;
                    let along = dot(g, y) / width as f32;
                    for ((y, g), out) in y.iter().zip(g).zip(out) {
                        *out = (g - mean - y * along) / scale;
                    }
                }
            })
        })?;
        Ok(Some(of_x))
    }
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let logits = contiguous(storage, layout)?;
        let width = last(layout.shape())?;
        let rows = logits.chunks_exact(width).zip(&self.targets);
        let losses: Vec<f32> = rows.map(|(row, target)| log_sum_exp(row) - row[*target as usize]).collect();
        let shape = Shape::from(losses.len());
        Ok((CpuStorage::F32(losses), shape))
    }

    fn bwd(&self, logits: &Tensor, _losses: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let width = last(logits.shape())?;
        let grad = grad.to_vec1::<f32>()?;
        let mut out = vec![0.0_f32; logits.elem_count()];
        values(logits, |logits| {
            let rows = logits.chunks_exact(width).zip(out.chunks_exact_mut(width));
            for (((row, out), target), grad) in rows.zip(&self.targets).zip(grad) {
                // Rows that do not count have no gradient, and there are many.
                if grad != 0.0 {
                    let log_sum = log_sum_exp(row);
                    for (x, out) in row.iter().zip(&mut *out) {
                        *out = grad * exp(x - log_sum);
                    }
                    out[*target as usize] -= grad;
                }
            }
            Ok(())
        })?;
        Tensor::from_vec(out, logits.shape(), logits.device()).map(Some)
    }
}

impl CustomOp2 for AddBias {
    fn name(&self) -> &'static str {
        "add_bias"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        b: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, b) = (contiguous(x, xl)?, contiguous(b, bl)?);
        let mut out = x.to_vec();
        for row in out.chunks_exact_mut(b.len()) {
            for (x, b) in row.iter_mut().zip(b) {
                *x += b;
            }
        }
        Ok((CpuStorage::F32(out), xl.shape().clone()))
    }

    fn bwd(
        &self,
        _x: &Tensor,
        b: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let by_column =
            values(&grad, |grad| Ok(column_sums(grad.chunks_exact(b.elem_count()), b.elem_count())))?;
        Ok((Some(grad), Some(Tensor::from_vec(by_column, b.shape(), b.device())?)))
    }
}

impl CustomOp2 for ScaleColumns {
    fn name(&self) -> &'static str {
        "scale_columns"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, w) = (contiguous(x, xl)?, contiguous(w, wl)?);
        let mut out = x.to_vec();
        for row in out.chunks_exact_mut(w.len()) {
            for (x, w) in row.iter_mut().zip(w) {
                *x *= w;
            }
        }
        Ok((CpuStorage::F32(out), xl.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let width = w.elem_count();
        let of_w = map2(x, grad, |x, grad, out| {
            for ((x, grad), out) in x.iter().zip(grad).zip(out) {
                *out = x * grad;
            }
        })?;
        let of_w = values(&of_w, |products| Ok(column_sums(products.chunks_exact(width), width)))?;
        let of_x = scale_columns(&grad.contiguous()?.detach(), &w.detach())?;
        Ok((Some(of_x), Some(Tensor::from_vec(of_w, w.shape(), w.device())?)))
    }
}

fn column_sums<'a>(rows: impl Iterator<Item = &'a [f32]>, width: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f32; width];
    for row in rows {
        for (sum, x) in sums.iter_mut().zip(row) {
            *sum += x;
        }
    }
    sums
}

fn last(shape: &Shape) -> Result<usize> {
    match shape.dims().last() {
        Some(&width) if width > 0 => Ok(width),
        _ => bail!("a row has no elements: shape {shape:?}"),
    }
}

fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("a fused step needs a contiguous input"),
    }
}

/// Calls `f` with the plain values of a contiguous tensor.
fn values<T>(x: &Tensor, f: impl FnOnce(&[f32]) -> Result<T>) -> Result<T> {
    let (storage, layout) = x.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => f(contiguous(storage, layout)?),
        _ => bail!("training runs on the CPU"),
    }
}

/// `out = f(a, b)` on the plain values of two tensors of one shape; no gradient is recorded.
fn map2(a: &Tensor, b: &Tensor, f: impl FnOnce(&[f32], &[f32], &mut [f32])) -> Result<Tensor> {
    let (a, b) = (a.contiguous()?, b.contiguous()?);
    let mut out = vec![0.0_f32; a.elem_count()];
    values(&a, |a| {
        values(&b, |b| {
            f(a, b, &mut out);
            Ok(())
        })
    })?;
    Tensor::from_vec(out, a.shape(), a.device())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::rng::Rng;
    use candle_core::{Device, Var};

    /// The gradient that a step reports against the change of its value under a small change of the input.
    fn check(shape: &[usize], step: impl Fn(&Tensor) -> Tensor) {
        let mut rng = Rng::new(7);
        let n: usize = shape.iter().product();
        let x: Vec<f32> = (0..n).map(|_| rng.normal()).collect();
        let direction: Vec<f32> = (0..n).map(|_| rng.normal()).collect();
        let weigh = |y: &Tensor| {
            let mut rng = Rng::new(8);
            let w: Vec<f32> = (0..y.elem_count()).map(|_| rng.normal()).collect();
            let w = Tensor::from_vec(w, y.shape(), &Device::Cpu).unwrap();
            (y * w).unwrap().sum_all().unwrap()
        };
        let at = |t: f32| {
            let x: Vec<f32> = x.iter().zip(&direction).map(|(x, d)| x + t * d).collect();
            Var::from_vec(x, shape, &Device::Cpu).unwrap()
        };
        let x0 = at(0.0);
        let grads = weigh(&step(&x0)).backward().unwrap();
        let grad = grads.get(&x0).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let slope: f32 = grad.iter().zip(&direction).map(|(g, d)| g * d).sum();
        let h = 1e-2;
        let value = |t| weigh(&step(&at(t))).to_scalar::<f32>().unwrap();
        let expected = (value(h) - value(-h)) / (2.0 * h);
        assert!(
            (slope - expected).abs() < 2e-3 * (1.0 + expected.abs()),
            "slope {slope}, expected {expected}"
        );
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        for width in [1, 15, 16, 37] {
            check(&[3, width], |x| gelu_new(x).unwrap());
            check(&[3, width], |x| softmax(x).unwrap());
            check(&[3, width], |x| cross_entropy(x, vec![0, width as u32 / 2, width as u32 - 1]).unwrap());
        }
        for width in [15, 16, 37] {
            let mut rng = Rng::new(9);
            let mut constant = |shape: &[usize]| {
                let values = (0..shape.iter().product()).map(|_| rng.normal()).collect();
                Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
            };
            let (rows, vector) = (constant(&[3, width]), constant(&[width]));
            check(&[3, width], |x| add_bias(x, &vector).unwrap());
            check(&[width], |b| add_bias(&rows, b).unwrap());
            check(&[3, width], |x| scale_columns(x, &vector).unwrap());
            check(&[width], |w| scale_columns(&rows, w).unwrap());
            check(&[3, width], |x| layer_norm(x, 1e-5).unwrap());
        }
    }

    #[test]
    fn softmax_gives_masked_scores_exactly_zero() {
        let x = Tensor::new(&[[0.5_f32, f32::NEG_INFINITY, 0.5]], &Device::Cpu).unwrap();
        assert_eq!(softmax(&x).unwrap().to_vec2::<f32>().unwrap(), [[0.5, 0.0, 0.5]]);
    }
}
