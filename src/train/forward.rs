//! The forward pass on tensors that record gradients: a third interpreter of the one [`Program`], beside the engines.
//!
//! It takes what training needs and refuses the rest: rows of one length, no edits, the loss as the result.

use super::fused;
use super::params::Params;
use crate::config::ActFn;
use crate::error::{Error, Result};
use crate::model::{self, Limits, Readout, Run};
use crate::program::{Buf, Op, Pick, Program, Rows, Then};
use crate::weights::Weight;
use candle_core::{D, Device, Tensor};
use std::collections::HashMap;
use std::sync::Arc;

/// The loss of every token of `rows` but the first of each, in nats: `[rows · (len − 1)]`, row by row.
///
/// # Errors
/// When the rows are not equally long, or longer than the model's context.
pub fn losses(params: &Params, rows: &[Vec<u32>]) -> Result<Tensor> {
    let len = rows.first().map_or(0, Vec::len);
    if let Some(other) = rows.iter().find(|row| row.len() != len) {
        return Err(Error::internal(format!(
            "rows of {len} and of {} tokens in one training batch",
            other.len()
        )));
    }
    let run = |row: &Vec<u32>| Run {
        tokens: row.clone(),
        readout: Readout { loss: true, ..Readout::default() },
        ..Run::default()
    };
    let runs: Vec<Run> = rows.iter().map(run).collect();
    // Without a limit the vocabulary is one tile, so that the log-sum-exp is one step.
    let limits = Limits { buffer_elements: usize::MAX, tile_elements: usize::MAX, unembed_rows: usize::MAX };
    let (program, _) = model::program(&params.cfg, false, &runs, &Arc::default(), &limits)?;
    // The last token is only ever a target.
    let mut pass = Pass { params, program: &program, len: len - 1, buffers: HashMap::new() };
    for op in &program.ops {
        pass.execute(op)?;
    }
    Ok(pass.get(Buf::LogSumExp)?.clone())
}

/// One program under way.
struct Pass<'a> {
    params: &'a Params,
    program: &'a Program,
    /// Positions of every run.
    len: usize,
    buffers: HashMap<Buf, Tensor>,
}

impl Pass<'_> {
    fn execute(&mut self, op: &Op) -> Result<()> {
        let params = self.params;
        let (out, value) = match op {
            Op::Embed { tokens, pos: Some(pos), out } => {
                let embed = rows_of(params.get(Weight::Embed)?, tokens)?;
                (out, (embed + rows_of(params.get(Weight::PosEmbed)?, pos)?)?)
            }
            Op::LayerNorm { x, affine, out, .. } if x.pick == Pick::From(0) => {
                let mut y = fused::layer_norm(self.get(x.buf)?, self.program.eps)?;
                if let Some((w, b)) = affine {
                    y = fused::scale_columns(&y, params.get(*w)?)?;
                    y = fused::add_bias(&y, params.get(*b)?)?;
                }
                (out, y)
            }
            Op::Linear { x, w, b, out, then, .. } if x.pick == Pick::From(0) => {
                let y = self.linear(x.buf, *w, *b)?;
                let y = match then {
                    Then::Store => y,
                    Then::Activate(ActFn::GeluNew) => fused::gelu_new(&y)?,
                    Then::Activate(ActFn::Gelu) => y.gelu_erf()?,
                    Then::Activate(ActFn::Relu) => y.relu()?,
                    Then::Add(Rows { buf, pick: Pick::From(0) }) => (self.get(*buf)? + y)?,
                    other => return Err(Error::internal(format!("training has no gradient for {other:?}"))),
                };
                (out, y)
            }
            Op::Projections { x, parts, .. } => {
                for part in parts {
                    let y = self.linear(*x, part.w, part.b)?;
                    self.buffers.insert(part.out, y);
                }
                return Ok(());
            }
            Op::Attention { out, heads, d_head, scale, first: 0, .. } => {
                let [q, k, v] = [Buf::Q, Buf::K, Buf::V].map(|buf| self.by_head(buf, *heads));
                let scores = (q?.matmul(&k?.t()?)? * f64::from(*scale))?;
                let pattern = fused::softmax(&scores.broadcast_add(&causal_mask(self.len)?)?)?;
                let z = pattern.matmul(&v?)?; // [batch, head, pos, d_head]
                (out, z.transpose(1, 2)?.contiguous()?.reshape(((), heads * d_head))?)
            }
            Op::GatherRows { x, index, out, .. } => (out, rows_of(self.get(*x)?, index)?),
            Op::Unembed { x, w, out, first, n, .. } => {
                let w_u = params.get(*w)?.narrow(0, *first, *n)?;
                (out, self.get(*x)?.matmul(&w_u.t()?)?)
            }
            Op::LogSumExp { tile, out, targets, n, reset: true, .. } if *n == self.program.d_vocab => {
                (out, fused::cross_entropy(self.get(*tile)?, targets.to_vec())?)
            }
            // The result is taken from its buffer.
            Op::Keep { .. } => return Ok(()),
            other => return Err(Error::internal(format!("training has no gradient for {other:?}"))),
        };
        self.buffers.insert(*out, value);
        Ok(())
    }

    fn linear(&self, x: Buf, w: Weight, b: Weight) -> Result<Tensor> {
        Ok(fused::add_bias(&self.get(x)?.matmul(self.params.get(w)?)?, self.params.get(b)?)?)
    }

    fn get(&self, buf: Buf) -> Result<&Tensor> {
        self.buffers
            .get(&buf)
            .ok_or_else(|| Error::internal(format!("buffer {buf:?} is read before it is written")))
    }

    /// `[rows, head · d_head] → [batch, head, pos, d_head]`
    fn by_head(&self, buf: Buf, heads: usize) -> Result<Tensor> {
        let x = self.get(buf)?;
        let d_head = x.dim(D::Minus1)? / heads;
        Ok(x.reshape(((), self.len, heads, d_head))?.transpose(1, 2)?.contiguous()?)
    }
}

