#!/usr/bin/env python3
"""Reconstruct a simulated set with another program and score the phase against the truth.

    quality.py PEER SET --algorithm A --seed S --iterations 5,10,20 -o FOLDER
    quality.py --list                 every PEER, its algorithms and the sets
    quality.py --table FOLDER         what FOLDER/results.jsonl holds, as a Markdown table
    quality.py --best FOLDER          the best of all numbers of iterations, a row for each set
    quality.py --ceiling              what the truth itself comes to, at several resolutions
    quality.py --picture FOLDER RUN … the truth and the phases of runs, such as ronchi_staged_100_10000_0_20, beside each other

One line of JSON for each of the iterations is added to FOLDER/results.jsonl, out of one run that goes on; what the
file already holds is skipped, so that a campaign can be stopped and continued. The objects go to FOLDER/objects.
Peers get the true geometry (SETS); all else are their defaults and what their own examples and tutorials set:

py4dstem   0.14.18. Defaults but max_batch_size=32: gradient descent, step_size=0.5, normalization_min=1, probe
           refined from the first iteration. `gd` has the default object (complex), `potential` the one
           that its tutorial turns to (object_type="potential", positivity); both also with slices of about 10 Å
           (`multislice`, `multislice-potential`); `mixed` is complex with 3 probes.
phaser     0.3.1, JAX on the CPU. Engines after its examples, without position refinement (the positions are true) and
           without padding of the patterns: `epie` mos2_epie (groups of 16, steps 0.5, probe after iteration 5), `lsqml`
           the first engine of mos2_lsqml (groups of 256, steps 1), `gradient` mos2_grad (Adam, Poisson, groups of 128);
           `lsqml-multislice` and `gradient-multislice` si_lsqml and si_grad with slices of about 10 Å,
           `epie-multislice` epie with such slices; `…-mixed` with 3 probes where the examples have 4.
quantem    0.1.10, PtychoLite. `adam` is the quick path of its user guide: pure_phase, both learning rates 0.05,
           batch 125, plateau scheduler; `mixed` the same with 3 probes. `defaults`: complex, learning rates 0.005 and 0.001,
           batch 32. `multislice`: slices of about 10 Å, potential and padding 64 as the guide advises, the default rates.
ronchi     the binary of the environment variable RONCHI (target/release/ronchi), with the geometry above and defaults but for what RONCHI_WAYS says: one setting a
           way for all sets. `idpc` and `ssb` have no iterations; the others are run anew for each number of iterations.
           `epie` has nothing but defaults, `pure_phase` an object that absorbs nothing; all that follow have that, a probe of known intensity over the angles
           (fourier_amplitude) and a gentle low pass (order 2) at twice the convergence angle. `adam` is of Poisson's misfit, and so is `multislice`, with
           identical slices of about 20 Å. `staged` comes to such slices from two thick ones with twice the step, which have half of the iterations; its
           low pass ends at three times the convergence angle.
ptychi     2.2.0, not yet run through. `lsqml` as its getting-started page has it: batch 44, SGD with steps 1, Gaussian noise, without the
           position refinement and the modes that vary over the scan; `multislice` with slices of about 10 Å, `mixed` 3 probes.

Scores are those of score.py. The phase is the angle of the object, relative to the mean of the scanned field,
slices summed, not unwrapped; an object that is a potential is its own phase. Under `cut`, the same with each slice's
angle cut where the fewest pixels of the scanned field are, instead of half a turn from their mean. Times are medians
without the first iteration; those of the CPU hold on a busy machine too, for every peer is given one thread.
"""

import argparse
import json
import os
import sys
import time

for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR"):
    os.environ.setdefault(f"{name}_NUM_THREADS", "1")

import numpy as np  # noqa: E402  (after the number of threads)

import score  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.environ.get("DATA", os.path.join(HERE, "../../../shared/data/na3ni2sbo6"))

# kV, step (Å), convergence (mrad), defocus (Å, positive is underfocus), thickness (Å), rotation (°, as ronchi's), mrad/px
GEOMETRY = {
    "010": (300.0, 0.40, 25.0, -100.0, 50.0, 0.0, 0.98437444),
    "100": (200.0, 0.35, 21.4, 120.0, 80.0, -12.0, 1.25396702),
    "100thin": (300.0, 0.20, 25.0, 0.0, 10.6, 0.0, 0.98437444),
    "100focus": (300.0, 0.20, 25.0, 0.0, 53.0, 0.0, 0.98437444),
}
DOSES = {
    "010": (300, 1000, 3000, 10000, 100000),
    "100": (1000, 10000, 100000),
    "100thin": (1000, 5000, 1000000),
    "100focus": (1000, 10000, 1000000),
}
SETS = [f"{zone}_{dose}" for zone, doses in DOSES.items() for dose in doses]
BATCH, PROBES, SLICE_A = 32, 3, 10.0


