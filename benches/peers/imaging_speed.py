#!/usr/bin/env python3
"""Virtual imaging of a 2 GiB datacube from the page cache: one measurement a call, JSON on stdout.

    imaging_speed.py make FILE [--scan N]   N×N×128×128 u16 (256×256), contiguous HDF5, if not there yet
    imaging_speed.py floor FILE BINARY      reading and summing alone, on 2 threads: `read_floor` of benches/
    imaging_speed.py libertem FILE          the two sets below as LiberTEM's UDFs; the second run of each counts
    imaging_speed.py numpy FILE             the sum of every frame on one core
    imaging_speed.py ronchi FILE BINARY     the same two sets by `ronchi image` on the CPU

Set 1 is bf, abf, its centre, eabf, adf, haadf, com, idpc and the mean pattern; set 2 adds 16 segments, and the largest value
and the variance of each pixel. haadf begins at 2α, since 3α lies outside of the frame. The zero angle is given.
LiberTEM's idpc and eabf are made from its masks and vectors after the pass. Of ronchi both are told: GB/s of the pass (the stage `image` in the
timings of /ronchi/run) and of the whole process with its result file (and with its PNGs, in another run).

imaging_speed.sh runs them all and makes the table.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time

THREADS = 2
SCAN, FRAME, RADIUS_PX = 256, (128, 128), 25.4
FRAME_BYTES = 2 * FRAME[0] * FRAME[1]
CONVERGENCE_MRAD, MRAD_PER_PX = 25.0, 25.0 / RADIUS_PX
K = 3.0
HAADF = '{ name = "haadf", inner_disk = 2.0 }'
SETS = {
    "set 1": f'["bf", "abf", "eabf", "adf", {HAADF}, "com", "idpc"]',
    "set 2": f'["bf", "abf", "eabf", "adf", {HAADF}, "com", "idpc", "segments16", "max", "variance"]',
}


def make(path, scan):
    """Poisson counts in a disk that wanders by a pixel: 1024 frames, drawn at random."""
    import h5py
    import numpy as np

    if os.path.exists(path):
        return {"made": False}
    rng = np.random.default_rng(0)
    y, x = np.indices(FRAME) - 64
    centres = rng.normal(0, 1, (1024, 2))
    frames = np.stack([rng.poisson(0.05 + 8 * (np.hypot(y - a, x - b) < RADIUS_PX)) for a, b in centres])
    frames = frames.astype(np.uint16)
    # aligned to whole frames, so that LiberTEM can read it as raw, skipping what lies before
    with h5py.File(path, "w", alignment_threshold=1 << 20, alignment_interval=FRAME_BYTES) as f:
        data = f.create_dataset("data", (scan, scan, *FRAME), np.uint16)
        for row in range(scan):
            data[row] = frames[rng.integers(len(frames), size=scan)]
    return {"made": True}


def warm(path):
    """Read the file once, so that it lies in the page cache; returns where its data begin, their shape and GB."""
    import h5py

    with open(path, "rb", buffering=0) as f:
        while f.read(1 << 24):
            pass
    with h5py.File(path) as f:
        data = f["data"]
        return data.id.get_offset(), data.shape, data.size * 2 / 1e9


def time_floor(path, binary):
    """GB/s of reading and adding alone."""
    offset, _, gb = warm(path)
    done = subprocess.run([binary, path, str(offset), str(round(gb * 1e9)), str(THREADS)], capture_output=True, text=True, check=True)
    return {"GB_per_s": {"read and sum": json.loads(done.stdout)["GB_per_s"]}}


def time_libertem(path):
    """GB/s of the second run of each set."""
    import numpy as np
    from libertem.api import Context
    from libertem.executor.dask import DaskJobExecutor, cluster_spec
    from libertem.udf.base import UDF
    from libertem.udf.com import CoMUDF
    from libertem.udf.masks import ApplyMasksUDF
    from libertem.udf.stddev import StdDevUDF
    from libertem.udf.sum import SumUDF

    from images_check import integrate

    class Largest(UDF):
        """The largest value of each pixel."""

        def get_result_buffers(self):
            return {"largest": self.buffer(kind="sig", dtype=self.meta.input_dtype)}

        def process_tile(self, tile):
            np.maximum(self.results.largest, tile.max(axis=0), out=self.results.largest)

        def merge(self, dest, src):
            dest.largest[:] = np.maximum(dest.largest, src.largest)

    offset, shape, gb = warm(path)
    y, x = np.indices(FRAME) - 64
    radius, azimuth = np.hypot(y, x) / RADIUS_PX, np.arctan2(y, x) % (2 * np.pi)
    edge = 63.5 / RADIUS_PX
    rings = [(radius >= a) & (radius < b) for a, b in ((0, 1), (0.5, 1), (0, 0.5), (1, edge), (2, edge))]
    segments = [(radius < 1) & (azimuth // (np.pi / 8) == n) for n in range(16)]

    def factories(masks):
        return [lambda mask=mask: mask.astype(np.float32) for mask in masks]

    spec = cluster_spec(cpus=list(range(THREADS)), cudas=[], has_cupy=False)
    speeds = {}
    with Context(executor=DaskJobExecutor.make_local(spec=spec)) as context:
        source = context.load(
            "raw", path=path, nav_shape=shape[:2], sig_shape=shape[2:], dtype="<u2", sync_offset=offset // FRAME_BYTES
        )
        for name in SETS:
            masks, patterns = (rings, [SumUDF()]) if name == "set 1" else (rings + segments, [StdDevUDF(), Largest()])
            for _ in range(2):
                udfs = [ApplyMasksUDF(mask_factories=factories(masks)), CoMUDF.with_params(cy=64, cx=64), *patterns]
                began = time.perf_counter()
                masked, moments, *_ = context.run_udf(dataset=source, udf=udfs)
                sums, vectors = masked["intensity"].data, moments["raw_shifts"].data.astype(float)
                _ = sums[..., 1] - K * sums[..., 2]
                integrate(vectors[..., 0], vectors[..., 1], 0.4)
                speeds[f"LiberTEM, {name}"] = gb / (time.perf_counter() - began)
    return {"GB_per_s": speeds}


def time_numpy(path):
    """GB/s of summing every frame, row by row of the scan."""
    import numpy as np

    offset, shape, gb = warm(path)
    data = np.memmap(path, np.uint16, "r", offset, shape)
    began = time.perf_counter()
    for row in data:
        row.sum((1, 2))
    return {"GB_per_s": {"NumPy sum, 1 core": gb / (time.perf_counter() - began)}}


def watched(command):
    """Seconds that a command took, and the largest RssAnon in MiB, looking every 5 ms; (None, …) where it failed."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    peak = 0
    while process.poll() is None:
        with open(f"/proc/{process.pid}/status") as status:
            peak = max([peak] + [int(line.split()[1]) for line in status if line.startswith("RssAnon")])
        time.sleep(0.005)
    seconds = time.perf_counter() - began
    return (None if process.returncode else seconds), peak / 1024, process.stderr.read()


