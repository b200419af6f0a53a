#!/usr/bin/env python3
"""Virtual imaging of a 2 GiB datacube from the page cache: one measurement a call, JSON on stdout.

    imaging_speed.py make FILE              256×256×128×128 u16, contiguous HDF5, if not there yet
    imaging_speed.py libertem FILE          3 masks, centre of mass and sum; as raw and as HDF5
    imaging_speed.py numpy FILE             the sum of every frame on one core
    imaging_speed.py ronchi FILE BINARY     `ronchi image` on the CPU: the whole process, and its memory

imaging_speed.sh runs them all and makes the table.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time

THREADS = 2
SHAPE, RADIUS_PX = (256, 256, 128, 128), 25.4
FRAME_BYTES = 2 * 128 * 128
GB = 256 * 256 * FRAME_BYTES / 1e9
CONVERGENCE_MRAD, MRAD_PER_PX = 25.0, 25.0 / RADIUS_PX


def make(path):
    """Poisson counts in a disk that wanders by a pixel: 1024 frames, drawn at random."""
    import h5py
    import numpy as np

    if os.path.exists(path):
        return {"made": False}
    rng = np.random.default_rng(0)
    y, x = np.indices(SHAPE[2:]) - 64
    centres = rng.normal(0, 1, (1024, 2))
    frames = np.stack([rng.poisson(0.05 + 8 * (np.hypot(y - a, x - b) < RADIUS_PX)) for a, b in centres])
    frames = frames.astype(np.uint16)
    # aligned to whole frames, so that LiberTEM can read it as raw, skipping what lies before
    with h5py.File(path, "w", alignment_threshold=1 << 20, alignment_interval=FRAME_BYTES) as f:
        data = f.create_dataset("data", SHAPE, np.uint16)
        for row in range(SHAPE[0]):
            data[row] = frames[rng.integers(len(frames), size=SHAPE[1])]
    return {"made": True}


def warm(path):
    """Read the file once, so that it lies in the page cache; returns where its data begin."""
    import h5py

    with open(path, "rb", buffering=0) as f:
        while f.read(1 << 24):
            pass
    with h5py.File(path) as f:
        return f["data"].id.get_offset()


def time_libertem(path):
    """GB/s of the second run of each way to load the file."""
    import numpy as np
    from libertem.api import Context
    from libertem.executor.dask import DaskJobExecutor, cluster_spec
    from libertem.udf.com import CoMUDF
    from libertem.udf.masks import ApplyMasksUDF
    from libertem.udf.sum import SumUDF

    offset = warm(path)
    y, x = np.indices(SHAPE[2:]) - 64
    radius = np.hypot(y, x) / RADIUS_PX
    masks = [(radius <= 1), (radius >= 0.5) & (radius <= 1), (radius > 1) & (radius <= 2)]
    factories = [lambda mask=mask: mask.astype(np.float32) for mask in masks]
    spec = cluster_spec(cpus=list(range(THREADS)), cudas=[], has_cupy=False)
    speeds = {}
    with Context(executor=DaskJobExecutor.make_local(spec=spec)) as context:
        sources = {
            "raw": context.load(
                "raw", path=path, nav_shape=SHAPE[:2], sig_shape=SHAPE[2:], dtype="<u2",
                sync_offset=offset // FRAME_BYTES,
            ),
            "hdf5": context.load("hdf5", path=path, ds_path="/data"),
        }
        for name, source in sources.items():
            for _ in range(2):
                udfs = [ApplyMasksUDF(mask_factories=factories), CoMUDF.with_params(), SumUDF()]
                began = time.perf_counter()
                context.run_udf(dataset=source, udf=udfs)
                speeds[f"LiberTEM {name}"] = GB / (time.perf_counter() - began)
    return {"GB_per_s": speeds}


def time_numpy(path):
    """GB/s of summing every frame, row by row of the scan."""
    import numpy as np

    offset = warm(path)
    data = np.memmap(path, np.uint16, "r", offset, SHAPE)
    began = time.perf_counter()
    for row in data:
        row.sum((1, 2))
    return {"GB_per_s": {"NumPy sum, 1 core": GB / (time.perf_counter() - began)}}


def time_ronchi(path, binary):
    """GB/s of the whole process, and the largest RssAnon seen, looking every 5 ms."""
    warm(path)
    settings = {
        "data.dataset": '"/data"',
        "optics.voltage_kV": 300.0,
        "optics.convergence_mrad": CONVERGENCE_MRAD,
        "detector.mrad_per_px": MRAD_PER_PX,
        "scan.step_A": 0.4,
        "compute.device": '"cpu"',
        "compute.threads": THREADS,
    }
    with tempfile.TemporaryDirectory() as work:
        command = [binary, "image", path, "-o", f"{work}/out.emd", "--force", "-d", "bf,abf,adf,com"]
        for key, value in settings.items():
            command += ["--set", f"{key}={value}"]
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        peak = 0
        while process.poll() is None:
            with open(f"/proc/{process.pid}/status") as status:
                peak = max([peak] + [int(line.split()[1]) for line in status if line.startswith("RssAnon")])
            time.sleep(0.005)
        seconds = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"{binary} image ended with {process.returncode}")
    return {"GB_per_s": {"ronchi image": GB / seconds}, "RssAnon_MiB": peak / 1024}


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["make", "libertem", "numpy", "ronchi"])
    parser.add_argument("file")
    parser.add_argument("binary", nargs="?", default="target/release/ronchi")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    if args.what == "ronchi":
        report = time_ronchi(args.file, args.binary)
    else:
        report = {"make": make, "libertem": time_libertem, "numpy": time_numpy}[args.what](args.file)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
