# make demo   build ronchi and run its demonstration into ./demo
# make test   everything that has to hold: format, lints, tests
#
# One profile serves everything, so that the libraries are built once. scripts/setup installs what the build needs and the machine lacks.

SHELL = /bin/bash
.SHELLFLAGS = -o pipefail -ec

CARGO = PATH="$(CURDIR)/target/tools/bin:$$PATH" cargo

.PHONY: demo test setup setup-test

demo: setup
	@$(CARGO) build --release
	@target/release/ronchi demo --force -o demo

test: setup-test
	@$(CARGO) fmt --check
	@$(CARGO) clippy --release --all-targets --locked -- -D warnings
	@$(CARGO) test --release --locked --no-fail-fast 2>&1 | scripts/summary

setup:
	@scripts/setup build

setup-test:
	@scripts/setup test
