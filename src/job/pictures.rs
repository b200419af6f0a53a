//! TIFF and PNG pictures in a folder beside the result.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::ptychography::scan_grid;
use super::schema::{Job, Output};
use super::{Error, arrays, beside};
use crate::optics::apply;
use crate::output::{
    Array, ArrayData, Claim, ColorMap, Curve, Frame, Look, Tile, Vectors, slices, write_curves_png, write_png, write_sheet, write_tiff,
    write_vector_png,
};

/// The name of the sheet of all images.
const OVERVIEW: &str = "overview";

/// The folder of a result's pictures: `scan_images` beside `scan.emd`.
pub(super) fn folder(result: &Path) -> PathBuf {
    beside(result, "_images")
}

/// Refuses a folder of pictures that is there already, before any work. `tables` is whether there will be some of these, which nobody has to ask for.
pub(super) fn check(output: &Output, tables: bool, result: &Path, force: bool) -> Result<(), Error> {
    let folder = folder(result);
    let wanted = tables || output.png.value || output.tiff.value;
    if wanted && folder.symlink_metadata().is_ok() && !(force && folder.is_dir()) {
        return Err(crate::output::Error::Exists { path: folder.display().to_string() }.into());
    }
    Ok(())
}

/// Writes the pictures of what there is to see in a result's arrays; the folder appears whole. One that is there already (and may be replaced) gets each
/// picture in its place.
pub(super) fn write(job: &Job, result: &Path, arrays: &[Array], force: bool) -> Result<Option<PathBuf>, Error> {
    let gallery = Gallery::of(job, arrays);
    if !job.output.png.value && !job.output.tiff.value && gallery.convergence.csv.is_none() {
        return Ok(None);
    }
    let folder = folder(result);
    let title = result.file_name().unwrap_or_default().to_string_lossy();
    let failed = |e: std::io::Error| Error::Files { path: folder.clone(), done: "written", why: e.to_string() };
    if folder.is_dir() {
        gallery.fill(&job.output, &folder, &title, force)?;
        return Ok(Some(folder));
    }
    let parent = folder.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unfinished = tempfile::Builder::new().prefix(".ronchi-pictures.").tempdir_in(parent).map_err(failed)?;
    gallery.fill(&job.output, unfinished.path(), &title, force)?;
    open_to_readers(unfinished.path()).map_err(failed)?;
    std::fs::rename(unfinished.path(), &folder).map_err(failed)?;
    // It is no longer under its temporary name, so that there is nothing to remove.
    let _ = unfinished.keep();
    Ok(Some(folder))
}

/// What there is to see in a result.
struct Gallery<'a> {
    /// Along the scan or on the detector.
    images: Vec<&'a Array>,
    /// (n, y, x), along the scan.
    stacks: Vec<&'a Array>,
    fields: Vec<Field>,
    /// What the iterations of a reconstruction came to.
    convergence: Plot<'a>,
    /// The correlation of two halves.
    frc: Plot<'a>,
}

/// A table of curves, and those of them that are drawn.
struct Plot<'a> {
    csv: Option<String>,
    drawn: Vec<&'a Array>,
}

/// A vector field along the scan, with what was done to it.
struct Field {
    name: &'static str,
    y: Array,
    x: Array,
    notes: Vec<String>,
}

impl<'a> Gallery<'a> {
    fn of(job: &Job, arrays: &'a [Array]) -> Self {
        let real = |array: &&Array| array.data.reals().is_some();
        let along_scan = |array: &&Array| array.frame == Frame::Scan;
        let images: Vec<&Array> =
            arrays.iter().filter(|a| a.shape.len() == 2 && (along_scan(a) || a.frame == Frame::Detector)).filter(real).collect();
        let stacks = arrays.iter().filter(along_scan).filter(|a| a.shape.len() == 3).filter(real).collect();
        let named = |name: String| images.iter().copied().find(|a| a.name() == name && a.frame == Frame::Scan);
        let fields = ["com", "dpc", "dphase"]
            .into_iter()
            .filter(|&name| named(name.to_owned()).is_none())
            .filter_map(|name| Some(Field::of(name, named(format!("{name}_y"))?, named(format!("{name}_x"))?, job)))
            .collect();
        let drawn = |names: &[&str]| {
            let named = |name: &&str| arrays.iter().find(|array| array.path == format!("ptychography/{name}"));
            names.iter().filter_map(named).collect()
        };
        let convergence = Plot { csv: arrays::convergence_csv(arrays), drawn: drawn(&["error", "validation_error"]) };
        let frc = Plot { csv: arrays::frc_csv(arrays), drawn: drawn(&["frc", "frc_half_bit", "frc_noise_floor"]) };
        Self { images, stacks, fields, convergence, frc }
    }

