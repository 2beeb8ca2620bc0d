#!/bin/sh
# SPDX-License-Identifier: MIT
# Sessions, variables and programs from a shell. No worker is started; what is set here is
# there for the next command, in SNAKEPIT_STATE_DIR or a folder of the user's.
#
#   SNAKEPIT=build/snakepit examples/shell/variables.sh
set -eu
snakepit=${SNAKEPIT:-snakepit}

session=$("$snakepit" session create --ttl 1h --metadata '{"user": 17}')

# A typed variable with rules. Values are JSON where they can be, else text.
"$snakepit" -q var register "$session" temperature float 0.7 \
    --constraints '{"min": 0, "max": 2}'
"$snakepit" -q var register "$session" model choice small \
    --constraints '{"choices": ["small", "large"]}'

# What does not fit is refused, and nothing is changed.
"$snakepit" -q var set "$session" temperature 3 2>/dev/null || echo "3 is refused: $?"

# Several at once, all or none.
"$snakepit" -q var set "$session" temperature=0.9 model=large
"$snakepit" var get "$session" temperature
"$snakepit" var get "$session" model -o text

# Only if nobody else came first.
"$snakepit" -q var set "$session" temperature 1.5 --expect-version 1
"$snakepit" -q var set "$session" temperature 1.0 --expect-version 1 2>/dev/null ||
    echo "somebody came first: $?"

# Back to the first value, as a new version.
"$snakepit" -q var rollback "$session" temperature 0
"$snakepit" var history "$session" temperature -o jsonl | wc -l

# A copy of all variables in another session.
"$snakepit" -q session create copy >/dev/null
"$snakepit" var export "$session" | "$snakepit" -q var import copy -
"$snakepit" var list copy --names

# A program is any JSON under a name.
"$snakepit" -q program store "$session" prompt '{"text": "Answer in one word."}'
"$snakepit" program get "$session" prompt

"$snakepit" -q session end "$session" copy
