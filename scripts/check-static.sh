#!/bin/sh
# Builds the binary of the Dockerfile, in the dev profile, and runs it where nothing else is: no C library, no shell, no
# /etc. Where a Docker engine runs, `docker build` shows the same.
set -eu
cd "$(dirname "$0")/.."

die() { echo "error: $1" >&2; exit 1; }

target=$(uname -m)-unknown-linux-musl
if command -v rustup >/dev/null 2>&1; then rustup -q target add "$target" 2>/dev/null || true; fi
# Without debug information, and with the libraries as they are: half the time.
CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0 cargo --config 'profile.dev.package."*".opt-level=0' \
    build -q --locked -p muster --target "$target"

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
trap 'exit 130' INT TERM
cp "${CARGO_TARGET_DIR:-target}/$target/debug/muster" "$root/muster"
run() {
    if [ "$(id -u)" = 0 ]; then chroot "$root" "$@"; else unshare --map-root-user chroot "$root" "$@"; fi
}
run /muster --version || die "it does not run in an empty folder"
run /muster operator --help >/dev/null || die "it does not show its help in an empty folder"
# Without a cluster it says so, and what to do.
said=$(run /muster operator 2>&1) && die "it found an API server in an empty folder"
case $said in
    *"failed to find an API server"*) ;;
    *) die "it said: $said" ;;
esac