class Set:
    """A data set: its files and its true geometry."""

    def __init__(self, name):
        self.name = name
        zone = name.split("_")[0]
        self.path = os.path.join(DATA, f"na3ni2sbo6_{name}.h5")
        self.truth = os.path.join(DATA, f"na3ni2sbo6_{zone}_truth.h5")
        (self.kV, self.step_A, self.mrad, self.defocus_A, self.thickness_A, self.rotation_deg, self.mrad_per_px) = GEOMETRY[zone]

    @property
    def slices(self):
        """Slices of about SLICE_A."""
        return max(1, round(self.thickness_A / SLICE_A))

    def frames(self, dtype="float32"):
        """The cube of counts, (y, x, ky, kx)."""
        import h5py

        with h5py.File(self.path) as f:
            return f["datacube_root/datacube/data"][()].astype(dtype)

    def shape(self, first=0):
        """Scan shape, (y, x); the frames' with first=2."""
        import h5py

        with h5py.File(self.path) as f:
            return f["datacube_root/datacube/data"].shape[first : first + 2]

    def positions(self):
        """Places (y, x) of the probe in Å in the detector's frame, position (0, 0) at the origin, (n, 2)."""
        i, j = np.meshgrid(*(np.arange(n) * self.step_A for n in self.shape()), indexing="ij")
        c, s = np.cos(np.deg2rad(self.rotation_deg)), np.sin(np.deg2rad(self.rotation_deg))
        return np.column_stack([(c * i - s * j).ravel(), (s * i + c * j).ravel()])


class Recorder:
    """Keeps the time of each iteration, and scores and writes the object after those that are wanted."""

    def __init__(self, args, data):
        self.args, self.data, self.seconds, self.cpu_seconds = args, data, [], []
        self.wanted = [n for n in args.iterations if key(args, n) not in done(args.folder)]
        self.last = max(self.wanted, default=0)
        self.settings, self.version = {}, ""

    def start(self):
        """The next iteration begins."""
        self.began, self.cpu_began = time.perf_counter(), time.process_time()

    def lap(self, get):
        """An iteration ended; get() gives the object ([slices,] y, x), pixel and origin (y, x) in Å."""
        self.seconds.append(time.perf_counter() - self.began)
        self.cpu_seconds.append(time.process_time() - self.cpu_began)
        if len(self.seconds) in self.wanted:
            self.write(len(self.seconds), *get())
        self.start()

    def write(self, iterations, array, pixel, origin):
        """Crop to the scanned field, score, add a line to the results."""
        array, pixel = np.asarray(array), np.broadcast_to(np.asarray(pixel, float), 2)
        at = (self.data.positions() - origin) / pixel
        low = np.maximum(np.floor(at.min(0)).astype(int), 0)
        high = np.minimum(np.ceil(at.max(0)).astype(int) + 1, array.shape[-2:])
        array = array[..., low[0] : high[0], low[1] : high[1]]
        array = array.astype("complex64" if np.iscomplexobj(array) else "float32")
        origin = np.asarray(origin, float) + low * pixel
        line = {
            "peer": self.args.peer,
            "version": self.version,
            "set": self.data.name,
            "algorithm": self.args.algorithm,
            "seed": self.args.seed,
            "iterations": iterations,
        }
        if np.all(np.isfinite(array)):
            line |= figures(score.score(phase(array), pixel, origin, self.data.truth))
            line["cut"] = figures(score.score(phase(array, cut=True), pixel, origin, self.data.truth))
        else:
            line["failed"] = "not finite"
        for name, laps in (("s_per_iteration", self.seconds), ("cpu_s_per_iteration", self.cpu_seconds)):
            line[name] = round(float(np.median(laps[1:] or laps)), 3)
        line["settings"] = self.settings
        name = "_".join(str(line[k]) for k in ("peer", "algorithm", "set", "seed", "iterations"))
        folder = os.path.join(self.args.folder, "objects")
        os.makedirs(folder, exist_ok=True)
        np.savez_compressed(os.path.join(folder, name), object=array, pixel_A=pixel, origin_yx_A=origin)
        add(self.args.folder, line)

    def fail(self, why):
        """Lines that say what stopped the run, for the iterations that it did not reach."""
        for n in self.wanted:
            if n > len(self.seconds):
                line = {"peer": self.args.peer, "version": self.version, "set": self.data.name, "algorithm": self.args.algorithm}
                add(self.args.folder, line | {"seed": self.args.seed, "iterations": n, "failed": why, "settings": self.settings})


def figures(result):
    """What is kept of a score, rounded."""
    kept = {k: round(result[k], 4) for k in ("r", "R2", "atoms_rms")}
    return kept | {"shift_yx_A": [round(s, 3) for s in result["shift_yx_A"]]}


def phase(array, cut=False):
    """Phase of the scanned field, slices summed."""
    if not np.iscomplexobj(array):
        return array.reshape(-1, *array.shape[-2:]).sum(0, dtype=float)
    total = 0.0
    for plane in array.reshape(-1, *array.shape[-2:]).astype(complex):
        angle = np.angle(plane * np.exp(-1j * np.angle(plane.mean())))
        if cut:
            # windows of 30° around each degree; the emptiest one, that nearest to half a turn among equals
            turn = np.bincount((np.rad2deg(angle) % 360).astype(int).ravel() % 360, minlength=360)
            around = sum(np.roll(turn, -k) for k in range(-15, 16))
            at = np.deg2rad(min(range(1, 360), key=lambda k: (around[k], abs(k - 180))))
            angle = (angle - at) % (2 * np.pi) + at - 2 * np.pi
        total = total + angle
    return total


