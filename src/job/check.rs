//! What a job's values must be whatever the data are.

use std::fmt::Display;

use super::error::{Error, Refusal};
use super::schema::{Entry, Job};
use super::values::{Annulus, DetectorSpec};

impl Job {
    /// Refuses values that no data could make right.
    pub(super) fn check(&self) -> Result<(), Error> {
        if let Some(shape) = &self.data.scan_shape {
            let wanted = "two numbers from 1";
            require(shape, "data.scan_shape", |s| !s.contains(&0), |s| format!("{s:?}"), wanted, "Write [rows, columns] of the scan.")?;
        }
        let crops = [(&self.data.crop_scan, "data.crop_scan"), (&self.data.crop_detector, "data.crop_detector")];
        for (crop, key) in crops.into_iter().filter_map(|(crop, key)| Some((crop.as_ref()?, key))) {
            let wanted = "[first row, end row, first column, end column], each end greater than its first";
            require(crop, key, |c| c[0] < c[1] && c[2] < c[3], |c| format!("{c:?}"), wanted, "Ends are not included.")?;
        }
        number(
            Some(&self.data.counts_per_electron),
            "data.counts_per_electron",
            |&c| c > 0.0 && c.is_finite(),
            "a number above 0",
            "Leave the key out where counts are electrons.",
        )?;

        let optics = &self.optics;
        number(
            optics.voltage_kV.as_ref(),
            "optics.voltage_kV",
            |&v| v > 0.0 && v <= 3000.0,
            "a number of kV above 0 and up to 3000",
            "The unit is kV, so that 300 is a common value.",
        )?;
        number(
            optics.convergence_mrad.as_ref(),
            "optics.convergence_mrad",
            |&a| a > 0.0 && a < 1000.0,
            "a number of mrad above 0 and below 1000",
            "It is the radius of the bright-field disk as an angle.",
        )?;
        finite(Some(&optics.defocus_A), "optics.defocus_A")?;
        let coefficients = &optics.aberrations;
        for (name, &x) in &coefficients.value.0 {
            let entry = Entry { value: x, place: coefficients.place.clone() };
            finite(Some(&entry), &format!("optics.aberrations.{name}"))?;
        }

        let positive = |x: &f64| *x > 0.0 && x.is_finite();
        for (pair, key, unit) in [(&self.scan.step_A, "scan.step_A", "Å"), (&self.detector.mrad_per_px, "detector.mrad_per_px", "mrad")] {
            if let Some(entry) = pair {
                let wanted = format!("numbers of {unit} above 0");
                let remedy = "Leave the key out to use what the data file says.";
                require(entry, key, |p| p.0.iter().all(positive), |p| format!("{:?}", p.0), &wanted, remedy)?;
            }
        }
        finite(Some(&self.scan.rotation_deg), "scan.rotation_deg")?;
        if let Some(centre) = &self.detector.centre_px {
            let remedy = "Leave the key out to have it measured.";
            require(centre, "detector.centre_px", |c| c.iter().all(|x| x.is_finite()), |c| format!("{c:?}"), "finite numbers", remedy)?;
        }

        let from_0 = |x: &f64| *x >= 0.0 && x.is_finite();
        let (source, blur) = (Some(&self.optics.source_size_A), Some(&self.detector.blur_px));
        number(source, "optics.source_size_A", from_0, "a number of Å from 0", "0 is a source without extent.")?;
        number(
            blur,
            "detector.blur_px",
            |&x| (0.0..=16.0).contains(&x),
            "a number of pixels from 0 to 16",
            "0 is a detector without blur.",
        )?;
        self.check_images()?;
        self.check_map()?;
        self.check_ptychography()?;
        number(
            self.compute.memory_limit_GiB.as_ref(),
            "compute.memory_limit_GiB",
            |&g| g >= MIN_MEMORY_GIB && g.is_finite(),
            &format!("a number of GiB from {MIN_MEMORY_GIB}"),
            "Leave the key out for half of the free memory.",
        )?;
        number(
            self.compute.threads.as_ref(),
            "compute.threads",
            |&n| (1..=1024).contains(&n),
            "a whole number from 1 to 1024",
            "Leave the key out to use all processors.",
        )
    }

