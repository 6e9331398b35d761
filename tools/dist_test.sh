#!/usr/bin/env bash
# Evaluate with several processes on one machine, or on each of several.
#
#   tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [arguments of tools/test.py ...]
#
# Of several machines, each runs this with NNODES (how many), NODE_RANK (0, 1, ...) and MASTER_ADDR (the first one).
set -euo pipefail
if [ $# -lt 3 ]; then
    sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
tool="$(dirname "${BASH_SOURCE[0]}")/test.py"
config=$1 checkpoint=$2 processes=$3
shift 3
if [ "${NNODES:-1}" -eq 1 ] && [ -z "${PORT:-}" ]; then
    meeting=(--standalone) # any free port
else
    meeting=(--nnodes "${NNODES:-1}" --node-rank "${NODE_RANK:-0}" --master-addr "${MASTER_ADDR:-127.0.0.1}" --master-port "${PORT:-29500}")
fi
exec "${PYTHON:-python}" -m torch.distributed.run "${meeting[@]}" --nproc-per-node "$processes" \
    "$tool" "$config" "$checkpoint" --launcher pytorch "$@"
