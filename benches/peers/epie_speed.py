#!/usr/bin/env python3
"""Time py4DSTEM's single-slice ePIE on the CPU and print JSON; the first iteration is left out.

    epie_speed.py FILE --kV 300 --convergence-mrad 25 --defocus-A -100 --step-A 0.4 \\
        --mrad-per-px 0.98437444 --batch 32 --threads 2 --iterations 4

rotation-deg and transpose are ronchi's; py4DSTEM's own angle is its negative (the same one where
transposed). With -o the object is kept as .npz, for score.py.
"""

import argparse
import json
import os
import statistics
import time


def parse_arguments():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="a file that py4DSTEM.read opens as a DataCube")
    parser.add_argument("--kV", type=float, required=True)
    parser.add_argument("--convergence-mrad", type=float, required=True)
    parser.add_argument("--defocus-A", type=float, default=0.0, help="positive is underfocus")
    parser.add_argument("--step-A", type=float, required=True)
    parser.add_argument("--mrad-per-px", type=float, required=True)
    parser.add_argument("--rotation-deg", type=float, default=0.0)
    parser.add_argument("--transpose", action="store_true")
    parser.add_argument("--iterations", type=int, default=4, help="timed ones, after the warm-up")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-o", "--output", help=".npz for the object")
    return parser.parse_args()


def main():
    """Reconstruct, with the clock read at the start and end of each iteration."""
    args = parse_arguments()
    for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR"):
        os.environ[f"{name}_NUM_THREADS"] = str(args.threads)
    import numpy as np
    import py4DSTEM
    from py4DSTEM.process.phase import singleslice_ptychography as singleslice

    cube = py4DSTEM.read(args.file)
    cube.data = cube.data.astype(np.float32)
    cube.calibration.set_R_pixel_size(args.step_A)
    cube.calibration.set_R_pixel_units("A")
    cube.calibration.set_Q_pixel_size(args.mrad_per_px)
    cube.calibration.set_Q_pixel_units("mrad")
    engine = py4DSTEM.process.phase.SingleslicePtychography(
        datacube=cube,
        energy=args.kV * 1e3,
        semiangle_cutoff=args.convergence_mrad,
        defocus=args.defocus_A,
        device="cpu",
        object_type="complex",
        verbose=False,
    ).preprocess(
        plot_center_of_mass=False,
        plot_rotation=False,
        plot_probe_overlaps=False,
        force_com_rotation=args.rotation_deg if args.transpose else -args.rotation_deg,
        force_com_transpose=args.transpose,
    )

    seconds = []

    def timed(count, **_):
        """Stands where py4DSTEM has its progress bar."""
        for iteration in range(count):
            began = time.perf_counter()
            yield iteration
            seconds.append(time.perf_counter() - began)

    singleslice.tqdmnd = timed
    engine.reconstruct(
        num_iter=args.iterations + 1,
        reset=True,
        max_batch_size=args.batch,
        seed_random=args.seed,
        step_size=0.5,
        normalization_min=1.0,
        gaussian_filter=False,
    )
    if args.output:
        # object_cropped lies along the scan and begins at position (0, 0)
        np.savez(args.output, object=engine.object_cropped, pixel_A=engine.sampling[0], origin_yx_A=[0.0, 0.0])
    report = {
        "program": f"py4DSTEM {py4DSTEM.__version__}",
        "batch": args.batch,
        "threads": args.threads,
        "iterations_s": [round(s, 4) for s in seconds],
        "median_s": round(statistics.median(seconds[1:]), 4),
        "error": float(engine.error_iterations[-1]),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
