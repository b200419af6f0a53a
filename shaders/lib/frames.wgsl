// Pixels of frames in the type they have on disk: rows packed in 4-byte words, little-endian.
// The importing shader declares `frames: array<u32>`.

// 0: u8, 1: u16, 2: u32, 3: f32.
override DTYPE: u32;
// Words of a row.
override ROW_WORDS: u32;
const F32: u32 = 3u;

// A pixel of the row that begins at this word: the count, or the bits of an f32.
fn raw(row: u32, x: u32) -> u32 {
    switch DTYPE {
        case 0u: {
            return (frames[row + x / 4u] >> (8u * (x % 4u))) & 0xffu;
        }
        case 1u: {
            return (frames[row + x / 2u] >> (16u * (x % 2u))) & 0xffffu;
        }
        default: {
            return frames[row + x];
        }
    }
}

// The same as a number.
fn intensity(row: u32, x: u32) -> f32 {
    let value = raw(row, x);
    if DTYPE == F32 {
        return bitcast<f32>(value);
    }
    return f32(value);
}
