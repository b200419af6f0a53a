//! What a simulated scan was made from: potential, phase, probe, positions, columns and atoms, in the object's frame and relative to scan position (0, 0).

use std::path::Path;

use num_complex::Complex32;

use super::Simulation;
use crate::compute::Direction;
use crate::compute::cpu::transformed;
use crate::job::{Error, arrays};
use crate::optics::interaction_constant;
use crate::output::{Array, ArrayData, Attr, Axis, Column, Frame, Header, ResultFile, Table};
use crate::simulate::{Atom, Standing, projected_phase};

/// Writes the truth beside the data.
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
    let to_scan = arrays::to_scan(&instrument.scan, [pixel; 2], [y, x]);
    let phase = projected_phase(specimen, instrument, method, layout)?;
    let interaction = interaction_constant(instrument.optics.voltage_kV);
    let about = || {
        let dose = instrument.dose_e_per_A2.map(|dose| ("dose_e_per_A2".to_owned(), Attr::Number(dose)));
        let mut about = vec![
            ("thickness_A".to_owned(), Attr::Number(specimen.thickness_A)),
            ("slices".to_owned(), Attr::Integer(method.slices(specimen.thickness_A) as i64)),
            ("interaction_rad_per_V_A".to_owned(), Attr::Number(interaction)),
        ];
        about.extend(dose);
        about
    };
    for (name, units, factor) in [("potential", "V·Å", 1.0 / interaction), ("phase", "rad", 1.0)] {
        file.array(&Array {
            path: format!("truth/{name}"),
            shape: layout.shape.to_vec(),
            data: ArrayData::F32(phase.iter().map(|&p| (p * factor) as f32).collect()),
            axes: axes(),
            units: units.to_owned(),
            frame: Frame::Object,
            to_scan: Some(to_scan),
            extra: about(),
        })?;
    }
    let n = layout.window;
    let modes = layout.modes();
    let probe = transformed(&layout.probe, [n; 2], Direction::Inverse)?;
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
    let numbers =
        |name: &str, units: &str, values: Vec<f64>| Column { name: name.to_owned(), units: units.to_owned(), data: ArrayData::F64(values) };
    if !specimen.columns.is_empty() {
        let column =
            |name: &str, units: &str, value: &dyn Fn(&Standing) -> f64| numbers(name, units, specimen.columns.iter().map(value).collect());
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
    let atom = |name: &str, units: &str, value: &dyn Fn(&Atom) -> f64| numbers(name, units, specimen.atoms.iter().map(value).collect());
    file.table(&Table {
        path: "truth/atoms".to_owned(),
        columns: vec![
            atom("z", "Å", &|a| a.z_A),
            atom("y", "Å", &|a| a.y_A),
            atom("x", "Å", &|a| a.x_A),
            atom("atomic_number", "", &|a| a.element.atomic_number() as f64),
            atom("B", "Å²", &|a| a.b_A2),
        ],
        extra: Vec::new(),
    })?;
    file.finish()?;
    Ok(())
}
