//! Electron optics in f64: wavelength, interaction constant, aberrations, probes, sampling. Imports nothing of ours.
