#!/bin/bash
# A Ray cluster for as long as a Slurm job lasts, and `everybody scale` on it (docs/scale.md).
#   sbatch examples/cluster/slurm.sh /data/videos /data/people
# A job that reaches its time limit is put back and goes on where it was (--requeue, --signal).
#SBATCH --job-name=everybody
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --mem=32G
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
set -euo pipefail

export RAY_USAGE_STATS_ENABLED=0 ORT_DISABLE_TELEMETRY=1
port=$((20000 + SLURM_JOB_ID % 20000))
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(srun --nodes=1 --ntasks=1 -w "$head" hostname --ip-address | awk '{print $1}')

trap 'scontrol requeue "$SLURM_JOB_ID"' TERM

srun --nodes=1 --ntasks=1 -w "$head" --overlap \
    ray start --head --node-ip-address="$address" --port="$port" \
    --num-cpus="$SLURM_CPUS_PER_TASK" --include-dashboard=false --block &
sleep 20

if ((SLURM_JOB_NUM_NODES > 1)); then
    srun --nodes=$((SLURM_JOB_NUM_NODES - 1)) --ntasks=$((SLURM_JOB_NUM_NODES - 1)) \
        --exclude="$head" --overlap \
        ray start --address="$address:$port" --num-cpus="$SLURM_CPUS_PER_TASK" --block &
    sleep 20
fi

everybody scale "$1" --out "$2" --address "$address:$port" &
wait $!
