#!/usr/bin/env bash
# Every peer on every simulated set with quality.py, the most telling first; what is in FOLDER/results.jsonl is skipped,
# so it can be stopped and called again. One reconstruction at a time, one thread, at the lowest priority.
#
#   PY4DSTEM=~/peers/py4dstem/bin/python PHASER=~/peers/phaser/bin/python QUANTEM=~/peers/quantem/bin/python \
#       PTYCHI=~/peers/ptychi/bin/python benches/peers/quality.sh FOLDER
#
# A peer whose variable is not set is left out. Environment: DATA (folder of the sets), ITERATIONS (5,10,20), SEEDS (0 1 2).
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$1
iterations=${ITERATIONS:-5,10,20}
read -ra seeds <<< "${SEEDS:-0 1 2}"
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMEXPR_NUM_THREADS=1
mkdir -p "$folder"

high="010_100000 100_100000 100thin_1000000 100focus_1000000"
low="010_10000 100_10000 100focus_10000 100thin_5000 010_1000 100_1000 010_3000 100thin_1000 100focus_1000 010_300"

# run SEED SET PEER:ALGORITHM
run() {
    local peer=${3%%:*} python
    python=$(printenv "${peer^^}") || return 0
    nice -n 19 "$python" "$here/quality.py" "$peer" "$2" --algorithm "${3#*:}" --seed "$1" --iterations "$iterations" \
        -o "$folder" || echo "failed: $*"
}

# sweep SEED "SETS" "PEER:ALGORITHM …"
sweep() {
    local set way
    for set in $2; do
        for way in $3; do run "$1" "$set" "$way"; done
    done
}

single="py4dstem:gd phaser:epie phaser:lsqml quantem:adam ptychi:lsqml"
thick="010_100000 100_100000 100focus_1000000"
multislice="py4dstem:multislice phaser:lsqml-multislice quantem:multislice ptychi:multislice phaser:gradient-multislice phaser:epie-multislice"
mixed="py4dstem:mixed phaser:lsqml-mixed quantem:mixed ptychi:mixed phaser:epie-mixed"
others="phaser:gradient py4dstem:potential quantem:defaults"
thick_others="py4dstem:multislice-potential"

first=${seeds[0]}
sweep "$first" "$high" "$single"
sweep "$first" "$low" "$single"
sweep "$first" "$thick" "$multislice"
sweep "$first" "$high" "$mixed"
sweep "$first" "$high" "$others"
sweep "$first" "$thick" "$thick_others"
for seed in "${seeds[@]:1}"; do sweep "$seed" "$high $low" "$single"; done
sweep "$first" "010_10000 100_10000 100focus_10000" "$multislice"
sweep "$first" "$low" "$others"
