#!/bin/sh
# Installs what is missing; says nothing when all is there.
#   scripts/install-deps.sh demo|test|aws|bench
#
# On Debian and Ubuntu through apt, as root or by sudo; elsewhere it names what to install and ends with code 1.
# Services that apt would start are kept from starting, and are disabled: Muster starts its own, on own ports.
set -eu

want=${1:-test}
# An ordinary user's PATH has no sbin; PostgreSQL's servers are in no PATH at all.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
policy=/usr/sbin/policy-rc.d
oldest_postgres=15

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $1"; shift; for line in "$@"; do say "$line"; done; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# The newest PostgreSQL server's major version, or nothing.
postgres_version() {
    for server in /usr/lib/postgresql/*/bin/postgres /usr/pgsql-*/bin/postgres /opt/homebrew/opt/postgresql@*/bin/postgres; do
        [ -x "$server" ] && "$server" --version
    done 2>/dev/null | sed -n 's/^postgres (PostgreSQL) \([0-9]*\).*/\1/p' | sort -n | tail -1
    if have postgres; then postgres --version 2>/dev/null | sed -n 's/^postgres (PostgreSQL) \([0-9]*\).*/\1/p'; fi
}

has_postgres() {
    version=$(postgres_version | sort -n | tail -1)
    [ -n "$version" ] && [ "$version" -ge "$oldest_postgres" ]
}

# Debian has the two in a package of their own.
has_venv() { python3 -c 'import venv, ensurepip' 2>/dev/null; }

# What is missing, as Debian's packages.
missing() {
    has_postgres || echo postgresql
    have psql || echo postgresql-client
    have knotd || echo knot
    have cc || echo gcc libc6-dev
    [ "$want" = demo ] && return
    case $want in test | aws) have musl-gcc || echo musl-tools ;; esac
    have kdig || echo knot-dnsutils
    have named || echo bind9
    { have nsupdate && have dig; } || echo bind9-dnsutils
    [ "$want" = test ] && return
    # The emulators that give second opinions on the fake of AWS.
    if [ "$want" = aws ]; then has_venv || echo python3-venv; return; fi
    have prometheus-blackbox-exporter || have blackbox_exporter || echo prometheus-blackbox-exporter
}

check_rust() {
    if ! have cargo && [ -x "$HOME/.cargo/bin/cargo" ]; then
        die "cargo is in ~/.cargo/bin, which is not in PATH" "Run: . ~/.cargo/env"
    fi
    have cargo || die "Rust is missing" \
        "Install it by rustup (https://rustup.rs), as the user who builds:" \
        "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh" \
        "The version comes from rust-toolchain.toml."
    # rustup fetches the pinned version by itself; another cargo must be new enough.
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    found=$(cargo --version 2>/dev/null | sed -n 's/^cargo \([0-9.]*\).*/\1/p')
    [ -n "$found" ] || die "cargo does not run" "Try \`cargo --version\` in this folder; it says why."
    oldest=$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -1)
    [ "$oldest" = "$wanted" ] || die "Rust $found is too old: $wanted is needed" "Run: rustup update"
}

# Runs a command as root, or says what to run.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif have sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
        sudo "$@"
    else
        return 126
    fi
}

# Keeps apt from starting services while it installs, unless the machine has its own rule for that.
forbid_starts() {
    [ -e "$policy" ] && return
    as_root sh -c "printf '#!/bin/sh\nexit 101\n' > $policy && chmod 755 $policy"
    trap 'as_root rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM
}

# Services of packages that were installed just now; they would start with the machine otherwise.
disable_services() {
    have systemctl || return 0
    for package in $1; do
        case $package in
            postgresql) service=postgresql ;;
            knot) service=knot ;;
            bind9) service=named ;;
            prometheus-blackbox-exporter) service=prometheus-blackbox-exporter ;;
            *) continue ;;
        esac
        as_root systemctl disable "$service" >/dev/null 2>&1 || true
    done
}

install_packages() {
    have apt-get || die "these programs are missing, under Debian's names: $*" \
        "Install them with this system's package manager (PostgreSQL $oldest_postgres or newer), then try again."
    as_root true || die "these packages are missing: $*" "Install them as root, then try again:" "  apt-get install $*"
    say "installing $* (about a minute)"
    log=$(mktemp)
    forbid_starts
    as_root apt-get update -q >"$log" 2>&1 || say "apt-get update failed; going on with the lists that are there"
    if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" >>"$log" 2>&1; then
        tail -20 "$log" >&2
        die "apt-get could not install: $*" "The whole log is in $log."
    fi
    rm -f "$log"
    disable_services "$*"
}

cd "$(dirname "$0")/.."
check_rust
packages=$(missing | tr '\n' ' ')
[ -n "${packages% }" ] || exit 0
# shellcheck disable=SC2086 # a list of words
install_packages ${packages% }
has_postgres || die "PostgreSQL $oldest_postgres or newer is needed, and this system's packages have an older one" \
    "Add the packages of https://www.postgresql.org/download/ and try again."
still=$(missing | tr '\n' ' ')
[ -z "${still% }" ] || die "still missing after the installation: $still"
say "installed; their services were not started"