def key(args, iterations):
    """What a line of the results is known by."""
    return (args.peer, args.set, args.algorithm, args.seed, iterations)


def lines(folder):
    """The lines of the results so far."""
    path = os.path.join(folder, "results.jsonl")
    if not os.path.exists(path):
        return []
    with open(path) as f:
        return [json.loads(line) for line in f if line.strip()]


def done(folder):
    """The keys of the results so far."""
    return {tuple(line[k] for k in ("peer", "set", "algorithm", "seed", "iterations")) for line in lines(folder)}


def add(folder, line):
    """Adds a line to the results."""
    with open(os.path.join(folder, "results.jsonl"), "a") as f:
        f.write(json.dumps(line) + "\n")
    print(json.dumps(line), flush=True)


def py4dstem(data, args, recorder):
    """py4DSTEM's SingleslicePtychography, MultislicePtychography and MixedstatePtychography."""
    import py4DSTEM
    from py4DSTEM.process.phase import mixedstate_ptychography, multislice_ptychography, singleslice_ptychography

    cube = py4DSTEM.DataCube(data.frames())
    for which, size, unit in (("R", data.step_A, "A"), ("Q", data.mrad_per_px, "mrad")):
        getattr(cube.calibration, f"set_{which}_pixel_size")(size)
        getattr(cube.calibration, f"set_{which}_pixel_units")(unit)
    module, engine, own = singleslice_ptychography, "SingleslicePtychography", {}
    if args.algorithm.startswith("multislice"):
        module, engine = multislice_ptychography, "MultislicePtychography"
        own = {"num_slices": data.slices, "slice_thicknesses": data.thickness_A / data.slices}
    elif args.algorithm == "mixed":
        module, engine = mixedstate_ptychography, "MixedstatePtychography"
        own = {"num_probes": PROBES}
    own["object_type"] = "potential" if args.algorithm.endswith("potential") else "complex"
    recorder.version = py4DSTEM.__version__
    recorder.settings = own | {"max_batch_size": BATCH}
    # the probes of `mixed` are told apart at random
    np.random.seed(args.seed)
    job = getattr(py4DSTEM.process.phase, engine)(
        datacube=cube,
        energy=data.kV * 1e3,
        semiangle_cutoff=data.mrad,
        defocus=data.defocus_A,
        device="cpu",
        verbose=False,
        **own,
    ).preprocess(
        plot_center_of_mass=False,
        plot_rotation=False,
        plot_probe_overlaps=False,
        force_com_rotation=-data.rotation_deg,
        force_com_transpose=False,
    )
    pixel = np.asarray(job.sampling)
    origin = -np.asarray(job._positions_px)[0] * pixel

    def watched(count, **_):
        """Stands where py4DSTEM has its progress bar."""
        for iteration in range(count):
            recorder.start()
            yield iteration
            recorder.lap(lambda: (job._object, pixel, origin))

    module.tqdmnd = watched
    job.reconstruct(num_iter=recorder.last, reset=True, max_batch_size=BATCH, seed_random=args.seed)


def phaser_engine(data, algorithm):
    """phaser's engine after its examples/: mos2_*.yaml, or for several slices si_*.yaml."""
    method, _, kind = algorithm.partition("-")
    several = kind == "multislice"
    aperture = {"type": "limit_probe_support", "max_angle": data.mrad + 1.0}
    if method == "epie":
        engine = {
            "type": "conventional",
            "grouping": 16,
            "noise_model": {"type": "amplitude", "eps": 0.1},
            "solver": {"type": "epie", "beta_object": 0.5, "beta_probe": 0.5},
            "group_constraints": [],
            "iter_constraints": [],
            "update_probe": {"after": 5},
        }
    elif method == "lsqml" and several:
        engine = {
            "type": "conventional",
            "grouping": 128,
            "bwlim_frac": 1.0,
            "noise_model": {"type": "amplitude", "eps": 1.0e-2},
            "solver": {
                "type": "lsqml",
                "beta_probe": 0.9,
                "beta_object": 0.9,
                "gamma": 1.0e-2,
                "illum_reg_object": 50.0,
                "illum_reg_probe": 0.1,
            },
            "group_constraints": [],
            "iter_constraints": [
                aperture,
                {"type": "layers", "sigma": 100.0, "weight": 0.3},
                {"type": "obj_low_pass", "max_freq": 0.4},
            ],
            "update_probe": {"after": 5},
        }
    elif method == "lsqml":
        engine = {
            "type": "conventional",
            "grouping": 256,
            "noise_model": {"type": "anscombe", "eps": 0.1},
            "solver": {
                "type": "lsqml",
                "beta_probe": 1.0,
                "beta_object": 1.0,
                "gamma": 1.0e-4,
                "illum_reg_object": 1.0e-2,
                "illum_reg_probe": 1.0e-2,
            },
            "group_constraints": [{"type": "clamp_object_amplitude", "amplitude": 1.1}],
            "iter_constraints": [],
            "update_probe": {"after": 5},
        }
    elif several:
        engine = {
            "type": "gradient",
            "grouping": 128,
            "bwlim_frac": 0.8,
            "noise_model": {"type": "poisson", "eps": 2.0},
            "solvers": {
                "object": {"type": "adam", "learning_rate": 5.0e-3, "nesterov": True},
                "probe": {"type": "adam", "learning_rate": 0.1, "nesterov": True},
            },
            "regularizers": [
                {"type": "obj_l2", "cost": 0.4},
                {"type": "obj_tikh", "cost": 0.2},
                {"type": "layers_tikh", "cost": 5.0e2},
            ],
            "iter_constraints": [aperture, {"type": "clamp_object_amplitude", "amplitude": 1.0}],
            "group_constraints": [],
            "update_probe": {"after": 5},
        }
    else:
        engine = {
            "type": "gradient",
            "grouping": 128,
            "noise_model": {"type": "poisson", "eps": 0.1},
            "solvers": {
                "object": {"type": "adam", "learning_rate": 1.0e-2, "nesterov": True},
                "probe": {"type": "adam", "learning_rate": 1.0e-2, "nesterov": True},
            },
            "regularizers": [{"type": "obj_l2", "cost": 1.0}, {"type": "obj_tikh", "cost": 5.0}],
            "iter_constraints": [aperture],
            "group_constraints": [],
            "update_probe": {"after": 2},
        }
    return engine | {"probe_modes": PROBES if kind == "mixed" else 1}


