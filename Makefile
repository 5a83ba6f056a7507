# make run      show kstats cpu: on this machine, or in an emulated ARM64 host if it has no KVM
# make test     run the linters and all tests, including those in emulated KVM hosts
# make unit     run the tests that need neither root nor a host
# make fuzz     fuzz all parsers for ten minutes; FUZZ="recording http --seconds 3600" for others
# make lint     run the linters and the type checker
# make format   format Python and C
# make docs     write the generated parts of the documents, and the screenshot
# make hosts    build the images of the emulated hosts
# make riscv64  test the backend of examples/ in an emulated RISC-V host
# make bench    measure what kstats costs; fail if a budget is exceeded
# make bench-record  record the figures that the README states
# make soak     watch an emulated host for an hour: nothing grows, no exit is lost
# make fleet-bench  measure what 200 hosts cost Prometheus and VictoriaMetrics (3 minutes)
# make objects  compile the BPF objects that have changed
# make wheel    build the wheel and the source archive in dist/
# make packages build the wheel, the .deb, the .rpm and kstats.pyz in dist/
# make clean    remove everything built here except images (make distclean: images, too)
#
# All targets first install missing Debian packages and set up the virtual environment.

# bcc is a package of the distribution, for the distribution's Python.
PYTHON := /usr/bin/python3
VENV   := .venv
BIN    := $(VENV)/bin
SETUP  := $(VENV)/.set-up

RUN_PACKAGES   := python3 python3-venv clang llvm libbpf1 python3-bpfcc python3-zstandard
LINT_PACKAGES  := clang-format mandoc
BENCH_PACKAGES := gcc libc6-dev gcc-aarch64-linux-gnu libc6-dev-arm64-cross mmdebstrap valgrind
UNIT_PACKAGES  := binutils-aarch64-linux-gnu binutils-x86-64-linux-gnu e2fsprogs man-db systemd
TEST_PACKAGES  := buildah chromium chromium-driver man-db mmdebstrap openssl rpm systemd
FLEET_PACKAGES := prometheus prometheus-alertmanager prometheus-node-exporter victoria-metrics

# Tests that share nothing on the machine, so that they can run side by side.
UNIT := not host and not root and not install and not browser and not fleet

.PHONY: run test unit fuzz lint format docs hosts riscv64 bench bench-record soak fleet-bench wheel packages objects clean distclean host-packages

run: $(SETUP) objects
	@$(BIN)/python -m lab.demo

# The emulators of Intel and AMD hosts use one CPU each. Each worker takes one host after the other.
test: lint host-packages objects
	@tools/need $(TEST_PACKAGES)
	@tools/unpack .cache/engines $(FLEET_PACKAGES)
	$(BIN)/python -m tests.repeat -n 2 -m "$(UNIT)"
	$(BIN)/python -m tests.repeat -m "not host and not ($(UNIT))"
	$(BIN)/python -m tests.repeat -m host -n 3 --dist loadscope --no-loadscope-reorder

unit: $(SETUP) objects
	@tools/need $(LINT_PACKAGES) $(UNIT_PACKAGES)
	$(BIN)/pytest -q -n 2 -m "$(UNIT)"

FUZZ ?= --seconds 600

fuzz: $(SETUP)
	@tools/need libbpf1
	$(BIN)/python -m tests.fuzz $(FUZZ)

lint: $(SETUP)
	@tools/need $(LINT_PACKAGES)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	clang-format --dry-run --Werror bench/*.c bpf/*.[ch] examples/*/*/*.c bpf/headers/include/linux/*.h
	$(BIN)/python tools/gen_man.py $(VENV)/man
	mandoc -Tlint -Wwarning $(VENV)/man/*

format: $(SETUP)
	@tools/need $(LINT_PACKAGES)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	clang-format -i bench/*.c bpf/*.[ch]

docs: $(SETUP)
	$(BIN)/python tools/gen_docs.py
	$(BIN)/python -m tools.gen_screenshot
	$(BIN)/python -m tools.gen_output

hosts: $(SETUP) host-packages
	$(BIN)/python -m lab.hosts build

riscv64: $(SETUP) host-packages
	@tools/need qemu-system-misc binutils-riscv64-linux-gnu
	$(BIN)/pytest tests/riscv64/in_host.py

# make bench BENCH="machine native" measures only these parts.
bench: $(SETUP) host-packages objects
	@tools/need $(BENCH_PACKAGES)
	@$(BIN)/python -m bench $(BENCH)

# Writes bench/recorded.json, and what the README, docs/costs.md and kstats/costs.py say about it.
bench-record: $(SETUP) host-packages objects
	@tools/need $(BENCH_PACKAGES)
	@$(BIN)/python -m bench --record $(BENCH)
	$(BIN)/python -m tools.gen_costs

# make soak MINUTES=10 takes ten minutes.
soak: $(SETUP) host-packages objects
	@$(BIN)/python -m lab.soak svm --minutes $(or $(MINUTES),60)

fleet-bench: $(SETUP)
	@tools/unpack .cache/engines $(FLEET_PACKAGES)
	@$(BIN)/python -m bench fleet

wheel: $(SETUP)
	$(BIN)/python -m build --outdir dist

packages: $(SETUP)
	$(BIN)/python tools/make_packages.py dist

host-packages: $(SETUP)
	@tools/need @lab/hosts/packages.txt

# Compiles what has changed; setting up the environment has compiled the objects once.
objects: $(SETUP)
	@$(BIN)/python -m kstats.collector.prebuild bpf/objects

$(SETUP): pyproject.toml Makefile
	@tools/need $(RUN_PACKAGES)
	@echo "setting up $(VENV)" >&2
	$(PYTHON) -m venv --system-site-packages $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/pip install --quiet --group dev --editable .
	@touch $@

clean:
	rm -rf $(VENV) bpf/objects dist .pytest_cache .mypy_cache .ruff_cache

distclean: clean
	rm -rf .cache
