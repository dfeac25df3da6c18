//! Weights as their files have them, read a few rows at a time, and where processed ones go.

use super::{PIECE_BYTES, Storage, Weight, Weights};
use crate::config::Config;
use crate::error::{Error, Result};
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;

/// The values of one read, when they are there.
pub type Rows<'a> = Pin<Box<dyn Future<Output = Result<Vec<f32>>> + 'a>>;

/// A model's weights before any processing.
pub trait Raw {
    fn cfg(&self) -> &Config;

    /// Rows of weights that are stored side by side, `[rows, parts · n]`: one weight, or W_Q, W_K and W_V of a layer, or
    /// their biases. A vector is one row.
    ///
    /// # Errors
    /// `file.*` when they cannot be read; `model.not_finite` when a value is NaN or infinite, `model.all_zero` when a
    /// table of tokens is nothing but zeros, and nobody has agreed to that.
    fn rows(&self, parts: &[Weight], rows: Range<usize>) -> Rows<'_>;
}

/// A place for processed weights.
pub trait Sink {
    /// Makes room for `weights`, of the shapes that `cfg` gives them, to be kept as `storage` says of each; what was there
    /// before is dropped.
    ///
    /// # Errors
    /// When there is no room for them.
    fn begin(
        &mut self,
        cfg: &Config,
        weights: &[Weight],
        storage: Storage,
    ) -> impl Future<Output = Result<()>>;

    /// Takes elements `at..at + values.len()` of a weight. Every element of every weight is written once; pieces of
    /// one weight come in order.
    ///
    /// # Errors
    /// When they are outside the weight or cannot be taken.
    fn write(&mut self, weight: Weight, at: usize, values: &[f32]) -> impl Future<Output = Result<()>>;

    /// Takes weights that are in memory, to be kept as `storage`.
    ///
    /// # Errors
    /// Those of [`Sink::begin`] and [`Sink::write`].
    fn upload(&mut self, weights: &Weights, storage: Storage) -> impl Future<Output = Result<()>> {
        async move {
            let names: Vec<Weight> = weights.iter().map(|(weight, _)| weight).collect();
            self.begin(&weights.cfg, &names, storage).await?;
            for (weight, data) in weights.iter() {
                self.write(weight, 0, data).await?;
            }
            Ok(())
        }
    }
}

/// `[rows, n]` of a weight: a vector is one row.
pub fn as_rows(weight: Weight, cfg: &Config) -> [usize; 2] {
    match weight.shape(cfg)[..] {
        [rows, n] => [rows, n],
        ref vector => [1, vector.iter().product()],
    }
}

/// Ranges of rows of weights side by side, of at most [`PIECE_BYTES`] as `f32` where a row is not longer.
pub fn pieces(parts: &[Weight], cfg: &Config) -> impl Iterator<Item = Range<usize>> + use<> {
    let [rows, n] = parts.first().map_or([0, 1], |weight| as_rows(*weight, cfg));
    let at_once = (PIECE_BYTES as usize / (4 * n * parts.len().max(1))).max(1);
    (0..rows).step_by(at_once).map(move |start| start..rows.min(start + at_once))
}

/// Weights of a model in memory are as good as those in its files.
impl Raw for Weights {
    fn cfg(&self) -> &Config {
        &self.cfg
    }

    fn rows(&self, parts: &[Weight], rows: Range<usize>) -> Rows<'_> {
        let read = || {
            let parts = parts.iter().map(|weight| {
                let [_, n] = as_rows(*weight, &self.cfg);
                self.get(*weight).map(|data| (data.as_slice(), n))
            });
            let parts = parts.collect::<Result<Vec<_>>>()?;
            let mut side_by_side = Vec::new();
            for row in rows {
                for (data, n) in &parts {
                    let row = data.get(row * n..(row + 1) * n);
                    side_by_side
                        .extend_from_slice(row.ok_or_else(|| Error::internal("rows outside a weight"))?);
                }
            }
            Ok(side_by_side)
        };
        Box::pin(std::future::ready(read()))
    }
}

impl Sink for Weights {
    /// In memory they are f32 whatever is asked for.
    async fn begin(&mut self, cfg: &Config, weights: &[Weight], _storage: Storage) -> Result<()> {
        *self = Self::new(cfg.clone());
        for weight in weights {
            self.set(*weight, vec![0.0; weight.shape(cfg).iter().product()])?;
        }
        Ok(())
    }

    async fn write(&mut self, weight: Weight, at: usize, values: &[f32]) -> Result<()> {
        let place = self.tensors.get_mut(&weight).and_then(std::sync::Arc::get_mut);
        let place = place.and_then(|data| data.get_mut(at..at + values.len()));
        place.ok_or_else(|| Error::internal(format!("no room for {weight}")))?.copy_from_slice(values);
        Ok(())
    }
}
