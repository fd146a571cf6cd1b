# A table of contents: the work is done by the scripts in bin/.
.DEFAULT_GOAL := help
SEEDS ?= 1...300
SEED ?=
MINUTES ?= 60
JOBS ?= 2
FILTER ?=
KEEP ?=
SECONDS_A_DOOR ?= 300
DOORS ?=
ROUNDS ?= 5

.PHONY: help setup build test bench bench-curves micro demo lint format fuzz sim sim-long sim-seed sim-hashes mutants protos check-deploy clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

setup: ## install the Debian packages and Python clients that are missing; nothing happens when all are there
	@bin/setup

build: ## release programs in .build/release
	@bin/build

test: ## build once, then everything that proves the project; FILTER=regex for some of the tests
	@bin/test --seeds '$(SEEDS)' $(if $(FILTER),--filter '$(FILTER)')

demo: ## the whole stack on loopback, with failures and measured times; KEEP=1 leaves it running
	@bin/demo $(if $(filter-out 0,$(KEEP)),--keep)

bench: ## compare with Debian's etcd under the same load: ROUNDS=5; report in docs/benchmarks
	@bin/bench --rounds '$(ROUNDS)' --out docs/benchmarks

bench-curves: ## the same sides as one quantity after the other grows: about 15 minutes; ROUNDS=2; report in docs/benchmarks
	@bin/bench curves $(if $(filter command environment,$(firstword $(origin ROUNDS))),--rounds '$(ROUNDS)') --out docs/benchmarks

micro: ## count the instructions of small pieces of the server and compare them with what was recorded
	@bin/micro

lint: ## formatting, warnings, purity and import walls
	@bin/lint

format: ## format the Swift files in place
	@bin/lint --fix

fuzz: ## let libFuzzer look for inputs that break something: SECONDS_A_DOOR=300 DOORS='http2 grpc'
	@bin/fuzz --guided --seconds '$(SECONDS_A_DOOR)' $(DOORS)

sim: build ## fixed scenarios, then random seeds, and compare runs in two processes: SEEDS=1...1000
	@bin/simulate --scenarios --seeds '$(SEEDS)' --jobs '$(JOBS)'

sim-long: build ## simulate for MINUTES=60 from a random seed; report in simulation-report.md
	@.build/release/simulate long --minutes '$(MINUTES)' --jobs '$(JOBS)' --commit "$$(git rev-parse --short HEAD)"

sim-seed: build ## replay one seed as a timeline: SEED=42
	@test -n '$(SEED)' || { echo 'usage: make sim-seed SEED=42' >&2; exit 2; }
	@.build/release/simulate replay --seed '$(SEED)'

sim-hashes: build ## seeds 1...20 must do the same in a debug and in a release build
	@bin/sim-hashes

mutants: ## plant known mistakes one by one and see the simulator find them
	@bin/mutants

protos: ## regenerate Sources/EtcdProto from its .proto files
	@bin/generate-protos

check-deploy: ## systemd-analyze verify over the units in deploy/
	@bin/check-deploy

clean: ## remove build products
	@rm -rf .build run
