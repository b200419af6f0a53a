#!/usr/bin/env python3
"""Seconds of a multislice scan: `ronchi simulate` and abTEM in turns on the same atoms, slices and grid.

    simulate_speed.py [--threads 2] [--rounds 3] [--probes 16 32] [--tiles 1]      RONCHI names the program; needs abTEM 1.0.9, h5py and NumPy

Both the wall's time and the processors' (user and system, all threads) are told: on a busy machine only the latter means anything.

The atoms of ../shared/data/na3ni2sbo6's `_100focus` (6971, 53 Å thick, 27 slices of 400 × 400 pixels of 0.1 Å, 300 kV, 25 mrad), frames of 128 × 128 pixels. Scans of two sizes: the difference
is what each further probe takes, without the potential and the start of the program.

A specimen as large as a window is the smallest there can be. `--tiles 2` lays 2 × 2 of it side by side, as a scan of some tens of Å needs: abTEM's wave fills the whole potential, ronchi's the window of 400 × 400
pixels about the probe that is asked for here.
"""
import argparse
import json
import os
import resource
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.environ.get("DATA", os.path.join(HERE, "../../../shared/data/na3ni2sbo6"))
RONCHI = os.environ.get("RONCHI", os.path.join(HERE, "../../target/release/ronchi"))

SPEC = """
[specimen]
structure = "atoms.xyz"
thickness_A = {thick}
offset_A = [-{at}, -{at}]
[optics]
voltage_kV = 300
convergence_mrad = 25
[scan]
shape = [{n}, {n}]
step_A = 0.2
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--probes", type=int, nargs=2, default=[16, 32], help="the sides of the two scans")
    parser.add_argument("--tiles", type=int, default=1, help="copies of the specimen along y and x")
    parser.add_argument("--potential", default="lobato")
    args = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[name] = str(args.threads)

    import abtem
    import dask
    import h5py
    import numpy as np
    from ase import Atoms

    # abTEM's own defaults but for the number of threads, single precision.
    abtem.config.set({"device": "cpu", "precision": "float32", "fftw.threads": 1})
    dask.config.set(scheduler="threads", num_workers=args.threads)
    with h5py.File(f"{DATA}/na3ni2sbo6_100focus_truth.h5") as f:
        p = json.loads(f.attrs["parameters"])
        symbols, xyz = f["atoms_element"].asstr()[:], f["atoms_xyz"][:]
    box = p["box"] * args.tiles
    # Where the scan begins: about the middle.
    at = round(box / 2 - 5, 1)
    copies = [(i * p["box"], j * p["box"], 0) for i in range(args.tiles) for j in range(args.tiles)]
    symbols, xyz = np.tile(symbols, len(copies)), np.concatenate([xyz + np.array(copy) for copy in copies])
    atoms = Atoms(list(symbols), positions=xyz, cell=[box, box, p["thick"]], pbc=False)

    def ours(n, folder):
        with open(f"{folder}/spec.toml", "w") as f:
            f.write(SPEC.format(n=n, at=at, thick=p["thick"], mrad=p["mrad_per_px"], potential=args.potential))
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([RONCHI, "simulate", f"{folder}/spec.toml", "-o", f"{folder}/out.h5", "--force", "--quiet", "--device", "cpu"], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.perf_counter() - start, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    def theirs(n):
        start, before = time.perf_counter(), time.process_time()
        potential = abtem.Potential(atoms, sampling=0.1, slice_thickness=2, parametrization=args.potential, projection="infinite")
        probe = abtem.Probe(energy=300e3, semiangle_cutoff=25, defocus=0)
        scan = abtem.GridScan(start=(at, at), end=(at + 0.2 * n, at + 0.2 * n), gpts=(n, n), endpoint=False)
        patterns = probe.scan(potential, scan=scan, detectors=abtem.PixelatedDetector(max_angle=64)).compute()
        assert np.isfinite(patterns.array).all()
        return (time.perf_counter() - start, time.process_time() - before), potential

    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/atoms.xyz", "w") as f:
            f.write(f"{len(xyz)}\n\n" + "\n".join(f"{e} {x} {y} {z}" for e, (x, y, z) in zip(symbols, xyz)) + "\n")
        times = {}
        for _ in range(args.rounds + 1):
            for n in args.probes:
                times.setdefault(("ronchi", n), []).append(ours(n, folder))
                seconds, potential = theirs(n)
                times.setdefault(("abTEM", n), []).append(seconds)
        print(f"abTEM {abtem.__version__}: {potential.gpts} pixels, {len(potential)} slices; {args.threads} threads; medians of {args.rounds} rounds after a first one")
        for which, clock in enumerate(("wall", "processors")):
            per_probe = {}
            for program in ("ronchi", "abTEM"):
                small, large = (float(np.median([t[which] for t in times[program, n][1:]])) for n in args.probes)
                each = (large - small) / (args.probes[1] ** 2 - args.probes[0] ** 2)
                per_probe[program] = each
                print(f"{clock}, {program}: {args.probes[0]}² probes {small:.2f} s, {args.probes[1]}² probes {large:.2f} s, a further probe {1e3 * each:.2f} ms")
            print(f"{clock}, a probe: {per_probe['abTEM'] / per_probe['ronchi']:.2f} times as fast")


main()
