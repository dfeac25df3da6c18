//! How an engine keeps the matrices among the weights.

use super::{Part, Weight};
use crate::error::{Error, Result};
use half::f16;
use half::slice::HalfFloatSliceExt;
use std::fmt;
use std::str::FromStr;

/// The numbers that matrices are kept in. Whatever they are, sums and products are `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Storage {
    #[default]
    F32,
    /// Half the memory; each value is rounded to 11 bits.
    F16,
}

impl Storage {
    /// Every kind, by the names that [`Storage::from_str`] reads.
    pub const ALL: [Storage; 2] = [Storage::F32, Storage::F16];

    /// What one weight is kept in: vectors stay `f32`, as they are few and are added to every row.
    pub fn of(self, weight: Weight) -> Storage {
        match weight {
            Weight::Embed | Weight::PosEmbed | Weight::Unembed => self,
            Weight::Block(_, Part::WQ | Part::WK | Part::WV | Part::WO | Part::WIn | Part::WOut) => self,
            Weight::Block(..) | Weight::EmbedMean | Weight::LnFinalW | Weight::LnFinalB => Storage::F32,
            Weight::UnembedBias => Storage::F32,
        }
    }

    /// Bytes of one value.
    pub fn bytes(self) -> usize {
        match self {
            Storage::F32 => 4,
            Storage::F16 => 2,
        }
    }
}

/// Values of `weight` as [`Storage::F16`] keeps them: IEEE 754 binary16, the nearest, ties to even.
///
/// # Errors
/// `model.f16_range` when a finite value is none in binary16.
pub fn halves(weight: Weight, values: &[f32]) -> Result<Vec<f16>> {
    let mut halves = vec![f16::ZERO; values.len()];
    halves.convert_from_f32_slice(values);
    let lost = values.iter().zip(&halves).find(|(value, half)| value.is_finite() && !half.is_finite());
    match lost {
        None => Ok(halves),
        Some((value, _)) => {
            let message = format!("{weight} holds {value}, expected at most {} for f16 weights", f16::MAX);
            Err(Error::input("model.f16_range", message).with_action("Keep the weights as f32."))
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
        let found = Self::ALL.into_iter().find(|storage| storage.to_string() == text);
        found
            .ok_or_else(|| Error::input("input.storage", format!("storage is '{text}', expected f32 or f16")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storage_is_read_as_it_is_written() {
        for storage in Storage::ALL {
            assert_eq!(storage.to_string().parse::<Storage>().unwrap(), storage);
        }
        for wrong in ["", "F16", "bf16", "f16 "] {
            assert_eq!(wrong.parse::<Storage>().unwrap_err().code, "input.storage", "{wrong}");
        }
    }

    #[test]
    fn only_matrices_are_halved() {
        let halved = |weight| Storage::F16.of(weight) == Storage::F16;
        let config = br#"{"n_layer":1,"n_head":1,"n_embd":4,"n_positions":8,"vocab_size":9}"#;
        let cfg = crate::config::Config::from_json(config).unwrap();
        for weight in Weight::stored(&cfg).chain([Weight::EmbedMean, Weight::UnembedBias, Weight::Unembed]) {
            assert_eq!(halved(weight), weight.shape(&cfg).len() == 2, "{weight}");
            assert_eq!(Storage::F32.of(weight), Storage::F32);
        }
    }

    #[test]
    fn halves_are_rounded_to_the_nearest() {
        let words = |values: &[f32]| {
            let halves = halves(Weight::Embed, values).unwrap();
            halves.into_iter().map(f16::to_bits).collect::<Vec<_>>()
        };
        // 1 + 2^-11 lies between two halves and goes to the even one; 2^-24 is the least above 0.
        let between = 1.0 + 2f32.powi(-11);
        let values = [1.0, -2.0, 65_504.0, between, between + 1e-6, 2f32.powi(-24), 0.0, -0.0];
        assert_eq!(words(&values), [0x3c00, 0xc000, 0x7bff, 0x3c00, 0x3c01, 1, 0, 0x8000]);
        assert!(words(&[]).is_empty());
        assert_eq!(words(&[f32::NEG_INFINITY, f32::INFINITY]), [0xfc00, 0x7c00]);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let error = halves(Weight::Block(3, Part::WIn), &[1.0, -7e4]).unwrap_err();
        assert_eq!(error.code, "model.f16_range");
        assert!(error.message.contains("blocks.3.mlp.W_in holds -70000"), "{error}");
    }
}
