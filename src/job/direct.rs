//! The direct ptychography of a job: images of the bright-field disk's interference, and a start for the iterative one.

use super::plan::Plan;
use super::schema::Job;
use super::values::{AberrationSource, DetectorSpec};
use super::{Error, Place, Start, images, memory, ptychography};
use crate::compute::{Backend, Patterns};
use crate::imaging::{self, Direct, DirectImage, DirectPlan, Method};
use crate::optics::ScanGrid;
use crate::output::{Array, ArrayData, Attr, Axis, Frame};
use crate::run::Run;

/// The methods among the images that the job asks for.
pub(super) fn methods(job: &Job) -> Vec<Method> {
    let named = |spec: &DetectorSpec| match spec {
        DetectorSpec::Named(name) => Method::named(name),
        DetectorSpec::Annulus(_) => None,
    };
    if images::asks_for_all(job) {
        // As far as the geometry is known.
        let all = vec![Method::Parallax, Method::Ssb, Method::Obf, Method::Wdd];
        return if check(job, "direct ptychography").is_ok() { all } else { Vec::new() };
    }
    job.images.detectors.as_ref().map_or(Vec::new(), |list| list.value.0.iter().filter_map(named).collect())
}

/// Refuses methods whose geometry is not known. The detector's sampling may still be measured.
pub(super) fn check(job: &Job, wanted: &str) -> Result<(), Error> {
    let why = format!("the data file does not say it and {wanted} needs it");
    let missing = |key, example| Err(Error::Missing { key, why: why.clone(), example });
    if job.optics.voltage_kV.is_none() {
        return missing("optics.voltage_kV", "300");
    }
    if job.optics.convergence_mrad.is_none() {
        return missing("optics.convergence_mrad", "25");
    }
    if job.scan.step_A.is_none() {
        return missing("scan.step_A", "0.4");
    }
    Ok(())
}

/// What direct ptychography has to know, with these methods.
fn plan(job: &Job, grid: ScanGrid, valid: Option<Vec<bool>>, incident: Option<f64>, methods: Vec<Method>) -> Result<DirectPlan, Error> {
    let names: Vec<&str> = methods.iter().map(|m| m.name()).collect();
    check(job, &names.join(", "))?;
    let missing =
        |key, example| Error::Missing { key, why: "it could not be measured and direct ptychography needs it".to_owned(), example };
    let value = |entry: &Option<super::Entry<f64>>| entry.as_ref().map_or(f64::NAN, |entry| entry.value);
    let mrad_per_px = job.detector.mrad_per_px.as_ref().ok_or_else(|| missing("detector.mrad_per_px", "0.98"))?.value.0;
    let centre_px = job.detector.centre_px.as_ref().ok_or_else(|| missing("detector.centre_px", "[63.5, 63.5]"))?.value;
    let (optics, images) = (&job.optics, &job.images);
    Ok(DirectPlan {
        valid,
        methods,
        defocus_A: optics.defocus_A.value,
        aberrations: ptychography::further_aberrations(job),
        fit: match images.aberrations.value {
            AberrationSource::Given => false,
            AberrationSource::Fit => true,
            AberrationSource::Auto => optics.defocus_A.place == Place::Default,
        },
        wdd_epsilon: images.wdd_epsilon.value,
        counts_per_electron: job.data.counts_per_electron.value,
        incident,
        // The other half is the frames'.
        memory_limit_bytes: memory::limit_bytes(job) / 2,
        ..DirectPlan::new(grid, value(&optics.voltage_kV), value(&optics.convergence_mrad), mrad_per_px, centre_px)
    })
}

/// Makes the images that the job asks for.
pub(super) fn make<B: Backend>(
    job_plan: &Plan,
    backend: &B,
    patterns: &dyn Patterns<B>,
    grid: ScanGrid,
    valid: Option<Vec<bool>>,
    incident: f64,
    run: &Run,
) -> Result<Vec<Array>, Error> {
    let (job, methods) = (&job_plan.job, methods(&job_plan.job));
    if methods.is_empty() {
        if let (true, Err(missing)) = (images::asks_for_all(job), check(job, "direct ptychography")) {
            run.note(format!("parallax, ssb, obf and wdd are left out: {missing}"));
        }
        return Ok(Vec::new());
    }
    let plan = DirectPlan {
        upsample: job.images.upsample.value,
        sweep: job.images.defocus_sweep_A.as_ref().map(|entry| entry.value),
        errors: job.images.errors.value,
        ..plan(job, grid, valid, Some(incident), methods)?
    };
    let made = imaging::direct(run, backend, patterns, &plan)?;
    Ok(made.images.iter().flat_map(|image| arrays(image, &made)).collect())
}

