#!/bin/sh
# Everything that must hold before a change is merged. The last line is `N passed, N failed`: tests as cargo counted
# them, and one for each of lint and the suites. Goes on after a failure, so that one run shows them all.
set -u
cd "$(dirname "$0")/.." || exit 1
exec </dev/null
export CARGO_TERM_PROGRESS_WHEN=never RUST_BACKTRACE="${RUST_BACKTRACE:-1}"
# What only a second build would use is not kept where there is none.
[ "${CI:-}" = true ] && export CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0

passed=0
failed=0
failures=
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM

title() { printf '\n== %s\n' "$*"; }

# A step that counts as one: check NAME COMMAND...
check() {
    name=$1
    shift
    begin=$(date +%s)
    if "$@"; then
        passed=$((passed + 1))
        echo "ok: $name, $(($(date +%s) - begin)) s"
    else
        failed=$((failed + 1))
        failures="$failures $name"
        echo "FAILED: $name"
    fi
}

# Numbers after a word in cargo's lines `test result: ok. 12 passed; 0 failed; ...`.
sum() { sed -n "s/^test result: .* \([0-9]*\) $1;.*/\1/p" "$log" | awk '{n += $1} END {print n + 0}'; }

count_tests() {
    cargo test --workspace --no-fail-fast >"$log" 2>&1
    code=$?
    # Names of single tests are only of use when one fails.
    grep -vE '^(test .* \.\.\. ok|running [0-9]+ tests?|   Doc-tests .*|     Running .*|    Finished .*| *Compiling .*|)$' "$log"
    passed=$((passed + $(sum passed)))
    tests_failed=$(sum failed)
    # A test binary that does not build or is killed has no line of its own.
    if [ "$code" != 0 ] && [ "$tests_failed" = 0 ]; then tests_failed=1; fi
    failed=$((failed + tests_failed))
    [ "$code" = 0 ] || failures="$failures tests"
}

title "what is needed"
if ! scripts/install-deps.sh test; then
    printf '\n0 passed, 1 failed\n'
    exit 1
fi
cargo --version

title "test clusters (the first time builds Kubernetes with Go: about 9 minutes on two cores)"
if ! scripts/build-kubernetes.sh; then
    printf '\n0 passed, 1 failed\n'
    exit 1
fi

title "lint (the first time builds all dependencies: 3 to 6 minutes on two cores)"
check fmt cargo fmt --all --check
check clippy cargo clippy -q --workspace --all-targets -- -D warnings

title "tests (builds again with code: 4 to 8 minutes the first time, later about 2)"
begin=$(date +%s)
count_tests
echo "tests: $(($(date +%s) - begin)) s"

title "the static binary (builds all dependencies for musl: about 3 minutes)"
check static scripts/check-static.sh

# `make faults` wants a quiet machine and takes several minutes: a target of its own.
for suite in model; do
    title "suite $suite"
    check "$suite" cargo run -q -p muster-tests --bin "$suite"
done

[ -z "$failures" ] || printf '\nfailed:%s\n' "$failures"
printf '\n%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
