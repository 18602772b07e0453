#!/usr/bin/env bash
# What Slurm starts once for each process. The processes find each other by the variables
# that torchrun would set.
#
#   srun --nodes 2 --ntasks-per-node 8 --gpus-per-node 8 scripts/srun.sh \
#       --config configs/default.yaml --run-dir runs/big --resume
#
# With --resume, a restarted job goes on where the last checkpoint is, so the same command
# serves the first start and every later one. --run-dir must be on a shared disk.
set -euo pipefail
cd "$(dirname "$0")/.."

export RANK="${SLURM_PROCID:?start this script by srun, which sets SLURM_PROCID}"
export LOCAL_RANK="$SLURM_LOCALID"
export WORLD_SIZE="$SLURM_NTASKS"
export LOCAL_WORLD_SIZE="$((SLURM_NTASKS / SLURM_NNODES))"
hosts="$(scontrol show hostnames "$SLURM_STEP_NODELIST")"
export MASTER_ADDR="${hosts%%$'\n'*}"
# Two jobs that share a node must not meet at one port.
export MASTER_PORT="${MASTER_PORT:-$((20000 + SLURM_JOB_ID % 20000))}"

exec python train.py "$@"
