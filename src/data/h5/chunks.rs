//! Chunked datasets read past HDF5: each chunk's bytes are taken at their place in the file and decoded on several threads,
//! without the lock that HDF5 holds.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use hdf5::Dataset;
use hdf5::filters::Filter;
use rayon::prelude::*;

use crate::data::raw::RawFile;

/// Decoded chunks kept for the next read take at most so many bytes, or two chunks.
const CACHE: usize = 256 << 20;

/// Where a chunk lies in the file.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Row-major number in the grid of chunks.
    number: usize,
    address: u64,
    bytes: usize,
    /// Bit n is set where filter n was left out.
    left_out: u32,
}

/// A decoded chunk: its samples, row-major, and where its first one lies in the dataset.
pub(super) struct Chunk {
    pub(super) samples: Arc<Vec<u8>>,
    pub(super) origin: [usize; 4],
}

/// A chunked dataset as (scan, scan, detector, detector); a stack has scan rows of one frame.
pub(super) struct Chunks {
    file: RawFile,
    shape: [usize; 4],
    pub(super) extents: [usize; 4],
    grid: [usize; 4],
    sample_bytes: usize,
    /// The position in the pipeline, if it is there.
    shuffle: Option<u32>,
    deflate: Option<u32>,
    places: Vec<Place>,
    cache: Mutex<VecDeque<(usize, Arc<Vec<u8>>)>>,
    cache_chunks: usize,
}

/// Why a dataset is not read this way.
pub(super) enum Unfit {
    /// HDF5 has to read it.
    Library,
    /// A chunk lies beyond the end of the file.
    BeyondEnd { end: u64, len: u64 },
    /// No chunk was ever written.
    Unwritten,
}

impl Chunks {
    /// `extents` are those of a chunk, `filters` the dataset's pipeline.
    pub(super) fn new(
        file: RawFile,
        dataset: &Dataset,
        shape: [usize; 4],
        extents: [usize; 4],
        sample_bytes: usize,
        filters: &[Filter],
    ) -> Result<Self, Unfit> {
        let (shuffle, deflate) = match filters {
            [] => (None, None),
            [Filter::Shuffle] => (Some(0), None),
            [Filter::Deflate(_)] => (None, Some(0)),
            [Filter::Shuffle, Filter::Deflate(_)] => (Some(0), Some(1)),
            _ => return Err(Unfit::Library),
        };
        let grid: [usize; 4] = std::array::from_fn(|d| shape[d].div_ceil(extents[d]));
        let chunk_bytes = extents.iter().product::<usize>() * sample_bytes;
        let stack = dataset.ndim() == 3;
        let mut places = Vec::new();
        let visited = dataset.chunks_visit(|chunk| {
            let at = |d: usize| match (stack, d) {
                (false, d) => chunk.offset[d],
                (true, 0) => chunk.offset[0],
                (true, 1) => 0,
                (true, d) => chunk.offset[d - 1],
            };
            let number = (0..4).fold(0, |n, d| n * grid[d] + at(d) as usize / extents[d]);
            places.push(Place { number, address: chunk.addr, bytes: chunk.size as usize, left_out: chunk.filter_mask });
            0
        });
        if visited.is_err() {
            return Err(Unfit::Library);
        }
        if places.is_empty() {
            return Err(Unfit::Unwritten);
        }
        let chunks: u128 = grid.iter().map(|&g| g as u128).product();
        if (places.len() as u128) < chunks && !fills_with_zeros(dataset) {
            return Err(Unfit::Library);
        }
        let end = places.iter().map(|p| p.address.saturating_add(p.bytes as u64)).max().unwrap_or(0);
        if end > file.len() {
            return Err(Unfit::BeyondEnd { end, len: file.len() });
        }
        places.sort_by_key(|p| p.number);
        let across = grid[2] * grid[3] * if extents[0] > 1 { grid[1] } else { 1 };
        let cache_chunks = (across + 1).min(CACHE / chunk_bytes.max(1)).max(2);
        Ok(Self { file, shape, extents, grid, sample_bytes, shuffle, deflate, places, cache: Mutex::default(), cache_chunks })
    }

    /// Hands over each chunk that holds some of these frames in some of these detector rows and columns.
    pub(super) fn visit<E: From<io::Error>>(
        &self,
        frames: Range<usize>,
        rows: Range<usize>,
        columns: Range<usize>,
        mut put: impl FnMut(&Chunk) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut wanted = Vec::new();
        let covers = |n: usize, d: usize| n / self.extents[d];
        let (top, bottom) = (frames.start / self.shape[1], (frames.end - 1) / self.shape[1]);
        for i in covers(top, 0)..=covers(bottom, 0) {
            for j in 0..self.grid[1] {
                let (inside, outside) = self.overlap(&frames, i, j);
                if !inside {
                    continue;
                }
                for y in covers(rows.start, 2)..=covers(rows.end - 1, 2) {
                    for x in covers(columns.start, 3)..=covers(columns.end - 1, 3) {
                        wanted.push(([i, j, y, x], outside));
                    }
                }
            }
        }
        let chunk_bytes = self.extents.iter().product::<usize>() * self.sample_bytes;
        let together = (2 * rayon::current_num_threads()).min(CACHE / chunk_bytes.max(1)).max(1);
        for group in wanted.chunks(together) {
            let decoded = group.par_iter().map(|&(at, keep)| self.chunk(at, keep)).collect::<io::Result<Vec<_>>>()?;
            decoded.iter().try_for_each(&mut put)?;
        }
        Ok(())
    }

