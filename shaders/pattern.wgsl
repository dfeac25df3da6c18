// Softmax over src, all of it: an edited score may reach the future. Where softmax is NaN the pattern is 0, as in
// TransformerLens. One thread per (row, head). Infinities and NaN are told by their bits, as WGSL lets a compiler
// assume them away in f32 arithmetic.
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read> scores: array<u32>;     // f32 bits, at the places that the rows name
@group(0) @binding(3) var<storage, read_write> out: array<f32>;  // at the same places

const MINUS_INFINITY = 0xff800000u;
const INFINITY = 0x7f800000u;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = params.first_row * params.heads + thread_index(group, groups, lane);
    if (i >= params.end_row * params.heads) {
        return;
    }
    let row = attn_row(i / params.heads);
    let start = row.score + i % params.heads * row.score_stride;
    let end = start + row.len;

    // Largest score. Nothing but −inf, or any +inf or NaN, makes softmax NaN.
    var largest = 0.0;
    var found = false;
    var broken = false;
    for (var at = start; at < end; at = at + 1u) {
        let bits = scores[at];
        if (bits != MINUS_INFINITY) {
            broken = broken || (bits & 0x7fffffffu) >= INFINITY;
            let score = bitcast<f32>(bits);
            largest = select(score, max(largest, score), found);
            found = true;
        }
    }
    if (broken || !found) {
        for (var at = start; at < end; at = at + 1u) {
            out[at] = 0.0;
        }
        return;
    }

    // Exponentials, and their sum in the order of src.
    var sum = 0.0;
    for (var at = start; at < end; at = at + 1u) {
        var weight = 0.0;
        if (scores[at] != MINUS_INFINITY) {
            weight = exp(bitcast<f32>(scores[at]) - largest);
        }
        out[at] = weight;
        sum = sum + weight;
    }

    // Apply.
    for (var at = start; at < end; at = at + 1u) {
        out[at] = out[at] / sum;
    }
}
