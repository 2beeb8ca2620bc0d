#!/bin/sh
# SPDX-License-Identifier: MIT
# Process against thread: the same four calls, at the same time, in four processes and in
# four threads of one. The tool, in adapters/waiting.py, says where it ran.
#
#   SNAKEPIT=build/snakepit examples/shell/profiles.sh
set -eu
cd "$(dirname "$0")"
snakepit=${SNAKEPIT:-snakepit}

# different FILTER: how many values of it there are in lines of JSON.
different() {
    jq -c "$1" | sort -u | wc -l | tr -d ' '
}

for pool in processes threads; do
    answers=$(for _ in 1 2 3 4; do echo '{"seconds": 0.3}'; done |
        "$snakepit" -q --config pools.yaml map --pool $pool --parallel 4 wait)
    echo "$pool: $(echo "$answers" | different .pid) process(es)," \
        "$(echo "$answers" | different '[.pid, .thread]') thread(s)"
done
