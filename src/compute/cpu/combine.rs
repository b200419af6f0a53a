//! Kernel `combine`: a sum of three arrays.

use rayon::prelude::*;

use super::lanes::Scalar;
use super::planes::Planes;

/// `out = out_factor · out + x_factor · x + y_factor · y` of the first `len` numbers.
pub(super) fn combine<R: Scalar>(out: &mut Planes<R>, [out_factor, x_factor, y_factor]: [R; 3], x: &Planes<R>, y: &Planes<R>, len: usize) {
    for (out, x, y) in [(&mut out.re, &x.re, &y.re), (&mut out.im, &x.im, &y.im)] {
        let inputs = x[..len].par_iter().zip(&y[..len]);
        out[..len].par_iter_mut().zip(inputs).with_min_len(4096).for_each(|(out, (x, y))| {
            *out = out_factor * *out + x_factor * *x + y_factor * *y;
        });
    }
}