    fn check_map(&self) -> Result<(), Error> {
        let map = &self.map;
        let above_0 = |x: &f64| *x > 0.0 && x.is_finite();
        let (wanted, remedy) = ("a number of Å above 0 and up to 2000", "Leave the key out to have it found.");
        number(map.thickness_A.as_ref(), "map.thickness_A", |t| above_0(t) && *t <= 2000.0, wanted, remedy)?;
        number(Some(&map.draws), "map.draws", |&n| (3..=1000).contains(&n), "a whole number from 3 to 1000", "16 are usual.")?;
        number(Some(&map.bootstrap), "map.bootstrap", |&n| n <= 10_000, "a whole number up to 10000", "0 makes none.")?;
        let rate = |q: &f64| *q > 0.0 && *q < 1.0;
        number(Some(&map.false_discovery_rate), "map.false_discovery_rate", rate, "a number above 0 and below 1", "0.05 is usual.")?;
        let margin = |m: &f64| *m >= 0.0 && m.is_finite();
        number(Some(&map.margin_A), "map.margin_A", margin, "a number of Å from 0", "1 is usual.")?;
        let Some(region) = &map.region_A else { return Ok(()) };
        let runs = |[y0, y1, x0, x1]: &[f64; 4]| [[y0, y1], [x0, x1]].iter().all(|[a, b]| **a >= 0.0 && a < b && b.is_finite());
        let (wanted, remedy) =
            ("[first y, end y, first x, end x] in Å from 0, ends after firsts", "Leave the key out to take the whole image.");
        require(region, "map.region_A", runs, |r| format!("{r:?}"), wanted, remedy)
    }

