//! One wrapper a kernel: it binds the arrays part by part, and nothing of it is physics.

pub(super) mod adam_object;
pub(super) mod adam_probe;
mod add_metrics;
mod add_windows;
pub(super) mod combine;
pub(super) mod densify;
pub(super) mod detector_windows;
pub(super) mod exit_rows;
pub(super) mod exit_wave;
pub(super) mod expose;
pub(super) mod fft2;
pub(super) mod fill_margins;
pub(super) mod gather_pixels;
pub(super) mod gradient_rows;
pub(super) mod lines;
pub(super) mod moments;
pub(super) mod momentum;
pub(super) mod object_gradient;
pub(super) mod object_power;
pub(super) mod object_sum;
pub(super) mod optimal_object_step;
pub(super) mod optimal_probe_step;
pub(super) mod overlaps;
pub(super) mod probe_columns;
pub(super) mod probe_gradient;
pub(super) mod probe_sum;
pub(super) mod probe_sum_columns;
pub(super) mod propagate;
pub(super) mod propagate_columns;
pub(super) mod propagator_sums;
mod reduce_max;
pub(super) mod residual;
pub(super) mod residual_columns;
mod residual_spread;
pub(super) mod response_sum;
pub(super) mod responses;
pub(super) mod shift_probe;
pub(super) mod side_bands;
pub(super) mod square_parts;
mod sum_pattern;
pub(super) mod tilt_moments;
pub(super) mod tilt_sum;
pub(super) mod tilt_waves;
pub(super) mod update_object;
pub(super) mod update_probe;
pub(super) mod virtual_detectors;
pub(super) mod wiener;

use super::shaders::{Kernel, params};

/// All kernels.
pub(super) static ALL: [&Kernel; 46] = [
    &adam_object::KERNEL,
    &adam_probe::KERNEL,
    &add_metrics::KERNEL,
    &add_windows::KERNEL,
    &combine::KERNEL,
    &densify::KERNEL,
    &detector_windows::KERNEL,
    &exit_rows::KERNEL,
    &exit_wave::KERNEL,
    &expose::KERNEL,
    &fft2::KERNEL,
    &fill_margins::KERNEL,
    &gather_pixels::KERNEL,
    &gradient_rows::KERNEL,
    &moments::KERNEL,
    &momentum::KERNEL,
    &object_gradient::KERNEL,
    &object_power::KERNEL,
    &object_sum::KERNEL,
    &optimal_object_step::KERNEL,
    &optimal_probe_step::KERNEL,
    &overlaps::KERNEL,
    &probe_columns::KERNEL,
    &probe_gradient::KERNEL,
    &probe_sum::KERNEL,
    &probe_sum_columns::KERNEL,
    &propagate::KERNEL,
    &propagate_columns::KERNEL,
    &propagator_sums::KERNEL,
    &reduce_max::KERNEL,
    &residual::KERNEL,
    &residual_columns::KERNEL,
    &residual_spread::KERNEL,
    &response_sum::KERNEL,
    &responses::KERNEL,
    &shift_probe::KERNEL,
    &side_bands::KERNEL,
    &square_parts::KERNEL,
    &sum_pattern::KERNEL,
    &tilt_moments::KERNEL,
    &tilt_sum::KERNEL,
    &tilt_waves::KERNEL,
    &update_object::KERNEL,
    &update_probe::KERNEL,
    &virtual_detectors::KERNEL,
    &wiener::KERNEL,
];

/// Invocations of a workgroup: `WIDTH` of `shaders/lib/grid.wgsl`.
const WIDTH: usize = 256;

/// The workgroups that give each of these elements an invocation.
fn groups_of(elements: usize) -> u64 {
    elements.div_ceil(WIDTH) as u64
}

/// Constants of `shaders/lib/windows.wgsl` to translate shaders with.
const WINDOWS: [(&str, f64); 5] = [("NY", 64.0), ("NX", 96.0), ("OBJECT_NY", 300.0), ("OBJECT_NX", 417.0), ("MODES", 3.0)];
