// A step of Adam for one number.
// The importing shader declares `x`, `first` (array<vec2f>) and `second` (array<f32>), to be written, and in `params`: `length` (the step over c₁), `b1`, `b2`,
// `correction` (1/c₂) and `epsilon`.
#import complex

fn adam_step(at: u32, g: vec2f) {
    let m = params.b1 * first[at] + (1.0 - params.b1) * g;
    let v = params.b2 * second[at] + (1.0 - params.b2) * power(g);
    first[at] = m;
    second[at] = v;
    x[at] += params.length / (sqrt(v * params.correction) + params.epsilon) * m;
}
