// The 16×16 tiles of the object that a batch touches; a workgroup is a tile, an invocation one of its pixels.
// The importing shader declares `plan: array<u32>`.
#import grid
#import windows

const TILE: u32 = 16u;

// The object pixel (row, col) of this invocation, given where the tiles' origins begin in `plan`.
fn tile_pixel(origins: u32, tile: u32, lane: u32) -> vec2u {
    return vec2u(plan[origins + 2u * tile] + lane / TILE, plan[origins + 2u * tile + 1u] + lane % TILE);
}

// Tiles reach beyond the object where its sides are no multiples of 16.
fn in_object(pixel: vec2u) -> bool {
    return pixel.x < OBJECT_NY && pixel.y < OBJECT_NX;
}
