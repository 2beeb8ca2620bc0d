#!/bin/sh
# SPDX-License-Identifier: MIT
# Recycling: workers are replaced after a number of calls, or when they are old.
#
#   SNAKEPIT=build/snakepit examples/shell/recycling.sh
set -eu
cd "$(dirname "$0")"
snakepit=${SNAKEPIT:-snakepit}

# calls NUMBER SECONDS POOL: so many calls, one after the other.
calls() {
    i=0
    while [ $i -lt "$1" ]; do
        i=$((i + 1))
        echo "{\"seconds\": $2}"
    done | "$snakepit" -q --config pools.yaml map --pool "$3" --parallel 1 wait
}

# No worker gets more than three calls.
answers=$(calls 10 0 short-lived)
echo "short-lived: $(echo "$answers" | wc -l | tr -d ' ') calls, at most" \
    "$(echo "$answers" | jq -r .call | sort -n | tail -n 1) for one worker"

# A worker is replaced when it is 300 ms old: 1.5 seconds of calls see several. Their
# relief is ready before they go, so that no call waits for it.
answers=$(calls 15 0.1 aging)
workers=$(echo "$answers" | jq -r .pid | sort -u | wc -l)
[ "$workers" -gt 1 ] && echo "aging: $(echo "$answers" | wc -l | tr -d ' ') calls," \
    "by more than one worker"
