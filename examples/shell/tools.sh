#!/bin/sh
# SPDX-License-Identifier: MIT
# Tools in both directions: a worker's tool calls back, and a command of the shell answers.
# It gets the arguments as JSON on standard input; its standard output is the result.
#
#   SNAKEPIT=build/snakepit examples/shell/tools.sh
set -eu
cd "$(dirname "$0")/../adapters"
snakepit=${SNAKEPIT:-snakepit}
names='["Ada", "Grace", "Barbara"]'

# The worker greets customer 1 and asks for the name (adapters/greeter.py).
"$snakepit" call --adapter greeter.py \
    --tool customer_name="jq '${names}[.number]'" greet number=1

# What the worker finds out about its caller.
"$snakepit" call --adapter greeter.py --tool customer_name=cat --tool now=date known

# A command that fails is an exception in the worker, with its last words.
"$snakepit" call --adapter greeter.py \
    --tool customer_name='echo "no customer" >&2; exit 1' greet number=7 2>/dev/null ||
    echo "the call failed with status $?"
