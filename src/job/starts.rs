//! Where object and probe start from, as a job says it.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, de};
use toml::Value;

use super::error::Place;
use super::schema::Job;
use super::values::{JobValue, Reference};

/// What the object of an iterative reconstruction begins as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Nothing: 1 everywhere.
    Flat,
    /// The phase of single side-band ptychography.
    Ssb,
    /// The phase of the tilt-corrected bright field.
    Parallax,
    /// The object of an earlier reconstruction.
    Earlier(PathBuf),
}

impl<'de> Deserialize<'de> for Start {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match &*String::deserialize(deserializer)? {
            "flat" => Ok(Self::Flat),
            "ssb" => Ok(Self::Ssb),
            "parallax" => Ok(Self::Parallax),
            // A word that is none of these is more likely mistyped than a file without an ending.
            path if path.contains(['.', '/', '\\']) => Ok(Self::Earlier(path.into())),
            _ => Err(de::Error::custom("neither a known word nor a path")),
        }
    }
}

impl JobValue for Start {
    fn toml(&self) -> Value {
        Value::String(match self {
            Self::Flat => "flat".to_owned(),
            Self::Ssb => "ssb".to_owned(),
            Self::Parallax => "parallax".to_owned(),
            Self::Earlier(path) => path.display().to_string(),
        })
    }
}

/// The probe to start from: a dataset, or that of an earlier reconstruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeStart {
    Dataset(Reference),
    Earlier(PathBuf),
}

impl<'de> Deserialize<'de> for ProbeStart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.parse() {
            Ok(reference) => Ok(Self::Dataset(reference)),
            Err(_) if text.is_empty() || text.ends_with(":/") => Err(de::Error::custom("no file or no dataset")),
            Err(_) => Ok(Self::Earlier(text.into())),
        }
    }
}

impl fmt::Display for ProbeStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dataset(reference) => reference.fmt(f),
            Self::Earlier(path) => path.display().fmt(f),
        }
    }
}

impl JobValue for ProbeStart {
    fn toml(&self) -> Value {
        Value::String(self.to_string())
    }
}

impl Job {
    /// The paths of the files that object and probe start from, with the places where they stand.
    pub(super) fn start_files(&mut self) -> impl Iterator<Item = (&mut PathBuf, Place)> {
        let keys = &mut self.ptychography;
        let object = match &mut keys.start.value {
            Start::Earlier(path) => Some((path, keys.start.place.clone())),
            _ => None,
        };
        let probe = keys.probe.as_mut().map(|entry| match &mut entry.value {
            ProbeStart::Dataset(reference) => (&mut reference.file, entry.place.clone()),
            ProbeStart::Earlier(path) => (path, entry.place.clone()),
        });
        let vacuum = keys.vacuum.as_mut().map(|entry| (&mut entry.value.file, entry.place.clone()));
        [object, probe, vacuum].into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn words_paths_and_datasets_are_told_apart_and_paths_belong_to_the_job_s_folder() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("job.toml");
        let text = "[ptychography]\nstart = \"earlier.emd\"\nprobe = \"sub/model.hdf5\"\nvacuum = \"v.h5:/d\"\n";
        std::fs::write(&file, text.replace("vacuum", "# ")).unwrap();
        let mut job = Job::from_file(&file, &[]).unwrap();
        let paths: Vec<PathBuf> = job.start_files().map(|(path, _)| path.clone()).collect();
        assert_eq!(paths, [folder.path().join("earlier.emd"), folder.path().join("sub/model.hdf5")]);
        let job = Job::from_file(&file, &["ptychography.start=ssb".to_owned(), "ptychography.probe=a.h5:/p/q".to_owned()]).unwrap();
        assert_eq!(job.ptychography.start.value, Start::Ssb);
        let Some(ProbeStart::Dataset(reference)) = job.ptychography.probe.map(|entry| entry.value) else { panic!("a dataset") };
        assert_eq!((&*reference.file, &*reference.dataset), (Path::new("a.h5"), "/p/q"));
        let wrong = Job::from_text("[ptychography]\nstart = \"paralax\"", "job.toml", &[]).unwrap_err().to_string();
        assert!(wrong.contains("expected \"flat\", \"ssb\", \"parallax\" or the path"), "{wrong}");
        let both = Job::from_text(text, "job.toml", &[]).unwrap_err().to_string();
        assert!(both.starts_with("job.toml, line 4: ptychography.vacuum is v.h5:/d"), "{both}");
    }
}
