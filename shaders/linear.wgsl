// out = x W + b, for k and n that are multiples of 4.
// A thread holds 8 rows × 2 vectors of 4 columns in registers; there is no workgroup memory and no barrier, which
// software adapters are slow at. Neighbouring threads read neighbouring vectors of W.
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;          // [rows, k / 4]
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;          // [k, n / 4]
@group(0) @binding(3) var<storage, read> b: array<vec4<f32>>;          // [n / 4]
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;  // [rows, n / 4]

const LANES = 16u; // threads side by side: a workgroup covers 2 · 16 vectors, 128 columns
const TALL = 4u;   // threads one above the other: 4 · 8 = 32 rows

// Columns 4 col..4 col + 4 of rows 4 i..4 i + 4 of W, one row of W per column of the matrix.
fn block(i: u32, col: u32, n4: u32) -> mat4x4<f32> {
    let at = 4u * i * n4 + col;
    return mat4x4<f32>(w[at], w[at + n4], w[at + 2u * n4], w[at + 3u * n4]);
}

fn store(row: u32, col: u32, n4: u32, value: vec4<f32>) {
    if (row < params.end_row && col < params.end_col / 4u) {
        out[row * n4 + col] = value + b[col];
    }
}

@compute @workgroup_size(16, 4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) lane: vec3<u32>) {
    let k4 = params.k / 4u;
    let n4 = params.n / 4u;
    let row = params.first_row + (group.y * TALL + lane.y) * 8u;
    let col_a = params.first_col / 4u + group.x * 2u * LANES + lane.x;
    let col_b = col_a + LANES;
    if (row >= params.end_row || col_a >= params.end_col / 4u) {
        return;
    }

    // Rows and columns past the end read the last one again, and are not stored.
    let last = params.end_row - 1u;
    let near_b = min(col_b, n4 - 1u);
    let r0 = row * k4;
    let r1 = min(row + 1u, last) * k4;
    let r2 = min(row + 2u, last) * k4;
    let r3 = min(row + 3u, last) * k4;
    let r4 = min(row + 4u, last) * k4;
    let r5 = min(row + 5u, last) * k4;
    let r6 = min(row + 6u, last) * k4;
    let r7 = min(row + 7u, last) * k4;
    var a0 = vec4<f32>(); var a1 = vec4<f32>(); var a2 = vec4<f32>(); var a3 = vec4<f32>();
    var a4 = vec4<f32>(); var a5 = vec4<f32>(); var a6 = vec4<f32>(); var a7 = vec4<f32>();
    var b0 = vec4<f32>(); var b1 = vec4<f32>(); var b2 = vec4<f32>(); var b3 = vec4<f32>();
    var b4 = vec4<f32>(); var b5 = vec4<f32>(); var b6 = vec4<f32>(); var b7 = vec4<f32>();

    // Four steps of k at a time: a 4 × 4 block of W times 4 values of each row.
    for (var i = 0u; i < k4; i = i + 1u) {
        let wa = block(i, col_a, n4);
        let wb = block(i, near_b, n4);
        let x0 = x[r0 + i]; a0 = a0 + wa * x0; b0 = b0 + wb * x0;
        let x1 = x[r1 + i]; a1 = a1 + wa * x1; b1 = b1 + wb * x1;
        let x2 = x[r2 + i]; a2 = a2 + wa * x2; b2 = b2 + wb * x2;
        let x3 = x[r3 + i]; a3 = a3 + wa * x3; b3 = b3 + wb * x3;
        let x4 = x[r4 + i]; a4 = a4 + wa * x4; b4 = b4 + wb * x4;
        let x5 = x[r5 + i]; a5 = a5 + wa * x5; b5 = b5 + wb * x5;
        let x6 = x[r6 + i]; a6 = a6 + wa * x6; b6 = b6 + wb * x6;
        let x7 = x[r7 + i]; a7 = a7 + wa * x7; b7 = b7 + wb * x7;
    }

    store(row, col_a, n4, a0); store(row, col_b, n4, b0);
    store(row + 1u, col_a, n4, a1); store(row + 1u, col_b, n4, b1);
    store(row + 2u, col_a, n4, a2); store(row + 2u, col_b, n4, b2);
    store(row + 3u, col_a, n4, a3); store(row + 3u, col_b, n4, b3);
    store(row + 4u, col_a, n4, a4); store(row + 4u, col_b, n4, b4);
    store(row + 5u, col_a, n4, a5); store(row + 5u, col_b, n4, b5);
    store(row + 6u, col_a, n4, a6); store(row + 6u, col_b, n4, b6);
    store(row + 7u, col_a, n4, a7); store(row + 7u, col_b, n4, b7);
}
