// out = (x - mean x) / scale, then · w + b where LayerNorm is not folded. One workgroup per row.
// The scale is read back, not computed again: an experiment may have edited it.
@group(0) @binding(1) var<storage, read> x: array<f32>;          // [rows, k]
@group(0) @binding(2) var<storage, read> scale: array<f32>;      // [rows]
@group(0) @binding(3) var<storage, read> w: array<f32>;          // [k] where AFFINE
@group(0) @binding(4) var<storage, read> b: array<f32>;          // [k] where AFFINE
@group(0) @binding(5) var<storage, read_write> out: array<f32>;  // [rows, k]

const AFFINE = 1u; // params.mode

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

    // Apply.
    let divisor = scale[row];
    for (var i = lane; i < params.k; i = i + GROUP) {
        var y = (x[start + i] - mean) / divisor;
        if (params.mode == AFFINE) {
            y = y * w[i] + b[i];
        }
        out[start + i] = y;
    }
}
