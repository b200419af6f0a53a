//! One dataset of an HDF5 file as a source of frames.

use std::io;
use std::ops::Range;
use std::path::Path;

use hdf5::dataset::Layout;
use hdf5::filters::Filter;
use hdf5::{Dataset, File, Hyperslab, Selection, SliceOrIndex};
use ndarray::{ArrayD, IxDyn};

use super::chunks::{Chunk, Chunks, Unfit};
use super::{emd, find, open_file};
use crate::compute::HostFrames;
use crate::data::error::{Error, by};
use crate::data::raw::RawFile;
use crate::data::sample::{Inexact, Kind, Stored};
use crate::data::view::View;
use crate::data::{Calibration, CubeInfo, FrameSource, OpenOptions, Result, check_request};

/// Detectors wider than this are taken for a damaged header.
const SIDE: usize = 16384;
/// A frame or a chunk may be so large, or so many times its file: more than gzip can do.
const SMALL: u64 = 64 << 20;
const EXPANSION: u64 = 2048;
/// Frames that are converted on the way are read in pieces of about so many bytes.
const PIECE: usize = 1 << 20;
/// HDF5's own cache holds the chunks that a scan row needs, up to so many bytes, or two chunks.
const CACHE: usize = 256 << 20;

/// How the bytes of a dataset are reached.
enum Access {
    /// One block at this place of the file.
    Contiguous {
        file: RawFile,
        offset: u64,
    },
    Chunked(Chunks),
    /// Through HDF5: filters of others, virtual datasets, external storage.
    Library(Dataset),
}

/// A datacube in an HDF5 file.
pub(super) struct Cube {
    info: CubeInfo,
    path: String,
    view: View,
    stored: Stored,
    allow_rounding: bool,
    access: Access,
}

/// What keeps a piece of frames from being read.
enum Stop {
    Io(String),
    Inexact { frame: usize, value: i128 },
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

impl From<hdf5::Error> for Stop {
    fn from(error: hdf5::Error) -> Self {
        Self::Io(error.to_string())
    }
}

impl Cube {
    pub(super) fn open(path: &Path, file: File, options: &OpenOptions) -> Result<Self> {
        let shown = path.display().to_string();
        let (name, dataset) = find::cube(&shown, &file, options)?;
        let shape = dataset.shape();
        let stored = find::stored(&shown, &name, &dataset)?;
        let filters = filters(&shown, &name, &dataset)?;
        let view = View::new(&shown, &name, &shape, options)?;
        let failed = |e: hdf5::Error| Error::Hdf5 { path: shown.clone(), reason: format!("dataset {name}: {e}") };
        let plist = dataset.dcpl().map_err(failed)?;
        let layout = plist.get_layout().map_err(failed)?;
        let chunks = if layout == Layout::Chunked { plist.get_chunk().map_err(failed)? } else { None };
        let (format, calibration) = emd::read(&file, &name).unwrap_or_else(|| ("HDF5 dataset".to_owned(), Calibration::default()));
        let info = CubeInfo {
            path: path.to_owned(),
            format,
            dataset: name.clone(),
            stored_shape: shape.clone(),
            scan_shape: view.scan,
            frame_shape: view.frame,
            stored_dtype: stored.label(),
            dtype: stored.handed_on(),
            chunks,
            filters: filters.iter().map(filter_name).collect(),
            calibration,
        };
        let opening = Opening { path, shown: &shown, name: &name, shape: &shape, stored };
        opening.check_sizes(info.chunks.as_deref(), !filters.is_empty(), &dataset)?;
        let access = match layout {
            Layout::Contiguous => opening.contiguous(dataset, &plist)?,
            Layout::Chunked => opening.chunked(file, dataset, info.chunks.as_deref(), &filters)?,
            Layout::Virtual => {
                opening.check_virtual(&plist)?;
                Access::Library(dataset)
            }
            Layout::Compact => Access::Library(dataset),
        };
        Ok(Self { info, path: shown, view, stored, allow_rounding: options.allow_rounding, access })
    }

