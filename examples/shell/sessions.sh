#!/bin/sh
# SPDX-License-Identifier: MIT
# Sessions: calls that belong together go to the worker that remembers. `run` keeps its
# pool for all lines of a script; every line names its session.
#
#   SNAKEPIT=build/snakepit examples/shell/sessions.sh
set -eu
snakepit=${SNAKEPIT:-snakepit}

# The showcase counts for each session in the memory of its worker.
"$snakepit" --size 2 run - --affinity strict_queue <<'END'
set_counter value=41 --session ann
set_counter value=7 --session bob
increment_counter --session ann
get_counter --session ann
get_counter --session bob
END
