// out[i] = logit(correct[i]) − logit(incorrect[i]) of row x_row[i], from two rows of W_U. 16 threads share one; one
// dispatch per shard of W_U, each adding what its tokens give.
@group(0) @binding(1) var<storage, read> index: array<u32>;      // [rows, (correct, incorrect)] from params.list
@group(0) @binding(2) var<storage, read> x: array<f32>;          // [any, k]
@group(0) @binding(3) var<storage, read> w: array<Weight>;       // [n, k]: tokens shard..shard + n
@group(0) @binding(4) var<storage, read> b: array<f32>;          // [d_vocab]
@group(0) @binding(5) var<storage, read_write> out: array<f32>;  // [rows]

const FIRST_SHARD = 1u; // params.mode, added up: out starts at 0
const LAST_SHARD = 2u;  // the biases are added

fn w_at(i: u32) -> f32 {
    return weight(w[slot(i)], i);
}

fn here(token: u32) -> bool {
    return token >= params.shard && token < params.shard + params.n;
}

// The part of x[x_row]·(W_U[correct] − W_U[incorrect]) that starts at `first`; a token of another shard counts as 0. The
// difference comes first: what the two rows have in common is large, and would only be rounded.
fn part(x_row: u32, correct: u32, incorrect: u32, first: u32) -> f32 {
    let plus = select(0u, correct - params.shard, here(correct)) * params.k;
    let minus = select(0u, incorrect - params.shard, here(incorrect)) * params.k;
    var sum = 0.0;
    for (var i = first; i < params.k; i = i + SHARE) {
        let direction = select(0.0, w_at(plus + i), here(correct)) - select(0.0, w_at(minus + i), here(incorrect));
        sum = sum + x[x_row * params.k + i] * direction;
    }
    return sum;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = params.first_row + thread_index(group, groups, lane) / SHARE;
    let near = min(row, params.end_row - 1u); // rows past the end read the last one again, and are not stored
    let correct = index[params.list + 2u * near];
    let incorrect = index[params.list + 2u * near + 1u];
    let x_row = pick(params.x_list, params.x_first, near);
    let mine = shared_sum(lane, part(x_row, correct, incorrect, lane % SHARE));
    if (lane % SHARE == 0u && row < params.end_row) {
        var sum = mine;
        if ((params.mode & FIRST_SHARD) == 0u) {
            sum = out[row] + sum;
        }
        if ((params.mode & LAST_SHARD) != 0u) {
            sum = sum + (b[correct] - b[incorrect]);
        }
        out[row] = sum;
    }
}
