//! GPT-2's files carry a constant: `h.N.attn.bias`, ones on and below the diagonal, 4 MB a layer. It is made here instead
//! of downloaded, so that the stored file is still the published one, byte for byte.

use crate::weights::header::{Dtype, Header};
use crate::weights::names::{Buffer, buffer};
use std::ops::Range;

/// One mask: where it lies in its file, and how it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// Bytes of the file.
    pub range: Range<u64>,
    dtype: Dtype,
    /// Rows, and columns.
    n: u64,
}

impl Mask {
    /// The masks of at least `least` bytes, in the order of the file.
    pub fn of(header: &Header, least: u64) -> Vec<Mask> {
        let tensors = header.tensors.iter().filter(|(name, _)| buffer(name) == Some(Buffer::Mask));
        let mut masks: Vec<Mask> = tensors
            .filter_map(|(_, tensor)| match tensor.shape[..] {
                // The header's own check has compared the shape with the bytes, so a row is never longer than the file.
                [1, 1, n, m] if n == m && n > 0 && tensor.end - tensor.start >= least.max(1) => Some(Mask {
                    range: header.data_start + tensor.start..header.data_start + tensor.end,
                    dtype: tensor.dtype,
                    n,
                }),
                _ => None,
            })
            .collect();
        masks.sort_by_key(|mask| mask.range.start);
        masks
    }

    /// The bytes from `from` of the file to the mask's end, at most `most` of them; empty outside of the mask.
    pub fn bytes(&self, from: u64, most: usize) -> Vec<u8> {
        if !self.range.contains(&from) {
            return Vec::new();
        }
        let one: &[u8] = match self.dtype {
            Dtype::F32 => &[0x00, 0x00, 0x80, 0x3f],
            Dtype::F16 => &[0x00, 0x3c],
            Dtype::Bf16 => &[0x80, 0x3f],
            Dtype::I8 | Dtype::U8 | Dtype::Bool => &[1],
            Dtype::I64 => &[1, 0, 0, 0, 0, 0, 0, 0],
        };
        let size = one.len() as u64;
        let len = (self.range.end - from).min(most as u64);
        let offset = from - self.range.start;
        let (first, skip) = (offset / size, (offset % size) as usize);
        let count = (skip as u64 + len).div_ceil(size);
        let (mut row, mut column) = (first / self.n, first % self.n);
        let mut bytes = vec![0; (count * size) as usize];
        for element in bytes.chunks_exact_mut(one.len()) {
            if column <= row {
                element.copy_from_slice(one);
            }
            column += 1;
            if column == self.n {
                (row, column) = (row + 1, 0);
            }
        }
        bytes.drain(..skip);
        bytes.truncate(len as usize);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(dtype: Dtype, n: u64) -> Mask {
        Mask { range: 10..10 + n * n * dtype.size(), dtype, n }
    }

    #[test]
    fn a_mask_is_ones_on_and_below_the_diagonal() {
        let bytes = mask(Dtype::F32, 3).bytes(10, 1000);
        let values: Vec<f32> = bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        assert_eq!(values, [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0]);
        let half: Vec<f32> = mask(Dtype::F16, 2)
            .bytes(10, 1000)
            .chunks(2)
            .map(|b| half::f16::from_le_bytes(b.try_into().unwrap()).to_f32())
            .collect();
        assert_eq!(half, [1.0, 0.0, 1.0, 1.0]);
        let brain: Vec<f32> = mask(Dtype::Bf16, 2)
            .bytes(10, 1000)
            .chunks(2)
            .map(|b| half::bf16::from_le_bytes(b.try_into().unwrap()).to_f32())
            .collect();
        assert_eq!(brain, [1.0, 0.0, 1.0, 1.0]);
    }

    #[test]
    fn any_cut_of_a_mask_is_the_same_bytes() {
        for dtype in [Dtype::F32, Dtype::F16, Dtype::Bool] {
            let mask = mask(dtype, 7);
            let whole = mask.bytes(10, usize::MAX);
            assert_eq!(whole.len() as u64, mask.range.end - 10);
            for from in mask.range.clone() {
                for most in [1, 5, 64] {
                    let start = (from - 10) as usize;
                    assert_eq!(
                        mask.bytes(from, most),
                        whole[start..whole.len().min(start + most)],
                        "{from} {most}"
                    );
                }
            }
            assert!(mask.bytes(9, 4).is_empty() && mask.bytes(mask.range.end, 4).is_empty());
        }
    }
}
