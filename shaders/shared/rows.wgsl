// One token of one run.
// Host twin: `Row` in src/program.rs. Keep in sync; tests/it/shaders.rs compares the layouts.
struct Row {
    pos: u32,         // position in its run (dest)
    len: u32,         // number of tokens of its run
    first_row: u32,   // row of its run's first token
    first_score: u32, // element at which its run's [head, dest, src] block starts in scores and patterns
}

// Where the scores of `head` start for this row: [src] of its run's [head, dest, src].
fn score_start(row: Row, head: u32) -> u32 {
    return row.first_score + (head * row.len + row.pos) * row.len;
}
