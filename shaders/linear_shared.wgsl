// out = x W + b, then what `finish` does, for many rows on hardware, and k and n that are multiples of 4.
// A workgroup takes 64 rows × 64 columns through workgroup memory, 16 steps of k at a time; a thread holds 8 rows × 4
// columns in registers, so that each value read from memory serves 64 products.
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;          // [any, k / 4]
@group(0) @binding(3) var<storage, read> w: array<Weights4>;           // [plane, k, n / 4]
@group(0) @binding(4) var<storage, read> b: array<vec4<f32>>;          // [plane, n / 4]
@group(0) @binding(5) var<storage, read> residual: array<vec4<f32>>;   // [any, n / 4] where ADD
@group(0) @binding(6) var<storage, read_write> out: array<vec4<f32>>;  // [plane, rows, n / 4]

var<workgroup> xs: array<vec4<f32>, 256>; // [64 rows, 4 vectors of k]
var<workgroup> ws: array<vec4<f32>, 256>; // [16 k, 16 vectors of columns]

fn w_at(i: u32) -> vec4<f32> {
    return weights4(w[i]);
}

@compute @workgroup_size(16, 8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) lane: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let k4 = params.k / 4u;
    let n4 = params.n / 4u;
    let row = params.first_row + group.y * 64u;
    let col = params.first_col / 4u + group.x * 16u;
    let plane = (params.plane + group.z) * (params.w_plane / 4u);

    // Each thread fetches two vectors of x, of rows 32 apart, and two of W, 8 steps of k apart. Rows and columns past the
    // end read the last one again, and are not stored.
    let last = params.end_row - 1u;
    let q = thread % 4u;
    let x_a = x_row(min(row + thread / 4u, last)) * k4;
    let x_b = x_row(min(row + thread / 4u + 32u, last)) * k4;
    let w_col = plane + min(col + lane.x, n4 - 1u);
    var a{r} = vec4<f32>();

    for (var first = 0u; first < k4; first = first + 4u) {
        let i = min(first + q, k4 - 1u);
        let zero = vec4<f32>();
        xs[thread] = select(zero, x[x_a + i], first + q < k4);
        xs[thread + 128u] = select(zero, x[x_b + i], first + q < k4);
        let j = 4u * first + lane.y;
        ws[thread] = select(zero, w_at(min(j, params.k - 1u) * n4 + w_col), j < params.k);
        ws[thread + 128u] = select(zero, w_at(min(j + 8u, params.k - 1u) * n4 + w_col), j + 8u < params.k);
        workgroupBarrier();
        for (var s = 0u; s < 4u; s = s + 1u) {
            let at = 64u * s + lane.x;
            let block = mat4x4<f32>(ws[at], ws[at + 16u], ws[at + 32u], ws[at + 48u]);
            a{r} = a{r} + block * xs[(8u * lane.y + {r}u) * 4u + s];
        }
        workgroupBarrier();
    }

    for (var r = 0u; r < 8u; r = r + 1u) {
        var y = a0;
        y = select(y, a{r}, r == {r}u);
        let mine = row + 8u * lane.y + r;
        if (mine < params.end_row && col + lane.x < params.end_col / 4u) {
            finish(group.z, mine, col + lane.x, y);
        }
    }
}
