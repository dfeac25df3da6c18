// out[out_first + row] = a + b, rows of k; an operand may be `out` itself, of which the host makes sure that no row that
// is read is written.
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read> a: array<f32>;          // [any, k] unless A_IS_OUT
@group(0) @binding(3) var<storage, read> b: array<f32>;          // [any, k] unless B_IS_OUT
@group(0) @binding(4) var<storage, read_write> out: array<f32>;  // [any, k]

const A_IS_OUT = 1u; // params.mode, added up
const B_IS_OUT = 2u;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = params.first_row * params.k + thread_index(group, groups, lane);
    if (i >= params.end_row * params.k) {
        return;
    }
    let row = i / params.k;
    let col = i % params.k;
    let a_at = pick(params.x_list, params.x_first, row) * params.k + col;
    let b_at = pick(params.add_list, params.add_first, row) * params.k + col;
    var left: f32;
    var right: f32;
    if ((params.mode & A_IS_OUT) != 0u) { left = out[a_at]; } else { left = a[a_at]; }
    if ((params.mode & B_IS_OUT) != 0u) { right = out[b_at]; } else { right = b[b_at]; }
    out[params.out_first * params.k + i] = left + right;
}
