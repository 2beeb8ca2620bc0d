#!/bin/sh
# SPDX-License-Identifier: MIT
# Telemetry: what a pool says of itself. --verbose tells of workers on standard error,
# `status` has the figures, `bench` measures a tool.
#
#   SNAKEPIT=build/snakepit examples/shell/telemetry.sh
set -eu
snakepit=${SNAKEPIT:-snakepit}

echo "workers come and go:"
"$snakepit" -v --size 1 call add a=1 b=2 2>&1 >/dev/null |
    sed 's/ pid [0-9]*//; s/ after [0-9]* ms//'

echo "figures of a pool:"
"$snakepit" -q --size 2 status -o json |
    jq -c '.pools[] | {name, workers, available, busy, queued, errors, queue_timeouts}'

echo "figures of a tool:"
"$snakepit" -q --size 1 bench add a=1 b=2 --in-flight 4 --repeat 1 --duration 100ms \
    --no-empty -o json |
    jq -c '{failed, p99_us: .latency_us.p99}'
