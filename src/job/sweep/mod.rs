//! The sweep of a job: the section `[sweep]`, and the trials that it comes to.

mod range;
mod target;

use std::ops::Range;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use toml::Value;
use toml::de::{DeTable, DeValue};

use self::range::{NumberRange, RANGE, number, tidy};
use self::target::Target;
use super::error::{Error, Place, refusal};
use super::schema::{KeyDoc, SECTIONS, SectionDoc, Shown};
use super::source::{self, Reader, key_doc, nearest, owner_of};
use super::values::{Score, SearchMode};
use crate::run::RngState;

/// A sweep has at most so many trials.
const MOST: usize = 10_000;
/// Sections whose keys make no trials that could be compared.
const FIXED: [&str; 4] = ["data", "map", "output", "compute"];

/// What is to be said of `[sweep]` and those keys of it that have a name of their own.
pub const SWEEP: SectionDoc = SectionDoc {
    name: "sweep",
    doc: " Trials with other values of some keys, to find the best ones. A key is written with its section, `optics.defocus_A = [-200, -100, 0]`:\n \
          either a list of values or a range, `{ from = -200, to = 200, step = 50 }` or `{ from = 1, to = 100, count = 5, log = true }`. A random search also takes\n \
          `{ from = -200, to = 200 }`, and any number between them.\n",
    keys: &[
        KeyDoc {
            name: "mode",
            doc: " \"grid\": a trial for each combination of the values. \"random\": each trial has values chosen by chance.\n",
            expected: "\"grid\" or \"random\"",
            shown: Shown::Default("\"grid\""),
            fields: &[],
        },
        KeyDoc {
            name: "trials",
            doc: " The trials of a random search.\n",
            expected: "a whole number from 1 to 10000",
            shown: Shown::Example("100"),
            fields: &[],
        },
        KeyDoc {
            name: "seed",
            doc: " Seed of a random search. More trials with the same seed begin with the same ones.\n",
            expected: "a whole number from 0",
            shown: Shown::Default("0"),
            fields: &[],
        },
        KeyDoc {
            name: "score",
            doc: " What the best trial is best in. \"validation\": the error of patterns that the reconstruction does not see. \"frc\": the resolution by the\n \
                  Fourier ring correlation of two halves of the electrons.\n",
            expected: "\"validation\" or \"frc\"",
            shown: Shown::Default("\"validation\""),
            fields: &[],
        },
    ],
};

/// The sweep that a job asks for; every value of it has been checked against its key.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    /// Where the section begins.
    pub place: Place,
    pub search: Search,
    pub score: Score,
    /// What varies, in the order in which it is written.
    pub axes: Vec<Axis>,
}

/// How trials are made of the axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Search {
    /// Every combination, the first axis varying slowest.
    Grid,
    /// So many trials by chance.
    Random { trials: usize, seed: u64 },
}

/// A key that varies.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// As in `--set`: `optics.defocus_A`, `optics.aberrations.C12_A`.
    pub key: String,
    pub values: Values,
    pub place: Place,
}

/// The values of a key that varies.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// These; at least one.
    Each(Vec<Value>),
    /// Any number between two (`from` is the lower one), evenly or with an evenly distributed logarithm; in a random search only.
    Between { from: f64, to: f64, log: bool, whole: bool },
}

impl Sweep {
    /// The values of each trial: keys as in `--set`, in the order of the axes. They do not depend on anything but the sweep.
    pub fn trials(&self) -> Vec<Vec<(String, Value)>> {
        match self.search {
            Search::Grid => {
                let mut trials = vec![Vec::new()];
                for axis in &self.axes {
                    let Values::Each(values) = &axis.values else { continue };
                    let with = |trial: &Vec<_>, value: &Value| {
                        let mut trial = trial.clone();
                        trial.push((axis.key.clone(), value.clone()));
                        trial
                    };
                    trials = trials.iter().flat_map(|trial| values.iter().map(move |value| with(trial, value))).collect();
                }
                trials
            }
            Search::Random { trials, seed } => {
                let mut rng = RngState::new(seed).generator();
                let mut trial = || self.axes.iter().map(|axis| (axis.key.clone(), axis.values.draw(&mut rng))).collect();
                (0..trials).map(|_| trial()).collect()
            }
        }
    }

