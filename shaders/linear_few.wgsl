// out = x W + b, then what `finish` does, for few rows, and k and n that are multiples of 4.
// With few rows there is little to compute and W to read, so the columns alone do not fill a GPU: k is shared out among 8
// threads, each with 4 rows × 4 columns in registers, whose sums are then added in order.
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;          // [any, k / 4]
@group(0) @binding(3) var<storage, read> w: array<Weights4>;           // [plane, k, n / 4]
@group(0) @binding(4) var<storage, read> b: array<vec4<f32>>;          // [plane, n / 4]
@group(0) @binding(5) var<storage, read> residual: array<vec4<f32>>;   // [any, n / 4] where ADD
@group(0) @binding(6) var<storage, read_write> out: array<vec4<f32>>;  // [plane, rows, n / 4]

const LANES = 16u; // threads side by side: a workgroup covers 16 vectors, 64 columns
const SLICES = 8u; // threads that share k

var<workgroup> sums: array<array<array<vec4<f32>, 16>, 8>, 4>; // [row, slice, lane]

fn w_at(i: u32) -> vec4<f32> {
    return weights4(w[i]);
}

@compute @workgroup_size(16, 8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) lane: vec3<u32>) {
    let k4 = params.k / 4u;
    let n4 = params.n / 4u;
    let row = params.first_row + group.y * 4u;
    let col = params.first_col / 4u + group.x * LANES + lane.x;

    // Rows and columns past the end read the last one again, and are not stored.
    let last = params.end_row - 1u;
    let x0 = x_row(min(row, last)) * k4;
    let x1 = x_row(min(row + 1u, last)) * k4;
    let x2 = x_row(min(row + 2u, last)) * k4;
    let x3 = x_row(min(row + 3u, last)) * k4;
    let near = (params.plane + group.z) * (params.w_plane / 4u) + min(col, n4 - 1u);
    var a0 = vec4<f32>(); var a1 = vec4<f32>(); var a2 = vec4<f32>(); var a3 = vec4<f32>();

    // This thread's slice of k, four steps at a time: a 4 × 4 block of W times 4 values of each row.
    for (var i = lane.y; i < k4; i = i + SLICES) {
        let at = 4u * i * n4 + near;
        let block = mat4x4<f32>(w_at(at), w_at(at + n4), w_at(at + 2u * n4), w_at(at + 3u * n4));
        a0 = a0 + block * x[x0 + i];
        a1 = a1 + block * x[x1 + i];
        a2 = a2 + block * x[x2 + i];
        a3 = a3 + block * x[x3 + i];
    }
    sums[0][lane.y][lane.x] = a0;
    sums[1][lane.y][lane.x] = a1;
    sums[2][lane.y][lane.x] = a2;
    sums[3][lane.y][lane.x] = a3;
    workgroupBarrier();

    // The first 4 threads add up one row each.
    let mine = row + lane.y;
    if (lane.y < 4u && mine < params.end_row && col < params.end_col / 4u) {
        var sum = sums[lane.y][0][lane.x];
        for (var slice = 1u; slice < SLICES; slice = slice + 1u) {
            sum = sum + sums[lane.y][slice][lane.x];
        }
        finish(group.z, mine, col, sum);
    }
}
