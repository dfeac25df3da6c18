// out = (x − mean x) / sqrt(mean((x − mean x)²) + eps), then · w + b where LayerNorm is not folded. 16 threads share a row.
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;          // [any, k]
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
    let row = params.first_row + thread_index(group, groups, lane) / SHARE;
    let start = pick(params.x_list, params.x_first, min(row, params.end_row - 1u)) * params.k;
    let first = lane % SHARE;

    // Mean.
    var sum = 0.0;
    for (var i = first; i < params.k; i = i + SHARE) {
        sum = sum + x[start + i];
    }
    let mean = shared_sum(lane, sum) / f32(params.k);

    // Mean square of what is left: a second pass, as E[x²] − mean² would cancel.
    var squares = 0.0;
    for (var i = first; i < params.k; i = i + SHARE) {
        let centred = x[start + i] - mean;
        squares = squares + centred * centred;
    }
    let scale = sqrt(shared_sum(lane, squares) / f32(params.k) + params.eps);
    if (row >= params.end_row) {
        return;
    }

    // Apply.
    for (var i = first; i < params.k; i = i + SHARE) {
        var y = (x[start + i] - mean) / scale;
        if (params.mode == AFFINE) {
            y = y * w[i] + b[i];
        }
        out[row * params.k + i] = y;
    }
}
