// Sums and maxima over neighbouring threads of a workgroup of 64, in the order of the threads: the same input gives the
// same bits. One barrier before reading and one after, as software adapters pay for each; a tree would need six.
// To be called by all threads together; all that share receive the result.
const SHARE = 16u; // threads that share a row, where a kernel has many short rows: 4 rows a workgroup

var<workgroup> values: array<f32, 64>;

fn sum_over(share: u32, lane: u32, value: f32) -> f32 {
    values[lane] = value;
    workgroupBarrier();
    let first = lane / share * share;
    var total = values[first];
    for (var i = 1u; i < share; i = i + 1u) {
        total = total + values[first + i];
    }
    workgroupBarrier(); // everyone has read before the next reduction writes
    return total;
}

fn max_over(share: u32, lane: u32, value: f32) -> f32 {
    values[lane] = value;
    workgroupBarrier();
    let first = lane / share * share;
    var largest = values[first];
    for (var i = 1u; i < share; i = i + 1u) {
        largest = max(largest, values[first + i]);
    }
    workgroupBarrier();
    return largest;
}
