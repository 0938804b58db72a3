# vatworkerd: everything is built, run and checked from here. `make help` lists the targets.

ifneq ($(firstword $(sort 4.0 $(MAKE_VERSION))),4.0)
$(error make $(MAKE_VERSION) is too old; install GNU make 4.0 or newer)
endif

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
TEST_TIMEOUT := 25m
BENCH ?= .
PKG ?= ./...
SOAK ?=
DEMO_DB := build/demo
ENGINE ?= stock
PREFIX ?= /usr/local
DESTDIR ?=
DIST := build/dist

BUNDLE_SOURCES := $(wildcard testdata/bundles/*.js) $(wildcard kernelhost/vats/*.js)
BENCH_SOURCES := $(wildcard bench/vats/*.js)

# need: stops with one line that names what is missing. Evaluated when a recipe starts.
need = $(if $(1),$(eval MISSING := $(shell sh tools/need.sh $(1)))$(if $(MISSING),$(error $(MISSING))))

.PHONY: help
help: ## list the targets
	@echo 'Targets of vatworkerd:'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Checked before anything long begins.
.PHONY: prerequisites
prerequisites:
	$(call need,linux bash sha256sum go node npm cc)

.PHONY: npm
npm:
	$(call need,linux bash sha256sum node npm)
	@tools/npm.sh

.PHONY: engine
engine: npm ## build the stock xsnap-worker and its bundles into build/engine
	$(call need,cc)
	@tools/engine.sh release build/engine

.PHONY: engine-debug
engine-debug: npm ## build a second engine (debug flags) into build/engine-debug, for tests of engine changes
	$(call need,cc)
	@tools/engine.sh debug build/engine-debug

.PHONY: native
native: npm ## build the native worker and its bundles into build/native
	$(call need,cc)
	@tools/native.sh release build/native

.PHONY: native-sanitized
native-sanitized: npm ## build the native worker with ASan and UBSan into build/native-sanitized, for tests
	$(call need,cc)
	@tools/native.sh sanitized build/native-sanitized

.PHONY: peer
peer: engine ## install the JavaScript system that writes the swing-stores of the tests into build/peer
	$(call need,python3 c++)
	@tools/peer.sh

.PHONY: bundles
bundles: npm ## bundle the vats of testdata/bundles and kernelhost/vats into build/bundles
	@node tools/bundle.mjs --all build/bundles $(BUNDLE_SOURCES)

.PHONY: build
build: ## build bin/vatworkerd
	$(call need,linux go cc)
	@echo 'build: bin/vatworkerd$(if $(wildcard bin/vatworkerd),, (the first time about a minute))' >&2
	@go build -buildvcs=auto -o bin/vatworkerd ./cmd/vatworkerd

.PHONY: man
man: build ## write the manual page, docs/vatworkerd.1, anew from the commands
	@bin/vatworkerd man >docs/vatworkerd.1.new
	@mv docs/vatworkerd.1.new docs/vatworkerd.1

.PHONY: demo-engine
demo-engine:
	$(if $(filter $(ENGINE),stock native),,$(error cannot use ENGINE=$(ENGINE): it is stock or native))

.PHONY: demo
demo: demo-engine prerequisites $(if $(filter native,$(ENGINE)),native,engine) bundles build ## build all, then run the demo vats and show what happens (ENGINE=native)
	@rm -rf $(DEMO_DB)
	@bin/vatworkerd run testdata/demo/config.json --db $(DEMO_DB) --max-online 3 --engine $(ENGINE)
	@echo 'The vats are kept in $(DEMO_DB). Try: bin/vatworkerd send --db $(DEMO_DB) alice balance'

.PHONY: test
test: prerequisites engine engine-debug native native-sanitized bundles build ## run all tests on real workers, race detector on
	@echo 'test: the build tools' >&2
	@node --test tools/ >build/tools-test.log 2>&1 || { cat build/tools-test.log >&2; exit 1; }
	@echo 'test: go test -race $(PKG)' >&2
	@GORACE=atexit_sleep_ms=0 go test -race -timeout $(TEST_TIMEOUT) $(PKG)
	@go test -race -tags crashpoints ./internal/crashpoint

FUZZ_TIME ?= 20s

.PHONY: fuzz
fuzz: prerequisites engine native-sanitized bundles ## fuzz every target for a while (FUZZ_TIME=20s each, FUZZ=pattern) and count the executions
	@tools/fuzz.sh '$(FUZZ_TIME)' '$(FUZZ)'

.PHONY: workers
workers: prerequisites engine native bundles ## kill, stop and starve workers at every step of their protocol, in every way, and flood them (half an hour)
	@echo 'workers: go test -race -run "Workers|Floods" ./supervisor' >&2
	@VATWORKERD_LONG=1 go test -race -timeout 120m -v -run 'Workers|Floods' ./supervisor

.PHONY: crash
crash: prerequisites engine bundles ## kill everyone at every crash point, the whole matrix (half an hour or more)
	@VATWORKERD_CRASH_MATRIX=1 go test -timeout 4h -count 1 -run TestCrashAtEveryPoint ./internal/e2e

.PHONY: soak
soak: prerequisites engine bundles ## hundreds of vats for minutes, with faults, against an undisturbed run (SOAK='-duration 30m -seed 7')
	@go run ./internal/soak/cmd $(SOAK)

.PHONY: disk-faults
disk-faults: prerequisites engine bundles ## make disks fail ten times as often as `make test` does (as root; ten minutes)
	@VATWORKERD_DISK_FAULTS=10 go test -race -timeout 1h -count 1 -v -run '^Test(Disk|BackupDisk|FileSize|Flipped|Torn|DamagedHeaps)' ./dbdir

# Of cmd only what works on swing-stores; elsewhere these tests skip when build/peer is missing.
.PHONY: test-peer
test-peer: prerequisites engine bundles peer ## run the tests on swing-stores that the JavaScript system writes
	@echo 'test-peer: go test -race ./swingstore/...' >&2
	@VATWORKERD_PEER=$(CURDIR)/build/peer go test -race -timeout $(TEST_TIMEOUT) ./swingstore/...
	@echo 'test-peer: go test -race -run Swingstore ./cmd/...' >&2
	@VATWORKERD_PEER=$(CURDIR)/build/peer go test -race -timeout $(TEST_TIMEOUT) -run Swingstore ./cmd/...

.PHONY: conformance
conformance: prerequisites engine native bundles ## compare the native worker with the stock one over 12,000 deliveries
	@echo 'conformance: go test -race -run Conformance ./xsnap' >&2
	@VATWORKERD_CONFORMANCE=12000 go test -race -timeout 120m -run Conformance -v ./xsnap

.PHONY: lint
lint: ## gofmt, go vet, staticcheck
	$(call need,linux go cc)
	@echo 'lint: gofmt' >&2
	@bad=$$(git ls-files -co --exclude-standard '*.go' | xargs -r gofmt -l); \
	if [ -n "$$bad" ]; then echo "lint: gofmt would change:"; echo "$$bad"; exit 1; fi
	@echo 'lint: go vet' >&2
	@go vet ./...
	@echo 'lint: staticcheck' >&2
	@go run $(STATICCHECK) ./...

.PHONY: bench-tools
bench-tools:
	@mkdir -p build/bench
	@node tools/bundle.mjs --all build/bench/bundles $(BENCH_SOURCES)
	@cc -O2 -Wall -Wextra -Werror -o build/bench/bare bench/bare/bare.c
	@go build -buildvcs=auto -o build/bench/bench ./bench

.PHONY: bench
bench: prerequisites engine native bundles build peer bench-tools ## measure against the JavaScript system, into bench/RESULTS.md (BENCH_QUICK=1: 3 minutes)
	@build/bench/bench $(BENCH_FLAGS)

.PHONY: scale
scale: prerequisites engine native bundles build peer bench-tools ## measure a store of a million vats, into bench/RESULTS.md too (SCALE_FLAGS='-active 10000')
	@build/bench/bench -scale $(SCALE_FLAGS)

.PHONY: bench-go
bench-go: prerequisites engine native bundles build ## run the Go benchmarks (BENCH=pattern PKG=./dir)
	@go test -run '^$$' -bench '$(BENCH)' -benchmem -timeout 60m $(PKG)

.PHONY: install
install: prerequisites engine native bundles ## install below PREFIX=/usr/local, the program linked statically
	@tools/stage.sh '$(DESTDIR)$(PREFIX)'

.PHONY: dist
dist: prerequisites ## make the release of the last commit, with its sum, in build/dist
	$(call need,git tar gzip)
	@tools/dist.sh $(DIST)

.PHONY: dist-check
dist-check: dist engine native ## make it a second time, compare the bytes, and run the demo from nothing but the release
	@tools/distcheck.sh $(DIST)

.PHONY: clean
clean: ## remove build/ and bin/ (the cache of engines outside the clone stays)
	@rm -rf build bin