def phaser(data, args, recorder):
    """phaser's engines, through its own plan; its engine is called here, for execute_plan gives it no seed."""
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    import logging

    from phaser import execute
    from phaser.observer import Observer
    from phaser.plan import ReconsPlan
    from phaser.state import IterState
    from phaser.utils.num import get_array_module, to_numpy
    from phaser.version import version_info

    logging.basicConfig(level=logging.WARNING)
    engine = phaser_engine(data, args.algorithm)
    recorder.version = str(version_info())
    recorder.settings = engine
    slices = {"slices": {"n": data.slices, "total_thickness": data.thickness_A}} if args.algorithm.endswith("multislice") else {}

    class Watch(Observer):
        """Tells the recorder of each iteration."""

        def start_engine(self, init_state):
            recorder.start()

        def update_iteration(self, state, i, n, errors):
            def get():
                grid = state.object.sampling
                first = np.asarray(to_numpy(state.scan.initial)).reshape(-1, 2)[0]
                # the probe's centre is its pixel N/2, and that of the cut-out (N-1)/2
                return to_numpy(state.object.data), grid.sampling, np.asarray(grid.corner) - first - grid.sampling / 2

            recorder.lap(get)

    plan = ReconsPlan.from_data(
        {
            "name": "quality",
            "backend": os.environ.get("PHASER_BACKEND", "jax"),
            "raw_data": {
                "type": "manual",
                "path": data.path,
                "key": "datacube_root/datacube/data",
                "diff_step": data.mrad_per_px,
                "kv": data.kV,
            },
            "init": {
                "probe": {"type": "focused", "conv_angle": data.mrad, "defocus": -data.defocus_A},
                "scan": {
                    "type": "raster",
                    "shape": list(data.shape()),
                    "step_size": data.step_A,
                    "rotation": data.rotation_deg,
                },
            },
            **slices,
            "engines": [engine | {"niter": recorder.last}],
        }
    )
    recons = execute.initialize_reconstruction(plan, seed=args.seed, override_observers=Watch())
    hook = plan.engines[0]
    xp = get_array_module(recons.state.object.data, recons.state.probe.data)
    patterns, state = execute.prepare_for_engine(recons.patterns, recons.state, xp, hook.props)
    state.iter = IterState(engine_num=1, engine_iter=0, n_engine_iters=recorder.last, total_iter=0, n_total_iters=recorder.last)
    hook(
        {
            "data": patterns,
            "state": state,
            "dtype": patterns.patterns.dtype.type,
            "xp": xp,
            "recons_name": "quality",
            "observer": recons.observer,
            "seed": args.seed,
        }
    )


