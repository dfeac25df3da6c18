// out = x W + b, then what `finish` does, for k and n that are multiples of 4; a plane of W for each z of the dispatch.
// A thread holds ROWS rows × VECTORS vectors of 4 columns in registers; there is no workgroup memory and no barrier,
// which software adapters are slow at. Their loads are slower still, so that large tiles win there.
// A template: a line with {r} stands once for every row, one with {c} once for every vector (src/backend/gpu/kernels.rs).
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;          // [any, k / 4]
@group(0) @binding(3) var<storage, read> w: array<Weights4>;           // [plane, k, n / 4]
@group(0) @binding(4) var<storage, read> b: array<vec4<f32>>;          // [plane, n / 4]
@group(0) @binding(5) var<storage, read> residual: array<vec4<f32>>;   // [any, n / 4] where ADD
@group(0) @binding(6) var<storage, read_write> out: array<vec4<f32>>;  // [plane, rows, n / 4]

fn w_at(i: u32) -> vec4<f32> {
    return weights4(w[i]);
}

@compute @workgroup_size(LANES, TALL)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) lane: vec3<u32>) {
    let k4 = params.k / 4u;
    let n4 = params.n / 4u;
    let row = params.first_row + (group.y * TALL + lane.y) * ROWS;
    let col = params.first_col / 4u + group.x * VECTORS * LANES + lane.x;
    if (row >= params.end_row || col >= params.end_col / 4u) {
        return;
    }

    // Rows and columns past the end read the last one again, and are not stored.
    let last = params.end_row - 1u;
    let plane = (params.plane + group.z) * (params.w_plane / 4u);
    let x{r} = x_row(min(row + {r}u, last)) * k4;
    let c{c} = plane + min(col + {c}u * LANES, n4 - 1u);
    var a{r}_{c} = vec4<f32>();

    // Four steps of k at a time: a 4 × 4 block of W, one row of W per column of the matrix, times 4 values of each row.
    for (var i = 0u; i < k4; i = i + 1u) {
        let at = 4u * i * n4;
        let w{c} = mat4x4<f32>(w_at(at + c{c}), w_at(at + n4 + c{c}), w_at(at + 2u * n4 + c{c}), w_at(at + 3u * n4 + c{c}));
        let v{r} = x[x{r} + i];
        a{r}_{c} = a{r}_{c} + w{c} * v{r};
    }

    // One row after the other through the same code, which would else stand here once for each.
    for (var r = 0u; r < ROWS && row + r < params.end_row; r = r + 1u) {
        var y{c} = a0_{c};
        y{c} = select(y{c}, a{r}_{c}, r == {r}u);
        if (col + {c}u * LANES < params.end_col / 4u) { finish(group.z, row + r, col + {c}u * LANES, y{c}); }
    }
}
