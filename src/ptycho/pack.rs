//! A state as named lists of numbers, as a checkpoint keeps it.

use std::collections::BTreeMap;

use num_complex::Complex64;

use super::{Record, State};
use crate::compute::ModelShape;
use crate::run::RngState;

/// Lists of numbers by name.
pub type Lists = BTreeMap<String, Vec<f64>>;

/// The version of what [`State::pack`] makes.
pub const STATE_VERSION: u32 = 3;

/// Before the names of what the rules remember.
const MEMORY: &str = "memory.";
/// Before the names of the best state.
const BEST: &str = "best.";
/// Numbers of a record before the powers and the lens.
const RECORD: usize = 8;

impl State {
    /// All of the state, each number as it is: whole numbers of up to 32 bits are kept by f64.
    pub fn pack(self) -> Lists {
        let mut lists = Lists::new();
        let mut put = |name: &str, values: Vec<f64>| lists.insert(name.to_owned(), values);
        let shape = &self.shape;
        let sizes = [shape.modes, shape.variations, shape.slices, shape.window[0], shape.window[1], shape.object[0], shape.object[1]];
        put("shape", sizes.iter().map(|&n| n as f64).collect());
        put("progress", vec![f64::from(self.stage), f64::from(self.iteration)]);
        put("rng", split(u128::from(self.rng.seed)).into_iter().chain(split(self.rng.counter)).collect());
        put("object", parts(&self.object));
        put("probe_hat", parts(&self.probe_hat));
        put("geometry", vec![self.slice_thickness_A, self.tilt_mrad[0], self.tilt_mrad[1]]);
        put("tilts_mrad", self.tilts_mrad.iter().flatten().copied().collect());
        put("lens_A", self.lens_A.clone());
        put("positions_px", self.positions_px.iter().flatten().copied().collect());
        put("intensities", self.intensities.clone());
        put("variations", parts(&self.variations));
        put("weights", self.weights.clone());
        put("pattern_errors", self.pattern_errors.clone());
        let mut history = Vec::new();
        for record in &self.history {
            let lengths = [record.powers.len() as f64, record.lens_A.len() as f64];
            history.extend(lengths.into_iter().chain([record.error, record.validation.unwrap_or(f64::NAN)]));
            history.extend([record.shift_rms_A, record.slice_thickness_A, record.tilt_mrad[0], record.tilt_mrad[1]]);
            history.extend(record.powers.iter().chain(&record.lens_A));
        }
        put("history", history);
        for (name, values) in self.memory {
            put(&format!("{MEMORY}{name}"), values);
        }
        if let Some(best) = self.best {
            lists.extend(best.pack().into_iter().map(|(name, values)| (format!("{BEST}{name}"), values)));
        }
        lists
    }

    /// The state that [`State::pack`] made lists of; `None` where they do not fit together.
    pub fn unpack(lists: &Lists) -> Option<Self> {
        let list = |name: &str| lists.get(name);
        let whole = |x: f64| (x >= 0.0 && x.fract() == 0.0 && x < 4_294_967_296.0).then_some(x as usize);
        let sizes: Vec<usize> = list("shape")?.iter().map(|&x| whole(x)).collect::<Option<_>>()?;
        let &[modes, variations, slices, ny, nx, object_ny, object_nx] = sizes.as_slice() else { return None };
        let shape = ModelShape { modes, variations, slices, window: [ny, nx], object: [object_ny, object_nx] };
        let &[stage, iteration] = list("progress")?.as_slice() else { return None };
        let rng = list("rng")?;
        let &[slice_thickness_A, tilt_y, tilt_x] = list("geometry")?.as_slice() else { return None };
        let (object, probe_hat) = (complex(list("object")?), complex(list("probe_hat")?));
        let positions_px: Vec<[f64; 2]> = list("positions_px")?.chunks_exact(2).map(|p| [p[0], p[1]]).collect();
        let tilts_mrad: Vec<[f64; 2]> = list("tilts_mrad")?.chunks_exact(2).map(|t| [t[0], t[1]]).collect();
        let intensities = list("intensities")?.clone();
        let (varied, weights) = (complex(list("variations")?), list("weights")?.clone());
        let (stage, iteration) = (whole(stage)? as u32, whole(iteration)? as u32);
        let history = records(list("history")?)?;
        let fits = object.len() == slices * shape.object_pixels()
            && probe_hat.len() == modes * shape.pixels()
            && positions_px.len() == intensities.len()
            && (tilts_mrad.is_empty() || tilts_mrad.len() == intensities.len())
            && varied.len() == variations * shape.pixels()
            && weights.len() == variations * intensities.len()
            && rng.len() == 8
            && history.len() >= iteration as usize;
        if !fits {
            return None;
        }
        let prefixed = |prefix: &str| -> Lists {
            lists.iter().filter_map(|(name, values)| Some((name.strip_prefix(prefix)?.to_owned(), values.clone()))).collect()
        };
        let best = prefixed(BEST);
        Some(Self {
            stage,
            iteration,
            rng: RngState { seed: join(&rng[..4])? as u64, counter: join(&rng[4..])? },
            object,
            probe_hat,
            shape,
            slice_thickness_A,
            tilt_mrad: [tilt_y, tilt_x],
            tilts_mrad,
            lens_A: list("lens_A")?.clone(),
            positions_px,
            intensities,
            variations: varied,
            weights,
            history,
            pattern_errors: list("pattern_errors")?.clone(),
            best: if best.is_empty() { None } else { Some(Box::new(Self::unpack(&best)?)) },
            memory: prefixed(MEMORY),
        })
    }
}

