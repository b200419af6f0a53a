#!/usr/bin/env bash
# How often the truth lies within the errors that `ronchi map` tells: one cell of Na3Ni2SbO6 in focus is scanned at each dose, SSB is mapped, and N further simulated scans are mapped as it is (map.bootstrap), ten counts of each
# crystal. Prints the bootstrap's line and the seconds of each dose.
#
#     benches/map_coverage.sh FOLDER [DOSES [N]]        such as "1000 5000" (e⁻/Å²) and 100; RONCHI names the program. 100 scans take some minutes on two cores
set -euo pipefail
folder=${1:?FOLDER is missing}
doses=${2:-1000 5000}
draws=${3:-100}
ronchi=$(realpath "${RONCHI:-$(dirname "$0")/../target/release/ronchi}")
mkdir -p "$folder"
cd "$folder"
for dose in $doses; do
    cat > "spec_$dose.toml" <<SPEC
seed = 5
[specimen]
structure = "Na3Ni2SbO6"
thickness_A = 5.3
offset_A = [1.1, 0.7]
defects = [{ kind = "thinned", element = "Na", columns = 0.3 }]
[optics]
voltage_kV = 300
convergence_mrad = 25
[scan]
shape = [80, 80]
step_A = 0.2
[detector]
side_px = 48
mrad_per_px = 1.2
dose_e_per_A2 = $dose
SPEC
    "$ronchi" simulate "spec_$dose.toml" -o "scan_$dose.h5" --force --quiet
    "$ronchi" image "scan_$dose.h5" -o "scan_$dose.emd" -d ssb --set images.aberrations=given --set scan.rotation_deg=0 --set output.png=false --force --quiet
    start=$(date +%s)
    "$ronchi" map "scan_$dose.emd" -o "map_$dose.emd" --set map.structure=Na3Ni2SbO6 --set map.thickness_A=5.3 --set "map.bootstrap=$draws" --force 2> "log_$dose"
    echo "$dose e⁻/Å²: $(grep '^bootstrap:' "log_$dose") ($(($(date +%s) - start)) s)"
done