/// The image that a reconstruction starts from, if the job wants one.
pub(super) fn start<B: Backend>(
    job: &Job,
    backend: &B,
    patterns: &dyn Patterns<B>,
    grid: ScanGrid,
    valid: Option<Vec<bool>>,
    incident: f64,
    run: &Run,
) -> Result<Option<Direct>, Error> {
    let method = match job.ptychography.start.value {
        Start::Flat | Start::Earlier(_) => return Ok(None),
        Start::Ssb => Method::Ssb,
        Start::Parallax => Method::Parallax,
    };
    let plan = plan(job, grid, valid, Some(incident), vec![method])?;
    // The probe is given, so the image has to have its aberrations.
    Ok(Some(imaging::direct(run, backend, patterns, &DirectPlan { fit: false, ..plan })?))
}

/// An image with its error and its series.
fn arrays(image: &DirectImage, made: &Direct) -> Vec<Array> {
    let name = image.method.name();
    let mut extra = vec![
        ("defocus_A".to_owned(), Attr::Number(made.defocus_A)),
        ("incident".to_owned(), Attr::Number(made.incident)),
        ("pixels".to_owned(), Attr::Unsigned(made.pixels as u64)),
    ];
    for term in &made.aberrations.terms {
        let (n, m) = (term.n, term.m);
        extra.push((format!("C{n}{m}_A"), Attr::Number(term.magnitude_A)));
        if m > 0 {
            extra.push((format!("phi{n}{m}_deg"), Attr::Number(term.angle_deg)));
        }
    }
    if let Some(fit) = &made.fit {
        let told = if fit.determined { "determined by the shifts of the images" } else { "not determined by the shifts of the images" };
        extra.push(("fit".to_owned(), Attr::Text(told.to_owned())));
        for (name, value) in [
            ("fitted_defocus_A", fit.defocus_A),
            ("fitted_defocus_error_A", fit.defocus_error_A),
            ("fitted_C12_A", fit.C12_A),
            ("fitted_C12_error_A", fit.C12_error_A),
            ("fitted_phi12_deg", fit.phi12_deg),
            ("fitted_phi12_error_deg", fit.phi12_error_deg),
            ("fitted_rotation_deg", fit.rotation_deg),
            ("fitted_rotation_error_deg", fit.rotation_error_deg),
        ] {
            extra.push((name.to_owned(), Attr::Number(value)));
        }
    }
    let [y, x] = made.pixel_A;
    let array = |path: String, values: &[f64], extra| Array {
        path,
        shape: made.shape.to_vec(),
        data: ArrayData::F64(values.to_vec()),
        axes: vec![Axis::new("y", "Å", 0.0, y), Axis::new("x", "Å", 0.0, x)],
        units: "rad".to_owned(),
        frame: Frame::Scan,
        to_scan: Some([[y, 0.0, 0.0], [0.0, x, 0.0]]),
        extra,
    };
    let mut all = vec![array(format!("images/{name}"), &image.values, extra)];
    if let Some(error) = &image.error {
        all.push(array(format!("images/{name}_error"), error, Vec::new()));
    }
    if let Some(sweep) = &image.sweep {
        let extra = vec![
            ("defocus_A".to_owned(), Attr::Numbers(sweep.defoci_A.clone())),
            ("sharpness".to_owned(), Attr::Numbers(sweep.sharpness.clone())),
            ("best_defocus_A".to_owned(), Attr::Number(sweep.best_defocus_A)),
        ];
        let mut series = array(format!("images/{name}_sweep"), &sweep.values, extra);
        series.shape.insert(0, sweep.defoci_A.len());
        let step = sweep.defoci_A.get(1).map_or(1.0, |second| second - sweep.defoci_A[0]);
        series.axes.insert(0, Axis::new("defocus", "Å", sweep.defoci_A[0], step));
        series.to_scan = None;
        all.push(series);
    }
    all
}
