// The MLP's activations. Values are those of `mode::GELU_NEW` and its neighbours in src/backend/gpu/params.rs.
const GELU_NEW = 0u;
const GELU = 1u;
const RELU = 2u;

// 0.5 x (1 + tanh(sqrt(2/π) (x + 0.044715 x³)))
fn gelu_new(x: f32) -> f32 {
    // Some adapters' tanh is NaN for large arguments; at ±15 it has long been ±1 in f32.
    let u = clamp(0.7978845608 * (x + 0.044715 * x * x * x), -15.0, 15.0);
    return 0.5 * x * (1.0 + tanh(u));
}

// Abramowitz and Stegun 7.1.26: within 1.5e-7 of erf.
fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.3275911 * abs(x));
    let poly = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    return sign(x) * (1.0 - poly * exp(-x * x));
}

fn activate(kind: u32, x: f32) -> f32 {
    if (kind == GELU_NEW) {
        return gelu_new(x);
    }
    if (kind == GELU) {
        return 0.5 * x * (1.0 + erf(x * 0.7071067812));
    }
    return max(x, 0.0);
}