    fn check_images(&self) -> Result<(), Error> {
        finite(self.images.eabf_k.as_ref(), "images.eabf_k")?;
        let positive = |x: &f64| x.is_finite() && *x > 0.0;
        let highpass = self.images.highpass_inverse_A.as_ref();
        number(highpass, "images.highpass_inverse_A", positive, "a number of 1/Å above 0", "Leave the key out for no high-pass.")?;
        let gain = Some(&self.data.counts_per_electron);
        number(gain, "data.counts_per_electron", positive, "a number above 0", "Counting detectors have 1.")?;
        let upsample = "a whole number from 1 to 16";
        number(Some(&self.images.upsample), "images.upsample", |&n| (1..=16).contains(&n), upsample, "1 keeps the scan's own step.")?;
        let above_0 = |x: &f64| *x > 0.0 && x.is_finite();
        number(Some(&self.images.wdd_epsilon), "images.wdd_epsilon", above_0, "a number above 0", "0.01 is a good start.")?;
        if let Some(sweep) = &self.images.defocus_sweep_A {
            let holds = |[from, to, step]: &[f64; 3]| from.is_finite() && to >= from && above_0(step) && (to - from) / step < 256.0;
            let wanted = "[from, to, step] in Å with from ≤ to, a step above 0 and at most 256 foci";
            require(sweep, "images.defocus_sweep_A", holds, |s| format!("{s:?}"), wanted, "Take a larger step or a smaller range.")?;
        }
        let Some(detectors) = &self.images.detectors else { return Ok(()) };
        let refuse = |found: String, expected: &str, remedy: &str| {
            let (expected, remedy) = (expected.to_owned(), remedy.to_owned());
            Err(Refusal { place: detectors.place.clone(), key: "images.detectors".to_owned(), found, expected, remedy }.into())
        };
        if detectors.value.0.is_empty() {
            return refuse("an empty list".into(), "at least one detector", "Leave the key out for every detector that fits the frame.");
        }
        let mut names = Vec::new();
        for spec in &detectors.value.0 {
            let name = match spec {
                DetectorSpec::Named(name) => name,
                DetectorSpec::Annulus(ring) => {
                    if let Some(problem) = ring_problem(ring) {
                        let expected = "0 ≤ inner < outer, each edge once, in mrad or as a share of the disk";
                        return refuse(
                            format!("the ring {} with {problem}", ring.name),
                            expected,
                            "Write inner_mrad or inner_disk, outer_mrad or outer_disk.",
                        );
                    }
                    &ring.name
                }
            };
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
                return refuse(
                    format!("\"{name}\""),
                    "names of letters, digits, _ and -",
                    "The name is also that of the image in the result.",
                );
            }
            if names.contains(&name) {
                return refuse(format!("two detectors {name}"), "each name once", "Give one of them another name.");
            }
            names.push(name);
        }
        Ok(())
    }

    fn check_ptychography(&self) -> Result<(), Error> {
        let ptychography = &self.ptychography;
        let at_least_one = "a whole number from 1";
        number(
            Some(&ptychography.iterations),
            "ptychography.iterations",
            |&n| n >= 1,
            at_least_one,
            "One iteration is a pass over all patterns.",
        )?;
        number(
            Some(&ptychography.batch),
            "ptychography.batch",
            |&n| n >= 1,
            at_least_one,
            "It is the number of patterns of one update; 32 is a good start.",
        )?;
        if let (Some(vacuum), Some(probe)) = (&ptychography.vacuum, &ptychography.probe) {
            return Err(Refusal {
                place: vacuum.place.clone(),
                key: "ptychography.vacuum".to_owned(),
                found: vacuum.value.to_string(),
                expected: format!("nothing beside ptychography.probe = {}, which is the whole probe", probe.value),
                remedy: "Take one of them out.".to_owned(),
            }
            .into());
        }
        let step = |x: &f64| *x > 0.0 && *x <= 2.0;
        let wanted = "a number above 0 and up to 2";
        number(ptychography.step_object.as_ref(), "ptychography.step_object", step, wanted, "0.5 is a good start.")?;
        let remedy = "To keep the probe as it is, set ptychography.probe_from = 0.";
        number(ptychography.step_probe.as_ref(), "ptychography.step_probe", step, wanted, remedy)?;
        let part = |x: &f64| *x > 0.0 && *x <= 1.0;
        let wanted = "a number above 0 and up to 1";
        number(Some(&ptychography.step_end), "ptychography.step_end", part, wanted, "0.1 is a good end.")?;
        number(Some(&ptychography.alpha), "ptychography.alpha", part, wanted, "1 is ePIE.")?;
        number(Some(&ptychography.beta), "ptychography.beta", part, wanted, "0.9 is a good start.")?;
        let below_one = |x: &f64| *x >= 0.0 && *x < 1.0;
        let wanted = "a number from 0, below 1";
        number(ptychography.friction.as_ref(), "ptychography.friction", below_one, wanted, "0 has no momentum.")?;
        number(Some(&ptychography.refinement_momentum), "ptychography.refinement_momentum", below_one, wanted, "0 has no momentum.")?;
        number(Some(&ptychography.momentum_every), "ptychography.momentum_every", |&n| n >= 1, at_least_one, "20 is a good start.")?;
        let above_0 = |x: &f64| *x > 0.0 && x.is_finite();
        let epsilon = Some(&ptychography.poisson_epsilon);
        number(epsilon, "ptychography.poisson_epsilon", above_0, "a number above 0", "0.1 electrons is a good start.")?;
        let modes = "a whole number from 1 to 64";
        number(Some(&ptychography.probe_modes), "ptychography.probe_modes", |&n| (1..=64).contains(&n), modes, "1 is a coherent probe.")?;
        let power = |x: &f64| *x > 0.0 && *x < 1.0;
        number(Some(&ptychography.mode_power), "ptychography.mode_power", power, "a number above 0 and below 1", "0.02 is a good start.")?;
        let slices = "a whole number from 1 to 256";
        number(Some(&ptychography.slices), "ptychography.slices", |&n| (1..=256).contains(&n), slices, "1 is a thin object.")?;
        let thickness = ptychography.slice_thickness_A.as_ref();
        number(
            thickness,
            "ptychography.slice_thickness_A",
            above_0,
            "a number of Å above 0",
            "It is the thickness of the sample over the slices.",
        )?;
        let tilts = |t: &[f64; 2]| t.iter().all(|x| x.abs() <= 500.0);
        let tilt = &ptychography.tilt_mrad;
        require(
            tilt,
            "ptychography.tilt_mrad",
            tilts,
            |t| format!("{t:?}"),
            "two numbers [y, x] in mrad of at most 500",
            "0 is a flat sample.",
        )?;
        let limit = Some(&ptychography.tilts_limit_mrad);
        let flat = |x: &f64| *x > 0.0 && *x <= 200.0;
        number(limit, "ptychography.tilts_limit_mrad", flat, "a number of mrad above 0 and up to 200", "20 is a good start.")?;
        let smooth = Some(&ptychography.tilts_smooth_A);
        let from_0 = |x: &f64| *x >= 0.0 && x.is_finite();
        number(smooth, "ptychography.tilts_smooth_A", from_0, "a number of Å from 0", "0 takes each position on its own.")?;
        let moved = "a number above 0 and up to 2";
        number(Some(&ptychography.refinement_step), "ptychography.refinement_step", step, moved, "1 is a good start.")?;
        let limit = Some(&ptychography.positions_limit_A);
        number(limit, "ptychography.positions_limit_A", above_0, "a number of Å above 0", "Take a few times the stage's jitter.")?;
        let share = |x: &f64| *x >= 0.0 && *x < 0.5;
        let (part, remedy) = (|x: &f64| (0.0..1.0).contains(x), "0.01 is a good start.");
        number(Some(&ptychography.frozen_below), "ptychography.frozen_below", part, "a number from 0, below 1", remedy)?;
        let of = |most: usize| move |n: &usize| (1..=most).contains(n);
        number(Some(&ptychography.bin), "ptychography.bin", of(16), "a whole number from 1 to 16", "2 is a good start.")?;
        number(Some(&ptychography.upsample), "ptychography.upsample", of(8), "a whole number from 1 to 8", "2 is a good start.")?;
        let (variations, few) = (Some(&ptychography.probe_variations), |n: &usize| *n <= 16);
        number(variations, "ptychography.probe_variations", few, "a whole number from 0 to 16", "2 are a good start.")?;
        let from = Some(&ptychography.variations_from);
        number(
            from,
            "ptychography.variations_from",
            |&n| n >= 1,
            at_least_one,
            "ptychography.probe_variations = 0 keeps the probe the same.",
        )?;
        let pad = Some(&ptychography.pad_px);
        number(
            pad,
            "ptychography.pad_px",
            |&n| n <= 4096,
            "a whole number from 0 to 4096",
            "A quarter of the frame's side is a good start.",
        )?;
        number(Some(&ptychography.validation), "ptychography.validation", share, "a number from 0, below 0.5", "0.05 is a good start.")
    }
}

