//! Halves as `f32`.

/// Halves, given by their bits, as `f32`, exactly.
pub fn widen(halves: &[u16], out: &mut [f32]) {
    for (out, half) in out.iter_mut().zip(halves) {
        *out = wide(*half);
    }
}

/// Without a branch, so that a compiler makes vectors of it: a half's exponent and mantissa, moved to their places in an
/// f32, are too small by 2¹¹², also where the half is subnormal.
fn wide(half: u16) -> f32 {
    const SCALE: f32 = f32::from_bits((127 + 112) << 23);
    let magnitude = f32::from_bits(u32::from(half & 0x7fff) << 13) * SCALE;
    let no_number = if half & 0x7c00 == 0x7c00 { 0x7f80_0000 } else { 0 };
    f32::from_bits(magnitude.to_bits() | no_number | u32::from(half & 0x8000) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_is_widened_exactly() {
        for bits in 0..=u16::MAX {
            let (found, expected) = (wide(bits), half::f16::from_bits(bits).to_f32());
            let same = found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan());
            assert!(same, "{bits:#06x}: {found}, expected {expected}");
        }
    }
}
