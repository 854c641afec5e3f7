#!/bin/sh
# Installs the emulators of AWS that give second opinions on the fake, each in a virtual environment of Python.
#   scripts/build-emulators.sh                installs what is missing; the lines on stdout are the folders
#   scripts/build-emulators.sh --print NAME   installs nothing: the folder of moto or ministack, or code 1 and what is missing
#
# tests/opinions/emulators/NAME.txt pins the versions of an emulator and of all that it needs.
set -eu

# Counts up when the same versions are to be installed in another way.
recipe=1
emulators="moto ministack"

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $1"; shift; for line in "$@"; do say "$line"; done; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

pins() { echo "tests/opinions/emulators/$1.txt"; }

# What is installed belongs to the Python that installed it.
python_version() { python3 -c 'import platform; print(platform.python_version())' 2>/dev/null || echo none; }

folder_of() {
    version=$(sed -n "s/^$1==//p" "$(pins "$1")")
    sums=$(cksum <"$(pins "$1")" | cut -d ' ' -f 1)
    key="$1-$version-python-$python-$(uname -m)-$sums-$recipe"
    echo "${XDG_CACHE_HOME:-$HOME/.cache}/muster/emulators/$key"
}

# The mark is the last thing that an installation leaves.
is_installed() { [ -e "$(folder_of "$1")/installed" ]; }

check_python() {
    have python3 || die "python3 is missing: the emulators of AWS run in it" \
        "On Debian: scripts/install-deps.sh aws"
    # Debian has both in a package of its own.
    python3 -c 'import venv, ensurepip' 2>/dev/null || die "python3 cannot make virtual environments" \
        "On Debian: scripts/install-deps.sh aws (or apt-get install python3-venv)"
}

install_emulator() {
    folder=$(folder_of "$1")
    say "installing $1: less than a minute, once"
    begin=$(date +%s)
    rm -rf "$folder"
    log=$(mktemp)
    if ! { python3 -m venv "$folder" &&
        "$folder/bin/python" -m pip install --disable-pip-version-check --no-input --quiet -r "$(pins "$1")"; } >"$log" 2>&1; then
        tail -20 "$log" >&2
        rm -rf "$folder" "$log"
        say "error: $1 was not installed; it comes from the Python Package Index"
        return 1
    fi
    rm -f "$log"
    touch "$folder/installed"
    say "installed in $(($(date +%s) - begin)) s"
}

install_missing() {
    mkdir -p "$cache"
    # A second caller waits for the first one, and finds everything installed.
    if have flock; then
        exec 9>"$cache/.lock"
        flock -n 9 || { say "another installation of the emulators is under way; waiting for it"; flock 9; }
    fi
    failed=
    for emulator in $emulators; do
        is_installed "$emulator" || install_emulator "$emulator" || failed="$failed $emulator"
    done
    [ -z "$failed" ] || die "not installed:$failed"
}

cd "$(dirname "$0")/.."
python=$(python_version)
if [ "${1:-}" = --print ]; then
    case ${2:-} in
        moto | ministack) ;;
        *) die "say which: moto or ministack" ;;
    esac
    is_installed "$2" || die "missing: $(folder_of "$2")" "Run: scripts/build-emulators.sh"
    folder_of "$2"
    exit 0
fi
cache="${XDG_CACHE_HOME:-$HOME/.cache}/muster/emulators"
for emulator in $emulators; do
    is_installed "$emulator" || { check_python; install_missing; break; }
done
for emulator in $emulators; do folder_of "$emulator"; done
