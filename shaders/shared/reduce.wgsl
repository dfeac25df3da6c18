// Reductions over the 64 threads of a workgroup, as a tree of fixed shape: the same input gives the same bits.
// Needs shared/grid.wgsl. To be called by all threads together; each receives the result.
var<workgroup> values: array<f32, 64>;

fn workgroup_sum(lane: u32, value: f32) -> f32 {
    values[lane] = value;
    workgroupBarrier();
    for (var width = GROUP / 2u; width > 0u; width = width / 2u) {
        if (lane < width) {
            values[lane] = values[lane] + values[lane + width];
        }
        workgroupBarrier();
    }
    let total = values[0];
    workgroupBarrier(); // everyone has read before the next reduction writes
    return total;
}

fn workgroup_max(lane: u32, value: f32) -> f32 {
    values[lane] = value;
    workgroupBarrier();
    for (var width = GROUP / 2u; width > 0u; width = width / 2u) {
        if (lane < width) {
            values[lane] = max(values[lane], values[lane + width]);
        }
        workgroupBarrier();
    }
    let largest = values[0];
    workgroupBarrier();
    return largest;
}
