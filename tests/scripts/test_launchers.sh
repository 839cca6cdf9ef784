#!/usr/bin/env bash
# psal-stats in parts, started by what people start many processes with: GNU parallel, a Slurm job array (its script, with the
# environment that Slurm gives each task; Slurm itself is not needed), Open MPI's mpirun. Each time the parts, merged, must be
# the one run.
#   tests/scripts/test_launchers.sh BUILD_DIR SOURCE_ROOT
set -uo pipefail

build=$(cd "$1" && pwd) && root=$(cd "$2" && pwd) || exit 1
stats=$build/tools/psal-stats
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export OMP_WAIT_POLICY=passive
weights=$root/weights/fashion_vgg19.safetensors
data=$root/weights/fashion_samples/labels.csv
passed=0 failed=0
check() { # check "what" command...: the command must succeed
    local what=$1
    shift
    if "$@" >"$work/output" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAILED %s: %s\n' "$case" "$what"
        head -n 20 "$work/output" | sed 's/^/    | /'
    fi
}

cat >same.py <<'PYTHON'
"""Statistics that agree to 1e-12, with the same metadata: same.py A.safetensors B.safetensors"""
import json, struct, sys
def read(path):
    data = open(path, "rb").read()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:start])
    metadata = header.pop("__metadata__")
    return metadata, {name: struct.unpack(f"<{(b - a) // 8}d", data[start + a:start + b])
                      for name, (a, b) in ((n, e["data_offsets"]) for n, e in header.items())}
(m, a), (n, b) = map(read, sys.argv[1:])
assert m == n, f"{m}\n{n}"
assert a.keys() == b.keys() and "mean" in a and len(a["mean"]) > 100 and max(a["mean"]) > 0
worst = max(abs(x - y) / abs(x) if x else abs(y) for name in a for x, y in zip(a[name], b[name]))
assert worst < 1e-12, worst
PYTHON

# merged FOLDER PARTS: the parts that lie there are the one run
merged() {
    check "the number of parts" [ "$(find "$1" -name 's.part-*.safetensors' | wc -l)" = "$2" ]
    check "merge" "$stats" merge "$1/s.safetensors" "$1"/s.part-*-of-"$2".safetensors --profiles "$1/s_profiles.npy" --data "$data"
    check "other statistics than of one run" python3 same.py one/s.safetensors "$1/s.safetensors"
    check "another store than of one run" cmp one/s_profiles.npy "$1/s_profiles.npy"
}

case="one run"
mkdir one
common=(--weights "$weights" --data "$data" --quiet)
check "psal-stats" "$stats" "${common[@]}" --out one/s.safetensors --profiles one/s_profiles.npy

case="GNU parallel"
if command -v parallel >/dev/null && parallel --version 2>/dev/null | grep -q GNU; then
    mkdir parallel
    check "parallel" env HOME="$work" parallel --will-cite --jobs 2 "$stats" "${common[@]}" --threads 1 --out parallel/s.safetensors \
        --profiles parallel/s_profiles.npy --shard '{}/5' ::: 1 2 3 4 5
    merged parallel 5
else
    echo "SKIPPED $case is not installed"
fi

# task SCRIPT NUMBER FIRST LAST: one task of a job array, as Slurm starts it
task() {
    SLURM_JOB_ID=$((4000 + $2)) SLURM_ARRAY_JOB_ID=4000 SLURM_ARRAY_TASK_ID=$2 SLURM_ARRAY_TASK_MIN=$3 SLURM_ARRAY_TASK_MAX=$4 \
        SLURM_ARRAY_TASK_STEP=1 SLURM_ARRAY_TASK_COUNT=$(($4 - $3 + 1)) SLURM_CPUS_PER_TASK=2 \
        PSAL_STATS=$stats PSAL_WEIGHTS=$weights PSAL_DATA=$data PSAL_OUT=$out bash "$1"
}
case="a Slurm job array"
script=$root/tools/slurm/psal-stats.sbatch
array=$(sed -n 's/^#SBATCH --array=//p' "$script")
first=${array%-*} last=${array#*-}
for numbers in "$first $last" "0 2"; do # the script's own, and one that counts from 0
    read -r first last <<<"$numbers"
    folder=slurm$first
    mkdir "$folder"
    out=$folder/s.safetensors
    for ((i = last; i >= first; i--)); do check "task $i" task "$script" "$i" "$first" "$last"; done
    merged "$folder" $((last - first + 1))
done
# Submitted again after a task was killed at its end: only that is done again.
rm slurm0/s.part-2-of-3.safetensors slurm0/s.safetensors
find slurm0 -name 's.part-*' -exec touch -d '2001-01-01' {} +
for i in 0 1 2; do check "task $i again" task "$script" "$i" 0 2; done
check "a part was made twice" [ -z "$(find slurm0 -name 's.part-[13]*' -newermt '2001-01-02')" ]
merged slurm0 3
refused() { ! task "$script" "$@" >said 2>&1 && [ -z "$(ls gap)" ]; }
case="numbers with gaps"
out=gap/s.safetensors
mkdir gap
check "not refused" refused 9 7 8
check "does not say so" grep -q 'task 3 of 2; .* without gaps' said
case="no environment"
"$stats" "${common[@]}" --out gap/s.safetensors --shard auto >said 2>&1
check "status" [ $? = 1 ]
check "does not say so" grep -q 'SLURM_ARRAY_TASK_ID' said

case="mpirun"
if command -v mpirun >/dev/null; then
    mkdir mpi
    options=(--oversubscribe -bind-to none)
    [ "$(id -u)" != 0 ] || options+=(--allow-run-as-root)
    check "mpirun" mpirun "${options[@]}" -n 3 "$stats" "${common[@]}" --threads 1 --out mpi/s.safetensors \
        --profiles mpi/s_profiles.npy --shard auto
    merged mpi 3
else
    echo "SKIPPED $case is not installed"
fi

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
