// out = x W_U[first..first + n]ᵀ + b_U[first..first + n], for k that is a multiple of 4.
// W_U keeps one row per token, so this is a product of rows with rows. A thread holds ROWS rows × VECTORS vectors of 4
// tokens in registers, its tokens LANES apart.
// A template: a line with {r} stands once for every row, one with {c} once for every vector (src/backend/gpu/kernels.rs).
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;    // [rows, k / 4]
@group(0) @binding(2) var<storage, read> w: array<Weights4>;     // [tokens from params.shard, k / 4]
@group(0) @binding(3) var<storage, read> b: array<f32>;          // [d_vocab]
@group(0) @binding(4) var<storage, read_write> out: array<f32>;  // [rows, n]

fn w_at(i: u32) -> vec4<f32> {
    return weights4(w[i]);
}

fn store(row: u32, col: u32, value: f32) {
    if (col < params.end_col) {
        out[row * params.n + col] = value + b[params.first + col];
    }
}

// Where the row of W_U for a column begins; one past the end reads the last one again, and is not stored.
fn w_row(col: u32) -> u32 {
    return (params.first - params.shard + min(col, params.end_col - 1u)) * (params.k / 4u);
}

@compute @workgroup_size(LANES, TALL)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) lane: vec3<u32>) {
    let k4 = params.k / 4u;
    let row = params.first_row + (group.y * TALL + lane.y) * ROWS;
    let col = params.first_col + group.x * 4u * VECTORS * LANES + lane.x;
    if (row >= params.end_row || col >= params.end_col) {
        return;
    }
    let last = params.end_row - 1u;
    let x{r} = min(row + {r}u, last) * k4;
    let t{c}_0 = w_row(col + (4u * {c}u) * LANES);
    let t{c}_1 = w_row(col + (4u * {c}u + 1u) * LANES);
    let t{c}_2 = w_row(col + (4u * {c}u + 2u) * LANES);
    let t{c}_3 = w_row(col + (4u * {c}u + 3u) * LANES);
    var a{r}_{c} = vec4<f32>();

    // Four steps of k at a time: 4 values of each row with a block of 4 tokens × 4 values, one token per column.
    for (var i = 0u; i < k4; i = i + 1u) {
        let w{c} = mat4x4<f32>(w_at(t{c}_0 + i), w_at(t{c}_1 + i), w_at(t{c}_2 + i), w_at(t{c}_3 + i));
        let v{r} = x[x{r} + i];
        a{r}_{c} = a{r}_{c} + v{r} * w{c};
    }

    for (var r = 0u; r < ROWS && row + r < params.end_row; r = r + 1u) {
        var y{c} = a0_{c};
        y{c} = select(y{c}, a{r}_{c}, r == {r}u);
        store(row + r, col + (4u * {c}u) * LANES, y{c}.x);
        store(row + r, col + (4u * {c}u + 1u) * LANES, y{c}.y);
        store(row + r, col + (4u * {c}u + 2u) * LANES, y{c}.z);
        store(row + r, col + (4u * {c}u + 3u) * LANES, y{c}.w);
    }
}
