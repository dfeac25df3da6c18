// One dest row of attention, and where it finds its keys and values. `index` is the kernel's.
// Host twin: `AttnRow` in src/program.rs. Keep in sync; tests/it/shaders.rs compares the layouts.
struct AttnRow {
    q: u32,            // row of the query
    dest: u32,         // position of the query: it may look at src 0 to dest
    len: u32,          // number of src in its row of scores
    keys: u32,         // where the rows of its keys stand in the list of src rows
    values: u32,       // the same for its values
    score: u32,        // element of scores and patterns at which the first head's [src] begins
    score_stride: u32, // from one head's [src] to the next
    head: u32,         // the first head that is computed
}

fn attn_row(i: u32) -> AttnRow {
    let at = params.list + 8u * i;
    return AttnRow(
        index[at], index[at + 1u], index[at + 2u], index[at + 3u],
        index[at + 4u], index[at + 5u], index[at + 6u], index[at + 7u],
    );
}

// The row of q, k or v that entry `at` of the list of src rows names.
fn src_row(at: u32) -> u32 {
    return index[params.list_2 + at];
}
