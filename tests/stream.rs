//! A stream hands on the same frames whatever its blocks and memory, ends when it is dropped, and tells of what goes wrong.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod fixtures;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fixtures::{Fixture, Type, fresh_rng};
use hdf5::filters::Filter;
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use ronchi::compute::cpu::Cpu;
use ronchi::compute::{Backend, DetectorSet, DeviceBlock, HostFrames, Patterns, SampleType, SparseFrames};
use ronchi::data::{self, Calibration, CubeInfo, FrameSource, OpenOptions};
use ronchi::run::{CancelToken, Event, RngState, Run, Stage};
use ronchi::stream::{Memory, Stream, StreamOptions, survey};

type Engine = Cpu<f32>;

/// Frames so small that each pixel can be a detector of its own.
const SIDE: usize = 5;
const PIXELS: usize = SIDE * SIDE;

/// The pixels of a block's frames: what detectors of one pixel each sum.
fn pixels(engine: &Engine, block: &DeviceBlock<Engine>) -> Vec<f64> {
    let bits = (0..PIXELS).map(|p| 1 << p).collect();
    let set = engine.detector_set(&DetectorSet { detectors: PIXELS, bits, ..DetectorSet::sums_only([SIDE, SIDE], None) }).unwrap();
    let sums = engine.virtual_detectors(&block.frames, &set).unwrap();
    assert_eq!(sums.frames.len(), block.ids.len() * (PIXELS + 3));
    (0..block.ids.len()).flat_map(|f| (0..PIXELS).map(move |p| f * (PIXELS + 3) + p)).map(|n| sums.frames.get(n)).collect()
}

fn as_numbers(samples: &[u32], sample: Type) -> Vec<f64> {
    let is_integer = matches!(sample, Type::U8 | Type::U16 | Type::U32);
    samples.iter().map(|&s| if is_integer { f64::from(s) } else { f64::from(f32::from_bits(s)) }).collect()
}

fn quiet(cancel: &CancelToken) -> Run<'_> {
    Run { events: &|_| (), cancel, rng: RngState::new(0) }
}

/// A cube of frames, in a file that some reader finds hard.
fn cube(directory: &Path, rng: &mut ChaCha8Rng) -> (PathBuf, Vec<f64>, usize) {
    let (rows, columns) = (rng.random_range(1..30), rng.random_range(1..30));
    let sample = [Type::U8, Type::U16, Type::I16, Type::F32][rng.random_range(0..4)];
    let shape = [rows, columns, SIDE, SIDE];
    let fixture = if rng.random() {
        Fixture::contiguous(&shape, sample)
    } else {
        let chunk = [rng.random_range(1..=rows.min(4)), rng.random_range(1..=columns), SIDE, rng.random_range(1..=SIDE)];
        Fixture::chunked(&shape, sample, &chunk, vec![Filter::Shuffle, Filter::Deflate(1)])
    };
    let path = directory.join(format!("{}.h5", rng.random::<u64>()));
    let values = fixture.write(&path, rng);
    (path, as_numbers(&values, sample), rows * columns)
}

fn some_options(rng: &mut ChaCha8Rng) -> StreamOptions {
    StreamOptions {
        memory_limit_bytes: if rng.random() { 1 << 30 } else { rng.random_range(0..4000) },
        block_bytes: rng.random_range(1..60_000),
        replace_nonfinite: true,
    }
}

#[test]
fn a_pass_is_all_frames_in_scan_order_whatever_the_blocks_and_the_memory() {
    let (directory, mut rng) = (tempfile::tempdir().unwrap(), fresh_rng());
    let engine = Arc::new(Engine::new());
    for _ in 0..40 {
        let (path, values, frames) = cube(directory.path(), &mut rng);
        let options = some_options(&mut rng);
        let stream = Stream::new(data::open(&path, &OpenOptions::default()).unwrap(), engine.clone(), options.clone());
        let cancel = CancelToken::default();
        let loaded = rng.random::<bool>() && stream.load(&quiet(&cancel)).unwrap();
        assert!(!loaded || stream.fits());
        for _ in 0..2 {
            let (mut ids, mut got, mut sizes) = (vec![], vec![], vec![]);
            for block in stream.pass().unwrap() {
                let block = block.unwrap();
                got.extend(pixels(&engine, &block));
                sizes.push(block.ids.len());
                ids.extend(block.ids);
            }
            assert!(sizes.iter().rev().skip(1).all(|n| n % 64 == 0), "{sizes:?} with {options:?}");
            assert_eq!(ids, (0..frames as u32).collect::<Vec<_>>());
            assert!(got == values, "{options:?}, loaded: {loaded}");
        }
    }
}

