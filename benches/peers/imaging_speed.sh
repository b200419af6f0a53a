#!/usr/bin/env bash
# LiberTEM, NumPy and ronchi over one 2 GiB datacube in the page cache, turn about on 2 threads; medians.
#
#   imaging_speed.sh FILE [RONCHI]     FILE is made if missing; RONCHI: by default target/release/ronchi
#
# Environment: PYTHON (one that has LiberTEM), ROUNDS.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
file=$(realpath "$1")
ronchi=${2:-$here/../../target/release/ronchi}
python=${PYTHON:-python3}
rounds=${ROUNDS:-3}

"$python" "$here/imaging_speed.py" make "$file" >&2
results=$(mktemp)
trap 'rm -f "$results"' EXIT
for round in $(seq "$rounds"); do
    echo "round $round of $rounds" >&2
    for what in libertem numpy ronchi; do
        "$python" "$here/imaging_speed.py" "$what" "$file" "$ronchi" >> "$results"
    done
done

"$python" - "$results" <<'EOF'
import json, statistics, sys

speeds, memory = {}, 0
for line in open(sys.argv[1]):
    report = json.loads(line)
    memory = max(memory, report.get("RssAnon_MiB", 0))
    for name, speed in report["GB_per_s"].items():
        speeds.setdefault(name, []).append(speed)
median = {name: statistics.median(seen) for name, seen in speeds.items()}
print(f"{'program':<18} {'GB/s':>6} {'lowest':>7} {'highest':>8}")
for name, seen in speeds.items():
    print(f"{name:<18} {median[name]:6.2f} {min(seen):7.2f} {max(seen):8.2f}")
best = max((name for name in median if name.startswith("LiberTEM")), key=median.get)
print(f"ronchi image / {best} = {median['ronchi image'] / median[best]:.2f}")
print(f"ronchi image, peak RssAnon: {memory:.0f} MiB")
EOF
