#!/usr/bin/env python3
"""Score a reconstructed phase against the truth of a simulated data set.

r   correlation of the phase with the truth's projected potential, blurred by a Gaussian of
    sigma 0.35 Å, in the rectangle 1 Å inside the outermost positions; a plane is taken from both. The
    phase is brought to the truth's pixels by a cubic spline, moved by up to 0.6 Å to where r is largest.
R²  squared Pearson correlation of the mean phase within 0.55 Å of each Na column with the number
    of atoms in that column; columns at least 0.8 Å inside the same rectangle.
atoms_rms  for the same columns, the root mean square of (atoms told from the mean phase by the straight
    line that fits them best) minus (true atoms).

    score.py result.emd ../shared/data/na3ni2sbo6/na3ni2sbo6_010_truth.h5
    score.py phase.npy  TRUTH --pixel-A 0.15625 --origin-yx-A -10.0 -10.0
"""

import argparse
import json

import h5py
import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates, spline_filter
from scipy.optimize import minimize

BLUR_A, BORDER_A, MAX_SHIFT_A, COLUMN_BORDER_A, COLUMN_RADIUS_A = 0.35, 1.0, 0.6, 0.8, 0.55


def load_phase(path, pixel_A=None, origin_yx_A=None):
    """Phase (y, x), pixel size and origin, both (y, x) in Å with scan position (0, 0) at zero.

    Reads a ronchi result file, an .npz of reference_epie.py, or an .npy beside its calibration.
    Complex arrays give their phase, relative to their mean; slices are summed.
    """
    if path.endswith(".npy"):
        if pixel_A is None or origin_yx_A is None:
            raise SystemExit(f"{path}: an .npy needs --pixel-A and --origin-yx-A")
        array, pixel, origin = np.load(path), [pixel_A, pixel_A], origin_yx_A
    elif path.endswith(".npz"):
        with np.load(path) as f:
            array, pixel, origin = f["object"], [float(f["pixel_A"])] * 2, f["origin_yx_A"]
    else:
        with h5py.File(path) as f:
            group = f["ronchi/ptychography/phase"]
            array = group["data"][()]
            first = array.ndim - 2
            axes = [group[f"dim{first + a}"][:2] for a in (0, 1)]
            pixel, origin = [a[1] - a[0] for a in axes], [a[0] for a in axes]
    if np.iscomplexobj(array):
        array = np.angle(array * np.exp(-1j * np.angle(array.mean((-2, -1), keepdims=True))))
    if array.ndim == 3:
        array = array.sum(0)
    return array.astype(float), np.asarray(pixel, float), np.asarray(origin, float)


def score(phase, pixel, origin, truth):
    """r, R², error in atoms, how far (Å) the phase lies from the truth, and the number of Na columns, as a dict."""
    with h5py.File(truth) as f:
        sampling = json.loads(f.attrs["parameters"])["potential_sampling_A"]
        potential = f["projected_potential"][()].astype(float)
        positions = f["positions_yx"][()]
        sodium = f["column_element"][()] == b"Na"
        columns = f["column_yx"][()][sodium]
        atoms = (f["column_atoms"][()] * f["column_occupancy"][()])[sodium]
    blurred = gaussian_filter(potential, BLUR_A / sampling, mode="wrap")
    spline = spline_filter(phase)

    # the truth's pixels inside the rectangle
    low, high = positions.min(0) + BORDER_A, positions.max(0) - BORDER_A
    yx = np.moveaxis(np.indices(potential.shape), 0, -1) * sampling
    inside = np.all((yx >= low) & (yx <= high), -1)
    points = yx[inside]
    plane, _ = np.linalg.qr(np.column_stack([np.ones(len(points)), points - points.mean(0)]))

    def flat(values):
        values = values - plane @ (plane.T @ values)
        return values / np.linalg.norm(values)

    def image(shift):
        at = (points + shift - positions[0] - origin) / pixel
        return flat(map_coordinates(spline, at.T, prefilter=False, mode="nearest"))

    expected = flat(blurred[inside])

    def correlation(shift):
        return float(expected @ image(shift))

    grid = np.arange(-6, 7) * 0.1
    coarse = [(a, b) for a in grid for b in grid if np.hypot(a, b) <= MAX_SHIFT_A]
    best = np.array(max(coarse, key=correlation))
    fit = minimize(
        lambda s: -correlation(s) if np.hypot(*s) <= MAX_SHIFT_A else 1.0,
        best,
        method="Nelder-Mead",
        options={"initial_simplex": best * 0.99 + [[0, 0], [0.04, 0], [0, 0.04]], "xatol": 1e-3, "fatol": 1e-7},
    )
    shift = fit.x if -fit.fun > correlation(best) else best

    keep = np.all((columns >= low + COLUMN_BORDER_A) & (columns <= high - COLUMN_BORDER_A), 1)
    registered = image(shift)
    means = [registered[np.hypot(*(points - c).T) <= COLUMN_RADIUS_A].mean() for c in columns[keep]]
    linearity = np.corrcoef(means, atoms[keep])[0, 1] ** 2
    told = np.polyval(np.polyfit(means, atoms[keep], 1), means)
    return {
        "r": correlation(shift),
        "R2": float(linearity),
        "atoms_rms": float(np.sqrt(np.mean((told - atoms[keep]) ** 2))),
        "shift_yx_A": [float(s) for s in shift],
        "na_columns": int(keep.sum()),
    }


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", help="ronchi result file, .npz of reference_epie.py, or .npy")
    parser.add_argument("truth", help="*_truth.h5")
    parser.add_argument("--pixel-A", type=float, help="pixel size of an .npy")
    parser.add_argument("--origin-yx-A", type=float, nargs=2, help="place of an .npy's pixel (0, 0), from scan position (0, 0)")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    result = score(*load_phase(args.result, args.pixel_A, args.origin_yx_A), args.truth)
    if args.json:
        print(json.dumps(result))
    else:
        shift = "({:+.3f}, {:+.3f}) Å".format(*result["shift_yx_A"])
        print(f"r {result['r']:.4f}  R² {result['R2']:.4f}  error {result['atoms_rms']:.2f} atoms  ({result['na_columns']} Na columns, shift {shift})")


if __name__ == "__main__":
    main()
