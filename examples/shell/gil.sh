#!/bin/sh
# SPDX-License-Identifier: MIT
# GIL-aware selection: an interpreter with a global lock computes on one thread at a time,
# so work that computes belongs into processes; without the lock threads do it, and share
# what they have loaded. SNAKEPIT_PYTHON names another interpreter.
#
#   SNAKEPIT=build/snakepit examples/shell/gil.sh
set -eu
cd "$(dirname "$0")"
snakepit=${SNAKEPIT:-snakepit}

# Without an adapter any importable function can be called.
if [ "$("$snakepit" call -m sysconfig.get_config_var '["Py_GIL_DISABLED"]')" = 1 ]; then
    pool=threads
else
    pool=processes
fi
echo "pool: $pool"
for _ in 1 2 3 4; do echo '{"seconds": 0.1}'; done |
    "$snakepit" -q --config pools.yaml map --pool $pool wait | jq -s '"\(length) calls"'
