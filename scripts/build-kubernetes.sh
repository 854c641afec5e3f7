#!/bin/sh
# Builds the Kubernetes components of the test clusters, and keeps them in a folder named by their versions.
#   scripts/build-kubernetes.sh            builds what is missing; the last line on stdout is the folder
#   scripts/build-kubernetes.sh --print    builds nothing: the folder, or code 1 and what is missing there
#
# tests/kubernetes/**/go.mod pin the versions. If KUBEBUILDER_ASSETS (envtest's folder) has kube-apiserver and etcd, they
# and its kubectl are linked instead of built.
set -eu

# Counts up when the same versions are to be built in another way.
recipe=1
parts="kube-apiserver kube-controller-manager kube-scheduler kubectl etcd kwok helm"
log=
work=

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $1"; shift; for line in "$@"; do say "$line"; done; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# The Go module that has a part, as a folder below tests/kubernetes.
module_of() {
    case $1 in
        kwok | helm) echo "$1" ;;
        *) echo . ;;
    esac
}

package_of() {
    case $1 in
        etcd) echo go.etcd.io/etcd/server/v3 ;;
        kwok) echo sigs.k8s.io/kwok/cmd/kwok ;;
        helm) echo helm.sh/helm/v4/cmd/helm ;;
        *) echo "k8s.io/kubernetes/cmd/$1" ;;
    esac
}

# The version that a go.mod pins: pinned MODULE_FOLDER MODULE
pinned() {
    awk -v module="$2" '{ for (i = 1; i < NF; i++) if ($i == module && $(i + 1) ~ /^v[0-9]/) { print $(i + 1); exit } }' \
        "tests/kubernetes/$1/go.mod"
}

has_assets() {
    [ -n "${KUBEBUILDER_ASSETS:-}" ] && [ -x "$KUBEBUILDER_ASSETS/kube-apiserver" ] && [ -x "$KUBEBUILDER_ASSETS/etcd" ]
}

folder() {
    sums=$(cat tests/kubernetes/go.* tests/kubernetes/kwok/go.* tests/kubernetes/helm/go.* | cksum | cut -d ' ' -f 1)
    key="$kubernetes-etcd-$etcd-kwok-$kwok-helm-$helm-$(uname -m)-$sums-$recipe"
    # Other binaries under the same versions must not be taken for the pinned ones.
    if has_assets; then key="$key-assets-$(printf %s "$KUBEBUILDER_ASSETS" | cksum | cut -d ' ' -f 1)"; fi
    echo "${XDG_CACHE_HOME:-$HOME/.cache}/muster/kubernetes/$key"
}

missing() {
    for part in $parts; do
        [ -x "$folder/$part" ] || echo "$part"
    done
    [ -d "$folder/stages" ] || echo stages
}

check_go() {
    if ! have go; then
        for bin in /usr/local/go/bin /usr/lib/go/bin "$HOME/go/bin" "$HOME/sdk/go/bin"; do
            [ -x "$bin/go" ] && die "go is in $bin, which is not in PATH" "Run: export PATH=\"\$PATH:$bin\""
        done
    fi
    wanted=$(sed -n 's/^go \([0-9.]*\)$/\1/p' tests/kubernetes/go.mod)
    have go || die "Go is missing: the Kubernetes components of the test clusters are built with it" \
        "Install Go $wanted or newer (https://go.dev/doc/install), then try again."
    # Asked in the module's folder: there Go may have fetched the version that the module wants.
    found=$(cd tests/kubernetes && go env GOVERSION 2>/dev/null | sed -n 's/^go\([0-9.]*\).*/\1/p')
    [ -n "$found" ] || found=$(cd / && go env GOVERSION 2>/dev/null | sed -n 's/^go\([0-9.]*\).*/\1/p')
    [ -n "$found" ] || die "go does not run" "Try \`go version\` in tests/kubernetes; it says why."
    oldest=$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -1)
    [ "$oldest" = "$wanted" ] || die "Go $found is too old: $wanted is needed for the test clusters" \
        "Install Go $wanted or newer (https://go.dev/doc/install), then try again."
}

link_assets() {
    for part in kube-apiserver etcd kubectl; do
        [ -x "$KUBEBUILDER_ASSETS/$part" ] || continue
        ln -s "$(cd "$KUBEBUILDER_ASSETS" && pwd)/$part" "$work/$part"
        mv "$work/$part" "$folder/$part"
    done
}

