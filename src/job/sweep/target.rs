//! The key that a sweep varies.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use toml::de::{DeTable, DeValue, ValueDeserializer};
use toml::{Spanned, Value};

use super::super::error::{Error, refusal};
use super::super::schema::{Job, SECTIONS};
use super::super::source::{self, Reader, key_doc, unknown_key, unknown_section};
use super::FIXED;

/// The key that values are for, and a job to try them in.
pub(super) struct Target<'a> {
    path: &'a str,
    section: &'a str,
    key: &'a str,
    /// A key of the table that is the key's value.
    field: Option<&'a str>,
    job: Job,
    reader: &'a Reader<'a>,
}

impl<'a> Target<'a> {
    pub(super) fn find(path: &'a str, span: &Range<usize>, reader: &'a Reader<'a>) -> Result<Self, Error> {
        let place = || reader.place(span);
        let (section, rest) = path.split_once('.').unwrap_or((path, ""));
        let (key, field) = rest.split_once('.').map_or((rest, None), |(key, field)| (key, Some(field)));
        if SECTIONS.iter().all(|s| s.name != section) {
            return Err(unknown_section(section, place()));
        }
        let Some(doc) = key_doc(section, key) else { return Err(unknown_key(section, key, place())) };
        if FIXED.contains(&section) {
            let free: Vec<&str> = SECTIONS.iter().map(|s| s.name).filter(|name| !FIXED.contains(name)).collect();
            let remedy = "All trials are of the same data, and their scores do not depend on [map], [output] and [compute].";
            let expected = format!("a key of {}", free.join(", "));
            return Err(refusal(place(), "what [sweep] varies", path.to_owned(), &expected, remedy));
        }
        if let Some(field) = field {
            if doc.fields.is_empty() {
                return Err(Error::Unknown {
                    place: place(),
                    kind: "key",
                    name: path.to_owned(),
                    nearest: format!("the value of {section}.{key} is no table"),
                });
            }
            let table = DeTable::from_iter([(
                Spanned::new(span.clone(), Cow::Borrowed(field)),
                Spanned::new(span.clone(), DeValue::Boolean(true)),
            )]);
            reader.check_fields(&format!("{section}.{key}"), doc.fields, &Spanned::new(span.clone(), DeValue::Table(table)))?;
        }
        Ok(Self { path, section, key, field, job: Job::default(), reader })
    }

    /// An item of a list as the key's value.
    pub(super) fn item(&mut self, item: &source::Value<'_>) -> Result<Value, Error> {
        if let (None, Some(doc)) = (self.field, key_doc(self.section, self.key)) {
            self.reader.check_fields(&format!("{}.{}", self.section, self.key), doc.fields, item)?;
        }
        let value = Value::deserialize(ValueDeserializer::from(item.clone())).map_err(|e| Error::Mistyped {
            place: self.reader.place(&item.span()),
            key: format!("sweep.{}", self.path),
            found: self.reader.found(item),
            expected: format!("a value: {}", e.message()),
        })?;
        self.check(&value, &item.span())?;
        Ok(value)
    }

    /// Refuses a value that the key can't have.
    pub(super) fn check(&mut self, value: &Value, span: &Range<usize>) -> Result<(), Error> {
        self.assign(value, span)?;
        self.job.check()
    }

    /// Refuses a value of another type than the key's.
    fn assign(&mut self, value: &Value, span: &Range<usize>) -> Result<(), Error> {
        let text = value.to_string();
        let parse = || DeValue::parse(&text).map_or(DeValue::Boolean(false), Spanned::into_inner);
        let mut whole = Spanned::new(span.clone(), parse());
        if let Some(field) = self.field {
            // All tables of a job that are values hold numbers.
            self.reader.entry::<f64>(self.path, "a number", whole.clone())?;
            let table = DeTable::from_iter([(Spanned::new(span.clone(), Cow::Borrowed(field)), whole)]);
            whole = Spanned::new(span.clone(), DeValue::Table(table));
        }
        self.job.assign(self.section, self.key, whole, self.reader).map(|_| ())
    }

    pub(super) fn takes_whole_numbers(&mut self, span: &Range<usize>) -> bool {
        self.assign(&Value::Float(1.5), span).is_err() && self.assign(&Value::Integer(1), span).is_ok()
    }
}