#[test]
fn batches_are_the_patterns_asked_for_in_that_order_announced_or_not() {
    let (directory, mut rng) = (tempfile::tempdir().unwrap(), fresh_rng());
    let engine = Arc::new(Engine::new());
    for _ in 0..40 {
        let (path, values, frames) = cube(directory.path(), &mut rng);
        let stream = Stream::new(data::open(&path, &OpenOptions::default()).unwrap(), engine.clone(), some_options(&mut rng));
        let cancel = CancelToken::default();
        if rng.random() {
            stream.load(&quiet(&cancel)).unwrap();
        }
        for _ in 0..3 {
            let mut order: Vec<u32> = (0..frames as u32).collect();
            order.shuffle(&mut rng);
            if rng.random() {
                stream.prefetch(&order);
            }
            let mut at = 0;
            while at < frames {
                let count = rng.random_range(1..=100.min(frames - at));
                let mut ids = order[at..at + count].to_vec();
                if rng.random_range(0..10) == 0 {
                    // Not as it was announced: other patterns, one twice.
                    ids = (0..count).map(|_| rng.random_range(0..frames as u32)).collect();
                    ids.push(ids[0]);
                } else {
                    at += count;
                }
                let block = stream.batch(&ids).unwrap();
                assert_eq!(block.ids, ids);
                let expected: Vec<f64> = ids.iter().flat_map(|&id| &values[id as usize * PIXELS..][..PIXELS]).copied().collect();
                assert!(pixels(&engine, &block) == expected);
            }
        }
        assert!(stream.batch(&[frames as u32]).is_err(), "there is no such pattern");
        stream.prefetch(&[frames as u32]);
        assert!(stream.batch(&[frames as u32]).is_err(), "there is no such pattern");
    }
}

/// A source of frames that holds its number in every pixel.
struct Counting {
    info: CubeInfo,
    panic_at: Option<usize>,
    places: Arc<Mutex<HashSet<usize>>>,
    /// Reads into a buffer that holds older frames.
    again: Arc<AtomicUsize>,
}

impl Counting {
    fn new(frames: usize) -> Self {
        let info = CubeInfo {
            path: "counting.h5".into(),
            format: "none".into(),
            dataset: "/none".into(),
            stored_shape: vec![frames, 1, SIDE, SIDE],
            scan_shape: [frames, 1],
            frame_shape: [SIDE, SIDE],
            stored_dtype: "uint32".into(),
            dtype: SampleType::U32,
            chunks: None,
            filters: vec![],
            calibration: Calibration::default(),
        };
        Self { info, panic_at: None, places: Arc::default(), again: Arc::default() }
    }
}

impl FrameSource for Counting {
    fn info(&self) -> &CubeInfo {
        &self.info
    }

    fn read(&self, first: usize, count: usize, out: &mut HostFrames, at: usize) -> data::Result<()> {
        self.places.lock().unwrap().insert(out.words.as_ptr() as usize);
        self.again.fetch_add(usize::from(out.words.iter().any(|&w| w != 0)), Ordering::Relaxed);
        for f in 0..count {
            assert!(Some(first + f) != self.panic_at, "a reader that fails");
            bytemuck::cast_slice_mut::<u8, u32>(out.frame_bytes_mut(at + f)).fill((first + f) as u32);
        }
        Ok(())
    }

    fn preferred_run(&self) -> usize {
        1
    }
}

#[test]
fn a_long_pass_uses_few_buffers_again() {
    let source = Counting::new(64 * 500);
    let (places, again) = (source.places.clone(), source.again.clone());
    let options = StreamOptions { memory_limit_bytes: 0, block_bytes: 1, replace_nonfinite: true };
    let stream = Stream::new(Box::new(source), Arc::new(Engine::new()), options);
    assert_eq!(stream.pass().unwrap().map(|b| b.unwrap().ids.len()).sum::<usize>(), 64 * 500);
    let used = places.lock().unwrap().len();
    assert!(used <= 8, "{used} buffers");
    assert!(again.load(Ordering::Relaxed) >= 490, "buffers are filled again");
}

#[test]
fn a_pass_that_is_dropped_early_ends_its_reader() {
    let mut rng = fresh_rng();
    let source = Counting::new(64 * 1000);
    let stream = Stream::new(Box::new(source), Arc::new(Engine::new()), StreamOptions { block_bytes: 1, ..StreamOptions::default() });
    for _ in 0..200 {
        let mut pass = stream.pass().unwrap();
        for _ in 0..rng.random_range(0..6) {
            pass.next().unwrap().unwrap();
        }
        drop(pass);
        stream.prefetch(&(0..640).collect::<Vec<_>>());
    }
}

