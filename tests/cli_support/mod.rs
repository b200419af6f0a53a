//! The real program in a folder of its own.

#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up fails")]

use std::path::{Path, PathBuf};
use std::process::Command;

use ronchi::compute::cpu::Cpu;
use ronchi::optics::{Aberrations, ProbeOptics, ScanGrid};
use ronchi::output::{Datacube, write_datacube};
use ronchi::run::{CancelToken, RngState, Run};
use ronchi::simulate::{Spec, simulate};

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A folder to run the program in.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The program with these arguments, on the CPU unless they say otherwise.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ronchi"));
        command.current_dir(self.0.path()).args(arguments);
        if !arguments.iter().any(|a| a.starts_with("--device")) {
            command.args(["--device", "cpu"]);
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        ran(&mut self.command(arguments))
    }

    /// Runs what has to be done without complaint.
    pub(crate) fn done(&self, arguments: &[&str]) -> Ran {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.stderr);
        ran
    }

    /// Every file and folder, sorted.
    pub(crate) fn listing(&self) -> Vec<PathBuf> {
        fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in folder.read_dir().unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found);
                }
                found.push(path);
            }
        }
        let mut found = Vec::new();
        walk(self.0.path(), &mut found);
        found.sort();
        found
    }

    /// A simulated scan of 8×8 positions with frames of 32×32 pixels, `scan.h5`: a disk of 7.1 pixels.
    pub(crate) fn scan(&self) {
        self.scan_of(2e3);
    }

    /// [`Self::scan`] at another dose.
    pub(crate) fn scan_of(&self, dose_e_per_A2: f64) {
        let spec = Spec {
            scan: ScanGrid { shape: [8, 8], step_A: [0.8, 0.8], rotation_deg: 0.0, transpose: false },
            frame: 32,
            mrad_per_px: 3.5,
            optics: ProbeOptics { voltage_kV: 300.0, convergence_mrad: 25.0, aberrations: Aberrations::defocus(100.0) },
            dose_e_per_A2,
            atoms_per_column: 4,
            thinned: 0.0,
        };
        let cancel = CancelToken::default();
        let run = Run { events: &|_| (), cancel: &cancel, rng: RngState::new(3) };
        let simulated = simulate(&run, &Cpu::<f32>::new(), &spec).unwrap();
        let counts: Vec<u16> = bytemuck::cast_slice(&simulated.frames.words).to_vec();
        let cube = Datacube {
            scan_shape: [8, 8],
            frame_shape: [32, 32],
            step_A: [0.8, 0.8],
            mrad_per_px: 3.5,
            voltage_kV: 300.0,
            convergence_mrad: 25.0,
            deflate: 1,
        };
        write_datacube(&self.path("scan.h5"), false, &cube, &counts).unwrap();
    }

    /// A dataset `/cube` of these values in `name`.
    pub(crate) fn dataset<T: hdf5::H5Type>(&self, name: &str, shape: &[usize], values: &[T]) {
        let file = hdf5::File::create(self.path(name)).unwrap();
        let dataset = file.new_dataset::<T>().shape(shape).create("cube").unwrap();
        if !values.is_empty() {
            dataset.write_raw(values).unwrap();
        }
    }
}

pub(crate) fn ran(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program speaks UTF-8");
    Ran { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
}
