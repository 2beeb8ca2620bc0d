#!/bin/sh
# SPDX-License-Identifier: MIT
# Make a source package of this checkout: the package, and the sources of the worker's half
# of snakepit, which its extension is compiled with.
#
#   pack.sh FOLDER      leaves snakepitBridge_VERSION.tar.gz there
set -eu

folder=$(realpath "${1:?usage: pack.sh FOLDER}")
here=$(dirname "$(realpath "$0")")
root=$(realpath "$here/../..")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

package=$work/snakepitBridge
mkdir -p "$package/src/runtime/proto"
cp "$here/DESCRIPTION" "$here/NAMESPACE" "$package/"
cp -r "$here/R" "$package/R"
cp "$here"/src/*.[ch] "$package/src/"
for layer in base wire runtime; do
    mkdir -p "$package/src/runtime/src/$layer"
    cp "$root/src/$layer"/*.[ch] "$package/src/runtime/src/$layer/"
done
cp -r "$root/include" "$package/src/runtime/include"
(cd "$root/proto" && protoc-c --proto_path=. --c_out="$package/src/runtime/proto" \
    google/protobuf/any.proto google/protobuf/timestamp.proto google/rpc/status.proto \
    google/rpc/error_details.proto grpc/health/v1/health.proto snakepit/bridge.proto)

objects=$(cd "$package/src" && find . -name '*.c' | sort | sed 's|^\./||; s|\.c$|.o|' | tr '\n' ' ')
echo '{ global: R_init_snakepitBridge; local: *; };' >"$package/src/exports"
cat >"$package/src/Makevars" <<END
PKG_CPPFLAGS = -D_GNU_SOURCE -Iruntime/src -Iruntime/include -Iruntime/proto
PKG_CFLAGS = -std=gnu11 -fvisibility=hidden -pthread
PKG_LIBS = -lnghttp2 -lprotobuf-c -lpthread -Wl,--version-script=exports
OBJECTS = $objects
END
cd "$folder" && R CMD build --no-build-vignettes --no-manual "$package"
