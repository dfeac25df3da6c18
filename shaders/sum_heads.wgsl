// out[row] = sum over heads of x[row, head], + b
@group(0) @binding(1) var<storage, read> x: array<f32>;          // [rows, head, k]
@group(0) @binding(2) var<storage, read> b: array<f32>;          // [k]
@group(0) @binding(3) var<storage, read_write> out: array<f32>;  // [rows, k]

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = params.first_row * params.k + thread_index(group, groups, lane);
    if (i >= params.end_row * params.k) {
        return;
    }
    let start = (i / params.k) * params.heads * params.k + i % params.k;
    var sum = 0.0;
    for (var head = 0u; head < params.heads; head = head + 1u) {
        sum = sum + x[start + head * params.k];
    }
    out[i] = sum + b[i % params.k];
}
