//! The pixel types of frames.

use crate::compute::Real;

/// A pixel as it is stored.
pub(super) trait Pixel: bytemuck::Pod + Send + Sync {
    /// The counts of the pixel.
    fn real<R: Real>(self) -> R;
}

impl Pixel for u8 {
    fn real<R: Real>(self) -> R {
        R::of(f64::from(self))
    }
}

impl Pixel for u16 {
    fn real<R: Real>(self) -> R {
        R::of(f64::from(self))
    }
}

impl Pixel for u32 {
    fn real<R: Real>(self) -> R {
        R::of(f64::from(self))
    }
}

impl Pixel for f32 {
    fn real<R: Real>(self) -> R {
        R::of(f64::from(self))
    }
}

/// Row `y` of a frame's bytes: its `nx` pixels, without the padding.
pub(super) fn row<P: Pixel>(frame: &[u8], shape: [usize; 2], y: usize) -> &[P] {
    let stride = frame.len() / shape[0];
    let start = y * stride;
    bytemuck::cast_slice(&frame[start..start + shape[1] * size_of::<P>()])
}

/// Calls a function generic over the pixel type for a [`SampleType`].
macro_rules! with_pixel {
    ($dtype:expr, $name:ident => $body:expr) => {
        match $dtype {
            $crate::compute::SampleType::U8 => {
                type $name = u8;
                $body
            }
            $crate::compute::SampleType::U16 => {
                type $name = u16;
                $body
            }
            $crate::compute::SampleType::U32 => {
                type $name = u32;
                $body
            }
            $crate::compute::SampleType::F32 => {
                type $name = f32;
                $body
            }
        }
    };
}
pub(super) use with_pixel;
