#!/usr/bin/env bash
# Reading alone, LiberTEM, NumPy and ronchi over one datacube in the page cache, turn about on 2 threads; medians.
#
#   imaging_speed.sh FILE [RONCHI]     FILE is made if missing; RONCHI: by default target/release/ronchi
#
# Environment: PYTHON (one that has LiberTEM), ROUNDS, SCAN (256: 2 GiB).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
file=$(realpath "$1")
ronchi=${2:-$here/../../target/release/ronchi}
python=${PYTHON:-python3}
rounds=${ROUNDS:-3}

# Each line of cargo's report is JSON; the one that names an executable is the program.
floor=$(cd "$here" && cargo bench --bench read_floor --no-run --message-format=json |
    sed -n 's/.*"executable":"\([^"]*read_floor[^"]*\)".*/\1/p' | tail -n 1)
"$python" "$here/imaging_speed.py" make "$file" --scan "${SCAN:-256}" >&2
results=$(mktemp)
trap 'rm -f "$results"' EXIT
for round in $(seq "$rounds"); do
    echo "round $round of $rounds" >&2
    "$python" "$here/imaging_speed.py" floor "$file" "$floor" >> "$results"
    for what in libertem numpy ronchi; do
        "$python" "$here/imaging_speed.py" "$what" "$file" "$ronchi" >> "$results"
    done
done

"$python" - "$results" <<'EOF'
import json, statistics, sys

speeds, memory, failed = {}, 0, {}
for line in open(sys.argv[1]):
    report = json.loads(line)
    memory = max(memory, report.get("RssAnon_MiB", 0))
    failed |= report.get("failed", {})
    for name, speed in report["GB_per_s"].items():
        speeds.setdefault(name, []).append(speed)
median = {name: statistics.median(seen) for name, seen in speeds.items()}
floor = median["read and sum"]
print(f"{'program':<26} {'GB/s':>6} {'lowest':>7} {'highest':>8} {'/ read and sum':>15} {'/ LiberTEM':>11}")
for name, seen in speeds.items():
    peer = median.get("LiberTEM, " + name.rpartition(", ")[2])
    ratio = f"{median[name] / peer:11.2f}" if peer else ""
    print(f"{name:<26} {median[name]:6.2f} {min(seen):7.2f} {max(seen):8.2f} {median[name] / floor:15.2f} {ratio}")
for name, why in failed.items():
    print(f"ronchi, {name}: failed: {why}")
print(f"ronchi image, peak RssAnon: {memory:.0f} MiB")
EOF
