#!/usr/bin/env python3
"""Time ptychography on the CPU, cell by cell (modes, slices, batch), with ronchi and with its peers.

    ptycho_speed.py PROGRAM --modes 1 --slices 1 --batch 32 [--rows 60]    one cell, one line of JSON
    ptycho_speed.py --all OUT.jsonl        every cell with every program, turn about, and then the table
    ptycho_speed.py --table OUT.jsonl      what OUT.jsonl holds, as a Markdown table

--all adds its lines to OUT.jsonl and skips what is there (without --again, failures too), so it can be stopped and called
again. It takes the interpreters from the environment variables PY4DSTEM, PHASER, QUANTEM and PTYCHI (a peer whose
variable is not set is left out), ronchi from RONCHI (by default target/release/ronchi) and the data from the folder DATA.
In each cell ronchi runs first and last, the peers between.

All get the same patterns in single precision at the true geometry of the simulated set, the same batch, slices that
share its 50 Å, and as many threads and cores. Object (complex) and probe are both updated in every iteration (`moved` is by
how much, relative), positions are not, nothing is regularised. Each adds up its own error. The rules:

ronchi        ePIE, steps 0.5, amplitudes; through the binary, by the times of iterations in its result
py4dstem      its gradient descent, step_size 0.5, normalization_min 1: ePIE's direction over the batch,
              divided by the largest power summed up on a pixel
phaser-numpy, phaser-jax
              ePIE of the conventional engine, steps 0.5, amplitudes; its default calculates the error of a tenth of the groups
quantem       Adam on automatic gradients, PtychoLite, learning rates 0.005 and 0.001, padding 32
ptychi        ePIE, SGD with steps 0.5

The first iteration warms up (JAX compiles there) and is left out. A run stops after --timed further ones, or after two
if --budget seconds are over since the first began, or after one if twice that; beyond --limit seconds --all ends it.
Where an iteration over the whole scan would be too long only some rows of the scan are taken (ROWS), the same ones for
every program. They lie spread evenly over the field, so that the object keeps its size, and their time is scaled by the
number of positions: `~` in the table. Work that is done once an iteration and not once a batch counts too much there.

Nothing else may run meanwhile: where one of two threads waits for its core, PyTorch becomes up to ten times slower.
`others` tells how many cores other processes had (Linux only).
"""

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SET = "010_100000"
PROGRAMS = ("ronchi", "py4dstem", "phaser-numpy", "phaser-jax", "quantem", "ptychi")
CELLS = [(modes, slices, batch) for slices in (1, 6) for modes in (1, 4) for batch in (1, 32, 256)]
# rows of the scan for (modes, slices): at a batch of 1, of 32, of 256; the last batch should be full or small
ROWS = {(1, 1): (5, 60, 60), (4, 1): (3, 6, 9), (1, 6): (3, 6, 9), (4, 6): (2, 3, 5)}


def rows_of(modes, slices, batch):
    """Rows of the scan that a cell is timed on by default."""
    small, middle, large = ROWS.get((modes, slices), ROWS[4, 6])
    return small if batch < 8 else middle if batch < 128 else large


class Enough(Exception):
    """Ends a reconstruction that has been timed."""


class Clock:
    """Reads the time of each iteration and says when there are enough."""

    def __init__(self, args):
        self.args, self.seconds, self.began = args, [], None
        self.most = 1 + args.timed

    def start(self):
        """The next iteration begins."""
        self.began = time.perf_counter()

    def lap(self):
        """An iteration ended, the next begins; whether it is one too many."""
        self.seconds.append(time.perf_counter() - self.began)
        self.start()
        timed, over = len(self.seconds) - 1, sum(self.seconds) / self.args.budget
        return timed >= self.args.timed or (timed >= 2 and over >= 1) or (timed >= 1 and over >= 2)

    def watched(self, every):
        """The iterations, for a loop that is not ours."""
        for iteration in every:
            self.start()
            yield iteration
            if self.lap():
                return


