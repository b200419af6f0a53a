// Where an invocation stands in a grid that is two-dimensional only because one dimension is limited.

// Invocations of a workgroup of every kernel that works element by element or reduces.
const WIDTH: u32 = 256u;

// The place of a workgroup among all of them.
fn flat_group(group: vec3u, groups: vec3u) -> u32 {
    return group.y * groups.x + group.x;
}