# What release builds set: `helm` and clients compare the server's version with what they need.
link_flags() {
    case $1 in
        kwok | helm) return ;;
    esac
    minor=${kubernetes#v*.}
    for module in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        printf ' -X %s.%s' "$module" "gitVersion=$kubernetes" "$module" "gitMajor=1" "$module" "gitMinor=${minor%%.*}" \
            "$module" "gitTreeState=clean"
    done
}

# Runs a quiet command in a module's folder, and shows the end of its output when it fails.
in_module() {
    module=$1
    shift
    (cd "tests/kubernetes/$module" && "$@") >"$log" 2>&1 && return
    tail -20 "$log" >&2
    die "failed: $*" "It ran in tests/kubernetes/$module. The first build downloads the modules; later ones need no network."
}

# build_module MODULE_FOLDER HOW_LONG PART...
build_module() {
    module=$1
    how_long=$2
    shift 2
    [ $# != 0 ] || return 0
    say "building $*: $how_long on two cores, once"
    begin=$(date +%s)
    packages=
    for part in "$@"; do packages="$packages $(package_of "$part")"; done
    # shellcheck disable=SC2086 # a list of words
    in_module "$module" env CGO_ENABLED=0 go build -trimpath -buildvcs=false \
        -ldflags "-s -w$(link_flags "$module")" -o "$work/" $packages
    if [ -e "$work/server" ]; then mv "$work/server" "$work/etcd"; fi
    for part in "$@"; do mv "$work/$part" "$folder/$part"; done
    say "built in $(($(date +%s) - begin)) s"
}

# The life of kwok's nodes and pods.
copy_stages() {
    in_module kwok go mod download sigs.k8s.io/kwok
    stages="$(cd tests/kubernetes/kwok && go list -m -f '{{.Dir}}' sigs.k8s.io/kwok)/kustomize/stage"
    mkdir "$work/stages"
    cp "$stages"/node/fast/node-initialize.yaml "$stages"/node/heartbeat-with-lease/node-*.yaml \
        "$stages"/pod/fast/pod-*.yaml "$work/stages"
    # The module cache is read-only, and the copies would stay so.
    chmod u+w "$work"/stages/*
    mv "$work/stages" "$folder/stages"
}

# Of what is missing, the parts of one module.
missing_of() {
    for part in $(missing); do
        [ "$part" = stages ] || [ "$(module_of "$part")" != "$1" ] || echo "$part"
    done
}

build_missing() {
    mkdir -p "$folder"
    # A second caller waits for the first one, and finds everything built.
    if have flock; then
        exec 9>"$folder/.lock"
        flock -n 9 || { say "another build of the test clusters is under way; waiting for it"; flock 9; }
        # Of a build that was killed.
        rm -rf "$folder"/.build-*
    fi
    [ -n "$(missing)" ] || return 0
    work=$(mktemp -d "$folder/.build-XXXXXX")
    log=$(mktemp)
    trap 'rm -rf "$work" "$log"' EXIT
    trap 'exit 130' INT TERM
    # What is built is kept, and what it was built from would be gigabytes that nobody reads again.
    export GOCACHE="$work/go-cache"
    if has_assets; then link_assets; fi
    [ -n "$(missing)" ] || return 0
    check_go
    # shellcheck disable=SC2046 # lists of words
    {
        build_module . "about 7 minutes" $(missing_of .)
        build_module kwok "about 80 s" $(missing_of kwok)
        build_module helm "about 90 s" $(missing_of helm)
    }
    [ -d "$folder/stages" ] || copy_stages
}

cd "$(dirname "$0")/.."
kubernetes=$(pinned . k8s.io/kubernetes)
etcd=$(pinned . go.etcd.io/etcd/server/v3)
kwok=$(pinned kwok sigs.k8s.io/kwok)
helm=$(pinned helm helm.sh/helm/v4)
folder=$(folder)
if [ -n "$(missing)" ]; then
    [ "${1:-}" != --print ] || die "missing in $folder: $(missing | tr '\n' ' ')" "Run: scripts/build-kubernetes.sh"
    build_missing
fi
echo "$folder"
