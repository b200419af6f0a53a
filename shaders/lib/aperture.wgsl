// The aberrated aperture at any angle, angles divided by the convergence angle.
// The importing shader declares `numbers: array<f32>`, which begins with the coefficients of χ/2π in the order of Horner's rule.

// Of χ/2π.
override DEGREE: u32;
// The disk's radius in pixels: the aperture's edge is one pixel wide.
override RADIUS: f32;

struct Wave {
    amplitude: f32,
    // χ/2π without a focus.
    turns: f32,
    // |κ|²
    square: f32,
}

fn aperture(y: f32, x: f32) -> Wave {
    let square = y * y + x * x;
    let amplitude = clamp((1.0 - sqrt(square)) * RADIUS + 0.5, 0.0, 1.0);
    var turns = 0.0;
    var k = 0u;
    for (var i = 0u; i <= DEGREE; i++) {
        var row = 0.0;
        for (var j = 0u; j <= i; j++) {
            row = row * x + numbers[k];
            k++;
        }
        turns = turns * y + row;
    }
    return Wave(amplitude, turns, square);
}

// cos and sin of 2πt: the devices' own are too loose.
fn cis(turns: f32) -> vec2f {
    // The half angle lies within ±π/2: Taylor's series to x¹³ end below 1e-8 there; then the double angle.
    let x = (turns - floor(turns + 0.5)) * 3.141592653589793;
    let z = x * x;
    let sine = x * (1.0 + z * (-0.16666666666666666 + z * (0.008333333333333333 + z * (-0.0001984126984126984
        + z * (2.7557319223985893e-06 + z * (-2.505210838544172e-08 + z * 1.6059043836821613e-10))))));
    let cosine = 1.0 + z * (-0.5 + z * (0.041666666666666664 + z * (-0.001388888888888889
        + z * (2.48015873015873e-05 + z * (-2.755731922398589e-07 + z * 2.08767569878681e-09)))));
    return vec2f(1.0 - 2.0 * sine * sine, 2.0 * sine * cosine);
}
