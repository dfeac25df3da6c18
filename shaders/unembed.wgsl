// out = x W_U[first..first + n]ᵀ + b_U[first..first + n], for k that is a multiple of 4.
// W_U keeps one row per token, so this is a product of rows with rows. A thread holds 8 rows × 4 tokens in registers.
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;    // [rows, k / 4]
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;    // [tokens from params.shard, k / 4]
@group(0) @binding(3) var<storage, read> b: array<f32>;          // [d_vocab]
@group(0) @binding(4) var<storage, read_write> out: array<f32>;  // [rows, n]

const LANES = 16u; // threads side by side: a workgroup covers 4 · 16 = 64 tokens
const TALL = 4u;   // threads one above the other: 4 · 8 = 32 rows

fn store(row: u32, col: u32, value: f32) {
    if (row < params.end_row && col < params.end_col) {
        out[row * params.n + col] = value + b[params.first + col];
    }
}

fn store4(row: u32, col: u32, value: vec4<f32>) {
    store(row, col, value.x);
    store(row, col + LANES, value.y);
    store(row, col + 2u * LANES, value.z);
    store(row, col + 3u * LANES, value.w);
}

@compute @workgroup_size(16, 4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) lane: vec3<u32>) {
    let k4 = params.k / 4u;
    let row = params.first_row + (group.y * TALL + lane.y) * 8u;
    let col = params.first_col + group.x * 4u * LANES + lane.x;
    if (row >= params.end_row || col >= params.end_col) {
        return;
    }

    // Rows and tokens past the end read the last one again, and are not stored.
    let last = params.end_row - 1u;
    let r0 = row * k4;
    let r1 = min(row + 1u, last) * k4;
    let r2 = min(row + 2u, last) * k4;
    let r3 = min(row + 3u, last) * k4;
    let r4 = min(row + 4u, last) * k4;
    let r5 = min(row + 5u, last) * k4;
    let r6 = min(row + 6u, last) * k4;
    let r7 = min(row + 7u, last) * k4;
    let base = params.first - params.shard;
    let last_col = params.end_col - 1u;
    let w0 = (base + col) * k4;
    let w1 = (base + min(col + LANES, last_col)) * k4;
    let w2 = (base + min(col + 2u * LANES, last_col)) * k4;
    let w3 = (base + min(col + 3u * LANES, last_col)) * k4;
    var a0 = vec4<f32>(); var a1 = vec4<f32>(); var a2 = vec4<f32>(); var a3 = vec4<f32>();
    var a4 = vec4<f32>(); var a5 = vec4<f32>(); var a6 = vec4<f32>(); var a7 = vec4<f32>();

    // Four steps of k at a time: 4 values of each row with a block of 4 tokens × 4 values.
    for (var i = 0u; i < k4; i = i + 1u) {
        let block = mat4x4<f32>(w[w0 + i], w[w1 + i], w[w2 + i], w[w3 + i]); // one token per column
        a0 = a0 + x[r0 + i] * block;
        a1 = a1 + x[r1 + i] * block;
        a2 = a2 + x[r2 + i] * block;
        a3 = a3 + x[r3 + i] * block;
        a4 = a4 + x[r4 + i] * block;
        a5 = a5 + x[r5 + i] * block;
        a6 = a6 + x[r6 + i] * block;
        a7 = a7 + x[r7 + i] * block;
    }

    store4(row, col, a0);
    store4(row + 1u, col, a1);
    store4(row + 2u, col, a2);
    store4(row + 3u, col, a3);
    store4(row + 4u, col, a4);
    store4(row + 5u, col, a5);
    store4(row + 6u, col, a6);
    store4(row + 7u, col, a7);
}
