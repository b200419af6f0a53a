//! What a calibration promises: values within their errors, errors that are true, and words where something cannot be told.
//!
//! Trials that need `../shared/data` (or the folder that `RONCHI_SHARED_DATA` names) are ignored, with the reason in their names, where it is
//! missing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a failing test shows its seed, and the figures are worth reading")]

mod invented;
#[allow(dead_code, reason = "each test binary uses its own part")]
#[path = "../imaging/memory.rs"]
mod memory;
mod microscope;
mod simulated;

use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};

/// A test of one shared file.
type Shared = Box<dyn FnOnce(&Path) -> Result<(), Failed> + Send>;

fn main() {
    let arguments = Arguments::from_args();
    let root =
        std::env::var_os("RONCHI_SHARED_DATA").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let mut trials = invented::trials();
    let mut shared = |name: String, path: PathBuf, test: Shared| {
        let missing = !path.exists();
        let name = if missing { format!("{name} [{} is not here]", path.display()) } else { name };
        trials.push(Trial::test(name, move || test(&path)).with_ignored_flag(missing));
    };
    for set in &simulated::SETS {
        for dose in set.doses {
            let path = root.join(format!("na3ni2sbo6/na3ni2sbo6_{}_{dose}.h5", set.name));
            shared(format!("{} at {dose} is calibrated", set.name), path, Box::new(move |path| simulated::calibrated(path, set, *dose)));
        }
    }
    let file = |name: &str| root.join(format!("na3ni2sbo6/na3ni2sbo6_{name}.h5"));
    for (name, dose, tail, bound_deg) in [
        ("010_100000", 1e5, 0.01, 2.2),
        ("010_100000", 1e5, 0.1, 0.70),
        ("100_100000", 1e5, 0.01, 0.40),
        ("100thin_1000000", 1e6, 0.005, 0.61),
    ] {
        let told = format!("the spread of the rotation of {name} at {} is its error and near its bound", dose * tail);
        shared(told, file(name), Box::new(move |path| simulated::spread(path, tail, bound_deg)));
    }
    shared("the gain of seven counts an electron is found".to_owned(), file("010_10000"), Box::new(simulated::sevenfold));
    let rotavirus = root.join("rotavirus/rotavirus_64x64x128x128_u8.h5");
    shared("rotavirus is transposed and turned".to_owned(), rotavirus, Box::new(simulated::rotavirus));
    libtest_mimic::run(&arguments, trials).exit();
}
