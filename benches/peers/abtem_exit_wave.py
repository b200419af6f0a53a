#!/usr/bin/env python3
"""Writes what tests/ptychography/exit_wave.rs compares with: abTEM's slices of SrTiO3 and the wave that leaves them.

    abtem_exit_wave.py tests/ptychography/abtem_exit_wave.h5          (abTEM 1.0.11, h5py)

Four cells of SrTiO3 along [001] (Kirkland's potentials, projected, two slices a cell), a probe of 300 kV, 25 mrad and 60 Å
underfocus beside a column; in double precision. The file holds

    slices       (2, y, x) σV in radians, one cell's worth: the window is `tiles` times as wide and the slices repeat `repeats` times
    aperture     (y, x) abTEM's limit of 2/3 of the highest frequency, by which it multiplies transmission functions and propagators,
                 in FFT order
    probe, exit  (y, x) complex: the wave that falls in, and the one that leaves behind the last slice's thickness
    attributes   pixel_A, slice_A, voltage_kV, tiles, repeats, version

and what is printed is how far plain NumPy is from abTEM with and without the limit.
"""

import argparse

import numpy as np

CELL_A, CELL_PX, TILES, REPEATS = 3.905, 48, 2, 4
VOLTAGE_KV, SEMIANGLE, DEFOCUS_A = 300.0, 25.0, 60.0


def multislice(wave, slices, between, aperture):
    """The wave behind all slices' thickness."""
    for phase in slices:
        limited = np.fft.ifft2(np.fft.fft2(np.exp(1j * phase)) * aperture)
        wave = np.fft.ifft2(np.fft.fft2(wave * limited) * between * aperture)
    return wave


def main():
    """Simulate, compare with NumPy, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output")
    output = parser.parse_args().output

    import abtem
    import h5py
    from abtem.antialias import AntialiasAperture
    from abtem.core.energy import energy2sigma, energy2wavelength
    from ase import Atoms

    abtem.config.set({"precision": "float64", "device": "cpu"})
    places = [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    cell = Atoms("SrTiO3", scaled_positions=places, cell=[CELL_A] * 3, pbc=True)
    n = CELL_PX * TILES
    potential = abtem.Potential(
        cell * (TILES, TILES, REPEATS), gpts=(n, n), slice_thickness=CELL_A / 2, parametrization="kirkland", projection="infinite"
    )
    energy = VOLTAGE_KV * 1e3
    slices = np.asarray(potential.build().compute().array) * energy2sigma(energy)
    probe = abtem.Probe(energy=energy, semiangle_cutoff=SEMIANGLE, defocus=DEFOCUS_A)
    probe.grid.match(potential)
    start = np.asarray(probe.build((0.9, 1.7)).compute().array)
    leaves = np.asarray(probe.build((0.9, 1.7)).multislice(potential).compute().array)
    aperture = np.asarray(AntialiasAperture().get_array(probe.build((0.9, 1.7)).compute()))

    pixel_A, slice_A = CELL_A / CELL_PX, CELL_A / 2
    k = np.fft.fftfreq(n, pixel_A)
    between = np.exp(-1j * np.pi * energy2wavelength(energy) * slice_A * (k[:, None] ** 2 + k[None] ** 2))

    def distance(wave):
        return np.sqrt((abs(wave - leaves) ** 2).sum() / (abs(leaves) ** 2).sum())

    print(f"NumPy from abTEM {abtem.__version__}, relative RMS: {distance(multislice(start, slices, between, aperture)):.1e}")
    print(f"without the limit: {distance(multislice(start, slices, between, np.ones_like(aperture))):.1e}")
    repeated = np.tile(slices[:2, :CELL_PX, :CELL_PX], (REPEATS, TILES, TILES))
    print(f"the slices repeat themselves to {abs(repeated - slices).max():.1e} rad of {slices.max():.2f}")
    with h5py.File(output, "w") as f:
        packed = {"compression": "gzip", "shuffle": True}
        f.create_dataset("slices", data=slices[:2, :CELL_PX, :CELL_PX].astype("f4"), **packed)
        f.create_dataset("aperture", data=aperture.astype("f4"), **packed)
        for name, wave in (("probe", start), ("exit", leaves)):
            f.create_dataset(name, data=np.stack([wave.real, wave.imag]).astype("f4"), **packed)
        f.attrs.update(pixel_A=pixel_A, slice_A=slice_A, voltage_kV=VOLTAGE_KV, tiles=TILES, repeats=REPEATS)
        f.attrs["version"] = f"abTEM {abtem.__version__}"


if __name__ == "__main__":
    main()
