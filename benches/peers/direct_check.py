#!/usr/bin/env python3
"""Single-sideband and parallax images of ronchi beside a plain NumPy version, quantem and py4DSTEM.

Runs what is installed: quantem's DirectPtychography and py4DSTEM's Parallax each need their own
environment. With frames normalised to a mean sum of 1, A the aperture with its aberrations (hard edge,
Σ|A|² = 1) and G(q, k) the scan's transform of detector pixel k,

    Γ = A*(k)A(k−q) − A(k)A*(k+q),   SSB = F⁻¹[Σ_k(−i G Γ*/|Γ|) / Σ_k|Γ|]
    parallax = F⁻¹[s(q) Σ_k G e^{−i∇χ(k)·q}],   s = sgn(sin χ(q)), or 1 where χ is 0 (--defocus-A 0)

The same formulas in quantem: kernels "ssb" and "prlx" with hard edges, rotation_angle=0,
force_fitted_origin and band_limit=False. Three things differ, of which this script takes account:

  - quantem divides by Σ|A|², not by Σ|Γ|: its SSB is the unit-gain one times T(q) = Σ|Γ|/Σ|A|², which falls
    to 0 towards q = 0 and 2α/λ. Both are compared: ours times T with theirs, and theirs over T with ours where
    T > 0.02.
  - quantem divides each detector pixel by its own mean over the scan; we divide all by one number. The two
    are the same for a weak object. --per-pixel makes the NumPy version do as quantem.
  - its aberration_coefs are ours: C10 = −defocus in Å (underfocus is negative C10), probe A·exp(−iχ).

py4DSTEM's Parallax has no kernel for the flip s(q), so it is held to the NumPy version without it: the images moved by
guess_common_aberrations(polar_parameters={"C10": −defocus}), with edge_blend=0 and object_padding_px=(0, 0), at
threshold_intensity=0.5, whose bright-field mask is the aperture. Its reconstruct(), which finds the shifts by cross-correlation,
is run too and only reported: on small fields of a crystal it locks onto the wrong lattice row.

    direct_check.py FILE [RESULT] --kV 300 --convergence-mrad 25 --mrad-per-px 0.98437444 --step-A 0.4 --defocus-A -100

Exit code 1 where an image of ours correlates with the NumPy version, quantem's or py4DSTEM's by less than 0.98, or one of
theirs with the NumPy version (--lenient does not demand that of theirs).
"""

import argparse
import sys

import h5py
import numpy as np

from images_check import read_cube

WANTED = 0.98
LOWEST_TRANSFER = 0.02


def wavelength_A(kV):
    """Relativistic electron wavelength."""
    return 12.3984198 / np.sqrt(kV * (2 * 510.99895 + kV))


