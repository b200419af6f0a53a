#!/usr/bin/env python3
"""How well `ronchi map` counts sodium in the sets of ../shared/data/na3ni2sbo6, whose truth is known, beside the Fisher bounds.

    map_quality.py FOLDER [SET ...]       [--images ssb,idpc,ptychography] [--set map.draws=4 ...]  such as 100thin_5000; RONCHI names the program; needs h5py and NumPy
    map_quality.py --table FOLDER         what FOLDER/results.jsonl holds, as a Markdown table
    map_quality.py --check                the bounds beside published figures

Each set is run once (SSB, iDPC, 20 iterations of ptychography), then mapped from each image with its structure, zone axis and thickness. Per sodium column that `ronchi map` trusts: the error in atoms (RMS),
its mean, R² with the true atoms, the root mean square of the standard errors told, how many of the columns below 0.8 occupancy are called at q < 0.05, and how many that miss nothing are.

Fisher bounds (../shared/physics.md) for an atom of sodium, B = 0: σ = 1/(2√(D ∫ W|g|² d²q)) for a lone column, and [F⁻¹]_jj with F_jk = 4D ∫ W g_j g_k cos 2πq·(r_j − r_k) d²q over all columns of the
field and a constant background for the joint one; W = N_DO/(4A₀) for SSB, O₁²q²/k₀² for iDPC, 1 for an ideal measurement, which ptychography is held against. They hold for thin specimens in focus.
"""
import argparse
import json
import os
import subprocess
import time

import h5py
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.environ.get("DATA", os.path.join(HERE, "../../../shared/data/na3ni2sbo6"))
RONCHI = os.environ.get("RONCHI", os.path.join(HERE, "../../target/release/ronchi"))
SETS = [f"{s}_{d}" for s, doses in (("100thin", (1000, 5000, 1000000)), ("100focus", (1000, 10000, 1000000)), ("100", (1000, 10000, 100000)), ("010", (300, 1000, 3000, 10000, 100000))) for d in doses]

CIF = """data_Na3Ni2SbO6
_cell_length_a 5.3048
_cell_length_b 9.1879
_cell_length_c 5.6296
_cell_angle_alpha 90
_cell_angle_beta 108.29
_cell_angle_gamma 90
loop_
_symmetry_equiv_pos_as_xyz
'x,y,z'
'x+1/2,y+1/2,z'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
_atom_site_B_iso_or_equiv
Sb1 Sb 0 0 0 1 0
Ni1 Ni 0 0.333333 0 1 0
Ni2 Ni 0 0.666667 0 1 0
Na1 Na 0 0.5 0.5 1 0
Na2 Na 0.5 0.329 0.5 1 0
Na3 Na 0.5 0.671 0.5 1 0
O1 O 0.2931 0.3403 0.7969 1 0
O2 O 0.2931 0.6597 0.7969 1 0
O3 O 0.7069 0.3403 0.2031 1 0
O4 O 0.7069 0.6597 0.2031 1 0
O5 O 0.2461 0.5 0.2062 1 0
O6 O 0.7539 0.5 0.7938 1 0
"""

JOB = """[data]
path = "{data}"
[optics]
voltage_kV = {kv}
convergence_mrad = {alpha}
defocus_A = {defocus}
[scan]
step_A = {step}
rotation_deg = {rotation}
transpose = false
[detector]
mrad_per_px = {mrad}
[images]
detectors = ["ssb", "idpc"]
aberrations = "given"
[ptychography]
iterations = 20
constraints = [{{ kind = "pure_phase" }}, {{ kind = "fourier_amplitude" }}, {{ kind = "low_pass", cutoff_inverse_A = {cutoff}, order = 2 }}]
[output]
path = "{result}"
png = false
"""
IMAGES = {"ssb": "ssb", "idpc": "idpc", "ptychography": "ptychography/phase_scan"}


def wavelength(kv):
    return 12.2643 / np.sqrt(kv * 1e3 * (1 + 0.978476e-6 * kv * 1e3))


SIGMA = {300.0: 6.5262e-4, 200.0: 7.2884e-4, 80.0: 10.0871e-4}


def f_e(q2, element="Na"):
    """Lobato & Van Dyck's f_e in Å, from the program's own table (src/simulate/lobato.rs holds the published numbers)."""
    import re
    text = open(os.path.join(HERE, "../../src/simulate/lobato.rs")).read()
    rows = re.findall(r"\[([^\[\]]+)\]", text[text.index("TABLE"):])
    rows = [[float(x) for x in row.replace("_", "").split(",") if x.strip()] for row in rows if row.count(",") >= 9]
    row = rows[{"O": 7, "Na": 10, "Ni": 27, "Sb": 50}[element]]
    return sum(row[i] * (2 + row[5 + i] * q2) / (1 + row[5 + i] * q2) ** 2 for i in range(5))