    /// Rows and columns of the stored detector that are handed on.
    fn window(&self) -> (Range<usize>, Range<usize>) {
        let [y, x] = self.view.first;
        (y..y + self.view.frame[0], x..x + self.view.frame[1])
    }

    /// Writes part of a stored row into a frame: `from` holds samples of row `y`, from column `x` on, of the frame as it is handed on.
    fn put(&self, stored: Stored, from: &[u8], frame: &mut [u8], y: usize, x: usize) -> std::result::Result<(), Inexact> {
        let bytes = self.info.dtype.bytes();
        let start = y * 4 * HostFrames::row_words(self.info.dtype, self.view.frame[1]) + x * bytes;
        let samples = from.len() / stored.bytes();
        stored.convert(from, &mut frame[start..start + samples * bytes], self.allow_rounding)
    }

    /// Writes a frame whose rows of `width` samples are all in `from`, beginning with the first that is handed on.
    fn put_frame(&self, stored: Stored, from: &[u8], width: usize, x: usize, to: &mut [u8]) -> std::result::Result<(), Inexact> {
        let [rows, columns] = self.view.frame;
        let bytes = stored.bytes();
        for (y, row) in from.chunks_exact(width * bytes).take(rows).enumerate() {
            self.put(stored, &row[x * bytes..(x + columns) * bytes], to, y, 0)?;
        }
        Ok(())
    }

    /// Stored frames `run` of a block at one place of the file, into `out` from `at` on; `frame` is the first one's number.
    fn read_contiguous(
        &self,
        file: &RawFile,
        offset: u64,
        run: (usize, usize),
        out: &mut HostFrames,
        at: usize,
        frame: usize,
    ) -> std::result::Result<(), Stop> {
        let (first, count) = run;
        let [height, width] = self.view.stored_frame;
        let row_bytes = width * self.stored.bytes();
        let frame_bytes = height * row_bytes;
        let place = |f: usize| offset + f as u64 * frame_bytes as u64;
        let words = out.frame_words();
        if self.stored.is_verbatim() && self.view.is_whole_frame() && 4 * words == frame_bytes {
            let to = &mut out.words[at * words..(at + count) * words];
            return Ok(file.read_exact_at(bytemuck::cast_slice_mut(to), place(first))?);
        }
        let (rows, columns) = self.window();
        let whole = rows.len() == height;
        let band = rows.len() * row_bytes;
        let together = if whole { (PIECE / band.max(1)).clamp(1, count) } else { 1 };
        let mut piece = vec![0; together * band];
        let mut done = 0;
        while done < count {
            let n = together.min(count - done);
            file.read_exact_at(&mut piece[..n * band], place(first + done) + (rows.start * row_bytes) as u64)?;
            for (k, from) in piece[..n * band].chunks_exact(band).enumerate() {
                self.put_frame(self.stored, from, width, columns.start, out.frame_bytes_mut(at + done + k))
                    .map_err(|e| Stop::Inexact { frame: frame + done + k, value: e.0 })?;
            }
            done += n;
        }
        Ok(())
    }

    fn read_chunked(
        &self,
        chunks: &Chunks,
        run: (usize, usize),
        out: &mut HostFrames,
        at: usize,
        frame: usize,
    ) -> std::result::Result<(), Stop> {
        let (rows, columns) = self.window();
        let frames = run.0..run.0 + run.1;
        let bytes = self.stored.bytes();
        let scan_columns = match self.info.stored_shape[..] {
            [_, columns, _, _] => columns,
            _ => 1,
        };
        let common = |a: &Range<usize>, start: usize, extent: usize| a.start.max(start)..a.end.min(start + extent);
        chunks.visit(frames.clone(), rows.clone(), columns.clone(), |chunk: &Chunk| {
            let [i0, j0, y0, x0] = chunk.origin;
            let [ei, ej, ey, ex] = chunks.extents;
            let (ys, xs) = (common(&rows, y0, ey), common(&columns, x0, ex));
            for i in i0..i0 + ei {
                let row_of_scan = i * scan_columns;
                let js = common(&frames, row_of_scan + j0, ej.min(scan_columns - j0));
                for f in js {
                    let in_chunk = ((i - i0) * ej + (f - row_of_scan - j0)) * ey;
                    let nth = f - frames.start;
                    let to = out.frame_bytes_mut(at + nth);
                    for y in ys.clone() {
                        let start = ((in_chunk + y - y0) * ex + xs.start - x0) * bytes;
                        self.put(
                            self.stored,
                            &chunk.samples[start..start + xs.len() * bytes],
                            to,
                            y - rows.start,
                            xs.start - columns.start,
                        )
                        .map_err(|e| Stop::Inexact { frame: frame + nth, value: e.0 })?;
                    }
                }
            }
            Ok(())
        })
    }

