// Each head's rows through its own columns of W, turned: out[row, head] = x[row, head] W[head]ᵀ. One thread per element.
@group(0) @binding(1) var<storage, read> x: array<f32>;          // [rows, head, n]
@group(0) @binding(2) var<storage, read> w: array<Weight>;       // [k, head, n]
@group(0) @binding(3) var<storage, read_write> out: array<f32>;  // [rows, head, k]

fn w_at(i: u32) -> f32 {
    return weight(w[slot(i)], i);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = params.first_row + group.y;
    let col = params.first_col + group.x * 64u + lane; // head · k + column
    if (row >= params.end_row || col >= params.end_col) {
        return;
    }
    let head = col / params.k;
    let x_start = (row * params.heads + head) * params.n;
    let w_start = (col % params.k * params.heads + head) * params.n;
    var sum = 0.0;
    for (var i = 0u; i < params.n; i = i + 1u) {
        sum = sum + x[x_start + i] * w_at(w_start + i);
    }
    out[row * params.heads * params.k + col] = sum;
}
