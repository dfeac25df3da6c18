// out[head, dest, src] = scale · q[dest, head]·k[src, head], and −inf where src > dest; for d_head that is a multiple of 4.
// One thread per 4 neighbouring src.
// Scores are stored as bits: they hold infinities, which WGSL lets a compiler assume away in f32 arithmetic.
@group(0) @binding(1) var<storage, read> rows: array<Row>;           // [rows]
@group(0) @binding(2) var<storage, read> q: array<vec4<f32>>;        // [rows, head, k / 4]
@group(0) @binding(3) var<storage, read> k: array<vec4<f32>>;        // [rows, head, k / 4]
@group(0) @binding(4) var<storage, read_write> out: array<u32>;      // f32 bits, [head, dest, src] per run

const MINUS_INFINITY = 0xff800000u;

fn store(row: Row, head: u32, src: u32, score: f32) {
    if (src < row.len) {
        out[score_start(row, head) + src] = select(bitcast<u32>(score), MINUS_INFINITY, src > row.pos);
    }
}

@compute @workgroup_size(4, 16)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let dest = params.first_row + id.y;
    if (dest >= params.end_row) {
        return;
    }
    let row = rows[dest];
    let src = 4u * id.x;
    let head = id.z;
    if (src >= row.len) {
        return;
    }

    // Scores of the future are not computed, and src past the end reads the last one again.
    var scores = vec4<f32>();
    if (src <= row.pos) {
        let k4 = params.k / 4u;
        let stride = params.heads * k4;
        let q_start = dest * stride + head * k4;
        let last = row.len - 1u;
        let k_start = row.first_row * stride + head * k4;
        let s0 = k_start + src * stride;
        let s1 = k_start + min(src + 1u, last) * stride;
        let s2 = k_start + min(src + 2u, last) * stride;
        let s3 = k_start + min(src + 3u, last) * stride;
        for (var i = 0u; i < k4; i = i + 1u) {
            scores = scores + q[q_start + i] * mat4x4<f32>(k[s0 + i], k[s1 + i], k[s2 + i], k[s3 + i]);
        }
        scores = scores * params.scale;
    }
    store(row, head, src, scores.x);
    store(row, head, src + 1u, scores.y);
    store(row, head, src + 2u, scores.z);
    store(row, head, src + 3u, scores.w);
}
