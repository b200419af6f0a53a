//! Virtual diffraction: what a diffraction pattern of the image, or of a region of it, would show, and the d-spacings of its spots.

use std::path::Path;

use super::report::column;
use super::scene::Scene;
use crate::analysis::columns::Field;
use crate::analysis::field::{Bragg, Picture, Spectrum};
use crate::job::{Error, Job, Refusal};
use crate::output::{Array, ArrayData, Attr, Axis, ColorMap, Frame, Look, Ring, Table, write_png_with_rings};
use crate::run::Run;

/// Spots below this signal to noise are none.
const SPOT_SNR: f64 = 5.0;
/// The radius of a spot's ring and its colour, and how many spots have their d-spacing written beside them, the widest first.
const RING_INVERSE_A: f64 = 0.03;
const COLOR: [u8; 3] = [255, 255, 255];
const LABELLED: usize = 12;

/// A power spectrum and its spots.
pub(super) struct Diffraction {
    pub(super) array: Array,
    pub(super) spots: Option<Table>,
    rings: Vec<Ring>,
}

impl Diffraction {
    /// Of the job's region of the image, or of all of it. `None`, with the reason told, where the image has no spectrum.
    ///
    /// # Errors
    /// If the region is not a part of the image.
    pub(super) fn of(job: &Job, scene: &Scene, run: &Run) -> Result<Option<Self>, Error> {
        let field = scene.field();
        let region = region(job, &field)?;
        let found = Picture::new(field.values, field.shape, field.pixel_A).and_then(|picture| Spectrum::of_region(&picture, region));
        let spectrum = match found {
            Ok(spectrum) => spectrum,
            Err(error) => {
                run.note(format!("no virtual diffraction: {error}"));
                return Ok(None);
            }
        };
        let spots = spectrum.spots(SPOT_SNR);
        if spots.is_empty() {
            run.note(format!(
                "virtual diffraction shows no spot {SPOT_SNR} times above its noise: a larger field or region has stronger ones"
            ));
        }
        let (shape, pixel) = (spectrum.shape(), spectrum.pixel_inverse_A());
        let axis = |name: &str, a: usize| Axis::new(name, "1/Å", -((shape[a] / 2) as f64) * pixel[a], pixel[a]);
        let [y0, y1, x0, x1] = region;
        let [y, x] = field.pixel_A;
        let edges = [y0 as f64 * y, y1 as f64 * y, x0 as f64 * x, x1 as f64 * x];
        let array = Array {
            path: "map/diffraction".to_owned(),
            shape: shape.to_vec(),
            data: ArrayData::F64(spectrum.centred_power()),
            axes: vec![axis("q_y", 0), axis("q_x", 1)],
            units: "rad²".to_owned(),
            frame: Frame::None,
            to_scan: None,
            extra: vec![
                ("image".to_owned(), Attr::Text(scene.path.clone())),
                ("region_A".to_owned(), Attr::Numbers(edges.to_vec())),
                ("window".to_owned(), Attr::Text("Hann".to_owned())),
            ],
        };
        Ok(Some(Self { rings: rings(&spots, shape, pixel), spots: table(&spots), array }))
    }

    /// Writes its picture, spots ringed.
    pub(super) fn picture(&self, folder: &Path, force: bool) -> Result<(), Error> {
        let look = Look { log: true, ..Look::plain(ColorMap::Viridis) };
        write_png_with_rings(&folder.join("diffraction.png"), force, &self.array, look, &self.rings)?;
        Ok(())
    }
}

/// The pixels of the job's region, or all of them.
fn region(job: &Job, field: &Field<'_>) -> Result<[usize; 4], Error> {
    let (shape, pixel_A) = (field.shape, field.pixel_A);
    let Some(given) = &job.map.region_A else { return Ok([0, shape[0], 0, shape[1]]) };
    pixels(given.value, shape, pixel_A).ok_or_else(|| {
        let [y, x] = [0, 1].map(|a| shape[a] as f64 * pixel_A[a]);
        let refusal = Refusal {
            place: given.place.clone(),
            key: "map.region_A".to_owned(),
            found: format!("{:?}", given.value),
            expected: format!(
                "[first y, end y, first x, end x] within the image's {y:.1} Å along y and {x:.1} Å along x, 16 pixels or more a side"
            ),
            remedy: "Leave the key out to take the whole image.".to_owned(),
        };
        refusal.into()
    })
}

