// A sum over 16 neighbouring threads of a workgroup of 64, in the order of the threads: the same input gives the same
// bits. One barrier before reading and one after, as software adapters pay for each; a tree would need one a level.
// To be called by all threads together; all that share receive the result.
const SHARE = 16u; // threads that share a row: 4 rows a workgroup

var<workgroup> values: array<f32, 64>;

fn shared_sum(lane: u32, value: f32) -> f32 {
    values[lane] = value;
    workgroupBarrier();
    let first = lane / SHARE * SHARE;
    var total = values[first];
    for (var i = 1u; i < SHARE; i = i + 1u) {
        total = total + values[first + i];
    }
    workgroupBarrier(); // everyone has read before the next reduction writes
    return total;
}
