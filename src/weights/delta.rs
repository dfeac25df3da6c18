//! A checkpoint of training, stored as its difference from the model that the training ended with.
//!
//! A family of checkpoints shares one folder. `model.safetensors` is the last of them, whole; `step-1300.safetensors` holds
//! step 1,300 in half the room:
//!
//! | stored | for | meaning |
//! |---|---|---|
//! | `NAME`, I8 `[rows, n]` with `NAME.scale`, F32 `[rows]` | a matrix | element = the model's + scale of its row · integer |
//! | `NAME`, F16 `[n]` | a vector | the value itself |
//!
//! under the names of `model.safetensors`. Rounding to integers is part of the checkpoint, as rounding to f16 is part of the
//! model: every engine and every reader gets the same weights.

use super::checkpoint::{Checkpoint, header};
use super::files::{Format, ModelFiles};
use super::header::{Dtype, Header, TensorInfo};
use super::names::table;
use super::raw::{Raw, Rows, as_rows};
use super::source::Source;
use super::{Sha256Hex, Weight};
use crate::config::{Config, unsupported};
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

/// What the scales of a matrix are stored under, after its name.
pub const SCALE: &str = ".scale";

/// The file of a step's difference, in a folder of a family.
pub fn file_name(step: u64) -> String {
    format!("step-{step}.safetensors")
}

/// A model with a difference added as it is read.
pub struct Delta {
    base: Checkpoint,
    source: Rc<dyn Source>,
    file: usize,
    /// Under the first weight of each stored tensor.
    tensors: HashMap<Weight, Stored>,
}

/// Where a tensor's difference lies, in bytes of the file.
enum Stored {
    /// First bytes of the integers and of the scales.
    Matrix { integers: u64, scales: u64 },
    /// First byte of the values.
    Vector(u64),
}

impl Delta {
    /// Adds file number `file` of `files` to a model.
    ///
    /// # Errors
    /// Those of [`Header::read`]; `model.unsupported` with up to five differences when its tensors are not those of the
    /// model.
    pub async fn open(base: Checkpoint, files: &ModelFiles, file: usize) -> Result<Self> {
        let source = Rc::clone(&files.source);
        let Header { tensors: mut stored, data_start } = header(&*source, file, Format::Safetensors).await?;
        let mut tensors = HashMap::new();
        let mut differences = Vec::new();
        let mut take = |name: String, dtype: Dtype, shape: &[u64]| -> Option<u64> {
            let found = stored.remove(&name);
            match found {
                Some(TensorInfo { dtype: d, shape: s, start, .. }) if d == dtype && s == shape => {
                    return Some(data_start + start);
                }
                Some(TensorInfo { dtype: d, shape: s, .. }) => {
                    differences.push(format!("'{name}' is {d} {s:?}, expected {dtype} {shape:?}"));
                }
                None => differences.push(format!("'{name}' is missing")),
            }
            None
        };
        for (name, parts) in table(base.cfg()) {
            let Some(first) = parts.first() else { continue };
            let [rows, n] = as_rows(*first, base.cfg());
            let n = (n * parts.len()) as u64;
            let at = if first.shape(base.cfg()).len() > 1 {
                let integers = take(name.clone(), Dtype::I8, &[rows as u64, n]);
                let scales = take(name + SCALE, Dtype::F32, &[rows as u64]);
                integers.zip(scales).map(|(integers, scales)| Stored::Matrix { integers, scales })
            } else {
                take(name, Dtype::F16, &[n]).map(Stored::Vector)
            };
            at.into_iter().for_each(|at| _ = tensors.insert(*first, at));
        }
        differences.extend(stored.keys().map(|name| format!("'{name}' is unexpected")));
        if !differences.is_empty() {
            let name = source.files().get(file).map_or("", |file| &file.name);
            return Err(unsupported("weights", &differences).at(name));
        }
        Ok(Self { base, source, file, tensors })
    }

    /// The hash of the file of differences, which stands for the weights: its folder says what it is added to.
    ///
    /// # Errors
    /// Those of [`Source::read`] and of `read`.
    pub async fn sha256(&self, read: &mut dyn FnMut(u64, u64) -> Result<()>) -> Result<Sha256Hex> {
        self.base.sha256_of(&[self.file], read).await
    }

    async fn bytes<const N: usize>(&self, at: u64, elements: Range<usize>) -> Result<Vec<[u8; N]>> {
        let place = |element: usize| at + (element * N) as u64;
        let bytes = self.source.read(self.file, place(elements.start)..place(elements.end)).await?;
        Ok(bytes.as_chunks::<N>().0.to_vec())
    }

    async fn read(&self, parts: &[Weight], rows: Range<usize>) -> Result<Vec<f32>> {
        let first = parts.first().copied().unwrap_or(Weight::Embed);
        let stored =
            self.tensors.get(&first).ok_or_else(|| Error::internal(format!("{first} is not stored")))?;
        let [_, n] = as_rows(first, self.cfg());
        let n = n * parts.len();
        let elements = rows.start * n..rows.end * n;
        let values = match *stored {
            Stored::Vector(at) => {
                let halves = self.bytes::<2>(at, elements).await?;
                halves.into_iter().map(|half| half::f16::from_le_bytes(half).to_f32()).collect()
            }
            Stored::Matrix { integers, scales } => {
                let mut values = self.base.rows(parts, rows.clone()).await?;
                let integers = self.bytes::<1>(integers, elements).await?;
                let scales = self.bytes::<4>(scales, rows).await?;
                let by_row = values.chunks_exact_mut(n).zip(integers.chunks_exact(n)).zip(scales);
                for ((values, integers), scale) in by_row {
                    let scale = f32::from_le_bytes(scale);
                    for (value, [integer]) in values.iter_mut().zip(integers) {
                        *value += scale * f32::from(i8::from_le_bytes([*integer]));
                    }
                }
                values
            }
        };
        if self.base.allow_not_finite || values.iter().all(|value: &f32| value.is_finite()) {
            return Ok(values);
        }
        let message = format!("{first}: values of the checkpoint are NaN or infinite, expected none");
        Err(Error::input("model.not_finite", message)
            .with_action("Get the checkpoint again, or allow such weights."))
    }
}

impl Raw for Delta {
    fn cfg(&self) -> &Config {
        self.base.cfg()
    }

    fn rows(&self, parts: &[Weight], rows: Range<usize>) -> Rows<'_> {
        let parts = parts.to_vec();
        Box::pin(async move { self.read(&parts, rows).await })
    }
}
