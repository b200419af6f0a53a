#!/usr/bin/env bash
# SSB and parallax of quantem, py4DSTEM and ronchi over one datacube in the page cache, turn about on 2 threads; medians.
#
#   direct_speed.sh FILE [RONCHI]     FILE is made if missing; RONCHI: by default target/release/ronchi
#
# Environment: QUANTEM and PY4DSTEM (the Python of each), ROUNDS, SCAN (256: 2 GiB), MEMORY_GIB, LIMIT_S, BATCH (for quantem, see
# direct_speed.py --help). FOUND=1 runs py4DSTEM's cross-correlation too, which takes long.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
file=$(realpath "$1")
ronchi=${2:-$here/../../target/release/ronchi}
quantem=${QUANTEM:-python3}
py4dstem=${PY4DSTEM:-python3}
limits=(--memory-GiB "${MEMORY_GIB:-18}" --limit-s "${LIMIT_S:-1800}" --ronchi "$ronchi" ${BATCH:+--batch "$BATCH"})

"$py4dstem" "$here/direct_speed.py" make "$file" --scan "${SCAN:-256}" >&2
results=$(mktemp)
trap 'rm -f "$results"' EXIT
measure() { "$1" "$here/direct_speed.py" "$2" "$file" "${limits[@]}" | tee -a "$results" >&2; }
for round in $(seq "${ROUNDS:-3}"); do
    echo "round $round of ${ROUNDS:-3}" >&2
    measure "$quantem" quantem-ssb
    measure "$py4dstem" ronchi-ssb
    measure "$quantem" quantem-parallax
    measure "$py4dstem" py4dstem-parallax
    measure "$py4dstem" ronchi-parallax
done
if [ -n "${FOUND:-}" ]; then measure "$py4dstem" py4dstem-found; fi

"$py4dstem" - "$results" <<'EOF'
import json, statistics, sys

seen, failed = {}, {}
for line in open(sys.argv[1]):
    report = json.loads(line)
    if "failed" in report:
        failed[report["what"]] = report["failed"]
    else:
        seen.setdefault(report["what"], []).append((report["seconds"], report["peak_MiB"]))
print(f"{'program':<20} {'seconds':>9} {'lowest':>8} {'highest':>8} {'peak MiB':>9} {'/ ronchi':>9}")
median = {what: statistics.median(s for s, _ in runs) for what, runs in seen.items()}
for what, runs in seen.items():
    ours = median.get("ronchi-ssb" if what.endswith("ssb") else "ronchi-parallax")
    ratio = f"{median[what] / ours:9.1f}" if ours else ""
    print(f"{what:<20} {median[what]:9.2f} {min(runs)[0]:8.2f} {max(runs)[0]:8.2f} {max(m for _, m in runs):9.0f} {ratio}")
for what, why in failed.items():
    print(f"{what:<20} failed: {why}")
EOF
