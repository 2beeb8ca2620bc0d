#!/bin/sh
# SPDX-License-Identifier: MIT
# Streams: a line of JSON for each chunk, as it comes. Leaving early closes the generator
# in the worker, whether by --count or by a pipe that is read no more.
#
#   SNAKEPIT=build/snakepit examples/shell/streaming.sh
set -eu
cd "$(dirname "$0")/../adapters"
snakepit=${SNAKEPIT:-snakepit}

"$snakepit" stream stream_fibonacci count=10 | jq -s -c 'map(.value)'

# This one has no end.
"$snakepit" stream --count 3 infinite_stream delay_ms=1 | jq -c .index

# Generators of a file: the words of each line of this script.
"$snakepit" stream --adapter wordcount.py lines "path=../shell/streaming.sh" |
    jq -s -c '{lines: length, words: map(.words) | add}'
