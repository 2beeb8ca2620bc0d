#!/bin/sh
# SPDX-License-Identifier: MIT
# Compare what the shared libraries export with the committed lists, so that a change of
# the binary interface is a line in a diff.
#
#   tools/check_symbols.sh [--update] [BUILD_DIR]
set -eu
cd "$(dirname "$0")/.."

update=0
if [ "${1:-}" = --update ]; then
    update=1
    shift
fi
build=${1:-build}

exported() {
    nm --dynamic --defined-only "$1" | awk '$2 ~ /^[A-Z]$/ { print $3 }' |
        LC_ALL=C sort
}

failed=0
for library in libsnakepit libsnakepit-worker; do
    file=$(find "$build" -maxdepth 3 -name "$library.so" | head -n 1)
    list=tools/symbols-$library.txt
    if [ -z "$file" ]; then
        echo "symbols: $library.so is not in $build; compile first" >&2
        failed=1
    elif [ "$update" = 1 ]; then
        exported "$file" >"$list"
        echo "symbols: $list has $(wc -l <"$list") names"
    elif [ ! -f "$list" ]; then
        echo "symbols: $list is missing; make it with --update" >&2
        failed=1
    elif ! exported "$file" | diff -u --label "$list" --label "$file" "$list" -; then
        echo "symbols: $library exports something else than $list says;" \
            "tools/check_symbols.sh --update accepts it" >&2
        failed=1
    else
        echo "symbols: $library exports its $(wc -l <"$list") names"
    fi
done
exit $failed