    /// Reads the section.
    pub(super) fn read(place: Place, body: source::Value<'_>, reader: &Reader<'_>) -> Result<Self, Error> {
        let found = reader.found(&body);
        let DeValue::Table(table) = body.into_inner() else {
            let expected = "a section: a line [sweep] and its keys below".to_owned();
            return Err(Error::Mistyped { place, key: "sweep".to_owned(), found, expected });
        };
        let (mut mode, mut trials, mut seed, mut score) = (None, None, None, None);
        let mut written = Vec::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            match SWEEP.keys.iter().find(|doc| doc.name == name) {
                Some(doc) => {
                    let of = format!("sweep.{name}");
                    match name {
                        "mode" => mode = Some(reader.entry::<SearchMode>(&of, doc.expected, value)?),
                        "trials" => trials = Some(reader.entry::<usize>(&of, doc.expected, value)?),
                        "seed" => seed = Some(reader.entry::<u64>(&of, doc.expected, value)?),
                        _ => score = Some(reader.entry::<Score>(&of, doc.expected, value)?),
                    }
                }
                None => collect(name.to_owned(), &key.span(), value, reader, &mut written)?,
            }
        }
        // The parser sorts keys by name. What was typed stands in no file and comes last.
        written.sort_by_key(|written| written.span.start);
        let random = mode.is_some_and(|entry| entry.value == SearchMode::Random);
        let search = if random {
            let Some(trials) = trials else {
                let why = "a random search has to end somewhere".to_owned();
                return Err(Error::Missing { key: "sweep.trials", why, example: "100" });
            };
            if !(1..=MOST).contains(&trials.value) {
                let expected = format!("a whole number from 1 to {MOST}");
                return Err(refusal(trials.place, "sweep.trials", trials.value.to_string(), &expected, "100 are a good start."));
            }
            Search::Random { trials: trials.value, seed: seed.map_or(0, |entry| entry.value) }
        } else {
            let numbers = [("sweep.trials", trials.map(|t| (t.place, t.value as u64))), ("sweep.seed", seed.map(|s| (s.place, s.value)))];
            if let Some((key, (place, value))) = numbers.into_iter().find_map(|(key, given)| Some((key, given?))) {
                let remedy = "A grid has a trial for each combination of its values: leave the key out, or set sweep.mode = \"random\".";
                return Err(refusal(place, key, value.to_string(), "nothing in a grid", remedy));
            }
            Search::Grid
        };

        let mut axes: Vec<Axis> = Vec::new();
        for written in written {
            let axis = written.axis(random, reader)?;
            let meets = |a: &str, b: &str| a == b || a.strip_prefix(b).is_some_and(|rest| rest.starts_with('.'));
            match axes.iter().position(|other| meets(&axis.key, &other.key) || meets(&other.key, &axis.key)) {
                // What is typed outranks the file.
                Some(other) if axis.place == Place::Typed && axes[other].key == axis.key => axes[other] = axis,
                Some(other) => {
                    let found = format!("to vary {} as well as {}", axes[other].key, axis.key);
                    return Err(refusal(axis.place, "sweep", found, "to vary each once", "Leave one of them out."));
                }
                None => axes.push(axis),
            }
        }
        let sweep = Self { place, search, score: score.map_or(Score::Validation, |entry| entry.value), axes };
        sweep.check()?;
        Ok(sweep)
    }

    /// Refuses a sweep without trials, and a grid of too many.
    fn check(&self) -> Result<(), Error> {
        let example = "Write a key with its section and its values, such as optics.defocus_A = [-200, 0, 200].";
        if self.axes.is_empty() {
            return Err(refusal(self.place.clone(), "sweep", "without a key to vary".to_owned(), "at least one", example));
        }
        let sizes: Vec<usize> = self.axes.iter().map(|axis| axis.values.len()).collect();
        let combinations = sizes.iter().try_fold(1, |product: usize, n| product.checked_mul(*n).filter(|&n| n <= MOST));
        if self.search == Search::Grid && combinations.is_none() {
            let found = format!("a grid of {}", sizes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" × "));
            let remedy = "Take fewer values, or search by chance: mode = \"random\" with trials = 100.";
            return Err(refusal(self.place.clone(), "sweep", found, &format!("at most {MOST} trials"), remedy));
        }
        Ok(())
    }
}

