//! From the text of a job file and what was typed beside it to a [`Job`]: names and types are checked, each value keeps its place.

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::error::{Error, Place};
use super::schema::{Entry, Job, KeyDoc, SECTIONS};
use super::sweep::{SWEEP, Sweep};
use super::values::{Annulus, DetectorSpec, JobValue};

/// A value as TOML, with its place in the text.
pub(super) type Value<'a> = Spanned<DeValue<'a>>;

/// The span of what stands in no file.
const TYPED: Range<usize> = usize::MAX..usize::MAX;

impl Job {
    /// Reads a job file and what was set beside it; its relative paths become relative to the file's folder.
    pub fn from_file(path: &Path, sets: &[String]) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::Unreadable { path: path.to_owned(), why: e.to_string() })?;
        let mut job = Self::from_text(&text, &path.display().to_string(), sets)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let anchor = |file: &mut PathBuf, place: &Place| {
            if *place != Place::Typed {
                *file = folder.join(&*file);
            }
        };
        for entry in [&mut job.data.path, &mut job.output.path, &mut job.images.field, &mut job.ptychography.frozen].into_iter().flatten() {
            anchor(&mut entry.value, &entry.place);
        }
        if let Some(entry) = &mut job.scan.positions {
            anchor(&mut entry.value.file, &entry.place);
        }
        if let Some(entry) = job.map.structure.as_mut().filter(|e| e.place != Place::Typed && e.value.to_lowercase().ends_with(".cif")) {
            entry.value = folder.join(&entry.value).display().to_string();
        }
        job.start_files().for_each(|(path, place)| anchor(path, &place));
        if let Some(list) = &mut job.images.detectors {
            for spec in &mut list.value.0 {
                if let DetectorSpec::Annulus(Annulus { mask: Some(mask), .. }) = spec {
                    anchor(mask, &list.place);
                }
            }
        }
        Ok(job)
    }

    /// Reads the text of a job file that messages call `name`, then what was set beside it, each as `section.key=value`.
    pub fn from_text(text: &str, name: &str, sets: &[String]) -> Result<Self, Error> {
        let reader = Reader { name: name.into(), text };
        let mut table = DeTable::parse(text)
            .map_err(|e| Error::Syntax { place: reader.place(&e.span().unwrap_or(0..0)), why: e.message().replace('\n', ", ") })?
            .into_inner();
        for set in sets {
            apply(&mut table, set, &reader)?;
        }

        let mut job = Self::default();
        for (section, body) in table {
            let place = reader.place(&section.span());
            let section = section.into_inner();
            if section == SWEEP.name {
                job.sweep = Some(Sweep::read(place, body, &reader)?);
                continue;
            }
            if !job.begin(&section, place.clone()) {
                return Err(unknown_section(&section, place));
            }
            let found = reader.found(&body);
            let DeValue::Table(keys) = body.into_inner() else {
                let expected = format!("a section: a line [{section}] and its keys below");
                return Err(Error::Mistyped { place, key: section.into_owned(), found, expected });
            };
            for (key, value) in keys {
                let place = reader.place(&key.span());
                let key = key.into_inner();
                if let Some(doc) = key_doc(&section, &key) {
                    reader.check_fields(&format!("{section}.{key}"), doc.fields, &value)?;
                }
                if !job.assign(&section, &key, value, &reader)? {
                    return Err(unknown_key(&section, &key, place));
                }
            }
        }
        job.check()?;
        Ok(job)
    }
}

/// A documented default as an entry.
pub(super) fn default_entry<T: JobValue>(literal: &str) -> Entry<T> {
    #[expect(clippy::expect_used, reason = "a test reads every documented value")]
    let value = ValueDeserializer::parse(literal).and_then(T::deserialize).expect("a documented default has the type of its key");
    Entry { value, place: Place::Default }
}

/// A text that values are read from.
pub(super) struct Reader<'a> {
    name: Arc<str>,
    text: &'a str,
}

