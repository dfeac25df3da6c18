// out[row, head] = softmax over src ≤ dest of (scale · q·k) · v, for dest below 32 and d_head that is a multiple of 4.
// One thread per (row, head) and no barrier, which software adapters are slow at.
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read> q: array<vec4<f32>>;          // [any, all_heads, k / 4]
@group(0) @binding(3) var<storage, read> k: array<vec4<f32>>;          // [any, all_heads, k / 4]
@group(0) @binding(4) var<storage, read> v: array<vec4<f32>>;          // [any, all_heads, k / 4]
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;  // [rows, heads, k / 4] from params.out_first

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let item = params.first_row * params.heads + thread_index(group, groups, lane);
    if (item >= params.end_row * params.heads) {
        return;
    }
    let row = attn_row(item / params.heads);
    let k4 = params.k / 4u;
    let width = params.all_heads * k4;
    let head_start = (row.head + item % params.heads) * k4;
    let q_start = row.q * width + head_start;
    let end = min(row.dest + 1u, 32u);

    // Scores and the largest of them; then exponentials, and their sum in the order of src.
    var weights: array<f32, 32>;
    var largest = 0.0;
    for (var src = 0u; src < end; src = src + 1u) {
        let k_start = src_row(row.keys + src) * width + head_start;
        var score = 0.0;
        for (var i = 0u; i < k4; i = i + 1u) {
            score = score + dot(q[q_start + i], k[k_start + i]);
        }
        weights[src] = score * params.scale;
        largest = select(max(largest, weights[src]), weights[src], src == 0u);
    }
    var sum = 0.0;
    for (var src = 0u; src < end; src = src + 1u) {
        weights[src] = exp(weights[src] - largest);
        sum = sum + weights[src];
    }

    for (var i = 0u; i < k4; i = i + 1u) {
        var mixed = vec4<f32>();
        for (var src = 0u; src < end; src = src + 1u) {
            mixed = mixed + weights[src] * v[src_row(row.values + src) * width + head_start + i];
        }
        out[params.out_first / 4u + item * k4 + i] = mixed / sum;
    }
}