impl Values {
    /// How many there are to combine.
    fn len(&self) -> usize {
        match self {
            Self::Each(values) => values.len(),
            Self::Between { .. } => 1,
        }
    }

    /// One of them by chance.
    fn draw(&self, rng: &mut ChaCha8Rng) -> Value {
        match *self {
            Self::Each(ref values) => values[rng.random_range(0..values.len())].clone(),
            Self::Between { from, to, log: false, whole: true } => Value::Integer(rng.random_range(from as i64..=to as i64)),
            Self::Between { from, to, log, whole } => {
                let x: f64 = if log { rng.random_range(from.ln()..=to.ln()).exp() } else { rng.random_range(from..=to) };
                number(tidy(x, from.abs().max(to.abs())).clamp(from, to), whole)
            }
        }
    }
}

/// A key to vary as it was written.
struct Written<'a> {
    /// With its section.
    path: String,
    span: Range<usize>,
    value: source::Value<'a>,
}

/// Takes the keys of tables, as `optics.defocus_A` without quotes and `[sweep.optics]` make them, one by one.
fn collect<'a>(
    path: String,
    span: &Range<usize>,
    value: source::Value<'a>,
    reader: &Reader<'_>,
    written: &mut Vec<Written<'a>>,
) -> Result<(), Error> {
    let place = reader.place(span);
    let is_section = SECTIONS.iter().any(|s| s.name == path);
    if !path.contains('.') && !is_section {
        let nearest = match owner_of(&path) {
            Some(owner) => format!("write it with its section, {owner}.{path}"),
            None => nearest(&path, SWEEP.keys.iter().map(|k| k.name).chain(SECTIONS.iter().map(|s| s.name))),
        };
        return Err(Error::Unknown { place, kind: "key", name: format!("sweep.{path}"), nearest });
    }
    let has_fields = path.split_once('.').and_then(|(section, key)| key_doc(section, key)).is_some_and(|doc| !doc.fields.is_empty());
    let is_range = |table: &DeTable<'_>| table.keys().any(|key| RANGE.contains(&key.get_ref().as_ref()));
    match value.get_ref() {
        DeValue::Table(table) if is_section || (has_fields && !is_range(table)) => {}
        _ if is_section => {
            let expected = format!("keys of [{path}] such as {path}.KEY = [1, 2]");
            return Err(Error::Mistyped { place, key: format!("sweep.{path}"), found: reader.found(&value), expected });
        }
        _ => {
            written.push(Written { path, span: span.clone(), value });
            return Ok(());
        }
    }
    let DeValue::Table(table) = value.into_inner() else { return Ok(()) };
    table.into_iter().try_for_each(|(key, value)| collect(format!("{path}.{}", key.get_ref()), &key.span(), value, reader, written))
}