    fn fill(&self, output: &Output, folder: &Path, title: &str, force: bool) -> Result<(), Error> {
        let place = |name: &str, ending: &str| folder.join(format!("{name}.{ending}"));
        for (name, plot) in [("convergence", &self.convergence), ("frc", &self.frc)] {
            if let Some(table) = &plot.csv {
                Claim::new(&place(name, "csv"), force)?.write(table.as_bytes())?;
            }
            let values: Vec<Vec<f64>> = plot.drawn.iter().filter_map(|array| array.data.reals()).collect();
            let named = plot.drawn.iter().zip(&values);
            let curves: Vec<Curve> = named.map(|(array, values)| Curve { name: array.name(), values }).collect();
            // One iteration is no curve.
            if let (true, Some(axis)) =
                (output.png.value && values.iter().any(|v| v.len() > 1), plot.drawn.first().and_then(|a| a.axes.first()))
            {
                write_curves_png(&place(name, "png"), force, &format!("{title}: {name}"), axis, &curves)?;
            }
        }
        if output.tiff.value {
            self.images.par_iter().try_for_each(|array| write_tiff(&place(array.name(), "tiff"), force, array).map(drop))?;
        }
        if !output.png.value {
            return Ok(());
        }
        self.images.par_iter().try_for_each(|array| {
            let spectrum = output.fft.value && array.frame == Frame::Scan;
            write_png(&place(array.name(), "png"), force, array, Look { spectrum, ..Look::of(array) }).map(drop)
        })?;
        for field in &self.fields {
            write_vector_png(&place(field.name, "png"), force, &field.vectors())?;
        }
        for stack in &self.stacks {
            let slices = slices(stack);
            let tiles: Vec<Tile> = slices.iter().map(|slice| Tile::Image(slice, Look::plain(ColorMap::of(stack.name())))).collect();
            write_sheet(&place(stack.name(), "png"), force, &format!("{title}: {}", stack.name()), &tiles)?;
        }
        let mut tiles: Vec<Tile> = self.images.iter().map(|array| Tile::Image(array, Look::of(array))).collect();
        tiles.extend(self.fields.iter().map(|field| Tile::Vectors(field.vectors())));
        // A detector of that name keeps its picture.
        if tiles.len() > 1 && self.images.iter().chain(&self.stacks).all(|array| array.name() != OVERVIEW) {
            write_sheet(&place(OVERVIEW, "png"), force, title, &tiles)?;
        }
        Ok(())
    }
}

impl Field {
    /// Turns vectors on the detector into the scan's frame, in which the picture lies, and takes their mean away, which is the beam's and not the
    /// specimen's.
    fn of(name: &'static str, y: &Array, x: &Array, job: &Job) -> Self {
        let turn = scan_grid(job, [y.shape[0], y.shape[1]]).object_to_scan();
        let [along_y, along_x] = [y, x].map(|array| array.data.reals().unwrap_or_default());
        let turned: Vec<[f64; 2]> = along_y.into_iter().zip(along_x).map(|(y, x)| apply(turn, [y, x])).collect();
        let counted = turned.iter().filter(|v| v.iter().all(|c| c.is_finite()));
        let n = counted.clone().count().max(1) as f64;
        let mean = counted.fold([0.0; 2], |[a, b], [y, x]| [a + y / n, b + x / n]);
        let component =
            |a: usize, like: &Array| Array { data: ArrayData::F64(turned.iter().map(|v| v[a] - mean[a]).collect()), ..like.clone() };
        let told = |a: usize, axis: &str| format!("{axis} = {:.3e} {}", mean[a], y.units);
        let notes = vec![String::new(), "along the scan,".to_owned(), "less the mean".to_owned(), told(0, "y"), told(1, "x")];
        Self { name, y: component(0, y), x: component(1, x), notes }
    }

