// Which row of an operand belongs to row `i` of the result: by a list in `index`, which is the kernel's, or one after the
// other.
fn pick(list: u32, first: u32, i: u32) -> u32 {
    if (list == NONE) {
        return first + i;
    }
    return index[list + i];
}
