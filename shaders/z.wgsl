// out[dest, head] = sum over src of pattern[head, dest, src] · v[src, head]; for d_head that is a multiple of 4.
// One thread per 4 neighbouring columns.
@group(0) @binding(1) var<storage, read> rows: array<Row>;             // [rows]
@group(0) @binding(2) var<storage, read> pattern: array<f32>;          // [head, dest, src] per run
@group(0) @binding(3) var<storage, read> v: array<vec4<f32>>;          // [rows, head, k / 4]
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;  // [rows, head, k / 4]

const CAUSAL = 1u; // params.mode: src > dest holds zeros and is not read

@compute @workgroup_size(16, 4)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let dest = params.first_row + id.y;
    let k4 = params.k / 4u;
    let width = params.heads * k4;
    let col = id.x; // head · k4 + vector
    if (dest >= params.end_row || col >= width) {
        return;
    }
    let row = rows[dest];
    let start = score_start(row, col / k4);
    let seen = select(row.len, row.pos + 1u, params.mode == CAUSAL);
    var sum = vec4<f32>();
    for (var src = 0u; src < seen; src = src + 1u) {
        sum = sum + pattern[start + src] * v[(row.first_row + src) * width + col];
    }
    out[dest * width + col] = sum;
}
