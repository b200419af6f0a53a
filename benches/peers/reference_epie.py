#!/usr/bin/env python3
"""A plain NumPy ePIE in complex128: the oracle that ronchi's engines are held against.

Conventions. Object exp(iσV); probe = F⁻¹[A exp(−iχ)], χ = (2π/λ)·½θ²·C10, C10 = −defocus; A is a hard
aperture, θ ≤ α; unitary FFTs; Σ|P|² = the mean sum of a frame. Object pixel λ/(N·Δθ). Position
(row, col) = R(rotation)·(i·step_y, j·step_x), the two swapped first if transposed, with
R = [[cos, −sin], [sin, cos]]; it is where the window's pixel N/2 sits. Frames are rolled so that the
rounded centre is the zero angle; the aperture is drawn at the remainder. The object begins as ones.

One batch, everything from the object O and probe P at its start, with P_j = F⁻¹[P̂·ramp_j]:
    ψ = P_j·O_j,  Δψ = F⁻¹[√I·ψ̂/|ψ̂| − ψ̂]  (0/|0| is 0)
    O += α Σ P_j* Δψ / max_r Σ|P_j|²              (sums over the object's pixels)
    P += β F⁻¹[Σ ramp_j*·F(O_j* Δψ)] / max_r Σ|O_j|²   (sums over the window's pixels)
Each iteration visits the positions in a new order, default_rng(seed).permutation, cut into batches one
after another (the last may be smaller); --order gives the orders instead, to follow another program.
The error of an iteration is Σ(|ψ̂| − √I)² / ΣI over all frames, each seen before its own update.

    reference_epie.py FILE --kV 300 --convergence-mrad 25 --defocus-A -100 --step-A 0.4 \\
        --mrad-per-px 0.98437444 --iterations 10 --batch 32 -o out.npz
"""

import argparse
import time

import h5py
import numpy as np
import scipy.fft


def read_frames(path):
    """The file's 4-D dataset: scan shape and frames (n, ky, kx)."""
    found = []
    with h5py.File(path) as f:
        f.visititems(lambda _, item: found.append(item) if getattr(item, "ndim", 0) == 4 else None)
        frames = found[0][()]
    return frames.shape[:2], frames.reshape(-1, *frames.shape[2:])


def wavelength_A(kV):
    """Relativistic electron wavelength."""
    return 12.3984198 / np.sqrt(kV * (2 * 510.99895 + kV))


def scan_positions(shape, step_yx, rotation_deg, transpose):
    """(row, col) of each scan position in the object's frame, Å."""
    i, j = np.meshgrid(*(np.arange(n, dtype=float) for n in shape), indexing="ij")
    a, b = i.ravel() * step_yx[0], j.ravel() * step_yx[1]
    if transpose:
        a, b = b, a
    c, s = np.cos(np.radians(rotation_deg)), np.sin(np.radians(rotation_deg))
    return np.column_stack([c * a - s * b, s * a + c * b])


def fft2(x):
    """Unitary forward transform of the last two axes."""
    return scipy.fft.fft2(x, norm="ortho")


def ifft2(x):
    """Unitary inverse transform of the last two axes."""
    return scipy.fft.ifft2(x, norm="ortho")