/// Less memory than this holds no useful block of frames.
const MIN_MEMORY_GIB: f64 = 0.0625;

/// What is wrong with a ring's edges.
fn ring_problem(ring: &Annulus) -> Option<String> {
    for (mrad, disk, edge) in [(ring.inner_mrad, ring.inner_disk, "inner"), (ring.outer_mrad, ring.outer_disk, "outer")] {
        if mrad.is_some() && disk.is_some() {
            return Some(format!("two {edge} edges"));
        }
    }
    let edges = [ring.inner_mrad, ring.inner_disk, ring.outer_mrad, ring.outer_disk];
    if let Some(x) = edges.into_iter().flatten().find(|x| !x.is_finite() || *x < 0.0) {
        return Some(format!("an edge at {x}"));
    }
    let crossed = |inner: Option<f64>, outer: Option<f64>| outer.filter(|outer| *outer <= inner.unwrap_or(0.0));
    if ring.mask.is_some() && ring.segments.is_some() {
        return Some("both a mask and segments".to_owned());
    }
    if let Some(count) = ring.segments.filter(|n| !(1..=63).contains(n)) {
        return Some(format!("{count} segments, which must be 1 to 63"));
    }
    if ring.first_deg.is_some_and(|azimuth| !azimuth.is_finite() || ring.segments.is_none()) {
        return Some("a first_deg that is no number or has no segments to turn".to_owned());
    }
    crossed(ring.inner_mrad, ring.outer_mrad)
        .or_else(|| crossed(ring.inner_disk, ring.outer_disk))
        .or_else(|| [ring.outer_mrad, ring.outer_disk].into_iter().flatten().find(|outer| *outer == 0.0))
        .map(|outer| format!("an outer edge at {outer}, not beyond its inner one"))
}

fn require<T>(
    entry: &Entry<T>,
    key: &str,
    holds: impl Fn(&T) -> bool,
    show: impl Fn(&T) -> String,
    expected: &str,
    remedy: &str,
) -> Result<(), Error> {
    if holds(&entry.value) {
        return Ok(());
    }
    let (expected, remedy) = (expected.to_owned(), remedy.to_owned());
    Err(Refusal { place: entry.place.clone(), key: key.to_owned(), found: show(&entry.value), expected, remedy }.into())
}