def read(args):
    """The set with the rows of args only: its step is (y, x) in Å, and `file` makes a file of these rows."""
    import h5py
    import numpy as np
    import quality

    class Rows(quality.Set):
        """Rows of a set, evenly spread."""

        def __init__(self):
            super().__init__(SET)
            all_rows = super().shape()[0]
            self.stride = (all_rows - 1) // (args.rows - 1) if args.rows > 1 else 1
            self.step_yx_A = (self.step_A * self.stride, self.step_A)
            self.whole = all_rows * super().shape()[1]

        def counts(self):
            """The cube (y, x, ky, kx) as it is stored."""
            with h5py.File(self.path) as f:
                return f["datacube_root/datacube/data"][()][:: self.stride][: args.rows]

        def frames(self, dtype="float32"):
            return self.counts().astype(dtype)

        def shape(self):
            return (args.rows, super().shape()[1])

        def positions(self):
            i, j = np.meshgrid(*(np.arange(n) * step for n, step in zip(self.shape(), self.step_yx_A)), indexing="ij")
            return np.column_stack([i.ravel(), j.ravel()])

        def file(self, folder):
            """A file with these rows, its dataset is /frames."""
            path = os.path.join(folder, "rows.h5")
            with h5py.File(path, "w") as f:
                f["frames"] = self.counts()
            return path

    return Rows()


class Others:
    """How many cores processes other than this one and its children use on the mean."""

    def __init__(self):
        self.began = self.now()

    @staticmethod
    def now():
        """Seconds on the clock, of all cores at work, and of our own."""
        try:
            with open("/proc/stat") as f:
                user, nice, system, _, _, irq, softirq, steal = (int(n) for n in f.readline().split()[1:9])
        except OSError:
            return None
        busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
        return time.monotonic(), busy, sum(os.times()[:4])

    def cores(self):
        """Since the beginning."""
        if self.began is None:
            return None
        clock, busy, own = (b - a for a, b in zip(self.began, self.now()))
        return round(max(0.0, (busy - own) / clock), 2)


def change(before, after):
    """The relative change of an array: that it was updated."""
    import numpy as np

    before, after = np.asarray(before), np.asarray(after)
    return float(np.linalg.norm(after - before) / np.linalg.norm(before))