def time_ronchi(path, binary):
    """GB/s of the pass and of the whole process, and the largest RssAnon."""
    import h5py

    _, _, gb = warm(path)
    settings = {
        "data.dataset": '"/data"',
        "optics.voltage_kV": 300.0,
        "optics.convergence_mrad": CONVERGENCE_MRAD,
        "detector.mrad_per_px": MRAD_PER_PX,
        "detector.centre_px": "[64, 64]",
        "scan.step_A": 0.4,
        "scan.rotation_deg": 0.0,
        "compute.device": '"cpu"',
        "compute.threads": THREADS,
        "images.eabf_k": K,
    }
    speeds, memory, failed = {}, 0, {}
    for name, detectors in SETS.items():
        for png in (False, True):
            with tempfile.TemporaryDirectory() as work:
                command = [binary, "image", path, "-o", f"{work}/out.emd"]
                for key, value in (settings | {"images.detectors": detectors, "output.png": str(png).lower()}).items():
                    command += ["--set", f"{key}={value}"]
                seconds, peak, said = watched(command)
                if seconds is None:
                    failed[name] = said.strip().splitlines()[-1]
                    break
                with h5py.File(f"{work}/out.emd") as f:
                    stages = json.loads(f["ronchi/run"].attrs["timings"])["stages_s"]
            memory = max(memory, peak)
            if png:
                speeds[f"ronchi with PNGs, {name}"] = gb / seconds
            else:
                speeds[f"ronchi's pass, {name}"] = gb / sum(seconds for stage, seconds in stages if stage == "image")
                speeds[f"ronchi, {name}"] = gb / seconds
    return {"GB_per_s": speeds, "RssAnon_MiB": memory, "failed": failed}


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["make", "floor", "libertem", "numpy", "ronchi"])
    parser.add_argument("file")
    parser.add_argument("binary", nargs="?", default="target/release/ronchi", help="ronchi, or read_floor")
    parser.add_argument("--scan", type=int, default=SCAN, help="positions a side of the scan")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    if args.what == "make":
        report = make(args.file, args.scan)
    elif args.what in ("floor", "ronchi"):
        report = {"floor": time_floor, "ronchi": time_ronchi}[args.what](args.file, args.binary)
    else:
        report = {"libertem": time_libertem, "numpy": time_numpy}[args.what](args.file)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
