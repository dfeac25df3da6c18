//! `exp` for rows of numbers: no branches and no calls, so that the compiler turns loops over it into SIMD.

/// `e^x` within 2 units in the last place; 0 below −87.3 (where f32 has no normal number), infinite above 88.7; NaN stays.
///
/// `x = n ln 2 + r` with `|r| ≤ ln 2 / 2`, a polynomial for `e^r` (the coefficients are Cephes' `expf`), and `2^n` put
/// together from its bits.
#[inline(always)]
#[allow(clippy::excessive_precision, reason = "Cephes' coefficients as published")]
pub fn exp(x: f32) -> f32 {
    /// Adding 1.5 · 2²³ leaves the rounded number in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let clamped = if x < -87.336_54 { -87.336_54 } else { x };
    let clamped = if clamped > 88.722_83 { 88.722_83 } else { clamped };
    let rounded = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    // ln 2 in two parts, the first exact in few bits, so that n · ln 2 loses nothing.
    let r = clamped - n * 0.693_359_375 - n * -2.121_944_40e-4;
    let mut p = 1.987_569_15e-4;
    p = p * r + 1.398_199_95e-3;
    p = p * r + 8.333_451_91e-3;
    p = p * r + 4.166_579_59e-2;
    p = p * r + 1.666_666_55e-1;
    p = p * r + 5.000_000_12e-1;
    let e_r = p * r * r + r + 1.0;
    // Two factors, as 2^128 alone is no number.
    let bits = rounded.to_bits().wrapping_sub(ROUND.to_bits());
    let low = (bits as i32) >> 1;
    let high = (bits as i32).wrapping_sub(low);
    let power = |n: i32| f32::from_bits((n.wrapping_add(127) << 23) as u32);
    let y = e_r * power(low) * power(high);
    let y = if x < -87.336_54 { 0.0 } else { y };
    if x > 88.722_83 { f32::INFINITY } else { y }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        for i in -873_000..887_000 {
            let x = i as f32 * 1e-4;
            let (found, expected) = (f64::from(exp(x)), f64::from(x).exp());
            assert!(
                (found - expected).abs() <= 2.0 * expected * f64::from(f32::EPSILON),
                "exp({x}) is {found}, not {expected}"
            );
        }
    }

    #[test]
    fn the_ends() {
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(-1e9), 0.0);
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(100.0), f32::INFINITY);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert!(exp(f32::NAN).is_nan());
    }
}
