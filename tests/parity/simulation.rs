//! Simulations: the same mean counts on every engine.

use ronchi::compute::Backend;
use ronchi::compute::cpu::Cpu;
use ronchi::compute::gpu::Gpu;
use ronchi::optics::{Aberrations, ProbeOptics, ScanGrid};
use ronchi::run::{CancelToken, RngState, Run};
use ronchi::simulate::{Cut, Error, Exposed, Instrument, Method, Parametrisation, Specimen, Structure, Vibration, diffract};

use crate::Promise;

pub(crate) const PROMISES: &[Promise] = &[("a simulation has the same mean counts as one in f64", simulation)];

fn simulation(gpu: &Gpu, seed: u64) {
    let instrument = Instrument {
        optics: ProbeOptics { voltage_kV: 200.0, convergence_mrad: 20.0, aberrations: Aberrations::defocus(40.0) },
        focal_spread_A: 20.0,
        source_size_A: 0.2,
        scan: ScanGrid { shape: [2, 3], step_A: [0.6, 0.8], rotation_deg: 15.0, transpose: false },
        jitter_A: 0.1,
        drift_A: [0.3, 0.0],
        frame: 32,
        mrad_per_px: 3.0,
        oversampling: Some(1),
        blur_px: 0.4,
        dose_e_per_A2: None,
        counts_per_electron: 1.0,
        readout_counts: 0.0,
    };
    let method = Method {
        potential: Parametrisation::Lobato,
        vibration: Vibration::FrozenPhonons { configurations: 2 },
        slice_thickness_A: 3.0,
        sampling_A: 0.2,
    };
    let cut = Cut {
        zone_axis: [1, 0, 0],
        planes: None,
        thickness_A: 10.6,
        offset_A: [0.2, 0.4],
        tilt_mrad: [0.0, 3.0],
        extent_A: None,
        defects: Vec::new(),
    };
    let crystal = Structure::named("Na3Ni2SbO6").unwrap();
    let specimen = Specimen::cut(&crystal, &cut, [-8.0; 2], [8.0; 2], &mut RngState::new(seed).generator()).unwrap();
    let oracle = means(&Cpu::<f64>::new(), &specimen, &instrument, &method, seed);
    // Ten transforms of 2e-7 each, and a square: counts drawn of such means are those of the others but for one in some 10⁵ pixels. The CPU engine keeps four slices with 16 bits a part: 1e-5
    // of a number each, twice in its square.
    let gpu = (means(gpu, &specimen, &instrument, &method, seed), 5e-6);
    let cpu = (means(&Cpu::<f32>::new(), &specimen, &instrument, &method, seed), 6e-5);
    for (found, bound) in [gpu, cpu] {
        let apart: f64 = found.iter().zip(&oracle).map(|(a, b)| (a - b).powi(2)).sum();
        let relative = (apart / oracle.iter().map(|b| b * b).sum::<f64>()).sqrt();
        assert!(relative < bound, "{relative:.1e}");
    }
}

fn means<B: Backend>(engine: &B, specimen: &Specimen, instrument: &Instrument, method: &Method, seed: u64) -> Vec<f64> {
    let cancel = CancelToken::default();
    let run = Run { events: &|_| (), cancel: &cancel, rng: RngState::new(seed) };
    let layout = instrument.layout(specimen.thickness_A, method, &mut run.rng.generator()).unwrap();
    let mut means = Vec::new();
    diffract::<_, Error>(&run, engine, specimen, instrument, method, &layout, |exposed| {
        let Exposed::Numbers(numbers) = exposed else { return Ok(()) };
        means.extend(numbers.iter().map(|&x| f64::from(x)));
        Ok(())
    })
    .unwrap();
    means
}
