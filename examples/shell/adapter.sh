#!/bin/sh
# SPDX-License-Identifier: MIT
# Custom adapters: a class, a file of functions, and the beginning of one's own.
#
#   SNAKEPIT=build/snakepit examples/shell/adapter.sh
set -eu
cd "$(dirname "$0")/../adapters"
snakepit=${SNAKEPIT:-snakepit}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# What an adapter offers, with parameters that come from its type hints.
"$snakepit" tools --adapter adapter.py --names
"$snakepit" call --adapter adapter.py learn text="the cat sat on the mat"

# Functions that know nothing of snakepit.
"$snakepit" call --adapter wordcount.py count text="to be or not to be" top=1

# The template works at once.
cd "$folder"
"$snakepit" -q gen adapter mine >/dev/null
"$snakepit" tools --adapter mine.py --names | sed -n '1s/^.*$/the template has tools/p'
