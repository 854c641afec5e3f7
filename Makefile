# Everything a person types. `make` alone prints this list.
SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

FAULT ?= kill
export CARGO_TERM_PROGRESS_WHEN ?= auto

.PHONY: help demo demo-aws demo-cluster test lint unit model faults crash aws sieve acto bench docs fmt deps clusters

help: ## print this list
	@echo "Muster, a multi-region failover controller"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "  make demo FAULT=freeze (or kill, partition) takes the region away in another way."

demo: ## see it work: a real shop loses its region and comes back in the other
	@scripts/install-deps.sh demo
	@scripts/build.sh muster
	@target/debug/muster demo --fault $(FAULT) $(DEMO_ARGS)

demo-aws: ## the same on AWS: Aurora Global and Route 53, played by a fake on this machine
	@$(MAKE) demo DEMO_ARGS="--cloud aws-fake $(DEMO_ARGS)"

demo-cluster: ## the same under the operator, in three real clusters, with what kubectl shows
	@scripts/install-deps.sh demo
	@scripts/build-kubernetes.sh >/dev/null
	@cargo run -q -p muster-tests --bin demo-cluster -- $(DEMO_ARGS)

test: ## lint, every test, and the suite model
	@scripts/test.sh

lint: ## formatting and clippy, with the workspace's rules
	cargo fmt --all --check
	cargo clippy -q --workspace --all-targets -- -D warnings

unit: ## every test of cargo, without the suites
	@scripts/install-deps.sh test
	@scripts/build-kubernetes.sh >/dev/null
	cargo test -q --workspace

# A suite is a program of the tests crate; its last line is `name: key=value ...`, from what ran.
model: ## explore the states of the real core, and find each seeded bug
	@cargo run -q -p muster-tests --bin model

faults: ## the demo's world under every fault, each case with what it proves
	@scripts/install-deps.sh test
	@cargo run -q -p muster-tests --bin faults

crash: ## the controller killed at every point of every kind of run, and what it leaves
	@scripts/install-deps.sh test
	@cargo run -q -p muster-tests --bin crash

aws: ## whole runs with Aurora, RDS and Route 53 against a fake of AWS, under every trouble that it makes, also under the operator (AWS_ARGS="--only Failover")
	@scripts/install-deps.sh aws
	@scripts/build-kubernetes.sh >/dev/null
	@scripts/build-emulators.sh >/dev/null || echo "going on without what could not be installed" >&2
	@cargo run -q -p muster-tests --bin aws -- $(AWS_ARGS)

sieve: ## the operator with its view of the API server disturbed: killed at each write, stale reads, lost events, failed requests
	@scripts/install-deps.sh test
	@scripts/build-kubernetes.sh >/dev/null
	@cargo run -q -p muster-tests --bin sieve

acto: ## sequences of specs, good and broken, against a real API server and operator (ACTO_ARGS="--seed 1")
	@scripts/build-kubernetes.sh >/dev/null
	@cargo run -q -p muster-tests --bin acto -- $(ACTO_ARGS)

bench: ## what Muster costs, beside another prober; about 12 minutes once built
	@scripts/install-deps.sh bench
	@[ -x target/release/bench ] || echo "building in release mode: the first time takes 6 to 12 minutes on two cores"
	@cargo run -q --release -p muster-tests --bin bench -- $(BENCH_ARGS)

docs: ## write the generated files again: rules, policy fields, command line, CRD, config
	MUSTER_UPDATE_DOCS=1 cargo test -q -p muster-core --lib rulebook
	cargo run -q -p muster-crds --bin crdgen -- --write
	scripts/render-config.sh
	cargo build -q -p muster
	target/debug/muster reference > docs/cli.md

fmt: ## format
	cargo fmt --all

deps: ## install what the demo, the tests and the bench need
	@scripts/install-deps.sh bench

clusters: ## build the Kubernetes components for tests (cached)
	@scripts/build-kubernetes.sh
