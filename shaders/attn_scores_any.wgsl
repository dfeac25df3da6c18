// out[head, dest, src] = scale · q[dest, head]·k[src, head], and −inf where src > dest. For any d_head:
// one thread per score. Real models take attn_scores.wgsl.
// Scores are stored as bits: they hold infinities, which WGSL lets a compiler assume away in f32 arithmetic.
@group(0) @binding(1) var<storage, read> rows: array<Row>;       // [rows]
@group(0) @binding(2) var<storage, read> q: array<f32>;          // [rows, head, k]
@group(0) @binding(3) var<storage, read> k: array<f32>;          // [rows, head, k]
@group(0) @binding(4) var<storage, read_write> out: array<u32>;  // f32 bits, [head, dest, src] per run

const MINUS_INFINITY = 0xff800000u;

@compute @workgroup_size(16, 4)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let dest = params.first_row + id.y;
    if (dest >= params.end_row) {
        return;
    }
    let row = rows[dest];
    let src = id.x;
    let head = id.z;
    if (src >= row.len) {
        return;
    }
    let at = score_start(row, head) + src;
    if (src > row.pos) {
        out[at] = MINUS_INFINITY;
        return;
    }
    let q_start = (dest * params.heads + head) * params.k;
    let k_start = ((row.first_row + src) * params.heads + head) * params.k;
    var sum = 0.0;
    for (var i = 0u; i < params.k; i = i + 1u) {
        sum = sum + q[q_start + i] * k[k_start + i];
    }
    out[at] = bitcast<u32>(sum * params.scale);
}