class Model:
    """The optics on the detector's and the scan's frequencies, Å⁻¹; zero angle at `centre`."""

    def __init__(self, cube, args):
        self.scan, self.frame = cube.shape[:2], cube.shape[2:]
        self.wavelength = wavelength_A(args.kV)
        self.cutoff = args.convergence_mrad * 1e-3 / self.wavelength
        self.c10 = -args.defocus_A
        self.centre = args.centre_px or [n // 2 for n in self.frame]
        self.dk = args.mrad_per_px * 1e-3 / self.wavelength
        ky, kx = np.meshgrid(*((np.arange(n) - c) * self.dk for n, c in zip(self.frame, self.centre)), indexing="ij")
        self.inside = np.hypot(ky, kx) <= self.cutoff
        self.ky, self.kx = ky[self.inside], kx[self.inside]
        self.qy, self.qx = np.meshgrid(*(np.fft.fftfreq(n, args.step_A) for n in self.scan), indexing="ij")
        pixels = np.moveaxis(cube[:, :, self.inside].astype(float), -1, 0)
        mean = pixels.mean((1, 2), keepdims=True) if args.per_pixel else cube.sum((2, 3), dtype=float).mean() / len(pixels)
        # each pixel has about the mean 1 now, and A the modulus 1: the common factor cancels in SSB
        self.spectra = np.fft.fft2(pixels / mean)

    def chi(self, ky, kx):
        """Aberration function."""
        return np.pi * self.wavelength * self.c10 * (ky**2 + kx**2)

    def probe(self, ky, kx):
        """A exp(−iχ), 0 outside the aperture."""
        return (np.hypot(ky, kx) <= self.cutoff) * np.exp(-1j * self.chi(ky, kx))

    def ssb(self):
        """The unit-gain image, radians, and the transfer T(q) that it was divided by."""
        numerator, weight = np.zeros(self.scan, complex), np.zeros(self.scan)
        for ky, kx, spectrum in zip(self.ky, self.kx, self.spectra):
            here = self.probe(ky, kx)
            gamma = np.conj(here) * self.probe(ky - self.qy, kx - self.qx) - here * np.conj(self.probe(ky + self.qy, kx + self.qx))
            size = np.abs(gamma)
            live = size > 1e-6
            numerator[live] += -1j * spectrum[live] * np.conj(gamma[live]) / size[live]
            weight[live] += size[live]
        image = np.fft.ifft2(np.divide(numerator, weight, out=np.zeros_like(numerator), where=weight > 0)).real
        return image, weight / len(self.ky)

    def parallax(self, flip):
        """Tilt-corrected bright field; phase-flipped if asked, where there is anything to flip."""
        total = np.zeros(self.scan, complex)
        for ky, kx, spectrum in zip(self.ky, self.kx, self.spectra):
            gradient = 2 * np.pi * self.wavelength * self.c10 * (ky * self.qy + kx * self.qx)
            total += spectrum * np.exp(-1j * gradient)
        sign = np.sign(np.sin(self.chi(self.qy, self.qx))) if flip and self.c10 else np.ones(self.scan)
        total[0, 0] = 0
        return np.fft.ifft2(total * sign).real / len(self.ky)


def with_quantem(cube, model, args):
    """quantem's images; ssb still times T."""
    from quantem.core.datastructures import Dataset4dstem
    from quantem.diffractive_imaging import DirectPtychography

    step, dk = args.step_A, model.dk
    data = Dataset4dstem.from_array(
        cube.astype(np.float32), sampling=(step, step, dk, dk), units=("A", "A", "A^-1", "A^-1"), name="cube"
    )
    peer = DirectPtychography.from_dataset4d(
        data,
        energy=args.kV * 1e3,
        semiangle_cutoff=args.convergence_mrad,
        aberration_coefs={"C10": model.c10},
        rotation_angle=0.0,
        force_fitted_origin=tuple(model.centre),
        soft_edges=False,
        verbose=False,
    )
    images = {"ssb": peer.reconstruct(deconvolution_kernel="ssb", verbose=False).obj}
    flip = bool(model.c10)
    images["parallax"] = peer.reconstruct(deconvolution_kernel="prlx", parallax_flip_phase=flip, band_limit=False, verbose=False).obj
    return {name: np.asarray(image, float) for name, image in images.items()}


def with_py4dstem(cube, model, args):
    """py4DSTEM's parallax image, cut to the scan, before and after its correction."""
    import py4DSTEM

    data = py4DSTEM.DataCube(cube.astype(np.float32))
    data.calibration.set_R_pixel_size(args.step_A)
    data.calibration.set_R_pixel_units("A")
    data.calibration.set_Q_pixel_size(args.mrad_per_px)
    data.calibration.set_Q_pixel_units("mrad")
    peer = py4DSTEM.process.phase.Parallax(
        datacube=data, energy=args.kV * 1e3, object_padding_px=(0, 0), device="cpu", verbose=False
    ).preprocess(edge_blend=0, threshold_intensity=0.5, plot_average_bf=False)
    _, moved = peer.guess_common_aberrations(
        polar_parameters={"C10": model.c10}, plot_shifts_and_aligned_bf=False, return_shifts_and_aligned_bf=True
    )
    peer.reconstruct(progress_bar=False, plot_aligned_bf=False, plot_convergence=False)
    return {"parallax, not flipped": np.asarray(moved), "parallax, found by itself": np.asarray(peer.object_cropped)}


def registered(a, b):
    """The correlation of largest size over whole-pixel shifts, with the shift."""
    a, b = (x - x.mean() for x in (a, b))
    cross = np.fft.ifft2(np.fft.fft2(a) * np.conj(np.fft.fft2(b))).real / np.sqrt(np.sum(a**2) * np.sum(b**2))
    at = np.unravel_index(np.argmax(np.abs(cross)), cross.shape)
    return float(cross[at]), [int(i if i <= n // 2 else i - n) for i, n in zip(at, cross.shape)]


def filtered(image, factor):
    """An image with its spectrum multiplied."""
    return np.fft.ifft2(np.fft.fft2(image) * factor).real


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="HDF5 file with one 4-D dataset (scan y, scan x, ky, kx)")
    parser.add_argument("result", nargs="?", help="ronchi result file with the images ssb and parallax")
    parser.add_argument("--kV", type=float, required=True)
    parser.add_argument("--convergence-mrad", type=float, required=True)
    parser.add_argument("--mrad-per-px", type=float, required=True)
    parser.add_argument("--step-A", type=float, required=True)
    parser.add_argument("--defocus-A", type=float, default=0.0, help="positive is underfocus")
    parser.add_argument("--centre-px", type=float, nargs=2, help="zero angle (ky, kx); N/2 unless told")
    parser.add_argument("--per-pixel", action="store_true", help="divide each detector pixel by its own mean, as quantem does")
    parser.add_argument("--lenient", action="store_true", help="do not hold the peers to the NumPy version")
    parser.add_argument("-o", "--output", help="write all images to this .npz")
    args = parser.parse_args()

    cube = read_cube(args.file)
    model = Model(cube, args)
    ssb, transfer = model.ssb()
    images = {"NumPy ssb": ssb, "NumPy parallax": model.parallax(True), "NumPy parallax, not flipped": model.parallax(False)}
    for peer, run in (("quantem", with_quantem), ("py4DSTEM", with_py4dstem)):
        try:
            images.update({f"{peer} {name}": image for name, image in run(cube, model, args).items()})
        except ModuleNotFoundError as missing:
            print(f"{peer}: not installed here ({missing.name})")
    if args.result:
        with h5py.File(args.result) as f:
            for name in ("ssb", "parallax"):
                group = f["ronchi/images"].get(name)
                if group is None:
                    print(f"{name}: not in the result")
                else:
                    images[f"ronchi {name}"] = group["data"][()].astype(float)
    if args.output:
        np.savez(args.output, transfer=transfer, **{name.replace(" ", "_"): image for name, image in images.items()})

    failed = False
    band = transfer > LOWEST_TRANSFER
    over = np.divide(1.0, transfer, out=np.zeros_like(transfer), where=band)
    print(f"{'image':<34} {'with':<27} {'r':>8}  {'shift':<9} {'std/std':>9}")

    def line(name, image, other, reference, demanded):
        nonlocal failed
        r, shift = registered(image, reference)
        # a phase is known but for its sign, which is a convention of each program
        bad = demanded and not (abs(r) >= WANTED and shift == [0, 0])
        failed |= bad
        print(f"{name:<34} {other:<27} {r:8.4f}  {str(shift):<9} {image.std() / reference.std():9.4f}{'  TOO LOW' if bad else ''}")

    for program in ("ronchi", "quantem"):
        theirs = images.get(f"{program} ssb")
        if theirs is None:
            continue
        demanded = program == "ronchi" or not args.lenient
        damped, unit = (theirs, filtered(theirs, over)) if program == "quantem" else (filtered(theirs, transfer), theirs)
        line(f"{program} ssb × T", damped, "NumPy ssb × T", filtered(ssb, transfer), demanded)
        line(f"{program} ssb, T > {LOWEST_TRANSFER}", filtered(unit, band), "NumPy ssb", filtered(ssb, band), demanded)
        images[f"{program} ssb"] = damped
    for name, reference, demanded in (
        ("ronchi parallax", "NumPy parallax", True),
        ("quantem parallax", "NumPy parallax", not args.lenient),
        ("py4DSTEM parallax, not flipped", "NumPy parallax, not flipped", not args.lenient),
        ("py4DSTEM parallax, found by itself", "NumPy parallax, not flipped", False),
        ("ronchi ssb", "quantem ssb", True),
        ("ronchi parallax", "quantem parallax", True),
    ):
        if {name, reference} <= images.keys():
            line(name, images[name], reference, images[reference], demanded)
    sys.exit(failed)


if __name__ == "__main__":
    main()
