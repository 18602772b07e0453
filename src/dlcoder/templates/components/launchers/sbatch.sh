#!/usr/bin/env bash
# A job that outlives its time limit: shortly before it, all processes save a checkpoint
# and end, the job is queued again, and goes on from there.
#
#   sbatch scripts/train.sbatch --config configs/default.yaml
#
# From the project's folder, with its Python environment active. One process for each GPU:
# keep --ntasks-per-node and --gpus-per-node equal. --signal says how many seconds before
# the limit, which must be enough to finish a step and to save.
#SBATCH --job-name=train
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=slurm-%j.out
set -uo pipefail

again=no
# To the training processes: without --batch, scancel leaves this script alone.
trap 'again=yes; scancel --signal=TERM "$SLURM_JOB_ID"' USR1

# Since Slurm 22.05 srun does not take this over from the job by itself.
export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"
# A job that is queued again keeps its number, and so its run.
srun --kill-on-bad-exit=1 scripts/srun.sh \
    "$@" --run-dir "runs/slurm-$SLURM_JOB_ID" --resume &
training=$!
wait "$training"
status=$?
if [ "$again" = yes ]; then
    # The signal has ended the first wait; the processes are still saving.
    wait "$training"
    status=$?
    if [ "$status" -ne 0 ]; then
        scontrol requeue "$SLURM_JOB_ID"
    fi
fi
exit "$status"
