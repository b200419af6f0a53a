//! Checkpoints: named lists of numbers in an HDF5 file that appears whole, by a rename.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{ArrayData, Attr, Claim, Error, Result, hdf};

/// What a checkpoint holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Of what the lists mean.
    pub version: u32,
    /// Of the job and the data: a checkpoint goes on with no others.
    pub job_hash: String,
    pub input_hash: String,
    pub lists: BTreeMap<String, Vec<f64>>,
}

/// What is in the root group of a checkpoint.
const VERSION: &str = "checkpoint_version";
const JOB: &str = "job_hash";
const INPUT: &str = "input_hash";
const LISTS: &str = "state";

impl Checkpoint {
    /// The place of the checkpoint that belongs to a result: beside it.
    pub fn place(result: &Path) -> PathBuf {
        let mut name = result.file_name().unwrap_or_default().to_owned();
        name.push(".checkpoint");
        result.with_file_name(name)
    }

    /// Writes it beside its place and renames it, so that a checkpoint is whole or not there.
    ///
    /// # Errors
    /// What the file system or HDF5 reports.
    pub fn write(self, path: &Path) -> Result<()> {
        let claim = Claim::new(path, true)?;
        self.write_to(claim.unfinished_path()).map_err(|e| Error::write_hdf(path, &e))?;
        claim.finish().map(|_| ())
    }

    fn write_to(self, path: &Path) -> hdf5::Result<()> {
        // The claim holds the lock.
        let file = hdf5::File::with_options().with_fapl(|p| p.file_locking(false)).create(path)?;
        hdf::write_attr(&file, VERSION, &Attr::Unsigned(self.version.into()))?;
        hdf::write_text(&file, JOB, &self.job_hash)?;
        hdf::write_text(&file, INPUT, &self.input_hash)?;
        let group = hdf::create_group(&file, LISTS)?;
        for (name, values) in self.lists {
            hdf::write_dataset(&group, &name, &[values.len()], &ArrayData::F64(values))?;
        }
        file.close()
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// If there is none, or it is not whole.
    pub fn read(path: &Path) -> Result<Self> {
        let failed = |e: hdf5::Error| Error::read_hdf(path, &e);
        let file = hdf5::File::open(path).map_err(failed)?;
        let shown = || path.display().to_string();
        let missing =
            |name: &str| Error::Missing { file: shown(), wanted: format!("attribute {name}, so it is no checkpoint"), held: String::new() };
        let text = |name: &str| hdf::read_text(&file, name).ok_or_else(|| missing(name));
        let Some(Attr::Unsigned(version)) = hdf::read_attr(&file, VERSION) else { return Err(missing(VERSION)) };
        let group = file.group(LISTS).map_err(failed)?;
        let mut lists = BTreeMap::new();
        for name in group.member_names().map_err(failed)? {
            let values = group.dataset(&name).and_then(|d| d.read_raw::<f64>()).map_err(failed)?;
            lists.insert(name, values);
        }
        let version = u32::try_from(version).unwrap_or(u32::MAX);
        Ok(Self { version, job_hash: text(JOB)?, input_hash: text(INPUT)?, lists })
    }
}