fn rows_of(table: &Tensor, index: &[u32]) -> Result<Tensor> {
    Ok(table.index_select(&Tensor::new(index, &Device::Cpu)?, 0)?)
}

/// `[dest, src]`: 0 where a position may be attended to, −∞ after it.
fn causal_mask(len: usize) -> Result<Tensor> {
    let value = |i: usize| if i % len > i / len { f32::NEG_INFINITY } else { 0.0 };
    Ok(Tensor::from_vec((0..len * len).map(value).collect(), (len, len), &Device::Cpu)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::Cpu;
    use crate::backend::{Backend, Unattended};
    use crate::config::Config;
    use crate::processing::Processing;
    use crate::train::rng::Rng;
    use candle_core::Var;

    /// A small model with weights large enough for every part of it to matter.
    fn scrambled(act: &str) -> Params {
        let json = format!(
            r#"{{"n_layer":2,"n_head":2,"n_embd":12,"n_inner":20,"n_positions":16,"vocab_size":30,
                "activation_function":"{act}"}}"#
        );
        let params = Params::new(&Config::from_json(json.as_bytes()).unwrap(), &Rng::new(1)).unwrap();
        let mut rng = Rng::new(2);
        for var in vars(&params) {
            let values: Vec<f32> = (0..var.elem_count()).map(|_| 0.4 * rng.normal()).collect();
            var.set(&Tensor::from_vec(values, var.shape(), &Device::Cpu).unwrap()).unwrap();
        }
        params
    }

    fn vars(params: &Params) -> Vec<Var> {
        let (matrices, vectors) = params.matrices_and_vectors();
        matrices.into_iter().chain(vectors).collect()
    }

    fn rows() -> Vec<Vec<u32>> {
        let mut rng = Rng::new(3);
        (0..3).map(|_| (0..9).map(|_| rng.below(30) as u32).collect()).collect()
    }

    #[test]
    fn losses_are_those_of_the_cpu_engine() {
        for act in ["gelu_new", "gelu", "relu"] {
            let params = scrambled(act);
            let ours = losses(&params, &rows()).unwrap().to_vec1::<f32>().unwrap();

            let mut cpu = Cpu::new();
            let weights = params.weights().unwrap();
            pollster::block_on(Processing::NONE.apply(&weights, crate::weights::Storage::F32, &mut cpu))
                .unwrap();
            let readout = Readout { loss: true, ..Readout::default() };
            let runs: Vec<Run> = (rows().into_iter())
                .map(|tokens| Run { tokens, readout: readout.clone(), ..Run::default() })
                .collect();
            let (program, _) =
                model::program(&params.cfg, false, &runs, &Arc::default(), &cpu.limits()).unwrap();
            let output = pollster::block_on(cpu.run(&program, &Unattended::default())).unwrap().data;
            let theirs: Vec<f32> = output.chunks_exact(3).map(|row| row[0] + row[1].ln() - row[2]).collect();

            assert_eq!(ours.len(), theirs.len());
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert!((ours - theirs).abs() < 2e-5, "{act}: {ours}, engine {theirs}");
            }
        }
    }

    #[test]
    fn every_weight_has_the_gradient_of_finite_differences() {
        let params = scrambled("gelu_new");
        let loss = || losses(&params, &rows()).unwrap().mean_all().unwrap();
        let value = || f64::from(loss().to_scalar::<f32>().unwrap());
        let grads = loss().backward().unwrap();
        let mut rng = Rng::new(4);
        for var in vars(&params) {
            let grad = grads.get(&var).unwrap();
            let before = var.as_tensor().copy().unwrap();
            let direction: Vec<f32> = (0..var.elem_count()).map(|_| rng.normal()).collect();
            let direction = Tensor::from_vec(direction, var.shape(), &Device::Cpu).unwrap();
            let slope = (grad * &direction).unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
            let at = |t: f64| {
                var.set(&(&before + (&direction * t).unwrap()).unwrap()).unwrap();
                value()
            };
            let h = 3e-3;
            let expected = (at(h) - at(-h)) / (2.0 * h);
            at(0.0);
            let error = (f64::from(slope) - expected).abs();
            assert!(error < 2e-3 + 0.02 * expected.abs(), "{:?}: {slope}, {expected}", var.shape());
        }
    }

    #[test]
    fn rows_of_different_length_are_refused() {
        assert_eq!(losses(&scrambled("relu"), &[vec![1, 2], vec![1]]).unwrap_err().code, "internal");
    }
}
