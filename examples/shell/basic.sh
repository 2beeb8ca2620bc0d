#!/bin/sh
# SPDX-License-Identifier: MIT
# The command line: standard output is the result, so it fits into pipes. The functions
# called here are Python's own and this folder's; none was written for snakepit.
#
#   SNAKEPIT=build/snakepit examples/shell/basic.sh
set -eu
cd "$(dirname "$0")/../adapters"
snakepit=${SNAKEPIT:-snakepit}

# A tool of the showcase: {"result": 8}
"$snakepit" call add a=5 b=3

# Any importable function: 2.5
"$snakepit" call -m statistics.fmean '[[1, 2, 3, 4]]'

# Functions of a file, with an argument from standard input: {"words": 6, "top": ...}
printf '{"text": "to be or not to be", "top": 2}' |
    "$snakepit" call --adapter wordcount.py count -

# A stream: one line of JSON per chunk
"$snakepit" stream --adapter adapter.py countdown start=3

# A failure is a code and a sentence on standard error, and an exit status.
if "$snakepit" call error_demo error_type=value 2>/dev/null; then
    exit 1
else
    echo "error_demo ended with status $?"
fi
