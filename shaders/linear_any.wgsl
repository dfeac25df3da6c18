// out = x W + b, for any k and n: one thread per element. Real models take linear.wgsl.
@group(0) @binding(1) var<storage, read> x: array<f32>;          // [rows, k]
@group(0) @binding(2) var<storage, read> w: array<f32>;          // [k, n]
@group(0) @binding(3) var<storage, read> b: array<f32>;          // [n]
@group(0) @binding(4) var<storage, read_write> out: array<f32>;  // [rows, n]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = params.first_row + group.y;
    let col = params.first_col + group.x * 64u + lane;
    if (row >= params.end_row || col >= params.end_col) {
        return;
    }
    var sum = 0.0;
    for (var i = 0u; i < params.k; i = i + 1u) {
        sum = sum + x[row * params.k + i] * w[i * params.n + col];
    }
    out[row * params.n + col] = sum + b[col];
}
