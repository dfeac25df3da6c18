// What each head adds to the residual stream: out[row, head] = z[row, head] W_O[head]. One thread per element.
@group(0) @binding(1) var<storage, read> z: array<f32>;          // [rows, head, k]
@group(0) @binding(2) var<storage, read> w: array<Weight>;       // [head, k, n]
@group(0) @binding(3) var<storage, read_write> out: array<f32>;  // [rows, head, n]

fn w_at(i: u32) -> f32 {
    return weight(w[slot(i)], i);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = params.first_row + group.y;
    let col = params.first_col + group.x * 64u + lane; // head · n + column
    if (row >= params.end_row || col >= params.end_col) {
        return;
    }
    let head = col / params.n;
    let z_start = (row * params.heads + head) * params.k;
    let w_start = head * params.k * params.n + col % params.n;
    var sum = 0.0;
    for (var i = 0u; i < params.k; i = i + 1u) {
        sum = sum + z[z_start + i] * w_at(w_start + i * params.n);
    }
    out[row * params.heads * params.n + col] = sum;
}
