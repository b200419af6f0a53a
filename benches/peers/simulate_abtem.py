#!/usr/bin/env python3
"""Diffraction patterns of `ronchi simulate` and of abTEM through the same atoms, slices and grid.

    simulate_abtem.py [--structure SrTiO3 ...] [--sampling 0.08]        RONCHI names the program; needs abTEM 1.0.9, h5py and NumPy

Of each structure and each fit of the scattering factors ronchi simulates a few patterns without noise, and abTEM the same ones: from the atoms of the truth file that lie in the calculated window about
each probe, in a box of that window, in double precision. Prints the relative RMS difference of each pattern on the detector, whose pixels take in what is between their edges. abTEM spreads atoms over four
pixels and corrects for it, which is exact only for atoms on pixels: what that leaves is seen in the last column, where its own potentials are replaced by their definition
(the sum of the scattering factors times e^{-2πi q·r}) and abTEM does the rest.
"""
import argparse
import os
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
RONCHI = os.environ.get("RONCHI", os.path.join(HERE, "../../target/release/ronchi"))
STRUCTURES = {
    "Na3Ni2SbO6": dict(zone="[0, 1, 0]", thickness=36.752, kv=300, alpha=25, defocus=-60),
    "SrTiO3": dict(zone="[1, 1, 0]", thickness=33.135, kv=200, alpha=20, defocus=40),
    "MoS2": dict(zone="[0, 0, 1]", thickness=10, kv=80, alpha=30, defocus=0),
}
SPEC = """
[specimen]
structure = "{name}"
zone_axis = {zone}
thickness_A = {thickness}
[optics]
voltage_kV = {kv}
convergence_mrad = {alpha}
defocus_A = {defocus}
aberrations = {{ C12_A = 15, phi12_deg = 30, C30_A = 2e4 }}
[scan]
shape = [2, 2]
step_A = 1.3
[detector]
side_px = 80
mrad_per_px = 1.5
oversampling = 2
[method]
potential = "{fit}"
vibration = "none"
slice_thickness_A = 2
sampling_A = {sampling}
"""


def taps(step):
    """What a detector pixel takes in of reciprocal pixels about its middle, along an axis."""
    edge = (step - 1) / 2
    reach = int(np.ceil(edge))
    weights = np.ones(2 * reach + 1)
    if edge % 1:
        weights[[0, -1]] = 0.5
    return weights