def ronchi(args, clock):
    """ronchi's ePIE through its binary."""
    import h5py

    binary = os.environ.get("RONCHI", os.path.join(HERE, "../../target/release/ronchi"))
    data = read(args)
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "data": {"path": data.file(folder), "dataset": "/frames"},
            "optics": {"voltage_kV": data.kV, "convergence_mrad": data.mrad, "defocus_A": data.defocus_A},
            "scan": {"step_A": list(data.step_yx_A), "rotation_deg": data.rotation_deg, "transpose": False},
            "detector": {"mrad_per_px": data.mrad_per_px},
            "ptychography": {
                "algorithm": "epie",
                "iterations": clock.most,
                "batch": args.batch,
                "step_object": 0.5,
                "step_probe": 0.5,
                "probe_from": 1,
                "seed": 0,
                "probe_modes": args.modes,
                "slices": args.slices,
            },
            "output": {"png": False, "checkpoint_every": 0},
            "compute": {"device": "cpu", "threads": args.threads},
        }
        if args.slices > 1:
            settings["ptychography"]["slice_thickness_A"] = data.thickness_A / args.slices
        job, result = os.path.join(folder, "job.toml"), os.path.join(folder, "result.emd")
        with open(job, "w") as f:
            for section, keys in settings.items():
                f.write(f"[{section}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items()))
        done = subprocess.run([binary, "reconstruct", job, "-o", result, "-q", "--force"], capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr.strip())
        with h5py.File(result) as f:
            clock.seconds = json.loads(f["ronchi/run"].attrs["timings"])["iterations_s"]
    version = subprocess.run([binary, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    return version, "ePIE", {}


def py4dstem(args, clock):
    """py4DSTEM's gradient descent."""
    import numpy as np
    import py4DSTEM
    from py4DSTEM.process.phase import (
        mixedstate_multislice_ptychography,
        mixedstate_ptychography,
        multislice_ptychography,
        singleslice_ptychography,
    )

    data = read(args)
    cube = py4DSTEM.DataCube(data.frames())
    for which, size, unit in (("R", data.step_A, "A"), ("Q", data.mrad_per_px, "mrad")):
        getattr(cube.calibration, f"set_{which}_pixel_size")(size)
        getattr(cube.calibration, f"set_{which}_pixel_units")(unit)
    module, engine = {
        (False, False): (singleslice_ptychography, "SingleslicePtychography"),
        (False, True): (multislice_ptychography, "MultislicePtychography"),
        (True, False): (mixedstate_ptychography, "MixedstatePtychography"),
        (True, True): (mixedstate_multislice_ptychography, "MixedstateMultislicePtychography"),
    }[args.modes > 1, args.slices > 1]
    own = {"num_probes": args.modes} if args.modes > 1 else {}
    if args.slices > 1:
        own |= {"num_slices": args.slices, "slice_thicknesses": data.thickness_A / args.slices}
    np.random.seed(0)
    job = getattr(py4DSTEM.process.phase, engine)(
        datacube=cube,
        energy=data.kV * 1e3,
        semiangle_cutoff=data.mrad,
        defocus=data.defocus_A,
        initial_scan_positions=data.positions(),
        object_type="complex",
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
    before = [np.array(a) for a in (job._object, job._probe)]
    module.tqdmnd = lambda count, **_: clock.watched(range(count))
    job.reconstruct(
        num_iter=clock.most,
        reset=True,
        max_batch_size=args.batch,
        seed_random=0,
        step_size=0.5,
        normalization_min=1.0,
        gaussian_filter=False,
    )
    moved = [change(*pair) for pair in zip(before, (job._object, job._probe))]
    return f"py4DSTEM {py4DSTEM.__version__}", "gradient descent", {"moved": moved}


def phaser(args, clock):
    """phaser's ePIE with NumPy or JAX; its engine is called here, for execute_plan gives it no seed."""
    import logging

    import numpy as np
    from phaser import execute
    from phaser.observer import Observer
    from phaser.plan import ReconsPlan
    from phaser.state import IterState
    from phaser.utils.num import get_array_module, to_numpy
    from phaser.version import version_info

    logging.basicConfig(level=logging.WARNING)
    data = read(args)
    both = {}

    class Watch(Observer):
        """Reads the clock at each iteration, when its work is done."""

        def start_engine(self, init_state):
            # the probe has been scaled to the patterns
            both["before"] = [np.array(to_numpy(part.data)) for part in (init_state.object, init_state.probe)]
            clock.start()

        def update_iteration(self, state, i, n, errors):
            # JAX gives back arrays that it may still be working at
            both["after"] = [np.array(to_numpy(part.data)) for part in (state.object, state.probe)]
            if clock.lap():
                raise Enough

    with tempfile.TemporaryDirectory() as folder:
        plan = ReconsPlan.from_data(
            {
                "name": "speed",
                "backend": args.program.split("-")[1],
                "raw_data": {
                    "type": "manual",
                    "path": data.file(folder),
                    "key": "frames",
                    "diff_step": data.mrad_per_px,
                    "kv": data.kV,
                },
                "init": {
                    "probe": {"type": "focused", "conv_angle": data.mrad, "defocus": -data.defocus_A},
                    "scan": {"type": "raster", "shape": list(data.shape()), "step_size": list(data.step_yx_A)},
                },
                **({"slices": {"n": args.slices, "total_thickness": data.thickness_A}} if args.slices > 1 else {}),
                "engines": [
                    {
                        "type": "conventional",
                        "grouping": args.batch,
                        "probe_modes": args.modes,
                        "noise_model": {"type": "amplitude", "eps": 0.1},
                        "solver": {"type": "epie", "beta_object": 0.5, "beta_probe": 0.5},
                        "group_constraints": [],
                        "iter_constraints": [],
                        "niter": clock.most,
                    }
                ],
            }
        )
        recons = execute.initialize_reconstruction(plan, seed=0, override_observers=Watch())
        hook = plan.engines[0]
        xp = get_array_module(recons.state.object.data, recons.state.probe.data)
        patterns, state = execute.prepare_for_engine(recons.patterns, recons.state, xp, hook.props)
        state.iter = IterState(engine_num=1, engine_iter=0, n_engine_iters=clock.most, total_iter=0, n_total_iters=clock.most)
        try:
            hook(
                {
                    "data": patterns,
                    "state": state,
                    "dtype": patterns.patterns.dtype.type,
                    "xp": xp,
                    "recons_name": "speed",
                    "observer": recons.observer,
                    "seed": 0,
                }
            )
        except Enough:
            pass
    name = f"{version_info()}, {'JAX' if args.program.endswith('jax') else 'NumPy'}"
    return name, "ePIE", {"moved": [change(*pair) for pair in zip(both["before"], both["after"])]}


def quantem(args, clock):
    """quantem's PtychoLite."""
    import quantem as package
    import torch
    from quantem.core.datastructures import Dataset4dstem
    from quantem.diffractive_imaging import PtychoLite, PtychographyDatasetRaster
    from quantem.diffractive_imaging import ptychography as module

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    data = read(args)
    wavelength_A = 12.3984198 / (data.kV * (2 * 510.99895 + data.kV)) ** 0.5
    dk = data.mrad_per_px * 1e-3 / wavelength_A
    cube = Dataset4dstem.from_array(
        data.frames(), sampling=(*data.step_yx_A, dk, dk), units=("A", "A", "A^-1", "A^-1"), name=data.name
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
        obj_type="complex",
        obj_padding_px=(32, 32),
        num_slices=args.slices,
        num_probes=args.modes,
        device="cpu",
        verbose=False,
        rng=0,
        **({"slice_thicknesses": data.thickness_A / args.slices} if args.slices > 1 else {}),
    )

    class Watch:
        """Stands where quantem has its progress bar."""

        def __init__(self, every, **_):
            self.every = every

        def __iter__(self):
            return clock.watched(self.every)

        def set_description(self, *_):
            """Nothing is shown."""

    def both():
        return [model.detach().cpu().numpy().copy() for model in (job.obj_model.obj, job.probe_model.probe)]

    before = both()
    module.tqdm = Watch
    job.reconstruct(num_iters=clock.most, reset=True, verbose=False, lr_obj=5e-3, lr_probe=1e-3, batch_size=args.batch)
    return f"quantem {package.__version__}", "Adam", {"moved": [change(*pair) for pair in zip(before, both())]}


def ptychi(args, clock):
    """pty-chi's ePIE."""
    from importlib.metadata import version

    import numpy as np
    import ptychi.api as api
    import torch
    from ptychi.api.task import PtychographyTask
    from ptychi.utils import get_suggested_object_size, orthogonalize_initial_probe, rescale_probe

    torch.set_num_threads(args.threads)
    torch.set_default_device("cpu")
    torch.manual_seed(0)
    data = read(args)
    frames = data.frames()
    n = frames.shape[-1]
    frames = frames.reshape(-1, n, n)
    wavelength_A = 12.3984198 / (data.kV * (2 * 510.99895 + data.kV)) ** 0.5
    pixel = wavelength_A / (n * data.mrad_per_px * 1e-3)
    # the aperture with its defocus, in real space with its centre at pixel N/2
    theta = np.hypot(*np.meshgrid(*[np.fft.fftfreq(n, 1 / n) * data.mrad_per_px * 1e-3] * 2, indexing="ij"))
    spectrum = (theta <= data.mrad * 1e-3) * np.exp(1j * np.pi / wavelength_A * theta**2 * data.defocus_A)
    probe = np.zeros((1, args.modes, n, n), "complex64")
    probe[0, 0] = np.fft.fftshift(np.fft.ifft2(spectrum))
    probe = torch.from_numpy(probe)
    if args.modes > 1:
        probe = orthogonalize_initial_probe(probe)
    probe = torch.as_tensor(rescale_probe(probe, torch.from_numpy(frames))).to(torch.complex64)
    positions = data.positions() / pixel
    positions -= (positions.min(0) + positions.max(0)) / 2

    options = api.EPIEOptions()
    options.data_options.wavelength_m = wavelength_A * 1e-10
    guess = torch.ones((args.slices, *get_suggested_object_size(positions, (n, n), extra=100)), dtype=torch.complex64)
    if args.slices > 1:
        options.object_options.slice_spacings_m = np.full(args.slices - 1, data.thickness_A / args.slices * 1e-10)
    options.object_options.pixel_size_m = pixel * 1e-10
    for part in (options.object_options, options.probe_options):
        part.optimizable, part.optimizer, part.step_size = True, api.Optimizers.SGD, 0.5
    options.probe_position_options.optimizable = False
    steps = options.reconstructor_options
    steps.batch_size, steps.num_epochs = args.batch, clock.most
    steps.default_device, steps.random_seed = api.Devices.CPU, 0
    task = PtychographyTask(
        options,
        diffraction_data=frames,
        object_data=guess,
        probe_data=probe,
        probe_position_x_px=positions[:, 1],
        probe_position_y_px=positions[:, 0],
    )

    def both():
        return [np.array(task.get_data_to_cpu(name, as_numpy=True)) for name in ("object", "probe")]

    before = both()
    clock.start()
    while True:
        task.run(1)
        if clock.lap():
            break
    return f"pty-chi {version('ptychi')}", "ePIE", {"moved": [change(*pair) for pair in zip(before, both())]}


DRIVERS = {
    "ronchi": ronchi,
    "py4dstem": py4dstem,
    "phaser-numpy": phaser,
    "phaser-jax": phaser,
    "quantem": quantem,
    "ptychi": ptychi,
}


def confine(threads):
    """As many threads as wanted, on as many cores; before anything is imported that starts some."""
    for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR"):
        os.environ[f"{name}_NUM_THREADS"] = str(threads)
    os.environ["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen=true intra_op_parallelism_threads={threads}"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def one(args):
    """Times one cell with one program."""
    confine(args.threads)
    clock, others = Clock(args), Others()
    version, rule, more = DRIVERS[args.program](args, clock)
    first, *rest = (round(s, 4) for s in clock.seconds)
    data = read(args)
    positions = args.rows * data.shape()[1]
    median = statistics.median(rest)
    line = head(args) | {
        "version": version,
        "rule": rule,
        "rows": args.rows,
        "positions": positions,
        "whole": data.whole,
        "threads": args.threads,
        "others": others.cores(),
        "peak_MiB": max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) // 1024,
        "first_s": first,
        "iterations_s": rest,
        "median_s": round(median, 4),
        "whole_s": round(median * data.whole / positions, 4),
    }
    if "moved" in more:
        line["moved"] = {name: round(by, 6) for name, by in zip(("object", "probe"), more["moved"])}
        if not all(0 < by < float("inf") for by in more["moved"]):
            line = head(args) | {"version": version, "failed": f"object and probe moved by {more['moved']}"}
    return line


def head(args):
    """What a line is known by."""
    return {"program": args.program, "modes": args.modes, "slices": args.slices, "batch": args.batch, "turn": args.turn}


def key(line):
    """The same as a tuple."""
    return tuple(line[name] for name in ("program", "modes", "slices", "batch", "turn"))


def lines(path):
    """The lines of a file of results so far."""
    if not os.path.exists(path):
        return []
    with open(path) as f:
        return [json.loads(line) for line in f if line.strip()]


def run(command, limit):
    """The figures that a command prints in its last line, or why there are none."""
    # a session of its own, so that what it started ends with it
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        out, err = process.communicate(timeout=limit)
        if process.returncode:
            return {"failed": f"ended with {process.returncode}: {err.strip().rpartition(chr(10))[2]}"[:300]}
        return json.loads(out.strip().rpartition("\n")[2])
    except subprocess.TimeoutExpired:
        return {"failed": f"longer than {limit:g} s"}
    except ValueError:
        return {"failed": "said no figures"}
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def every(args):
    """Every cell with every program, turn about."""
    python = {name: os.environ.get(name.split("-")[0].upper()) for name in PROGRAMS} | {"ronchi": sys.executable}
    peers = [name for name in PROGRAMS if name != "ronchi" and python[name]]
    turns = [(name, turn) for turn in range(args.rounds) for name in ("ronchi", *peers)] + [("ronchi", args.rounds)]
    began = time.monotonic()
    for cell in args.cells or CELLS:
        for name, turn in turns:
            wanted = dict(zip(("program", "modes", "slices", "batch", "turn"), (name, *cell, turn)))
            if key(wanted) in {key(line) for line in lines(args.all) if not (args.again and "failed" in line)}:
                continue
            rows = args.rows or rows_of(*cell)
            command = [python[name], os.path.abspath(__file__), name, "--rows", str(rows), "--threads", str(args.threads)]
            command += [f"--{what}={wanted[what]}" for what in ("modes", "slices", "batch", "turn")]
            command += ["--budget", str(args.budget), "--timed", str(args.timed)]
            print(f"{time.monotonic() - began:6.0f} s  {name:<13} modes, slices, batch {cell}, {rows} rows", file=sys.stderr)
            line = wanted | run(command, args.limit)
            print(f"{'':10}{line.get('failed') or '{} s an iteration'.format(line['whole_s'])}", file=sys.stderr)
            with open(args.all, "a") as f:
                f.write(json.dumps(line) + "\n")
    print(f"{time.monotonic() - began:6.0f} s  done", file=sys.stderr)


def table(path):
    """Markdown: one row a cell, s/iteration of each program, the best peer's over ronchi's, and how far iterations spread."""
    found, versions, notes = {}, {}, []
    for line in lines(path):
        found.setdefault((line["modes"], line["slices"], line["batch"]), {}).setdefault(line["program"], []).append(line)
        if "median_s" in line:
            versions[line["program"]] = f"{line['version']}: {line['rule']}"
    names = [name for name in PROGRAMS if any(name in row for row in found.values())]
    print("| modes | slices | batch | positions | " + " | ".join(names) + " | best peer / ronchi | spread | others |")
    print("|---" * (len(names) + 7) + "|")
    for cell in sorted(found, key=lambda cell: (cell not in CELLS, CELLS.index(cell) if cell in CELLS else cell)):
        row, whole_s, spread, others, texts, scanned = found[cell], {}, 1.0, [], [], set()
        for name in names:
            good = [line for line in row.get(name, []) if "median_s" in line]
            if good:
                scaled = [s * line["whole"] / line["positions"] for line in good for s in line["iterations_s"]]
                whole_s[name] = statistics.median(scaled)
                spread = max(spread, max(scaled) / min(scaled))
                scanned |= {line["positions"] for line in good}
                others += [line["others"] for line in good if line.get("others") is not None]
                sign = "~" if any(line["positions"] < line["whole"] for line in good) else ""
                texts.append(f"{sign}{whole_s[name]:.3g}")
            elif row.get(name):
                notes.append(f"{name} at {cell}: {row[name][-1]['failed']}")
                texts.append(f"— ({len(notes)})")
            else:
                texts.append("")
        peers = {name: s for name, s in whole_s.items() if name != "ronchi"}
        best = min(peers, key=peers.get, default=None)
        ratio = f"{peers[best] / whole_s['ronchi']:.1f} ({best})" if best and "ronchi" in whole_s else ""
        positions = ", ".join(str(n) for n in sorted(scanned))
        entries = [*map(str, cell), positions, *texts, ratio, f"{spread:.2f}", str(max(others, default=""))]
        print(f"| {' | '.join(entries)} |")
    print()
    print("Seconds an iteration, medians. `~`: timed on the positions given, scaled to the whole scan. Spread: the slowest")
    print("iteration of a program over its fastest, of the program where it is largest. Others: the most cores that other")
    print("processes had in a run.")
    print()
    for name in names:
        print(f"- {name}: {versions.get(name, 'none came through')}")
    for number, note in enumerate(notes, 1):
        print(f"- ({number}) {note}")


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", nargs="?", choices=PROGRAMS)
    parser.add_argument("--modes", type=int, default=1)
    parser.add_argument("--slices", type=int, default=1)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rows", type=int, help="rows of the scan that are taken, by default as --all does")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--timed", type=int, default=5, help="most iterations after the first one")
    parser.add_argument("--budget", type=float, default=9.0, help="seconds of iterations after which a run stops")
    parser.add_argument("--limit", type=float, default=180.0, help="seconds after which --all ends a run")
    parser.add_argument("--rounds", type=int, default=1, help="turns of each program in --all; ronchi has one more")
    triple = lambda s: tuple(int(n) for n in s.split(","))  # noqa: E731
    parser.add_argument("--cells", nargs="+", type=triple, help="of --all: modes,slices,batch such as 1,1,32 4,6,256")
    parser.add_argument("--again", action="store_true", help="of --all: what failed is tried once more")
    parser.add_argument("--turn", type=int, default=0, help="told in the line")
    parser.add_argument("--all", metavar="OUT.jsonl")
    parser.add_argument("--table", metavar="OUT.jsonl")
    args = parser.parse_args()
    if args.all:
        every(args)
    if args.all or args.table:
        table(args.all or args.table)
    elif args.program:
        args.rows = args.rows or rows_of(args.modes, args.slices, args.batch)
        print(json.dumps(one(args)))
    else:
        parser.error("PROGRAM, --all or --table is needed")


if __name__ == "__main__":
    main()
