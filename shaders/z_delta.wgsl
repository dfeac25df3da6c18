// out[out_first + row] = out[base] + sum over the row's changes of (z_new − z_old) W_O[head]. A thread has 4 columns of a
// row, 64 apart. The host makes sure that no base is written.
// Host twins: `DeltaRow` and `HeadChange` in src/program.rs, three words each.
@group(0) @binding(1) var<storage, read> index: array<u32>;      // (base, first, end) from params.list; (head, z_new, z_old) from params.list_2
@group(0) @binding(2) var<storage, read> z: array<f32>;          // [any]
@group(0) @binding(3) var<storage, read> w: array<Weight>;       // [head, k, n]
@group(0) @binding(4) var<storage, read_write> out: array<f32>;  // [any, n]

const ZERO = 0xffffffffu; // as z_new

fn w_at(i: u32) -> f32 {
    return weight(w[slot(i)], i);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = params.first_row + group.y;
    let col = params.first_col + group.x * 256u + lane;
    if (row >= params.end_row || col >= params.end_col) {
        return;
    }
    let last = params.end_col - 1u;
    let c0 = col;
    let c1 = min(col + 64u, last);
    let c2 = min(col + 128u, last);
    let c3 = min(col + 192u, last);
    let base = index[params.list + 3u * row];
    let first = index[params.list + 3u * row + 1u];
    let end = index[params.list + 3u * row + 2u];

    var sum = vec4<f32>();
    for (var change = first; change < end; change = change + 1u) {
        let at = params.list_2 + 3u * change;
        let head = index[at];
        let z_new = index[at + 1u];
        let z_old = index[at + 2u];
        for (var i = 0u; i < params.k; i = i + 1u) {
            var delta = -z[z_old + i];
            if (z_new != ZERO) {
                delta = z[z_new + i] + delta;
            }
            let w_row = (head * params.k + i) * params.n;
            sum = sum + delta * vec4<f32>(w_at(w_row + c0), w_at(w_row + c1), w_at(w_row + c2), w_at(w_row + c3));
        }
    }

    let from_row = base * params.n;
    let to_row = (params.out_first + row) * params.n;
    out[to_row + c0] = out[from_row + c0] + sum.x;
    if (col + 64u <= last) { out[to_row + c1] = out[from_row + c1] + sum.y; }
    if (col + 128u <= last) { out[to_row + c2] = out[from_row + c2] + sum.z; }
    if (col + 192u <= last) { out[to_row + c3] = out[from_row + c3] + sum.w; }
}