    fn read_library(
        &self,
        dataset: &Dataset,
        run: (usize, usize),
        out: &mut HostFrames,
        at: usize,
        frame: usize,
    ) -> std::result::Result<(), Stop> {
        let (rows, columns) = self.window();
        let native = Stored { big_endian: cfg!(target_endian = "big"), ..self.stored };
        let band = rows.len() * columns.len() * native.bytes();
        let together = (16 * PIECE / band.max(1)).max(1);
        let mut done = 0;
        while done < run.1 {
            let first = run.0 + done;
            let (scan, n) = match self.info.stored_shape[..] {
                [_, width, _, _] => {
                    let (i, j) = (first / width, first % width);
                    let n = (width - j).min(run.1 - done).min(together);
                    (vec![SliceOrIndex::from(i..i + 1), SliceOrIndex::from(j..j + n)], n)
                }
                _ => {
                    let n = (run.1 - done).min(together);
                    (vec![SliceOrIndex::from(first..first + n)], n)
                }
            };
            let slices = [scan, vec![rows.clone().into(), columns.clone().into()]].concat();
            samples(dataset, native.kind, Selection::from(Hyperslab::from(slices)), |bytes| {
                for (k, from) in bytes.chunks_exact(band).enumerate() {
                    self.put_frame(native, from, columns.len(), 0, out.frame_bytes_mut(at + done + k))
                        .map_err(|e| Stop::Inexact { frame: frame + done + k, value: e.0 })?;
                }
                Ok(())
            })?;
            done += n;
        }
        Ok(())
    }
}

impl FrameSource for Cube {
    fn info(&self) -> &CubeInfo {
        &self.info
    }

    fn read(&self, first: usize, count: usize, out: &mut HostFrames, at: usize) -> Result<()> {
        check_request(&self.info, first, count, out, at)?;
        let mut done = 0;
        for run in self.view.runs(first, count) {
            let frame = first + done;
            let read = match &self.access {
                Access::Contiguous { file, offset } => self.read_contiguous(file, *offset, run, out, at + done, frame),
                Access::Chunked(chunks) => self.read_chunked(chunks, run, out, at + done, frame),
                Access::Library(dataset) => self.read_library(dataset, run, out, at + done, frame),
            };
            let (path, dataset) = (self.path.clone(), self.info.dataset.clone());
            read.map_err(|stop| match stop {
                Stop::Inexact { frame, value } => Error::Rounding { path, dataset, frame, value },
                Stop::Io(reason) => Error::Read { path, dataset, first: frame, last: frame + run.1 - 1, reason },
            })?;
            done += run.1;
        }
        Ok(())
    }

    fn preferred_run(&self) -> usize {
        match (self.info.chunks.as_deref(), &self.info.stored_shape[..]) {
            (Some([1, columns, ..]), [_, _, _, _]) => *columns,
            (Some([rows, ..]), [_, _, _, _]) => rows * self.view.scan[1],
            (Some([frames, ..]), [_, _, _]) => *frames,
            _ => 1,
        }
    }
}

/// A dataset on its way to being read.
struct Opening<'a> {
    path: &'a Path,
    shown: &'a str,
    name: &'a str,
    shape: &'a [usize],
    stored: Stored,
}

