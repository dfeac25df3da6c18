// out[row, head] = sum over src of pattern · v[src, head]: one thread per element. Only where scores or patterns are
// looked at.
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read> pattern: array<f32>;    // at the places that the rows name
@group(0) @binding(3) var<storage, read> v: array<f32>;          // [any, all_heads, k], or [any, k] where SHARED
@group(0) @binding(4) var<storage, read_write> out: array<f32>;  // [rows, heads, k] from params.out_first

// Bits of params.mode.
const CAUSAL = 1u; // src > dest holds zeros and is not read
const SHARED = 2u; // all heads look at the same rows

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let dest = params.first_row + group.y;
    let width = params.heads * params.k;
    let col = group.x * 64u + lane; // head · k + column
    if (dest >= params.end_row || col >= width) {
        return;
    }
    let row = attn_row(dest);
    let start = row.score + col / params.k * row.score_stride;
    let shared_rows = (params.mode & SHARED) != 0u;
    let v_col = select(row.head * params.k + col, col % params.k, shared_rows);
    let v_width = select(params.all_heads * params.k, params.k, shared_rows);
    let seen = select(row.len, row.dest + 1u, (params.mode & CAUSAL) != 0u);
    var sum = 0.0;
    for (var src = 0u; src < seen; src = src + 1u) {
        sum = sum + pattern[start + src] * v[src_row(row.values + src) * v_width + v_col];
    }
    out[params.out_first + dest * width + col] = sum;
}
