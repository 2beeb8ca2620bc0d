#!/bin/sh
# SPDX-License-Identifier: MIT
# Part of the build: install the package, with the extension that is compiled already, where
# it can be run.
#
#   stage.sh STAMP SOURCE_FOLDER BUILD_FOLDER EXTENSION
set -eu

stamp=$1 source=$2 build=$3 extension=$(realpath "$4")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/snakepitBridge/inst/libs" "$work/library"
cp "$source/DESCRIPTION" "$source/NAMESPACE" "$work/snakepitBridge/"
cp -r "$source/R" "$work/snakepitBridge/R"
cp "$extension" "$work/snakepitBridge/inst/libs/"
if ! R CMD INSTALL --no-docs --no-test-load --library="$work/library" \
    "$work/snakepitBridge" >"$work/log" 2>&1; then
    cat "$work/log" >&2
    exit 1
fi
# A new folder in the old one's place: running workers keep the files they have open.
mkdir -p "$build/library"
rm -rf "$build/new" "$build/old"
cp -r "$work/library/snakepitBridge" "$build/new"
if [ -d "$build/library/snakepitBridge" ]; then
    mv "$build/library/snakepitBridge" "$build/old"
fi
mv "$build/new" "$build/library/snakepitBridge"
rm -rf "$build/old"
cp "$source/snakepit_worker.R" "$build/snakepit_worker.R"
echo staged >"$stamp"
