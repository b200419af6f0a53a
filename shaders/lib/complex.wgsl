// Complex numbers as vec2f(re, im).

fn mul(a: vec2f, b: vec2f) -> vec2f {
    return vec2f(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}

// a*
fn conj(a: vec2f) -> vec2f {
    return vec2f(a.x, -a.y);
}

// a* · b
fn conj_mul(a: vec2f, b: vec2f) -> vec2f {
    return vec2f(a.x * b.x + a.y * b.y, a.x * b.y - a.y * b.x);
}

// |a|²
fn power(a: vec2f) -> f32 {
    return a.x * a.x + a.y * a.y;
}

// |a|, without overflow or underflow of the squares.
fn modulus_of(a: vec2f) -> f32 {
    let larger = max(abs(a.x), abs(a.y));
    if larger == 0.0 {
        return 0.0;
    }
    let scaled = a / larger;
    return larger * sqrt(power(scaled));
}
