// What one dispatch works on; each kernel reads the fields it needs.
// Host twin: `Params` in src/backend/gpu/params.rs. Keep in sync; tests/it/shaders.rs compares the layouts.
struct Params {
    first_row: u32,  // the dispatch covers rows first_row..end_row
    end_row: u32,
    first_col: u32,  // and columns first_col..end_col of its output, where it is a matrix product
    end_col: u32,
    heads: u32,      // heads of a row of the output
    all_heads: u32,  // heads of a row of q, k, v and old z
    k: u32,          // width of an input row
    n: u32,          // width of an output row; rows of a table shard; targets of a vocabulary tile
    first: u32,      // first token of the vocabulary tile
    shard: u32,      // first row of the bound shard of W_E or W_U
    list: u32,       // where the op's own list starts in `index`
    list_2: u32,     // where its second list starts
    x_list: u32,     // row i of x is index[x_list + i], or x_first + i where x_list is NONE
    x_first: u32,
    add_list: u32,   // the same for what is added
    add_first: u32,
    out_first: u32,  // first row (first element, in attention) that is written
    plane: u32,      // first of the planes that the dispatch works on
    w_plane: u32,    // elements from one plane of the weights to the next
    b_plane: u32,    // of the biases
    out_plane: u32,  // of the output
    mode: u32,       // a switch; the kernel names its values
    scale: f32,
    eps: f32,
}

const NONE = 0xffffffffu;

@group(0) @binding(0) var<uniform> params: Params;
