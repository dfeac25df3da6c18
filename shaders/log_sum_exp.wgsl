// Folds a tile of logits into each row's running (max, sum of exp(logit − max), target's logit). One workgroup per row:
// each thread takes every 64th logit against its own maximum, and one thread puts the 64 results together in order.
@group(0) @binding(1) var<storage, read> index: array<u32>;      // [rows] from params.list: target tokens
@group(0) @binding(2) var<storage, read> tile: array<f32>;       // [rows, n]: logits of tokens first..first + n
@group(0) @binding(3) var<storage, read_write> out: array<f32>;  // [rows, 3]

const RESET = 1u; // params.mode: the first tile

var<workgroup> largests: array<f32, 64>;
var<workgroup> sums: array<f32, 64>;

// Two pairs of (max, sum of exp(logit − max)) as one.
fn fold(running: vec3<f32>, largest: f32, sum: f32) -> vec3<f32> {
    let most = max(running.x, largest);
    return vec3<f32>(most, running.y * exp(running.x - most) + sum * exp(largest - most), running.z);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = params.first_row + group_index(group, groups);
    if (row >= params.end_row) {
        return;
    }
    let start = row * params.n;

    // This thread's logits: the largest, then the sum of exponentials; 0 for a thread without any.
    var largest = tile[start + min(lane, params.n - 1u)];
    for (var i = lane + GROUP; i < params.n; i = i + GROUP) {
        largest = max(largest, tile[start + i]);
    }
    var sum = 0.0;
    for (var i = lane; i < params.n; i = i + GROUP) {
        sum = sum + exp(tile[start + i] - largest);
    }
    largests[lane] = largest;
    sums[lane] = sum;
    workgroupBarrier();
    if (lane != 0u) {
        return;
    }

    // All threads', and what the tiles before gave.
    var running = vec3<f32>(largest, sum, 0.0);
    for (var i = 1u; i < GROUP; i = i + 1u) {
        running = fold(running, largests[i], sums[i]);
    }
    if (params.mode != RESET) {
        let before = vec3<f32>(out[3u * row], out[3u * row + 1u], out[3u * row + 2u]);
        running = fold(before, running.x, running.y);
    }
    let target_token = index[params.list + row];
    if (target_token >= params.first && target_token < params.first + params.n) {
        running.z = tile[start + target_token - params.first];
    }
    out[3u * row] = running.x;
    out[3u * row + 1u] = running.y;
    out[3u * row + 2u] = running.z;
}
