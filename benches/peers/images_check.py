#!/usr/bin/env python3
"""Hold the images of a result file to plain NumPy and to what is installed of py4DSTEM, LiberTEM and quantem.

Each peer needs its own environment: run the script once with each Python. What the result lacks is listed.

rings     bf [0, α), abf [α/2, α), adf [α, edge), haadf [3α, edge) and any other image that tells its inner and outer
          angle: sums over the pixels whose centre lies at such an angle. The edge is the largest circle inside the frame.
eabf      abf − k·centre with centre = [0, α/2) and the k that the result tells
segN_i    segments: where N images share a ring they cut it into N equal sectors of the azimuth atan2(ky, kx), the first
          from 0 (a pixel on a border lies in the sector that begins there); where they lie in several rings (as they tell), rings from the inside, N/rings sectors each
dpc_y, _x (πα/4)(I₊ − I₋)/ΣI with the halves of the frame of positive and negative coordinate, in mrad
dphase_y, _x   2π/λ times the shift of the disk that is nearest to the changes of 16 sectors of the frame; up to a constant, since sectors of
          whole pixels are not equal
com_y, _x Σk·I/ΣI from the zero angle, along the detector's rows and columns
com_magnitude, com_direction   of that vector, less its mean or not; the direction in degrees in the scan's frame
idpc      φ̂ = Ĉ·q/(i q²) with C = com/λ in the scan's frame and less its mean, the field mirrored at its edges. py4DSTEM fits
          finite differences to C itself, so its result is φ/2π
ddpc      2π times the divergence of C, by central differences (one-sided at the edges)
mean_pattern, max_pattern, variance_pattern   over the frames; the variance with N − 1

Tolerances: sums of counts and max exact; other sums and patterns 1e-9 of the largest; ddpc 1e-6; com 1e-5 px; idpc 2 % (relative
RMS, without a tenth of the field at each edge) for NumPy. Against a peer in single precision: 1e-6 of the largest, com 1e-4 px.
py4DSTEM's iDPC is held to 15 %: its finite differences damp fine detail.

Exit code 1 where a tolerance is violated.

    ronchi image FILE -o RESULT --set optics.voltage_kV=300 --set optics.convergence_mrad=25 --set detector.centre_px=[64,64]
    images_check.py FILE RESULT --kV 300 --convergence-mrad 25 --mrad-per-px 0.98437444 --step-A 0.4
"""

import argparse
import re
import sys

import h5py
import numpy as np


def read_cube(path):
    """The file's 4-D dataset."""
    found = []
    with h5py.File(path) as f:
        f.visititems(lambda _, item: found.append(item) if getattr(item, "ndim", 0) == 4 else None)
        return found[0][()]


def read_images(path):
    """Values and attributes of each image of a result."""
    with h5py.File(path) as f:
        groups = {name: group for name, group in f["ronchi/images"].items() if "data" in group}
        return {name: (group["data"][()].astype(float), dict(group["data"].attrs)) for name, group in groups.items()}


def integrate(field_y, field_x, step):
    """Scalar of mean 0 whose gradient is nearest to the field; mirrored at the edges."""
    ny, nx = field_y.shape
    y = np.block([[field_y, field_y[:, ::-1]], [-field_y[::-1], -field_y[::-1, ::-1]]])
    x = np.block([[field_x, -field_x[:, ::-1]], [field_x[::-1], -field_x[::-1, ::-1]]])
    qy, qx = (2j * np.pi * np.fft.fftfreq(2 * n, step) for n in (ny, nx))
    laplacian = qy[:, None] ** 2 + qx**2
    laplacian[0, 0] = 1
    qy[ny] = qx[nx] = 0
    spectrum = (np.fft.fft2(y) * qy[:, None] + np.fft.fft2(x) * qx) / laplacian
    spectrum[0, 0] = 0
    image = np.fft.ifft2(spectrum).real[:ny, :nx]
    return image - image.mean()


