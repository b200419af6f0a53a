#!/usr/bin/env python3
"""Compare ronchi's images with plain NumPy and, where it is installed, with py4DSTEM.

bf [0, α), abf [α/2, α) and adf [α, edge) are sums over the pixels whose centre lies at such an angle; the edge
is the largest circle inside the frame (--adf-mrad says otherwise). com_y and com_x are Σk·I/ΣI from the zero
angle, along the detector's rows and columns, in mrad. idpc is the phase in radians: with C = com/λ in Å⁻¹,
turned into the scan's frame and less its mean, φ̂ = 2π·Ĉ·q/(2πi q²) = Ĉ·q/(i q²), the field mirrored at its
edges. py4DSTEM's DPC fits finite differences to C itself, so its result is φ/2π and is multiplied by 2π here; those
differences and its padding let it agree in scale to some percent, not in the last digit.

Printed for each image: rms(ronchi − peer)/std(peer) without their means, the slope of ronchi over the
peer (1 if the scale is right), and both means.

    images_check.py FILE RESULT --kV 300 --convergence-mrad 25 --mrad-per-px 0.98437444 --step-A 0.4
"""

import argparse

import h5py
import numpy as np


def read_cube(path):
    """The file's 4-D dataset."""
    found = []
    with h5py.File(path) as f:
        f.visititems(lambda _, item: found.append(item) if getattr(item, "ndim", 0) == 4 else None)
        return found[0][()]


def detectors(shape, args):
    """Centre (y, x), and inner and outer radius in pixels by name."""
    centre = args.centre_px if args.centre_px else [n // 2 for n in shape]
    disk = args.convergence_mrad / args.mrad_per_px
    edge = min(min(c + 0.5, n - 0.5 - c) for c, n in zip(centre, shape))
    adf = [a / args.mrad_per_px for a in args.adf_mrad] if args.adf_mrad else [disk, edge]
    return centre, {"bf": [0, disk], "abf": [disk / 2, disk], "adf": adf}


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


def with_numpy(cube, args):
    """All images by the definitions above."""
    shape = cube.shape[2:]
    centre, rings = detectors(shape, args)
    y, x = (np.arange(n) - c for n, c in zip(shape, centre))
    radius = np.hypot(y[:, None], x)
    flat = cube.reshape(*cube.shape[:2], -1).astype(float)
    images = {name: flat @ ((radius >= a) & (radius < b)).ravel().astype(float) for name, (a, b) in rings.items()}
    total = flat.sum(-1)
    rows, columns = np.repeat(y, shape[1]), np.tile(x, shape[0])
    images["com_y"] = flat @ rows / total * args.mrad_per_px
    images["com_x"] = flat @ columns / total * args.mrad_per_px

    wavelength = 12.3984198 / np.sqrt(args.kV * (2 * 510.99895 + args.kV))
    row, column = (images[n] - images[n].mean() for n in ("com_y", "com_x"))
    c, s = np.cos(np.radians(args.rotation_deg)), np.sin(np.radians(args.rotation_deg))
    along = c * row + s * column, c * column - s * row
    if args.transpose:
        along = along[::-1]
    images["idpc"] = 2 * np.pi / wavelength * 1e-3 * integrate(*along, args.step_A)
    return images


def with_py4dstem(cube, args):
    """The same images as py4DSTEM makes them."""
    import py4DSTEM

    centre, rings = detectors(cube.shape[2:], args)
    data = py4DSTEM.DataCube(cube.astype(np.float32))
    data.calibration.set_R_pixel_size(args.step_A)
    data.calibration.set_R_pixel_units("A")
    data.calibration.set_Q_pixel_size(args.mrad_per_px)
    data.calibration.set_Q_pixel_units("mrad")
    images = {}
    for name, (inner, outer) in rings.items():
        # its own rings leave out the pixel at the very centre
        mode, size = ("annulus", (inner, outer)) if inner else ("circle", outer)
        images[name] = data.get_virtual_image(mode=mode, geometry=(tuple(centre), size), verbose=False).data
    dpc = py4DSTEM.process.phase.DPC(datacube=data, energy=args.kV * 1e3, verbose=False).preprocess(
        fit_function="constant",
        force_com_rotation=args.rotation_deg if args.transpose else -args.rotation_deg,
        force_com_transpose=args.transpose,
        plot_center_of_mass=False,
        plot_rotation=False,
    )
    images["com_y"] = (dpc._com_measured_x - centre[0]) * args.mrad_per_px
    images["com_x"] = (dpc._com_measured_y - centre[1]) * args.mrad_per_px
    dpc.reconstruct(max_iter=512, gaussian_filter=False, butterworth_filter=False, progress_bar=False)
    images["idpc"] = 2 * np.pi * dpc.object_phase
    return images


def compare(name, ours, peer):
    """One line of the table."""
    a, b = ours - ours.mean(), peer - peer.mean()
    difference, slope = np.sqrt(np.mean((a - b) ** 2)) / b.std(), np.sum(a * b) / np.sum(b * b)
    return f"{name:<6} {difference:12.3e} {slope:12.8f} {ours.mean():14.6g} {peer.mean():14.6g}"


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
    parser.add_argument("--adf-mrad", type=float, nargs=2, help="inner and outer angle of adf")
    args = parser.parse_args()

    cube = read_cube(args.file)
    peers = {"NumPy": with_numpy(cube, args)}
    try:
        peers["py4DSTEM"] = with_py4dstem(cube, args)
    except ModuleNotFoundError:
        print("py4DSTEM is not installed here")
    with h5py.File(args.result) as f:
        images = {name: group["data"][()].astype(float) for name, group in f["ronchi/images"].items() if "data" in group}
    for peer, theirs in peers.items():
        print(f"{peer + ':':<10} difference        slope    ronchi's mean    peer's mean")
        for name, image in theirs.items():
            print(compare(name, images[name], image) if name in images else f"{name:<6} not in the result")


if __name__ == "__main__":
    main()
