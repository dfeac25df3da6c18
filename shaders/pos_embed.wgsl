// out[row] = W_pos[pos[row]]
@group(0) @binding(1) var<storage, read> index: array<u32>;      // [rows] positions from params.list
@group(0) @binding(2) var<storage, read> w_pos: array<Weight>;   // [n_ctx, k]
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
    let at = index[params.list + i / params.k] * params.k + i % params.k;
    out[i] = weight(w_pos[slot(at)], at);
}