    fn vectors(&self) -> Vectors<'_> {
        Vectors { name: self.name, y: &self.y, x: &self.x, notes: &self.notes }
    }
}

/// A temporary folder is closed to others; a result's is as open as any new one.
fn open_to_readers(folder: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let parent = folder.parent().map_or(Ok(0o755), |parent| parent.metadata().map(|m| m.permissions().mode()))?;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(parent & 0o777 | 0o700))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Axis;

    fn array(name: &str, shape: &[usize], frame: Frame, value: impl Fn(usize) -> f64) -> Array {
        Array {
            path: format!("images/{name}"),
            shape: shape.to_vec(),
            data: ArrayData::F64((0..shape.iter().product()).map(value).collect()),
            axes: shape.iter().map(|_| Axis::new("y", "Å", 0.0, 0.2)).collect(),
            units: "mrad".to_owned(),
            frame,
            to_scan: None,
            extra: Vec::new(),
        }
    }

    fn width(path: &Path) -> u32 {
        let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
        png::Decoder::new(file).read_info().unwrap().info().width
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn everything_that_can_be_seen_has_its_picture() {
        let directory = tempfile::tempdir().unwrap();
        let result = directory.path().join("scan.emd");
        let scan = |name: &str| array(name, &[20, 20], Frame::Scan, |at| at as f64);
        let arrays = [
            scan("bf"),
            scan("com_y"),
            scan("com_x"),
            array("sweep", &[3, 20, 20], Frame::Scan, |at| at as f64),
            array("max_pattern", &[16, 16], Frame::Detector, |at| at as f64),
            array("object", &[20, 20], Frame::Object, |at| at as f64),
            array("error", &[4], Frame::None, |at| at as f64),
        ];
        let mut job = Job::default();
        let folder = write(&job, &result, &arrays, false).unwrap().unwrap();
        let pictures = ["bf.png", "com.png", "com_x.png", "com_y.png", "max_pattern.png", "overview.png", "sweep.png"];
        assert_eq!(names(&folder), pictures);
        let with = width(&folder.join("bf.png"));
        job.output.fft.value = false;
        write(&job, &result, &arrays, true).unwrap();
        assert!(width(&folder.join("bf.png")) < with, "without its spectrum");
    }

    #[test]
    fn an_image_keeps_the_name_that_a_picture_of_ours_would_have() {
        let directory = tempfile::tempdir().unwrap();
        let arrays = ["com", "com_y", "com_x", "overview"].map(|name| array(name, &[4, 4], Frame::Scan, |at| at as f64));
        let folder = write(&Job::default(), &directory.path().join("scan.emd"), &arrays, false).unwrap().unwrap();
        assert_eq!(names(&folder), ["com.png", "com_x.png", "com_y.png", "overview.png"]);
    }

    #[test]
    fn vectors_on_the_detector_are_turned_into_the_scan_less_their_mean() {
        let mut job = Job::default();
        job.scan.rotation_deg.value = 90.0;
        // Along the detector's rows by 1 or 3, against which the scan's columns run.
        let y = array("com_y", &[2, 2], Frame::Scan, |at| if at < 2 { 1.0 } else { 3.0 });
        let x = array("com_x", &[2, 2], Frame::Scan, |_| 5.0);
        let field = Field::of("com", &y, &x, &job);
        let near = |array: &Array, expected: [f64; 4]| {
            array.data.reals().unwrap().iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-12)
        };
        let grid = scan_grid(&job, [2, 2]);
        let turned = apply(grid.scan_to_object(), [1.0, 0.0]);
        assert!((turned[1] - 1.0).abs() < 1e-12, "a slow step of the scan lies along the detector's columns");
        assert!(near(&field.y, [0.0; 4]) && near(&field.x, [1.0, 1.0, -1.0, -1.0]), "{:?} {:?}", field.y.data, field.x.data);
    }
}
