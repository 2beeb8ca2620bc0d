#!/bin/sh
# SPDX-License-Identifier: MIT
# Which profile a pool needs, tried out: the same four calls on four processes and on four
# threads of one, a profile chosen by what the interpreter can do, workers that are replaced.
set -eu
cd "$(dirname "$0")"
snakepit=${SNAKEPIT:-snakepit}

# four NAME: four calls at the same time in that pool; a line of JSON each.
four() {
    for _ in 1 2 3 4; do echo '{"seconds": 0.3}'; done |
        "$snakepit" --config pools.yaml map --pool "$1" --parallel 4 wait
}

# different FIELD: how many values of a field there are in lines of JSON.
different() {
    jq -r ".$1" | sort -u | wc -l | tr -d ' '
}

answers=$(four processes)
echo "processes: $(echo "$answers" | different pid) processes"

answers=$(four threads)
echo "threads: $(echo "$answers" | different thread) threads in $(echo "$answers" | different pid) process"

# An interpreter with a global lock computes on one thread at a time: for work that
# computes, processes. Without the lock, threads do, and share what they have loaded.
facts=$("$snakepit" --config pools.yaml doctor -o json |
    jq -r '.checks[] | select(.check == "imports") | .facts')
case $facts in
"GIL off"*) echo "this interpreter: profile thread" ;;
*) echo "this interpreter: profile process" ;;
esac

# Ten calls, one after the other: no worker gets more than three. (Without `surge: 0` the
# next worker is ready before the old one goes, which takes calls until then.)
answers=$(for _ in 1 2 3 4 5 6 7 8 9 10; do echo '{"seconds": 0}'; done |
    "$snakepit" --config pools.yaml map --pool short-lived --parallel 1 wait)
echo "short-lived: $(echo "$answers" | wc -l | tr -d ' ') calls, at most" \
    "$(echo "$answers" | jq -r .call | sort -n | tail -n 1) for one worker"