#[test]
fn blocks_that_are_kept_are_not_written_over() {
    let engine = Arc::new(Engine::new());
    let stream =
        Stream::new(Box::new(Counting::new(64 * 40)), engine.clone(), StreamOptions { block_bytes: 1, ..StreamOptions::default() });
    let blocks: Vec<_> = stream.pass().unwrap().map(Result::unwrap).collect();
    for block in &blocks {
        let expected: Vec<f64> = block.ids.iter().flat_map(|&id| [f64::from(id); PIXELS]).collect();
        assert!(pixels(&engine, block) == expected);
    }
}

#[test]
fn a_reader_that_dies_is_an_error_and_not_a_short_pass() {
    let source = Counting { panic_at: Some(64 * 3 + 7), ..Counting::new(64 * 10) };
    let options = StreamOptions { block_bytes: 1, ..StreamOptions::default() };
    let stream = Stream::new(Box::new(source), Arc::new(Engine::new()), options);
    let blocks: Vec<_> = stream.pass().unwrap().collect();
    assert_eq!(blocks.len(), 4);
    assert!(blocks[..3].iter().all(Result::is_ok));
    let error = blocks[3].as_ref().err().unwrap().to_string();
    assert!(error.contains("counting.h5") && error.contains("frame 192"), "{error}");
}

#[test]
fn a_file_that_shrinks_under_the_reader_is_an_error_that_names_the_frames() {
    let (directory, mut rng) = (tempfile::tempdir().unwrap(), fresh_rng());
    let path = directory.path().join("shrinks.h5");
    Fixture::contiguous(&[20, 32, SIDE, SIDE], Type::U16).write(&path, &mut rng);
    let source = data::open(&path, &OpenOptions::default()).unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let stream = Stream::new(source, Arc::new(Engine::new()), StreamOptions { block_bytes: 1, ..StreamOptions::default() });
    let blocks: Vec<_> = stream.pass().unwrap().collect();
    let error = blocks.last().unwrap().as_ref().err().unwrap().to_string();
    assert!(error.contains("shrinks.h5") && error.contains("frames ") && error.contains("/cube"), "{error}");
    assert!(blocks[..blocks.len() - 1].iter().all(Result::is_ok));
}

#[test]
fn loading_tells_of_its_progress_and_can_be_stopped() {
    let engine = Arc::new(Engine::new());
    let options = StreamOptions { block_bytes: 1, ..StreamOptions::default() };
    let stream = Stream::new(Box::new(Counting::new(640)), engine.clone(), options);
    let (cancel, told) = (CancelToken::default(), Mutex::new(vec![]));
    let events = |event| told.lock().unwrap().push(event);
    cancel.cancel();
    let run = Run { events: &events, cancel: &cancel, rng: RngState::new(0) };
    assert_eq!(stream.load(&run).unwrap_err().exit_code(), 130);
    told.lock().unwrap().clear();
    let cancel = CancelToken::default();
    assert!(stream.load(&Run { events: &events, cancel: &cancel, rng: RngState::new(0) }).unwrap());
    let told = told.lock().unwrap();
    assert!(matches!(told[0], Event::StageStarted { stage: Stage::Load, total: 640, .. }));
    assert!(matches!(told[told.len() - 2], Event::Progress { stage: Stage::Load, done: 640 }));
    assert!(matches!(told[told.len() - 1], Event::StageFinished { stage: Stage::Load, .. }));
}

#[test]
fn frames_from_memory_are_patterns_like_any_others() {
    let mut rng = fresh_rng();
    let engine = Arc::new(Engine::new());
    let count = rng.random_range(1..300);
    let mut dense = HostFrames::zeros(SampleType::U32, [SIDE, SIDE], count);
    let mut sparse = SparseFrames { shape: [SIDE, SIDE], count, offsets: vec![0], pixels: vec![], counts: vec![] };
    for f in 0..count {
        let frame: &mut [u32] = bytemuck::cast_slice_mut(dense.frame_bytes_mut(f));
        for (pixel, value) in frame.iter_mut().enumerate() {
            if rng.random_range(0..4) != 0 {
                continue;
            }
            *value = rng.random_range(1..100);
            sparse.pixels.push(pixel as u32);
            sparse.counts.push(*value);
        }
        sparse.offsets.push(sparse.pixels.len() as u32);
    }
    let expected: Vec<f64> = dense.words.iter().map(|&w| f64::from(w)).collect();
    let all =
        |patterns: &dyn Patterns<Engine>| -> Vec<f64> { patterns.pass().unwrap().flat_map(|b| pixels(&engine, &b.unwrap())).collect() };
    let dense = Memory::new(engine.clone(), Arc::new(dense)).unwrap().with_block(rng.random_range(1..500));
    let sparse = Memory::sparse(engine.clone(), &sparse).unwrap();
    assert!(all(&dense) == expected);
    assert!(all(&sparse) == expected);
    let ids = [count as u32 - 1, 0];
    let two = [&expected[(count - 1) * PIXELS..], &expected[..PIXELS]].concat();
    assert!(pixels(&engine, &dense.batch(&ids).unwrap()) == two && pixels(&engine, &sparse.batch(&ids).unwrap()) == two);
    assert!(dense.batch(&[count as u32]).is_err());
}

