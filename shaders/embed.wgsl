// out[row] = W_E[token[row]] - mean[token[row]], + W_pos[pos[row]] where WITH_POS, from one shard of W_E; tokens of other shards are left to
// their dispatches.
@group(0) @binding(1) var<storage, read> index: array<u32>;      // [rows] tokens from params.list, positions from params.list_2
@group(0) @binding(2) var<storage, read> table: array<Weight>;   // [n, k]: tokens shard..shard + n
@group(0) @binding(3) var<storage, read> means: array<f32>;      // [tokens of all shards]
@group(0) @binding(4) var<storage, read> w_pos: array<f32>;      // [n_ctx, k] where WITH_POS
@group(0) @binding(5) var<storage, read_write> out: array<f32>;  // [rows, k]

const WITH_POS = 1u; // params.mode

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
    let token = index[params.list + i / params.k];
    if (token < params.shard || token >= params.shard + params.n) {
        return;
    }
    let at = (token - params.shard) * params.k + i % params.k;
    var y = weight(table[slot(at)], at) - means[token];
    if (params.mode == WITH_POS) {
        y = y + w_pos[index[params.list_2 + i / params.k] * params.k + i % params.k];
    }
    out[i] = y;
}