impl Written<'_> {
    /// The key with its values, each of which the key can have.
    fn axis(self, random: bool, reader: &Reader<'_>) -> Result<Axis, Error> {
        let place = reader.place(&self.span);
        let mut target = Target::find(&self.path, &self.span, reader)?;
        let name = format!("sweep.{}", self.path);
        let span = self.value.span();
        let values = match self.value.get_ref() {
            DeValue::Array(items) if items.is_empty() => {
                return Err(refusal(
                    place,
                    &name,
                    "an empty list".to_owned(),
                    "at least one value",
                    "Leave the key out to keep it as it is.",
                ));
            }
            DeValue::Array(items) => Values::Each(items.iter().map(|item| target.item(item)).collect::<Result<_, _>>()?),
            DeValue::Table(_) => {
                reader.check_fields(&name, RANGE, &self.value)?;
                let range = NumberRange::read(&name, self.value, reader)?;
                let whole = target.takes_whole_numbers(&span);
                range.values(&name, reader.place(&span), whole, random, |value| target.check(value, &span))?
            }
            _ => {
                let expected = "a list of values such as [-200, 0, 200] or a range such as { from = -200, to = 200, step = 50 }".to_owned();
                return Err(Error::Mistyped { place, key: name, found: reader.found(&self.value), expected });
            }
        };
        Ok(Axis { key: self.path, values, place })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::schema::Job;
    use super::*;

    fn sweep(body: &str) -> Result<Sweep, Error> {
        typed(body, &[])
    }

    fn typed(body: &str, sets: &[&str]) -> Result<Sweep, Error> {
        let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
        Job::from_text(&format!("[sweep]\n{body}"), "job.toml", &sets).map(|job| job.sweep.unwrap())
    }

    fn refusal_of(body: &str) -> String {
        sweep(body).unwrap_err().to_string()
    }

    fn floats(body: &str) -> Vec<f64> {
        let Values::Each(values) = sweep(body).unwrap().axes.remove(0).values else { panic!("{body}") };
        values.iter().map(|v| v.as_float().unwrap()).collect()
    }

    #[test]
    fn a_job_without_the_section_has_no_sweep() {
        assert_eq!(Job::from_text("[ptychography]\n", "job.toml", &[]).unwrap().sweep, None);
    }

    #[test]
    fn a_grid_is_every_combination_in_the_order_in_which_it_is_written() {
        let text = "\"ptychography.batch\" = [8, 16]\noptics.defocus_A = { from = -50, to = 50, step = 50 }\nimages.descan = [\"none\"]";
        let found = sweep(text).unwrap();
        assert_eq!((found.search, found.score), (Search::Grid, Score::Validation));
        assert_eq!(found.axes[1].place, Place::Line { file: "job.toml".into(), line: 3 });
        let trials = found.trials();
        let expected: Vec<Vec<(String, Value)>> = [8, 16]
            .into_iter()
            .flat_map(|batch| [-50.0, 0.0, 50.0].map(|defocus| (batch, defocus)))
            .map(|(batch, defocus)| {
                vec![
                    ("ptychography.batch".to_owned(), Value::Integer(batch)),
                    ("optics.defocus_A".to_owned(), Value::Float(defocus)),
                    ("images.descan".to_owned(), Value::String("none".to_owned())),
                ]
            })
            .collect();
        assert_eq!(trials, expected);
    }

    #[test]
    fn each_trial_can_be_typed_beside_the_job() {
        let body = "score = \"frc\"\n[sweep.optics]\naberrations.C12_A = [0, 5.5]\n[sweep.scan]\nstep_A = [0.4, [0.4, 0.41]]\n\
                    [sweep.images]\ndetectors = [[\"bf\", { name = \"r\", inner_mrad = 3 }]]";
        let found = sweep(body).unwrap();
        assert_eq!(found.score, Score::Frc);
        let trials = found.trials();
        assert_eq!(trials.len(), 4);
        let sets: Vec<String> = trials[3].iter().map(|(key, value)| format!("{key}={value}")).collect();
        let job = Job::from_text("", "job.toml", &sets).unwrap();
        assert_eq!(job.optics.aberrations.value.0["C12_A"], 5.5);
        assert_eq!(job.scan.step_A.unwrap().value.0, [0.4, 0.41]);
        assert_eq!(job.images.detectors.unwrap().value.0.len(), 2);
    }

    #[test]
    fn ranges_are_the_numbers_people_would_write() {
        for (range, expected) in [
            ("{ from = -0.3, to = 0.3, step = 0.1 }", vec![-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3]),
            ("{ from = 200, to = -100, step = -100 }", vec![200.0, 100.0, 0.0, -100.0]),
            ("{ from = 0, to = 1, step = 0.4 }", vec![0.0, 0.4, 0.8]),
            ("{ from = 1, to = 2, count = 5 }", vec![1.0, 1.25, 1.5, 1.75, 2.0]),
            ("{ from = 1000, to = 0.1, count = 5, log = true }", vec![1000.0, 100.0, 10.0, 1.0, 0.1]),
        ] {
            assert_eq!(floats(&format!("optics.defocus_A = {range}")), expected, "{range}");
        }
        let whole = |range: &str| match sweep(&format!("ptychography.batch = {range}")).unwrap().axes.remove(0).values {
            Values::Each(values) => values.iter().map(|v| v.as_integer().unwrap()).collect::<Vec<_>>(),
            values => panic!("{values:?}"),
        };
        assert_eq!(whole("{ from = 8, to = 24, step = 8 }"), [8, 16, 24]);
        assert_eq!(whole("{ from = 8, to = 128, count = 5, log = true }"), [8, 16, 32, 64, 128]);
        assert_eq!(whole("{ from = 1, to = 3, count = 7 }"), [1, 2, 3], "rounded, each once");
    }

    #[test]
    fn a_sweep_that_makes_no_sense_is_refused_with_its_line_and_what_to_do() {
        for (body, expected) in [
            ("", "job.toml, line 1: sweep is without a key to vary, expected at least one. Write a key"),
            ("optics.defocs_A = [1]", "job.toml, line 2: unknown key optics.defocs_A; the nearest known one is defocus_A."),
            ("\n\"optcs.defocus_A\" = [1]", "job.toml, line 3: unknown section optcs; the nearest known one is optics."),
            ("defocus_A = [1]", "unknown key sweep.defocus_A; write it with its section, optics.defocus_A."),
            ("trails = 3", "unknown key sweep.trails; the nearest known one is trials."),
            ("optics = 3", "sweep.optics is 3, expected keys of [optics] such as optics.KEY = [1, 2]."),
            ("optics.batch = [1]", "unknown key optics.batch; batch is a key of [ptychography]."),
            ("optics.defocus_A.deep = [1]", "sweep.optics.defocus_A"),
            ("\"optics.defocus_A.deep\" = [1]", "unknown key optics.defocus_A.deep; the value of optics.defocus_A is no table."),
            ("optics.aberrations.C13_A = [1]", "job.toml, line 2: unknown key C13_A in optics.aberrations; the nearest known one is C1"),
            ("optics.aberrations.C10_A = [1]", "C10 is −defocus: write optics.defocus_A."),
            ("optics.aberrations = [{}, { C13_A = 1 }]", "unknown key C13_A in optics.aberrations"),
            ("optics.aberrations.C12_A = [\"a\"]", "optics.aberrations.C12_A is \"a\", expected a number."),
            (
                "output.tiff = [true, false]",
                "what [sweep] varies is output.tiff, expected a key of optics, scan, detector, images, ptychography. All",
            ),
            ("compute.threads = [1, 2]", "what [sweep] varies is compute.threads"),
            ("data.path = [\"a.h5\"]", "what [sweep] varies is data.path"),
            (
                "optics.defocus_A = 3",
                "job.toml, line 2: sweep.optics.defocus_A is 3, expected a list of values such as [-200, 0, 200] or a range",
            ),
            ("optics.defocus_A = []", "job.toml, line 2: sweep.optics.defocus_A is an empty list, expected at least one value."),
            ("ptychography.batch = [8,\n\"many\"]", "job.toml, line 3: ptychography.batch is \"many\", expected a whole number from 1."),
            ("ptychography.batch = [8, 0]", "ptychography.batch is 0, expected a whole number from 1."),
            ("ptychography.batch = { from = 1.5, to = 3, count = 2 }", "ptychography.batch is 1.5, expected a whole number"),
            ("ptychography.batch = { from = 1, to = 2, step = 0.5 }", "ptychography.batch is 1.5, expected a whole number"),
            (
                "ptychography.step_object = { from = 0.5, to = 3, step = 0.5 }",
                "ptychography.step_object is 3, expected a number above 0 and up to 2.",
            ),
            ("images.descan = { from = 1, to = 3, step = 1 }", "images.descan is 1.0, expected \"none\""),
            ("optics.defocus_A = { frm = 1, to = 2 }", "unknown key frm in sweep.optics.defocus_A; the nearest known one is from."),
            ("optics.defocus_A = { from = 1, step = 2 }", "sweep.optics.defocus_A is a range without to, expected both its ends."),
            ("optics.defocus_A = { from = 1, to = 1, step = 2 }", "is { from = 1, to = 1, step = 2 }, expected two different ends."),
            ("optics.defocus_A = { from = 1, to = 5, step = -2 }", "expected a step above 0. The step has the sign of to − from."),
            ("optics.defocus_A = { from = 5, to = 1, step = 2 }", "expected a step below 0."),
            ("optics.defocus_A = { from = 5, to = 1, step = 0 }", "expected a step below 0."),
            ("optics.defocus_A = { from = 0, to = inf, step = 1 }", "expected finite numbers."),
            ("optics.defocus_A = { from = 0, to = 1, count = 1 }", "expected a count from 2."),
            ("optics.defocus_A = { from = 0, to = 1, count = 3, step = 0.5 }", "expected a step or a count. Leave one of them out"),
            ("optics.defocus_A = { from = 0, to = 1 }", "expected a step or a count. Only a random search"),
            ("optics.defocus_A = { from = 0, to = 1, count = 3, log = true }", "expected ends above 0."),
            ("optics.defocus_A = { from = 1, to = 9, step = 3, log = true }", "expected a count."),
            ("optics.defocus_A = { from = 0, to = 1e9, step = 1e-9 }", "expected at most 10000 values."),
            ("optics.defocus_A = { from = 0, to = 1, count = 10001 }", "expected at most 10000 values."),
            (
                "optics.defocus_A = { from = 1, to = 101, step = 1 }\nscan.rotation_deg = { from = 1, to = 100, step = 1 }",
                "job.toml, line 1: sweep is a grid of 101 × 100, expected at most 10000 trials. Take fewer",
            ),
            ("optics.defocus_A = [1]\n\"optics.defocus_A\" = [2]", "sweep is to vary optics.defocus_A as well as optics.defocus_A"),
            ("optics.aberrations.C12_A = [1]\n\"optics.aberrations\" = [{}]", "as well as optics.aberrations, expected to vary each once"),
            ("mode = \"greedy\"", "sweep.mode is \"greedy\", expected \"grid\" or \"random\"."),
            ("score = 3", "sweep.score is 3, expected \"validation\" or \"frc\"."),
            ("trials = 3\noptics.defocus_A = [1]", "job.toml, line 2: sweep.trials is 3, expected nothing in a grid."),
            ("seed = 3\noptics.defocus_A = [1]", "sweep.seed is 3, expected nothing in a grid."),
            ("mode = \"random\"\noptics.defocus_A = [1]", "sweep.trials is not known: a random search has to end somewhere."),
            (
                "mode = \"random\"\ntrials = 0\noptics.defocus_A = [1]",
                "job.toml, line 3: sweep.trials is 0, expected a whole number from 1 to 10000.",
            ),
            ("mode = \"random\"\ntrials = 10001\noptics.defocus_A = [1]", "sweep.trials is 10001"),
            ("mode = \"random\"\ntrials = 9\noptics.defocus_A = { from = 2, to = 1 }", "expected from below to. Exchange"),
        ] {
            let message = refusal_of(body);
            assert!(message.contains(expected), "{body}: {message}");
        }
        let message = Job::from_text("sweep = 3", "job.toml", &[]).unwrap_err().to_string();
        assert_eq!(message, "job.toml, line 1: sweep is 3, expected a section: a line [sweep] and its keys below.");
        let message = Job::from_text("[sweeps]", "job.toml", &[]).unwrap_err().to_string();
        assert_eq!(message, "job.toml, line 1: unknown section sweeps; the nearest known one is sweep.");
    }

    #[test]
    fn what_is_typed_replaces_the_values_of_the_file() {
        let body = "mode = \"random\"\ntrials = 5\n\"optics.defocus_A\" = [1, 2]";
        let found = typed(body, &["sweep.optics.defocus_A=[7]", "sweep.trials=3"]).unwrap();
        assert_eq!(found.axes.len(), 1);
        assert_eq!(found.axes[0].values, Values::Each(vec![Value::Integer(7)]));
        assert_eq!(found.search, Search::Random { trials: 3, seed: 0 });
    }

    #[test]
    fn a_random_search_spreads_over_its_ranges_and_more_trials_begin_with_the_same_ones() {
        let seed: u32 = rand::random();
        println!("seed {seed}");
        let body = |trials: usize, seed: u32| {
            format!(
                "mode = \"random\"\nseed = {seed}\ntrials = {trials}\noptics.defocus_A = {{ from = -100, to = 300 }}\n\
                 images.wdd_epsilon = {{ from = 1e-4, to = 1, log = true }}\nptychography.batch = {{ from = 4, to = 7 }}\n\
                 images.descan = [\"none\", \"plane\"]\nscan.rotation_deg = {{ from = 0, to = 2, step = 1 }}"
            )
        };
        let trials = sweep(&body(4000, seed)).unwrap().trials();
        let of = |k: usize| trials.iter().map(move |trial| &trial[k].1);
        let share = |k: usize, holds: &dyn Fn(&Value) -> bool| of(k).filter(|v| holds(v)).count() as f64 / 4000.0;
        // A share has a standard deviation of at most 0.008; five of them.
        let near = |share: f64, expected: f64| (share - expected).abs() < 0.04;
        assert!(of(0).all(|v| (-100.0..=300.0).contains(&v.as_float().unwrap())));
        assert!(near(share(0, &|v| v.as_float().unwrap() < 0.0), 0.25));
        assert!(of(1).all(|v| (1e-4..=1.0).contains(&v.as_float().unwrap())));
        assert!(near(share(1, &|v| v.as_float().unwrap() < 1e-3), 0.25));
        for batch in 4..=7 {
            assert!(near(share(2, &|v| *v == Value::Integer(batch)), 0.25));
        }
        assert!(near(share(3, &|v| *v == Value::String("none".into())), 0.5));
        assert!(near(share(4, &|v| *v == Value::Float(1.0)), 1.0 / 3.0));
        assert_eq!(sweep(&body(40, seed)).unwrap().trials(), trials[..40]);
        assert_ne!(sweep(&body(40, seed ^ 1)).unwrap().trials(), trials[..40]);
    }

    proptest! {
        #[test]
        fn a_stepped_range_goes_from_its_start_by_its_step_and_never_past_its_end(
            from in -1000i32..1000, steps in 1usize..200, step in 1i32..50, over in 0.0..0.99f64, down: bool,
        ) {
            let sign = if down { -1.0 } else { 1.0 };
            let (from, step) = (f64::from(from) / 16.0, sign * f64::from(step) / 16.0);
            let to = from + step * (steps as f64 + over);
            let values = floats(&format!("optics.defocus_A = {{ from = {from}, to = {to}, step = {step} }}"));
            prop_assert_eq!(values.len(), steps + 1);
            for (k, v) in values.iter().enumerate() {
                // Sixteenths of this size have 12 digits at most.
                prop_assert!((v - (from + k as f64 * step)).abs() < 1e-8);
            }
        }

        #[test]
        fn a_grid_has_the_product_of_its_values_each_trial_once(a in 1usize..12, b in 1usize..12, c in 1usize..12) {
            let list = |n: usize| format!("{:?}", (1..=n).collect::<Vec<_>>());
            let found = sweep(&format!("scan.rotation_deg = {}\nptychography.batch = {}\noptics.defocus_A = {}", list(a), list(b), list(c))).unwrap();
            let mut trials: Vec<String> = found.trials().iter().map(|t| format!("{t:?}")).collect();
            prop_assert_eq!(trials.len(), a * b * c);
            trials.sort();
            trials.dedup();
            prop_assert_eq!(trials.len(), a * b * c);
        }

        #[test]
        fn any_section_is_read_or_refused_in_one_line(
            key in "(mode|trials|optics|ptychography|[\"]?optics\\.defocus_A[\"]?|optics\\.aberrations(\\.C12_A)?|images\\.detectors|[a-z\".]{0,8})",
            value in "(-?[0-9]{1,6}(\\.[0-9])?|\\[[-0-9, .\"a{}\\[\\]]{0,12}\\]|\\{ ?(from|to|step|C12_A) = -?[0-9a\"]{1,3}, (to|count|log|step) = [-0-9a-z]{1,5} ?\\}|\".{0,4}\"|.{0,10})",
        ) {
            match sweep(&format!("{key} = {value}")) {
                Ok(found) => prop_assert!(!found.trials().is_empty()),
                Err(error) => prop_assert!(!error.to_string().contains('\n')),
            }
        }
    }
}
