// out = scale · q·k, and −inf where src > dest: one thread per score. Only where scores or patterns are looked at.
// Scores are stored as bits: they hold infinities, which WGSL lets a compiler assume away in f32 arithmetic.
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read> q: array<f32>;          // [any, all_heads, k]
@group(0) @binding(3) var<storage, read> k: array<f32>;          // [any, all_heads, k], or [any, k] where SHARED
@group(0) @binding(4) var<storage, read_write> out: array<u32>;  // f32 bits, at the places that the rows name

const SHARED = 2u; // params.mode: all heads look at the same rows
const MINUS_INFINITY = 0xff800000u;

@compute @workgroup_size(16, 4)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let dest = params.first_row + id.y;
    if (dest >= params.end_row) {
        return;
    }
    let row = attn_row(dest);
    let src = id.x;
    if (src >= row.len) {
        return;
    }
    let at = row.score + id.z * row.score_stride + src;
    if (src > row.dest) {
        out[at] = MINUS_INFINITY;
        return;
    }
    let head = row.head + id.z;
    let q_start = (row.q * params.all_heads + head) * params.k;
    var key = src_row(row.keys + src);
    if (params.mode != SHARED) {
        key = key * params.all_heads + head;
    }
    let k_start = key * params.k;
    var sum = 0.0;
    for (var i = 0u; i < params.k; i = i + 1u) {
        sum = sum + q[q_start + i] * k[k_start + i];
    }
    out[at] = bitcast<u32>(sum * params.scale);
}
