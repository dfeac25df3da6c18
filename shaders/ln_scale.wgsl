// out[row] = sqrt(mean((x - mean x)²) + eps): what LayerNorm divides by. One workgroup per row.
@group(0) @binding(1) var<storage, read> x: array<f32>;          // [rows, k]
@group(0) @binding(2) var<storage, read_write> out: array<f32>;  // [rows]

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = group_index(group, groups);
    if (row >= params.end_row) {
        return;
    }
    let start = row * params.k;

    // Mean.
    var sum = 0.0;
    for (var i = lane; i < params.k; i = i + GROUP) {
        sum = sum + x[start + i];
    }
    let mean = workgroup_sum(lane, sum) / f32(params.k);

    // Mean square of what is left: a second pass, as E[x²] − mean² would cancel.
    var squares = 0.0;
    for (var i = lane; i < params.k; i = i + GROUP) {
        let centred = x[start + i] - mean;
        squares = squares + centred * centred;
    }
    let variance = workgroup_sum(lane, squares) / f32(params.k);
    if (lane == 0u) {
        out[row] = sqrt(variance + params.eps);
    }
}
