// Each head's own input through its own columns of W: out[row, head] = x[row, head] W[:, head] + b[head].
// Used only where a head's input was edited. One thread per element.
@group(0) @binding(1) var<storage, read> x: array<f32>;          // [rows, head, k]
@group(0) @binding(2) var<storage, read> w: array<Weight>;       // [k, head, n]
@group(0) @binding(3) var<storage, read> b: array<f32>;          // [head, n]
@group(0) @binding(4) var<storage, read_write> out: array<f32>;  // [rows, head, n]

fn w_at(i: u32) -> f32 {
    return weight(w[slot(i)], i);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = params.first_row + group.y;
    let width = params.heads * params.n;
    let col = params.first_col + group.x * 64u + lane;
    if (row >= params.end_row || col >= params.end_col) {
        return;
    }
    let start = (row * params.heads + col / params.n) * params.k;
    var sum = 0.0;
    for (var i = 0u; i < params.k; i = i + 1u) {
        sum = sum + x[start + i] * w_at(i * width + col);
    }
    out[row * width + col] = sum + b[col];
}