impl Opening<'_> {
    fn raw_file(&self, dataset: &Dataset) -> Result<RawFile> {
        // The dataset may lie in another file than the one that was opened.
        let name = dataset.filename();
        let path = if name.is_empty() { self.path } else { Path::new(&name) };
        RawFile::open(path).map_err(|e| Error::Unreadable { path: path.display().to_string(), reason: e.to_string() })
    }

    fn unwritten(&self) -> Error {
        Error::Unwritten { path: self.shown.into(), dataset: self.name.into(), shape: self.shape.into() }
    }

    /// Refuses what no file of this size can hold, before memory is taken for it.
    fn check_sizes(&self, chunk: Option<&[usize]>, filtered: bool, dataset: &Dataset) -> Result<()> {
        let file_bytes = self.raw_file(dataset)?.len();
        let refuse = |what: String| Err(Error::Implausible { path: self.shown.into(), dataset: self.name.into(), what, file_bytes });
        let bytes = |extents: &[usize]| extents.iter().try_fold(self.stored.bytes() as u64, |n, &d| n.checked_mul(d as u64));
        let limit = SMALL.max(file_bytes.saturating_mul(EXPANSION));
        let frame = &self.shape[self.shape.len() - 2..];
        if frame.iter().any(|&n| n > SIDE) || bytes(frame).is_none_or(|b| b > limit) {
            return refuse(format!("frames of {} pixels", by(frame)));
        }
        if bytes(self.shape).is_none_or(|b| b > i64::MAX as u64) {
            return refuse(format!("a shape of {}", by(self.shape)));
        }
        if let Some(chunk) = chunk {
            let limit = if filtered { limit } else { SMALL.max(file_bytes) };
            if chunk.len() != self.shape.len() || chunk.contains(&0) || bytes(chunk).is_none_or(|b| b > limit) {
                return refuse(format!("chunks of {}", by(chunk)));
            }
        }
        Ok(())
    }

    fn contiguous(&self, dataset: Dataset, plist: &hdf5::plist::DatasetCreate) -> Result<Access> {
        if !plist.external().is_empty() {
            return Ok(Access::Library(dataset));
        }
        let Some(offset) = dataset.offset() else { return Err(self.unwritten()) };
        let file = self.raw_file(&dataset)?;
        let frame = self.shape[self.shape.len() - 2..].iter().product::<usize>() as u64 * self.stored.bytes() as u64;
        let frames = self.shape[..self.shape.len() - 2].iter().product::<usize>() as u64;
        let end = offset.saturating_add(frame.saturating_mul(frames));
        if end > file.len() {
            let there = file.len().saturating_sub(offset) / frame.max(1);
            let detail = format!(
                "dataset {} ends at byte {end}, but the file has {} bytes; {there} of its {frames} frames are there",
                self.name,
                file.len()
            );
            return Err(Error::Truncated { path: self.shown.into(), detail });
        }
        Ok(Access::Contiguous { file, offset })
    }

    fn chunked(&self, file: File, dataset: Dataset, chunk: Option<&[usize]>, filters: &[Filter]) -> Result<Access> {
        let four = |x: &[usize]| match *x {
            [a, b, c, d] => [a, b, c, d],
            [a, b, c] => [a, 1, b, c],
            _ => [1; 4],
        };
        let (shape, extents) = (four(self.shape), four(chunk.unwrap_or(&[])));
        let user_block = dataset.file().map_or(0, |f| f.userblock());
        let chunks = if user_block == 0 {
            Chunks::new(self.raw_file(&dataset)?, &dataset, shape, extents, self.stored.bytes(), filters)
        } else {
            Err(Unfit::Library)
        };
        match chunks {
            Ok(chunks) => Ok(Access::Chunked(chunks)),
            Err(Unfit::Unwritten) => Err(self.unwritten()),
            Err(Unfit::BeyondEnd { end, len }) => Err(Error::Truncated {
                path: self.shown.into(),
                detail: format!("a chunk of dataset {} ends at byte {end}, but the file has {len} bytes", self.name),
            }),
            Err(Unfit::Library) => {
                // HDF5 takes the size of its chunk cache when a file is first opened.
                drop((file, dataset));
                let bytes = extents.iter().product::<usize>() * self.stored.bytes();
                let grid = |d: usize| shape[d].div_ceil(extents[d]);
                let across = grid(2) * grid(3) * if extents[0] > 1 { grid(1) } else { 1 };
                let cache = (across + 1).saturating_mul(bytes).min(CACHE).max(2 * bytes);
                let slots = (100 * (cache / bytes.max(1) + 1)) | 1;
                let file = File::with_options().with_fapl(|p| p.chunk_cache(slots, cache, 1.0)).open(self.path);
                let file = file.or_else(|_| open_file(self.path))?;
                let dataset = file.dataset(self.name);
                Ok(Access::Library(
                    dataset.map_err(|e| Error::Hdf5 { path: self.shown.into(), reason: format!("dataset {}: {e}", self.name) })?,
                ))
            }
        }
    }

    /// HDF5 reads zeros where the source of a virtual dataset is missing.
    fn check_virtual(&self, plist: &hdf5::plist::DatasetCreate) -> Result<()> {
        let failed = |e: hdf5::Error| Error::Hdf5 { path: self.shown.into(), reason: format!("dataset {}: {e}", self.name) };
        let beside = self.path.parent().unwrap_or(Path::new("."));
        for mapping in plist.get_virtual_map().map_err(failed)? {
            let source = mapping.src_filename;
            if source != "." && !source.contains('%') && !beside.join(&source).exists() && !Path::new(&source).exists() {
                return Err(Error::Link {
                    path: self.shown.into(),
                    link: format!("virtual dataset {}", self.name),
                    target: format!("the file {source}"),
                });
            }
        }
        Ok(())
    }
}

