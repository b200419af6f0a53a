//! A [`BrightField`] in the engine's numbers, and the aperture that its kernels share.

use super::lanes::Scalar;
use super::planes::Part;
use crate::compute::BrightField;

/// A [`BrightField`] of the CPU engine.
#[derive(Debug)]
pub struct CpuBrightField<R> {
    pub(super) plan: BrightField,
    /// Of χ/2π: 2, 4 or 6.
    pub(super) degree: usize,
    pub(super) horner: Vec<R>,
    pub(super) frequencies: [Vec<R>; 2],
    pub(super) foci: Vec<R>,
    /// The aperture at each pixel's tilt: amplitude, and turns without a focus.
    pub(super) amplitudes: Vec<R>,
    pub(super) turns: Vec<R>,
    /// The gradient (y, x) of the turns.
    pub(super) slopes: Vec<[R; 2]>,
}

impl<R: Scalar> CpuBrightField<R> {
    pub(super) fn new(plan: &BrightField) -> Self {
        let degree = plan.turns.degree().max(2).next_multiple_of(2);
        let list = |values: &[f64]| values.iter().map(|&x| R::of(x)).collect::<Vec<_>>();
        let of_tilts = |f: &dyn Fn(f64, f64) -> f64| plan.tilts.iter().map(|&[y, x]| R::of(f(y, x))).collect();
        Self {
            degree,
            horner: list(&plan.horner(degree)),
            frequencies: [list(&plan.frequencies[0]), list(&plan.frequencies[1])],
            foci: list(&plan.foci),
            amplitudes: of_tilts(&|y, x| plan.aperture(y, x)),
            turns: of_tilts(&|y, x| plan.turns.at(y, x)),
            slopes: plan.tilts.iter().map(|&[y, x]| plan.turns.gradient(y, x).map(R::of)).collect(),
            plan: plan.clone(),
        }
    }

    /// The aperture's numbers for kernels.
    pub(super) fn aperture<const DEGREE: usize>(&self) -> Aperture<R, DEGREE> {
        let mut horner = [R::zero(); 28];
        horner[..self.horner.len()].copy_from_slice(&self.horner);
        Aperture { horner, radius: R::of(self.plan.radius_px) }
    }
}

/// The aperture at any angle.
#[derive(Clone, Copy)]
pub(super) struct Aperture<R, const DEGREE: usize> {
    horner: [R; 28],
    radius: R,
}

/// The aperture at an angle: its amplitude, χ/2π without a focus, and |κ|².
#[derive(Clone, Copy)]
pub(super) struct Wave<R> {
    pub(super) amplitude: R,
    pub(super) turns: R,
    pub(super) square: R,
}

impl<R: Scalar, const DEGREE: usize> Aperture<R, DEGREE> {
    #[inline(always)]
    pub(super) fn at(&self, y: R, x: R) -> Wave<R> {
        let square = y * y + x * x;
        let inside = (R::one() - square.sqrt()) * self.radius + R::of(0.5);
        let amplitude = if inside > R::zero() { inside } else { R::zero() };
        let amplitude = if amplitude < R::one() { amplitude } else { R::one() };
        let (mut turns, mut k) = (R::zero(), 0);
        for i in (0..=DEGREE).rev() {
            let mut row = R::zero();
            for _ in 0..=DEGREE - i {
                row = row * x + self.horner[k];
                k += 1;
            }
            turns = turns * y + row;
        }
        Wave { amplitude, turns, square }
    }
}

/// Calls a function with a constant degree.
macro_rules! with_degree {
    ($degree:expr, $name:ident => $body:expr) => {
        match $degree {
            2 => {
                const $name: usize = 2;
                $body
            }
            4 => {
                const $name: usize = 4;
                $body
            }
            _ => {
                const $name: usize = 6;
                $body
            }
        }
    };
}
pub(super) use with_degree;

/// The spectrum of one of two real pixels whose transform together is `here`, `mirrored` being its value at the opposite frequency.
#[inline(always)]
pub(super) fn part<R: Scalar>(second: bool, here: [R; 2], mirrored: [R; 2]) -> [R; 2] {
    let half = R::of(0.5);
    if second {
        [(here[1] + mirrored[1]) * half, (mirrored[0] - here[0]) * half]
    } else {
        [(here[0] + mirrored[0]) * half, (here[1] - mirrored[1]) * half]
    }
}

/// Row `y` of a result's spectrum of one pixel of a scan window, into `re` and `im` of the result's width.
pub(super) fn spectrum_row<R: Scalar>(window: Part<R>, scan: [usize; 2], y: usize, second: bool, re: &mut [R], im: &mut [R]) {
    let [ny, nx] = scan;
    let row = y % ny;
    let here = window.range(row * nx..(row + 1) * nx);
    let mirror = (ny - row) % ny;
    let mirrored = window.range(mirror * nx..(mirror + 1) * nx);
    let mut put = |x: usize, m: usize| {
        [re[x], im[x]] = part(second, [here.re[x], here.im[x]], [mirrored.re[m], mirrored.im[m]]);
    };
    put(0, 0);
    for x in 1..nx {
        put(x, nx - x);
    }
    let (first_re, rest_re) = re.split_at_mut(nx);
    let (first_im, rest_im) = im.split_at_mut(nx);
    rest_re.chunks_exact_mut(nx).for_each(|copy| copy.copy_from_slice(first_re));
    rest_im.chunks_exact_mut(nx).for_each(|copy| copy.copy_from_slice(first_im));
}