class Case:
    """The data, the geometry, and the mask of every image of the result that is a weighted sum of counts."""

    def __init__(self, cube, images, args):
        self.cube, self.args, self.shape = cube, args, cube.shape[2:]
        self.centre = args.centre_px or [n // 2 for n in self.shape]
        self.y, self.x = (np.arange(n) - c for n, c in zip(self.shape, self.centre))
        self.angle = np.hypot(self.y[:, None], self.x) * args.mrad_per_px
        self.azimuth = np.arctan2(self.y[:, None], self.x[None, :]) % (2 * np.pi)
        self.wavelength = 12.3984198 / np.sqrt(args.kV * (2 * 510.99895 + args.kV))
        self.masks = {}
        for name, (values, told) in images.items():
            if values.shape == cube.shape[:2] and (mask := self.mask(name, told, images)) is not None:
                self.masks[name] = mask

    def ring(self, name, told):
        """Inner and outer angle in mrad, as told, or else as defined."""
        alpha = self.args.convergence_mrad
        edge = min(min(c + 0.5, n - 0.5 - c) for c, n in zip(self.centre, self.shape)) * self.args.mrad_per_px
        known = {"bf": (0, alpha), "abf": (alpha / 2, alpha), "eabf": (0, alpha), "adf": (alpha, edge), "haadf": (3 * alpha, edge)}
        if "inner_mrad" in told:
            found = (float(told["inner_mrad"]), float(told["outer_mrad"]))
            if name in known and not np.allclose(found, known[name], rtol=1e-6, atol=1e-6):
                print(f"note: {name} lies in {found} mrad, by its definition in {known[name]}")
            return found
        if name in known:
            return known[name]
        if name in ("dpc_y", "dpc_x", "dphase_y", "dphase_x"):
            return (0, np.inf)
        return (0, alpha) if name.startswith("seg") else None

    def mask(self, name, told, images):
        """The weight of each pixel; None of images that are no weighted sum."""
        ring = self.ring(name, told)
        if ring is None:
            return None

        def between(inner, outer):
            return ((self.angle >= inner) & (self.angle < outer)).astype(float)

        if name == "eabf":
            half = self.args.convergence_mrad / 2
            return between(half, 2 * half) - float(told["k"]) * between(0, half)
        if name in ("dpc_y", "dpc_x"):
            sign = np.sign(self.y)[:, None] if name == "dpc_y" else np.sign(self.x)[None, :]
            return between(*ring) * sign
        if name in ("dphase_y", "dphase_x"):
            # what a small shift of the disk brings into each of 16 sectors is the integral of its rim's normal
            sector = np.floor(np.round(self.azimuth / (np.pi / 8), 9)) % 16
            middle = (sector + 0.5) * np.pi / 8
            response = 2 * np.sin(np.pi / 16) / np.pi * (np.sin(middle) if name == "dphase_y" else np.cos(middle))
            return between(*ring) * response / (8 * (2 * np.sin(np.pi / 16) / np.pi) ** 2)
        if segment := re.fullmatch(r"seg(\d+)_(\d+)", name):
            count, index = map(int, segment.groups())
            group = [images[other][1] for other in images if re.fullmatch(rf"seg{count}_\d+", other)]
            rings = len({float(told.get("inner_mrad", 0)) for told in group})
            sectors = count // rings
            # rounded, so that a pixel on a border lies in the sector that begins there
            sector = np.floor(np.round(self.azimuth / (2 * np.pi / sectors), 9)) % sectors
            return between(*ring) * (sector == index % sectors)
        return between(*ring)

    def along_scan(self, row, column):
        """Centres of mass in mrad, in the scan's frame."""
        c, s = np.cos(np.radians(self.args.rotation_deg)), np.sin(np.radians(self.args.rotation_deg))
        along = c * row + s * column, c * column - s * row
        return along[::-1] if self.args.transpose else along

    def derived(self, images):
        """What follows from com_y and com_x in mrad."""
        turned = self.along_scan(images["com_y"], images["com_x"])
        y, x = (component - component.mean() for component in turned)
        scale = 2 * np.pi / self.wavelength * 1e-3
        images["idpc"] = scale * integrate(y, x, self.args.step_A)
        images["ddpc"] = scale * (np.gradient(y, self.args.step_A, axis=0) + np.gradient(x, self.args.step_A, axis=1))
        for suffix, (a, b) in {"": turned, " less the mean": (y, x)}.items():
            images[f"com_magnitude{suffix}"] = np.hypot(a, b)
            images[f"com_direction{suffix}"] = np.arctan2(a, b)
        return images


def with_numpy(case):
    """All images by the definitions above, in double precision."""
    cube = case.cube
    flat = cube.reshape(*cube.shape[:2], -1).astype(float)
    images = {name: flat @ mask.ravel() for name, mask in case.masks.items()}
    total = flat.sum(-1)
    rows, columns = np.repeat(case.y, case.shape[1]), np.tile(case.x, case.shape[0])
    images["com_y"] = flat @ rows / total * case.args.mrad_per_px
    images["com_x"] = flat @ columns / total * case.args.mrad_per_px
    frames = cube.reshape(-1, *case.shape).astype(float)
    images["mean_pattern"], images["max_pattern"] = frames.mean(0), frames.max(0)
    images["variance_pattern"] = frames.var(0, ddof=1)
    return case.derived(images)


def with_py4dstem(case):
    """As py4DSTEM makes them."""
    import py4DSTEM

    args = case.args
    data = py4DSTEM.DataCube(case.cube.astype(np.float32))
    data.calibration.set_R_pixel_size(args.step_A)
    data.calibration.set_R_pixel_units("A")
    data.calibration.set_Q_pixel_size(args.mrad_per_px)
    data.calibration.set_Q_pixel_units("mrad")
    images = {}
    for name, mask in case.masks.items():
        if name in ("bf", "abf", "adf", "haadf"):
            # its own rings leave out the pixel at the very centre
            inner, outer = (angle / args.mrad_per_px for angle in case.told[name])
            mode, size = ("annulus", (inner, outer)) if inner else ("circle", outer)
            geometry = (tuple(case.centre), size)
        else:
            mode, geometry = "mask", mask
        images[name] = data.get_virtual_image(mode=mode, geometry=geometry, verbose=False).data
    images["mean_pattern"] = data.get_dp_mean().data
    images["max_pattern"] = data.get_dp_max().data
    dpc = py4DSTEM.process.phase.DPC(datacube=data, energy=args.kV * 1e3, verbose=False).preprocess(
        fit_function="constant",
        force_com_rotation=args.rotation_deg if args.transpose else -args.rotation_deg,
        force_com_transpose=args.transpose,
        plot_center_of_mass=False,
        plot_rotation=False,
    )
    images["com_y"] = (dpc._com_measured_x - case.centre[0]) * args.mrad_per_px
    images["com_x"] = (dpc._com_measured_y - case.centre[1]) * args.mrad_per_px
    dpc.reconstruct(max_iter=512, gaussian_filter=False, butterworth_filter=False, progress_bar=False)
    images["idpc"] = 2 * np.pi * dpc.object_phase
    return images


def with_libertem(case):
    """As LiberTEM makes them, all in one pass over doubles; idpc is NumPy's integral of its vectors."""
    from libertem.api import Context
    from libertem.udf.base import UDF
    from libertem.udf.com import CoMUDF
    from libertem.udf.masks import ApplyMasksUDF
    from libertem.udf.stddev import StdDevUDF

    class Largest(UDF):
        """The largest value of each pixel."""

        def get_result_buffers(self):
            return {"largest": self.buffer(kind="sig", dtype=self.meta.input_dtype)}

        def process_tile(self, tile):
            self.results.largest[:] = np.maximum(self.results.largest, tile.max(axis=0))

        def merge(self, dest, src):
            dest.largest[:] = np.maximum(dest.largest, src.largest)

    context = Context.make_with("inline")
    data = context.load("memory", data=case.cube.astype(np.float64), sig_dims=2)
    names = list(case.masks)
    factories = [lambda mask=mask: mask for mask in case.masks.values()]
    com = CoMUDF.with_params(cy=float(case.centre[0]), cx=float(case.centre[1]))
    masked, moments, spread, largest = context.run_udf(
        dataset=data, udf=[ApplyMasksUDF(mask_factories=factories, mask_dtype=np.float64), com, StdDevUDF(), Largest()]
    )
    images = dict(zip(names, np.moveaxis(masked["intensity"].data, -1, 0)))
    images["com_y"], images["com_x"] = np.moveaxis(moments["raw_shifts"].data, -1, 0) * case.args.mrad_per_px
    frames = np.prod(case.cube.shape[:2])
    images["mean_pattern"], images["max_pattern"] = spread["mean"].data, largest["largest"].data
    images["variance_pattern"] = spread["var"].data * frames / (frames - 1)
    return case.derived(images)


def with_quantem(case):
    """quantem's virtual images and patterns; its iCoM sees the bright field only and is another image."""
    from quantem.core.datastructures import Dataset4dstem

    args = case.args
    step, dk = args.step_A, args.mrad_per_px * 1e-3 / case.wavelength
    data = Dataset4dstem.from_array(
        case.cube.astype(np.float32), sampling=(step, step, dk, dk), units=("A", "A", "A^-1", "A^-1"), name="cube"
    )
    images = {name: np.asarray(data.get_virtual_image(mask=mask, name=name).array) for name, mask in case.masks.items()}
    images["mean_pattern"] = np.asarray(data.get_dp_mean().array)
    images["max_pattern"] = np.asarray(data.get_dp_max().array)
    return images


PEERS = {"NumPy": with_numpy, "py4DSTEM": with_py4dstem, "LiberTEM": with_libertem, "quantem": with_quantem}
SINGLE = ("py4DSTEM", "quantem")


def measure(name, ours, told, peer, theirs, case):
    """What is compared, the figure, and its tolerance (None: only told)."""
    ours, theirs = ours.astype(float), theirs.astype(float)
    largest = np.abs(theirs).max()
    if name == "idpc":
        border = [max(n // 10, 1) for n in ours.shape]
        inner = np.s_[border[0] : -border[0], border[1] : -border[1]]
        a, b = (x[inner] - x[inner].mean() for x in (ours, theirs))
        return "relative RMS", np.sqrt(np.mean((a - b) ** 2)) / b.std(), 0.15 if peer in SINGLE else 0.02
    if name.startswith("dphase"):
        a, b = ours - ours.mean(), theirs - theirs.mean()
        return "less the mean", np.abs(a - b).max() / np.abs(b).max(), 1e-6
    if name == "ddpc":
        return "of the largest", np.abs(ours - theirs).max() / largest, 1e-6
    if name.startswith("com_direction"):
        half_turn = np.pi if told.get("units") == "rad" else 180.0
        turned = np.angle(np.exp(1j * (ours * np.pi / half_turn - theirs)))
        return "largest, rad", np.abs(turned[case.strong]).max(), 1e-3
    if name.startswith("com_"):
        return "largest, px", np.abs(ours - theirs).max() / case.args.mrad_per_px, 1e-4 if peer in SINGLE else 1e-5
    counted = told.get("units") == "counts" and set(np.unique(case.masks.get(name, [0.5]))) <= {-1, 0, 1}
    whole = np.issubdtype(case.cube.dtype, np.integer) and (name == "max_pattern" or counted)
    if whole and peer not in SINGLE:
        return "largest", np.abs(ours - theirs).max(), 0.0
    return "of the largest", np.abs(ours - theirs).max() / largest, 1e-6 if peer in SINGLE else 1e-9


def matched(name, theirs, case):
    """dpc as a shift, (πα/4)·(difference)/ΣI; dphase as a gradient."""
    if name.startswith("dphase"):
        scale = 2 * np.pi / case.wavelength * 1e-3 * case.args.convergence_mrad
        return scale * theirs / case.cube.sum((2, 3), dtype=float)
    if name.startswith("dpc"):
        return np.pi * case.args.convergence_mrad / 4 * theirs / case.cube.sum((2, 3), dtype=float)
    return theirs


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="HDF5 file with one 4-D dataset (scan y, scan x, ky, kx)")
    parser.add_argument("result", help="ronchi result file of the same data")
    parser.add_argument("--kV", type=float, required=True)
    parser.add_argument("--convergence-mrad", type=float, required=True)
    parser.add_argument("--mrad-per-px", type=float, required=True)
    parser.add_argument("--step-A", type=float, required=True)
    parser.add_argument("--rotation-deg", type=float, default=0.0)
    parser.add_argument("--transpose", action="store_true")
    parser.add_argument("--centre-px", type=float, nargs=2, help="zero angle (ky, kx); N/2 unless told")
    args = parser.parse_args()

    cube, images = read_cube(args.file), read_images(args.result)
    case = Case(cube, images, args)
    case.told = {name: case.ring(name, told) for name, (_, told) in images.items()}
    plain = with_numpy(case)
    length = plain["com_magnitude"]
    case.strong = length > 0.1 * length.max()
    failed, seen = [], set()
    for peer, make in PEERS.items():
        try:
            theirs = plain if peer == "NumPy" else make(case)
        except ModuleNotFoundError as missing:
            print(f"\n{peer}: not installed here ({missing.name})")
            continue
        print(f"\n{peer:<18} {'compared':<16} {'difference':>12} {'tolerance':>10} {'our mean':>14} {'its mean':>14}")
        for name, (ours, told) in images.items():
            candidates = [key for key in (name, f"{name} less the mean") if key in theirs and theirs[key].shape == ours.shape]
            if not candidates:
                continue
            seen.add(name)
            compared = [(key, measure(key, ours, told, peer, matched(name, theirs[key], case), case)) for key in candidates]
            key, (what, figure, tolerance) = min(compared, key=lambda item: item[1][1])
            bad = not figure <= tolerance
            if bad:
                failed.append(f"{name} ({peer})")
            print(f"{key:<18} {what:<16} {figure:12.3e} {tolerance:10.1e} {ours.mean():14.6g} {theirs[key].mean():14.6g}{'  VIOLATED' if bad else ''}")
    definite = {name for name in plain if " " not in name} | {"eabf", "haadf", "seg4_0", "seg8_0", "seg16_00", "dpc_y", "dpc_x"}
    print("\nnot in the result:", ", ".join(sorted(definite - set(images))) or "nothing")
    print("not compared:", ", ".join(sorted(set(images) - seen)) or "nothing")
    print("violated:", ", ".join(failed) or "nothing")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