impl Reader<'_> {
    /// A key's value in the key's type.
    pub(super) fn entry<T: JobValue>(&self, key: &str, expected: &str, value: Value<'_>) -> Result<Entry<T>, Error> {
        let place = self.place(&value.span());
        let found = self.found(&value);
        let value = T::deserialize(ValueDeserializer::from(value)).map_err(|_| Error::Mistyped {
            place: place.clone(),
            key: key.to_owned(),
            found,
            expected: expected.to_owned(),
        })?;
        Ok(Entry { value, place })
    }

    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        if *span == TYPED {
            return Place::Typed;
        }
        let line = 1 + self.text[..span.start.min(self.text.len())].matches('\n').count();
        Place::Line { file: self.name.clone(), line }
    }

    /// A value as a message shows it.
    pub(super) fn found(&self, value: &Value<'_>) -> String {
        match value.get_ref() {
            DeValue::String(text) => format!("\"{text}\""),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Float(number) => number.to_string(),
            DeValue::Boolean(value) => value.to_string(),
            DeValue::Datetime(_) => "a date".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
            DeValue::Array(_) => match self.text.get(value.span()) {
                Some(text) if text.len() <= 40 && !text.contains('\n') => text.to_owned(),
                _ => "a list".to_owned(),
            },
        }
    }

    /// Refuses keys of the tables inside a value that are not among `fields`.
    pub(super) fn check_fields(&self, key: &str, fields: &[&str], value: &Value<'_>) -> Result<(), Error> {
        match value.get_ref() {
            DeValue::Table(table) if !fields.is_empty() => {
                for field in table.keys() {
                    let name = field.get_ref();
                    if !fields.contains(&&**name) {
                        let nearest = match (&**name, key) {
                            ("C10_A", "optics.aberrations") => "C10 is −defocus: write optics.defocus_A".to_owned(),
                            _ => nearest(name, fields.iter().copied()),
                        };
                        return Err(Error::Unknown {
                            place: self.place(&field.span()),
                            kind: "key",
                            name: format!("{name} in {key}"),
                            nearest,
                        });
                    }
                }
                Ok(())
            }
            DeValue::Array(items) => items.iter().try_for_each(|item| self.check_fields(key, fields, item)),
            _ => Ok(()),
        }
    }
}

/// Puts `section.key=value` into the table. What is not TOML is taken as text.
fn apply<'a>(table: &mut DeTable<'a>, set: &'a str, reader: &Reader<'_>) -> Result<(), Error> {
    let malformed = || Error::Assignment { text: set.to_owned() };
    let (path, text) = set.split_once('=').ok_or_else(malformed)?;
    let (path, text) = (path.trim(), text.trim());
    if !path.contains('.') || path.split('.').any(str::is_empty) {
        return Err(malformed());
    }
    let value = DeValue::parse(text).map_or_else(|_| DeValue::String(Cow::Borrowed(text)), Spanned::into_inner);

    let mut names: Vec<&str> = path.split('.').collect();
    let last = names.pop().ok_or_else(malformed)?;
    let mut table = table;
    for name in names {
        let body =
            table.entry(Spanned::new(TYPED, Cow::Borrowed(name))).or_insert_with(|| Spanned::new(TYPED, DeValue::Table(DeTable::new())));
        let found = reader.found(body);
        table = match body.get_mut() {
            DeValue::Table(inner) => inner,
            _ => {
                return Err(Error::Mistyped {
                    place: Place::Typed,
                    key: path.to_owned(),
                    found,
                    expected: format!("{name} to be a table"),
                });
            }
        };
    }
    // A key that the file has keeps its own place when its value is replaced; the typed one has to be told instead.
    let key = Spanned::new(TYPED, Cow::Borrowed(last));
    table.remove(&key);
    table.insert(key, Spanned::new(TYPED, value));
    Ok(())
}

pub(super) fn key_doc(section: &str, key: &str) -> Option<&'static KeyDoc> {
    SECTIONS.iter().find(|s| s.name == section)?.keys.iter().find(|k| k.name == key)
}

pub(super) fn unknown_section(section: &str, place: Place) -> Error {
    let nearest = match owner_of(section) {
        Some(owner) => format!("{section} is a key of [{owner}]"),
        None => nearest(section, SECTIONS.iter().map(|s| s.name).chain([SWEEP.name])),
    };
    Error::Unknown { place, kind: "section", name: section.to_owned(), nearest }
}

pub(super) fn unknown_key(section: &str, key: &str, place: Place) -> Error {
    let nearest = match owner_of(key) {
        Some(owner) => format!("{key} is a key of [{owner}]"),
        None => nearest(key, SECTIONS.iter().filter(|s| s.name == section).flat_map(|s| s.keys).map(|k| k.name)),
    };
    Error::Unknown { place, kind: "key", name: format!("{section}.{key}"), nearest }
}

/// The section that has a key of this name.
pub(super) fn owner_of(key: &str) -> Option<&'static str> {
    SECTIONS.iter().find(|s| s.keys.iter().any(|k| k.name == key)).map(|s| s.name)
}

