#!/usr/bin/env bash
# Train with several processes on one machine, or on each of several.
#
#   tools/dist_train.sh CONFIG PROCESSES [arguments of tools/train.py ...]
#
# Of several machines, each runs this with NNODES (how many), NODE_RANK (0, 1, ...) and MASTER_ADDR (the first one).
set -euo pipefail
if [ $# -lt 2 ]; then
    sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
tool="$(dirname "${BASH_SOURCE[0]}")/train.py"
config=$1 processes=$2
shift 2
if [ "${NNODES:-1}" -eq 1 ] && [ -z "${PORT:-}" ]; then
    meeting=(--standalone) # any free port
else
    meeting=(--nnodes "${NNODES:-1}" --node-rank "${NODE_RANK:-0}" --master-addr "${MASTER_ADDR:-127.0.0.1}" --master-port "${PORT:-29500}")
fi
exec "${PYTHON:-python}" -m torch.distributed.run "${meeting[@]}" --nproc-per-node "$processes" \
    "$tool" "$config" --launcher pytorch "$@"