/// The pixels between two pairs of edges in Å, [first y, end y, first x, end x]; `None` where they are not a part of the image.
fn pixels(edges_A: [f64; 4], shape: [usize; 2], pixel_A: [f64; 2]) -> Option<[usize; 4]> {
    let at = [0, 1, 2, 3].map(|k| edges_A[k] / pixel_A[k / 2]);
    let fits = (0..2).all(|a| at[2 * a] > -0.5 && at[2 * a + 1] < shape[a] as f64 + 0.5 && at[2 * a + 1] - at[2 * a] > 15.5);
    fits.then(|| at.map(|x| x.round() as usize))
}

/// A ring around each spot and its opposite, the innermost with their d-spacing.
fn rings(spots: &[Bragg], shape: [usize; 2], pixel: [f64; 2]) -> Vec<Ring> {
    let mut order: Vec<&Bragg> = spots.iter().collect();
    order.sort_by(|a, b| b.d_A.value.total_cmp(&a.d_A.value));
    let ring = |q: [f64; 2], label: String| {
        let centre = [0, 1].map(|a| q[a] / pixel[a] + (shape[a] / 2) as f64);
        Ring { centre, radius: RING_INVERSE_A / pixel[1], color: COLOR, label }
    };
    let both = |(n, spot): (usize, &&Bragg)| {
        let label = if n < LABELLED { format!("{:.2} Å", spot.d_A.value) } else { String::new() };
        [ring(spot.q_inverse_A, label), ring(spot.q_inverse_A.map(|q| -q), String::new())]
    };
    order.iter().enumerate().flat_map(both).collect()
}

fn table(found: &[Bragg]) -> Option<Table> {
    if found.is_empty() {
        return None;
    }
    let each = |value: &dyn Fn(&Bragg) -> f64| found.iter().map(value).collect::<Vec<f64>>();
    let columns = vec![
        column("q_y", "1/Å", each(&|b| b.q_inverse_A[0])),
        column("q_x", "1/Å", each(&|b| b.q_inverse_A[1])),
        column("d_A", "Å", each(&|b| b.d_A.value)),
        column("d_se_A", "Å", each(&|b| b.d_A.se)),
        column("angle_deg", "degrees", each(&|b| b.angle_deg.value)),
        column("amplitude", "rad", each(&|b| b.amplitude.value)),
        column("snr", "", each(&|b| b.snr)),
    ];
    Some(Table { path: "map/spots".to_owned(), columns, extra: Vec::new() })
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn a_region_in_angstrom_is_those_pixels_and_one_outside_or_too_small_is_none() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(rand::random());
        for _ in 0..200 {
            let shape = [0, 1].map(|_| rng.random_range(16..200));
            let pixel: [f64; 2] = [0, 1].map(|_| rng.random_range(0.05..1.0));
            let first = shape.map(|n| rng.random_range(0..=n - 16));
            let end = [0, 1].map(|a| rng.random_range(first[a] + 16..=shape[a]));
            let edges = [first[0], end[0], first[1], end[1]];
            // Up to 0.4 pixels off.
            let mut off = || rng.random_range(-0.2..0.2);
            let given = [0, 1, 2, 3].map(|k| (edges[k] as f64 + off()) * pixel[k / 2]);
            assert_eq!(pixels(given, shape, pixel), Some(edges));
            for k in 0..4 {
                let mut wrong = given;
                wrong[k] = if k % 2 == 0 { -pixel[k / 2] } else { (shape[k / 2] + 1) as f64 * pixel[k / 2] };
                assert_eq!(pixels(wrong, shape, pixel), None, "{wrong:?} of {shape:?}");
                wrong[k] = given[k ^ 1];
                assert_eq!(pixels(wrong, shape, pixel), None, "an empty region");
                wrong[k] = f64::NAN;
                assert_eq!(pixels(wrong, shape, pixel), None, "no number");
            }
        }
    }
}
