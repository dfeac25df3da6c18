// The MLP's activation, elementwise
@group(0) @binding(1) var<storage, read> x: array<f32>;          // [rows, k]
@group(0) @binding(2) var<storage, read_write> out: array<f32>;  // [rows, k]

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
    out[i] = activate(params.mode, x[i]);
}
