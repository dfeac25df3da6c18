// A one-dimensional dispatch of any size, folded into rows of at most 65535 workgroups.
// Host twin: `fold` in src/backend/gpu/steps/cut.rs.
const GROUP = 64u; // threads of a workgroup

fn group_index(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.y * groups.x + group.x;
}

fn thread_index(group: vec3<u32>, groups: vec3<u32>, lane: u32) -> u32 {
    return group_index(group, groups) * GROUP + lane;
}
