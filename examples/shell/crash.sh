#!/bin/sh
# SPDX-License-Identifier: MIT
# Crash recovery: a dead worker costs one call, and the next one goes to another.
#
#   SNAKEPIT=build/snakepit examples/shell/crash.sh
set -eu
snakepit=${SNAKEPIT:-snakepit}

# Any importable function can be called: os.abort brings its process down. --keep-going
# goes on with the next line, on a fresh worker.
"$snakepit" -q --size 1 -a none run - --keep-going -o json 2>/dev/null <<'END' || echo "status $?"
math.sqrt [2.25]
os.abort
math.sqrt [6.25]
END

# What killed it stands on standard error.
"$snakepit" -q call -m os.abort 2>&1 | sed -n 's/ (pid [0-9]*)//; /SP-WORKER-DIED/p'
