#!/usr/bin/env python3
"""`ronchi simulate` against simulations that others made: the sets of ../shared/data/na3ni2sbo6, of which the atoms and parameters are known (abTEM, Lobato's potentials).

    simulate_check.py [--every 2] [SET ...]        such as 010_100000 100thin_1000000; RONCHI names the program, needs h5py and NumPy

Prints of each set the relative RMS difference of the mean patterns, as it is and without what counting noise alone would leave, and the same of single patterns; with Lobato's coefficients and with Kirkland's.
"""
import argparse
import json
import os
import subprocess
import tempfile
import time

import h5py
import numpy as np

DATA = os.environ.get("DATA", os.path.join(os.path.dirname(__file__), "../../../shared/data/na3ni2sbo6"))
RONCHI = os.environ.get("RONCHI", os.path.join(os.path.dirname(__file__), "../../target/release/ronchi"))
SETS = ["010_100000", "100_100000", "100thin_1000000", "100focus_1000000"]

SPEC = """
[specimen]
structure = "atoms.xyz"
thickness_A = {thick}
offset_A = [{oy}, {ox}]
[optics]
voltage_kV = {kv}
convergence_mrad = {alpha}
defocus_A = {defocus}
[scan]
shape = [{ny}, {nx}]
step_A = {step}
rotation_deg = {rotation}
[detector]
side_px = 128
mrad_per_px = {mrad}
oversampling = 2
[method]
potential = "{potential}"
vibration = "none"
slice_thickness_A = 2
sampling_A = 0.1
"""


def simulated(truth, potential, every, folder):
    """Mean patterns for one electron a frame: (scan, y, x)."""
    p = json.loads(truth.attrs["parameters"])
    atoms = zip(truth["atoms_element"].asstr()[:], truth["atoms_xyz"][:])
    with open(f"{folder}/atoms.xyz", "w") as f:
        lines = [f"{e} {x} {y} {z}" for e, (x, y, z) in atoms]
        f.write(f"{len(lines)}\n\n" + "\n".join(lines) + "\n")
    oy, ox = -truth["positions_yx"][0]
    ny, nx = (-(-int(n) // every) for n in p["scan"].split(","))
    keys = dict(thick=p["thick"], oy=oy, ox=ox, kv=p["kv"], alpha=p["alpha"], defocus=p["defocus"], ny=ny, nx=nx, step=every * p["step"], rotation=p["rotation"], mrad=p["mrad_per_px"])
    with open(f"{folder}/spec.toml", "w") as f:
        f.write(SPEC.format(potential=potential, **keys))
    start = time.time()
    subprocess.run([RONCHI, "simulate", f"{folder}/spec.toml", "-o", f"{folder}/out.h5", "--force", "--quiet"], check=True)
    seconds = time.time() - start
    with h5py.File(f"{folder}/out.h5") as f:
        return f["datacube_root/datacube/data"][:].reshape(-1, 128, 128).astype(np.float64), seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=SETS, metavar="SET")
    parser.add_argument("--every", type=int, default=1, help="of the scan's rows and columns; 1: all of them")
    args = parser.parse_args()
    for name in args.sets:
        with h5py.File(f"{DATA}/na3ni2sbo6_{name}.h5") as f:
            found = []
            f.visititems(lambda _, o: found.append(o) if isinstance(o, h5py.Dataset) and o.ndim == 4 else None)
            counts = found[0][:: args.every, :: args.every].reshape(-1, 128, 128).astype(np.float64)
        with h5py.File(f"{DATA}/na3ni2sbo6_{name.split('_')[0]}_truth.h5") as truth, tempfile.TemporaryDirectory() as folder:
            dose = float(name.split("_")[1]) * json.loads(truth.attrs["parameters"])["step"] ** 2
            for potential in ("lobato", "kirkland"):
                mean, seconds = simulated(truth, potential, args.every, folder)
                # Frames of the sets are normalised on the detector.
                scale = counts.sum() / mean.sum()
                mean = mean * scale
                a, b = counts.mean(0), mean.mean(0)
                size = np.sqrt((a**2).mean())
                noise = np.sqrt((a / len(counts)).mean()) / size
                whole = np.sqrt(((a - b) ** 2).mean()) / size
                beyond = np.sqrt(max(whole**2 - noise**2, 0))
                each = ((counts - mean) ** 2).sum() - counts.sum()
                singles = np.sqrt(max(each, 0) / (mean**2).sum())
                print(f"{name} {potential}: mean pattern {100 * whole:.3f} %, noise alone {100 * noise:.3f} %, beyond it {100 * beyond:.3f} %; "
                      f"single patterns beyond noise {100 * singles:.3f} %; electrons on the detector {mean.sum() / len(mean):.2f} of {dose:.2f} ({scale:.3f}); {seconds:.1f} s", flush=True)


main()
