//! Kernel `momentum`: an array goes on the way that it went.

use rayon::prelude::*;

use super::lanes::Scalar;
use super::planes::Planes;

/// `velocity = friction · velocity + (x − previous)`, `x += friction · velocity`, `previous = x`.
pub(super) fn momentum<R: Scalar>(x: &mut Planes<R>, previous: &mut Planes<R>, velocity: &mut Planes<R>, friction: R) {
    let parts = [(&mut x.re, &mut previous.re, &mut velocity.re), (&mut x.im, &mut previous.im, &mut velocity.im)];
    for (x, previous, velocity) in parts {
        x.par_iter_mut().zip(previous.par_iter_mut()).zip(velocity.par_iter_mut()).with_min_len(4096).for_each(|((x, p), v)| {
            *v = friction * *v + (*x - *p);
            *x += friction * *v;
            *p = *x;
        });
    }
}
