// How a matrix of weights lies in its buffer, here as f32; weights_f16.wgsl gives the same names to halves.
alias Weight = f32;         // what holds one weight, and perhaps its neighbour
alias Weights4 = vec4<f32>; // 4 neighbours

// Where the holder of weight `i` stands.
fn slot(i: u32) -> u32 {
    return i;
}

fn weight(held: Weight, i: u32) -> f32 {
    return held;
}

fn weights4(held: Weights4) -> vec4<f32> {
    return held;
}
