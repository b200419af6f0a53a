//! Kernel `square_parts`: real and imaginary parts, each squared.

use pulp::Arch;
use rayon::prelude::*;

use super::lanes::Scalar;
use super::planes::Planes;

/// Numbers of one task.
const TOGETHER: usize = 1 << 14;

/// `x = Re(x)² + i·Im(x)²` of the first `len` numbers.
pub(super) fn square_parts<R: Scalar>(x: &mut Planes<R>, len: usize) {
    [&mut x.re[..len], &mut x.im[..len]].into_par_iter().for_each(|part| {
        part.par_chunks_mut(TOGETHER).for_each(|part| {
            Arch::new().dispatch(
                #[inline(always)]
                || part.iter_mut().for_each(|x| *x *= *x),
            );
        });
    });
}
