// out = x W_U[first..first + n]ᵀ + b_U[first..first + n], for any k: one thread per logit. Real models take unembed.wgsl.
@group(0) @binding(1) var<storage, read> x: array<f32>;          // [rows, k]
@group(0) @binding(2) var<storage, read> w: array<Weight>;       // [tokens from params.shard, k]
@group(0) @binding(3) var<storage, read> b: array<f32>;          // [d_vocab]
@group(0) @binding(4) var<storage, read_write> out: array<f32>;  // [rows, n]

fn w_at(i: u32) -> f32 {
    return weight(w[slot(i)], i);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = params.first_row + group.y;
    let col = params.first_col + group.x * 64u + lane;
    if (row >= params.end_row || col >= params.end_col) {
        return;
    }
    let start = (params.first - params.shard + col) * params.k;
    var sum = 0.0;
    for (var i = 0u; i < params.k; i = i + 1u) {
        sum = sum + x[row * params.k + i] * w_at(start + i);
    }
    out[row * params.n + col] = sum + b[params.first + col];
}