def quantem(data, args, recorder):
    """quantem's PtychoLite."""
    import quantem as package
    import torch
    from quantem.core.datastructures import Dataset4dstem
    from quantem.diffractive_imaging import PtychoLite, PtychographyDatasetRaster
    from quantem.diffractive_imaging import ptychography as module

    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    settings, steps = quantem_settings(data, args.algorithm)
    recorder.version = package.__version__
    recorder.settings = settings | steps
    # 1/Å a pixel
    wavelength_A = 12.3984198 / (data.kV * (2 * 510.99895 + data.kV)) ** 0.5
    dk = data.mrad_per_px * 1e-3 / wavelength_A
    cube = Dataset4dstem.from_array(
        data.frames(), sampling=(data.step_A, data.step_A, dk, dk), units=("A", "A", "A^-1", "A^-1"), name=data.name
    )
    frames = PtychographyDatasetRaster.from_dataset4dstem(cube, verbose=False)
    frames.preprocess(
        com_fit_function="constant",
        plot_rotation=False,
        plot_com=False,
        force_com_rotation=-data.rotation_deg,
        force_com_transpose=False,
    )
    job = PtychoLite.from_dataset(
        dset=frames,
        energy=data.kV * 1e3,
        defocus=data.defocus_A,
        semiangle_cutoff=data.mrad,
        device="cpu",
        verbose=False,
        rng=args.seed,
        **settings,
    )
    pixel = np.asarray(frames.obj_sampling, float)
    origin = -frames.scan_positions_px.detach().numpy()[0] * pixel

    class Watch:
        """Stands where quantem has its progress bar."""

        def __init__(self, every, **_):
            self.every = every

        def __iter__(self):
            for iteration in self.every:
                recorder.start()
                yield iteration
                recorder.lap(lambda: (job.obj_model.obj.detach().cpu().numpy(), pixel, origin))

        def set_description(self, *_):
            """Nothing is shown."""

    module.tqdm = Watch
    job.reconstruct(num_iters=recorder.last, reset=True, verbose=False, **steps)


def quantem_settings(data, algorithm):
    """What from_dataset and reconstruct are given."""
    settings = {"obj_type": "pure_phase", "obj_padding_px": (32, 32), "num_slices": 1, "num_probes": 1}
    steps = {"lr_obj": 5e-2, "lr_probe": 5e-2, "batch_size": 125, "scheduler_type": "plateau"}
    if algorithm == "mixed":
        settings["num_probes"] = PROBES
    elif algorithm == "defaults":
        settings["obj_type"] = "complex"
        steps = {"batch_size": BATCH}
    elif algorithm == "multislice":
        thickness = data.thickness_A / data.slices
        settings |= {"obj_type": "potential", "obj_padding_px": (64, 64), "num_slices": data.slices, "slice_thicknesses": thickness}
        steps = {"batch_size": 125, "scheduler_type": "plateau"}
    return settings, steps


def ptychi(data, args, recorder):
    """pty-chi's LSQML."""
    from importlib.metadata import version

    import ptychi.api as api
    import torch
    from ptychi.api.task import PtychographyTask
    from ptychi.utils import get_suggested_object_size, orthogonalize_initial_probe, rescale_probe

    torch.set_num_threads(1)
    torch.set_default_device("cpu")
    torch.manual_seed(args.seed)
    frames = data.frames()
    n = frames.shape[-1]
    frames = frames.reshape(-1, n, n)
    wavelength_A = 12.3984198 / (data.kV * (2 * 510.99895 + data.kV)) ** 0.5
    pixel = wavelength_A / (n * data.mrad_per_px * 1e-3)
    # the aperture with its defocus, in real space with its centre at pixel N/2
    theta = np.hypot(*np.meshgrid(*[np.fft.fftfreq(n, 1 / n) * data.mrad_per_px * 1e-3] * 2, indexing="ij"))
    spectrum = (theta <= data.mrad * 1e-3) * np.exp(1j * np.pi / wavelength_A * theta**2 * data.defocus_A)
    modes = PROBES if args.algorithm == "mixed" else 1
    probe = np.zeros((1, modes, n, n), "complex64")
    probe[0, 0] = np.fft.fftshift(np.fft.ifft2(spectrum))
    probe = torch.from_numpy(probe)
    if modes > 1:
        probe = orthogonalize_initial_probe(probe)
    probe = torch.as_tensor(rescale_probe(probe, torch.from_numpy(frames))).to(torch.complex64)
    positions = data.positions() / pixel
    positions -= (positions.min(0) + positions.max(0)) / 2

    options = api.LSQMLOptions()
    slices = data.slices if args.algorithm == "multislice" else 1
    options.data_options.wavelength_m = wavelength_A * 1e-10
    guess = torch.ones((slices, *get_suggested_object_size(positions, (n, n), extra=100)), dtype=torch.complex64)
    if slices > 1:
        options.object_options.slice_spacings_m = np.full(slices - 1, data.thickness_A / slices * 1e-10)
    options.object_options.pixel_size_m = pixel * 1e-10
    for part in (options.object_options, options.probe_options):
        part.optimizable, part.optimizer, part.step_size = True, api.Optimizers.SGD, 1
    options.probe_position_options.optimizable = False
    steps = options.reconstructor_options
    steps.batch_size, steps.noise_model, steps.num_epochs = 44, api.NoiseModels.GAUSSIAN, recorder.last
    steps.default_device, steps.random_seed = api.Devices.CPU, args.seed
    recorder.version = version("ptychi")
    recorder.settings = {"batch_size": 44, "step_size": 1, "slices": slices, "probes": modes}
    task = PtychographyTask(
        options,
        diffraction_data=frames,
        object_data=guess,
        probe_data=probe,
        probe_position_x_px=positions[:, 1],
        probe_position_y_px=positions[:, 0],
    )

    def get():
        # the middle of a cut-out is (N-1)/2, the probe's centre pixel N/2
        centre = task.reconstructor.parameter_group.object.pos_origin_coords.cpu().numpy()
        return task.get_data_to_cpu("object", as_numpy=True), pixel, -(centre + positions[0] + 0.5) * pixel

    recorder.start()
    for _ in range(recorder.last):
        task.run(1)
        recorder.lap(get)


