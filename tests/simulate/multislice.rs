//! What multislice simulation promises: the physics that other formulas tell.

use ronchi::compute::cpu::Cpu;
use ronchi::optics::{Aberration, Aberrations, ProbeOptics, ScanGrid, wavelength_A};
use ronchi::run::{CancelToken, RngState, Run};
use ronchi::simulate::{
    Atom, Cut, Element, Error, Exposed, Instrument, Layout, Method, Parametrisation, Specimen, Structure, Vibration, diffract,
};

use super::seed;

/// Of 80 kV and 24 mrad on a detector that reaches 60 mrad.
fn instrument(scan: ScanGrid) -> Instrument {
    Instrument {
        optics: ProbeOptics { voltage_kV: 80.0, convergence_mrad: 24.0, aberrations: Aberrations::defocus(30.0) },
        focal_spread_A: 0.0,
        source_size_A: 0.0,
        scan,
        jitter_A: 0.0,
        drift_A: [0.0; 2],
        frame: 30,
        mrad_per_px: 4.0,
        oversampling: Some(2),
        blur_px: 0.0,
        dose_e_per_A2: None,
        counts_per_electron: 1.0,
        readout_counts: 0.0,
    }
}

fn one_position() -> ScanGrid {
    ScanGrid { shape: [1, 1], step_A: [1.0; 2], rotation_deg: 0.0, transpose: false }
}

fn method(vibration: Vibration) -> Method {
    Method { potential: Parametrisation::Lobato, vibration, slice_thickness_A: 2.0, sampling_A: 0.2 }
}

fn layout(specimen: &Specimen, instrument: &Instrument, method: &Method, seed: u64) -> Layout {
    instrument.layout(specimen.thickness_A, method, &mut RngState::new(seed).generator()).unwrap()
}

/// Mean frames one behind the other, by an engine in f64.
fn means(specimen: &Specimen, instrument: &Instrument, method: &Method, seed: u64) -> Vec<f64> {
    let cancel = CancelToken::default();
    let run = Run { events: &|_| (), cancel: &cancel, rng: RngState::new(seed) };
    let layout = layout(specimen, instrument, method, seed);
    let mut means = Vec::new();
    diffract::<_, Error>(&run, &Cpu::<f64>::new(), specimen, instrument, method, &layout, |exposed| {
        let Exposed::Numbers(numbers) = exposed else { return Ok(()) };
        means.extend(numbers.iter().map(|&x| f64::from(x)));
        Ok(())
    })
    .unwrap();
    means
}

fn cut(name: &str, cut: &Cut) -> Specimen {
    let mut rng = RngState::new(1).generator();
    Specimen::cut(&Structure::named(name).unwrap(), cut, [-14.0; 2], [14.0; 2], &mut rng).unwrap()
}

fn along(zone_axis: [i32; 3], thickness_A: f64) -> Cut {
    Cut { zone_axis, planes: None, thickness_A, offset_A: [0.2, 0.4], tilt_mrad: [0.0; 2], extent_A: None, defects: Vec::new() }
}

fn relative(a: &[f64], b: &[f64]) -> f64 {
    let apart: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
    (apart / b.iter().map(|b| b * b).sum::<f64>()).sqrt()
}

#[test]
fn a_detector_that_takes_in_the_whole_band_receives_every_electron() {
    // The detector's corners lie at the band's edge, beyond which slices scatter a little. Graphene scatters hardly so far.
    let graphene = cut("graphene", &along([0, 0, 1], 10.0));
    let wide = Instrument { scan: ScanGrid { shape: [2, 2], ..one_position() }, frame: 60, ..instrument(one_position()) };
    for (blur_px, dose) in [(0.0, None), (0.8, None), (0.0, Some(200.0))] {
        let wide = Instrument { blur_px, ..wide.clone() };
        for frame in means(&graphene, &wide, &method(Vibration::DebyeWaller), 1).chunks(3600) {
            let sum: f64 = frame.iter().sum();
            assert!((0.995..1.0 + 1e-6).contains(&sum), "blur {blur_px}: {sum} of 1 electron");
        }
        let electrons = layout(&graphene, &Instrument { dose_e_per_A2: dose, ..wide }, &method(Vibration::None), 1).electrons;
        assert_eq!(electrons, dose.unwrap_or(1.0));
    }
}

