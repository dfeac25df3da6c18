// out[dest, head] = sum over src of pattern[head, dest, src] · v[src, head]. For any d_head: one thread per
// element. Real models take z.wgsl.
@group(0) @binding(1) var<storage, read> rows: array<Row>;       // [rows]
@group(0) @binding(2) var<storage, read> pattern: array<f32>;    // [head, dest, src] per run
@group(0) @binding(3) var<storage, read> v: array<f32>;          // [rows, head, k]
@group(0) @binding(4) var<storage, read_write> out: array<f32>;  // [rows, head, k]

const CAUSAL = 1u; // params.mode: src > dest holds zeros and is not read

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let dest = params.first_row + group.y;
    let width = params.heads * params.k;
    let col = group.x * 64u + lane; // head · k + column
    if (dest >= params.end_row || col >= width) {
        return;
    }
    let row = rows[dest];
    let start = score_start(row, col / params.k);
    let seen = select(row.len, row.pos + 1u, params.mode == CAUSAL);
    var sum = 0.0;
    for (var src = 0u; src < seen; src = src + 1u) {
        sum = sum + pattern[start + src] * v[(row.first_row + src) * width + col];
    }
    out[dest * width + col] = sum;
}
