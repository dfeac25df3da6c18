// How a matrix of weights lies in its buffer, here as halves, two to a word, the earlier in the low bits. All arithmetic
// is f32, so that no adapter needs 16-bit numbers.
alias Weight = u32;         // two neighbours
alias Weights4 = vec2<u32>; // 4 neighbours

// Where the holder of weight `i` stands.
fn slot(i: u32) -> u32 {
    return i / 2u;
}

fn weight(held: Weight, i: u32) -> f32 {
    let both = unpack2x16float(held);
    return select(both.x, both.y, i % 2u == 1u);
}

fn weights4(held: Weights4) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(held.x), unpack2x16float(held.y));
}