SMOOTH = ("pure_phase", "fourier_amplitude", "low_pass")
IDENTICAL = (*SMOOTH, "identical_slices")
ADAM = {"algorithm": "adam", "likelihood": "poisson"}
# Keys of [ptychography]; `slices` stands for the set's own number, and `staged` for the two stages that lead to it.
RONCHI_WAYS = {
    "idpc": {},
    "ssb": {},
    "epie": {},
    "pure_phase": {"constraints": ("pure_phase",)},
    "smooth": {"constraints": SMOOTH},
    "lsq_ml": {"constraints": SMOOTH, "algorithm": "lsq_ml"},
    "mixed": {"constraints": SMOOTH, "probe_modes": PROBES},
    "adam": {"constraints": SMOOTH} | ADAM,
    "multislice": {"constraints": IDENTICAL, "slices": None} | ADAM,
    "staged": {"constraints": IDENTICAL, "staged": None} | ADAM,
}


def constraints(data, kinds, angles=2):
    """The value of ptychography.constraints; a low pass is at so many convergence angles: 2 is the largest between two rays of the probe."""
    wavelength_A = 12.3984198 / (data.kV * (2 * 510.99895 + data.kV)) ** 0.5
    cutoff = angles * 1e-3 * data.mrad / wavelength_A
    tables = (f'{{kind="{kind}"' + (f", cutoff_inverse_A={cutoff:.3f}, order=2" if kind == "low_pass" else "") + "}" for kind in kinds)
    return f"[{', '.join(tables)}]"


def sliced(data, count):
    """The keys of so many slices, all of one thickness."""
    return {"slices": count, "slice_thickness_A": data.thickness_A / count}


