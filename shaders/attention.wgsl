// out[row, head] = softmax over src ≤ dest of (scale · q·k) · v, for any number of src and any d_head.
// One workgroup per (row, head, 64 columns of d_head): 64 src at a time, each thread scores one of them, then each sums
// up its own column over the 64, keeping the largest score and the sum of exponentials so far.
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read> q: array<f32>;          // [any, all_heads, k]
@group(0) @binding(3) var<storage, read> k: array<f32>;          // [any, all_heads, k]
@group(0) @binding(4) var<storage, read> v: array<f32>;          // [any, all_heads, k]
@group(0) @binding(5) var<storage, read_write> out: array<f32>;  // [rows, heads, k] from params.out_first

var<workgroup> scores: array<f32, 64>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let blocks = (params.k + 63u) / 64u;
    let item = params.first_row * params.heads + group_index(group, groups) / blocks;
    if (item >= params.end_row * params.heads) {
        return;
    }
    let row = attn_row(item / params.heads);
    let width = params.all_heads * params.k;
    let head_start = (row.head + item % params.heads) * params.k;
    let column = group_index(group, groups) % blocks * 64u + lane;
    let near = head_start + min(column, params.k - 1u);
    let q_start = row.q * width + head_start;

    var largest = 0.0;
    var sum = 0.0;
    var mixed = 0.0;
    for (var first = 0u; first <= row.dest; first = first + 64u) {
        let src = min(first + lane, row.dest);
        let k_start = src_row(row.keys + src) * width + head_start;
        var score = 0.0;
        for (var i = 0u; i < params.k; i = i + 1u) {
            score = score + q[q_start + i] * k[k_start + i];
        }
        scores[lane] = score * params.scale;
        workgroupBarrier();

        let count = min(row.dest + 1u - first, 64u);
        var most = select(max(largest, scores[0]), scores[0], first == 0u);
        for (var i = 1u; i < count; i = i + 1u) {
            most = max(most, scores[i]);
        }
        let fade = exp(largest - most); // both sums are still 0 where `largest` means nothing
        sum = select(sum * fade, 0.0, first == 0u);
        mixed = select(mixed * fade, 0.0, first == 0u);
        for (var i = 0u; i < count; i = i + 1u) {
            let weight = exp(scores[i] - most);
            sum = sum + weight;
            mixed = mixed + weight * v[src_row(row.values + first + i) * width + near];
        }
        largest = most;
        workgroupBarrier();
    }
    if (column < params.k) {
        out[params.out_first + item * params.k + column] = mixed / sum;
    }
}
