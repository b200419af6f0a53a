//! Times of kernels and of whole passes, on the CPU engine and on the first real GPU where there is one.
//!
//! `cargo bench --bench kernels` prints times; each function below says its bytes and flops.

#![allow(clippy::unwrap_used, reason = "a benchmark may fail by panicking")]

use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use num_complex::Complex64;
use ronchi::compute::cpu::Cpu;
use ronchi::compute::gpu::{Gpu, GpuOptions, Selection};
use ronchi::compute::{Backend, DetectorLayout, DetectorSet, Direction, HostFrames, SampleType};
use ronchi::imaging::{DirectPlan, Method, direct};
use ronchi::optics::{Aberrations, ProbeOptics, ScanGrid, object_pixel_A, wavelength_A};
use ronchi::ptycho::{ObjectFrame, Options, State, reconstruct};
use ronchi::run::{CancelToken, RngState, Run};
use ronchi::stream::Memory;

fn kernels(criterion: &mut Criterion) {
    on(criterion, "cpu", &Arc::new(Cpu::<f32>::new()));
    if let Ok(gpu) = Gpu::new(&Selection::First, &GpuOptions::default()) {
        let name = gpu.device_name();
        on(criterion, &name, &Arc::new(gpu));
    }
}

fn on<B: Backend>(criterion: &mut Criterion, name: &str, backend: &Arc<B>) {
    transforms(criterion, name, &**backend);
    detectors(criterion, name, &**backend);
    iterations(criterion, name, backend);
    side_bands(criterion, name, backend);
}

/// 32 windows, forward: 5·n²·log₂(n²) flops a window; read and written once, 16·n² bytes a window.
fn transforms<B: Backend>(criterion: &mut Criterion, name: &str, backend: &B) {
    let mut group = criterion.benchmark_group(format!("fft2/{name}"));
    for n in [64, 128, 192, 256, 512] {
        let values: Vec<Complex64> = (0..32 * n * n).map(|i| Complex64::cis(i as f64 * 1.7)).collect();
        let mut x = backend.complexes(&values).unwrap();
        group.throughput(Throughput::Elements(32));
        group.bench_function(format!("{n}"), |b| {
            b.iter(|| {
                backend.fft2(&mut x, [n, n], 32, Direction::Forward).unwrap();
                backend.finish().unwrap();
            });
        });
    }
    group.finish();
}

/// Six annuli, moments and the mean pattern of 256 frames of 128² u16: each count read once.
fn detectors<B: Backend>(criterion: &mut Criterion, name: &str, backend: &B) {
    let shape = [128, 128];
    let mut stack = HostFrames::zeros(SampleType::U16, shape, 256);
    for (i, count) in bytemuck::cast_slice_mut::<u32, u16>(&mut stack.words).iter_mut().enumerate() {
        *count = (i * 7919 % 23) as u16;
    }
    let bits = (0..128 * 128)
        .map(|p| {
            let r = ((p / 128) as f64 - 63.7).hypot((p % 128) as f64 - 63.2);
            (0..6).filter(|d| r >= f64::from(*d) * 9.0 && r < f64::from(*d) * 9.0 + 13.0).fold(DetectorSet::VALID, |bits, d| bits | 1 << d)
        })
        .collect();
    let set = backend.detector_set(&DetectorSet { detectors: 6, bits, ..DetectorSet::sums_only(shape, None) }).unwrap();
    let frames = backend.frames(Arc::new(stack)).unwrap();
    let mut group = criterion.benchmark_group(format!("virtual_detectors/{name}"));
    group.throughput(Throughput::Bytes(256 * 128 * 128 * 2));
    group.bench_function("128", |b| b.iter(|| backend.virtual_detectors(&frames, &set).unwrap()));
    group.finish();
}

/// One iteration of ePIE with the probe refined, 256 patterns of 128² u16: about 6 Mflop and 32 KiB of counts a pattern.
fn iterations<B: Backend>(criterion: &mut Criterion, name: &str, backend: &Arc<B>) {
    let (window, mrad) = ([128, 128], 0.98);
    let pixel = object_pixel_A(wavelength_A(300.0), 128, mrad);
    let scan = ScanGrid { shape: [16, 16], step_A: [0.4; 2], rotation_deg: 0.0, transpose: false };
    let frame = ObjectFrame::enclose(&scan.positions_A(), [pixel; 2], window).unwrap();
    let optics = ProbeOptics { voltage_kV: 300.0, convergence_mrad: 25.0, aberrations: Aberrations::defocus(-100.0) };
    let probe = optics.spectrum(window, [mrad; 2], [0.0; 2], 16000.0);
    let mut stack = HostFrames::zeros(SampleType::U16, window, 256);
    for (i, count) in bytemuck::cast_slice_mut::<u32, u16>(&mut stack.words).iter_mut().enumerate() {
        *count = (i * 7919 % 3) as u16;
    }
    let patterns = Memory::new(backend.clone(), Arc::new(stack)).unwrap();
    let detector = DetectorLayout { shape: window, centre: [64, 64], valid: None, ..DetectorLayout::default() };
    let cancel = CancelToken::default();
    let run = Run { events: &|_| (), cancel: &cancel, rng: RngState::new(0) };
    let mut group = criterion.benchmark_group(format!("epie_iteration/{name}"));
    group.sample_size(10).throughput(Throughput::Elements(256));
    for batch in [1, 32, 256] {
        let options = Options::epie(1, batch, wavelength_A(300.0));
        group.bench_function(format!("batch {batch}"), |b| {
            b.iter_batched(
                || State::start(&frame, 1, 0.0, probe.clone(), run.rng),
                |start| reconstruct(&run, &**backend, &patterns, &frame, &detector, &options, start, &mut ()).unwrap(),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

/// Single side-band of 256² positions with frames of 64² u8 (256 MiB) and a disk of 12.5 pixels: 531 pixels, of each one transform of 256² numbers (shared by two, 5·n²·log₂(n²) flops) and
/// about 100 flops at each frequency that its side bands reach. Counts are read once; the pixels' spectra (139 MB) are written and read a few times.
fn side_bands<B: Backend>(criterion: &mut Criterion, name: &str, backend: &Arc<B>) {
    let (shape, positions) = ([64, 64], [256, 256]);
    let mut stack = HostFrames::zeros(SampleType::U8, shape, positions[0] * positions[1]);
    for (i, count) in bytemuck::cast_slice_mut::<u32, u8>(&mut stack.words).iter_mut().enumerate() {
        *count = (i * 7919 % 5) as u8;
    }
    let patterns = Memory::new(backend.clone(), Arc::new(stack)).unwrap().with_block(1024);
    let scan = ScanGrid { shape: positions, step_A: [0.2; 2], rotation_deg: 0.0, transpose: false };
    let mut plan = DirectPlan::new(scan, 300.0, 25.0, [2.0; 2], [31.5; 2]);
    plan.methods = vec![Method::Ssb];
    plan.incident = Some(8192.0);
    plan.defocus_A = 50.0;
    let cancel = CancelToken::default();
    let run = Run { events: &|_| (), cancel: &cancel, rng: RngState::new(0) };
    let mut group = criterion.benchmark_group(format!("ssb/{name}"));
    group.sample_size(10).throughput(Throughput::Elements(531));
    group.bench_function("256² positions", |b| b.iter(|| direct(&run, &**backend, &patterns, &plan).unwrap()));
    group.finish();
}

criterion_group!(benches, kernels);
criterion_main!(benches);