def stages(data, kinds, iterations):
    """The value of ptychography.stages: from two thick slices with long steps to slices of about 20 Å."""
    rough = {"name": '"thick"', "iterations": iterations // 2, "step_object": 0.1, "step_end": 0.5}
    fine = {"name": '"thin"', "iterations": iterations - iterations // 2, "constraints": constraints(data, kinds, angles=3)}
    fine |= sliced(data, fine_slices(data))
    tables = ("{" + ", ".join(f"{key}={value}" for key, value in stage.items()) + "}" for stage in (rough, fine))
    return f"[{', '.join(tables)}]"


def fine_slices(data):
    """Slices of about 20 Å, but two at least."""
    return max(2, round(data.thickness_A / (2 * SLICE_A)))


def ronchi(data, args, recorder):
    """ronchi's images and reconstructions."""
    import subprocess
    import tempfile

    import h5py

    program = os.environ.get("RONCHI", os.path.join(HERE, "../../target/release/ronchi"))
    recorder.version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    recorder.settings = RONCHI_WAYS[args.algorithm]
    centre = [n // 2 for n in data.shape(first=2)]
    common = {
        "optics.voltage_kV": data.kV,
        "optics.convergence_mrad": data.mrad,
        "optics.defocus_A": data.defocus_A,
        "scan.step_A": data.step_A,
        "scan.rotation_deg": data.rotation_deg,
        "detector.mrad_per_px": data.mrad_per_px,
        "detector.centre_px": centre,
        "output.png": "false",
        "compute.device": '"cpu"',
        "compute.threads": 1,
    }
    direct = args.algorithm in ("idpc", "ssb")
    for iterations in [0] if direct else recorder.wanted:
        keys = dict(common)
        if not direct:
            keys |= {"ptychography.iterations": iterations, "ptychography.seed": args.seed}
            for name, value in recorder.settings.items():
                if name == "slices":
                    keys |= {f"ptychography.{key}": value for key, value in sliced(data, fine_slices(data)).items()}
                elif name == "staged":
                    keys |= {f"ptychography.{key}": value for key, value in sliced(data, 2).items()}
                    keys["ptychography.stages"] = stages(data, recorder.settings["constraints"], iterations)
                elif name == "constraints":
                    keys["ptychography.constraints"] = constraints(data, value)
                else:
                    keys[f"ptychography.{name}"] = f'"{value}"' if isinstance(value, str) else value
        sets = [f"{key}={value}" for key, value in keys.items()]
        with tempfile.TemporaryDirectory() as folder:
            job, result = os.path.join(folder, "job.toml"), os.path.join(folder, "result.emd")
            with open(job, "w") as f:
                f.write(f'[data]\npath = "{data.path}"\n[ptychography]\n')
            verb = ["image", data.path, "-d", args.algorithm] if direct else ["reconstruct", job]
            command = [program, *verb, "-o", result] + [part for one in sets for part in ("--set", one)]
            recorder.start()
            done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"RAYON_NUM_THREADS": "1"})
            if done.returncode != 0:
                raise RuntimeError(done.stderr.strip()[-250:])
            if direct:
                recorder.seconds = recorder.cpu_seconds = [time.perf_counter() - recorder.began]
                for n in recorder.wanted:
                    recorder.write(n, *along_detector(result, args.algorithm, data))
                return
            with h5py.File(result) as f:
                recorder.seconds = json.loads(f["ronchi/run"].attrs["timings"])["iterations_s"]
            recorder.cpu_seconds = recorder.seconds
            recorder.write(iterations, *score.load_phase(result))


def along_detector(result, name, data):
    """An image along the scan, resampled along the detector's axes: phase, pixel and origin (y, x) in Å."""
    import h5py
    from scipy.ndimage import map_coordinates

    with h5py.File(result) as f:
        group = f[f"ronchi/images/{name}"]
        image, axes = group["data"][()].astype(float), [group[f"dim{a}"][:2] for a in (0, 1)]
    pixel, first = np.array([a[1] - a[0] for a in axes]), np.array([a[0] for a in axes])
    places = data.positions()
    low, fine = places.min(0), pixel.min() / 2
    shape = np.ceil((places.max(0) - low) / fine).astype(int) + 1
    grid = np.moveaxis(np.indices(shape), 0, -1) * fine + low
    c, s = np.cos(np.deg2rad(data.rotation_deg)), np.sin(np.deg2rad(data.rotation_deg))
    scan = np.stack([c * grid[..., 0] + s * grid[..., 1], -s * grid[..., 0] + c * grid[..., 1]])
    at = (scan - first[:, None, None]) / pixel[:, None, None]
    return map_coordinates(image, at, order=3, mode="nearest"), np.array([fine, fine]), low


PEERS = {
    "ronchi": (ronchi, tuple(RONCHI_WAYS)),
    "py4dstem": (py4dstem, ("gd", "potential", "multislice", "multislice-potential", "mixed")),
    "phaser": (
        phaser,
        tuple(method + kind for kind in ("", "-multislice", "-mixed") for method in ("epie", "lsqml", "gradient")),
    ),
    "quantem": (quantem, ("adam", "defaults", "multislice", "mixed")),
    "ptychi": (ptychi, ("lsqml", "multislice", "mixed")),
}


def table(folder):
    """Markdown: one row for each peer, algorithm and set, means over the seeds at the last iteration; r, R², error in atoms."""
    rows = {}
    for line in lines(folder):
        rows.setdefault((line["peer"], line["algorithm"], line["set"]), {}).setdefault(line["iterations"], []).append(line)
    counts = sorted({n for row in rows.values() for n in row})
    print("| peer | algorithm | set | " + " | ".join(f"{n} iterations: r, R², error in atoms" for n in counts) + " | seeds | CPU s/iteration |")
    print("|---" * (len(counts) + 5) + "|")
    for (peer, algorithm, name), row in sorted(rows.items(), key=lambda item: (SETS.index(item[0][2]), item[0])):
        cells = []
        for n in counts:
            good = [line for line in row.get(n, []) if "r" in line]
            mean = ["{:.3f}".format(np.mean([line[k] for line in good])) for k in ("r", "R2", "atoms_rms")] if good else []
            cells.append(", ".join(mean) or ("failed" if row.get(n) else ""))
        every = [line for found in row.values() for line in found]
        seconds = [line["cpu_s_per_iteration"] for line in every if "cpu_s_per_iteration" in line]
        speed = f"{np.median(seconds):.1f}" if seconds else ""
        print(f"| {peer} | {algorithm} | {name} | {' | '.join(cells)} | {len({line['seed'] for line in every})} | {speed} |")


def best(folder):
    """Markdown: a row for each set and score, a column for each peer and algorithm: the best of all iterations and of both ways to cut the phase, mean over seeds."""
    found = {}
    for line in lines(folder):
        for way in (line, line.get("cut", {})):
            for score_of, better in (("r", max), ("R2", max), ("atoms_rms", min)):
                if score_of in way:
                    seeds = found.setdefault((line["set"], score_of), {}).setdefault((line["peer"], line["algorithm"]), {})
                    seeds[line["seed"]] = better(seeds.get(line["seed"], way[score_of]), way[score_of])
    ways = sorted({way for row in found.values() for way in row}, key=lambda way: (list(PEERS).index(way[0]), way[1]))
    print("| set | score | " + " | ".join(" ".join(way) for way in ways) + " |")
    print("|---" * (len(ways) + 2) + "|")
    for (name, score_of), row in sorted(found.items(), key=lambda item: (SETS.index(item[0][0]), ("r", "R2", "atoms_rms").index(item[0][1]))):
        title = {"r": "r", "R2": "R²", "atoms_rms": "error in atoms"}[score_of]
        cells = [spread(list(row[way].values())) if way in row else "" for way in ways]
        print(f"| `_{name}` | {title} | {' | '.join(cells)} |")


def spread(values):
    """Mean, and in brackets the standard deviation of several seeds in its last digit."""
    mean = f"{np.mean(values):.3f}"
    return f"{mean}({1e3 * np.std(values, ddof=1):.0f})" if len(values) > 1 else mean


def ceiling():
    """Markdown: the scores of the truth's own potential, as a perfect phase would have them at several resolutions."""
    import h5py

    print("| set | as it is: r, R², error in atoms | order 2 at 2α | order 2 at 3α | blurred by 0.35 Å |")
    print("|---" * 5 + "|")
    for zone in GEOMETRY:
        data = Set(f"{zone}_{DOSES[zone][0]}")
        with h5py.File(data.truth) as f:
            pixel = json.loads(f.attrs["parameters"])["potential_sampling_A"]
            potential, first = f["projected_potential"][()].astype(float), f["positions_yx"][0]
        k = np.hypot(*np.meshgrid(*[np.fft.fftfreq(n, pixel) for n in potential.shape], indexing="ij"))
        wavelength_A = 12.3984198 / (data.kV * (2 * 510.99895 + data.kV)) ** 0.5
        angle = 1e-3 * data.mrad / wavelength_A
        cells = []
        for damping in (1.0, *(1 / (1 + (k / (n * angle)) ** 4) for n in (2, 3)), np.exp(-2 * (np.pi * k * score.BLUR_A) ** 2)):
            image = np.fft.ifft2(np.fft.fft2(potential) * damping).real
            found = score.score(image, np.array([pixel, pixel]), -first, data.truth)
            cells.append(", ".join(f"{found[key]:.3f}" for key in ("r", "R2", "atoms_rms")))
        print(f"| `_{zone}` | {' | '.join(cells)} |")


def picture(folder, runs):
    """FOLDER/phases.png: the truth's potential, blurred as for r, and the phases of FOLDER/objects/RUN.npz over the same field."""
    import h5py
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from scipy.ndimage import gaussian_filter, map_coordinates

    data = Set(next(name for name in sorted(SETS, key=len, reverse=True) if f"_{name}_" in runs[0]))
    with h5py.File(data.truth) as f:
        pixel = json.loads(f.attrs["parameters"])["potential_sampling_A"]
        potential, places = f["projected_potential"][()].astype(float), f["positions_yx"][()]
    low, high = places.min(0), places.max(0)
    grid = np.stack(np.meshgrid(*(np.arange(a, b, pixel / 2) for a, b in zip(low, high)), indexing="ij"))
    images = [("truth", map_coordinates(gaussian_filter(potential, score.BLUR_A / pixel, mode="wrap"), grid / pixel))]
    for run in runs:
        with np.load(os.path.join(folder, "objects", f"{run}.npz")) as f:
            array, size, origin = phase(f["object"]), f["pixel_A"], f["origin_yx_A"]
        at = (grid - (places[0] + origin)[:, None, None]) / size[:, None, None]
        images.append((run.split(f"_{data.name}_")[0], map_coordinates(array, at, mode="nearest")))
    rows = -(-len(images) // 3)
    figure, axes = plt.subplots(rows, 3, figsize=(9, 3.2 * rows), layout="constrained")
    for axis in axes.flat:
        axis.axis("off")
    for axis, (title, image) in zip(axes.flat, images):
        axis.imshow(image, cmap="gray", extent=(low[1], high[1], high[0], low[0]), vmin=image.min(), vmax=np.quantile(image, 0.999))
        axis.plot([low[1] + 1, low[1] + 6], [high[0] - 1] * 2, "w", lw=3)
        axis.text(low[1] + 3.5, high[0] - 1.4, "5 Å", color="w", ha="center")
        axis.set_title(title.replace("_", " "), fontsize=10)
    figure.savefig(os.path.join(folder, "phases.png"), dpi=100)


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", nargs="?", choices=list(PEERS))
    parser.add_argument("set", nargs="?", choices=SETS)
    parser.add_argument("--algorithm", help="by default the peer's first")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--iterations", type=lambda s: [int(n) for n in s.split(",")], default=[5, 10, 20])
    parser.add_argument("-o", "--folder")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--table", metavar="FOLDER")
    parser.add_argument("--best", metavar="FOLDER")
    parser.add_argument("--ceiling", action="store_true")
    parser.add_argument("--picture", metavar=("FOLDER", "RUN"), nargs="+")
    args = parser.parse_args()
    if args.list:
        for peer, (_, algorithms) in PEERS.items():
            print(peer, *algorithms)
        print("sets", *SETS)
        return
    if args.table:
        table(args.table)
        return
    if args.best:
        best(args.best)
        return
    if args.picture:
        picture(args.picture[0], args.picture[1:])
        return
    if args.ceiling:
        ceiling()
        return
    if not (args.peer and args.set and args.folder):
        parser.error("PEER, SET and -o are needed")
    reconstruct, algorithms = PEERS[args.peer]
    args.algorithm = args.algorithm or algorithms[0]
    if args.algorithm not in algorithms:
        parser.error(f"{args.peer} has {', '.join(algorithms)}")
    os.makedirs(args.folder, exist_ok=True)
    data = Set(args.set)
    recorder = Recorder(args, data)
    if not recorder.wanted:
        return
    try:
        reconstruct(data, args, recorder)
    except Exception as error:
        recorder.fail(f"{type(error).__name__}: {error}"[:300])
        raise
    finally:
        sys.stdout.flush()


if __name__ == "__main__":
    main()