class Epie:
    """State and geometry: `object` (y, x), `probe` (centred on pixel N/2), `origin` (Å)."""

    def __init__(self, frames, positions, args):
        n = frames.shape[-1]
        wavelength, dtheta = wavelength_A(args.kV), args.mrad_per_px * 1e-3
        self.pixel = wavelength / (n * dtheta)
        centre = np.array(args.centre_px if args.centre_px else (n // 2, n // 2), float)
        rounded = np.rint(centre).astype(int)
        self.amplitudes = np.sqrt(np.roll(frames, -rounded, axis=(1, 2)).astype(float))
        self.intensity = float(frames.sum(dtype=float))

        frequency = np.fft.fftfreq(n, 1 / n)
        remainder = centre - rounded
        ky, kx = np.meshgrid(frequency - remainder[0], frequency - remainder[1], indexing="ij")
        theta = np.hypot(ky, kx) * dtheta
        chi = 2 * np.pi / wavelength * 0.5 * theta**2 * -args.defocus_A
        spectrum = (theta <= args.convergence_mrad * 1e-3) * np.exp(-1j * chi)
        spectrum *= np.sqrt(self.intensity / len(frames) / np.sum(np.abs(spectrum) ** 2))
        self.probe = np.fft.fftshift(ifft2(spectrum))

        corner = positions / self.pixel
        whole = np.rint(corner).astype(int)
        self.fraction = corner - whole
        self.start = whole - whole.min(0)
        self.object = np.ones(self.start.max(0) + n, complex)
        self.origin = (whole.min(0) - n // 2) * self.pixel
        self.frequency = frequency / n

    def ramps(self, batch):
        """Fourier factors that move the probe by each position's fraction of a pixel."""
        y, x = (np.exp(-2j * np.pi * np.outer(self.fraction[batch, a], self.frequency)) for a in (0, 1))
        return y[:, :, None] * x[:, None, :]

    def step(self, batch, step_object, step_probe):
        """One batch; returns its Σ(|ψ̂| − √I)². A zero step_probe leaves the probe alone."""
        n = self.probe.shape[0]
        windows = [np.s_[y : y + n, x : x + n] for y, x in self.start[batch]]
        ramps = self.ramps(batch)
        probes = ifft2(fft2(self.probe) * ramps)
        objects = np.stack([self.object[w] for w in windows])
        waves = fft2(probes * objects)
        modulus = np.abs(waves)
        difference = self.amplitudes[batch] - modulus
        scale = np.divide(difference, modulus, out=np.zeros_like(modulus), where=modulus > 0)
        delta = ifft2(scale * waves)

        numerator, weight = np.zeros_like(self.object), np.zeros(self.object.shape)
        for window, probe, change in zip(windows, probes, delta):
            numerator[window] += probe.conj() * change
            weight[window] += np.abs(probe) ** 2
        self.object += step_object / weight.max() * numerator
        if step_probe:
            gradient = ifft2(np.sum(ramps.conj() * fft2(objects.conj() * delta), 0))
            self.probe += step_probe / np.sum(np.abs(objects) ** 2, 0).max() * gradient
        return float(np.sum(difference**2))


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="HDF5 file with one 4-D dataset (scan y, scan x, ky, kx)")
    parser.add_argument("--kV", type=float, required=True)
    parser.add_argument("--convergence-mrad", type=float, required=True)
    parser.add_argument("--defocus-A", type=float, default=0.0, help="positive is underfocus")
    parser.add_argument("--step-A", type=float, nargs="+", required=True, help="one number, or y and x")
    parser.add_argument("--mrad-per-px", type=float, required=True)
    parser.add_argument("--rotation-deg", type=float, default=0.0)
    parser.add_argument("--transpose", action="store_true")
    parser.add_argument("--centre-px", type=float, nargs=2, help="zero angle (ky, kx); N/2 unless told")
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--step-object", type=float, default=0.5)
    parser.add_argument("--step-probe", type=float, default=0.5)
    parser.add_argument("--probe-from", type=int, default=3, help="first iteration that refines the probe, from 1")
    parser.add_argument("--order", help=".npy (iterations, positions) of position numbers")
    parser.add_argument("--history", action="store_true", help="keep object and probe of every iteration")
    parser.add_argument("-o", "--output", required=True, help=".npz")
    args = parser.parse_args()

    shape, frames = read_frames(args.file)
    step_yx = args.step_A if len(args.step_A) == 2 else args.step_A * 2
    positions = scan_positions(shape, step_yx, args.rotation_deg, args.transpose)
    state = Epie(frames, positions, args)
    rng = np.random.default_rng(args.seed)
    given = np.load(args.order) if args.order else None
    orders, errors, objects, probes = [], [], [], []
    for iteration in range(args.iterations):
        began = time.perf_counter()
        order = rng.permutation(len(frames)) if given is None else given[iteration]
        step_probe = args.step_probe if iteration + 1 >= args.probe_from else 0.0
        batches = (order[b : b + args.batch] for b in range(0, len(order), args.batch))
        error = sum(state.step(batch, args.step_object, step_probe) for batch in batches)
        orders.append(order)
        errors.append(error / state.intensity)
        if args.history:
            objects.append(state.object.copy())
            probes.append(state.probe.copy())
        print(f"iteration {iteration + 1}/{args.iterations}  error {errors[-1]:.6f}  {time.perf_counter() - began:.2f} s", flush=True)
    history = {"objects": objects, "probes": probes} if args.history else {}
    np.savez(
        args.output, object=state.object, probe=state.probe, errors=errors, orders=orders,
        positions_A=positions, pixel_A=state.pixel, origin_yx_A=state.origin, **history,
    )


if __name__ == "__main__":
    main()
