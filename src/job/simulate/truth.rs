//! What a simulated scan was made from.

use std::path::Path;

use num_complex::Complex32;

use super::Simulation;
use crate::compute::Direction;
use crate::compute::cpu::transformed;
use crate::job::{Error, arrays};
use crate::output::{Array, ArrayData, Attr, Axis, Column, Frame, Header, ResultFile, Table};
use crate::simulate::{Standing, projected_phase};

/// Writes the projected phase, the columns, every probe's place and the probe itself, all in the object's frame.
pub(super) fn write(path: &Path, force: bool, simulation: &Simulation) -> Result<(), Error> {
    let Simulation { specimen, instrument, method, layout, .. } = simulation;
    let mut file = ResultFile::create(path, force)?;
    file.header(&Header {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        job: simulation.text.clone(),
        device: String::new(),
        input: None,
        seed: simulation.spec.seed,
        uuid: blake3::hash(simulation.text.as_bytes()).to_hex()[..32].to_owned(),
    })?;
    let (pixel, [y, x]) = (layout.pixel_A, layout.origin_A);
    let axes = || vec![Axis::new("y", "Å", y, pixel), Axis::new("x", "Å", x, pixel)];
    let phase = projected_phase(specimen, instrument, method, layout)?;
    file.array(&Array {
        path: "truth/phase".to_owned(),
        shape: layout.shape.to_vec(),
        data: ArrayData::F32(phase.iter().map(|&p| p as f32).collect()),
        axes: axes(),
        units: "rad".to_owned(),
        frame: Frame::Object,
        to_scan: Some(arrays::to_scan(&instrument.scan, [pixel; 2], [y, x])),
        extra: vec![
            ("thickness_A".to_owned(), Attr::Number(specimen.thickness_A)),
            ("dose_e_per_A2".to_owned(), Attr::Number(instrument.dose_e_per_A2.unwrap_or(f64::NAN))),
            ("slices".to_owned(), Attr::Integer((specimen.thickness_A / method.slice_thickness_A - 1e-6).ceil().max(1.0) as i64)),
        ],
    })?;
    let n = layout.window;
    let spectra = instrument.probe(layout);
    let modes = spectra.len() / (n * n);
    let probe = transformed(&spectra, [n; 2], Direction::Inverse)?;
    file.array(&Array {
        path: "truth/probe".to_owned(),
        shape: vec![modes, n, n],
        data: ArrayData::Complex32(probe.iter().map(|z| Complex32::new(z.re as f32, z.im as f32)).collect()),
        axes: vec![
            Axis::index("mode"),
            Axis::new("y", "Å", -((n / 2) as f64) * pixel, pixel),
            Axis::new("x", "Å", -((n / 2) as f64) * pixel, pixel),
        ],
        units: String::new(),
        frame: Frame::Object,
        to_scan: None,
        extra: Vec::new(),
    })?;
    let place = |axis: usize, name: &str| Column {
        name: name.to_owned(),
        units: "Å".to_owned(),
        data: ArrayData::F64(layout.positions_A.iter().map(|p| p[axis]).collect()),
    };
    file.table(&Table { path: "truth/positions".to_owned(), columns: vec![place(0, "y"), place(1, "x")], extra: Vec::new() })?;
    if !specimen.columns.is_empty() {
        let column = |name: &str, units: &str, value: &dyn Fn(&Standing) -> f64| Column {
            name: name.to_owned(),
            units: units.to_owned(),
            data: ArrayData::F64(specimen.columns.iter().map(value).collect()),
        };
        file.table(&Table {
            path: "truth/columns".to_owned(),
            columns: vec![
                column("y", "Å", &|c| c.y_A),
                column("x", "Å", &|c| c.x_A),
                column("atomic_number", "", &|c| c.element.atomic_number() as f64),
                column("sites", "", &|c| c.sites),
                column("atoms", "", &|c| f64::from(c.atoms)),
                column("occupancy", "", &|c| c.occupancy()),
            ],
            extra: Vec::new(),
        })?;
    }
    file.finish()?;
    Ok(())
}
