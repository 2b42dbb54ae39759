# SPDX-License-Identifier: Apache-2.0
# Short names for the usual commands; CMakePresets.json has the builds. `make` builds, `make demo` shows it at work.
MAKEFLAGS += --no-print-directory
VELUM := build/release/velum
JOBS ?= 2

.PHONY: all demo test bench accept asan tsan coverage fuzz format check install clean setup
all:
	@tools/setup --check
	@$(MAKE) build-release

setup:
	@tools/setup

# Configured once; the build itself notices when a list of files or an option changes.
build-%:
	@test -f build/$*/build.ninja || cmake --preset $* >build-$*.log 2>&1 || \
	  { cat build-$*.log; rm -rf build-$*.log build/$*; exit 1; }
	@rm -f build-$*.log
	@cmake --build build/$*

demo: setup
	@$(MAKE) build-release
	$(VELUM) demo heart

test: setup
	@$(MAKE) build-release
	ctest --test-dir build/release --output-on-failure --no-tests=error -j$(JOBS)

bench: all
	$(VELUM) bench

# The long measurements: the documentation's claims of speed, memory and agreement, measured again. All of them take half
# an hour and 14 GB; `tools/accept --help` lists the parts, which can be run one by one.
accept: all
	tools/accept

asan: setup
	@$(MAKE) build-asan
	ctest --test-dir build/asan --output-on-failure --no-tests=error -j$(JOBS)

# Without address randomisation where the system allows that: the sanitizer's shadow wants fixed places.
tsan: setup
	@$(MAKE) build-tsan
	$$(setarch -R true 2>/dev/null && echo setarch -R) \
	  ctest --test-dir build/tsan --output-on-failure --no-tests=error -j$(JOBS)

# Which lines the tests run, by folder. What fails is said, but the table comes all the same.
coverage: setup
	@$(MAKE) build-coverage
	@tools/coverage --clear build/coverage
	@status=0; ctest --test-dir build/coverage --output-on-failure --no-tests=error -j$(JOBS) || status=1; \
	  tools/coverage build/coverage && exit $$status

# Builds the fuzz targets; run one as build/fuzz/fuzz/fuzz_<target> FOLDER fuzz/corpus/<target>: what it finds new goes
# to FOLDER.
fuzz:
	@tools/setup clang
	@$(MAKE) build-fuzz

format:
	@tools/setup clang-format-14
	@tools/check_format --fix

check:
	@tools/setup clang-format-14
	@$(MAKE) build-release
	@status=0; \
	tools/check_layers || status=1; \
	tools/check_sources || status=1; \
	tools/check_docs || status=1; \
	tools/check_format || status=1; \
	tools/check_symbols build/release || status=1; \
	exit $$status

install: all
	cmake --install build/release $(if $(PREFIX),--prefix $(PREFIX))

clean:
	rm -rf build
