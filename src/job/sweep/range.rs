//! A range of numbers that a sweep goes through.

use toml::Value;
use toml::de::DeValue;

use super::super::error::{Error, Place, refusal};
use super::super::source::{self, Reader};
use super::{MOST, Values};

/// The keys of a range.
pub(super) const RANGE: &[&str] = &["from", "to", "step", "count", "log"];

/// A range as it is written.
#[derive(Default)]
pub(super) struct NumberRange {
    from: f64,
    to: f64,
    step: Option<f64>,
    count: Option<usize>,
    log: bool,
}

impl NumberRange {
    pub(super) fn read(name: &str, value: source::Value<'_>, reader: &Reader<'_>) -> Result<Self, Error> {
        let place = reader.place(&value.span());
        let (mut from, mut to, mut range) = (None, None, Self::default());
        if let DeValue::Table(table) = value.into_inner() {
            for (key, value) in table {
                let of = format!("{name}.{}", key.get_ref());
                match key.get_ref().as_ref() {
                    "from" => from = Some(reader.entry::<f64>(&of, "a number", value)?.value),
                    "to" => to = Some(reader.entry::<f64>(&of, "a number", value)?.value),
                    "step" => range.step = Some(reader.entry::<f64>(&of, "a number", value)?.value),
                    "count" => range.count = Some(reader.entry::<usize>(&of, "a whole number from 2", value)?.value),
                    _ => range.log = reader.entry::<bool>(&of, "true or false", value)?.value,
                }
            }
        }
        let (Some(from), Some(to)) = (from, to) else {
            let missing = if from.is_none() { "from" } else { "to" };
            let found = format!("a range without {missing}");
            return Err(refusal(place, name, found, "both its ends", "Write { from = -200, to = 200, step = 50 }, or a list of values."));
        };
        Ok(Self { from, to, ..range })
    }

    /// The values of the range, each of which `check` accepts.
    pub(super) fn values(
        &self,
        name: &str,
        place: Place,
        whole: bool,
        random: bool,
        mut check: impl FnMut(&Value) -> Result<(), Error>,
    ) -> Result<Values, Error> {
        let Self { from, to, step, count, log } = *self;
        let refuse = |expected: &str, remedy: &str| Err(refusal(place.clone(), name, self.to_string(), expected, remedy));
        let numbers = [Some(from), Some(to), step];
        if numbers.into_iter().flatten().any(|x| !x.is_finite()) {
            return refuse("finite numbers", "Write numbers such as { from = -200, to = 200, step = 50 }.");
        }
        if from == to {
            return refuse("two different ends", "Leave the key out of [sweep] to keep it as it is.");
        }
        if step.is_some() && count.is_some() {
            return refuse("a step or a count", "Leave one of them out: each follows from the other.");
        }
        if log && (from <= 0.0 || to <= 0.0) {
            return refuse("ends above 0", "A logarithm has no other numbers.");
        }
        if log && step.is_some() {
            return refuse("a count", "Steps of a logarithm are ratios: say how many values there are.");
        }
        let largest = from.abs().max(to.abs());
        // An end that should be whole and is not is left so, and refused by the key.
        let exact = |x: f64| number(x, whole && x.fract() == 0.0);
        check(&exact(from))?;
        check(&exact(to))?;
        let too_many = || refuse(&format!("at most {MOST} values"), "Take a larger step, a smaller count or a smaller range.");
        let mut values: Vec<Value> = if let Some(step) = step {
            if step == 0.0 || (step > 0.0) != (to > from) {
                let sign = if to > from { "above" } else { "below" };
                return refuse(&format!("a step {sign} 0"), "The step has the sign of to − from.");
            }
            // An end that rounding puts just beyond the range belongs to it.
            let n = ((to - from) / step + 1e-9).floor() + 1.0;
            if n > MOST as f64 {
                return too_many();
            }
            (0..n as usize).map(|k| exact(tidy(from + k as f64 * step, largest))).collect()
        } else if let Some(count) = count {
            if count < 2 {
                return refuse("a count from 2", "One value is a list: [1].");
            }
            if count > MOST {
                return too_many();
            }
            let at = |k: usize| {
                let part = k as f64 / (count - 1) as f64;
                if log { from * (to / from).powf(part) } else { from + part * (to - from) }
            };
            (0..count).map(|k| number(tidy(at(k), largest), whole)).collect()
        } else if !random {
            return refuse("a step or a count", "Only a random search, mode = \"random\", takes any number of a range.");
        } else if from > to {
            return refuse("from below to", "Exchange the two ends.");
        } else {
            return Ok(Values::Between { from, to, log, whole });
        };
        values.iter().try_for_each(check)?;
        // Whole numbers that were rounded to may be the same.
        values.dedup();
        Ok(Values::Each(values))
    }
}

impl std::fmt::Display for NumberRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{{ from = {}, to = {}", self.from, self.to)?;
        self.step.map_or(Ok(()), |step| write!(f, ", step = {step}"))?;
        self.count.map_or(Ok(()), |count| write!(f, ", count = {count}"))?;
        write!(f, "{} }}", if self.log { ", log = true" } else { "" })
    }
}

/// A number as TOML, rounded where it is to be whole.
pub(super) fn number(x: f64, whole: bool) -> Value {
    if whole { Value::Integer(x.round() as i64) } else { Value::Float(x) }
}

/// A number to 12 digits, as people would write it: 0.3 and not 0.1 + 0.2. What is nothing beside the `largest` of its kind is 0.
pub(super) fn tidy(x: f64, largest: f64) -> f64 {
    if x.abs() < 1e-12 * largest { 0.0 } else { format!("{x:.11e}").parse().unwrap_or(x) }
}
