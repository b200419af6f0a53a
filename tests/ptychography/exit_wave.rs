//! The wave behind a thick specimen is the one that abTEM calculates through its own slices of the potential.

use libtest_mimic::Failed;
use num_complex::Complex64;
use ronchi::compute::cpu::Cpu;
use ronchi::compute::{Backend, BatchPlan, DetectorLayout, KernelWork, Model, ModelShape, exit_waves_of_kernels};
use ronchi::optics::{fft_index, interaction_constant, wavelength_A};
use ronchi::ptycho::propagator;
use ronchi::simulate::{Atom, Element, Grid, Parametrisation, Scattering, slice_phases, transmission};

use crate::textbook::fft2;
use crate::{check, common};

/// What `benches/peers/abtem_exit_wave.py` wrote.
struct Abtem {
    side: usize,
    /// e^{iσV} of each slice, limited as abTEM limits it.
    slices: Vec<Vec<Complex64>>,
    /// (ky, kx), FFT order: what abTEM multiplies spectra by between slices to keep them from wrapping around.
    aperture: Vec<f64>,
    probe: Vec<Complex64>,
    exit: Vec<Complex64>,
    pixel_A: f64,
    slice_A: f64,
    voltage_kV: f64,
}

impl Abtem {
    fn open() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ptychography/abtem_exit_wave.h5");
        let file = hdf5::File::open(path).unwrap();
        let array = |name: &str| file.dataset(name).unwrap().read_raw::<f64>().unwrap();
        let number = |name: &str| file.attr(name).unwrap().read_scalar::<f64>().unwrap();
        let wave = |name: &str| {
            let parts = array(name);
            let (re, im) = parts.split_at(parts.len() / 2);
            re.iter().zip(im).map(|(&re, &im)| Complex64::new(re, im)).collect::<Vec<_>>()
        };
        let aperture = array("aperture");
        let side = aperture.len().isqrt();
        let cell = side / number("tiles") as usize;
        let phases = array("slices");
        let cells: Vec<&[f64]> = phases.chunks_exact(cell * cell).collect();
        let slices = (0..number("repeats") as usize * cells.len())
            .map(|s| {
                let here = cells[s % cells.len()];
                let whole: Vec<_> = (0..side * side).map(|p| Complex64::cis(here[p / side % cell * cell + p % side % cell])).collect();
                let spectrum: Vec<_> = fft2(&whole, [side; 2], false).iter().zip(&aperture).map(|(z, a)| z * a).collect();
                fft2(&spectrum, [side; 2], true)
            })
            .collect();
        Self {
            side,
            slices,
            aperture,
            probe: wave("probe"),
            exit: wave("exit"),
            pixel_A: number("pixel_A"),
            slice_A: number("slice_A"),
            voltage_kV: number("voltage_kV"),
        }
    }

    /// The wave that an engine calculates.
    fn exit_wave<B: Backend>(&self, engine: &B) -> Vec<Complex64> {
        let window = [self.side; 2];
        let between = propagator(window, [self.pixel_A; 2], wavelength_A(self.voltage_kV), self.slice_A, [0.0; 2]);
        let between: Vec<_> = between.iter().zip(&self.aperture).map(|(h, a)| h * a).collect();
        // abTEM goes on to the back of the last slice: into an empty one.
        let empty = vec![Complex64::new(1.0, 0.0); self.side * self.side];
        let object: Vec<_> = self.slices.iter().chain([&empty]).map(|slice| engine.complexes(slice).unwrap()).collect();
        let shape = ModelShape { modes: 1, variations: 0, slices: object.len(), window, object: window };
        let layout = DetectorLayout { shape: window, ..DetectorLayout::default() };
        let model = Model {
            shape,
            object,
            probe_hat: engine.complexes(&fft2(&self.probe, window, false)).unwrap(),
            propagator: engine.complexes(&between).unwrap(),
            detector: engine.detector(&layout).unwrap(),
            floor: 0.0,
        };
        let batch = engine.batch(BatchPlan::new(&[0], &[[(self.side / 2) as f64; 2]], window, window)).unwrap();
        let mut work = KernelWork::new(engine, &shape, 1).unwrap();
        exit_waves_of_kernels(engine, &batch, &model, &mut work).unwrap();
        engine.read_complexes(&work.waves).unwrap()
    }

    /// How far it is from abTEM's, relative.
    fn distance<B: Backend>(&self, engine: &B) -> f64 {
        let ours = self.exit_wave(engine);
        let lacking: f64 = ours.iter().zip(&self.exit).map(|(a, b)| (a - b).norm_sqr()).sum();
        (lacking / self.exit.iter().map(|z| z.norm_sqr()).sum::<f64>()).sqrt()
    }
}