fn records(mut values: &[f64]) -> Option<Vec<Record>> {
    let mut history = Vec::new();
    while !values.is_empty() {
        let (head, rest) = values.split_at_checked(RECORD)?;
        let (powers, rest) = rest.split_at_checked(head[0] as usize)?;
        let (lens, rest) = rest.split_at_checked(head[1] as usize)?;
        history.push(Record {
            error: head[2],
            validation: (!head[3].is_nan()).then_some(head[3]),
            shift_rms_A: head[4],
            slice_thickness_A: head[5],
            tilt_mrad: [head[6], head[7]],
            powers: powers.to_vec(),
            lens_A: lens.to_vec(),
        });
        values = rest;
    }
    Some(history)
}

/// Four times 32 bits, the highest first.
fn split(x: u128) -> [f64; 4] {
    [96, 64, 32, 0].map(|shift| f64::from((x >> shift) as u32))
}

fn join(words: &[f64]) -> Option<u128> {
    words.iter().try_fold(0u128, |sum, &word| (word >= 0.0 && word <= f64::from(u32::MAX)).then_some(sum << 32 | word as u128))
}

/// Complex numbers of re, im.
pub(super) fn complex(values: &[f64]) -> Vec<Complex64> {
    values.chunks_exact(2).map(|z| Complex64::new(z[0], z[1])).collect()
}

pub(super) fn parts(values: &[Complex64]) -> Vec<f64> {
    values.iter().flat_map(|z| [z.re, z.im]).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn random(seed: u64, modes: usize, slices: usize, records: usize) -> State {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let shape = ModelShape { modes, variations: 2, slices, window: [3, 4], object: [5, 6] };
        let mut complexes = |n: usize| (0..n).map(|_| Complex64::new(rng.random_range(-1.0..1.0), rng.random_range(-1e9..1e9))).collect();
        let (object, probe_hat): (Vec<Complex64>, Vec<Complex64>) = (complexes(slices * 30), complexes(modes * 12));
        let variations = complexes(2 * 12);
        let mut numbers = |n: usize| (0..n).map(|_| rng.random_range(-1.0..1.0)).collect::<Vec<f64>>();
        State {
            stage: 2,
            iteration: records as u32,
            rng: RngState { seed: u64::MAX - 5, counter: u128::MAX / 3 },
            object,
            probe_hat,
            shape,
            slice_thickness_A: 10.3,
            tilt_mrad: [0.1, -0.2],
            tilts_mrad: vec![[3.5, -1.25]; 7],
            lens_A: numbers(records),
            positions_px: vec![[1.5, 2.25]; 7],
            intensities: numbers(7),
            variations,
            weights: numbers(14),
            history: (0..records)
                .map(|n| Record { error: n as f64, validation: (n % 2 == 0).then_some(0.25), powers: numbers(modes), ..Record::default() })
                .collect(),
            pattern_errors: numbers(7),
            best: None,
            memory: [("velocity_0".to_owned(), numbers(9))].into(),
        }
    }

    proptest! {
        #[test]
        fn a_state_comes_back_as_it_was(seed: u64, modes in 1usize..4, slices in 1usize..4, records in 0usize..4, best: bool) {
            let mut state = random(seed, modes, slices, records);
            if best {
                state.best = Some(Box::new(random(seed ^ 1, modes, slices, records)));
            }
            prop_assert_eq!(State::unpack(&state.clone().pack()), Some(state));
        }

        #[test]
        fn lists_that_were_cut_are_refused(seed: u64, which in 0usize..12) {
            let mut lists = random(seed, 2, 2, 2).pack();
            let name = lists.keys().filter(|n| !["pattern_errors", "memory.velocity_0", "lens_A"].contains(&n.as_str())).nth(which).cloned();
            if let Some(name) = name {
                let list = lists.get_mut(&name).unwrap();
                list.truncate(list.len() / 2);
                prop_assert_eq!(State::unpack(&lists), None);
            }
        }
    }
}