/// Names the known name that is most like `name`, or all of them where none is.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let likeness = |k: &str| strsim::jaro_winkler(&name.to_lowercase(), &k.to_lowercase());
    match known.clone().max_by(|a, b| likeness(a).total_cmp(&likeness(b))) {
        Some(best) if likeness(best) > 0.75 => format!("the nearest known one is {best}"),
        _ => format!("known are {}", known.collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str, sets: &[&str]) -> String {
        let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
        Job::from_text(text, "job.toml", &sets).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_the_nearest_known_key() {
        assert_eq!(
            refusal("[data]\npath = \"a.h5\"\n\n[optics]\nvoltage_kv = 300\n", &[]),
            "job.toml, line 5: unknown key optics.voltage_kv; the nearest known one is voltage_kV."
        );
        assert_eq!(refusal("[ptycografy]\n", &[]), "job.toml, line 1: unknown section ptycografy; the nearest known one is ptychography.");
        assert_eq!(
            refusal("[images]\ndetectors = [{ name = \"a\", iner_mrad = 3 }]", &[]),
            "job.toml, line 2: unknown key iner_mrad in images.detectors; the nearest known one is inner_mrad."
        );
        assert_eq!(refusal("[scan]\nbatch = 3", &[]), "job.toml, line 2: unknown key scan.batch; batch is a key of [ptychography].");
        assert_eq!(refusal("batch = 3", &[]), "job.toml, line 1: unknown section batch; batch is a key of [ptychography].");
        assert_eq!(
            refusal("", &["optics.aberrations.C10_A=5"]),
            "command line: unknown key C10_A in optics.aberrations; C10 is −defocus: write optics.defocus_A."
        );
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused_with_what_was_expected() {
        assert_eq!(
            refusal("[ptychography]\n\nbatch = \"many\"", &[]),
            "job.toml, line 3: ptychography.batch is \"many\", expected a whole number from 1."
        );
        assert_eq!(
            refusal("[scan]\nstep_A = [1, 2, 3]", &[]),
            "job.toml, line 2: scan.step_A is [1, 2, 3], expected a number of Å or [y, x]."
        );
        assert_eq!(refusal("", &["ptychography.batch=-3"]), "command line: ptychography.batch is -3, expected a whole number from 1.");
        assert_eq!(refusal("data = 3", &[]), "job.toml, line 1: data is 3, expected a section: a line [data] and its keys below.");
        assert_eq!(
            refusal("[scan]\npositions = \"file.h5\"", &[]),
            "job.toml, line 2: scan.positions is \"file.h5\", expected a dataset written \"file.h5:/dataset\"."
        );
    }

    #[test]
    fn broken_toml_is_refused_in_one_line_with_its_place() {
        let message = refusal("[data]\npath = scan.h5\n", &[]);
        assert!(message.starts_with("job.toml, line 2: not valid TOML: "), "{message}");
        assert!(!message.contains('\n'));
    }

    #[test]
    fn what_is_typed_overrides_the_file_and_may_be_bare_text() {
        let sets = ["data.path=my scan.h5", "optics.aberrations.C12_A=7", "ptychography.batch=8", "scan.step_A=[1,2]"].map(str::to_owned);
        let text = "[data]\npath = \"a.h5\"\n[optics]\naberrations = { C30_A = 1e4 }\n[ptychography]\nbatch = 4";
        let job = Job::from_text(text, "job.toml", &sets).unwrap();
        let path = job.data.path.unwrap();
        assert_eq!((path.value, path.place), ("my scan.h5".into(), Place::Typed));
        let coefficients = job.optics.aberrations.value.0;
        assert_eq!(coefficients.into_iter().collect::<Vec<_>>(), [("C12_A".to_owned(), 7.0), ("C30_A".to_owned(), 1e4)]);
        assert_eq!(job.ptychography.batch.value, 8);
        assert_eq!(job.scan.step_A.unwrap().value.0, [1.0, 2.0]);
        assert_eq!(refusal("", &["batch"]), "--set batch is not of the form section.key=value, such as --set optics.voltage_kV=300.");
    }

    #[test]
    fn paths_of_a_job_file_are_relative_to_it_and_typed_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("job.toml");
        std::fs::write(&file, "[data]\npath = \"a.h5\"\n[scan]\npositions = \"p.h5:/xy\"\n").unwrap();
        let job = Job::from_file(&file, &["output.path=out.emd".to_owned()]).unwrap();
        assert_eq!(job.data.path.unwrap().value, folder.path().join("a.h5"));
        assert_eq!(job.scan.positions.unwrap().value.file, folder.path().join("p.h5"));
        assert_eq!(job.output.path.unwrap().value, Path::new("out.emd"));
    }

    #[test]
    fn every_documented_value_has_the_type_of_its_key() {
        for section in SECTIONS {
            for key in section.keys {
                let text = format!("[{}]\n{} = {}\n", section.name, key.name, key.shown.toml());
                Job::from_text(&text, "job.toml", &[]).unwrap_or_else(|e| panic!("{e}"));
            }
        }
    }
}
