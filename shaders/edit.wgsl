// Elements dst..dst + len of a buffer become zero, or scale times src..src + len of another or of itself; one row of
// workgroups per segment. All segments run at once: the host refuses a list in which one reads what another writes.
// Host twin of a segment: `Segment` in src/program.rs, four words each.
@group(0) @binding(1) var<storage, read> index: array<u32>;        // [segment, (dst, src, len, scale)] from params.list
@group(0) @binding(2) var<storage, read> other: array<u32>;        // f32 bits, where FROM_OTHER
@group(0) @binding(3) var<storage, read_write> buf: array<u32>;    // f32 bits: edited scores may hold infinities

const ZERO = 0xffffffffu; // as src
const FROM_OTHER = 1u;    // params.mode

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let segment = params.first_row + group.y;
    if (segment >= params.end_row) {
        return;
    }
    let dst = index[params.list + 4u * segment];
    let src = index[params.list + 4u * segment + 1u];
    let len = index[params.list + 4u * segment + 2u];
    let scale = bitcast<f32>(index[params.list + 4u * segment + 3u]);
    for (var i = group.x * 64u + lane; i < len; i = i + groups.x * 64u) {
        var bits = 0u;
        if (src != ZERO) {
            if (params.mode == FROM_OTHER) { bits = other[src + i]; } else { bits = buf[src + i]; }
            // A copy is bit for bit, infinities included.
            if (scale != 1.0) {
                bits = bitcast<u32>(bitcast<f32>(bits) * scale);
            }
        }
        buf[dst + i] = bits;
    }
}
