# `make run` shows syncd at work; `make test` runs every check. Both set all up by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements/dev.txt
RUN_LOCK := requirements/run.txt
MUTATION_LOCK := requirements/mutation.txt
BENCH_LOCK := requirements/bench.txt
DIST_LOCK := requirements/dist.txt
DIST := dist
DIST_TOOLS := build/dist-tools
SBOM := build/sbom
IN_SBOM := $(DIST_TOOLS)/bin/python -m pip --python $(SBOM)/bin/python install --quiet --disable-pip-version-check
READY := $(VENV)/.ready
UPLOAD_PACKAGES := core upload store remotes watch
WORKERS ?= 4
PARALLEL := --numprocesses $(WORKERS) # tests/parallel.py says what they keep apart

.PHONY: help setup run check test coverage chaos faults soak mutants broken mutation bench bench-quick screenshots lint format lock clean dist dist-check deb test-systemd test-windows
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## make the virtual environment from the locked dependencies

$(READY): $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "syncd needs Python 3.11 or later: make PYTHON=python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $(LOCK)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: $(READY) ## receiver, daemon and sample images together on this machine
	$(BIN)/syncd demo

check: lint ## lint, types and every test that starts no process: what to run after each change
	$(BIN)/pytest $(PARALLEL) -m "not e2e"

test: lint ## lint, types and every test
	$(BIN)/pytest $(PARALLEL)

coverage: $(READY) ## lines and branches that the tests of the upload packages cover: 95 % of each package
	$(BIN)/coverage run -m pytest $(UPLOAD_PACKAGES:%=tests/%)
	$(BIN)/coverage report
	@for package in $(UPLOAD_PACKAGES); do printf '%s ' $$package; \
		$(BIN)/coverage report --include="syncd/$$package/*" --format=total --fail-under=95 || exit; done

chaos: $(READY) ## kills, bursts, full disks and bad connections at full length (FAULTS_MINUTES=20: the long run)
	FAULTS=full $(BIN)/pytest tests/faults -s --timeout 3600

faults: chaos

soak: $(READY) ## simulate the whole engine, one schedule after the other, until told to stop by ctrl-c
	$(BIN)/python -m tests.simulation

mutants: $(READY) ## break each promise on purpose, and count the schedules until the simulation notices
	$(BIN)/python -m tests.simulation.mutants

broken: mutants # the target's former name

mutation: $(READY) ## change single things in the code, and see whether a test fails (MUTATION="--count 300 --seed 1")
	test -x build/mutation/bin/cosmic-ray || { $(PYTHON) -m venv build/mutation && build/mutation/bin/python -m pip \
		install --quiet --disable-pip-version-check --require-hashes --requirement $(MUTATION_LOCK); }
	build/mutation/bin/python tests/mutation.py --python $(BIN)/python $(MUTATION)

bench: $(READY) build/bench/peers/.ready ## compare syncd with rclone, s5cmd and a bare client (needs Go; BENCH="--case local")
	$(BIN)/python -m bench $(BENCH)

bench-quick: ## the same with a tenth of the files, once: in three minutes
	$(MAKE) bench BENCH="--quick $(BENCH)"

build/bench/peers/.ready: $(BENCH_LOCK)
	$(PYTHON) -m venv build/bench/peers
	build/bench/peers/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $(BENCH_LOCK)
	@touch $@

screenshots: $(READY) ## make the pictures of the dashboard in docs/images anew (needs Chromium)
	$(BIN)/python -m tests.browser.screenshots docs/images

dist: $(READY) $(SBOM)/.ready ## the wheel, the sdist and an SBOM (CycloneDX), in dist/
	rm -rf $(DIST) build/share
	$(BIN)/python packaging/share.py build/share
	$(BIN)/python -m hatchling build --directory $(DIST)
	$(IN_SBOM) --no-deps --force-reinstall $(DIST)/syncd-*.whl
	version=$$($(SBOM)/bin/syncd --version | cut -d' ' -f2); \
		sed "s/^dynamic = .*/version = \"$$version\"/" pyproject.toml > $(SBOM)/pyproject.toml && \
		$(DIST_TOOLS)/bin/cyclonedx-py environment --pyproject $(SBOM)/pyproject.toml --output-reproducible \
		--output-file $(DIST)/syncd-$$version.cdx.json $(SBOM)/bin/python

dist-check: dist ## check what `make dist` made: metadata, description, contents of the wheel
	$(DIST_TOOLS)/bin/validate-pyproject pyproject.toml
	$(DIST_TOOLS)/bin/twine check --strict $(DIST)/syncd-*.whl $(DIST)/syncd-*.tar.gz
	$(DIST_TOOLS)/bin/check-wheel-contents $(DIST)/syncd-*.whl
	$(DIST_TOOLS)/bin/pyroma --min 10 .

$(DIST_TOOLS)/.ready: $(DIST_LOCK)
	rm -rf $(DIST_TOOLS)
	$(PYTHON) -m venv $(DIST_TOOLS)
	$(DIST_TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $(DIST_LOCK)
	@touch $@

# The libraries that the Debian package and the container contain, so that the SBOM has their licences and dependencies.
$(SBOM)/.ready: $(RUN_LOCK) $(DIST_TOOLS)/.ready
	rm -rf $(SBOM)
	$(PYTHON) -m venv --without-pip $(SBOM)
	$(IN_SBOM) --require-hashes --requirement $(RUN_LOCK)
	@touch $@

deb: dist ## a Debian package, in dist/ (for Debian 13 on another release: DEB_PYTHON=3.13)
	packaging/debian/build.sh "$(BIN)/python -m pip" $(DEB_PYTHON)

test-systemd: $(READY) ## the packages on a Debian that systemd has booted (root; needs apt and the Python registry)
	SYSTEMD=yes $(BIN)/pytest tests/systemd -s

test-windows: $(READY) ## syncd on Windows' own Python, under wine (needs apt and the Python registry)
	$(BIN)/python -m tests.windows

lint: $(READY) ## ruff, mypy for Unix and for Windows, and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --config-file tests/windows/mypy.ini --cache-dir $(VENV)/mypy-windows & windows=$$!; \
		$(BIN)/mypy --cache-dir $(VENV)/mypy-unix; unix=$$?; wait $$windows && exit $$unix
	$(BIN)/lint-imports --no-cache

format: $(READY) ## let ruff put the code in order
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: ## write the locked dependencies anew (needs uv)
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --annotation-style line --quiet --output-file $(LOCK)
	uv pip compile pyproject.toml --constraint $(LOCK) --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --annotation-style line --quiet --output-file $(RUN_LOCK)
	uv pip compile --group mutation --constraint $(LOCK) --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --annotation-style line --quiet --output-file $(MUTATION_LOCK)
	uv pip compile --group dist --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --annotation-style line --quiet --output-file $(DIST_LOCK)
	uv pip compile --group bench --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --annotation-style line --quiet --output-file $(BENCH_LOCK)

clean: ## remove what the other targets made
	rm -rf $(VENV) .ruff_cache .pytest_cache .hypothesis dist build
