// out = x W + b, then the activation or the residual stream, for any k and n: one thread per element. Real models take
// the other variants.
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;          // [any, k]
@group(0) @binding(3) var<storage, read> w: array<Weight>;       // [plane, k, n]
@group(0) @binding(4) var<storage, read> b: array<f32>;          // [plane, n]
@group(0) @binding(5) var<storage, read> residual: array<f32>;   // [any, n] where ADD
@group(0) @binding(6) var<storage, read_write> out: array<f32>;  // [plane, rows, n]

const ACTIVATE = 4u; // params.mode, as in shared/finish.wgsl
const ADD = 8u;

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
    let plane = params.plane + group.z;
    let start = pick(params.x_list, params.x_first, row) * params.k;
    let w_start = plane * params.w_plane + col;
    var sum = 0.0;
    for (var i = 0u; i < params.k; i = i + 1u) {
        sum = sum + x[start + i] * w_at(w_start + i * params.n);
    }
    sum = sum + b[plane * params.b_plane + col];
    if ((params.mode & ACTIVATE) != 0u) {
        sum = activate(params.mode & 3u, sum);
    } else if ((params.mode & ADD) != 0u) {
        sum = residual[pick(params.add_list, params.add_first, row) * params.n + col] + sum;
    }
    out[plane * params.out_plane + row * params.n + col] = sum;
}
