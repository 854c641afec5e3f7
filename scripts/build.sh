#!/bin/sh
# Builds a binary, and says so when it takes long.
#   scripts/build.sh PACKAGE
set -eu
cd "$(dirname "$0")/.."
package=$1

if [ -x "target/debug/$package" ]; then
    exec cargo build -q -p "$package"
fi
echo "building $package: the first time takes 3 to 6 minutes on two cores, later seconds"
begin=$(date +%s)
cargo build -p "$package"
echo "built in $(($(date +%s) - begin)) s"