#[test]
fn a_partly_coherent_beam_is_the_sum_over_the_places_of_its_source_and_its_foci() {
    let specimen = cut("MoS2", &along([0, 0, 1], 10.0));
    let (source_A, focus_A): (f64, f64) = (0.25, 30.0);
    let partly = Instrument { source_size_A: source_A * (8.0 * 2f64.ln()).sqrt(), focal_spread_A: focus_A, ..instrument(one_position()) };
    let method = method(Vibration::None);
    let found = means(&specimen, &partly, &method, 1);
    // The source's places are positions of a scan; 13 points over ±3 deviations sum a Gaussian to 1e-5.
    let points: Vec<f64> = (-6..=6).map(|n| f64::from(n) / 2.0).collect();
    let weight = |x: f64| (-0.5 * x * x).exp();
    let step = source_A / 2.0;
    let mut expected = vec![0.0; 900];
    let mut total = 0.0;
    for f in &points {
        let mut coherent = instrument(ScanGrid { shape: [13, 13], step_A: [step; 2], rotation_deg: 0.0, transpose: false });
        coherent.optics.aberrations = Aberrations::defocus(30.0 + f * focus_A);
        let specimen = Specimen {
            atoms: specimen.atoms.iter().map(|a| Atom { y_A: a.y_A + 6.0 * step, x_A: a.x_A + 6.0 * step, ..a.clone() }).collect(),
            ..specimen.clone()
        };
        for (n, frame) in means(&specimen, &coherent, &method, 1).chunks(900).enumerate() {
            let w = weight(*f) * weight(points[n / 13]) * weight(points[n % 13]);
            total += w;
            expected.iter_mut().zip(frame).for_each(|(sum, x)| *sum += w * x);
        }
    }
    expected.iter_mut().for_each(|x| *x /= total);
    // A thousandth of the beam's power is left out.
    assert!(relative(&found, &expected) < 2e-3, "{:.1e}", relative(&found, &expected));
    let coherent = means(&specimen, &instrument(one_position()), &method, 1);
    let unlike = relative(&coherent, &expected);
    assert!(unlike > 0.01, "{unlike:.4}, or this test would see nothing");
}

#[test]
fn beyond_the_disk_moving_atoms_scatter_as_einsteins_model_says() {
    // Kinematic, for atoms that move each by itself: I = |Σ⟨A⟩|² + Σ(|A|² − |⟨A⟩|²), where ⟨A⟩ is an atom's amplitude blurred by Debye and Waller (R. F. Loane, P. Xu & J. Silcox, Acta Cryst. A47
    // (1991) 267). Each term is a simulation without phonons: of all atoms blurred, and of single atoms as they are and blurred.
    let (seed, element) = (seed(), Element::of("C").unwrap());
    let mut atoms: Vec<Atom> = cut("graphene", &along([0, 0, 1], 10.0)).atoms;
    atoms.retain(|a| a.y_A.hypot(a.x_A) < 2.2);
    atoms.iter_mut().for_each(|a| (a.element, a.b_A2, a.z_A) = (element, 1.6, 0.5));
    let of = |atoms: &[Atom]| Specimen { atoms: atoms.to_vec(), columns: Vec::new(), thickness_A: 1.0 };
    let instrument = instrument(one_position());
    let run = |atoms: &[Atom], vibration| means(&of(atoms), &instrument, &method(vibration), seed);
    let found = run(&atoms, Vibration::FrozenPhonons { configurations: 400 });
    let elastic = run(&atoms, Vibration::DebyeWaller);
    let mut expected = elastic.clone();
    for atom in &atoms {
        // A focused beam is not the same everywhere that an atom moves to: the mean over its places, a deviation apart over ±3 (a Gaussian's sum to 1e-3).
        let blurred = run(std::slice::from_ref(atom), Vibration::DebyeWaller);
        let deviation = (atom.b_A2 / 8.0).sqrt() / std::f64::consts::PI;
        let places: Vec<[f64; 2]> = (-3..=3).flat_map(|y| (-3..=3).map(move |x| [f64::from(y), f64::from(x)])).collect();
        let weight = |[y, x]: [f64; 2]| (-0.5 * (y * y + x * x)).exp();
        let total: f64 = places.iter().map(|&p| weight(p)).sum();
        for place in places {
            let moved = Atom { y_A: atom.y_A + place[0] * deviation, x_A: atom.x_A + place[1] * deviation, ..atom.clone() };
            let still = run(&[moved], Vibration::None);
            expected.iter_mut().zip(still.iter().zip(&blurred)).for_each(|(sum, (s, b))| *sum += (s - b) * weight(place) / total);
        }
    }
    let beyond = |frame: &[f64], from: f64, to: f64| -> f64 {
        let angle = |p: usize| 4.0 * ((p / 30) as f64 - 15.0).hypot((p % 30) as f64 - 15.0);
        frame.iter().enumerate().filter(|(p, _)| (from..to).contains(&angle(*p))).map(|(_, x)| x).sum()
    };
    for (from, to) in [(32.0, 44.0), (44.0, 58.0)] {
        let [found, expected, elastic] = [&found, &expected, &elastic].map(|frame| beyond(frame, from, to));
        // Light atoms scatter once but for some per cent, and 400 pictures leave 1.4 %.
        assert!((found / expected - 1.0).abs() < 0.08, "seed {seed}: {from} to {to} mrad: {found:.3e}, expected {expected:.3e}");
        assert!(expected / elastic - 1.0 > 0.2, "or this test would see nothing: {expected:.3e}, elastic {elastic:.3e}");
    }
}