def weights(q, k0, kind):
    """W(q) on a grid of |q|."""
    u = np.clip(q / k0, 0, None)
    lens = lambda d: np.where(d < 2, (2 / np.pi) * (np.arccos(np.clip(d / 2, -1, 1)) - (d / 2) * np.sqrt(np.clip(1 - (d / 2) ** 2, 0, 1))), 0.0)  # overlap of two unit discs over a disc
    if kind == "ideal":
        return np.ones_like(q)
    if kind == "ssb":
        # Points of the disc that lie in exactly one of the two shifted ones: 2·(double − triple). The triple overlap of discs at −u, 0, u is that of the outer two.
        return 2 * (lens(u) - lens(2 * u)) / 4
    if kind == "idpc":
        return lens(u) ** 2 * u**2
    raise ValueError(kind)


def bound(dose, kv, alpha, kind, b=0.0, places=None, which=None, per_atom=None, field=None):
    """σ of an atom in a column: alone, or with all columns (place, element) and a constant over the field (its ends from 0 on) free, the median over `which`."""
    k0 = alpha * 1e-3 / wavelength(kv)
    reach = 2 * k0 if kind != "ideal" else 6.0
    if places is None:
        q = np.linspace(1e-4, reach, 4000)
        g = SIGMA[kv] * 47.878 * f_e(q**2) * np.exp(-b * q**2 / 4)
        return 1 / (2 * np.sqrt(dose * np.trapezoid(weights(q, k0, kind) * g**2 * 2 * np.pi * q, q)))
    side = 2 * (places.max(0) - places.min(0)).max() + 4
    n = int(np.ceil(reach * side))
    axis = np.arange(-n, n + 1) / side
    qy, qx = np.meshgrid(axis, axis[axis >= 0], indexing="ij")
    q = np.hypot(qy, qx)
    # Half of the plane stands for all of it, but for q = 0, which has no other half.
    use = (q < reach) & ((qx > 0) | (qy >= 0))
    qy, qx, q = qy[use], qx[use], q[use]
    w = np.sqrt(4 * dose * weights(q, k0, kind) * np.where(q > 0, 2, 1)) / side

    def row(g, y, x):
        return np.concatenate([g * w * np.cos(2 * np.pi * (qy * y + qx * x)), g * w * np.sin(2 * np.pi * (qy * y + qx * x))])

    rows = [row(SIGMA[kv] * 47.878 * f_e(q**2, element), y, x) for (y, x), element in zip(places, per_atom)]
    rows.append(row(field[0] * np.sinc(qy * field[0]) * field[1] * np.sinc(qx * field[1]), field[0] / 2, field[1] / 2))
    # Each as large as it is strong, so that numbers of any size can be inverted together.
    a = np.array(rows)
    size = np.sqrt((a**2).sum(1))
    a /= size[:, None]
    inverse = np.linalg.inv(a @ a.T)
    return float(np.median((np.sqrt(np.diag(inverse)) / size)[which]))


def truth_of(name):
    with h5py.File(f"{DATA}/na3ni2sbo6_{name.split('_')[0]}_truth.h5") as f:
        p = json.loads(f.attrs["parameters"])
        angle = np.deg2rad(p["rotation"])
        back = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        yx = (f["column_yx"][:] - f["positions_yx"][0]) @ back.T
        element = f["column_element"].asstr()[:]
        return p, yx, element, f["column_atoms"][:].astype(float), f["column_occupancy"][:].astype(float)


def read_map(path):
    with h5py.File(path) as f:
        t = f["ronchi/map/columns"]
        table = {k: t[k][:] for k in t}
        table["element"] = np.array([e.decode() for e in table["element"]])
        return table, dict(t.attrs)


def job(name, p, result):
    cutoff = round(2 * p["alpha"] * 1e-3 / wavelength(p["kv"]), 3)
    keys = {k: p[k] for k in ("kv", "alpha", "defocus", "step", "rotation")}
    return JOB.format(data=os.path.abspath(f"{DATA}/na3ni2sbo6_{name}.h5"), mrad=p["mrad_per_px"], cutoff=cutoff, result=result, **keys)


