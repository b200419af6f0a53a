// Forward transforms (e^{−2πi}) of 2, 3, 4, 5, 7 and 8 points.
#import complex

// −i·a
fn minus_i(a: vec2f) -> vec2f {
    return vec2f(a.y, -a.x);
}

fn dft2(v: array<vec2f, 2>) -> array<vec2f, 2> {
    return array<vec2f, 2>(v[0] + v[1], v[0] - v[1]);
}

fn dft3(v: array<vec2f, 3>) -> array<vec2f, 3> {
    // sin 2π/3
    const S: f32 = 0.8660254037844386;
    let sum = v[1] + v[2];
    let middle = v[0] - 0.5 * sum;
    let turned = S * minus_i(v[1] - v[2]);
    return array<vec2f, 3>(v[0] + sum, middle + turned, middle - turned);
}

fn dft4(v: array<vec2f, 4>) -> array<vec2f, 4> {
    let a = v[0] + v[2];
    let b = v[0] - v[2];
    let c = v[1] + v[3];
    let d = minus_i(v[1] - v[3]);
    return array<vec2f, 4>(a + c, b + d, a - c, b - d);
}

fn dft5(v: array<vec2f, 5>) -> array<vec2f, 5> {
    // cos and sin of 2π/5 and 4π/5
    const C1: f32 = 0.30901699437494745;
    const C2: f32 = -0.8090169943749475;
    const S1: f32 = 0.9510565162951535;
    const S2: f32 = 0.5877852522924731;
    let p1 = v[1] + v[4];
    let p2 = v[2] + v[3];
    let m1 = v[1] - v[4];
    let m2 = v[2] - v[3];
    let a1 = v[0] + C1 * p1 + C2 * p2;
    let a2 = v[0] + C2 * p1 + C1 * p2;
    let b1 = minus_i(S1 * m1 + S2 * m2);
    let b2 = minus_i(S2 * m1 - S1 * m2);
    return array<vec2f, 5>(v[0] + p1 + p2, a1 + b1, a2 + b2, a2 - b2, a1 - b1);
}

fn dft7(v: array<vec2f, 7>) -> array<vec2f, 7> {
    // cos and sin of 2π/7, 4π/7 and 6π/7
    const C1: f32 = 0.6234898018587336;
    const C2: f32 = -0.2225209339563144;
    const C3: f32 = -0.9009688679024191;
    const S1: f32 = 0.7818314824680298;
    const S2: f32 = 0.9749279121818236;
    const S3: f32 = 0.4338837391175581;
    let p1 = v[1] + v[6];
    let p2 = v[2] + v[5];
    let p3 = v[3] + v[4];
    let m1 = v[1] - v[6];
    let m2 = v[2] - v[5];
    let m3 = v[3] - v[4];
    let a1 = v[0] + C1 * p1 + C2 * p2 + C3 * p3;
    let a2 = v[0] + C2 * p1 + C3 * p2 + C1 * p3;
    let a3 = v[0] + C3 * p1 + C1 * p2 + C2 * p3;
    let b1 = minus_i(S1 * m1 + S2 * m2 + S3 * m3);
    let b2 = minus_i(S2 * m1 - S3 * m2 - S1 * m3);
    let b3 = minus_i(S3 * m1 - S1 * m2 + S2 * m3);
    return array<vec2f, 7>(v[0] + p1 + p2 + p3, a1 + b1, a2 + b2, a3 + b3, a3 - b3, a2 - b2, a1 - b1);
}

fn dft8(v: array<vec2f, 8>) -> array<vec2f, 8> {
    // √½
    const H: f32 = 0.7071067811865476;
    let even = dft4(array<vec2f, 4>(v[0], v[2], v[4], v[6]));
    let odd = dft4(array<vec2f, 4>(v[1], v[3], v[5], v[7]));
    let o1 = H * (odd[1] + minus_i(odd[1]));
    let o2 = minus_i(odd[2]);
    let o3 = H * (minus_i(odd[3]) - odd[3]);
    return array<vec2f, 8>(
        even[0] + odd[0],
        even[1] + o1,
        even[2] + o2,
        even[3] + o3,
        even[0] - odd[0],
        even[1] - o1,
        even[2] - o2,
        even[3] - o3,
    );
}
