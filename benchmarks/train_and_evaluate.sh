#!/usr/bin/env bash
# From nothing to evaluated weights on one machine, in about MINUTES minutes and the evaluation.
#
#     benchmarks/train_and_evaluate.sh DATA OUTPUT [MINUTES] [RUNG] [more of `id2face train`...]
#
# Called again it goes on where it was. DATA as in docs/training.md. RUNG: gpu (default), cpu or smoke. A rehearsal on any CPU:
#
#     LIMIT=2 benchmarks/train_and_evaluate.sh DATA /tmp/rehearsal 12 smoke
#
# With several GPUs:  LAUNCH="torchrun --nproc_per_node 2 -m id2face_core.cli.main" benchmarks/train_and_evaluate.sh ...
set -euo pipefail
data=${1:?folder of data} output=${2:?folder of the run} minutes=${3:-25} rung=${4:-gpu}
shift $(( $# < 4 ? $# : 4 ))
python=${PYTHON:-python3}
launch=${LAUNCH:-$python -m id2face_core.cli.main}
resume=()
[ -f "$output/run.json" ] && resume=(--resume)
$python -m id2face_core.cli.main setup --yes
$launch train --rung "$rung" --minutes "$minutes" --data "$data" --output "$output" --weights "$output/weights" "${resume[@]}" "$@"
$python -m id2face_core.cli.main train --stage probe --output "$output" | tee "$output/identity_probe.md" || true  # needs pairs
$python -m id2face_core.evaluation --data "$data" --sets "${SETS:-lfw10}" ${LIMIT:+--limit "$LIMIT"} \
    --weights "$output/weights" --output "$output/evaluation"
find "$output" -size +16M -name '*.safetensors' -print -exec false {} + && echo "every state is within 16 MiB"
