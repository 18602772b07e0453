#!/usr/bin/env bash
# Train on all GPUs of one node, or of several: then run this on each of them, with the
# same MASTER.
#
#   scripts/torchrun.sh --config configs/default.yaml
#   MASTER=host-of-the-first NODES=2 scripts/torchrun.sh --config configs/default.yaml \
#       --run-dir runs/big --resume
#
# With --resume, a restarted job goes on where the last checkpoint is, so the same command
# serves the first start and every later one. --run-dir must be on a shared disk.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${NODES:=1}" -eq 1 ]; then
    meeting=(--standalone)
else
    meeting=(
        --nnodes "$NODES"
        --rdzv-backend c10d
        --rdzv-endpoint "${MASTER:?the host name of one of the nodes}:${PORT:-29500}"
        --rdzv-id "${RUN_ID:-train}"
    )
fi
exec torchrun "${meeting[@]}" --nproc-per-node "${PROCESSES:-gpu}" train.py "$@"
