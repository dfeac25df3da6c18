// What one dispatch works on; each kernel reads the fields it needs.
// Host twin: `Params` in src/backend/gpu/params.rs. Keep in sync; tests/it/shaders.rs compares the layouts.
struct Params {
    first_row: u32, // the dispatch covers rows first_row..end_row
    end_row: u32,
    first_col: u32, // and columns first_col..end_col of its output, where it is a matrix product
    end_col: u32,
    heads: u32,
    k: u32,         // width of an input row
    n: u32,         // width of an output row; rows of a table shard; targets of a vocabulary tile
    first: u32,     // first token of the vocabulary tile
    shard: u32,     // first row of the bound shard of W_E or W_U
    list: u32,      // where the op's own list starts in `index`
    mode: u32,      // a switch; the kernel names its values
    scale: f32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