def run(folder, name, images, sets, log):
    p, yx, element, atoms, occupancy = truth_of(name)
    os.makedirs(folder, exist_ok=True)
    cif = f"{folder}/na3.cif"
    open(cif, "w").write(CIF)
    result = f"{folder}/{name}.emd"
    if not os.path.exists(result):
        open(f"{folder}/{name}.toml", "w").write(job(name, p, os.path.abspath(result)))
        subprocess.run([RONCHI, "run", f"{folder}/{name}.toml", "--quiet"], check=True)
    zone = "[0, 1, 0]" if name.startswith("010") else "[1, 0, 0]"
    for label in images:
        image = IMAGES[label]
        out = f"{folder}/{name}_{label}_map.emd"
        start = time.time()
        command = [RONCHI, "map", result, "-o", out, "--force", "--set", f"map.structure={cif}", "--set", f"map.zone_axis={zone}", "--set", f"map.thickness_A={p['thick']}", "--set", "map.vibration=none", "--set", f"map.image={image}"] + [word for item in sets for word in ("--set", item)]
        done = subprocess.run(command, capture_output=True, text=True)
        row = {"set": name, "image": label, "seconds": round(time.time() - start, 1), "log": done.stderr}
        if done.returncode:
            row["error"] = done.stderr.strip().splitlines()[-1]
        else:
            row.update(score(out, yx, element, atoms, occupancy))
        log.write(json.dumps(row) + "\n")
        log.flush()
        print({k: v for k, v in row.items() if k != "log"}, flush=True)


def bounds(name, label):
    """The bounds of an atom of sodium in a set: alone, and with all else free."""
    p, yx, element, _, _ = truth_of(name)
    end = yx_end(p)
    kind, dose = "ideal" if label == "ptychography" else label, float(name.split("_")[1])
    near = np.all((yx > -2) & (yx < end + 2), 1)
    which = np.flatnonzero((np.all((yx > 2) & (yx < end - 2), 1) & (element == "Na"))[near])
    alone = float(bound(dose, p["kv"], p["alpha"], kind))
    return alone, bound(dose, p["kv"], p["alpha"], kind, places=yx[near], which=which, per_atom=element[near], field=end)


def yx_end(p):
    ny, nx = (int(n) for n in p["scan"].split(","))
    return np.array([(ny - 1) * p["step"], (nx - 1) * p["step"]])


def score(path, yx, element, atoms, occupancy):
    table, attrs = read_map(path)
    ours = (table["element"] == "Na") & (table["trusted"] > 0)
    place = np.stack([table["y_A"], table["x_A"]], 1)[ours]
    sodium = element == "Na"
    distance = np.linalg.norm(place[:, None] - yx[sodium][None], axis=2)
    nearest, away = distance.argmin(1), distance.min(1)
    true = (atoms * occupancy)[sodium][nearest]
    share = occupancy[sodium][nearest]
    # The crystal has some columns with one atom more than others, where a surface cuts; ours has its mean everywhere.
    found, se, q = (table[k][ours] for k in ("atoms", "atoms_se", "q"))
    error = found - true
    lacking, full = share < 0.8, share > 0.999
    r = np.corrcoef(found, true)[0, 1] if len(found) > 2 else np.nan
    called = q < 0.05
    return {"columns": int(ours.sum()), "away": float(away.max()), "rms": float(np.sqrt((error**2).mean())), "bias": float(error.mean()), "se": float(np.sqrt((se**2).mean())), "r2": float(r**2),
            "lacking": int(lacking.sum()), "found": int((called & lacking).sum()), "full": int(full.sum()), "false": int((called & full).sum()), "z2": float(((error / se) ** 2).mean()), "misfit": float(attrs["misfit"])}


def table(folder):
    rows = {}
    for line in open(f"{folder}/results.jsonl"):
        row = json.loads(line)
        rows[row["set"], row["image"]] = row
    print("| set | image | columns | error in atoms | mean error | standard error told | R² | below 0.8 found | full ones called | bound alone | bound joint |\n|---|---|---|---|---|---|---|---|---|---|---|")
    for name in SETS:
        for label in IMAGES:
            row = rows.get((name, label))
            if row is None:
                continue
            told = "{:.3f} | {:.3f}".format(*bounds(name, label))
            if "error" in row:
                print(f"| `_{name}` | {label} | refused | | | | | | | {told} |")
            else:
                print(f"| `_{name}` | {label} | {row['columns']} | {row['rms']:.2f} | {row['bias']:+.2f} | {row['se']:.2f} | {row['r2']:.2f} | {row['found']} of {row['lacking']} | {row['false']} of {row['full']} | {told} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?")
    parser.add_argument("sets", nargs="*")
    parser.add_argument("--images", type=lambda s: s.split(","), default=list(IMAGES))
    parser.add_argument("--set", action="append", default=[], help="more keys of the map, such as map.draws=4")
    parser.add_argument("--table", metavar="FOLDER")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    if args.check:
        for kind, dose in (("ideal", 422), ("ssb", 4771), ("idpc", 7082)):
            print(f"{kind}: 3σ = {3 * bound(dose, 300.0, 25.0, kind, b=1.5):.3f} atoms at {dose} e⁻/Å² (published: 1)")
        return
    if args.table:
        return table(args.table)
    os.makedirs(args.folder, exist_ok=True)
    with open(f"{args.folder}/results.jsonl", "a") as log:
        for name in args.sets or SETS:
            run(args.folder, name, args.images, args.set, log)


if __name__ == "__main__":
    main()
