#!/usr/bin/env bash
# The GPU's tests and benchmarks, on a machine that has a GPU and need not have Rust.
#
#   benches/gpu.sh pack FOLDER     where Rust is: builds the program, the tests and the benchmarks and gathers them, stripped
#   FOLDER/gpu.sh run OUT          where the GPU is: device, the standard workloads (bench.json, and in words bench.txt), parity, agreement of the
#                                  engines, the demonstration, times; all into OUT
#
# Commit OUT's files under benches/results/ as DATE-DEVICE/.
set -euo pipefail

pack() {
    local folder=$1
    mkdir -p "$folder"
    cd "$(dirname "${BASH_SOURCE[0]}")/.."
    cargo build --release
    cp target/release/ronchi "$folder/"
    for target in "--test parity" "--test ptychography" "--bench kernels"; do
        # Each line of cargo's report is JSON; the one that names an executable is the program.
        # shellcheck disable=SC2086
        cargo build --release $target --message-format=json |
            sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1 |
            xargs -I{} cp {} "$folder/${target##* }"
    done
    strip "$folder"/{ronchi,parity,ptychography,kernels}
    cp benches/gpu.sh "$folder/"
    du -sh "$folder"
}

run() {
    local here out=$1
    here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
    mkdir -p "$out"
    {
        date --utc --iso-8601=seconds
        uname -srm
        nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv || true
        "$here/ronchi" devices
    } 2>&1 | tee "$out/device.txt"
    # The other checks go on without it.
    "$here/ronchi" bench --full --json --device gpu 2>&1 >"$out/bench.json" | tee "$out/bench.txt" ||
        echo "ronchi bench failed: $out/bench.txt says why" >&2
    export RONCHI_REQUIRE_GPU=1
    "$here/parity" 2>&1 | tee "$out/parity.txt"
    "$here/ptychography" agree 2>&1 | tee "$out/agreement.txt"
    for device in gpu cpu; do
        "$here/ronchi" demo -o "$out/demo-$device" --device "$device" 2>&1 | tee "$out/demo-$device.txt"
        rm -r "$out/demo-$device"
    done
    "$here/kernels" --bench 2>&1 | tee "$out/kernels.txt"
}

case ${1:-} in
    pack) pack "${2:?pack FOLDER}" ;;
    run) run "${2:?run OUT}" ;;
    *) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
