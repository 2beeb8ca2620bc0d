#!/bin/sh
# SPDX-License-Identifier: MIT
# Many calls at once: a line of standard input is a call, a line of output its result, in
# the order of the input. No more is read than keeps the workers busy.
#
#   SNAKEPIT=build/snakepit examples/shell/parallel.sh
set -eu
snakepit=${SNAKEPIT:-snakepit}

# A hundred calls on four workers; jq adds the results up.
sum=$(i=0; while [ $i -lt 100 ]; do i=$((i + 1)); echo "{\"a\": $i, \"b\": 1}"; done |
    "$snakepit" --size 4 map add | jq -s 'map(.result) | add')
echo "the sum of 100 results: $sum"

# Lines of text as one argument of each call, here with names in pipes.
printf 'one\ntwo words\n' |
    "$snakepit" --size 2 map process_text --each text operation=upper | jq -r .result

# Go on after failures, and say for each line what became of it.
printf '{"a": 1, "b": 2}\n{"a": "x", "b": 2}\n{"a": 3, "b": 4}\n' |
    "$snakepit" -q --size 2 map add --keep-going -o jsonl 2>/dev/null |
    jq -c '[.line, .result.result // .error.name]'
