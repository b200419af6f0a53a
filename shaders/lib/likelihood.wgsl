// What a calculated intensity and a measured one are compared by.

// 0: amplitude, 1: Poisson, 2: Gaussian.
override LIKELIHOOD: u32;

// ln x of a positive x: the devices' own is too loose. x = m·2^e with m from √½ to √2, and ln m = 2 artanh s with s = (m − 1)/(m + 1).
fn natural_log(x: f32) -> f32 {
    const ROOT_HALF: u32 = 0x3f3504f3u;
    let shifted = bitcast<u32>(x) - ROOT_HALF;
    let exponent = bitcast<i32>(shifted) >> 23u;
    let m = bitcast<f32>((shifted & 0x007fffffu) + ROOT_HALF);
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let series = 1.0 + z * (0.3333333333333333 + z * (0.2 + z * (0.14285714285714285 + z * 0.1111111111111111)));
    return f32(exponent) * 0.6931471805599453 + 2.0 * s * series;
}

// The factor of the waves and the misfit; `number` is Poisson's ε or 1/σ².
fn compare(calculated: f32, counts: f32, number: f32) -> vec2f {
    switch LIKELIHOOD {
        case 0u: {
            let size = sqrt(calculated);
            let lacking = sqrt(counts) - size;
            return vec2f(lacking / size, lacking * lacking);
        }
        case 1u: {
            let over = calculated + number;
            let under = counts + number;
            let misfit = calculated - counts - under * natural_log(over / under);
            return vec2f((counts - calculated) / over, misfit);
        }
        default: {
            let lacking = counts - calculated;
            return vec2f(lacking * number, 0.5 * lacking * lacking * number);
        }
    }
}
