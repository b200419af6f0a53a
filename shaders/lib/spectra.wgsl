// Scan windows (NY, NX) with the spectra of two real pixels each, and frequencies of a result (OUTPUT_NY, OUTPUT_NX) that repeat them.
// The importing shader declares `spectra: array<vec2f>`.

override NY: u32;
override NX: u32;
override OUTPUT_NY: u32;
override OUTPUT_NX: u32;

// The spectrum of the first or second pixel of a window at a frequency of the result.
fn spectrum_at(window: u32, second: bool, y: u32, x: u32) -> vec2f {
    let row = y % NY;
    let column = x % NX;
    let here = spectra[(window * NY + row) * NX + column];
    let mirrored = spectra[(window * NY + (NY - row) % NY) * NX + (NX - column) % NX];
    if second {
        return 0.5 * vec2f(here.y + mirrored.y, mirrored.x - here.x);
    }
    return 0.5 * vec2f(here.x + mirrored.x, here.y - mirrored.y);
}
