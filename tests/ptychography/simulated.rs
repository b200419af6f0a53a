//! Simulations that others made come out of `simulate` again: the sets of `../shared/data/na3ni2sbo6` by abTEM, of which the atoms are known.

use std::path::Path;

use libtest_mimic::Failed;
use ronchi::compute::HostFrames;
use ronchi::compute::cpu::Cpu;
use ronchi::data::{self, OpenOptions};
use ronchi::optics::{Aberrations, ProbeOptics, ScanGrid};
use ronchi::run::{CancelToken, RngState, Run};
use ronchi::simulate::{Error, Exposed, Instrument, Method, Parametrisation, Specimen, Vibration, diffract};

use crate::check;

/// Positions so near to the middle of the scan, and of them every so many-th: what takes few seconds.
const NEAR_A: f64 = 2.0;
const EVERY: usize = 7;

/// The set's patterns at some positions and what is simulated of its atoms there.
struct Compared {
    counts: Vec<Vec<f64>>,
    means: Vec<Vec<f64>>,
}

impl Compared {
    fn new(path: &Path, potential: Parametrisation) -> Self {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let truth = hdf5::File::open(path.with_file_name(format!("{}_truth.h5", name.rsplit_once('_').unwrap().0))).unwrap();
        let text = truth.attr("parameters").unwrap().read_scalar::<hdf5::types::VarLenUnicode>().unwrap();
        let parameters: serde_json::Value = serde_json::from_str(&text).unwrap();
        let number = |key: &str| parameters[key].as_f64().unwrap();
        let symbols = truth.dataset("atoms_element").unwrap().read_raw::<hdf5::types::FixedAscii<2>>().unwrap();
        let places = truth.dataset("atoms_xyz").unwrap().read_raw::<f64>().unwrap();
        let positions = truth.dataset("positions_yx").unwrap().read_raw::<f64>().unwrap();
        let mut xyz = format!("{}\n\n", symbols.len());
        for (symbol, at) in symbols.iter().zip(places.chunks_exact(3)) {
            xyz.push_str(&format!("{symbol} {} {} {}\n", at[0], at[1], at[2]));
        }
        let source = data::open(path, &OpenOptions::default()).unwrap();
        let shape = source.info().scan_shape;
        let middle = number("box") / 2.0;
        let near = |n: &usize| positions[2 * n..2 * n + 2].iter().all(|x| (x - middle).abs() < NEAR_A);
        let chosen: Vec<usize> = (0..shape[0] * shape[1]).filter(near).step_by(EVERY).collect();
        let instrument = Instrument {
            optics: ProbeOptics {
                voltage_kV: number("kv"),
                convergence_mrad: number("alpha"),
                aberrations: Aberrations::defocus(number("defocus")),
            },
            focal_spread_A: 0.0,
            source_size_A: 0.0,
            scan: ScanGrid { shape, step_A: [number("step"); 2], rotation_deg: 0.0, transpose: false },
            jitter_A: 0.0,
            drift_A: [0.0; 2],
            frame: 128,
            mrad_per_px: number("mrad_per_px"),
            oversampling: Some(2),
            blur_px: 0.0,
            dose_e_per_A2: None,
            counts_per_electron: 1.0,
            readout_counts: 0.0,
        };
        let method = Method { potential, vibration: Vibration::None, slice_thickness_A: 2.0, sampling_A: 0.1 };
        let cancel = CancelToken::default();
        let run = Run { events: &|_| (), cancel: &cancel, rng: RngState::new(0) };
        // A box of 40 Å of the sets lies under the calculated window of 40 Å wherever that is centred: atoms reach to 19 Å of the axis.
        let specimen = Specimen::from_xyz(&xyz, &name, [0.0; 2], Some(number("thick"))).unwrap();
        let mut layout = instrument.layout(specimen.thickness_A, &method, &mut run.rng.generator()).unwrap();
        layout.positions_A = chosen.iter().map(|n| [positions[2 * n], positions[2 * n + 1]]).collect();
        let field = number("box") + 2.0 * NEAR_A + 2.0;
        layout.shape = [(field / layout.pixel_A).ceil() as usize; 2];
        layout.origin_A = [middle - field / 2.0; 2];
        let mut means: Vec<Vec<f64>> = Vec::new();
        diffract::<_, Error>(&run, &Cpu::<f32>::new(), &specimen, &instrument, &method, &layout, |exposed| {
            let Exposed::Numbers(numbers) = exposed else { return Ok(()) };
            means.extend(numbers.chunks_exact(128 * 128).map(|frame| frame.iter().map(|&x| f64::from(x)).collect()));
            Ok(())
        })
        .unwrap();
        let mut frame = HostFrames::zeros(source.info().dtype, [128, 128], 1);
        let counts: Vec<Vec<f64>> = chosen
            .iter()
            .map(|&n| {
                source.read(n, 1, &mut frame, 0).unwrap();
                let bytes = frame.frame_bytes(0);
                match bytes.len() / (128 * 128) {
                    1 => bytes.iter().map(|&x| f64::from(x)).collect(),
                    _ => bytemuck::cast_slice::<u8, u16>(bytes).iter().map(|&x| f64::from(x)).collect(),
                }
            })
            .collect();
        // The sets' frames are normalised on their detector.
        let sum = |of: &[Vec<f64>]| of.iter().flatten().sum::<f64>();
        let scale = sum(&counts) / sum(&means);
        means.iter_mut().flatten().for_each(|x| *x *= scale);
        Self { counts, means }
    }

    /// The relative RMS of the mean pattern's difference beyond counting noise, with how far chance takes it from 0.
    fn mean_pattern(&self) -> (f64, f64) {
        let n = self.counts.len() as f64;
        let mean = |of: &[Vec<f64>]| (0..128 * 128).map(|p| of.iter().map(|frame| frame[p]).sum::<f64>() / n).collect::<Vec<f64>>();
        let (counts, means) = (mean(&self.counts), mean(&self.means));
        let size: f64 = means.iter().map(|m| m * m).sum();
        let square = |x: f64| x * x;
        // Σ(c − m)² − Σc has the mean Σ(μ − m)² and, where they agree, the variance 2Σμ² of Poisson numbers.
        let beyond: f64 = counts.iter().zip(&means).map(|(c, m)| square(c - m) - c / n).sum();
        let chance = (2.0 * means.iter().map(|m| square(m / n)).sum::<f64>()).sqrt();
        ((beyond.max(0.0) / size).sqrt(), (chance / size).sqrt())
    }
}

/// What a set's mean pattern may be away, by the coefficients that made it and by others.
pub(crate) fn mean_pattern(path: &Path) -> Result<(), Failed> {
    // The other coefficients where it takes no time.
    let thin = path.to_string_lossy().contains("thin");
    for (potential, bound) in [(Parametrisation::Lobato, 0.01), (Parametrisation::Kirkland, 0.03)].into_iter().take(1 + usize::from(thin)) {
        let compared = Compared::new(path, potential);
        let (found, chance) = compared.mean_pattern();
        eprintln!("{} by {potential:?}: {:.2} % beyond noise, chance {:.2} %", path.display(), 100.0 * found, 100.0 * chance);
        // Chance adds in squares, three deviations at most.
        let bound = (bound * bound + 3.0 * chance * chance).sqrt();
        check(found < bound, || format!("{potential:?}: {:.2} %, at most {:.2} %", 100.0 * found, 100.0 * bound))?;
    }
    Ok(())
}
