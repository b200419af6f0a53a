#!/usr/bin/env python3
"""Direct ptychography of a datacube in the page cache: one measurement a call, JSON on stdout.

    direct_speed.py make FILE --scan N            N×N×128×128 u16, as imaging_speed.py makes it
    direct_speed.py quantem-ssb FILE              quantem's SSB;       quantem-parallax: its parallax
    direct_speed.py py4dstem-parallax FILE        py4DSTEM's Parallax, images moved by the given aberrations
    direct_speed.py py4dstem-found FILE           the same, shifts found by cross-correlation
    direct_speed.py ronchi-ssb FILE --ronchi R    `ronchi image -d ssb`; ronchi-parallax: the other

300 kV, 25 mrad, a disk of 25.4 px, step 0.4 Å, defocus 100 Å, 2 threads. The options of the peers are those with which direct_check.py finds
their images equal to ours. Seconds are from the first look at the file to the image: of the peers without their imports, of
ronchi the whole process, with its result file. Memory is the largest resident set, with the file's pages where they are mapped.

quantem by itself shifts all frames at once, and takes as many detector pixels at a time as make 32 million numbers. Here it
gets 16·N frames and N pixels at a time, N = 32 (--batch N; 0 leaves it to itself): faster, with half the memory or less.

A program that takes more than --memory-GiB of its own memory, or more than --limit-s, is ended; the report says so.

direct_speed.sh runs them all and makes the table.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

from imaging_speed import CONVERGENCE_MRAD, MRAD_PER_PX, SCAN, THREADS, make, warm

STEP_A, KV, C10_A = 0.4, 300.0, -100.0
CENTRE = (64.0, 64.0)


def read(path):
    """The cube as float32, as both peers want it."""
    import h5py
    import numpy as np

    with h5py.File(path) as f:
        return f["data"][()].astype(np.float32)


def quantem(path, kernel, batch):
    """Seconds of quantem."""
    import torch
    from quantem.core.datastructures import Dataset4dstem
    from quantem.diffractive_imaging import DirectPtychography

    torch.set_num_threads(THREADS)
    began = time.perf_counter()
    dk = MRAD_PER_PX * 1e-3 / (12.3984198 / (KV * (2 * 510.99895 + KV)) ** 0.5)
    data = Dataset4dstem.from_array(
        read(path), sampling=(STEP_A, STEP_A, dk, dk), units=("A", "A", "A^-1", "A^-1"), name="cube"
    )
    peer = DirectPtychography.from_dataset4d(
        data,
        energy=KV * 1e3,
        semiangle_cutoff=CONVERGENCE_MRAD,
        aberration_coefs={"C10": C10_A},
        rotation_angle=0.0,
        force_fitted_origin=CENTRE,
        soft_edges=False,
        max_batch_size=16 * batch if batch else None,
        verbose=False,
    )
    peer.reconstruct(deconvolution_kernel=kernel, band_limit=False, max_batch_size=batch or None, verbose=False)
    _ = peer.obj
    return time.perf_counter() - began


def py4dstem(path, found):
    """Seconds of py4DSTEM."""
    import py4DSTEM

    began = time.perf_counter()
    data = py4DSTEM.DataCube(read(path))
    data.calibration.set_R_pixel_size(STEP_A)
    data.calibration.set_R_pixel_units("A")
    data.calibration.set_Q_pixel_size(MRAD_PER_PX)
    data.calibration.set_Q_pixel_units("mrad")
    peer = py4DSTEM.process.phase.Parallax(
        datacube=data, energy=KV * 1e3, object_padding_px=(0, 0), device="cpu", verbose=False
    ).preprocess(edge_blend=0, threshold_intensity=0.5, plot_average_bf=False)
    if found:
        peer.reconstruct(progress_bar=False, plot_aligned_bf=False, plot_convergence=False)
    else:
        peer.guess_common_aberrations(
            polar_parameters={"C10": C10_A}, plot_shifts_and_aligned_bf=False, return_shifts_and_aligned_bf=True
        )
    return time.perf_counter() - began


def ronchi(path, binary, image):
    """Seconds of ronchi."""
    settings = {
        "data.dataset": '"/data"',
        "optics.voltage_kV": KV,
        "optics.convergence_mrad": CONVERGENCE_MRAD,
        "optics.defocus_A": -C10_A,
        "detector.mrad_per_px": MRAD_PER_PX,
        "detector.centre_px": list(CENTRE),
        "scan.step_A": STEP_A,
        "scan.rotation_deg": 0.0,
        "compute.device": '"cpu"',
        "compute.threads": THREADS,
        "output.png": "false",
    }
    with tempfile.TemporaryDirectory() as work:
        command = [binary, "image", path, "-o", f"{work}/out.emd", "-d", image]
        for key, value in settings.items():
            command += ["--set", f"{key}={value}"]
        began = time.perf_counter()
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(done.stderr.strip().splitlines()[-1])
    return seconds


def inside(what, path, binary, batch):
    """The measurement itself."""
    warm(path)
    program, _, kind = what.partition("-")
    seconds = {
        "quantem": lambda: quantem(path, {"ssb": "ssb", "parallax": "prlx"}[kind], batch),
        "py4dstem": lambda: py4dstem(path, kind == "found"),
        "ronchi": lambda: ronchi(path, binary, kind),
    }[program]()
    who = resource.RUSAGE_CHILDREN if program == "ronchi" else resource.RUSAGE_SELF
    return {"seconds": seconds, "peak_MiB": resource.getrusage(who).ru_maxrss / 1024}


def guarded(args):
    """The measurement in a process that may not take more than it is given."""
    limit = int(args.memory_GiB * 2**30)
    command = [sys.executable, __file__, args.what, args.file, "--ronchi", args.ronchi, "--batch", str(args.batch), "--inside"]
    began = time.perf_counter()
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=args.limit_s,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"ended after {args.limit_s:.0f} s"}
    if done.returncode == 0:
        return json.loads(done.stdout.strip().splitlines()[-1])
    last = (done.stderr.strip().splitlines() or ["no word"])[-1]
    memory = any(word in done.stderr for word in ("MemoryError", "not enough memory", "can't allocate memory", "Unable to allocate"))
    killed = done.returncode == -9
    why = f"out of memory ({args.memory_GiB:g} GiB) after {time.perf_counter() - began:.0f} s" if memory or killed else last
    return {"failed": why}


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = ["make", "quantem-ssb", "quantem-parallax", "py4dstem-parallax", "py4dstem-found", "ronchi-ssb", "ronchi-parallax"]
    parser.add_argument("what", choices=what)
    parser.add_argument("file")
    parser.add_argument("--ronchi", default="target/release/ronchi")
    parser.add_argument("--scan", type=int, default=SCAN, help="positions a side of the scan")
    parser.add_argument("--batch", type=int, default=32, help="detector pixels that quantem takes at a time")
    parser.add_argument("--memory-GiB", type=float, default=18.0)
    parser.add_argument("--limit-s", type=float, default=1800.0)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(THREADS)
    if args.what == "make":
        report = make(args.file, args.scan)
    elif args.inside:
        report = inside(args.what, args.file, args.ronchi, args.batch)
    else:
        report = {"what": args.what, "file": args.file} | guarded(args)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