    /// Has this column of chunks some of these frames, and others besides?
    fn overlap(&self, frames: &Range<usize>, i: usize, j: usize) -> (bool, bool) {
        let (mut inside, mut outside) = (false, false);
        for row in i * self.extents[0]..((i + 1) * self.extents[0]).min(self.shape[0]) {
            let start = row * self.shape[1] + j * self.extents[1];
            let end = row * self.shape[1] + ((j + 1) * self.extents[1]).min(self.shape[1]);
            inside |= start < frames.end && frames.start < end;
            outside |= start < frames.start || frames.end < end;
        }
        (inside, outside)
    }

    /// One chunk, from the cache if it is there; `keep` puts it there.
    fn chunk(&self, at: [usize; 4], keep: bool) -> io::Result<Chunk> {
        let number = (0..4).fold(0, |n, d| n * self.grid[d] + at[d]);
        let origin = std::array::from_fn(|d| at[d] * self.extents[d]);
        let lock = || self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if keep && let Some((_, samples)) = lock().iter().find(|(n, _)| *n == number) {
            return Ok(Chunk { samples: samples.clone(), origin });
        }
        let samples = Arc::new(self.decode(number)?);
        if keep {
            let mut cache = lock();
            if !cache.iter().any(|(n, _)| *n == number) {
                while cache.len() >= self.cache_chunks {
                    cache.pop_front();
                }
                cache.push_back((number, samples.clone()));
            }
        }
        Ok(Chunk { samples, origin })
    }

    fn decode(&self, number: usize) -> io::Result<Vec<u8>> {
        let bytes = self.extents.iter().product::<usize>() * self.sample_bytes;
        let Ok(place) = self.places.binary_search_by_key(&number, |p| p.number) else {
            return Ok(vec![0; bytes]);
        };
        let place = self.places[place];
        let applied = |filter: Option<u32>| filter.is_some_and(|n| place.left_out & (1 << n) == 0);
        let mut stored = vec![0; place.bytes];
        self.file.read_exact_at(&mut stored, place.address)?;
        if applied(self.deflate) {
            stored = inflate(&stored, bytes)?;
        }
        if stored.len() != bytes {
            return Err(io::Error::other(format!("a chunk holds {} bytes instead of {bytes}", stored.len())));
        }
        if applied(self.shuffle) {
            stored = unshuffle(&stored, self.sample_bytes);
        }
        Ok(stored)
    }
}

/// Are samples that were never written 0?
fn fills_with_zeros(dataset: &Dataset) -> bool {
    use hdf5::dataset::FillValue;
    dataset.dcpl().and_then(|p| p.get_fill_value_defined()).is_ok_and(|f| f != FillValue::UserDefined)
}

/// Undoes gzip, which must give exactly so many bytes.
fn inflate(from: &[u8], bytes: usize) -> io::Result<Vec<u8>> {
    let mut to = vec![0; bytes];
    let mut stream = flate2::Decompress::new(true);
    let status = stream.decompress(from, &mut to, flate2::FlushDecompress::Finish)?;
    if status != flate2::Status::StreamEnd || stream.total_out() != bytes as u64 {
        return Err(io::Error::other("a compressed chunk is damaged: it does not decode to the chunk's size"));
    }
    Ok(to)
}

/// Undoes the shuffle filter: byte b of sample n stands at b·samples + n.
fn unshuffle(from: &[u8], sample_bytes: usize) -> Vec<u8> {
    let samples = from.len() / sample_bytes;
    let plane = |b: usize| &from[b * samples..(b + 1) * samples];
    let mut to = vec![0; from.len()];
    match sample_bytes {
        2 => {
            let planes = plane(0).iter().zip(plane(1));
            to.as_chunks_mut::<2>().0.iter_mut().zip(planes).for_each(|(to, (&a, &b))| *to = [a, b]);
        }
        4 => {
            let planes = plane(0).iter().zip(plane(1)).zip(plane(2)).zip(plane(3));
            to.as_chunks_mut::<4>().0.iter_mut().zip(planes).for_each(|(to, (((&a, &b), &c), &d))| *to = [a, b, c, d]);
        }
        _ => {
            for b in 0..sample_bytes {
                to.chunks_exact_mut(sample_bytes).zip(plane(b)).for_each(|(to, &byte)| to[b] = byte);
            }
        }
    }
    to
}
