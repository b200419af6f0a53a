#!/usr/bin/env python3
"""A set of ../shared/data/na3ni2sbo6 simulated once more by abTEM on finer pixels: the same atoms, scan and detector, counts drawn anew.

    abtem_set.py 100thin_1000000 OUT.h5 [--sampling 0.05] [--slice 2]          needs abTEM 1.0.9, h5py and NumPy

abTEM spreads an atom over the four pixels about it, so at the sets' 0.1 Å its potential is not quite that of its definition; at 0.05 Å the spread is half as wide.
"""
import argparse
import json
import os
import shutil

import abtem
import dask
import h5py
import numpy as np
from ase import Atoms

DATA = os.environ.get("DATA", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared/data/na3ni2sbo6"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set")
    parser.add_argument("out")
    parser.add_argument("--sampling", type=float, default=0.05)
    parser.add_argument("--slice", type=float, default=2.0)
    args = parser.parse_args()
    kind, dose = args.set.split("_")
    abtem.config.set({"device": "cpu", "precision": "float32", "fftw.threads": 1})
    dask.config.set(scheduler="synchronous")
    with h5py.File(f"{DATA}/na3ni2sbo6_{kind}_truth.h5") as f:
        p = json.loads(f.attrs["parameters"])
        symbols, xyz, yx = f["atoms_element"].asstr()[:], f["atoms_xyz"][:], f["positions_yx"][:]
    atoms = Atoms(list(symbols), positions=xyz, cell=[p["box"], p["box"], p["thick"]], pbc=False)
    potential = abtem.Potential(atoms, sampling=args.sampling, slice_thickness=args.slice, parametrization="lobato", projection="infinite").build().compute()
    probe = abtem.Probe(energy=1e3 * p["kv"], semiangle_cutoff=p["alpha"], defocus=p["defocus"])
    shutil.copy(f"{DATA}/na3ni2sbo6_{args.set}.h5", args.out)
    os.chmod(args.out, 0o644)
    rng = np.random.default_rng(1)
    side, mrad = p["det"], p["mrad_per_px"]
    with h5py.File(args.out, "r+") as f:
        data = f["datacube_root/datacube/data"]
        ny, nx = data.shape[:2]
        for row in range(ny):
            at = yx[row * nx : (row + 1) * nx, ::-1]
            waves = probe.multislice(potential, scan=abtem.CustomScan(at))
            patterns = waves.diffraction_patterns(max_angle="full", fftshift=True)
            patterns = np.asarray(patterns.compute().array, dtype=np.float64)
            # Detector pixels of two pixels of the calculation each, the middle one about zero, so that half of a pixel is its neighbour's.
            assert round(mrad / (1e3 * p["wavelength_A"] / p["box"])) == 2
            low = patterns.shape[1] // 2 - side
            cut = patterns[:, low - 1 : low + 2 * side, low - 1 : low + 2 * side]
            for _ in range(2):
                cut = (0.5 * cut[:, 0:-1:2] + cut[:, 1::2] + 0.5 * cut[:, 2::2]).transpose(0, 2, 1)
            frames = cut.transpose(0, 2, 1)
            frames *= float(dose) * p["step"] ** 2 / frames.sum((1, 2), keepdims=True)
            data[row] = rng.poisson(frames)
            print(f"row {row + 1} of {ny}", flush=True)


main()