def detector(intensity, step, side):
    """Pixels of the detector, the zero angle on pixel side/2."""
    weights, n = taps(step), len(intensity)
    reach = len(weights) // 2
    places = (n // 2 + step * (np.arange(side) - side // 2))[:, None] + np.arange(-reach, reach + 1)
    along = (intensity[places % n] * weights[None, :, None]).sum(1)
    return (along[:, places % n] * weights).sum(2)


def exact_slices(atoms, n, pixel, slices, thickness, fit):
    """σ-free projected potentials in V·Å by their definition."""
    parametrization = {"lobato": LobatoParametrization, "kirkland": KirklandParametrization}[fit]()
    q = np.fft.fftfreq(n, pixel)
    out = np.zeros((slices, n, n), complex)
    index = np.clip(np.floor(atoms.positions[:, 2] / thickness * slices).astype(int), 0, slices - 1)
    q2 = (q[:, None] ** 2 + q**2).ravel()
    for symbol in set(atoms.symbols):
        factor = parametrization.projected_scattering_factor(symbol)(q2.reshape(n, n))
        for s in range(slices):
            r = atoms.positions[(index == s) & (np.array(atoms.symbols) == symbol)]
            ramps = np.exp(-2j * np.pi * q[None] * r[:, 0, None]), np.exp(-2j * np.pi * q[None] * r[:, 1, None])
            out[s] += factor * np.einsum("ax,ay->xy", *ramps)
    return np.fft.ifft2(out).real / pixel**2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structure", nargs="*", default=list(STRUCTURES))
    parser.add_argument("--sampling", type=float, default=0.08, help="the largest pixel in Å")
    args = parser.parse_args()
    global np, LobatoParametrization, KirklandParametrization
    import abtem
    import h5py
    import numpy as np
    from abtem.core.energy import energy2wavelength
    from abtem.parametrizations import KirklandParametrization, LobatoParametrization
    from ase import Atoms
    from ase.data import chemical_symbols

    abtem.config.set({"device": "cpu", "precision": "float64", "local_diagnostics.progress_bar": False})
    for name in args.structure:
        for fit in ("lobato", "kirkland"):
            keys = dict(STRUCTURES[name], name=name, fit=fit, sampling=args.sampling)
            with tempfile.TemporaryDirectory() as folder:
                with open(f"{folder}/spec.toml", "w") as f:
                    f.write(SPEC.format(**keys))
                subprocess.run([RONCHI, "simulate", f"{folder}/spec.toml", "-o", f"{folder}/out.h5", "--quiet", "--device", "cpu"], check=True)
                with h5py.File(f"{folder}/out.h5") as f:
                    ours = f["datacube_root/datacube/data"][:].reshape(-1, 80, 80).astype(float)
                with h5py.File(f"{folder}/out_truth.emd") as f:
                    truth = f["ronchi/truth"]
                    zyx = np.stack([truth[f"atoms/{a}"][:] for a in "zyx"], 1)
                    numbers = truth["atoms/atomic_number"][:].astype(int)
                    places = np.stack([truth[f"positions/{a}"][:] for a in "yx"], 1)
                    n = truth["probe/data"].shape[-1]
                    pixel = float(truth["probe/dim1"][1] - truth["probe/dim1"][0])
                    slices = int(truth["phase/data"].attrs["slices"])
            box = n * pixel
            step = round(box * 1.5e-3 / energy2wavelength(keys["kv"] * 1e3))
            for place, pattern in zip(places, ours):
                origin = place - box / 2
                here = zyx[:, 1:] - origin
                inside = ((here >= 0) & (here < box)).all(1)
                atoms = Atoms([chemical_symbols[z] for z in numbers[inside]], positions=np.c_[here[inside], zyx[inside, :1]], cell=[box, box, keys["thickness"]], pbc=False)
                # abTEM's azimuths run from its first axis, ours from the second.
                probe = abtem.Probe(energy=keys["kv"] * 1e3, semiangle_cutoff=keys["alpha"], C10=-keys["defocus"], C12=15, phi12=np.deg2rad(60), C30=2e4, gpts=(n, n), extent=(box, box))
                found = []
                potential = abtem.Potential(atoms, gpts=(n, n), slice_thickness=keys["thickness"] / slices, parametrization=fit, projection="infinite").build().compute()
                assert len(potential) == slices, (len(potential), slices)
                exact = abtem.PotentialArray(exact_slices(atoms, n, pixel, slices, keys["thickness"], fit), slice_thickness=potential.slice_thickness, extent=(box, box))
                for through in (potential, exact):
                    wave = probe.multislice(through, scan=abtem.CustomScan([[box / 2, box / 2]])).compute()
                    spectrum = np.fft.fftshift(abs(np.fft.fft2(np.squeeze(wave.array))) ** 2)
                    empty = np.squeeze(probe.build(abtem.CustomScan([[box / 2, box / 2]])).compute().array)
                    theirs = detector(spectrum, step, 80) / (abs(np.fft.fft2(empty)) ** 2).sum()
                    found.append(np.sqrt(((pattern - theirs) ** 2).sum() / (theirs**2).sum()))
                phases = np.asarray(potential.array).sum(0), np.asarray(exact.array).sum(0)
                apart = np.sqrt(((phases[0] - phases[1]) ** 2).sum() / (phases[1] ** 2).sum())
                print(f"{name} {fit}: {len(atoms)} atoms, {slices} slices, {n}² pixels of {pixel:.4f} Å, detector 80² of {step}: "
                      f"pattern {100 * found[0]:.3f} % from abTEM's, {100 * found[1]:.4f} % with exact potentials in it (which are {100 * apart:.2f} % from its own)", flush=True)


main()
