//! How an engine keeps weights. Arithmetic is in f32 whatever they are kept as.

use super::{Part, Weight};
use crate::error::{Error, Result};
use microtome_loops::{resize, widen};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// What the matrices of a model are kept as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
    #[default]
    F32,
    /// Half the memory; every weight is rounded to 11 bits, by at most 2⁻¹¹ of itself.
    F16,
}

impl Storage {
    /// What a weight is kept as: only matrices are worth halving, and positions and vectors are a thousandth of a model.
    #[must_use]
    pub fn of(self, weight: Weight) -> Self {
        match weight {
            Weight::Embed
            | Weight::Unembed
            | Weight::Block(_, Part::WQ | Part::WK | Part::WV | Part::WO | Part::WIn | Part::WOut) => self,
            _ => Storage::F32,
        }
    }

    /// Bytes of one number.
    pub fn bytes(self) -> usize {
        match self {
            Storage::F32 => 4,
            Storage::F16 => 2,
        }
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Storage::F32 => "f32",
            Storage::F16 => "f16",
        })
    }
}

impl FromStr for Storage {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "f32" => Ok(Storage::F32),
            "f16" => Ok(Storage::F16),
            other => {
                Err(Error::input("input.precision", format!("precision is '{other}', expected f32 or f16")))
            }
        }
    }
}

/// A long list of numbers, kept as one or the other.
#[derive(Debug)]
pub enum Numbers {
    F32(Vec<f32>),
    F16(Vec<u16>),
}

impl Default for Numbers {
    fn default() -> Self {
        Self::F32(Vec::new())
    }
}

impl Numbers {
    /// An empty list with room for `len`.
    ///
    /// # Errors
    /// `run.memory`
    pub fn room(len: usize, storage: Storage) -> Result<Self> {
        Ok(match storage {
            Storage::F32 => Self::F32(room(len)?),
            Storage::F16 => Self::F16(room(len)?),
        })
    }

    /// `len` zeros.
    ///
    /// # Errors
    /// `run.memory`
    pub fn zeros(len: usize, storage: Storage) -> Result<Self> {
        let mut numbers = Self::room(len, storage)?;
        match &mut numbers {
            Self::F32(list) => resize(list, len),
            Self::F16(list) => list.resize(len, 0),
        }
        Ok(numbers)
    }

    pub fn len(&self) -> usize {
        match self {
            Self::F32(list) => list.len(),
            Self::F16(list) => list.len(),
        }
    }

    pub fn bytes(&self) -> u64 {
        match self {
            Self::F32(list) => 4 * list.len() as u64,
            Self::F16(list) => 2 * list.len() as u64,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts values of a weight in the place of those from `at` on, which must be there.
    ///
    /// # Errors
    /// `model.f16_range`
    pub fn put(&mut self, weight: Weight, at: usize, values: &[f32]) -> Result<()> {
        match self {
            Self::F32(list) => list[at..at + values.len()].copy_from_slice(values),
            Self::F16(list) => narrow(weight, values, &mut list[at..at + values.len()])?,
        }
        Ok(())
    }

    /// Adds values of a weight at the end.
    ///
    /// # Errors
    /// `model.f16_range`
    pub fn push(&mut self, weight: Weight, values: &[f32]) -> Result<()> {
        let at = self.len();
        match self {
            Self::F32(list) => list.extend_from_slice(values),
            Self::F16(list) => {
                list.resize(at + values.len(), 0);
                narrow(weight, values, &mut list[at..])?;
            }
        }
        Ok(())
    }

    /// Numbers as `f32`: as they are, or made wide in `wide`. `range` must be within the list.
    pub fn lend<'a>(&'a self, range: Range<usize>, wide: &'a mut Vec<f32>) -> &'a [f32] {
        match self {
            Self::F32(list) => &list[range],
            Self::F16(list) => {
                wide.resize(range.len(), 0.0);
                widen(&list[range], wide);
                wide
            }
        }
    }

    /// Copies numbers as `f32`; `None` for a range that is outside.
    pub fn copy(&self, range: Range<usize>, out: &mut [f32]) -> Option<()> {
        match self {
            Self::F32(list) => out.copy_from_slice(list.get(range)?),
            Self::F16(list) => widen(list.get(range)?, out),
        }
        Some(())
    }
}

/// An empty vector with room for so many elements.
///
/// # Errors
/// `run.memory`
pub fn room<T>(len: usize) -> Result<Vec<T>> {
    let mut room = Vec::new();
    room.try_reserve_exact(len).map_err(|_| {
        let message = format!("no memory for a weight of {} bytes", len * size_of::<T>());
        Error::run("run.memory", message).with_action("Take a smaller model, or f16 weights.")
    })?;
    Ok(room)
}

/// Rounds to the nearest half, ties to even. `what` holds the values, for a message.
///
/// # Errors
/// `model.f16_range` for a finite number that no half comes near: they end at 65,504.
pub fn narrow(what: impl fmt::Display, values: &[f32], out: &mut [u16]) -> Result<()> {
    for (value, out) in values.iter().zip(out) {
        let half = half::f16::from_f32(*value);
        if value.is_finite() && half.is_infinite() {
            let message = format!("{what} holds {value}, expected at most 65504 for f16");
            return Err(Error::input("model.f16_range", message).with_action("Take f32 weights."));
        }
        *out = half.to_bits();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_half_comes_near_is_refused() {
        let mut out = [0; 2];
        narrow(Weight::Embed, &[65504.0, -1.0], &mut out).unwrap();
        let mut back = [0.0; 2];
        widen(&out, &mut back);
        assert_eq!(back, [65504.0, -1.0]);
        let error = narrow(Weight::Embed, &[0.0, 70000.0], &mut out).unwrap_err();
        assert!(
            error.code == "model.f16_range" && error.message.contains("embed.W_E holds 70000"),
            "{error}"
        );
    }
}
