#!/usr/bin/env bash
# The two validation experiments on the mistakes of the real ResNet-50: tests/experiments/imagenet.sh BUILD OUT [LIST]
#
# Needs weights/fetch resnet50-keras; LIST (path,label) is ../shared/imagenet-sample/labels.csv beside the repository if not
# given. Writes tables (.csv), figures (.png) and what the programs print (.txt) to OUT. About an hour of two cores.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tools=$1/tools out=$2 list=${3:-$root/../shared/imagenet-sample/labels.csv}
weights=${XDG_CACHE_HOME:-$HOME/.cache}/psal/resnet50-keras.safetensors
mkdir -p "$out"

# run NAME PROGRAM OPTIONS...: NAME.txt, NAME.csv, NAME.png
run() {
    local name=$1 program=$2 start=$SECONDS
    shift 2
    "$tools/$program" --weights "$weights" --data "$list" --quiet --csv "$out/$name.csv" --figure "$out/$name.png" "$@" > "$out/$name.txt"
    printf '\n%s %s (%d s)\n' "$program" "$*" "$((SECONDS - start))" >> "$out/$name.txt"
}

ks=1,2,5,10,20,30,40,50,75,100
run prune_weights psal-prune -k $ks --how weights
run prune_channel psal-prune -k $ks --how channel
edits=1,5,10,25,50,100
run finetune_rate psal-finetune -k $edits --rate 0.001 -c salient,random,random-same-layers,least --neighbors 0
run finetune_small psal-finetune -k $edits --relative 0.03 -c salient,random,random-same-layers,least --neighbors 0
run finetune_large psal-finetune -k $edits --relative 0.1 -c salient,random,random-same-layers,least --neighbors 0
run until_correct psal-finetune -k 100 --until-correct -c salient --neighbors 0 --right 200
run fixed_step psal-finetune -k 10 --relative 0.1 -c salient --similarity pearson --right 200
run until_correct_random psal-finetune -k 100 --until-correct -c random --neighbors 0 --right 20
run finetune_others psal-finetune -k 10,25,100 --relative 0.1 --similarity cosine -c salient,random --right 20