#[test]
fn a_tilt_leans_columns_and_is_seen_as_a_tilt_of_the_beam_through_them() {
    let tilt_mrad = [6.0, -4.0];
    let (straight, leaning) = (along([0, 0, 1], 30.0), Cut { tilt_mrad, ..along([0, 0, 1], 30.0) });
    let [a, b] = [cut("SrTiO3", &straight), cut("SrTiO3", &leaning)];
    // Atoms away from the sides, where some come in and others leave.
    for atom in a.atoms.iter().filter(|a| a.y_A.abs().max(a.x_A.abs()) < 12.0) {
        let at = [atom.y_A + 6e-3 * atom.z_A, atom.x_A - 4e-3 * atom.z_A];
        let near = |b: &&Atom| (b.z_A - atom.z_A).abs() + (b.y_A - at[0]).abs() + (b.x_A - at[1]).abs() < 1e-9;
        assert!(b.atoms.iter().any(|b| b.element == atom.element && near(&b)), "{atom:?}");
    }
    // A beam tilted the other way through straight columns goes along them likewise: its pattern lies 6 and −4 mrad away, on a detector of pixels so large that this is whole numbers of them. For small angles
    // the two differ by a phase alone, and by where the thin slices are crossed: nothing here.
    let near = Instrument {
        optics: ProbeOptics { convergence_mrad: 12.0, ..instrument(one_position()).optics },
        frame: 40,
        mrad_per_px: 2.0,
        oversampling: Some(1),
        ..instrument(one_position())
    };
    let mut method = method(Vibration::None);
    method.sampling_A = 0.1;
    let through_leaning = means(&b, &near, &method, 1);
    // ψ̂(k − τ/λ): an aperture off the axis is the beam's tilt; made by hand in the layout's probe.
    let cancel = CancelToken::default();
    let run = Run { events: &|_| (), cancel: &cancel, rng: RngState::new(1) };
    let mut tilted = layout(&a, &near, &method, 1);
    let n = tilted.window;
    // Columns that lean by +τ along y are met straight by a beam that runs by −τ.
    let (dy, dx) = (-3i64, 2i64);
    let mut moved = tilted.probe.clone();
    for y in 0..n as i64 {
        for x in 0..n as i64 {
            let from = ((y - dy).rem_euclid(n as i64) * n as i64 + (x - dx).rem_euclid(n as i64)) as usize;
            // The middle of the window's shift by n/2 has a sign of its own at each frequency.
            let sign = if (dy + dx).rem_euclid(2) == 0 { 1.0 } else { -1.0 };
            moved[(y * n as i64 + x) as usize] = tilted.probe[from] * sign;
        }
    }
    tilted.probe = moved;
    let mut through_straight = Vec::new();
    diffract::<_, Error>(&run, &Cpu::<f64>::new(), &a, &near, &method, &tilted, |exposed| {
        let Exposed::Numbers(numbers) = exposed else { return Ok(()) };
        through_straight.extend(numbers.iter().map(|&x| f64::from(x)));
        Ok(())
    })
    .unwrap();
    let back: Vec<f64> = (0..1600i64)
        .map(|p| {
            let (y, x) = (p / 40 + dy, p % 40 + dx);
            if (0..40).contains(&y) && (0..40).contains(&x) { through_straight[(y * 40 + x) as usize] } else { 0.0 }
        })
        .collect();
    let inside = |frame: &[f64]| -> Vec<f64> {
        frame.iter().enumerate().filter(|(p, _)| (4..36).contains(&(p / 40)) && (4..36).contains(&(p % 40))).map(|(_, x)| *x).collect()
    };
    let apart = relative(&inside(&through_leaning), &inside(&back));
    let untilted = relative(&inside(&through_leaning), &inside(&means(&a, &near, &method, 1)));
    assert!(apart < 0.03 && untilted > 0.1, "{apart:.4} from the tilted beam's, {untilted:.4} from the straight one's");
}