/// Refuses a number that does not hold; one that is not given holds.
fn number<T: Display>(entry: Option<&Entry<T>>, key: &str, holds: impl Fn(&T) -> bool, expected: &str, remedy: &str) -> Result<(), Error> {
    entry.map_or(Ok(()), |entry| require(entry, key, holds, T::to_string, expected, remedy))
}

fn finite(entry: Option<&Entry<f64>>, key: &str) -> Result<(), Error> {
    number(entry, key, |x| x.is_finite(), "a finite number", "Leave the key out for its default.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_no_data_could_make_right_are_refused() {
        for (set, expected) in [
            ("ptychography.batch=0", "command line: ptychography.batch is 0, expected a whole number from 1."),
            ("ptychography.iterations=0", "ptychography.iterations is 0, expected a whole number from 1."),
            ("ptychography.step_end=0", "ptychography.step_end is 0, expected a number above 0 and up to 1."),
            ("ptychography.step_object=0", "ptychography.step_object is 0, expected a number above 0 and up to 2."),
            ("ptychography.step_probe=2.1", "ptychography.step_probe is 2.1, expected"),
            ("ptychography.step_probe=nan", "ptychography.step_probe is NaN, expected"),
            ("optics.voltage_kV=-300", "optics.voltage_kV is -300, expected a number of kV above 0 and up to 3000."),
            ("optics.voltage_kV=300000", "The unit is kV"),
            ("data.counts_per_electron=0", "data.counts_per_electron is 0, expected a number above 0."),
            ("optics.convergence_mrad=-25", "optics.convergence_mrad is -25, expected"),
            ("optics.defocus_A=inf", "optics.defocus_A is inf, expected a finite number."),
            ("optics.aberrations.C30_A=nan", "optics.aberrations.C30_A is NaN, expected a finite number."),
            ("scan.step_A=[0.4, 0]", "scan.step_A is [0.4, 0.0], expected numbers of Å above 0."),
            ("scan.rotation_deg=nan", "scan.rotation_deg is NaN"),
            ("detector.mrad_per_px=-1", "detector.mrad_per_px is [-1.0, -1.0]"),
            ("detector.centre_px=[nan, 3]", "detector.centre_px is [NaN, 3.0]"),
            ("data.scan_shape=[0, 4]", "data.scan_shape is [0, 4]"),
            ("data.crop_scan=[3, 3, 0, 4]", "data.crop_scan is [3, 3, 0, 4], expected [first row, end row"),
            ("map.region_A=[5, 5, 0, 10]", "map.region_A is [5.0, 5.0, 0.0, 10.0], expected [first y, end y, first x, end x] in Å from 0"),
            ("map.region_A=[0, 5, -1, 10]", "map.region_A is [0.0, 5.0, -1.0, 10.0], expected"),
            ("map.region_A=[0, nan, 0, 10]", "map.region_A is [0.0, NaN, 0.0, 10.0], expected"),
            ("compute.threads=0", "compute.threads is 0, expected a whole number from 1 to 1024."),
            ("compute.memory_limit_GiB=0.001", "compute.memory_limit_GiB is 0.001, expected a number of GiB from 0.0625."),
            ("images.detectors=[]", "images.detectors is an empty list, expected at least one detector."),
            ("images.detectors=[\"bf\", \"bf\"]", "images.detectors is two detectors bf, expected each name once."),
            ("images.detectors=[\"b/f\"]", "images.detectors is \"b/f\", expected names of letters"),
            (
                "images.detectors=[{ name = \"r\", inner_mrad = 30, outer_mrad = 20 }]",
                "the ring r with an outer edge at 20, not beyond its inner one",
            ),
            ("images.detectors=[{ name = \"r\", inner_mrad = 30, inner_disk = 1 }]", "the ring r with two inner edges"),
            ("images.detectors=[{ name = \"r\", inner_mrad = -3 }]", "the ring r with an edge at -3"),
        ] {
            let message = Job::from_text("", "job.toml", &[set.to_owned()]).unwrap_err().to_string();
            assert!(message.contains(expected), "{set}: {message}");
        }
    }
}
