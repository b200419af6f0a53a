//! What update rules remember from one batch to the next.

use std::collections::BTreeMap;

use super::engine::probes;
use super::options::Rule;
use super::pack::{complex, parts};
use super::projections::Projections;
use super::{Result, State};
use crate::compute::{AdamMoments, Backend, ModelShape};

/// What a rule remembers on the device.
pub(super) enum Memory<B: Backend> {
    None,
    Momentum {
        previous: Vec<B::Complexes>,
        velocity: Vec<B::Complexes>,
    },
    Adam {
        object: Vec<AdamMoments<B>>,
        probe: AdamMoments<B>,
    },
    /// What a checkpoint kept, until the batches are known.
    Waves {
        kept: Vec<Vec<f64>>,
        of: Option<Projections<B>>,
    },
}

/// The name of the exit waves of a batch in the state's memory, before its number.
const WAVES: &str = "exit_waves_";

/// The lengths of the slices and of the probe.
pub(super) fn lengths(shape: &ModelShape) -> impl Iterator<Item = usize> + use<> {
    let (slices, object, probe) = (shape.slices, shape.object_pixels(), shape.probe_len());
    (0..slices).map(move |_| object).chain(std::iter::once(probe))
}

impl<B: Backend> Memory<B> {
    /// What the state remembers, or a start.
    pub(super) fn new(backend: &B, rule: Rule, state: &State) -> Result<Self> {
        let shape = state.shape;
        let kept = |name: String| state.memory.get(&name);
        let arrays = |name: &str| -> Result<Vec<B::Complexes>> {
            lengths(&shape)
                .enumerate()
                .map(|(n, len)| match kept(format!("{name}_{n}")) {
                    Some(values) if values.len() == 2 * len => Ok(backend.complexes(&complex(values))?),
                    _ => Ok(backend.complex_zeros(len)?),
                })
                .collect()
        };
        Ok(match rule {
            Rule::Mpie { .. } | Rule::LsqMl { .. } => {
                let velocity = arrays("velocity")?;
                let probes = probes(state);
                let slices = state.object.chunks_exact(shape.object_pixels()).chain(std::iter::once(probes.as_slice()));
                let previous = slices
                    .enumerate()
                    .map(|(n, now)| match kept(format!("previous_{n}")) {
                        Some(values) if values.len() == 2 * now.len() => Ok(backend.complexes(&complex(values))?),
                        _ => Ok(backend.complexes(now)?),
                    })
                    .collect::<Result<_>>()?;
                Self::Momentum { previous, velocity }
            }
            Rule::Adam => {
                let mut moments = arrays("first")?
                    .into_iter()
                    .zip(lengths(&shape))
                    .enumerate()
                    .map(|(n, (first, len))| {
                        let second = match kept(format!("second_{n}")) {
                            Some(values) if values.len() == len => backend.reals(values)?,
                            _ => backend.real_zeros(len)?,
                        };
                        Ok(AdamMoments { first, second })
                    })
                    .collect::<Result<Vec<_>>>()?;
                match moments.pop() {
                    Some(probe) => Self::Adam { object: moments, probe },
                    None => Self::None,
                }
            }
            Rule::DifferenceMap { .. } | Rule::Raar { .. } => {
                let kept = (0..).map_while(|n| kept(format!("{WAVES}{n}")).cloned()).collect();
                Self::Waves { kept, of: None }
            }
            Rule::Epie | Rule::Rpie { .. } => Self::None,
        })
    }

    /// Puts it into the memory of a state.
    pub(super) fn store(&self, backend: &B, memory: &mut BTreeMap<String, Vec<f64>>) -> Result<()> {
        match self {
            Self::None | Self::Waves { of: None, .. } => {}
            Self::Waves { of: Some(projections), .. } => {
                for (n, waves) in projections.waves.iter().enumerate() {
                    if let Some(waves) = waves {
                        memory.insert(format!("{WAVES}{n}"), parts(&backend.read_complexes(waves)?));
                    }
                }
            }
            Self::Momentum { previous, velocity } => {
                for (name, arrays) in [("previous", previous), ("velocity", velocity)] {
                    for (n, array) in arrays.iter().enumerate() {
                        memory.insert(format!("{name}_{n}"), parts(&backend.read_complexes(array)?));
                    }
                }
            }
            Self::Adam { object, probe } => {
                for (n, moments) in object.iter().chain(std::iter::once(probe)).enumerate() {
                    memory.insert(format!("first_{n}"), parts(&backend.read_complexes(&moments.first)?));
                    memory.insert(format!("second_{n}"), backend.read_reals(&moments.second)?);
                }
            }
        }
        Ok(())
    }
}
