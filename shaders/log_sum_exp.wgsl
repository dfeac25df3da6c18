// Folds a tile of logits into each row's running (max, sum of exp(logit − max), target's logit). One workgroup per row.
@group(0) @binding(1) var<storage, read> index: array<u32>;      // [rows] from params.list: target tokens
@group(0) @binding(2) var<storage, read> tile: array<f32>;       // [rows, n]: logits of tokens first..first + n
@group(0) @binding(3) var<storage, read_write> out: array<f32>;  // [rows, 3]

const RESET = 1u; // params.mode: the first tile
const LOWEST = -3.4e38;

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

    // Largest logit of the tile.
    var largest = LOWEST;
    for (var i = lane; i < params.n; i = i + GROUP) {
        largest = max(largest, tile[start + i]);
    }
    largest = max_over(GROUP, lane, largest);

    // Sum of exponentials of the tile.
    var sum = 0.0;
    for (var i = lane; i < params.n; i = i + GROUP) {
        sum = sum + exp(tile[start + i] - largest);
    }
    sum = sum_over(GROUP, lane, sum);

    // Fold into the running values; one thread, as they are three numbers.
    if (lane == 0u) {
        let target_token = index[params.list + row];
        var running = vec3<f32>(largest, sum, 0.0);
        if (params.mode != RESET) {
            let before = vec3<f32>(out[3u * row], out[3u * row + 1u], out[3u * row + 2u]);
            let most = max(before.x, largest);
            running = vec3<f32>(most, before.y * exp(before.x - most) + sum * exp(largest - most), before.z);
        }
        if (target_token >= params.first && target_token < params.first + params.n) {
            running.z = tile[start + target_token - params.first];
        }
        out[3u * row] = running.x;
        out[3u * row + 1u] = running.y;
        out[3u * row + 2u] = running.z;
    }
}