/// A cube of ones, with these samples set: (frame, pixel, value).
fn floats(directory: &Path, frames: usize, set: &[(usize, usize, f32)]) -> Box<dyn FrameSource> {
    let mut values = ndarray::Array4::<f32>::ones((frames, 1, SIDE, SIDE));
    for &(frame, pixel, value) in set {
        values[[frame, 0, pixel / SIDE, pixel % SIDE]] = value;
    }
    let path = directory.join("floats.h5");
    let _ = std::fs::remove_file(&path);
    hdf5::File::create(&path).unwrap().new_dataset_builder().with_data(&values).create("cube").unwrap();
    data::open(&path, &OpenOptions::default()).unwrap()
}

#[test]
fn a_survey_masks_what_is_never_or_rarely_a_number_and_refuses_more() {
    let directory = tempfile::tempdir().unwrap();
    let (cancel, told) = (CancelToken::default(), Mutex::new(vec![]));
    let events = |event| told.lock().unwrap().push(event);
    let run = Run { events: &events, cancel: &cancel, rng: RngState::new(0) };
    let frames = 1000;

    let plain = survey(&*floats(directory.path(), frames, &[(3, 4, -2.5), (9, 4, -1.0)]), &run).unwrap();
    assert_eq!((plain.samples, plain.negative, plain.minimum, plain.nonfinite), ((frames * PIXELS) as u64, 2, -2.5, 0));
    assert!(plain.bad.is_empty());
    let warnings = told.lock().unwrap().iter().filter(|e| matches!(e, Event::Warning { .. })).count();
    assert_eq!(warnings, 1, "negative samples are told once");

    let always: Vec<_> = (0..frames).map(|f| (f, 7, f32::NAN)).collect();
    let rare = [(5, 11, f32::INFINITY), (6, 11, f32::NEG_INFINITY)];
    let found = survey(&*floats(directory.path(), frames, &[&always[..], &rare].concat()), &run).unwrap();
    assert_eq!(found.nonfinite, frames as u64 + 2);
    let bad: Vec<usize> = (0..PIXELS).filter(|&p| found.bad[p]).collect();
    assert_eq!(bad, [7, 11]);

    let often: Vec<_> = (0..30).map(|n| (n + 40, 3, f32::NAN)).collect();
    let error = survey(&*floats(directory.path(), frames, &[&always[..], &often].concat()), &run).unwrap_err().to_string();
    assert!(error.contains("floats.h5") && error.contains("frame 40") && error.contains("(0, 3)") && error.contains("0.1 %"), "{error}");

    let lost_frame: Vec<_> = (0..PIXELS).map(|p| (2, p, f32::NAN)).collect();
    let error = survey(&*floats(directory.path(), 10 * frames, &lost_frame), &run).unwrap_err().to_string();
    assert!(error.contains("frame 2 ") && error.contains("100 %"), "{error}");
}

#[test]
fn a_cube_without_a_count_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let cancel = CancelToken::default();
    let path = directory.path().join("dark.h5");
    let values = ndarray::Array4::<f64>::zeros((3, 4, SIDE, SIDE));
    hdf5::File::create(&path).unwrap().new_dataset_builder().with_data(&values).create("cube").unwrap();
    let source = data::open(&path, &OpenOptions::default()).unwrap();
    let error = survey(&*source, &quiet(&cancel)).unwrap_err().to_string();
    assert!(error.contains("dark.h5") && error.contains("12 frames"), "{error}");
}

#[test]
fn what_is_no_number_is_handed_on_as_0_if_so_asked() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Arc::new(Engine::new());
    let set = [(3, 4, f32::NAN), (9, 5, f32::INFINITY), (9, 6, f32::NEG_INFINITY), (9, 7, f32::MAX)];
    for (replace_nonfinite, at) in [(true, 0.0), (false, f64::INFINITY)] {
        let options = StreamOptions { replace_nonfinite, ..StreamOptions::default() };
        let stream = Stream::new(floats(directory.path(), 100, &set), engine.clone(), options);
        let block = stream.pass().unwrap().next().unwrap().unwrap();
        let got = pixels(&engine, &block);
        assert_eq!(got[9 * PIXELS + 5], at);
        assert_eq!((got[9 * PIXELS + 7], got[9 * PIXELS + 8]), (f64::from(f32::MAX), 1.0));
        assert_eq!(got[3 * PIXELS + 4].is_nan(), !replace_nonfinite);
    }
}
