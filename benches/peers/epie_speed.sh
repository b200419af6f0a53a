#!/usr/bin/env bash
# py4DSTEM and ronchi, ePIE side by side on one file: same batch, same threads, turn about; medians of
# the iterations after each run's first.
#
#   epie_speed.sh FILE [RONCHI]        RONCHI: the binary, by default target/release/ronchi
#
# Environment: PYTHON (one that has py4DSTEM and h5py), ROUNDS, ITERATIONS, BATCH, THREADS, and the optics
# KV MRAD DEFOCUS STEP MRAD_PER_PX ROTATION, by default those of na3ni2sbo6_010_*.h5.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
file=$(realpath "$1")
ronchi=${2:-$here/../../target/release/ronchi}
python=${PYTHON:-python3}
rounds=${ROUNDS:-3} iterations=${ITERATIONS:-4} batch=${BATCH:-32} threads=${THREADS:-2}
kv=${KV:-300} mrad=${MRAD:-25} defocus=${DEFOCUS:--100} step=${STEP:-0.4}
mrad_per_px=${MRAD_PER_PX:-0.98437444} rotation=${ROTATION:-0}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/job.toml" <<EOF
[data]
path = "$file"
[optics]
voltage_kV = $kv
convergence_mrad = $mrad
defocus_A = $defocus
[scan]
step_A = $step
rotation_deg = $rotation
[detector]
mrad_per_px = $mrad_per_px
[ptychography]
algorithm = "epie"
iterations = $((iterations + 1))
batch = $batch
seed = 0
step_object = 0.5
step_probe = 0.5
probe_from = 1
EOF

for round in $(seq "$rounds"); do
    echo "round $round of $rounds" >&2
    "$python" "$here/epie_speed.py" "$file" --kV "$kv" --convergence-mrad "$mrad" --defocus-A "$defocus" \
        --step-A "$step" --rotation-deg "$rotation" --mrad-per-px "$mrad_per_px" \
        --batch "$batch" --threads "$threads" --iterations "$iterations" > "$work/py4dstem.$round.json"
    "$ronchi" reconstruct "$work/job.toml" -o "$work/ronchi.$round.emd" --force \
        --set 'compute.device="cpu"' --set "compute.threads=$threads"
done

"$python" - "$work" "$batch" "$threads" <<'EOF'
import glob, json, statistics, sys

import h5py

work, batch, threads = sys.argv[1:]
times = {"py4DSTEM": [], "ronchi": []}
for path in glob.glob(f"{work}/py4dstem.*.json"):
    times["py4DSTEM"] += json.load(open(path))["iterations_s"][1:]
for path in glob.glob(f"{work}/ronchi.*.emd"):
    with h5py.File(path) as f:
        times["ronchi"] += json.loads(f["ronchi/run"].attrs["timings"])["iterations_s"][1:]
median = {name: statistics.median(seconds) for name, seconds in times.items()}
print(f"ePIE, batch {batch}, {threads} threads")
print(f"{'program':<10} {'median s':>9} {'fastest':>8} {'slowest':>8} {'n':>3}")
for name, seconds in times.items():
    print(f"{name:<10} {median[name]:9.3f} {min(seconds):8.3f} {max(seconds):8.3f} {len(seconds):3}")
print(f"py4DSTEM / ronchi = {median['py4DSTEM'] / median['ronchi']:.2f}")
EOF
