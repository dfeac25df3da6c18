// The MLP's activation, elementwise
@group(0) @binding(1) var<storage, read> x: array<f32>;          // [rows, k]
@group(0) @binding(2) var<storage, read_write> out: array<f32>;  // [rows, k]

const GELU_NEW = 0u; // params.mode
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

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = params.first_row * params.k + thread_index(group, groups, lane);
    if (i >= params.end_row * params.k) {
        return;
    }
    let value = x[i];
    if (params.mode == GELU_NEW) {
        out[i] = gelu_new(value);
    } else if (params.mode == GELU) {
        out[i] = 0.5 * value * (1.0 + erf(value * 0.7071067812));
    } else {
        out[i] = max(value, 0.0);
    }
}
