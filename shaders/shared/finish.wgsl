// What a matrix product does with 4 neighbouring columns of a row before it stores them: bias, then by params.mode the
// activation or the residual stream. `index`, `b`, `residual` and `out` are the kernel's.
const ACTIVATE = 4u; // with an activation's number in the low bits
const ADD = 8u;      // rows of `residual` are added

fn x_row(i: u32) -> u32 {
    return pick(params.x_list, params.x_first, i);
}

// `plane` is the one among those of the dispatch; `col` counts vectors.
fn finish(plane: u32, row: u32, col: u32, sum: vec4<f32>) {
    let n4 = params.n / 4u;
    var y = sum + b[(params.plane + plane) * (params.b_plane / 4u) + col];
    if ((params.mode & ACTIVATE) != 0u) {
        let kind = params.mode & 3u;
        y = vec4<f32>(activate(kind, y.x), activate(kind, y.y), activate(kind, y.z), activate(kind, y.w));
    } else if ((params.mode & ADD) != 0u) {
        y = residual[pick(params.add_list, params.add_first, row) * n4 + col] + y;
    }
    out[(params.plane + plane) * (params.out_plane / 4u) + row * n4 + col] = y;
}
