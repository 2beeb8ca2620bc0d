#!/bin/sh
# SPDX-License-Identifier: MIT
# Hybrid pools: one configuration, a pool for each kind of work; --pool says which.
#
#   SNAKEPIT=build/snakepit examples/shell/hybrid.sh
set -eu
cd "$(dirname "$0")"
snakepit=${SNAKEPIT:-snakepit}
config=$(mktemp)
trap 'rm -f "$config"' EXIT
cat >"$config" <<'END'
pools:
  - name: api                # calls that come often and must not disturb each other
    size: 2
    recycle: { after: 2h }
  - name: compute            # one process whose threads share what is loaded
    adapter: snakepit_bridge.adapters.threaded_showcase.ThreadedShowcaseAdapter
    profile: thread
    size: 1
    threads: 4
    recycle: { after: 1h, calls: 1000 }
END

"$snakepit" config check "$config" | sed 's/^.*: ok/ok/'
"$snakepit" -q --config "$config" --pool api call add a=5 b=3
"$snakepit" -q --config "$config" --pool compute call compute_intensive 'data=[1, 2, 3]' |
    jq -c '{input_size, thread}'
"$snakepit" -q --config "$config" status -o json |
    jq -r '.pools[] | "\(.name): \(.workers) worker(s)"'