/// A relative RMS of 1e-3 is what the program promises; the file's numbers are rounded to 6e-8, constants of nature are known to 1e-6 or better.
const BOUND: f64 = 1e-5;

fn agrees<B: Backend>(engine: &B) -> Result<(), Failed> {
    let distance = Abtem::open().distance(engine);
    eprintln!("relative RMS from abTEM's exit wave: {distance:.1e} on {}", engine.device_name());
    check(distance < BOUND, || format!("{distance:.1e} from abTEM's exit wave"))
}

/// Slices of our own of the same atoms, in place of abTEM's.
pub(crate) fn own_slices() -> Result<(), Failed> {
    let mut abtem = Abtem::open();
    let (cell, repeats) = (2.0 * abtem.slice_A, abtem.slices.len() / 2);
    let tiles = (abtem.side as f64 * abtem.pixel_A / cell).round() as usize;
    let places = [("Sr", [0.0, 0.0, 0.0]), ("Ti", [0.5, 0.5, 0.5]), ("O", [0.5, 0.5, 0.0]), ("O", [0.5, 0.0, 0.5]), ("O", [0.0, 0.5, 0.5])];
    let mut atoms = Vec::new();
    for (z, y, x) in (0..repeats).flat_map(|z| (0..tiles).flat_map(move |y| (0..tiles).map(move |x| (z, y, x)))) {
        for (symbol, [px, py, pz]) in places {
            let at = |n: usize, part: f64| (n as f64 + part) * cell;
            // Planes of atoms lie where slices begin, for rounding to decide; they belong to the slice behind.
            atoms.push(Atom { element: Element::of(symbol).unwrap(), z_A: at(z, pz) + 1e-9, y_A: at(y, py), x_A: at(x, px), b_A2: 0.0 });
        }
    }
    let grid = Grid { shape: [abtem.side; 2], pixel_A: abtem.pixel_A, origin_A: [0.0; 2] };
    let thickness = repeats as f64 * cell;
    let limit = |k: usize| {
        let f = |k: usize| fft_index(k, abtem.side) / abtem.side as f64;
        f64::from(f(k / abtem.side).hypot(f(k % abtem.side)) <= 1.0 / 3.0)
    };
    let aperture: Vec<f64> = (0..abtem.side * abtem.side).map(limit).collect();
    let interaction = interaction_constant(abtem.voltage_kV);
    let mut found = Vec::new();
    for fit in [Parametrisation::Kirkland, Parametrisation::Lobato] {
        let scattering = Scattering { fit, blurred: false, interaction };
        let phases = slice_phases(&atoms, 2 * repeats, thickness, &grid, scattering).unwrap();
        abtem.slices = phases.iter().map(|phase| transmission(phase, grid.shape).unwrap()).collect();
        abtem.aperture.clone_from(&aperture);
        let ours = abtem.exit_wave(&Cpu::<f64>::new());
        let turned: f64 = ours.iter().zip(&abtem.exit).map(|(a, b)| b.norm_sqr() * (a * b.conj()).arg().powi(2)).sum();
        let phase = (turned / abtem.exit.iter().map(|z| z.norm_sqr()).sum::<f64>()).sqrt();
        let powers = |wave: &[Complex64]| fft2(wave, grid.shape, false).iter().map(|z| z.norm_sqr()).collect::<Vec<_>>();
        let (a, b) = (powers(&ours), powers(&abtem.exit));
        let difference: f64 = a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum();
        let pattern = (difference / b.iter().map(|b| b * b).sum::<f64>()).sqrt();
        eprintln!("own slices by {fit:?}: the exit wave's phase differs by {phase:.4} rad RMS, the pattern by {:.3} %", 100.0 * pattern);
        found.push((phase, pattern));
    }
    // The same fit, another taper at the limit of 2/3; the other fit has to be further away, or this test sees nothing.
    let [(phase, pattern), (other_phase, other_pattern)] = found[..] else { return Err("two fits were to be compared".into()) };
    check(phase < 0.003 && pattern < 0.001, || format!("{phase:.4} rad and {:.2} % from abTEM", 100.0 * pattern))?;
    check(other_pattern > 2.0 * pattern && other_phase > 1.3 * phase, || {
        format!("another fit is {other_phase:.4} rad and {:.2} % from abTEM", 100.0 * other_pattern)
    })
}

pub(crate) fn cpu() -> Result<(), Failed> {
    agrees(&Cpu::<f64>::new())?;
    agrees(&Cpu::<f32>::new())
}

pub(crate) fn gpu() -> Result<(), Failed> {
    agrees(&common::gpu(None)?)
}
