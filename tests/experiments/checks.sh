#!/usr/bin/env bash
# psal-check's three checks on the small networks of weights/ and on the real ResNet-50: tests/experiments/checks.sh BUILD OUT [SHARED]
#
# Needs dataset-fashion-mnist; of SHARED (../shared beside the repository if not given) imagenet-sample/labels.csv and the
# photo of the shark in demo/, and weights/fetch resnet50-keras: what is not there is left out. Writes tables (.csv), figures (.png) and what
# the program prints (.txt) to OUT. 40 minutes of two cores.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
check=$1/tools/psal-check out=$2 shared=${3:-$root/../shared}
images=/usr/share/datasets/fashion-mnist/t10k
fashion=idx:$images-images-idx3-ubyte.gz,$images-labels-idx1-ubyte.gz
real=${XDG_CACHE_HOME:-$HOME/.cache}/psal/resnet50-keras.safetensors
shark=$shared/demo/great_white_shark_mispred_as_killer_whale.jpeg
mkdir -p "$out"

# run NAME OPTIONS...: NAME.txt, NAME.csv, NAME.png
run() {
    local name=$1 start=$SECONDS
    shift
    "$check" --quiet --csv "$out/$name.csv" --figure "$out/$name.png" "$@" > "$out/$name.txt"
    printf '\npsal-check %s (%d s)\n' "$*" "$((SECONDS - start))" >> "$out/$name.txt"
}

# tails BUILD NAME WEIGHTS DATA: for peaks over threshold, fitted to the profiles of the data set
tails() {
    "$1/tools/psal-stats" --quiet -w "$3" --data "$4" --out "$out/$2.st" --profiles "$out/$2.npy"
    "$1/tools/psal-stats" --quiet tail "$out/$2.npy" "$out/$2_tails.st"
}

for arch in resnet18 vgg19 densenet121 inception_v3; do
    network=(-w "$root/weights/fashion_$arch.safetensors" --data "$fashion")
    run "ablate_$arch" ablate "${network[@]}" --first 100 --filters 200
    tails "$1" "$arch" "$root/weights/fashion_$arch.safetensors" "$fashion"
    run "ablate_${arch}_pot" ablate "${network[@]}" --first 100 --filters 200 --mode pot --stats "$out/${arch}_tails.st"
    run "mask_$arch" mask "${network[@]}" --first 100 --percent 5,20 --draws 3
    run "randomize_$arch" randomize "${network[@]}" --first 50
done
if [ -e "$real" ] && [ -e "$shark" ]; then
    photo=(-w "$real" -i "$shark" -l 2)
    run mask_shark mask "${photo[@]}" --percent 1,2,5,10,20 --draws 10
    run ablate_shark ablate "${photo[@]}" --filters 200
    run randomize_shark randomize "${photo[@]}"
fi
if [ -e "$real" ] && [ -e "$shared/imagenet-sample/labels.csv" ]; then
    list=(-w "$real" --data "$shared/imagenet-sample/labels.csv")
    run ablate_resnet50 ablate "${list[@]}" --filters 200
    tails "$1" resnet50 "$real" "$shared/imagenet-sample/labels.csv"
    run ablate_resnet50_pot ablate "${list[@]}" --filters 200 --mode pot --stats "$out/resnet50_tails.st"
    run mask_resnet50 mask "${list[@]}" --percent 5,20 --draws 3
fi
