# Thin: CMake presets do the work. `make` builds build/ringside; CONTRIBUTING.md has the rest.

PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 60
# More for the fuzzers: FUZZ=-n keeps no new inputs.
FUZZ ?=
# More for the benchmarks: BENCH='--only conditions,find --runs 5', --list, --check.
BENCH ?=
# Sanitizers make everything slower; tests then wait longer before they give up.
SLOW = RINGSIDE_TEST_PATIENCE=10

build = sh scripts/build $(1)
run_tests = sh scripts/run-tests $(1) -j$(JOBS)

.PHONY: all release dev demo demo-linux test test-guests test-kvm soak faults races bench pictures fuzz asan tsan install \
  deb test-deb test-reproducible format tidy tidy-changed clean
all release:
	$(call build,release)
dev:
	$(call build,dev)

demo:
	$(call build,release demo)
	sh scripts/show-demo
demo-linux:
	sh scripts/demo-linux

test: dev
	$(call run_tests,build) -LE 'guests|kvm-guest'
# FIDELITY=whole adds what takes hours: each kernel with each number of vCPUs, a whole pass of memtest86+.
test-guests:
	RINGSIDE_FIDELITY=$(FIDELITY) sh scripts/test-guests
test-kvm: dev
	sh scripts/test-kvm

bench:
	sh scripts/setup build test bench
	$(call build,bench)
	build/ringside_bench $(BENCH)

# Debian's Linux under a debugger that does everything: MINUTES, and whatever else `soak` may take.
SOAK_MINUTES ?= 4
soak:
	sh scripts/setup build test guests
	$(call build,dev ringside_soak)
	sh tests/linux/prepare build/linux
	build/ringside_soak $(SOAK_MINUTES) $(SOAK_SEED)

# Each system call fails in each of its first FAULTS uses, with every error; and as many races and ends of debuggers
# as EVENTS says, on the software CPU: hours in all.
FAULTS ?= 10
EVENTS ?= 100000
faults:
	$(call build,dev)
	RINGSIDE_FAULTS=$(FAULTS) sh scripts/run-tests build -R '^faults\.'
races:
	$(call build,dev)
	RINGSIDE_ENGINE=soft RINGSIDE_TEST_EVENTS=$(EVENTS) build/kvm_engine_test --gtest_filter='*Races*/soft'
	RINGSIDE_ENGINE=soft RINGSIDE_TEST_EVENTS=$(EVENTS) build/protocol_test --gtest_filter='*Row36_ADebuggerMayEnd*:*Row51*'

# The flame graph of Debian's boot, the benchmarks' ratios and a dialogue with GDB, into build/pictures.
pictures:
	sh scripts/setup build demo pictures
	$(call build,release demo)
	sh scripts/pictures

fuzz:
	sh scripts/setup build fuzz
	$(call build,fuzz fuzzers)
	sh scripts/run-fuzzers -j $(JOBS) $(FUZZ) build-fuzz $(FUZZ_SECONDS)
asan:
	$(call build,asan)
	$(SLOW) $(call run_tests,build-asan) -LE 'guests|kvm-guest'
	$(call build,ubsan)
	$(SLOW) $(call run_tests,build-ubsan) -R '^differential\.'
tsan:
	$(call build,tsan)
	$(SLOW) $(call run_tests,build-tsan) -LE 'guests|kvm-guest'

install: release
	cmake --install build --prefix $(PREFIX)

# The packages of the last commit, into build/deb; and the same installed, used and removed.
deb:
	sh scripts/setup build package
	sh scripts/deb
test-deb:
	sh scripts/setup build package
	sh scripts/test-deb
test-reproducible:
	sh scripts/setup build
	sh scripts/test-reproducible

format:
	sh scripts/format
tidy:  # from sources as they are: clang cannot read g++'s precompiled headers
	cmake --preset tidy >/dev/null
	git ls-files 'src/*.cc' | xargs -P$(JOBS) -n4 clang-tidy-14 -quiet -p build-tidy --extra-arg=-Wno-unknown-warning-option
# What has changed since BASE, or since the branch left origin/main. Fails on a finding.
tidy-changed:
	sh scripts/tidy-changed $(BASE)

clean:
	rm -rf build build-asan build-ubsan build-tsan build-fuzz build-tidy