#[test]
fn positions_are_the_turned_grid_less_the_drift_with_a_jitter_of_the_asked_size() {
    let seed = seed();
    let graphene = cut("graphene", &along([0, 0, 1], 10.0));
    let scan = ScanGrid { shape: [30, 40], step_A: [0.5, 0.3], rotation_deg: 20.0, transpose: true };
    let moving = Instrument { drift_A: [3.0, -2.0], jitter_A: 0.2, ..instrument(scan) };
    let found = layout(&graphene, &moving, &method(Vibration::None), seed).positions_A;
    let (sin, cos) = 20f64.to_radians().sin_cos();
    let (mut sum, mut squares) = ([0.0; 2], [0.0; 2]);
    for (n, at) in found.iter().enumerate() {
        // Transposed, (i, j) runs along (x, y) before it is turned.
        let (i, j) = ((n / 40) as f64 * 0.5, (n % 40) as f64 * 0.3);
        let part = n as f64 / 1199.0;
        let expected = [cos * j - sin * i - part * 3.0, sin * j + cos * i + part * 2.0];
        for axis in 0..2 {
            sum[axis] += at[axis] - expected[axis];
            squares[axis] += (at[axis] - expected[axis]).powi(2);
        }
    }
    for axis in 0..2 {
        // 1200 numbers of deviation 0.2: their mean strays by 0.0058, their deviation by 0.0041; five times.
        assert!((sum[axis] / 1200.0).abs() < 0.03, "seed {seed}: {}", sum[axis] / 1200.0);
        assert!(((squares[axis] / 1200.0).sqrt() - 0.2).abs() < 0.021, "seed {seed}: {}", (squares[axis] / 1200.0).sqrt());
    }
}

#[test]
fn what_no_instrument_has_is_refused_in_words() {
    let graphene = cut("graphene", &along([0, 0, 1], 10.0));
    let good = instrument(one_position());
    let refusal = |instrument: Instrument, method: Method| {
        instrument.layout(graphene.thickness_A, &method, &mut RngState::new(1).generator()).unwrap_err().to_string()
    };
    let still = || method(Vibration::None);
    let far = Aberration { n: 3, m: 0, magnitude_A: 1e9, angle_deg: 0.0 };
    for (instrument, method, words) in [
        (Instrument { dose_e_per_A2: Some(-1.0), ..good.clone() }, still(), "the dose in e⁻/Å² is -1"),
        (Instrument { source_size_A: f64::NAN, ..good.clone() }, still(), "the source size in Å is NaN"),
        (Instrument { oversampling: Some(0), ..good.clone() }, still(), "a whole number from 1 to 16"),
        (Instrument { frame: 1024, oversampling: Some(16), ..good.clone() }, still(), "at most 4096 are calculated"),
        (Instrument { scan: ScanGrid { shape: [0, 4], ..one_position() }, ..good.clone() }, still(), "at least one position"),
        (Instrument { scan: ScanGrid { shape: [1 << 20; 2], ..one_position() }, ..good.clone() }, still(), "at most 16777216 positions"),
        (
            Instrument { scan: ScanGrid { shape: [2, 2], step_A: [1e12; 2], ..one_position() }, ..good.clone() },
            still(),
            "may reach at most",
        ),
        (Instrument { drift_A: [f64::INFINITY, 0.0], ..good.clone() }, still(), "the drift in Å is inf"),
        (
            Instrument {
                optics: ProbeOptics { aberrations: Aberrations { terms: vec![far] }, ..good.optics.clone() },
                oversampling: None,
                ..good.clone()
            },
            still(),
            "lower mrad_per_px",
        ),
        (good.clone(), method(Vibration::FrozenPhonons { configurations: 0 }), "at least one"),
        (good.clone(), Method { slice_thickness_A: 0.0, ..still() }, "the slices' thickness in Å is 0"),
    ] {
        let said = refusal(instrument, method);
        assert!(said.contains(words), "{said}");
    }
    // Where it is not said, the calculated field holds the beam.
    for defocus in [0.0, 300.0, 1500.0] {
        let optics = ProbeOptics { aberrations: Aberrations::defocus(defocus), ..good.optics.clone() };
        let roomy = layout(&graphene, &Instrument { optics, oversampling: None, frame: 80, mrad_per_px: 1.0, ..good.clone() }, &still(), 1);
        let width = roomy.window as f64 * roomy.pixel_A;
        assert!(width > 2.0 * 24e-3 * (defocus + 10.0) && (width - roomy.oversampling as f64 * wavelength_A(80.0) * 1e3).abs() < 1e-6);
    }
}
