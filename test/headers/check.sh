#!/bin/sh
# SPDX-License-Identifier: MIT
# Compile every public header alone, as C99 and as C++11, with warnings as errors: what
# a header needs it must include, and what it says must be the standard's language.
#
#   check.sh INCLUDE_DIR CC CXX      CXX may be "none"
set -eu

include=$1
cc=$2
cxx=$3
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

failed=0
checked=0
compile() {
    compiler=$1
    standard=$2
    source=$3
    if ! "$compiler" "-std=$standard" -Wall -Wextra -Werror -pedantic -I "$include" \
        -fsyntax-only "$source"; then
        echo "headers: $header is no clean $standard" >&2
        failed=1
    fi
    checked=$((checked + 1))
}

for path in "$include"/snakepit/*.h; do
    header=$(basename "$path")
    # Twice: the guard against a second inclusion is part of the contract.
    for extension in c cc; do
        printf '#include <snakepit/%s>\n#include <snakepit/%s>\n' \
            "$header" "$header" >"$place/alone.$extension"
    done
    # ISO C wants a declaration in every file.
    echo 'extern int sp_headers_are_not_empty;' >>"$place/alone.c"
    compile "$cc" c99 "$place/alone.c"
    if [ "$cxx" != none ]; then
        compile "$cxx" c++11 "$place/alone.cc"
    fi
done
echo "headers: $checked compilations, failed: $failed"
if [ "$checked" -eq 0 ]; then
    echo "headers: none found in $include/snakepit" >&2
    exit 1
fi
exit $failed
