//! The patterns of all workloads: simulated in memory, so that a benchmark needs no file.

use std::sync::Arc;

use num_complex::Complex64;
use rayon::prelude::*;

use super::Error;
use crate::compute::cpu::Cpu;
use crate::compute::{DetectorLayout, HostFrames, SampleType};
use crate::optics::{Aberrations, ProbeOptics, ScanGrid, object_pixel_A, wavelength_A};
use crate::ptycho::{ObjectFrame, State, with_modes};
use crate::run::Run;
use crate::simulate::{Spec, simulate};

const VOLTAGE_KV: f64 = 300.0;
const CONVERGENCE_MRAD: f64 = 25.0;
const STEP_A: f64 = 0.4;
const DOSE_E_PER_A2: f64 = 2e4;
/// The bright-field disk's radius in parts of the window.
const DISK: f64 = 0.2;
/// Between two slices.
const SLICE_A: f64 = 5.0;
/// The electrons of each further mode in parts of the first one's.
const MODE_POWER: f64 = 0.02;

/// Patterns with what a reconstruction has to know of them.
pub(super) struct Scene {
    /// u8 counts.
    pub(super) frames: Arc<HostFrames>,
    pub(super) frame: ObjectFrame,
    pub(super) detector: DetectorLayout,
    pub(super) wavelength_A: f64,
    probe_hat: Vec<Complex64>,
}

impl Scene {
    /// `patterns` patterns of `window`² pixels of the demonstration's crystal, on a scan as nearly square as their number has it. The defocused probe is a quarter of the window wide.
    pub(super) fn new(run: &Run, patterns: usize, window: usize) -> Result<Self, Error> {
        let rows = (1..=patterns.isqrt()).rev().find(|&rows| patterns.is_multiple_of(rows)).unwrap_or(1);
        let scan = ScanGrid { shape: [rows, patterns / rows], step_A: [STEP_A; 2], rotation_deg: 0.0, transpose: false };
        let mrad_per_px = CONVERGENCE_MRAD / (DISK * window as f64);
        let wavelength_A = wavelength_A(VOLTAGE_KV);
        let pixel_A = object_pixel_A(wavelength_A, window, mrad_per_px);
        let width_A = window as f64 * pixel_A / 4.0;
        let aberrations = Aberrations::defocus(-width_A / (2e-3 * CONVERGENCE_MRAD));
        let optics = ProbeOptics { voltage_kV: VOLTAGE_KV, convergence_mrad: CONVERGENCE_MRAD, aberrations };
        let spec = Spec { scan, frame: window, mrad_per_px, optics, dose_e_per_A2: DOSE_E_PER_A2, ..Spec::demo() };
        let simulated = simulate(run, &Cpu::<f32>::new(), &spec)?;
        let frame = ObjectFrame::enclose(&simulated.truth.positions_A, [pixel_A; 2], [window; 2])?;
        let detector = DetectorLayout { shape: [window; 2], centre: [window / 2; 2], ..DetectorLayout::default() };
        Ok(Self { frames: Arc::new(narrowed(&simulated.frames)), frame, detector, wavelength_A, probe_hat: simulated.truth.probe_hat })
    }

    /// An empty object of so many slices and a probe of so many modes.
    pub(super) fn start(&self, slices: usize, modes: usize, run: &Run) -> State {
        let probe_hat = with_modes(self.probe_hat.clone(), self.frame.window, modes, MODE_POWER);
        State::start(&self.frame, slices, SLICE_A, probe_hat, run.rng)
    }
}

/// u16 counts as u8, those beyond at 255.
fn narrowed(frames: &HostFrames) -> HostFrames {
    let mut narrow = HostFrames::zeros(SampleType::U8, frames.shape, frames.count);
    let (words, from_words) = (narrow.frame_words(), frames.frame_words());
    let [ny, nx] = frames.shape;
    narrow.words.par_chunks_mut(words).zip(frames.words.par_chunks(from_words)).for_each(|(to, from)| {
        let (to, from): (&mut [u8], &[u8]) = (bytemuck::cast_slice_mut(to), bytemuck::cast_slice(from));
        for (to, from) in to.chunks_exact_mut(4 * words / ny).zip(from.chunks_exact(4 * from_words / ny)) {
            for (to, count) in to[..nx].iter_mut().zip(from.chunks_exact(2)) {
                *to = u16::from_le_bytes([count[0], count[1]]).min(255) as u8;
            }
        }
    });
    narrow
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{CancelToken, RngState};

    #[test]
    fn patterns_are_counts_of_a_disk_and_the_probe_holds_their_electrons() {
        let cancel = CancelToken::default();
        let run = Run { events: &|_| (), cancel: &cancel, rng: RngState::new(1) };
        // A side that does not fill words of u8.
        let scene = Scene::new(&run, 12, 34).unwrap();
        assert_eq!((scene.frames.dtype, scene.frames.shape, scene.frames.count), (SampleType::U8, [34, 34], 12));
        assert_eq!(scene.frame.positions_px.len(), 12);
        let (mut inside, mut outside) = (0u64, 0u64);
        for id in 0..12 {
            for (y, row) in scene.frames.frame_bytes(id).chunks_exact(36).enumerate() {
                assert_eq!(&row[34..], [0, 0], "the rows' padding");
                for (x, &count) in row[..34].iter().enumerate() {
                    let radius = (y as f64 - 17.0).hypot(x as f64 - 17.0);
                    *(if radius <= 34.0 * DISK + 1.0 { &mut inside } else { &mut outside }) += u64::from(count);
                }
            }
        }
        assert!(inside > 5 * outside, "{inside} {outside}");
        let (electrons, counted) = (scene.start(3, 2, &run).electrons(), (inside + outside) as f64 / 12.0);
        // 3200 electrons a frame, counted in 12 frames.
        assert!((counted / electrons - 1.0).abs() < 0.03, "{counted} {electrons}");
        assert_eq!(scene.start(3, 2, &run).shape.slices, 3);
    }
}