/// Reads a part of a dataset through HDF5, as bytes in this machine's order.
fn samples(
    dataset: &Dataset,
    kind: Kind,
    selection: Selection,
    put: impl FnMut(&[u8]) -> std::result::Result<(), Stop>,
) -> std::result::Result<(), Stop> {
    fn of<T: hdf5::H5Type + bytemuck::Pod>(
        dataset: &Dataset,
        selection: Selection,
        mut put: impl FnMut(&[u8]) -> std::result::Result<(), Stop>,
    ) -> std::result::Result<(), Stop> {
        let array: ArrayD<T> = dataset.as_reader().read_slice::<T, _, IxDyn>(selection)?;
        put(bytemuck::cast_slice(array.as_slice().unwrap_or(&[])))
    }
    match kind {
        Kind::U8 => of::<u8>(dataset, selection, put),
        Kind::U16 => of::<u16>(dataset, selection, put),
        Kind::U32 => of::<u32>(dataset, selection, put),
        Kind::U64 => of::<u64>(dataset, selection, put),
        Kind::I8 => of::<i8>(dataset, selection, put),
        Kind::I16 => of::<i16>(dataset, selection, put),
        Kind::I32 => of::<i32>(dataset, selection, put),
        Kind::I64 => of::<i64>(dataset, selection, put),
        Kind::F32 => of::<f32>(dataset, selection, put),
        Kind::F64 => of::<f64>(dataset, selection, put),
    }
}

/// The filters of a dataset, each of which can be undone.
fn filters(path: &str, name: &str, dataset: &Dataset) -> Result<Vec<Filter>> {
    let plist = dataset.dcpl().map_err(|e| Error::Hdf5 { path: path.into(), reason: e.to_string() })?;
    let filters =
        plist.get_filters().map_err(|e| Error::Hdf5 { path: path.into(), reason: format!("the filters of dataset {name}: {e}") })?;
    match filters.iter().find(|f| !f.decode_enabled()) {
        Some(filter) => {
            let (path, dataset) = (path.into(), name.into());
            Err(Error::Filter { path, dataset, name: filter_name(filter), id: filter.id() })
        }
        None => Ok(filters),
    }
}

fn filter_name(filter: &Filter) -> String {
    match filter.id() {
        1 => "gzip".into(),
        2 => "shuffle".into(),
        3 => "fletcher32".into(),
        4 => "szip".into(),
        5 => "nbit".into(),
        6 => "scale-offset".into(),
        307 => "bzip2".into(),
        32000 => "LZF".into(),
        32001 => "Blosc".into(),
        32004 => "LZ4".into(),
        32008 => "bitshuffle".into(),
        32013 => "ZFP".into(),
        32015 => "Zstandard".into(),
        32026 => "Blosc2".into(),
        id => format!("filter {id}"),
    }
}
